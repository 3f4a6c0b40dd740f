package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// configuration reads the runner's own; without it nothing else can be checked.
func (d *doctor) configuration() bool {
	where := "the environment"
	if d.flags.config != "" {
		where = d.flags.config
	}
	var err error
	d.config, err = d.flags.configuration(d.env)
	d.env.asked.reads(d.config.Repo)
	var invalid *config.InvalidError
	switch {
	case errors.As(err, &invalid):
		d.fail("configuration", "", fmt.Sprintf("%s, the first is %s", plural(len(invalid.Problems), "error", "errors"), invalid.Problems[0]), "correct "+where)
	case err != nil:
		d.fail("configuration", "", err.Error(), "")
	default:
		d.ok("configuration", "", fmt.Sprintf("%s in %s", plural(len(d.config.Accounts), "account", "accounts"), where))
		return true
	}
	return false
}

func (d *doctor) repository(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, checkDeadline)
	defer cancel()
	files, commit, err := openFiles(ctx, d.config.Repo, report.DryRun)
	if err != nil {
		d.fail("repository", "", err.Error(), "")
		return false
	}
	d.files = files
	if commit.Hash == "worktree" {
		tree, err := gitsource.WorkTree(d.config.Repo.URL, d.config.Repo.Path)
		if err != nil {
			d.fail("repository", "", err.Error(), "")
			return false
		}
		why, next := uncommitted(tree)
		d.warn("repository", "", d.config.Repo.URL+": "+why, next)
		return true
	}
	d.ok("repository", "", fmt.Sprintf("commit %.12s of %s", commit.Hash, d.config.Repo.URL))
	return true
}

// load reads the files and tells their errors before their warnings. An
// environment with errors is checked no further.
func (d *doctor) load() bool {
	set, problems := spec.Load(d.files, providers.Vocabulary())
	problems = append(problems, catalogueProblems(set, d.env.Now())...)
	slices.SortStableFunc(problems, func(a, b spec.Problem) int { return cmp.Compare(a.Severity, b.Severity) })
	failed := 0
	whole := true
	for _, p := range problems {
		if p.Severity == spec.Error {
			failed++
			whole = whole && p.Environment != ""
		}
	}
	var names []string
	connections := 0
	for _, e := range set.Environments {
		names = append(names, e.Name)
		connections += len(e.Connections)
	}
	has := plural(len(names), "environment", "environments") + " with " + plural(connections, "connection", "connections")
	const all = "run `reconcile validate`, which lists all of them"
	switch {
	case failed > 0:
		d.fail("files", "", fmt.Sprintf("%s, the first is %s", plural(failed, "error", "errors"), problems[0]), all)
	case len(names) == 0:
		d.fail("files", "", "no folder holds an environment.yaml, so nothing is desired", "add one, or name the folder of terra.yaml with --path")
	case len(problems) > 0:
		d.warn("files", "", fmt.Sprintf("%s; %s, the first is %s", has, plural(len(problems), "warning", "warnings"), problems[0].Text()), all)
	default:
		d.ok("files", "", has)
	}
	if !whole {
		return false
	}
	d.set = set
	for _, name := range d.flags.environments {
		if !slices.Contains(names, name) {
			d.fail("files", "", fmt.Sprintf("no environment is called %q", name), "the repository has "+strings.Join(names, ", "))
		}
	}
	return len(names) > 0
}

// pausesBeside asks the run that holds the state. One that does not answer has
// been told of already.
func (d *doctor) pausesBeside(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(ctx, daemonDeadline)
	defer cancel()
	store, why := copyOf(ctx, d.config.StateDir, path)
	if why != "" {
		return
	}
	pauses, err := keeper{store: store, now: d.env.Now}.Pauses()
	d.pauses(pauses)
	if err = errors.Join(err, store.Close()); err != nil {
		d.fail("state", "", err.Error(), "")
	}
}

// state looks at the memory without writing to it.
func (d *doctor) state(ctx context.Context) {
	dir := d.config.StateDir
	if dir == "" {
		d.warn("state", "", "no folder is known for it, so nothing can be applied", "set RECONCILE_STATE_DIR or --state")
		return
	}
	store, err := state.OpenReadOnly(dir)
	var locked *state.LockedError
	switch {
	case errors.As(err, &locked) && d.daemon:
		d.ok("state", "", dir+" is held by the daemon")
		return
	case errors.As(err, &locked):
		d.warn("state", "", "another reconcile has "+locked.Path+" open", "wait until it ends, or stop the daemon that keeps it")
		d.pausesBeside(ctx, locked.Path)
		return
	case err != nil:
		d.fail("state", "", err.Error(), "")
		return
	}
	pauses, err := keeper{store: store, now: d.env.Now}.Pauses()
	missing, notes := store.Missing(), store.TakeNotes()
	d.pauses(pauses)
	if err := errors.Join(err, store.Close()); err != nil {
		d.fail("state", "", err.Error(), "")
		return
	}
	if err := writable(dir, missing); err != nil {
		d.fail("state", "", err.Error(), "let the user that runs reconcile write there, or choose another folder")
		return
	}
	if len(notes) > 0 {
		d.warn("state", "", strings.Join(notes, "; "), "restore the newest backup, or apply knowingly")
		return
	}
	if missing {
		d.ok("state", "", "nothing is remembered in "+dir+" yet; the first apply begins it")
		return
	}
	d.ok("state", "", dir+" is whole and writable")
}

// writable tries the folder with a file that is removed at once. One that is not
// there yet would be made in the nearest folder that is.
func writable(dir string, missing bool) error {
	for missing {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	f, err := os.CreateTemp(dir, ".reconcile-doctor-*")
	if err != nil {
		return fmt.Errorf("write to the state folder: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// openPair is a pair of client id and secret that was opened.
type openPair struct {
	connection, devID, provider, clientID string
	key                                   string // which of several, for people; "" for the only one
	off                                   string // why its file lets nobody ask; "" where it does
	due, scheduled                        bool   // neither: a newer one is due
	secret                                secrets.Value
}
