package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// newProber makes the prober of a runner. An address for a provider that is
// never asked is an error: who wrote it meant another one.
func newProber(addresses map[string]string) (prober, error) {
	for _, slug := range slices.Sorted(maps.Keys(addresses)) {
		if p, ok := providers.Lookup(slug); !ok || p.Probe == nil {
			return prober{}, fmt.Errorf("read probes.%s of the runner's configuration: %s is never asked about a pair; `reconcile providers` lists who is", slug, slug)
		}
	}
	return prober{providers.NewProber(nil, addresses)}, nil
}

// prober lets the engine ask the catalogue's probes.
type prober struct{ *providers.Prober }

func (p prober) Probe(ctx context.Context, provider, clientID string, secret secrets.Value) (good, bad bool, reason string) {
	r := p.Prober.Probe(ctx, provider, clientID, secret)
	return r.Verdict == providers.Good, r.Verdict == providers.Bad, r.Reason
}
