package reconcile

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// What became of an intent that a run which was killed, or could not know, has
// left to a later one.
const (
	settled    = "settled"    // in effect, or no longer wanted
	superseded = "superseded" // followed by another write of the same change
)

// line begins a line of history about a change of this run.
func (r Run) line(env spec.Environment, event string, at time.Time) state.Entry {
	return state.Entry{ID: rand.Text(), At: at, Event: event, Run: r.id, Environment: env.Name, DevID: env.DevID, Commit: r.Commit, Author: r.Author}
}

func about(e state.Entry, c plan.Change) state.Entry {
	e.Connection, e.Provider, e.Change, e.Action, e.Class, e.Cause = c.Connection, c.Provider, c.ID, c.Action, c.Class, c.Cause
	e.Reason, e.Origin, e.Fields = c.Reason, c.Origin, c.Fields
	return e
}

// end notes what became of an intent: at once in the history, and in the journal
// when the memory of this run is saved. What the history could not be told stays
// in the journal, so that a later run tells it, and nothing more is written.
func (a *applier) end(i state.Intent, outcome string, err error, took time.Duration) error {
	if err := a.tell(i, outcome, err, took); err != nil {
		return err
	}
	a.forget(i)
	return nil
}

// forget ends an intent that needs no line: one that never left.
func (a *applier) forget(i state.Intent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = append(a.open, i.ID)
}

func (a *applier) tell(i state.Intent, outcome string, err error, took time.Duration) error {
	e := i.Entry
	if e.Event == "" { // an older reconcile began it
		e = state.Entry{Event: state.EventWrite, Environment: a.p.env.Name, DevID: i.DevID, Connection: a.p.env.Name + "/" + i.Provider,
			Provider: i.Provider, Change: i.Change, Action: plan.Action(i.Action), Commit: i.Commit}
	}
	if e.Run != a.r.id {
		e.Since = i.At
	}
	e.ID, e.At, e.Run, e.Outcome, e.DurationMS = i.ID, a.o.Now(), a.r.id, outcome, took.Milliseconds()
	if err != nil {
		e.Error = err.Error()
	}
	if err = a.o.Store.Record(e); err != nil {
		a.mu.Lock()
		a.untold = cmp.Or(a.untold, err)
		a.mu.Unlock()
		a.r.stopped.Store(true)
	}
	return err
}

// tellRefused tells the history, once for as long as it lasts, that of an
// environment no plan can be made, and when one can be made again.
func (e *Engine) tellRefused(r Run, env spec.Environment, cause error) error {
	before, err := e.o.Store.Ongoing(env.DevID)
	if err != nil || (before.Refused == nil) == (cause == nil) {
		return err
	}
	after, now := before, e.o.Now()
	line := r.line(env, state.EventRefusedEnd, now)
	if cause != nil {
		line.Event, line.Error = state.EventRefused, cause.Error()
		after.Refused = &state.Refused{Since: now.UTC()}
	} else {
		line.Since, line.LastedMS = before.Refused.Since, now.Sub(before.Refused.Since).Milliseconds()
		after.Refused = nil
	}
	return e.o.Store.SaveOngoing(env.DevID, after, []state.Entry{line})
}

// TellRefusedCommit tells the history that a commit is not used, or not by one
// environment. It does so once, however often the same is found out.
func TellRefusedCommit(store *state.Store, r Run, environment, devID string, cause error, at time.Time) error {
	line := r.line(spec.Environment{Name: environment, DevID: devID}, state.EventRefused, at)
	line.ID, line.Error = fmt.Sprintf("%x", sha256.Sum256([]byte(devID+"\n"+r.Commit+"\n"+cause.Error())))[:32], cause.Error()
	return store.RecordOnce(devID, line)
}

// tellUnapproved tells the history that a plan which a person approved or was
// shown is not applied.
func (e *Engine) tellUnapproved(r Run, env spec.Environment, why string) error {
	line := r.line(env, state.EventRefused, e.o.Now())
	line.Error, line.Approval = why, r.Approve[env.Name]
	return e.o.Store.Record(line)
}

// follow brings up to date what lasts over runs, and tells the history what began
// and ended.
func (a *applier) follow() error {
	f := following{line: func(event string) state.Entry { return a.r.line(a.p.env, event, a.o.Now()) },
		environment: a.p.env.Name, devID: a.p.env.DevID, now: a.o.Now(), changes: a.changes, notCompared: a.p.plan.NotCompared,
		newer: a.p.newer}
	after, entries := f.follow(a.p.ongoing)
	a.p.ongoing = after
	return a.o.Store.SaveOngoing(a.p.env.DevID, after, entries)
}

// sinceWhen lets the reader of a report know since when a change is held and a
// field drifts, where that began before this run.
func sinceWhen(changes []report.Change, o state.Ongoing, now time.Time) {
	for i := range changes {
		c := &changes[i]
		if hold, ok := o.Held[c.ID]; ok && isHeld(*c) {
			c.GatedSince = hold.Since
			if hold.Since.Before(now) {
				c.GateReason += "; held since " + moment(hold.Since)
			}
		}
		if c.DriftSince = drifting(*c, o); c.DriftSince.Before(now) && !c.DriftSince.IsZero() {
			c.Reason += ", first seen " + moment(c.DriftSince)
		}
	}
}

// drifting gives when the first field of a change was first seen to drift.
func drifting(c report.Change, o state.Ongoing) (first time.Time) {
	for _, f := range c.Fields {
		d, ok := o.Drifts[c.Provider+"/"+f.Field]
		if ok && c.Cause == plan.Drift && (first.IsZero() || d.Since.Before(first)) {
			first = d.Since
		}
	}
	return first
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// notTold is the error of a run that has done something and could not tell the
// history: nothing more is written in it.
func (a *applier) notTold() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.untold == nil {
		return nil
	}
	return fmt.Errorf("nothing more is written: %w", errors.Join(a.untold))
}
