package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func (env *environment) liveSources(ctx context.Context) (map[string]terra.Source, error) {
	list, err := env.client.ListSources(ctx, env.spec.DevID)
	if err != nil {
		return nil, err
	}
	out := map[string]terra.Source{}
	for _, s := range list {
		out[strings.ToLower(s.Provider)] = s
	}
	return out, nil
}

// readTypes takes what Terra offers from memory when that is less than a day old and
// knows all that is desired: what Terra offers since is seen at once. When it cannot be
// read the plan goes on without it.
func (env *environment) readTypes(ctx context.Context) {
	types, when, err := env.o.Store.SourceTypes(env.id)
	unheard := func(c spec.Connection) bool { _, heard := types[c.Provider]; return !heard }
	isFresh := env.input.Now.Sub(when) < sourceTypesFresh && !when.After(env.input.Now)
	if err == nil && len(types) > 0 && isFresh && !slices.ContainsFunc(env.spec.Connections, unheard) {
		env.types = types
		return
	}
	list, err := env.client.ListSourceTypes(ctx, env.spec.DevID)
	if err != nil || len(list) == 0 {
		if err == nil {
			err = errors.New("the list is empty")
		}
		env.typesFailed = err
		return
	}
	env.types = make(map[string]plan.Type, len(list))
	for _, t := range list {
		env.types[strings.ToLower(t.Provider)] = plan.Type{
			BYO: t.BYOSupported, CustomCredentials: t.CustomCredentialsAllowed, CustomScopes: t.CustomScopesSupported,
			CredentialsRequired: t.CustomerCredentialsRequired, Deprecated: t.Deprecated,
		}
	}
	env.typesRead = true
}

// wasLive tells whether the last run left it live.
func (c *Connection) wasLive() bool {
	if c.Remembered == nil {
		return false
	}
	state := plan.State(c.Remembered.Fields[plan.FieldState])
	return state == plan.Active || state == plan.Paused
}

// isCompared tells whether anything but the state of a connection is looked at.
func (c *Connection) isCompared() bool {
	return c.File.State != spec.Disabled
}

// readConnection asks for what the file manages of one connection. What fails marks
// it as failed; only the end of the context is an error.
func (env *environment) readConnection(ctx context.Context, c *Connection) error {
	var out plan.Observed
	file, devID, slug := c.File, env.spec.DevID, c.Provider
	group, groupCtx := errgroup.WithContext(ctx)
	ofApp := file.Credentials.Present || file.App.Given() || file.App.Null()
	if ofApp || file.Domain.Null() { // a domain is not released under its redirect
		group.Go(contained(func() error {
			answer, err := env.client.GetCredentials(groupCtx, devID, slug)
			if ofApp {
				out.Credentials = c.credentialsOf(answer)
			}
			if own := answer.Credential; own != nil && own.RedirectURL != nil {
				out.Redirect = *own.RedirectURL
			}
			return err
		}))
	}
	if file.Scopes.Given() || file.Scopes.Null() {
		group.Go(contained(func() error {
			answer, err := env.client.GetScopes(groupCtx, devID, slug)
			out.Scopes = scopesOf(answer)
			return err
		}))
	}
	if file.Domain.Given() || file.Domain.Null() {
		group.Go(contained(func() error {
			answer, found, err := env.client.GetDomain(groupCtx, devID, slug)
			if out.Domain = c.shared(); found {
				out.Domain = domainOf(answer)
			} else if out.Domain == nil {
				out.Domain = &plan.Domain{}
			}
			return err
		}))
	}
	if file.Webhooks {
		group.Go(contained(func() error {
			answer, err := env.client.GetWebhookEndpoints(groupCtx, devID, slug)
			out.Webhooks = webhooksOf(answer)
			var problem *terra.Problem
			if errors.As(err, &problem) && (problem.Status == 404 || problem.Status == 422) { // no keys or custom domain yet: an answer, not a failure
				out.Webhooks, err = &plan.Webhooks{Reason: problem.Error()}, nil
			}
			return err
		}))
	}
	if err := group.Wait(); err != nil {
		var fault *faultError
		if ctx.Err() != nil || errors.As(err, &fault) {
			return err
		}
		out = plan.Observed{Failed: err.Error()}
	}
	c.answers = &out
	return nil
}

// readDomain asks for the custom domain of a connection that is not live: it can be set
// up before the source is enabled.
func (env *environment) readDomain(ctx context.Context, c *Connection) {
	unknown := c.Type != nil && c.Type.NotOffered
	if c.Observed != nil || c.File == nil || unknown || !c.isCompared() || !c.File.Domain.Given() && !c.File.Domain.Null() {
		return
	}
	answer, found, err := env.client.GetDomain(ctx, env.spec.DevID, c.Provider)
	switch {
	case err != nil:
		c.Domain = &plan.Domain{Unread: err.Error()}
	case found:
		c.Domain = domainOf(answer)
	default:
		c.Domain = c.shared()
	}
}

// shared is the domain of the file that another environment set up, as Terra answered
// when it was claimed: it need not show it before the redirect is on it. nil is none.
func (c *Connection) shared() *plan.Domain {
	if c.Remembered == nil || c.Remembered.SharedDomain == "" || !strings.EqualFold(c.Remembered.SharedDomain, c.File.Domain.Value) {
		return nil
	}
	return &plan.Domain{Hostname: c.Remembered.SharedDomain, Shared: true, Live: true, State: "ACTIVE"}
}

func (c *Connection) credentialsOf(answer terra.Credentials) *plan.Credentials {
	if answer.Credential == nil {
		return &plan.Credentials{Hidden: answer.HasCredentials, TerraOwned: answer.TerraOwned}
	}
	v := answer.Credential
	out := &plan.Credentials{Set: true, TerraOwned: answer.TerraOwned, ClientID: v.ClientID, RedirectURL: v.RedirectURL, Sandbox: v.Sandbox,
		HasVerification: v.HasVerificationSecret, SecretRef: v.SecretRef != nil}
	if url := v.RedirectURL; url != nil { // Terra shows its default as an address, not as null
		known := []string{c.defaultRedirect}
		if c.Remembered != nil {
			known = append(known, c.Remembered.DefaultRedirect)
		}
		out.IsDefault = providers.TerraHost(*url) != "" || slices.Contains(known, *url)
	}
	if v.SecretMask != nil && secrets.IsMask(*v.SecretMask) {
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
	return &plan.Domain{Hostname: d.Hostname, Shared: d.Shared, Live: d.State == "ACTIVE" && d.Serving, State: d.State,
		Publish: d.DNSRecord.Type + " " + d.DNSRecord.Name + " " + d.DNSRecord.Value}
}

func webhooksOf(w terra.WebhookEndpoints) *plan.Webhooks {
	out := &plan.Webhooks{Fingerprint: w.Fingerprint, HasExisting: w.HasExisting, Locked: w.Locked}
	for _, entry := range w.Entries {
		switch entry.Action {
		case "ok":
		case "set", "restore", "enable", "retype":
			out.Pending++
		default:
			out.Word = entry.Action
		}
	}
	return out
}
