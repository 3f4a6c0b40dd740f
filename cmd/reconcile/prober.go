package main

import (
	"context"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// prober lets the engine ask the catalogue's probes.
type prober struct{ *providers.Prober }

func (p prober) Probe(ctx context.Context, provider, clientID string, secret secrets.Value) (good, bad bool, reason string) {
	r := p.Prober.Probe(ctx, provider, clientID, secret)
	return r.Verdict == providers.Good, r.Verdict == providers.Bad, r.Reason
}
