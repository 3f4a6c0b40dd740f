package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// batchFrom is how many enables are sent as one call, batchMost how many one takes.
const batchFrom, batchMost = 3, 100

// apply writes what is ready: custom domains and then enables first, then each connection
// in its order and independent of the others, disables last. What became of a change stands in it. An
// error is a fault of this program.
func (env *environment) apply(ctx context.Context) error {
	env.client = env.client.Holding(env.pause)
	var enables []*report.Change
	for i := range env.out.Changes {
		c := &env.out.Changes[i]
		switch {
		case c.Gate == plan.Waiting:
			c.Outcome = report.Waiting
		case c.Gate != plan.Ready:
			c.Outcome = report.Skipped
		default:
			c.Outcome = report.NotAttempted
			if c.Action == plan.Enable {
				enables = append(enables, c)
			}
		}
	}
	env.endStale()
	env.announce()
	if err := env.applyAll(ctx, writesAtOnce, func(a plan.Action) bool { return a == plan.SetDomain }); err != nil {
		return err
	}
	enables = env.stillAbsent(ctx, enables)
	for together := range slices.Chunk(enables, batchMost) {
		if len(together) >= batchFrom && ctx.Err() == nil && !env.stopped() && env.overtaken() == "" {
			env.enableTogether(together)
		}
	}
	if err := env.applyAll(ctx, writesAtOnce, func(a plan.Action) bool { return a == plan.Enable }); err != nil {
		return err
	}
	env.confirm()
	if err := env.applyAll(ctx, writesAtOnce, func(a plan.Action) bool { return a != plan.Disable }); err != nil {
		return err
	}
	if err := env.applyAll(ctx, 1, func(a plan.Action) bool { return a == plan.Disable }); err != nil {
		return err
	}
	env.confirm()
	return nil
}

// applyAll applies changes of some kind, of several connections at once.
func (env *environment) applyAll(ctx context.Context, atOnce int, kind func(plan.Action) bool) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, c := range env.connections {
		group.Go(contained(func() error {
			env.applyTo(ctx, c, kind)
			return nil
		}))
	}
	return group.Wait()
}

// applyTo applies the ready changes of one connection in order. After one that was not
// applied the rest is not attempted.
func (env *environment) applyTo(ctx context.Context, c *Connection, kind func(plan.Action) bool) {
	var todo []*report.Change
	for i := range c.Changes {
		if change := &c.Changes[i]; change.Gate == plan.Ready && kind(change.Action) {
			todo = append(todo, change)
		}
	}
	for n, change := range todo {
		if change.Outcome == report.NotAttempted {
			if ctx.Err() != nil || env.stopped() {
				change.Error = "the run ended before"
				continue
			}
			if why := env.overtaken(); why != "" && !c.isBegun() {
				env.request.left.Store(why)
				change.Error = "the run ended before: " + why
				continue
			}
			started := env.o.Now()
			outcome, err := env.step(c, change)
			if by, ok := paused(err); ok {
				for i := range c.Changes { // those of other kinds, too
					if rest := &c.Changes[i]; rest.Outcome == report.NotAttempted {
						hold(rest, by)
					}
				}
				return
			}
			env.settle(change, outcome, err, env.o.Now().Sub(started))
		}
		if change.Outcome != report.Applied && !env.isAccepted(change) {
			for _, later := range todo[n+1:] {
				if later.Outcome == report.NotAttempted {
					later.Error = string(change.Action) + " comes first"
				}
			}
			return
		}
	}
}

// announce tells of which connections the run writes.
func (env *environment) announce() {
	var writes []string
	for _, c := range env.connections {
		if slices.ContainsFunc(c.Changes, func(change report.Change) bool { return change.Gate == plan.Ready }) {
			writes = append(writes, c.Name)
		}
	}
	if env.request.Writes != nil && len(writes) > 0 {
		env.request.Writes(writes)
	}
}

// overtaken is why no other connection is begun, "" where the run goes on.
func (env *environment) overtaken() string {
	if env.request.Overtaken == nil {
		return ""
	}
	return env.request.Overtaken()
}

// isBegun tells whether something of a connection was sent: then the rest follows, so that
// none stays half done for a reason that has nothing to do with it.
func (c *Connection) isBegun() bool {
	return slices.ContainsFunc(c.Changes, func(change report.Change) bool {
		return change.Outcome == report.Applied || change.Outcome == report.Unknown || change.Outcome == accepted
	})
}

// accepted is the outcome of a write that Terra answered well, and that the list of
// sources has to confirm. Until it does, nobody knows whether it is in effect.
const accepted = report.Unknown + ", not read back yet"

// step applies one change. After a fault it is not known what became of it.
func (env *environment) step(c *Connection, change *report.Change) (outcome report.Outcome, err error) {
	ctx := env.request.inFlight()
	defer func() {
		if fault := caught(recover()); fault != nil {
			outcome, err = report.Unknown, fault
		}
	}()
	w, err := env.write(ctx, c, change.Change)
	var later *notYetError
	switch {
	case errors.As(err, &later):
		return report.Waiting, err
	case err != nil:
		return report.Failed, err
	}
	if err := env.beginSoak(ctx, c, change.Change); err != nil {
		return report.Failed, err
	}
	outcome, err = env.perform(ctx, change, w)
	return outcome, env.noteRefusal(ctx, c, change.Change, err)
}

// settle notes what became of a change.
func (env *environment) settle(c *report.Change, outcome report.Outcome, err error, took time.Duration) {
	c.Outcome, c.DurationMS, c.Error = outcome, took.Milliseconds(), ""
	if outcome == accepted {
		c.Outcome, c.Error = report.Unknown, "accepted by Terra, and not read back"
	}
	if err != nil {
		c.Error = err.Error()
	}
	if errors.Is(err, errNotShown) {
		env.mu.Lock()
		if env.unshown == nil {
			env.unshown = map[string]bool{}
		}
		env.unshown[c.ID] = true
		env.mu.Unlock()
	}
	if name := mayHaveWritten(err); name != "" {
		env.mu.Lock()
		env.out.MayHaveWritten = append(env.out.MayHaveWritten, name)
		env.mu.Unlock()
		env.request.stopped.Store(true)
	}
	if env.request.Stop && (outcome == report.Failed || outcome == report.Unknown) {
		env.request.stopped.Store(true)
	}
}

// stopped tells whether nothing more is begun, in any environment.
func (env *environment) stopped() bool { return env.request.stopped.Load() }

// notYetError says that a change has to wait for another run.
type notYetError struct{ reason string }

func (e *notYetError) Error() string { return e.reason }

// write is one call that changes Terra: a keyed digest of its body for the journal, how
// to send it, and how to read back whether it is in effect: from the list of sources,
// which can confirm many, or by a read of its own.
type write struct {
	digest   string
	send     func(context.Context, terra.IdempotencyKey) (shown bool, err error) // shown: the answer shows the effect
	isListed func(s terra.Source, listed bool) bool                              // nil: inForce tells
	inForce  func(context.Context) (bool, error)
}

// perform sends a write under the journal and reads it back.
//
// The intent is on disk before the call leaves. When a former run left the same
// intent behind, its key is used first, so that an effect that took place is not
// repeated; only if reading back still shows the old state is it sent once more
// with a fresh key. What took effect is what reading back shows; when that fails,
// the outcome is unknown, whatever the answer said, and the intent stays for the next
// run to settle. It is unknown, too, when Terra accepted the write and goes on showing
// another state: its reads may lag behind its writes.
func (env *environment) perform(ctx context.Context, c *report.Change, w write) (report.Outcome, error) {
	intent, replayed := env.replay(c.Change, w.digest)
	env.supersede(c.Change, intent.ID)
	if w.inForce == nil {
		w.inForce = func(ctx context.Context) (bool, error) {
			live, err := env.liveSources(ctx)
			s, listed := live[c.Provider]
			return err == nil && w.isListed(s, listed), err
		}
	}
	for {
		if !replayed {
			intent = env.intent(c.Change, w.digest)
			if err := env.o.Store.Begin(env.id, intent); err != nil {
				return report.Failed, fmt.Errorf("write journal: %w", err)
			}
		}
		outcome, again, err := env.attempt(ctx, c, intent, w, replayed)
		if !again {
			return outcome, err
		}
		if err := env.end(intent, superseded, nil, 0); err != nil {
			return report.Failed, err
		}
		replayed = false
	}
}

func (env *environment) attempt(ctx context.Context, c *report.Change, intent state.Intent, w write, replayed bool) (outcome report.Outcome, again bool, err error) {
	started := env.o.Now()
	end := func(outcome report.Outcome, err error) (report.Outcome, bool, error) {
		_ = env.end(intent, string(outcome), err, env.o.Now().Sub(started)) // it stays pending then, and ends the run
		return outcome, false, err
	}
	shown, sendErr := w.send(ctx, terra.IdempotencyKey(intent.Key))
	if _, ok := paused(sendErr); ok {
		if !replayed {
			env.forget(intent)
		}
		return report.Skipped, false, sendErr
	}
	if later := (*notYetError)(nil); errors.As(sendErr, &later) {
		if !replayed {
			env.forget(intent)
		}
		return report.Waiting, false, sendErr
	}
	if sendErr != nil && !isLost(sendErr) {
		if replayed && terra.HasCode(sendErr, terra.CodeIdempotencyKeyReuse) {
			return "", true, nil
		}
		return end(report.Failed, sendErr)
	}
	if shown && !replayed {
		env.mu.Lock()
		defer env.mu.Unlock()
		env.unconfirmed = append(env.unconfirmed, unconfirmed{c, intent, w.isListed, started})
		return accepted, false, nil
	}
	holds, readErr := env.readBack(ctx, w.inForce)
	switch {
	case readErr == nil && holds:
		return end(report.Applied, nil)
	case readErr == nil && replayed:
		return "", true, nil
	case readErr == nil && sendErr != nil:
		return end(report.Failed, fmt.Errorf("%w; reading back shows the old state", sendErr))
	case readErr == nil:
		err = errNotShown
	default:
		err = unread(sendErr, readErr)
	}
	_ = env.record(intent, string(report.Unknown), err, env.o.Now().Sub(started)) // it stays pending, and ends the run
	return report.Unknown, false, err
}

// errNotShown is the error of a write that Terra accepted and does not show.
var errNotShown = errors.New("accepted by Terra, and reading back shows another state so far; the next run looks again")

// readAgain is how long a read waits before it is tried again, while Terra does not
// show what it accepted.
func readAgain() []time.Duration {
	return []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}
}

// readBack tells whether something is in effect, looking again for some seconds.
func (env *environment) readBack(ctx context.Context, inForce func(context.Context) (bool, error)) (bool, error) {
	holds, err := inForce(ctx)
	for _, pause := range readAgain() {
		if holds || err != nil || env.o.Wait(ctx, pause) != nil {
			break
		}
		holds, err = inForce(ctx)
	}
	return holds, err
}

// unconfirmed is a write that Terra answered well, and that the list of sources has to
// confirm.
type unconfirmed struct {
	change   *report.Change
	intent   state.Intent
	isListed func(s terra.Source, listed bool) bool
	started  time.Time
}

// isAccepted tells whether a change waits for the list of sources to confirm it.
func (env *environment) isAccepted(c *report.Change) bool {
	env.mu.Lock()
	defer env.mu.Unlock()
	return slices.ContainsFunc(env.unconfirmed, func(u unconfirmed) bool { return u.change == c })
}

// confirm reads back at once all that the list of sources shows.
func (env *environment) confirm() {
	ctx := env.request.inFlight()
	open := env.unconfirmed
	env.unconfirmed = nil
	if len(open) == 0 {
		return
	}
	_, err := env.readBack(ctx, func(ctx context.Context) (bool, error) {
		live, err := env.liveSources(ctx)
		if err != nil {
			return false, err
		}
		open = slices.DeleteFunc(open, func(u unconfirmed) bool {
			s, listed := live[u.change.Provider]
			if !u.isListed(s, listed) {
				return false
			}
			took := env.o.Now().Sub(u.started)
			env.settle(u.change, report.Applied, nil, took)
			_ = env.end(u.intent, string(report.Applied), nil, took) // it stays pending then, and ends the run
			return true
		})
		return len(open) == 0, nil
	})
	if err != nil {
		err = unread(nil, err)
	} else {
		err = errNotShown
	}
	for _, u := range open {
		took := env.o.Now().Sub(u.started)
		env.settle(u.change, report.Unknown, err, took)
		_ = env.record(u.intent, string(report.Unknown), err, took) // it stays pending, and ends the run
	}
}

// unread is the error of a write of which nobody knows whether it is in force.
func unread(sendErr, readErr error) error {
	if sendErr == nil {
		return fmt.Errorf("accepted by Terra, but reading back failed: %w", readErr)
	}
	return fmt.Errorf("%w; reading back failed too: %w", sendErr, readErr)
}

// isLost tells whether a write may have had its effect although its answer says
// nothing about it.
func isLost(err error) bool {
	var ambiguous *terra.AmbiguousError
	return errors.As(err, &ambiguous)
}

// stillAbsent lists the sources once more before the first enable and gives the
// enables whose source is still not there. Enabling a source that a short list
// left out would resume what somebody paused, and pass it for ours.
func (env *environment) stillAbsent(ctx context.Context, enables []*report.Change) []*report.Change {
	if len(enables) == 0 || ctx.Err() != nil {
		return enables
	}
	var absent []*report.Change
	live, err := env.liveSources(ctx)
	for _, c := range enables {
		_, there := live[c.Provider]
		switch {
		case err != nil:
			env.settle(c, report.Failed, fmt.Errorf("look before enabling: %w", err), 0)
		case there:
			env.settle(c, report.Waiting, &notYetError{"Terra lists it now and did not a moment ago; the next run compares it"}, 0)
		default:
			absent = append(absent, c)
		}
	}
	return absent
}

// enableTogether enables three or more sources in one call, all or none. When
// Terra refuses the batch for one of them, each is enabled on its own.
func (env *environment) enableTogether(enables []*report.Change) {
	ctx := env.request.inFlight()
	key := terra.NewIdempotencyKey()
	var slugs []string
	intents := map[*report.Change]state.Intent{}
	for _, c := range enables {
		digest := env.plainDigest(c.Change, "")
		if _, pending := env.replay(c.Change, digest); pending || env.types[c.Provider].Deprecated { // which may refuse the batch as a whole
			continue // settled on its own
		}
		intent := env.intent(c.Change, digest)
		intent.Key = string(key)
		if err := env.o.Store.Begin(env.id, intent); err != nil {
			env.settle(c, report.Failed, fmt.Errorf("write journal: %w", err), 0)
			continue
		}
		slugs = append(slugs, c.Provider)
		intents[c] = intent
	}
	if len(slugs) == 0 {
		return
	}
	started := env.o.Now()
	answer, sendErr := env.client.BatchEnable(ctx, env.spec.DevID, slugs, key)
	took := env.o.Now().Sub(started)
	if sendErr != nil && !isLost(sendErr) {
		for _, intent := range intents {
			if _, ok := paused(sendErr); ok {
				env.forget(intent)
			} else if env.end(intent, string(report.Failed), sendErr, took) != nil {
				return
			}
		}
		return // the single calls say which one, and why
	}
	live := map[string]terra.Source{}
	var readErr error
	if sendErr != nil {
		live, readErr = env.liveSources(ctx)
	}
	for _, s := range answer {
		live[strings.ToLower(s.Provider)] = s
	}
	for c, intent := range intents {
		switch s, listed := live[c.Provider]; {
		case readErr != nil:
			err := unread(sendErr, readErr)
			env.settle(c, report.Unknown, err, took)
			_ = env.record(intent, string(report.Unknown), err, took) // it stays pending, and ends the run
		case !listed || !s.Active: // the single call says why
			_ = env.end(intent, string(report.Failed), sendErr, took) // it stays pending then, and ends the run
		default:
			env.settle(c, accepted, nil, took)
			env.unconfirmed = append(env.unconfirmed, unconfirmed{c, intent, isEnabled, started})
		}
	}
}

// pause looks at the kill switches right before an attempt of a write leaves. An
// error means that it must not: one that holds it, or a state that cannot tell. A
// write about several connections is held by one on any; the single ones follow.
func (env *environment) pause(provider string) error {
	now, err := env.killSwitches()
	if err != nil {
		return err
	}
	by := plan.PausesOf(provider, now)
	if provider == "" {
		by = now
	}
	if len(by) == 0 {
		return nil
	}
	env.mu.Lock()
	env.switches = append(env.switches, by...)
	env.mu.Unlock()
	return &pausedError{by}
}

// pausedError says that a kill switch was set while the run was under way.
type pausedError struct{ by plan.Pauses }

func (e *pausedError) Error() string { return e.by.String() }

// paused tells whether a kill switch kept a write from leaving at all.
func paused(err error) (by plan.Pauses, ok bool) {
	var p *pausedError
	if !errors.As(err, &p) || isLost(err) {
		return nil, false
	}
	return p.by, true
}

// hold gates a change that was ready when the run began.
func hold(c *report.Change, by plan.Pauses) {
	c.Gate, c.Guard, c.GateReason, c.GateBrief, c.GateYours = plan.Blocked, plan.GuardPause, by.String(), "", false
	c.Remediations, c.Outcome = by.Resume(), report.Skipped
}
