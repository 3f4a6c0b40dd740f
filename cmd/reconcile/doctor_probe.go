package main

import (
	"context"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/providers"
)

// same reports whether a provider would be asked the same.
func (p openPair) same(o openPair) bool {
	return p.provider == o.provider && p.clientID == o.clientID && p.secret.Equal(o.secret)
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
			d.skip("probe", "", "the providers were not asked about "+plural(len(d.pairs), "pair", "pairs"), "add --probe, at most once an hour")
		}
		return
	case len(d.pairs) == 0:
		d.skip("probe", "", "no pair of client id and secret is open", "")
		return
	}
	for i, pair := range d.pairs {
		about := pair.connection
		if pair.key != "" {
			about += " (" + pair.key + ")"
		}
		if p, listed := providers.Lookup(pair.provider); !listed || p.Probe == nil {
			d.skip("probe", about, "there is no way to ask "+pair.provider+" about a pair; see `reconcile providers "+pair.provider+"`", "")
			continue
		}
		if j := slices.IndexFunc(d.pairs[:i], pair.same); j >= 0 {
			d.skip("probe", about, "the same pair as "+d.pairs[j].connection, "")
			continue
		}
		good, bad, reason := ask.Probe(ctx, pair.provider, pair.clientID, pair.secret)
		switch {
		case good:
			d.ok("probe", about, "good: "+reason)
		case bad && pair.due:
			d.fail("probe", about, "bad: "+reason, "seal the right one with reconcile secret encrypt; see `reconcile providers "+pair.provider+"`")
		case bad:
			d.warn("probe", about, "bad: "+reason, "seal the right one before it is due")
		default:
			d.warn("probe", about, "unknown: "+reason, "ask again later")
		}
	}
}
