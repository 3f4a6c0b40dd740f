package main

import (
	"context"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// same reports whether a provider would be asked the same.
func (p openPair) same(o openPair) bool {
	return p.provider == o.provider && p.clientID == o.clientID && p.secret.Equal(o.secret)
}

// unasked says why nobody is asked about a pair; "" where somebody can be.
func (p openPair) unasked(ask prober) string {
	if p.off != "" {
		return p.off
	}
	return ask.unasked(p.provider)
}

// tellUnasked says what --probe would ask about.
func (d *doctor) tellUnasked(ask prober) {
	n := 0
	var reasons []string
	for _, pair := range d.pairs {
		if why := pair.unasked(ask); why == "" {
			n++
		} else if !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	switch {
	case n > 0:
		d.skip("probe", "", "the providers were not asked about "+plural(n, "pair", "pairs"), "add --probe; each is asked at most once an hour")
	case len(reasons) > 0:
		d.skip("probe", "", "no provider is asked about a pair, with --probe neither: "+strings.Join(reasons, "; "), "")
	}
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
		d.tellUnasked(ask)
		return
	case len(d.pairs) == 0:
		d.skip("probe", "", "no pair of client id and secret is open", "")
		return
	}
	asked, warnings, err := openAsking(ctx, d.env, d.config.StateDir, ask, d.identities)
	if err != nil {
		d.warn("probe", "", "nobody was asked, because it is not known who was asked within the hour: "+err.Error(), "")
		return
	}
	for _, text := range warnings {
		d.warn("probe", "", text, "do not ask again within an hour")
	}
	for i, pair := range d.pairs {
		if why := pair.unasked(ask); why != "" {
			d.skip("probe", pair.name(), why, "")
			continue
		}
		if j := slices.IndexFunc(d.pairs[:i], pair.same); j >= 0 {
			d.skip("probe", pair.name(), "the same pair as "+d.pairs[j].name(), "")
			continue
		}
		if d.ask(ctx, asked.asker, pair) == plan.Bad && pair.due {
			d.probeOlder(ctx, asked.asker, pair.connection)
		}
	}
	if err := asked.store.Close(); err != nil {
		d.fail("state", "", err.Error(), "")
	}
}

func (d *doctor) ask(ctx context.Context, asker *reconcile.Asker, pair openPair) plan.Verdict {
	answer, warnings := asker.Ask(ctx, pair.devID, pair.provider, pair.clientID, pair.secret)
	for _, text := range warnings {
		d.warn("probe", pair.name(), text, "")
	}
	d.answered(pair, answer)
	return answer.Verdict
}

// probeOlder asks about the keys before one that is due and refused, the newest
// first, until one is not: it is most likely the live one.
func (d *doctor) probeOlder(ctx context.Context, asker *reconcile.Asker, connection string) {
	for _, pair := range slices.Backward(d.older[connection]) {
		if d.ask(ctx, asker, pair) != plan.Bad {
			return
		}
	}
}

func (d *doctor) answered(pair openPair, answer plan.Probe) {
	reason := spoken(answer, d.env.Now())
	switch {
	case answer.Verdict == plan.Good:
		d.ok("probe", pair.name(), "good: "+reason)
	case answer.Verdict == plan.Bad && pair.due:
		d.fail("probe", pair.name(), "bad: "+reason, "seal the right one with `reconcile rotate add "+pair.connection+"`; see `reconcile providers "+pair.provider+"`")
	case answer.Verdict == plan.Bad && pair.scheduled:
		d.warn("probe", pair.name(), "bad: "+reason, "seal the right one before it is due")
	case answer.Verdict == plan.Bad:
		d.warn("probe", pair.name(), "bad: "+reason+"; where it is live, syncing stops", "")
	default:
		d.warn("probe", pair.name(), "unknown: "+reason, "ask again in an hour")
	}
}
