package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// same reports whether a provider would be asked the same.
func (p openPair) same(o openPair) bool {
	return p.provider == o.provider && p.clientID == o.clientID && p.secret.Equal(o.secret)
}

func (p openPair) name() string {
	if p.key == "" {
		return p.connection
	}
	return p.connection + " (" + p.key + ")"
}

// probe asks the providers about the pairs that are due, and about those that
// will be: a key that is refused today need not wait for its day to be noticed.
func (d *doctor) probe(ctx context.Context) {
	ask, err := newProber(d.config)
	switch {
	case err != nil:
		d.fail("probe", "", err.Error(), "correct "+d.flags.config)
		return
	case !d.flags.probe:
		if len(d.pairs) > 0 {
			d.skip("probe", "", "the providers were not asked about "+plural(len(d.pairs), "pair", "pairs"), "add --probe; each is asked at most once an hour")
		}
		return
	case len(d.pairs) == 0:
		d.skip("probe", "", "no pair of client id and secret is open", "")
		return
	}
	asker, store, err := d.asker(ctx, ask)
	if err != nil {
		d.fail("probe", "", err.Error(), "")
		return
	}
	for i, pair := range d.pairs {
		if p, listed := providers.Lookup(pair.provider); !listed || p.Probe == nil {
			d.skip("probe", pair.name(), "there is no way to ask "+pair.provider+" about a pair; see `reconcile providers "+pair.provider+"`", "")
			continue
		}
		if ask.silent(pair.provider) {
			d.skip("probe", pair.name(), emulatedReason, "")
			continue
		}
		if j := slices.IndexFunc(d.pairs[:i], pair.same); j >= 0 {
			d.skip("probe", pair.name(), "the same pair as "+d.pairs[j].name(), "")
			continue
		}
		answer, warnings := asker.Ask(ctx, pair.devID, pair.provider, pair.clientID, pair.secret)
		for _, text := range warnings {
			d.warn("probe", pair.name(), text, "")
		}
		d.answered(pair, answer)
	}
	if err := store.Close(); err != nil {
		d.fail("state", "", err.Error(), "")
	}
}

// asker asks with the memory of runs. Where another process holds it, what that
// one was told counts, and what is told here is not remembered.
func (d *doctor) asker(ctx context.Context, ask prober) (*reconcile.Asker, *state.Store, error) {
	store, err := openStore(ctx, d.config.StateDir, report.Apply)
	remember := err == nil
	if err != nil {
		var locked *state.LockedError
		if d.config.StateDir != "" && !errors.As(err, &locked) {
			return nil, nil, err
		}
		d.warn("probe", "", "the answers are not remembered: "+err.Error(), "do not ask again within an hour")
		store = state.None("")
		if locked != nil {
			if store, err = memoryFor(ctx, d.config.StateDir); err != nil {
				return nil, nil, err
			}
		}
	}
	asker, warnings, err := reconcile.NewAsker(reconcile.Options{
		Store: store, Prober: ask, Now: d.env.Now,
		Identities: func() (*secrets.Identities, error) { return d.identities, nil },
	}, remember)
	for _, text := range warnings {
		d.warn("probe", "", text, "")
	}
	return asker, store, err
}

func (d *doctor) answered(pair openPair, answer plan.Probe) {
	reason := answer.Reason
	if age := d.env.Now().Sub(answer.At).Round(time.Minute); age >= time.Minute {
		reason += ", said " + plural(int(age/time.Minute), "minute", "minutes") + " ago"
	}
	switch {
	case answer.Verdict == plan.Good:
		d.ok("probe", pair.name(), "good: "+reason)
	case answer.Verdict == plan.Bad && pair.due:
		d.fail("probe", pair.name(), "bad: "+reason, "seal the right one with reconcile secret encrypt; see `reconcile providers "+pair.provider+"`")
	case answer.Verdict == plan.Bad:
		d.warn("probe", pair.name(), "bad: "+reason, "seal the right one before it is due")
	default:
		d.warn("probe", pair.name(), "unknown: "+reason, "ask again in an hour")
	}
}
