package gitsource

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Pending is a commit of a few files that is going to be made by the user's own git:
// with its hooks, its signature and its author.
type Pending struct {
	git   localGit
	files []string
}

// PrepareCommit makes sure, before anything is changed, that a commit of files below dir
// will hold their coming changes and nothing else: nothing is staged, nothing unfinished,
// the files are as HEAD has them, and git knows who commits.
func PrepareCommit(ctx context.Context, dir string, files []string) (*Pending, error) {
	g, _, err := openRef(ctx, dir, false, "HEAD")
	switch {
	case errors.Is(err, ErrNoGit):
		return nil, errors.New("no git is on PATH; install git, or drop --commit")
	case is[*NotFoundError](err):
		return nil, fmt.Errorf("%s is not in a git repository; run git init, or drop --commit", dir)
	case errors.Is(err, ErrEmptyRepository), is[*MissingRefError](err):
		return nil, errors.New("the repository has no commit yet; make the first one yourself")
	case err != nil:
		return nil, err
	case !g.inTree:
		return nil, fmt.Errorf("%s lies in no work tree of its repository; use a clone, or drop --commit", dir)
	}
	for _, who := range []string{"GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"} {
		if _, err := g.run(ctx, "-c", "user.useConfigOnly=true", "var", who); err != nil {
			return nil, errors.New("git knows no author; set user.name and user.email with git config")
		}
	}
	for _, begun := range [...]struct{ file, what string }{
		{"MERGE_HEAD", "merge"}, {"CHERRY_PICK_HEAD", "cherry-pick"}, {"REVERT_HEAD", "revert"},
		{"rebase-merge", "rebase"}, {"rebase-apply", "rebase"}, {"BISECT_LOG", "bisect"},
	} {
		if _, err := os.Stat(filepath.Join(g.gitDir, begun.file)); err == nil {
			return nil, fmt.Errorf("a %s is not finished; finish it first", begun.what)
		}
	}
	if err := g.alone(ctx, files); err != nil {
		return nil, err
	}
	return &Pending{git: g, files: files}, nil
}

// alone refuses what would slip into a commit of the files, and files that git was told
// not to look at.
func (g *localGit) alone(ctx context.Context, files []string) error {
	if err := g.hush(ctx); err != nil {
		return err
	}
	out, err := g.run(ctx, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=dirty", "--no-renames")
	if err != nil {
		return g.explain(err)
	}
	for _, line := range strings.Split(strings.TrimSuffix(out, "\x00"), "\x00") {
		if len(line) < 4 {
			continue
		}
		name := line[3:]
		own, inside := strings.CutPrefix(name, g.prefix)
		switch {
		case line[0] != ' ' && line[0] != '?':
			return fmt.Errorf("%s is staged and would slip in; commit it first (git status lists all)", clean(name))
		case inside && slices.Contains(files, own):
			return fmt.Errorf("%s has changes that are not committed and would slip in; commit them first", clean(name))
		}
	}
	if out, err = g.run(ctx, slices.Concat([]string{"ls-files", "-v", "-z", "--"}, files)...); err != nil {
		return g.explain(err)
	}
	for _, line := range strings.Split(out, "\x00") {
		switch flag, name, _ := strings.Cut(line, " "); flag {
		case "", "H":
		case "S", "s":
			return fmt.Errorf("%s is not checked out here (sparse checkout); run git sparse-checkout add %s", clean(name), clean(filepath.Dir(name)))
		default:
			return fmt.Errorf("git does not look at %s (--assume-unchanged); run git update-index --no-assume-unchanged on it", clean(name))
		}
	}
	return nil
}

// Commit commits the files and returns the first digits of the hash.
func (p *Pending) Commit(ctx context.Context, message string) (string, error) {
	g := p.git
	fresh, err := g.run(ctx, slices.Concat([]string{"ls-files", "--others", "-z", "--"}, p.files)...)
	if err != nil {
		return "", err
	}
	g.quiet, g.env = nil, append(environmentForGit(os.Environ()), "GIT_LITERAL_PATHSPECS=1") // from here on it is theirs
	if fresh != "" {
		names := strings.Split(strings.TrimSuffix(fresh, "\x00"), "\x00")
		if _, err := g.run(ctx, slices.Concat([]string{"add", "--intent-to-add", "--"}, names)...); err != nil {
			return "", lastWords(err)
		}
	}
	if _, err := g.run(ctx, slices.Concat([]string{"commit", "--quiet", "--only", "--message", message, "--"}, p.files)...); err != nil {
		return "", lastWords(err)
	}
	hash, err := g.run(ctx, "rev-parse", "HEAD")
	return strings.TrimSpace(hash)[:min(10, len(hash))], err
}

// lastWords shortens what a hook or gpg said to its last three lines.
func lastWords(err error) error {
	var failure *gitError
	if !errors.As(err, &failure) {
		return err
	}
	var lines []string
	for line := range strings.Lines(failure.said) {
		if line = clean(line); line != "" {
			lines = append(lines, line)
		}
	}
	return &gitError{said: strings.Join(lines[max(0, len(lines)-3):], "; ")}
}
