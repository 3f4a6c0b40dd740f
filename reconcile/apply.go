package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// inFlightGrace is how long a write that has left may still take after a stop.
const inFlightGrace = 10 * time.Second

// batchFrom is how many enables are sent as one call, batchMost how many one takes.
const batchFrom, batchMost = 3, 100

// applier applies one prepared environment.
type applier struct {
	*Engine
	r       Run
	p       *prepared
	changes []report.Change // in plan order

	mu       sync.Mutex
	open     []string                  // ids of intents that end once memory is saved
	untold   error                     // why the history could not be told
	wrote    []string                  // fields that a comparison may have written
	switches []plan.KillSwitch         // met by a write that was ready
	lives    map[string]plan.KeyLife   // by provider: where a watch began in this run
	refusals map[string]plan.Rejection // by provider: a key that was refused as it was written
}

// apply writes what is ready: enables first, then each connection in its order
// and independent of the others, disables last. An error means that what was
// done could not be remembered.
func (e *Engine) apply(ctx context.Context, r Run, p *prepared) (changes []report.Change, wrote []string, err error) {
	a := &applier{Engine: e, r: r, p: p, lives: map[string]plan.KeyLife{}, refusals: map[string]plan.Rejection{}}
	p.client = p.client.Holding(a.pause)
	byConnection := map[string][]int{}
	var connections, enables, disables []int
	for i, c := range p.plan.Changes {
		a.changes = append(a.changes, report.Change{Change: c, Outcome: report.NotAttempted})
		switch {
		case c.Gate == plan.Waiting:
			a.changes[i].Outcome = report.Waiting
		case c.Gate != plan.Ready:
			a.changes[i].Outcome = report.Skipped
		case c.Action == plan.Disable:
			disables = append(disables, i)
		default:
			if len(byConnection[c.Connection]) == 0 {
				connections = append(connections, i)
			}
			byConnection[c.Connection] = append(byConnection[c.Connection], i)
			if c.Action == plan.Enable {
				enables = append(enables, i)
			}
		}
	}
	a.endStale()
	enables = a.stillAbsent(ctx, enables)
	for together := range slices.Chunk(enables, batchMost) {
		if len(together) >= batchFrom && ctx.Err() == nil && !a.r.stopped.Load() {
			a.enableTogether(ctx, together)
		}
	}
	group := errgroup.Group{}
	group.SetLimit(writesAtOnce)
	for _, i := range connections {
		group.Go(contained(func() error {
			a.connection(ctx, byConnection[a.changes[i].Connection])
			return nil
		}))
	}
	if fault := group.Wait(); fault != nil {
		return a.changes, a.wrote, fault
	}
	for _, i := range disables {
		a.connection(ctx, []int{i})
	}
	err = a.remember()
	return a.changes, a.wrote, err
}

// connection applies the changes of one connection in order. After one that was
// not applied the rest is not attempted.
func (a *applier) connection(ctx context.Context, indexes []int) {
	for n, i := range indexes {
		c := &a.changes[i]
		if c.Outcome == report.NotAttempted {
			if ctx.Err() != nil || a.r.stopped.Load() {
				c.Error = "the run ended before"
				continue
			}
			started := a.o.Now()
			outcome, err := a.step(ctx, c.Change)
			if by, ok := paused(err); ok {
				for _, rest := range indexes[n:] {
					hold(&a.changes[rest], by)
				}
				return
			}
			a.settle(c, outcome, err, a.o.Now().Sub(started))
		}
		if c.Outcome != report.Applied {
			for _, later := range indexes[n+1:] {
				if a.changes[later].Outcome == report.NotAttempted {
					a.changes[later].Error = string(c.Action) + " comes first"
				}
			}
			return
		}
	}
}

func (a *applier) settle(c *report.Change, outcome report.Outcome, err error, took time.Duration) {
	c.Outcome, c.DurationMS = outcome, took.Milliseconds()
	if err != nil {
		c.Error = err.Error()
	}
	if name := mayHaveWritten(err); name != "" {
		a.mu.Lock()
		a.wrote = append(a.wrote, name)
		a.mu.Unlock()
		a.r.stopped.Store(true)
	}
	if a.r.Stop && (outcome == report.Failed || outcome == report.Unknown) {
		a.r.stopped.Store(true)
	}
}

// step applies one change. After a fault it is not known what became of it.
func (a *applier) step(ctx context.Context, c plan.Change) (outcome report.Outcome, err error) {
	ctx, cancel := graceful(ctx)
	defer cancel()
	defer func() {
		if fault := caught(recover()); fault != nil {
			outcome, err = report.Unknown, fault
		}
	}()
	w, err := a.write(ctx, c)
	var later *notYetError
	switch {
	case errors.As(err, &later):
		return report.Waiting, err
	case err != nil:
		return report.Failed, err
	}
	if err := a.beginSoak(ctx, c); err != nil {
		return report.Failed, err
	}
	outcome, err = a.perform(ctx, c, w)
	a.noteRefusal(c, err)
	return outcome, err
}

// graceful is a context that outlives the stop of its parent by a short time, so
// that a write that has left can be answered and read back.
func graceful(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() { time.AfterFunc(inFlightGrace, cancel) })
	return ctx, func() { stop(); cancel() }
}

// notYetError says that a change has to wait for another run.
type notYetError struct{ reason string }

func (e *notYetError) Error() string { return e.reason }

// remember saves what is agreed now, and only then ends the intents: a crash in
// between leaves them pending, and the next run finds them in effect.
func (a *applier) remember() error {
	applied := map[string]bool{}
	for _, c := range a.changes {
		if c.Outcome == report.Applied {
			applied[c.ID] = true
		}
	}
	env := a.p.env.DevID
	if err := a.rememberPauses(); err != nil {
		return err
	}
	memory := plan.Remember(a.p.input, a.p.plan, applied)
	if !a.p.book.lasting {
		forgetDigests(memory, a.p.before)
	}
	if err := a.o.Store.SaveMemory(env, memory); err != nil {
		return fmt.Errorf("remember %s: %w", env, err)
	}
	if err := a.settleKeys(); err != nil {
		return fmt.Errorf("remember %s: %w", env, err)
	}
	if err := a.o.Store.End(a.open...); err != nil {
		return err
	}
	if err := a.follow(); err != nil {
		return err
	}
	if err := a.o.Store.Follow(env, a.r.Commit); err != nil {
		return err
	}
	commits, err := a.o.Store.Commits(env)
	if err != nil {
		return err
	}
	commits.Environment, commits.Attempted = a.p.env.Name, a.r.Commit
	if a.clean() {
		commits.Applied = a.r.Commit
	}
	return errors.Join(a.o.Store.SaveCommits(env, commits), a.notTold())
}

// clean tells whether everything the commit asks for is in effect.
func (a *applier) clean() bool {
	for _, c := range a.changes {
		if c.Outcome != report.Applied {
			return false
		}
	}
	return len(a.p.plan.NotCompared) == 0
}

// forgetDigests keeps digests of a key that ends with this run out of memory.
func forgetDigests(memory, before plan.Memory) {
	for provider, m := range memory.Connections {
		for _, field := range []string{plan.FieldClientSecret, plan.FieldVerificationSecret} {
			delete(m.Fields, field)
			if old, ok := before.Connections[provider].Fields[field]; ok {
				m.Fields[field] = old
			}
		}
	}
}

// endStale ends pending intents of changes that are no longer planned: they are
// in effect, or the repository has moved on. Those of a connection that was not
// read stay.
func (a *applier) endStale() {
	planned, unread := map[string]bool{}, map[string]bool{}
	for _, n := range a.p.plan.NotCompared {
		if n.Field == "" {
			unread[n.Connection] = true
		}
	}
	for _, c := range a.p.plan.Changes {
		planned[c.ID] = true
	}
	for _, i := range a.p.pending {
		if !planned[i.Change] && !unread[a.p.env.Name+"/"+i.Provider] {
			_ = a.end(i, settled, nil, 0) // it stays pending then, and ends the run
		}
	}
}

// replay gives the pending intent of a change whose body is the same.
func (a *applier) replay(c plan.Change, digest string) (state.Intent, bool) {
	for _, i := range a.p.pending {
		if i.Change == c.ID && i.BodyDigest == digest {
			return i, true
		}
	}
	return state.Intent{}, false
}

// supersede ends the pending intents of a change but the one that is sent again.
func (a *applier) supersede(c plan.Change, keep string) {
	for _, i := range a.p.pending {
		if i.Change == c.ID && i.ID != keep {
			_ = a.end(i, superseded, nil, 0) // it stays pending then, and ends the run
		}
	}
}
