package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
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

// complete fills in what Terra shows of a dev-id: the address of the source
// itself, else the host that the others are on.
func (l *terraLook) complete(ctx context.Context, slug, account string, v providers.Values) providers.Values {
	if account == "" {
		account = config.DefaultAccount
	}
	if a, ok := l.config.Accounts[account]; !ok || v.DevID == "" {
		return v
	} else if _, err := a.Token.Read(); err != nil {
		return v // no token at hand
	}
	addresses, asked := l.seen[v.DevID]
	if !asked {
		var err error
		if addresses, err = l.ask(ctx, account, v.DevID); err != nil {
			l.note(v.DevID, err)
		}
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

func (l *terraLook) ask(ctx context.Context, account, devID string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookDeadline)
	defer cancel()
	client, err := l.clients(account, devID)
	if err != nil {
		return nil, err
	}
	sources, err := client.ListSources(ctx, devID)
	if err != nil {
		return nil, err
	}
	addresses := map[string]string{}
	for _, s := range sources {
		if s.AuthRedirectURL != nil {
			addresses[strings.ToLower(s.Provider)] = *s.AuthRedirectURL
		}
	}
	return addresses, nil
}

func (l *terraLook) note(about string, err error) {
	_, _ = fmt.Fprintf(l.env.Stderr, "reconcile: Terra was not asked about %s, so the addresses are the documented ones: %v\n", about, err)
}
