package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// prober lets the engine ask the catalogue's probes.
type prober struct {
	*providers.Prober
	emulated  bool
	addresses map[string]string
}

// newProber asks at the runner's own addresses, else the real providers, unless
// Terra itself is an emulator on this machine: what is tried out there is not
// shown to anybody else. An address for a provider that is never asked is an
// error: who wrote it meant another one.
func newProber(c config.Config) (prober, error) {
	for _, slug := range slices.Sorted(maps.Keys(c.Probes)) {
		if p, ok := providers.Lookup(slug); !ok || p.Probe == nil {
			return prober{}, fmt.Errorf("read probes.%s of the runner's configuration: %s is never asked about a pair; `reconcile providers` lists who is", slug, slug)
		}
	}
	p := prober{Prober: providers.NewProber(nil, c.Probes), addresses: c.Probes}
	for _, account := range c.Accounts {
		p.emulated = p.emulated || !strings.HasPrefix(account.BaseURL, "https://")
	}
	return p, nil
}

const emulatedReason = "Terra is emulated on this machine, so no real provider is asked"

// unasked says why nobody is asked about pairs of a provider; "" where somebody is.
func (p prober) unasked(provider string) string {
	if known, listed := providers.Lookup(provider); !listed || known.Probe == nil {
		return "there is no way to ask " + provider + " about a pair; see `reconcile providers " + provider + "`"
	}
	if p.silent(provider) {
		return emulatedReason
	}
	return ""
}

// silent reports whether nobody is asked about pairs of a provider.
func (p prober) silent(provider string) bool {
	_, own := p.addresses[provider]
	return p.emulated && !own
}

func (p prober) Probe(ctx context.Context, provider, clientID string, secret secrets.Value) (good, bad bool, reason string) {
	if p.silent(provider) {
		return false, false, emulatedReason
	}
	r := p.Prober.Probe(ctx, provider, clientID, secret)
	return r.Verdict == providers.Good, r.Verdict == providers.Bad, r.Reason
}
