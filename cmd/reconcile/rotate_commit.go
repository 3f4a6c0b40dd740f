package main

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// commitment is one git commit of a few files that is going to be made.
type commitment struct {
	tree  *git.Worktree
	files []string // below the top of the work tree
	who   object.Signature
}

// prepareCommit makes sure, before anything is changed, that a commit of files
// below root will hold their coming changes and nothing else.
func prepareCommit(root string, files []string, now time.Time) (*commitment, error) {
	c, err := openCommitment(root, files, now)
	if err != nil {
		return nil, fmt.Errorf("prepare commit: %w; nothing was changed", err)
	}
	return c, nil
}

func openCommitment(root string, files []string, now time.Time) (*commitment, error) {
	repo, err := git.PlainOpenWithOptions(root, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, fmt.Errorf("%s is not in a git repository; run git init, or drop --commit", root)
	}
	if err != nil {
		return nil, err
	}
	tree, err := repo.Worktree()
	if err != nil {
		return nil, err
	}
	c := &commitment{tree: tree}
	if c.who, err = author(repo, now); err != nil {
		return nil, err
	}
	top, err := filepath.EvalSymlinks(tree.Filesystem.Root())
	if err != nil {
		return nil, err
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, err
	}
	below, err := filepath.Rel(top, root)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		c.files = append(c.files, path.Join(filepath.ToSlash(below), file))
	}
	return c, c.alone(repo)
}

// alone refuses what would slip into the commit: anything staged, an unfinished
// merge, and changes that the files have already.
func (c *commitment) alone(repo *git.Repository) error {
	if _, err := repo.Head(); err != nil {
		return errors.New("the repository has no commit yet; make the first one yourself")
	}
	if what := unfinished(repo); what != "" {
		return fmt.Errorf("a %s is not finished; finish it first", what)
	}
	status, err := c.tree.Status()
	if err != nil {
		return err
	}
	var names []string
	for name := range status {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s := status[name]
		switch {
		case s.Staging != git.Unmodified && s.Staging != git.Untracked:
			return fmt.Errorf("%s is staged and would slip in; commit it first (git status lists all)", name)
		case s.Worktree != git.Unmodified && slices.Contains(c.files, name):
			return fmt.Errorf("%s has changes that are not committed and would slip in; commit them first", name)
		}
	}
	return nil
}

// unfinished says what somebody began in the repository, in the midst of which a
// commit would end up in the wrong place; "" for nothing.
func unfinished(repo *git.Repository) string {
	store, ok := repo.Storer.(*filesystem.Storage)
	if !ok {
		return ""
	}
	for _, begun := range [...]struct{ file, what string }{
		{"MERGE_HEAD", "merge"}, {"CHERRY_PICK_HEAD", "cherry-pick"}, {"REVERT_HEAD", "revert"},
		{"rebase-merge", "rebase"}, {"rebase-apply", "rebase"}, {"BISECT_LOG", "bisect"},
	} {
		if _, err := store.Filesystem().Stat(begun.file); err == nil {
			return begun.what
		}
	}
	return ""
}

// make commits the files and returns the first digits of the hash.
func (c *commitment) make(message string) (string, error) {
	for _, file := range c.files {
		if _, err := c.tree.Add(file); err != nil {
			return "", err
		}
	}
	hash, err := c.tree.Commit(message, &git.CommitOptions{Author: &c.who, Committer: &c.who})
	if err != nil {
		return "", err
	}
	return hash.String()[:10], nil
}

// author is the person that git's own configuration names. A configuration that
// asks for signed commits is refused.
func author(repo *git.Repository, now time.Time) (object.Signature, error) {
	local, err := repo.Config()
	if err != nil {
		return object.Signature{}, err
	}
	scopes := []*config.Config{local}
	for _, scope := range []config.Scope{config.GlobalScope, config.SystemScope} {
		c, err := config.LoadConfig(scope)
		if err != nil {
			return object.Signature{}, err
		}
		scopes = append(scopes, c)
	}
	who := object.Signature{When: now}
	sign := ""
	for _, c := range scopes {
		who.Name = cmp.Or(who.Name, c.Author.Name, c.User.Name)
		who.Email = cmp.Or(who.Email, c.Author.Email, c.User.Email)
		sign = cmp.Or(sign, strings.ToLower(c.Raw.Section("commit").Option("gpgsign")))
	}
	switch {
	case slices.Contains([]string{"true", "yes", "on", "1"}, sign):
		return who, errors.New("git is set to sign commits (commit.gpgsign), which is not done here; commit yourself, without --commit")
	case who.Name == "" || who.Email == "":
		return who, errors.New("git knows no author; set user.name and user.email with git config")
	}
	return who, nil
}
