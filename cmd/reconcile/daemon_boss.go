package main

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// boss answers what only a daemon can be asked for.
type boss struct {
	daemon   *daemon.Daemon
	follower *follower
}

// Status adds to what the daemon knows of itself what the state knows.
func (b boss) Status() (daemon.Status, error) {
	s := b.daemon.Status()
	s.Version, s.Mode, s.Repository = b.follower.env.Version, b.follower.mode, b.follower.source.String()
	pauses, err := b.follower.keeper().Pauses()
	if err != nil {
		return s, err
	}
	s.Paused = pauses
	known, err := b.follower.store.Known()
	commits := map[string]state.Commits{}
	for _, k := range known {
		commits[k.DevID] = k.Commits
	}
	if err != nil {
		return s, err
	}
	for i := range s.Environments {
		e := &s.Environments[i]
		c := commits[e.DevID]
		e.Attempted, e.Applied = c.Attempted, c.Applied
		if e.Newer, err = b.follower.store.NewerThan(e.DevID, e.Commit); err != nil {
			return s, err
		}
		a, err := b.follower.store.Approval(e.DevID, b.follower.env.Now())
		if err != nil {
			return s, err
		}
		if a.Hash != "" {
			approved := approvedOf(a)
			e.Approved = &approved
		}
	}
	return s, nil
}

// RunNow lets environments run soon.
func (b boss) RunNow(r daemon.NowRequest) ([]string, error) { return b.daemon.RunNow(r.Environment) }

// Approve keeps a yes for the next run of an environment.
func (b boss) Approve(r daemon.Approval) (daemon.Approved, error) {
	devID, known := b.follower.devID(r.Environment)
	switch {
	case b.follower.mode == report.DryRun:
		return daemon.Approved{}, errors.New("this daemon only looks (apply: false), so there is nothing to approve")
	case !known:
		return daemon.Approved{}, fmt.Errorf("approve plan of environment %q: the repository has no such environment; `reconcile status` lists them", r.Environment)
	case !planHash.MatchString(r.Hash):
		return daemon.Approved{}, fmt.Errorf("approve plan %q: write the hash as a dry run prints it, sha256: and 64 digits", r.Hash)
	case r.Hash == plan.Hash(plan.Plan{DevID: devID}):
		return daemon.Approved{}, fmt.Errorf("approve plan of environment %q: nothing to approve: the plan of that hash changes nothing", r.Environment)
	}
	now := b.follower.env.Now().UTC()
	a := state.Approval{Hash: r.Hash, Now: r.Now, Owner: r.Owner, At: now, Until: now.Add(approvalLasts)}
	return approvedOf(a), b.follower.store.SaveApproval(devID, a)
}

// approvalLasts is how long an approval waits to be used.
const approvalLasts = 24 * time.Hour

var planHash = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func approvedOf(a state.Approval) daemon.Approved {
	return daemon.Approved{Hash: a.Hash, Now: a.Now, Owner: a.Owner, Until: a.Until}
}

// keeper answers pauses for the state that this daemon holds.
func (f *follower) keeper() keeper {
	return keeper{store: f.store, now: f.env.Now, named: func() []state.Known {
		var out []state.Known
		for _, e := range f.environments() {
			out = append(out, state.Known{DevID: e.DevID, Commits: state.Commits{Environment: e.Name}})
		}
		return out
	}}
}
