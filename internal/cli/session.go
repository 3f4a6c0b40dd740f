package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/doctor"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// session is what one run needs: the files of a commit, and an engine that can
// write only when the run may.
type session struct {
	files       fs.FS
	commit      gitsource.Commit
	signedBy    string // whose signature of commit counts; "" where none is asked for
	release     release
	config      config.Config // as it is for the repository
	engine      *reconcile.Engine
	store       *state.Store
	holder      report.LockOwner // who else writes the state
	progress    *progress
	asked       invocation
	stopControl func()         // nil: nobody can ask this run
	notUsed     report.NotUsed // why the daemon that holds the state does not use the commit

	notices  notices
	warnings []string
}

// openSession opens what a run of a mode needs. what is what the person wants in the
// end: where that is to apply, a folder must be committed and a state folder known.
func openSession(ctx context.Context, proc *Process, f *runFlags, mode, what report.Mode) (*session, error) {
	c, own, err := f.configured(proc)
	proc.asked.reads(c.Repo)
	if err != nil {
		return nil, err
	}
	ask, err := newProber(c)
	if err != nil {
		return nil, err
	}
	if what == report.Apply && c.StateDir == "" {
		return nil, errNoState
	}
	s := &session{config: c, progress: newProgress(proc), asked: proc.asked}
	var git *gitsource.Source
	if s.files, s.commit, git, err = openFiles(ctx, c.Repo, what); err != nil {
		s.progress.clear()
		return nil, err
	}
	if s.store, s.holder, err = openStore(ctx, c.StateDir, mode); err != nil {
		s.progress.clear()
		return nil, err
	}
	if err := s.checkSigned(ctx, c, git, mode, what, proc.Now()); err != nil {
		s.progress.clear()
		_ = s.store.Close()
		return nil, err
	}
	if s.notUsed == "" && s.isAside(own, git) {
		s.notUsed = report.NotFollowed
	}
	if git != nil {
		s.release = release{c, git}
	}
	if mode == report.Apply {
		s.serve(ctx, proc, c.StateDir)
	}
	switch reason := s.store.Reason(); {
	case s.store.Missing():
		s.warnings = append(s.warnings, noMemoryYet)
	case reason != "":
		s.warnings = append(s.warnings, reason)
	}
	s.engine = newEngine(engineParts{proc: proc, began: proc.Now(), config: c, mode: mode, applies: f.config == "" || c.Apply, store: s.store, prober: ask, transport: terra.NewTransport(),
		limits: terra.NewLimits(), heard: &s.notices, progress: s.progress.show})
	return s, nil
}

// isAside tells whether the commit is of another repository, folder or ref than the one that the
// configuration follows. Where that is not known, as of a HEAD that nobody has looked at, it is
// taken for the one.
func (s *session) isAside(own config.Repo, git *gitsource.Source) bool {
	repo := s.config.Repo
	switch {
	case own.URL == "":
		return false
	case repo.URL != own.URL || repo.Path != own.Path:
		return true
	case repo.Followed() == own.Followed() || git == nil:
		return false
	}
	key := repositoryKey(own, git)
	followed := own.Followed()
	if followed == "" {
		branch, err := s.store.Branch(key)
		if err != nil || branch == "" {
			return false
		}
		followed = branch
	}
	f, _, err := followedOf(s.store, s.config, git)
	branch := func(ref string) string { return strings.TrimPrefix(ref, "refs/heads/") }
	return branch(followed) != branch(repo.Followed()) && (err != nil || f.Newest != s.commit.Hash)
}

func (s *session) close() {
	s.progress.clear()
	if s.stopControl != nil {
		s.stopControl()
	}
	_ = s.store.Close()
}

// serve lets others pause this run and read its memory. Where it cannot, the run
// goes on and says so.
func (s *session) serve(ctx context.Context, proc *Process, dir string) {
	stop, err := daemon.Serve(ctx, dir, controlServer{store: s.store, now: proc.Now, running: func(string) bool { return true }}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		s.warnings = append(s.warnings, "a pause cannot reach this run: "+err.Error())
		return
	}
	s.stopControl = stop
}

// run loads the files and runs the engine over them.
func (s *session) run(ctx context.Context, r reconcile.Run) report.Report {
	r.Set, r.Problems = loadFor(s.store, s.files)
	r.Problems = refuseForeign(s.store, s.config, &r.Set, r.Problems)
	r.Commit, r.Only = s.commit.Hash, s.config.Environments
	r.Author, r.SignedBy, r.LockOwner = s.commit.Author, s.signedBy, s.holder
	if s.holder == report.LockedByDaemon {
		r.NotUsed = s.notUsed
	}
	var err error
	r.Tag = s.commit.Tag
	if r.Above, err = s.release.note(s.store, s.commit, r); err != nil {
		s.warnings = append(s.warnings, err.Error())
	}
	r.Older = r.Above != "" || err != nil // what is not known is held
	out := s.engine.Run(ctx, r)
	s.progress.clear()
	out.Warnings = slices.Concat(plan.Warnings(s.warnings...), plan.Warnings(s.notices.warnings()...), out.Warnings)
	s.asked.completeReport(&out)
	return out
}

// runnerConfig is the runner's own configuration: the daemon.yaml that a flag names,
// else what the environment variables say. For a person who names the files that a command
// is about, all identities open them, whichever repository they are of.
func runnerConfig(proc *Process, file string) (config.Config, error) {
	if file == "" {
		return config.FromEnvironment(proc.Getenv)
	}
	c, err := config.Load(file, proc.Getenv)
	c.Identities = c.EveryIdentity()
	return c, err
}

// configuration is the runner's own with what the flags say over it. A repository that
// a person named counts, also the folder they are in; where the file has several, they name one
// of these.
func (f *sourceFlags) configuration(proc *Process) (config.Config, error) {
	c, _, err := f.configured(proc)
	return c, err
}

// configured is configuration, and the repository as the file of a daemon has it; zero where no
// file is named.
func (f *sourceFlags) configured(proc *Process) (c config.Config, own config.Repo, err error) {
	if f.config == "" {
		c, err = config.FromEnvironment(proc.Getenv)
	} else {
		c, err = config.Load(f.config, proc.Getenv)
	}
	switch {
	case err != nil:
		return c, own, err
	case len(c.Repos) > 0:
		named := f.named
		if f.given.Changed {
			named = f.repo
		}
		if c, err = repositoryNamed(c, f.config, named); err != nil {
			return c, own, err
		}
		own = c.Repo
	case f.config == "" || f.given.Changed:
		if f.config != "" {
			own = c.Repo
		}
		c.Repo.URL = f.repo
	default:
		own = c.Repo
	}
	if f.ref != "" {
		c.Repo = c.Repo.At(f.ref)
	}
	c.Repo.Path = cmp.Or(f.path, c.Repo.Path)
	c.StateDir = cmp.Or(f.state, c.StateDir)
	if len(f.environments) > 0 {
		c.Environments = f.environments
	}
	return c, own, nil
}

// several names the repositories of the configuration, where there are several and the command
// line names none.
func (f *sourceFlags) several(proc *Process) []string {
	if f.config == "" || f.given.Changed {
		return nil
	}
	c, err := config.Load(f.config, proc.Getenv)
	if err != nil || len(c.Repos) < 2 {
		return nil // who reads it next says why
	}
	return c.Names()
}

// repositoryNamed is a configuration as it is for one of its several repositories.
func repositoryNamed(c config.Config, file, name string) (config.Config, error) {
	for _, one := range c.Each() {
		if one.Repo.Name == name || name == "" && len(c.Repos) == 1 {
			return one, nil
		}
	}
	names := strings.Join(c.Names(), ", ")
	if name == "" {
		return c, usageError("%s has several repositories; name one with --repo: %s", file, names)
	}
	hint := ""
	if near := spec.Nearest(name, c.Names()); near != "" {
		hint = "did you mean " + near + "? "
	}
	return c, usageError("%s has no repository %q; %sit has %s", file, visible.Text(name), hint, names)
}

// notCommitted stands for the commit of a folder as it stands.
const notCommitted = "worktree"

// openFiles gives the files to work from: those of a commit, or, for a dry run of a folder
// where what it holds of a configuration is not committed, the folder as it stands. git has
// the commit of what is no folder.
func openFiles(ctx context.Context, repo config.Repo, mode report.Mode) (files fs.FS, commit gitsource.Commit, git *gitsource.Source, err error) {
	info, err := os.Stat(repo.URL)
	if err == nil && repo.Path == "" && repo.Followed() == "" {
		if err := isRoot(repo.URL); err != nil {
			return nil, gitsource.Commit{}, nil, fmt.Errorf("read repository %s: %w", repo.URL, err)
		}
	}
	if err == nil && info.IsDir() && repo.Followed() == "" {
		tree, err := doctor.WorkTree(ctx, repo.URL, repo.Path)
		switch {
		case err != nil:
			return nil, gitsource.Commit{}, nil, err
		case !tree.Dirty:
			return tree.FS, tree.Commit, nil, nil
		case mode == report.DryRun:
			return tree.FS, gitsource.Commit{Hash: notCommitted}, nil, nil
		}
		why, next := doctor.Uncommitted(tree)
		return nil, gitsource.Commit{}, nil, fmt.Errorf("apply %s: %s; %s", repo.URL, why, next)
	}
	if git, err = openSource(repo, 16<<20, &secrets.Heard{}); err != nil {
		return nil, gitsource.Commit{}, nil, err
	}
	if commit, err = git.Fetch(ctx); err != nil {
		return nil, gitsource.Commit{}, nil, err
	}
	files, err = git.FS(commit.Hash)
	return files, commit, git, err
}

// openSource opens a repository, of which the files of a configuration are kept, and so
// many bytes of the others. heard is what its server has said so far to whoever hears the
// same.
func openSource(repo config.Repo, others int64, heard *secrets.Heard) (*gitsource.Source, error) {
	auth := gitsource.Auth{Username: repo.Auth.Username, SSHKeyFile: repo.Auth.SSHKeyFile, KnownHostsFile: repo.Auth.KnownHostsFile,
		Settings: gitsource.Settings(repo.Auth.Settings), Repeats: repeatsToken, RepeatsLong: repeatsTokenLong, Tells: tellsOfToken(heard)}
	if repo.Auth.Token.IsSet() {
		auth.Token = repo.Auth.Token.Read
	}
	way, err := wayTo(repo)
	if err != nil {
		return nil, err
	}
	if auth.App, err = appOf(repo, way, "", "contents", "read"); err != nil {
		return nil, err
	}
	return gitsource.Open(gitsource.Options{URL: repo.URL, Ref: repo.Ref, Versions: repo.Versions, Path: repo.Path, Wanted: doctor.IsConfig, Others: others, Auth: auth, Way: way})
}

func repeatsToken(text, token string) bool {
	return secrets.Repeats(text, secrets.NewValue([]byte(token)))
}

func repeatsTokenLong(text, token string) bool {
	return secrets.RepeatsLong(text, secrets.NewValue([]byte(token)))
}

func tellsOfToken(heard *secrets.Heard) func(texts []string, token string) bool {
	return func(texts []string, token string) bool { return heard.Tells(texts, secrets.NewValue([]byte(token))) }
}

var errNoState = errors.New("open state: no folder is known for it; set RECONCILE_STATE_DIR or --state")

// noMemoryYet is what follows from a state in which nothing is remembered.
const noMemoryYet = "no memory yet: what Terra has already counts as not ours"

// openStore opens the memory. A dry run that cannot have it goes on without and
// says so; a run that writes never does.
func openStore(ctx context.Context, dir string, mode report.Mode) (*state.Store, report.LockOwner, error) {
	switch {
	case mode == report.Apply && dir == "":
		return nil, "", errNoState
	case mode == report.Apply:
		store, err := state.Open(dir, state.Options{})
		return store, "", err
	case dir == "":
		return state.None("no state folder is known, so every connection counts as found for the first time"), "", nil
	}
	return memoryFor(ctx, dir)
}
