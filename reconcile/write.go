package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// write turns a change into its call. An error means that nothing was sent.
func (a *applier) write(ctx context.Context, c plan.Change) (write, error) {
	switch c.Action {
	case plan.Enable, plan.Pause, plan.Resume, plan.SetApp, plan.Disable:
		return a.writeState(c), nil
	case plan.SetCredentials:
		return a.writeCredentials(ctx, c)
	case plan.UpdateCredentials, plan.RotateSecret:
		return a.patchCredentials(ctx, c)
	case plan.SetScopes, plan.ResetScopes:
		return a.writeScopes(c), nil
	case plan.SetDomain, plan.ReleaseDomain:
		return a.writeDomain(c), nil
	case plan.ApplyWebhooks:
		return a.writeWebhooks(c), nil
	default:
		return write{}, fmt.Errorf("apply %s: unknown action %q", c.ID, c.Action)
	}
}

// plainDigest is the keyed digest of a body without a secret.
func (a *applier) plainDigest(c plan.Change, body string) string {
	return a.p.book.digester.Bytes(string(c.Action), []byte(body))
}

func (a *applier) liveSources(ctx context.Context) (map[string]terra.Source, error) {
	list, err := a.p.client.ListSources(ctx, a.p.env.DevID)
	if err != nil {
		return nil, err
	}
	out := map[string]terra.Source{}
	for _, s := range list {
		out[strings.ToLower(s.Provider)] = s
	}
	return out, nil
}

func (a *applier) writeState(c plan.Change) write {
	client, devID, slug := a.p.client, a.p.env.DevID, c.Provider
	update := func(u terra.SourceUpdate) func(context.Context, terra.IdempotencyKey) error {
		return func(ctx context.Context, key terra.IdempotencyKey) error {
			_, err := client.UpdateSource(ctx, devID, slug, u, key)
			return err
		}
	}
	read := func(holds func(terra.Source, bool) bool) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			live, err := a.liveSources(ctx)
			if err != nil {
				return false, err
			}
			s, ok := live[slug]
			return holds(s, ok), nil
		}
	}
	yes, no := true, false
	switch c.Action {
	case plan.Enable:
		return write{a.plainDigest(c, ""), func(ctx context.Context, key terra.IdempotencyKey) error {
			_, err := client.EnableSource(ctx, devID, slug, key)
			return err
		}, read(func(s terra.Source, ok bool) bool { return ok && s.Active })}
	case plan.Pause:
		return write{a.plainDigest(c, ""), update(terra.SourceUpdate{Active: &no}), read(func(s terra.Source, ok bool) bool { return ok && !s.Active })}
	case plan.Resume:
		return write{a.plainDigest(c, ""), update(terra.SourceUpdate{Active: &yes}), read(func(s terra.Source, ok bool) bool { return ok && s.Active })}
	case plan.SetApp:
		variant := "standard"
		if a.wanted(slug).desired.App.Value == "own" {
			variant = "byo"
		}
		return write{a.plainDigest(c, variant), update(terra.SourceUpdate{AuthVariant: &variant}),
			read(func(s terra.Source, ok bool) bool { return ok && s.AuthVariant == variant })}
	default:
		return write{a.plainDigest(c, ""), func(ctx context.Context, key terra.IdempotencyKey) error {
			return client.DisableSource(ctx, devID, slug, key)
		}, read(func(_ terra.Source, ok bool) bool { return !ok })}
	}
}

func (a *applier) writeScopes(c plan.Change) write {
	client, devID, slug := a.p.client, a.p.env.DevID, c.Provider
	if c.Action == plan.ResetScopes {
		return write{a.plainDigest(c, ""), func(ctx context.Context, key terra.IdempotencyKey) error {
			return client.ResetScopes(ctx, devID, slug, key)
		}, func(ctx context.Context) (bool, error) {
			s, err := client.GetScopes(ctx, devID, slug)
			return !s.Customised, err
		}}
	}
	want := slices.Clone(a.wanted(slug).desired.Scopes.Value)
	slices.Sort(want)
	return write{a.plainDigest(c, strings.Join(want, " ")), func(ctx context.Context, key terra.IdempotencyKey) error {
		_, err := client.SetScopes(ctx, devID, slug, want, key)
		return err
	}, func(ctx context.Context) (bool, error) {
		s, err := client.GetScopes(ctx, devID, slug)
		if err != nil {
			return false, err
		}
		live := scopesOf(s)
		target := append(slices.Clone(want), live.Required...)
		slices.Sort(target)
		return slices.Equal(slices.Compact(target), live.Enabled), nil
	}}
}

func (a *applier) writeDomain(c plan.Change) write {
	client, devID, slug := a.p.client, a.p.env.DevID, c.Provider
	want := a.wanted(slug).desired.Domain.Value
	read := func(ctx context.Context) (bool, error) {
		d, found, err := client.GetDomain(ctx, devID, slug)
		if err != nil {
			return false, err
		}
		if found && c.Action == plan.SetDomain && !domainOf(d).Live {
			a.warn(c.Connection + ": publish " + domainOf(d).Publish + " so that " + d.Hostname + " can serve")
		}
		return found == (c.Action == plan.SetDomain) && (!found || strings.EqualFold(d.Hostname, want)), nil
	}
	if c.Action == plan.ReleaseDomain {
		return write{a.plainDigest(c, ""), func(ctx context.Context, key terra.IdempotencyKey) error {
			return client.DeleteDomain(ctx, devID, slug, key)
		}, read}
	}
	return write{a.plainDigest(c, want), func(ctx context.Context, key terra.IdempotencyKey) error {
		_, err := client.SetDomain(ctx, devID, slug, want, key)
		return err
	}, read}
}

// writeWebhooks applies exactly the review that the plan has seen.
func (a *applier) writeWebhooks(c plan.Change) write {
	client, devID, slug := a.p.client, a.p.env.DevID, c.Provider
	seen := a.p.seen.live[slug].Webhooks
	body := terra.WebhookApply{}
	if seen != nil {
		body = terra.WebhookApply{Fingerprint: seen.Fingerprint, AcknowledgeReplacingExisting: seen.HasExisting}
	}
	return write{a.plainDigest(c, body.Fingerprint), func(ctx context.Context, key terra.IdempotencyKey) error {
		_, err := client.ApplyWebhookEndpoints(ctx, devID, slug, body, key)
		return err
	}, func(ctx context.Context) (bool, error) {
		w, err := client.GetWebhookEndpoints(ctx, devID, slug)
		if err != nil {
			return false, err
		}
		now := webhooksOf(w)
		return now.Pending == 0 || now.Locked, nil
	}}
}

func (a *applier) wanted(slug string) wanted {
	for _, w := range a.p.want {
		if w.desired.Provider == slug {
			return w
		}
	}
	return wanted{due: -1}
}

func (a *applier) warn(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.p.warnings, text) {
		a.p.warnings = append(a.p.warnings, text)
	}
}
