package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// lookDeadline is how long a walk-through waits for Terra.
const lookDeadline = 5 * time.Second

// terraLook asks Terra which addresses a dev-id has, where a token is at hand.
// What goes wrong is a note, never an error: the documented addresses remain.
type terraLook struct {
	env     *environment
	config  config.Config
	clients func(account, devID string) (*terra.Client, error)
	seen    map[string]map[string]string // by dev-id: provider -> auth_redirect_url
}

func newTerraLook(env *environment, f *providersFlags) *terraLook {
	l := &terraLook{env: env, seen: map[string]map[string]string{}}
	if f.offline {
		return l
	}
	var err error
	if f.config != "" {
		l.config, err = config.Load(f.config, env.Getenv)
	} else {
		l.config, err = config.FromEnvironment(env.Getenv)
	}
	if err != nil {
		l.note("the runner's configuration", err)
		l.config = config.Config{}
		return l
	}
	l.clients = newClients(l.config, terra.Options{Transport: terra.NewTransport(), Limits: terra.NewLimits(), Version: env.Version, ReadOnly: true})
	return l
}

// unlisted asks what Terra says of a provider that the catalogue does not hold: in
// the environment of --dev-id, else in the first one that answers.
func (l *terraLook) unlisted(ctx context.Context, f *providersFlags, set spec.Set, slug string) (providers.Provider, bool) {
	places := []spec.Environment{{DevID: f.devID}}
	if f.devID == "" {
		places = set.Environments
	}
	for _, e := range places {
		account := cmp.Or(e.Account, config.DefaultAccount)
		if !l.atHand(account) || !chosen(f.environments, e.Name) {
			continue
		}
		types, err := ask(ctx, l, account, e.DevID, (*terra.Client).ListSourceTypes)
		if err != nil {
			l.note(e.DevID, err)
			continue
		}
		for _, t := range types {
			if strings.EqualFold(t.Provider, slug) {
				p, warning := providers.Unlisted(strings.ToLower(slug), offerOf(t))
				_, _ = fmt.Fprintln(l.env.Stderr, "reconcile: "+visible.Text(warning))
				return p, true
			}
		}
		return providers.Provider{}, false
	}
	return providers.Provider{}, false
}

func offerOf(t terra.SourceType) providers.SourceType {
	return providers.SourceType{DisplayName: t.DisplayName, Deprecated: t.Deprecated, BYOSupported: t.BYOSupported,
		CustomerCredentialsRequired: t.CustomerCredentialsRequired, CustomCredentialsAllowed: t.CustomCredentialsAllowed}
}

// believed is a provider as Terra sees it in the first environment that answers, and
// as the catalogue has it where none does. On what they disagree is a note.
func (l *terraLook) believed(ctx context.Context, p providers.Provider, list []showing) providers.Provider {
	for _, s := range list {
		account := cmp.Or(s.account, config.DefaultAccount)
		if s.values.DevID == "" || !l.atHand(account) {
			continue
		}
		types, err := ask(ctx, l, account, s.values.DevID, (*terra.Client).ListSourceTypes)
		if err != nil {
			l.note(s.values.DevID, err)
			continue
		}
		for _, t := range types {
			if !strings.EqualFold(t.Provider, p.Slug) {
				continue
			}
			p, warnings := p.Believe(offerOf(t), l.env.Now())
			for _, text := range warnings {
				_, _ = fmt.Fprintln(l.env.Stderr, "reconcile: "+visible.Text(text))
			}
			return p
		}
		return p
	}
	return p
}

// atHand reports whether there is a token to ask with.
func (l *terraLook) atHand(account string) bool {
	a, ok := l.config.Accounts[account]
	if !ok {
		return false
	}
	_, err := a.Token.Read()
	return err == nil
}

// complete fills in what Terra shows of a dev-id: the address of the source
// itself, else the host that the others are on.
func (l *terraLook) complete(ctx context.Context, slug, account string, v providers.Values) providers.Values {
	account = cmp.Or(account, config.DefaultAccount)
	if v.DevID == "" || !l.atHand(account) {
		return v
	}
	addresses, asked := l.seen[v.DevID]
	if !asked {
		addresses = l.addresses(ctx, account, v.DevID)
		l.seen[v.DevID] = addresses
	}
	if v.AuthRedirectURL == "" {
		v.AuthRedirectURL = addresses[slug]
	}
	for _, address := range addresses {
		if host := providers.TerraHost(address); host != "" {
			v.Host = host
		}
	}
	return v
}

func (l *terraLook) addresses(ctx context.Context, account, devID string) map[string]string {
	addresses := map[string]string{}
	sources, err := ask(ctx, l, account, devID, (*terra.Client).ListSources)
	if err != nil {
		l.note(devID, err)
	}
	for _, s := range sources {
		if s.AuthRedirectURL != nil {
			addresses[strings.ToLower(s.Provider)] = *s.AuthRedirectURL
		}
	}
	return addresses
}

// ask makes one read of an environment, within the time that a person waits.
func ask[T any](ctx context.Context, l *terraLook, account, devID string, read func(*terra.Client, context.Context, string) ([]T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, lookDeadline)
	defer cancel()
	client, err := l.clients(account, devID)
	if err != nil {
		return nil, err
	}
	return read(client, ctx, devID)
}

func (l *terraLook) note(about string, err error) {
	_, _ = fmt.Fprintf(l.env.Stderr, "reconcile: Terra was not asked about %s, so only what is documented is shown: %s\n", visible.Text(about), visible.Lines(err.Error()))
}
