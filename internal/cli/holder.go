package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// stateFlags say where the state is that a command is about.
type stateFlags struct{ config, state string }

func (f *stateFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", "", "take the state folder from this `daemon.yaml`")
	cmd.Flags().StringVar(&f.state, "state", "", "`folder` of the memory (default: RECONCILE_STATE_DIR)")
}

// folder is the state folder, an error where none is known for certain. What else is
// wrong in daemon.yaml is only told: it must not keep anybody from the kill switch.
func (f *stateFlags) folder(proc *Process) (string, error) {
	if f.state != "" {
		return f.state, nil
	}
	dir := config.StateDirFrom(proc.Getenv)
	if f.config != "" {
		var wrong *config.InvalidError
		var err error
		if dir, wrong, err = config.StateDir(f.config, proc.Getenv); err != nil {
			return "", fmt.Errorf("%w; name the state folder itself with --state DIR", err)
		}
		if wrong != nil {
			warned := newPage(proc)
			warned.paragraph(fmt.Sprintf("warning: %s has errors; only the state folder, %s, is taken from it. %s", f.config, dir, oneLine(wrong)))
			if err := warned.print(proc.Stderr); err != nil {
				return "", err
			}
		}
	}
	if dir == "" {
		return "", errors.New("find state: no folder is known for it; set RECONCILE_STATE_DIR, --state or --config")
	}
	return dir, nil
}

// noDaemon says what to do where a daemon was to be asked and none answers.
func noDaemon(err error) error {
	var absent *daemon.AbsentError
	if errors.As(err, &absent) {
		return advice.With(fmt.Errorf("no daemon answers at %s", absent.Path), "where one runs and its state folder is gone ask its /healthz, else name its folder with --state or --config, or start one", "daemon")
	}
	return err
}

// askedFor is how long a command looks for somebody who holds the state: a process
// that has just taken it may not listen yet.
const (
	askedFor   = 5 * time.Second
	askedEvery = 100 * time.Millisecond
)

// withControl lets do ask the process that holds the state in dir, or where there
// is none the state itself. alone says which of both it was.
func withControl(ctx context.Context, proc *Process, dir string, do func(asked control) error) (alone bool, err error) {
	return holding(ctx, dir, func(c *daemon.Client) error { return do(remote{c}) }, func() error { return alonewith(proc, dir, do) })
}

// holding asks the process that holds the state in dir, or opens the state where
// there is none, whichever comes about first. alone says which of both it was.
func holding(ctx context.Context, dir string, ask func(*daemon.Client) error, open func() error) (alone bool, err error) {
	client := daemon.NewClient(dir)
	late := time.NewTimer(askedFor)
	defer late.Stop()
	again := time.NewTicker(askedEvery)
	defer again.Stop()
	for {
		err := ask(client)
		var absent *daemon.AbsentError
		if !errors.As(err, &absent) {
			return false, err
		}
		err = open()
		var locked *state.LockedError
		if !errors.As(err, &locked) {
			return true, err
		}
		select {
		case <-again.C:
		case <-late.C:
			return false, fmt.Errorf("%w; nobody answers at %s either", err, daemon.SocketPath(dir))
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// alonewith opens a state that is there. A new one would hold nothing that
// anybody else looks at.
func alonewith(proc *Process, dir string, do func(control) error) error {
	store, err := state.Open(dir, state.Options{MustExist: true})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open state: nothing has run with the folder %s yet; name the one that is used with --state or --config", dir)
	}
	if err != nil {
		return err
	}
	return errors.Join(do(local{controlServer{store: store, now: proc.Now}}), store.Close())
}

// control is what pause and resume ask for, here or elsewhere.
type control interface {
	Pause(context.Context, daemon.PauseRequest) (daemon.Pause, error)
	Resume(context.Context, daemon.ResumeRequest) (daemon.Resumed, error)
	Forget(context.Context, daemon.ForgetRequest) (string, error)
}

type remote struct{ *daemon.Client }

type local struct{ controlServer }

// Pause names the user of this process as the owner.
func (l local) Pause(_ context.Context, r daemon.PauseRequest) (daemon.Pause, error) {
	r.Owner = daemon.UserName(os.Getuid())
	return l.controlServer.Pause(r)
}

// Resume ends a pause, for the user of this process.
func (l local) Resume(_ context.Context, r daemon.ResumeRequest) (daemon.Resumed, error) {
	r.Owner = daemon.UserName(os.Getuid())
	return l.controlServer.Resume(r)
}

// Forget names the user of this process as the owner.
func (l local) Forget(_ context.Context, r daemon.ForgetRequest) (string, error) {
	r.Owner = daemon.UserName(os.Getuid())
	return l.controlServer.Forget(r)
}

// memoryFor opens the memory for a command that changes nothing, from a copy: of
// the process that holds it, or of the file. Where it can not be had the command
// goes on without, and its Reason says so. holder is who else writes it.
func memoryFor(ctx context.Context, dir string) (store *state.Store, holder report.LockOwner, err error) {
	store, err = state.OpenReadOnly(dir)
	var locked *state.LockedError
	if !errors.As(err, &locked) {
		return store, "", err
	}
	store, why := copyOf(ctx, dir, locked.Path)
	if why != "" {
		store = state.None(err.Error() + "; a copy could not be had: " + why + "; going on without memory")
	}
	return store, holderOf(ctx, dir), nil
}

// holderOf asks the process that holds the state in dir what it is.
func holderOf(ctx context.Context, dir string) report.LockOwner {
	status, err := daemon.NewClient(dir).Status(ctx)
	var refused *daemon.RefusedError
	switch {
	case errors.As(err, &refused):
		return report.LockedByRun
	case err != nil:
		return report.LockedByUnknown
	case status.Mode != report.Apply:
		return report.LockedByObserver
	}
	return report.LockedByDaemon
}

// copyOf asks the process that holds the state in dir for a copy, or says why
// there is none.
func copyOf(ctx context.Context, dir, path string) (copied *state.Store, why string) {
	backup, err := daemon.NewClient(dir).State(ctx)
	if err == nil {
		copied, err = state.OpenCopy(path, bytes.NewReader(backup))
	}
	if err != nil {
		return nil, err.Error()
	}
	return copied, ""
}
