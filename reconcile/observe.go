package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// observation is what Terra showed of one environment.
type observation struct {
	sources  map[string]terra.Source
	live     map[string]plan.Observed
	types    map[string]plan.Type // nil: unknown
	warnings []string
}

// observer reads one environment.
type observer struct {
	*Engine
	client *terra.Client
	book   *book
	env    spec.Environment
	memory plan.Memory
	wrote  *written
}

// observe reads the list of sources and, of the connections that the repository
// names, what it manages. A failed list is an error, as is one that holds a source
// twice; the client refuses that. A failed read of one connection marks only it.
func (o *observer) observe(ctx context.Context, want []wanted) (observation, error) {
	var out observation
	var sources []terra.Source
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(contained(func() (err error) {
		sources, err = o.client.ListSources(groupCtx, o.env.DevID)
		return err
	}))
	group.Go(contained(func() error {
		var warning string
		if out.types, warning = o.sourceTypes(groupCtx, want); warning != "" {
			out.warnings = append(out.warnings, warning)
		}
		return nil
	}))
	if err := group.Wait(); err != nil {
		return observation{}, err
	}
	out.sources, out.live = map[string]terra.Source{}, map[string]plan.Observed{}
	for _, s := range sources {
		slug := strings.ToLower(s.Provider)
		out.sources[slug] = s
		out.live[slug] = plan.Observed{Active: s.Active, Variant: s.AuthVariant}
	}
	return out, o.readConnections(ctx, want, &out)
}

func (o *observer) readConnections(ctx context.Context, want []wanted, out *observation) error {
	read := make([]plan.Observed, len(want))
	var next, done atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	for range min(readsAtOnce, len(want)) {
		group.Go(contained(func() error {
			var err error
			for i := int(next.Add(1)) - 1; i < len(want); i = int(next.Add(1)) - 1 {
				source, live := out.sources[want[i].desired.Provider]
				if !live || want[i].desired.State == plan.Disabled || want[i].desired.Unreadable != "" {
					want[i].open(o.book)
				} else if read[i], err = o.connection(groupCtx, &want[i], source); err != nil {
					return err
				}
				o.o.Progress(Progress{Environment: o.env.Name, Done: int(done.Add(1)), Total: len(want)})
			}
			return nil
		}))
	}
	if err := group.Wait(); err != nil {
		return o.wrote.orElse(err)
	}
	for i, w := range want {
		if _, live := out.sources[w.desired.Provider]; live && read[i].Variant != "" {
			out.live[w.desired.Provider] = read[i]
		}
	}
	return nil
}

// sourceTypes gives what Terra offers, from memory when that is less than a day
// old and knows all that is wanted: what Terra offers since is seen at once. When it
// cannot be read the plan goes on without it.
func (o *observer) sourceTypes(ctx context.Context, want []wanted) (map[string]plan.Type, string) {
	types, when, err := o.o.Store.SourceTypes(o.env.DevID)
	unheard := func(w wanted) bool { _, heard := types[w.desired.Provider]; return !heard }
	isFresh := o.o.Now().Sub(when) < sourceTypesFresh && !when.After(o.o.Now())
	if err == nil && len(types) > 0 && isFresh && !slices.ContainsFunc(want, unheard) {
		return types, ""
	}
	list, err := o.client.ListSourceTypes(ctx, o.env.DevID)
	if err != nil || len(list) == 0 {
		if err == nil {
			err = errors.New("the list is empty")
		}
		return nil, "what Terra offers here is unknown: " + err.Error()
	}
	types = make(map[string]plan.Type, len(list))
	for _, t := range list {
		types[strings.ToLower(t.Provider)] = plan.Type{
			BYO: t.BYOSupported, CustomCredentials: t.CustomCredentialsAllowed, CustomScopes: t.CustomScopesSupported,
			CredentialsRequired: t.CustomerCredentialsRequired, Deprecated: t.Deprecated,
		}
	}
	if err := o.o.Store.SaveSourceTypes(o.env.DevID, types, o.o.Now()); err != nil && !errors.Is(err, state.ErrReadOnly) {
		return types, err.Error()
	}
	return types, ""
}

// connection reads what the repository manages of one live connection. Only an
// answer that may have been a write, or the end of the context, is an error;
// anything else marks the connection as failed.
func (o *observer) connection(ctx context.Context, w *wanted, source terra.Source) (plan.Observed, error) {
	out := plan.Observed{Active: source.Active, Variant: source.AuthVariant}
	if out.Variant == "" {
		out.Variant = "standard"
	}
	err := o.readAll(ctx, w, source, &out)
	var wrote *terra.MayHaveWrittenError
	switch {
	case err == nil:
	case errors.As(err, &wrote):
		o.wrote.compared(wrote.Provider, wrote.Field, err)
		return out, err
	case ctx.Err() != nil:
		return out, err
	default:
		out = plan.Observed{Active: out.Active, Variant: out.Variant, Failed: err.Error()}
	}
	return out, nil
}

func (o *observer) readAll(ctx context.Context, w *wanted, source terra.Source, out *plan.Observed) error {
	d, slug := w.desired, w.desired.Provider // what is read depends on no secret
	if d.Credentials {
		c, err := o.client.GetCredentials(ctx, o.env.DevID, slug)
		if err != nil {
			return err
		}
		out.Credentials = credentialsOf(c)
		opened := w.open(o.book)
		if w.desired.Unreadable != "" {
			return nil
		}
		if err := o.compare(ctx, *w, source, opened, out); err != nil {
			return err
		}
		if err := o.showStored(ctx, *w, source, out); err != nil {
			return err
		}
	}
	if d.Scopes.Mode != plan.Unmanaged {
		s, err := o.client.GetScopes(ctx, o.env.DevID, slug)
		if err != nil {
			return err
		}
		out.Scopes = scopesOf(s)
	}
	if d.Domain.Mode != plan.Unmanaged {
		domain, found, err := o.client.GetDomain(ctx, o.env.DevID, slug)
		if err != nil {
			return err
		}
		out.Domain = &plan.Domain{}
		if found {
			out.Domain = domainOf(domain)
		}
	}
	if d.Webhooks.Mode == plan.Given {
		return o.webhooks(ctx, slug, out)
	}
	return nil
}

// webhooks reviews Garmin's rows. That the keys or the custom domain are not
// there yet is an answer, not a failure.
func (o *observer) webhooks(ctx context.Context, slug string, out *plan.Observed) error {
	w, err := o.client.GetWebhookEndpoints(ctx, o.env.DevID, slug)
	var problem *terra.Problem
	switch {
	case errors.As(err, &problem) && (problem.Status == 404 || problem.Status == 422):
		out.Webhooks = &plan.Webhooks{Reason: problem.Error()}
		return nil
	case err != nil:
		return err
	}
	out.Webhooks = webhooksOf(w)
	return nil
}

func credentialsOf(c terra.Credentials) *plan.Credentials {
	if c.Credential == nil {
		return &plan.Credentials{}
	}
	v := c.Credential
	out := &plan.Credentials{Set: true, ClientID: v.ClientID, RedirectURL: v.RedirectURL, Sandbox: v.Sandbox,
		HasVerification: v.HasVerificationSecret, SecretRef: v.SecretRef != nil}
	if v.SecretMask != nil {
		out.Mask = *v.SecretMask
	}
	if v.OAuthVersion != nil {
		out.OAuthVersion = *v.OAuthVersion
	}
	return out
}

func scopesOf(s terra.SourceScopes) *plan.Scopes {
	out := &plan.Scopes{Customised: s.Customised}
	for _, scope := range s.Scopes {
		out.Offered = append(out.Offered, scope.Scope)
		if scope.Required {
			out.Required = append(out.Required, scope.Scope)
		}
		if scope.Enabled || scope.Required {
			out.Enabled = append(out.Enabled, scope.Scope)
		}
	}
	slices.Sort(out.Offered)
	slices.Sort(out.Required)
	slices.Sort(out.Enabled)
	return out
}

func domainOf(d terra.SourceDomain) *plan.Domain {
	return &plan.Domain{Hostname: d.Hostname, Live: d.State == "ACTIVE" && d.Serving, State: d.State,
		Publish: d.DNSRecord.Type + " " + d.DNSRecord.Name + " " + d.DNSRecord.Value}
}

func webhooksOf(w terra.WebhookEndpoints) *plan.Webhooks {
	out := &plan.Webhooks{Fingerprint: w.Fingerprint, HasExisting: w.HasExisting, Locked: w.Locked}
	for _, entry := range w.Entries {
		if entry.Action != "ok" {
			out.Pending++
		}
	}
	return out
}
