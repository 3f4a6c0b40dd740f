package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// asking asks providers with the memory of runs, so that all who ask keep together
// to one question an hour about a pair. Where another process holds the memory, what
// that one was told counts, and it is told what is answered here.
type asking struct {
	asker *reconcile.Asker
	store *state.Store
}

// openAsking takes the state in dir, or a copy from the process that holds it. Where
// neither can be had it is an error: nobody knows then who was asked within the hour.
// The warnings say what is not remembered.
func openAsking(ctx context.Context, env *environment, dir string, ask prober, ids *secrets.Identities) (a asking, warnings []string, err error) {
	o := reconcile.Options{Prober: ask, Now: env.Now, Identities: func() (*secrets.Identities, error) { return ids, nil }}
	mode, remember := report.DryRun, reconcile.Remember(nil)
	if dir == "" {
		a.store = state.None("")
		warnings = []string{"the answers are not remembered: no state folder is known (--state or RECONCILE_STATE_DIR names it)"}
	} else {
		alone, err := holding(ctx, dir, func(c *daemon.Client) error {
			copied, err := c.State(ctx)
			if err == nil {
				a.store, err = state.OpenCopy(dir, bytes.NewReader(copied))
			}
			remember = handOver(ctx, c)
			return err
		}, func() (err error) { a.store, err = state.Open(dir, state.Options{}); return err })
		if err != nil {
			return a, nil, err
		}
		if alone {
			mode, remember = report.Apply, a.store.SaveProbe
		}
	}
	o.Store = a.store
	asker, more, err := reconcile.NewAsker(o, mode, remember)
	if a.asker = asker; err != nil {
		_ = a.store.Close()
	}
	return a, append(warnings, more...), err
}

// leave keeps what providers told a dry run. The run itself can save nothing: the
// process that holds the state in dir is told, or where there is none the answer alone
// is written, so that the next one who wants to ask knows.
func leave(ctx context.Context, dir string) reconcile.Remember {
	var mu sync.Mutex // environments ask side by side, and one at a time may write
	return func(devID, pair string, answer plan.Probe) error {
		mu.Lock()
		defer mu.Unlock()
		alone, err := holding(ctx, dir, func(c *daemon.Client) error { return handOver(ctx, c)(devID, pair, answer) }, func() error {
			store, err := state.Open(dir, state.Options{MustExist: true})
			if err != nil {
				return err
			}
			return errors.Join(store.SaveProbe(devID, pair, answer), store.Close())
		})
		if alone && err != nil {
			return notRemembered(err)
		}
		return err
	}
}

func notRemembered(err error) error {
	return fmt.Errorf("the answer is not remembered, so do not ask again within an hour: %w", err)
}

// handOver tells the holder of the state what a provider said.
func handOver(ctx context.Context, c *daemon.Client) reconcile.Remember {
	return func(devID, pair string, answer plan.Probe) error {
		err := c.Remember(ctx, daemon.ProbeAnswer{DevID: devID, Pair: pair, Verdict: string(answer.Verdict), Reason: answer.Reason})
		if err != nil {
			return notRemembered(err)
		}
		return nil
	}
}

// spoken is the reason of an answer, with its age where it is an earlier one.
func spoken(answer plan.Probe, now time.Time) string {
	age := now.Sub(answer.At).Round(time.Minute)
	if age < time.Minute {
		return answer.Reason
	}
	return answer.Reason + ", said " + plural(int(age/time.Minute), "minute", "minutes") + " ago; it is asked once an hour at most"
}
