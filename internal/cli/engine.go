package cli

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// engineParts is what an Engine is made from, for a command and for the daemon.
type engineParts struct {
	proc      *Process
	began     time.Time // when the program did; zero: not known
	config    config.Config
	mode      report.Mode
	applies   bool // the runner is meant to, if not in this run
	store     *state.Store
	prober    prober
	transport http.RoundTripper
	limits    *terra.Limits
	heard     *notices                 // what Terra says beside its answers
	progress  func(reconcile.Progress) // may be nil
	// attempted is told of each attempt at a call, with the account; may be nil.
	attempted func(account string, a terra.Attempt)
}

// newEngine is the one place where an Engine is made. It can write only when its mode
// is to apply, whatever its store could.
func newEngine(p engineParts) *reconcile.Engine {
	clock := terra.NewClock(p.transport, p.proc.Now)
	return reconcile.New(reconcile.Options{
		Client: newCountedClients(p.config, terra.Options{Transport: clock, Limits: p.limits, Version: p.proc.Version,
			ReadOnly: p.mode == report.DryRun, Notice: p.heard.hear}, p.attempted),
		Store:         p.store,
		Identities:    identities(p.config.Identities),
		Now:           p.proc.Now,
		Began:         p.began,
		Skew:          clock.Skew,
		Applies:       p.applies,
		Approvers:     approvers(p.config.Approvals),
		Prober:        p.prober,
		Progress:      p.progress,
		RedirectHosts: redirectHosts(p.config),
		Assigns:       p.config.Assigns,
	})
}

// newClients makes one client an account. The runner decides which dev-ids an
// account may touch; the repository only names it.
func newClients(c config.Config, o terra.Options) func(account, devID string) (*terra.Client, error) {
	return newCountedClients(c, o, nil)
}

// newCountedClients is newClients, and tells of each attempt at a call with the account;
// attempted may be nil.
func newCountedClients(c config.Config, o terra.Options, attempted func(account string, a terra.Attempt)) func(account, devID string) (*terra.Client, error) {
	clients, broken := map[string]*terra.Client{}, map[string]error{}
	for name, account := range c.Accounts {
		o.BaseURL, o.Token = account.BaseURL, account.Token.Read
		if attempted != nil {
			o.Attempted = func(a terra.Attempt) { attempted(name, a) }
		}
		clients[name], broken[name] = terra.New(o)
	}
	return func(name, devID string) (*terra.Client, error) {
		_, ok := c.Accounts[name]
		switch {
		case !ok && c.Repo.Name != "":
			return nil, &reconcile.NotAllowedError{Err: fmt.Errorf("use account %q: this runner knows no such account; %s", name, c.AccountsOfIt())}
		case !ok:
			return nil, &reconcile.NotAllowedError{Err: fmt.Errorf("use account %q: this runner knows no such account", name)}
		case !c.MayUse(name):
			return nil, &reconcile.NotAllowedError{Err: fmt.Errorf("use account %q: the runner does not let the repository %s use it; %s", name, c.Repo.Name, c.AccountsOfIt())}
		case broken[name] != nil:
			return nil, broken[name]
		case !c.Allows(name, devID):
			return nil, &reconcile.NotAllowedError{Err: fmt.Errorf("use account %q: the runner does not let it touch %s; its dev_ids decide", name, devID)}
		}
		return clients[name], nil
	}
}

// located gives whose memory a state holds of a dev_id, for an account of the runner.
// known is false where no run has applied there: another address or customer says
// nothing about it.
func located(store *state.Store, c config.Config, account, devID string) (env state.Environment, known bool, err error) {
	address, err := terra.Address(c.Accounts[account].BaseURL)
	if err != nil {
		return env, false, fmt.Errorf("use account %q: this runner knows no such account", account)
	}
	return store.Locate(address, devID)
}

// redirectHosts gives what the runner lists for an account.
func redirectHosts(c config.Config) func(account string) []string {
	return func(account string) []string { return c.Accounts[account].RedirectHosts }
}

// approvers is the runner's rule in the words of the engine.
func approvers(a config.Approvals) reconcile.Approvers {
	out := reconcile.Approvers{Required: a.Required, Digits: a.Digits}
	for _, class := range a.For {
		out.For = append(out.For, plan.Class(class))
	}
	return out
}

func identities(c config.Identities) func() (*secrets.Identities, error) {
	return func() (*secrets.Identities, error) {
		source := secrets.Source{Files: c.Files, AllowPlugins: c.AllowPlugins}
		if c.Inline.IsSet() {
			text, err := c.Inline.Read()
			if err != nil {
				return nil, err
			}
			source.Inline = strings.TrimSpace(text)
		}
		return secrets.LoadIdentities(source)
	}
}

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
			return prober{}, advice.With(fmt.Errorf("read probes.%s of the runner's configuration: %s is never asked about a pair", slug, slug), "see who is", "providers")
		}
	}
	p := prober{Prober: providers.NewProber(nil, c.Probes), addresses: c.Probes}
	for _, account := range c.Accounts {
		p.emulated = p.emulated || !strings.HasPrefix(account.BaseURL, "https://")
	}
	return p, nil
}

const emulatedReason = "Terra is emulated on this machine, so no real provider is asked"

// Unasked says why nobody is asked about pairs of a provider; "" where somebody is.
func (p prober) Unasked(provider string) string {
	if known, listed := providers.Lookup(provider); !listed || known.Probe == nil {
		return "there is no way to ask " + provider + " about a pair"
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
