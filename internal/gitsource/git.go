package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// maxAnswer bounds what one call of git may print, in bytes.
const maxAnswer = 64 << 20

// ErrNoGit says that a folder was given and no git is on PATH to say what it holds.
var ErrNoGit = errors.New("a folder is read by your own git, and no git is on PATH; install git, or use the repository's URL (https:// or ssh://)")

// gitError is a call of git that ended badly, with what it said.
type gitError struct{ said string }

func (e *gitError) Error() string { return "git says: " + e.said }

// localGit is a repository on this machine, as the git of its user sees it.
type localGit struct {
	program string
	dir     string // where git is started
	exact   bool   // dir itself has to be the repository
	env     []string
	quiet   []string // what keeps reading from starting other programs
	inTree  bool     // whether dir lies in its work tree
	prefix  string   // where in it, "" or ending in /
	gitDir  string
	partial bool // objects may be missing on purpose; once hushed

	hash plumbing.Hash // of the name that was asked for with it; zero where git could not say
	head string        // then: the branch that is checked out, refs/heads/…, or HEAD
}

// openGit asks git for the repository that dir is in, and in the same breath for what name
// stands for; with exact, dir itself has to be the repository. A folder outside of any is a
// [*NotFoundError].
func openGit(ctx context.Context, dir string, exact bool, name string) (localGit, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return localGit{}, &NotFoundError{Reason: "there is no such folder; check the path"}
	}
	program, err := exec.LookPath("git")
	if err != nil {
		return localGit{}, ErrNoGit
	}
	g := localGit{program: program, dir: dir, exact: exact, env: readingEnv(environmentForGit(os.Environ()))}
	if exact {
		g.env = append(g.env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	}
	err = g.find(ctx, name)
	if is[*NotFoundError](err) && !exact {
		if named, ok := g.named(ctx, name); ok {
			g, err = named, nil
		}
	}
	if err != nil {
		return localGit{}, err
	}
	g.quiet = []string{
		"-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "safe.bareRepository=all",
		"-c", "core.fileMode=false", "-c", "submodule.recurse=false",
	}
	return g, nil
}

// named is the repository of which GIT_DIR and GIT_WORK_TREE say that dir lies in it.
func (g localGit) named(ctx context.Context, name string) (localGit, bool) {
	store, tree := os.Getenv("GIT_DIR"), os.Getenv("GIT_WORK_TREE")
	if store == "" || tree == "" {
		return g, false
	}
	for variable, path := range map[string]string{"GIT_DIR": store, "GIT_WORK_TREE": tree} {
		full, err := filepath.Abs(path)
		if err != nil {
			return g, false
		}
		g.env = append(slices.Clone(g.env), variable+"="+full)
	}
	return g, g.find(ctx, name) == nil && g.inTree
}

// environmentForGit drops the variables by which a hook or an alias says which repository
// it is in: the folder that was named decides. The list is git's own (rev-parse
// --local-env-vars), without the settings of git -c. It also drops those that hold what
// only this program is to know: its tokens and age identities.
func environmentForGit(env []string) []string {
	place := []string{
		"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		"GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX",
		"GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_CONFIG",
		"GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_LITERAL_PATHSPECS",
	}
	return slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(place, name) || strings.HasPrefix(name, "TERRA_") || strings.HasPrefix(name, "RECONCILE_") || strings.HasPrefix(name, "SOPS_AGE_")
	})
}

// readingEnv makes git answer in English, about the true objects, without writing the
// index, asking anybody or fetching what a partial clone lacks.
func readingEnv(env []string) []string {
	return append(slices.Clone(env), "LC_ALL=C", "LANGUAGE=", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_LITERAL_PATHSPECS=1",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none")
}

// find fills in where the repository is, and what name stands for where git can tell at
// once. A full name stands for itself alone.
func (g *localGit) find(ctx context.Context, name string) error {
	place := []string{"rev-parse", "--is-inside-work-tree", "--show-object-format", "--show-prefix", "--absolute-git-dir"}
	asked, itself := []string{name, "--symbolic-full-name", "HEAD"}, ""
	if strings.HasPrefix(name, "refs/") { // git would also take refs/tags/refs/heads/NAME for refs/heads/NAME
		asked, itself = []string{name, "--symbolic-full-name", name, "HEAD"}, name+"\n"
	}
	out, err := g.run(ctx, slices.Concat(place, asked)...)
	lines := strings.SplitN(out, "\n", 6)
	if head, ok := strings.CutPrefix(lines[len(lines)-1], itself); err == nil && len(lines) == 6 && plumbing.IsHash(lines[4]) && ok && strings.Count(head, "\n") == 1 {
		g.hash, g.head = plumbing.NewHash(lines[4]), strings.TrimSuffix(head, "\n")
	} else { // no such name, no commit, a line break in a folder, no repository
		if out, err = g.run(ctx, place...); err != nil {
			return g.explain(err)
		}
		if lines = strings.Split(out, "\n"); len(lines) != 5 {
			return &CorruptError{Reason: "git can not say where the repository is", Next: "move it to a folder without line breaks in its name"}
		}
	}
	if lines[1] != "sha1" {
		return &UnsupportedError{What: clean("objectformat = " + lines[1])}
	}
	g.inTree, g.prefix, g.gitDir = lines[0] == "true", lines[2], lines[3]
	return nil
}

// hush takes the programs away that the repository's own configuration names for reading
// files of a work tree: the filters of .gitattributes. Those of the user's configuration
// stay.
func (g *localGit) hush(ctx context.Context) error {
	out, err := g.run(ctx, "config", "--list", "--show-scope", "--name-only", "-z")
	if err != nil {
		return g.explain(err)
	}
	fields := strings.Split(out, "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		scope, name := fields[i], fields[i+1]
		driver, isFilter := strings.CutPrefix(name, "filter.")
		at := strings.LastIndex(driver, ".")
		switch {
		case scope != "local" && scope != "worktree":
		case name == "extensions.partialclone" || strings.HasPrefix(name, "remote.") && strings.HasSuffix(name, ".promisor"):
			g.partial = true
		case isFilter && at >= 0 && strings.Contains(driver, "="): // -c could not name it
			return &CorruptError{Reason: fmt.Sprintf("its own configuration names a program for the filter %q, which is refused", clean(driver[:at]))}
		case isFilter && at >= 0:
			for _, set := range []string{".clean=", ".smudge=", ".process=", ".required=false"} {
				g.quiet = append(g.quiet, "-c", "filter."+driver[:at]+set)
			}
		}
	}
	return nil
}

// run gives what git prints.
func (g *localGit) run(ctx context.Context, args ...string) (string, error) {
	out, _, err := g.hear(ctx, args...)
	return out, err
}

// hear is run, with the warnings.
func (g *localGit) hear(ctx context.Context, args ...string) (printed, warned string, err error) {
	cmd := g.command(ctx, args...)
	out, said := &firstBytes{limit: maxAnswer}, &firstBytes{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, said
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", "", ctx.Err()
	case err != nil:
		return "", "", &gitError{said: said.String()}
	case out.dropped:
		return "", "", ErrTooLarge
	}
	return out.String(), said.String(), nil
}

func (g *localGit) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.program, slices.Concat(g.quiet, args)...) //nolint:gosec // the git of the person who runs us
	cmd.Dir, cmd.Env, cmd.WaitDelay = g.dir, g.env, 5*time.Second
	return cmd
}

// explain turns what git says into one of this package's errors.
func (g *localGit) explain(err error) error {
	var failure *gitError
	if !errors.As(err, &failure) {
		return err
	}
	said := failure.said
	if _, fatal, ok := strings.Cut(said, "fatal: "); ok {
		said = fatal
	}
	said = clean(strings.ReplaceAll(said, "\n\t", " "))
	lower := strings.ToLower(said)
	has := func(signs ...string) bool {
		return slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(lower, sign) })
	}
	switch {
	case has("not a git repository (or any"):
		for at := g.dir; ; at = filepath.Dir(at) {
			if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
				return &CorruptError{Reason: "git does not take " + clean(filepath.Join(at, ".git")) + " for a repository"}
			}
			if g.exact || at == filepath.Dir(at) {
				return &NotFoundError{Reason: "the folder holds no git repository; run git init, or check the path"}
			}
		}
	case has("dubious ownership", "unsafe repository", "owned by someone else"):
		dir, _ := filepath.Abs(g.dir)
		if _, named, found := strings.Cut(failure.said, "repository at '"); found { // its top
			dir, _, _ = strings.Cut(named, "'")
		}
		return &OwnerError{Dir: dir}
	case has("unknown repository extension", "expected git repo version", "ref storage format", "reference backend", "unknown object format", "unknown option", "usage: "):
		return &OldGitError{Said: said}
	}
	return &CorruptError{Reason: "git says: " + said, Next: "run git status in " + clean(g.dir) + ", and mend what it says"}
}

// firstBytes keeps the first bytes written to it, whatever else comes.
type firstBytes struct {
	limit   int
	mu      sync.Mutex
	kept    bytes.Buffer
	dropped bool
}

func (f *firstBytes) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(f.limit-f.kept.Len(), len(p))
	f.kept.Write(p[:n])
	f.dropped = f.dropped || n < len(p)
	return len(p), nil
}

func (f *firstBytes) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept.String()
}
