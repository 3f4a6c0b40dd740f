package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// write is one call that changes Terra: how to send it, how to read back whether
// it is in effect, and a keyed digest of its body for the journal.
type write struct {
	digest  string
	send    func(context.Context, terra.IdempotencyKey) error
	inForce func(context.Context) (bool, error)
}

// perform sends a write under the journal and reads it back.
//
// The intent is on disk before the call leaves. When a former run left the same
// intent behind, its key is used first, so that an effect that took place is not
// repeated; only if reading back still shows the old state is it sent once more
// with a fresh key. What took effect is what reading back shows; when that fails,
// the outcome is unknown, whatever the answer said, and the intent stays.
func (a *applier) perform(ctx context.Context, c plan.Change, w write) (report.Outcome, error) {
	intent, replayed := a.replay(c, w.digest)
	a.supersede(c, intent.ID)
	for {
		if !replayed {
			intent = a.intent(c, w.digest)
			if err := a.o.Store.Begin(intent); err != nil {
				return report.Failed, fmt.Errorf("write journal: %w", err)
			}
		}
		outcome, again, err := a.attempt(ctx, intent, w, replayed)
		if !again {
			return outcome, err
		}
		if err := a.end(intent, superseded, nil, 0); err != nil {
			return report.Failed, err
		}
		replayed = false
	}
}

func (a *applier) attempt(ctx context.Context, intent state.Intent, w write, replayed bool) (outcome report.Outcome, again bool, err error) {
	started := a.o.Now()
	end := func(outcome report.Outcome, err error) (report.Outcome, bool, error) {
		_ = a.end(intent, string(outcome), err, a.o.Now().Sub(started)) // it stays pending then, and ends the run
		return outcome, false, err
	}
	sendErr := w.send(ctx, terra.IdempotencyKey(intent.Key))
	if _, ok := paused(sendErr); ok {
		if !replayed {
			a.forget(intent)
		}
		return report.Skipped, false, sendErr
	}
	if sendErr != nil && !isLost(sendErr) {
		if replayed && terra.HasCode(sendErr, terra.CodeIdempotencyKeyReuse) {
			return "", true, nil
		}
		return end(report.Failed, sendErr)
	}
	holds, readErr := w.inForce(ctx)
	switch {
	case readErr == nil && holds:
		return end(report.Applied, nil)
	case readErr == nil && replayed:
		return "", true, nil
	case readErr == nil && sendErr != nil:
		return end(report.Failed, fmt.Errorf("%w; reading back shows the old state", sendErr))
	case readErr == nil:
		return end(report.Failed, errors.New("accepted by Terra, but reading back shows another state"))
	default:
		err = unread(sendErr, readErr)
		_ = a.tell(intent, string(report.Unknown), err, a.o.Now().Sub(started)) // it stays pending, and ends the run
		return report.Unknown, false, err
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

func (a *applier) intent(c plan.Change, digest string) state.Intent {
	entry := about(a.r.line(a.p.env, state.EventWrite, a.o.Now()), c)
	if entry.Approval = plan.ApprovedBy(a.p.input, c); entry.Approval == "hash" {
		entry.Approval = a.p.hash
	}
	return state.Intent{
		Entry: entry, ID: entry.ID, DevID: a.p.env.DevID, Provider: c.Provider, Action: string(c.Action), Change: c.ID,
		Commit: a.r.Commit, Key: string(terra.NewIdempotencyKey()), BodyDigest: digest, At: a.o.Now(),
	}
}

// stillAbsent lists the sources once more before the first enable and gives the
// enables whose source is still not there. Enabling a source that a short list
// left out would resume what somebody paused, and pass it for ours.
func (a *applier) stillAbsent(ctx context.Context, enables []int) []int {
	if len(enables) == 0 || ctx.Err() != nil {
		return enables
	}
	var absent []int
	live, err := a.liveSources(ctx)
	for _, i := range enables {
		_, there := live[a.changes[i].Provider]
		switch {
		case err != nil:
			a.settle(&a.changes[i], report.Failed, fmt.Errorf("look before enabling: %w", err), 0)
		case there:
			a.settle(&a.changes[i], report.Waiting, &notYetError{"Terra lists it now and did not a moment ago; the next run compares it"}, 0)
		default:
			absent = append(absent, i)
		}
	}
	return absent
}

// enableTogether enables three or more sources in one call, all or none. When
// Terra refuses the batch for one of them, each is enabled on its own.
func (a *applier) enableTogether(ctx context.Context, indexes []int) {
	ctx, cancel := graceful(ctx)
	defer cancel()
	key := terra.NewIdempotencyKey()
	var slugs []string
	intents := map[int]state.Intent{}
	for _, i := range indexes {
		c := a.changes[i].Change
		if _, pending := a.replay(c, a.plainDigest(c, "")); pending || a.p.seenDeprecated(c.Provider) {
			continue // settled on its own
		}
		intent := a.intent(c, a.plainDigest(c, ""))
		intent.Key = string(key)
		if err := a.o.Store.Begin(intent); err != nil {
			a.settle(&a.changes[i], report.Failed, fmt.Errorf("write journal: %w", err), 0)
			continue
		}
		slugs = append(slugs, c.Provider)
		intents[i] = intent
	}
	if len(slugs) == 0 {
		return
	}
	started := a.o.Now()
	_, sendErr := a.p.client.BatchEnable(ctx, a.p.env.DevID, slugs, key)
	took := a.o.Now().Sub(started)
	if sendErr != nil && !isLost(sendErr) {
		for _, intent := range intents {
			if _, ok := paused(sendErr); ok {
				a.forget(intent)
			} else if a.end(intent, string(report.Failed), sendErr, took) != nil {
				return
			}
		}
		return // the single calls say which one, and why
	}
	live, readErr := a.liveSources(ctx)
	for i, intent := range intents {
		source, ok := live[a.changes[i].Provider]
		switch {
		case readErr == nil && ok && source.Active:
			a.settle(&a.changes[i], report.Applied, nil, took)
			_ = a.end(intent, string(report.Applied), nil, took) // it stays pending then, and ends the run
		case readErr == nil:
			_ = a.end(intent, string(report.Failed), sendErr, took)
		default:
			err := unread(sendErr, readErr)
			a.settle(&a.changes[i], report.Unknown, err, took)
			_ = a.tell(intent, string(report.Unknown), err, took)
		}
	}
}

// seenDeprecated tells whether a batch with this provider may be refused whole.
func (p *prepared) seenDeprecated(provider string) bool { return p.input.Types[provider].Deprecated }
