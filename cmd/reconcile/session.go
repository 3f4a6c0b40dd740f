package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// session is what one run needs: the files of a commit, and an engine that can
// write only when the run may.
type session struct {
	files        fs.FS
	commit       gitsource.Commit
	environments []string
	engine       *reconcile.Engine
	store        *state.Store
	holder       report.Holder // who else writes the state
	progress     *progress
	asked        invocation
	stopControl  func() // nil: nobody can ask this run

	notices  notices
	warnings []string
}

func openSession(ctx context.Context, env *environment, f *runFlags, mode report.Mode) (*session, error) {
	c, err := f.configuration(env)
	env.asked.reads(c.Repo)
	if err != nil {
		return nil, err
	}
	ask, err := newProber(c)
	if err != nil {
		return nil, err
	}
	s := &session{environments: f.environments, progress: newProgress(env), asked: env.asked}
	if len(s.environments) == 0 {
		s.environments = c.Environments
	}
	if s.files, s.commit, err = openFiles(ctx, c.Repo, mode); err != nil {
		s.progress.clear()
		return nil, err
	}
	if s.store, s.holder, err = openStore(ctx, c.StateDir, mode); err != nil {
		s.progress.clear()
		return nil, err
	}
	if mode == report.Apply {
		s.serve(ctx, env, c.StateDir)
	}
	switch reason := s.store.Reason(); {
	case s.store.Missing():
		s.warnings = append(s.warnings, "no memory yet: what Terra has already counts as not ours")
	case reason != "":
		s.warnings = append(s.warnings, reason)
	}
	var remember reconcile.Remember
	if f.probe && mode == report.DryRun {
		remember = leave(ctx, c.StateDir)
	}
	s.engine = reconcile.New(reconcile.Options{
		Remember: remember,
		Client: newClients(c, terra.Options{Transport: terra.NewTransport(), Limits: terra.NewLimits(),
			Version: env.Version, ReadOnly: mode == report.DryRun, Notice: s.notices.hear}),
		Store:         s.store,
		Identities:    identities(c.Identities),
		Now:           env.Now,
		Prober:        ask,
		Progress:      s.progress.show,
		RedirectHosts: redirectHosts(c),
	})
	return s, nil
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
func (s *session) serve(ctx context.Context, env *environment, dir string) {
	stop, err := daemon.Serve(ctx, dir, keeper{store: s.store, now: env.Now}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		s.warnings = append(s.warnings, "`reconcile pause` cannot reach this run: "+err.Error())
		return
	}
	s.stopControl = stop
}

// run loads the files and runs the engine over them.
func (s *session) run(ctx context.Context, r reconcile.Run) report.Report {
	r.Set, r.Problems = spec.Load(s.files, providers.Vocabulary())
	r.Commit, r.Only = s.commit.Hash, s.environments
	r.Author, r.Holder = s.commit.Author, s.holder
	out := s.engine.Run(ctx, r)
	s.progress.clear()
	out.Warnings = slices.Concat(s.warnings, s.notices.warnings(), out.Warnings)
	s.asked.completeReport(&out)
	return out
}

// configuration is daemon.yaml when one is named, else the environment. Flags
// decide over both.
func (f *runFlags) configuration(env *environment) (config.Config, error) {
	var c config.Config
	var err error
	if f.config != "" {
		c, err = config.Load(f.config, env.Getenv)
	} else {
		c, err = config.FromEnvironment(env.Getenv)
	}
	if err != nil {
		return c, err
	}
	if f.config == "" || f.repo != "." {
		c.Repo.URL = f.repo
	}
	if f.ref != "" {
		c.Repo.Ref = f.ref
	}
	if f.path != "" {
		c.Repo.Path = f.path
	}
	if f.state != "" {
		c.StateDir = f.state
	}
	return c, nil
}

// openFiles gives the files to work from. A dry run reads a folder as it stands;
// applying takes a commit, from a folder only when what it holds of a configuration
// is committed.
func openFiles(ctx context.Context, repo config.Repo, mode report.Mode) (fs.FS, gitsource.Commit, error) {
	info, err := os.Stat(repo.URL)
	if err == nil && repo.Path == "" && repo.Ref == "" {
		if err := isRoot(repo.URL); err != nil {
			return nil, gitsource.Commit{}, fmt.Errorf("read repository %s: %w", repo.URL, err)
		}
	}
	if err == nil && info.IsDir() && repo.Ref == "" {
		tree, err := gitsource.WorkTree(repo.URL, repo.Path)
		if err != nil {
			return nil, gitsource.Commit{}, err
		}
		changed := configChanges(tree.Changes)
		switch {
		case mode == report.DryRun && (len(changed) > 0 || tree.Commit == ""):
			return tree.FS, gitsource.Commit{Hash: "worktree"}, nil
		case mode == report.DryRun:
			return tree.FS, gitsource.Commit{Hash: tree.Commit, Author: tree.Author}, nil
		}
		if why, next := uncommitted(tree); why != "" {
			return nil, gitsource.Commit{}, fmt.Errorf("apply %s: %s; %s", repo.URL, why, next)
		}
	}
	source, err := openSource(repo)
	if err != nil {
		return nil, gitsource.Commit{}, err
	}
	commit, err := source.Fetch(ctx)
	if err != nil {
		return nil, gitsource.Commit{}, err
	}
	files, err := source.FS(commit.Hash)
	return files, commit, err
}

// uncommitted says why a folder is not what a commit holds, and what to do; nothing
// where it is.
func uncommitted(tree gitsource.Tree) (why, next string) {
	changed := configChanges(tree.Changes)
	switch {
	case tree.Unborn:
		return "its git repository has no commit yet", "commit its files: only commits are applied"
	case tree.Commit == "":
		return "it is in no git repository", "run git init in it and commit its files: only commits are applied"
	case len(changed) > 0:
		return "it has changes that are not committed (" + few(changed) + ")", "commit or remove them: only commits are applied"
	}
	return "", ""
}

// configChanges picks the changed files that could be part of a configuration, by
// their names. A plan file that was just written into the folder is not one.
func configChanges(changed []string) []string {
	return slices.DeleteFunc(slices.Clone(changed), func(name string) bool {
		ext := strings.ToLower(path.Ext(name))
		return ext != ".yaml" && ext != ".yml" && name != secrets.LockPath
	})
}

// few names the first three of names, and how many more there are.
func few(names []string) string {
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
}

func openSource(repo config.Repo) (*gitsource.Source, error) {
	auth := gitsource.Auth{Username: repo.Auth.Username, SSHKeyFile: repo.Auth.SSHKeyFile, KnownHostsFile: repo.Auth.KnownHostsFile,
		Settings: gitsource.Settings(repo.Auth.Settings)}
	if repo.Auth.Token.IsSet() {
		auth.Token = repo.Auth.Token.Read
	}
	return gitsource.Open(gitsource.Options{URL: repo.URL, Ref: repo.Ref, Path: repo.Path, Auth: auth})
}

// openStore opens the memory. A dry run that cannot have it goes on without and
// says so; a run that writes never does.
func openStore(ctx context.Context, dir string, mode report.Mode) (*state.Store, report.Holder, error) {
	switch {
	case mode == report.Apply && dir == "":
		return nil, "", errors.New("open state: no folder is known for it; set RECONCILE_STATE_DIR or --state")
	case mode == report.Apply:
		store, err := state.Open(dir, state.Options{})
		return store, "", err
	case dir == "":
		return state.None("no state folder is known, so every connection counts as found for the first time"), "", nil
	}
	return memoryFor(ctx, dir)
}

// newClients makes one client an account. The runner decides which dev-ids an
// account may touch; the repository only names it.
func newClients(c config.Config, o terra.Options) func(account, devID string) (*terra.Client, error) {
	clients, broken := map[string]*terra.Client{}, map[string]error{}
	for name, account := range c.Accounts {
		o.BaseURL, o.Token = account.BaseURL, account.Token.Read
		clients[name], broken[name] = terra.New(o)
	}
	return func(name, devID string) (*terra.Client, error) {
		account, ok := c.Accounts[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("use account %q: this runner knows no such account", name)
		case broken[name] != nil:
			return nil, broken[name]
		case !account.Allows(devID):
			return nil, fmt.Errorf("use account %q: the runner does not let it touch %s; its dev_ids decide", name, devID)
		}
		return clients[name], nil
	}
}

// redirectHosts gives what the runner lists for an account.
func redirectHosts(c config.Config) func(account string) []string {
	return func(account string) []string { return c.Accounts[account].RedirectHosts }
}

func identities(c config.Identities) func() (*secrets.Identities, error) {
	return func() (*secrets.Identities, error) {
		source := secrets.Source{Files: c.Files, AllowPlugins: c.AllowPlugins}
		if c.Inline.IsSet() {
			text, err := c.Inline.Read()
			if err != nil {
				return nil, err
			}
			source.Inline = strings.TrimSpace(text)
		}
		return secrets.LoadIdentities(source)
	}
}
