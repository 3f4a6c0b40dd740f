package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newRotateCommand(proc *Process) *cobra.Command {
	return family(&cobra.Command{
		Use:   "rotate",
		Short: "Replace the client secrets of connections",
		Long: `Replace the client secrets of connections.

No provider can make a secret by API: a person makes it in the provider's portal
and adds it here, sealed. The rest follows by itself: at its time the new key is
proved, set at Terra, read back and watched.`,
		Example: "  reconcile rotate status\n  reconcile rotate add production/strava\n  reconcile rotate prune production/strava --key 1",
	}, newRotateStatusCommand(proc), newRotateAddCommand(proc), newRotatePruneCommand(proc))
}

// keyFlags are the flags of the commands that change the keys of a file.
type keyFlags struct {
	repo, config, state string
	commit              bool
	given               *pflag.Flag // --repo
}

func (f *keyFlags) add(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&f.repo, "repo", ".", "config repository: a `folder`, or one in it")
	f.given = p.Lookup("repo")
	p.StringVar(&f.config, "config", "", "take identities, plugins and probes from this `daemon.yaml`")
	p.StringVar(&f.state, "state", "", "`folder` of the memory (default: RECONCILE_STATE_DIR)")
	p.BoolVar(&f.commit, "commit", false, "commit the changed files, and nothing else, with the author that git knows")
}

func (f *keyFlags) runner(proc *Process) (config.Config, error) {
	c, err := runnerConfig(proc, f.config)
	c.StateDir = cmp.Or(f.state, c.StateDir)
	return c, err
}

// folder is where the files are that the command works on: the one that --repo names,
// else the one around here, else the one that --config names.
func (f *keyFlags) folder(runner config.Config) string {
	if _, err := openRepository(f.repo); err == nil || f.given.Changed || f.config == "" {
		return f.repo
	}
	var v invocation
	if v.reads(runner.Repo); v.folder == "" {
		return f.repo
	}
	return v.folder
}

// repository names the one of several in daemon.yaml that an environment is of, "" where that is
// not certain. What no run knows yet is of the only one whose settings let it be.
func (f *keyFlags) repository(ctx context.Context, proc *Process, runner config.Config, e spec.Environment) string {
	names := repositoriesFor(ctx, proc, f.config, runner.StateDir, e.Name)
	if len(names) > 1 {
		names = nil
		for _, one := range runner.Each() {
			if one.MayUse(e.Account) && chosen(one.Environments, e.Name) {
				names = append(names, one.Repo.Name)
			}
		}
	}
	return only(names)
}

// openKeyFile finds the file of a connection, given as ENVIRONMENT/PROVIDER.
func openKeyFile(dir, name string) (repoedit.KeyFile, error) {
	repository, err := openRepository(dir)
	if wrong := repository.CheckConnection(name); wrong != nil {
		return repoedit.KeyFile{}, wrong // whatever else: the command was mistyped
	}
	if err != nil {
		return repoedit.KeyFile{}, err
	}
	return repository.KeyFile(name)
}

// editKeys makes sure, before anything is asked or changed, that a change of the keys
// can be saved, and committed if that is wanted.
func editKeys(ctx context.Context, k repoedit.KeyFile, commit bool) (repoedit.KeyEdit, error) {
	if !commit {
		return k.Edit(nil)
	}
	return k.Edit(func(root string, files []string) (func(string) (string, error), error) {
		c, err := gitsource.PrepareCommit(ctx, root, files)
		if err != nil {
			return nil, fmt.Errorf("prepare commit: %w; nothing was changed", err)
		}
		return func(message string) (string, error) { return c.Commit(ctx, message) }, nil
	})
}
