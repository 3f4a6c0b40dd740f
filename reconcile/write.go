package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// write turns a change of a connection into its call. An error means that nothing was
// sent.
func (env *environment) write(ctx context.Context, c *Connection, change plan.Change) (write, error) {
	switch change.Action {
	case plan.Enable, plan.Pause, plan.Resume, plan.SetApp, plan.Disable:
		return env.writeState(c, change), nil
	case plan.SetCredentials:
		return env.writeCredentials(ctx, c, change)
	case plan.UpdateCredentials, plan.RotateSecret:
		return env.patchCredentials(c, change)
	case plan.SetScopes, plan.ResetScopes:
		return env.writeScopes(c, change), nil
	case plan.SetDomain, plan.ReleaseDomain:
		return env.writeDomain(ctx, c, change)
	case plan.ApplyWebhooks:
		return env.writeWebhooks(c, change), nil
	default:
		return write{}, fmt.Errorf("apply %s: unknown action %q", change.ID, change.Action)
	}
}

// plainDigest is the keyed digest of a body without a secret.
func (env *environment) plainDigest(change plan.Change, body string) string {
	return env.cache.digester.Bytes(string(change.Action), []byte(body))
}

// writeState writes what the list of sources shows.
func (env *environment) writeState(c *Connection, change plan.Change) write {
	client, devID, slug := env.client, env.spec.DevID, c.Provider
	body, update := "", terra.SourceUpdate{}
	var isListed func(terra.Source, bool) bool
	on, off := true, false
	switch change.Action {
	case plan.Enable:
		isListed = isEnabled
	case plan.Pause:
		update.Active = &off
		isListed = func(s terra.Source, listed bool) bool { return listed && !s.Active }
	case plan.Resume:
		update.Active = &on
		isListed = isEnabled
	case plan.SetApp:
		body = "standard"
		if c.Desired.App.Value == "own" {
			body = "byo"
		}
		update.AuthVariant = &body
		isListed = func(s terra.Source, listed bool) bool { return listed && s.AuthVariant == body }
	default:
		isListed = func(_ terra.Source, listed bool) bool { return !listed }
	}
	var inForce func(context.Context) (bool, error) // nil: the list of sources tells
	if body == "standard" {
		inForce = func(ctx context.Context) (bool, error) {
			answer, err := client.GetCredentials(ctx, devID, slug)
			return answer.Credential == nil || answer.TerraOwned, err
		}
	}
	return write{digest: env.plainDigest(change, body), isListed: isListed, inForce: inForce, send: func(ctx context.Context, key terra.IdempotencyKey) (bool, error) {
		var answer terra.Source
		var err error
		switch change.Action {
		case plan.Enable:
			answer, err = client.EnableSource(ctx, devID, slug, key)
		case plan.Disable:
			err = client.DisableSource(ctx, devID, slug, key)
			return err == nil, err
		default:
			answer, err = client.UpdateSource(ctx, devID, slug, update, key)
		}
		return err == nil && inForce == nil && isListed(answer, true), err
	}}
}

func (env *environment) writeScopes(c *Connection, change plan.Change) write {
	client, devID, slug := env.client, env.spec.DevID, c.Provider
	if change.Action == plan.ResetScopes {
		return write{digest: env.plainDigest(change, ""), send: func(ctx context.Context, key terra.IdempotencyKey) (bool, error) {
			return false, client.ResetScopes(ctx, devID, slug, key)
		}, inForce: func(ctx context.Context) (bool, error) {
			s, err := client.GetScopes(ctx, devID, slug)
			return !s.Customised, err
		}}
	}
	want := slices.Clone(c.Desired.Scopes.Value)
	slices.Sort(want)
	return write{digest: env.plainDigest(change, strings.Join(want, " ")), send: func(ctx context.Context, key terra.IdempotencyKey) (bool, error) {
		_, err := client.SetScopes(ctx, devID, slug, want, key)
		return false, err
	}, inForce: func(ctx context.Context) (bool, error) {
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

func (env *environment) writeDomain(ctx context.Context, c *Connection, change plan.Change) (write, error) {
	client, devID, slug := env.client, env.spec.DevID, c.Provider
	want := c.Desired.Domain.Value
	read := func(ctx context.Context) (bool, error) {
		d, found, err := client.GetDomain(ctx, devID, slug)
		if err != nil {
			return false, err
		}
		if found && change.Action == plan.SetDomain && !domainOf(d).Live {
			env.warn(c.Name + ": publish the record that Terra asks for: " + domainOf(d).Publish + ", so that " + d.Hostname + " can serve")
		}
		if change.Action == plan.ReleaseDomain {
			return !found || d.Shared, nil
		}
		return found && strings.EqualFold(d.Hostname, want) || !found && c.sharedDomain != "", nil
	}
	if change.Action == plan.ReleaseDomain {
		if err := env.redirectIsOff(ctx, c, *change.Fields[0].From.Value); err != nil {
			return write{}, err
		}
		return write{digest: env.plainDigest(change, ""), send: func(ctx context.Context, key terra.IdempotencyKey) (bool, error) {
			err := client.DeleteDomain(ctx, devID, slug, key)
			if terra.HasCode(err, terra.CodeConflict) { // the redirect of another environment, or Garmin's webhooks
				err = &notYetError{"Terra keeps it while it is in use elsewhere: " + err.Error()}
			}
			return false, err
		}, inForce: read}, nil
	}
	return write{digest: env.plainDigest(change, want), send: func(ctx context.Context, key terra.IdempotencyKey) (bool, error) {
		answer, err := client.SetDomain(ctx, devID, slug, want, key)
		if err == nil && answer.Shared && domainOf(answer).Live && strings.EqualFold(answer.Hostname, want) {
			c.sharedDomain = want
		}
		return false, err
	}, inForce: read}, nil
}

// redirectIsOff makes sure, right before a domain is released, that no redirect of this
// environment is on it: Terra does not look, and nobody could finish to sign in.
func (env *environment) redirectIsOff(ctx context.Context, c *Connection, host string) error {
	answer, err := env.client.GetCredentials(ctx, env.spec.DevID, c.Provider)
	if terra.IsNotFound(err) {
		return nil // it is not enabled
	}
	if err != nil {
		return fmt.Errorf("look at the redirect before releasing %s: %w", host, err)
	}
	if own := answer.Credential; own != nil && own.RedirectURL != nil {
		if u, err := url.Parse(*own.RedirectURL); err != nil || strings.EqualFold(u.Hostname(), host) {
			return &notYetError{"the live redirect_url is on " + host + "; the next run releases it once that has moved"}
		}
	}
	return nil
}

// writeWebhooks applies exactly the review that the plan has seen.
func (env *environment) writeWebhooks(c *Connection, change plan.Change) write {
	client, devID, slug := env.client, env.spec.DevID, c.Provider
	seen := c.live().Webhooks
	body := terra.WebhookApply{}
	if seen != nil {
		body = terra.WebhookApply{Fingerprint: seen.Fingerprint, AcknowledgeReplacingExisting: seen.HasExisting}
	}
	return write{digest: env.plainDigest(change, body.Fingerprint), send: func(ctx context.Context, key terra.IdempotencyKey) (bool, error) {
		_, err := client.ApplyWebhookEndpoints(ctx, devID, slug, body, key)
		return false, err
	}, inForce: func(ctx context.Context) (bool, error) {
		w, err := client.GetWebhookEndpoints(ctx, devID, slug)
		if err != nil {
			return false, err
		}
		now := webhooksOf(w)
		return now.Pending == 0 || now.Locked, nil
	}}
}

// opened holds the secrets that one change sends.
type opened struct{ secret, verification secrets.Value }

func (env *environment) openFor(c *Connection, change plan.Change) (opened, error) {
	var out opened
	for _, f := range change.Fields {
		var err error
		switch f.Field {
		case plan.FieldClientSecret, plan.FieldClientID: // they travel together
			if c.due > 0 && out.secret.IsZero() {
				out.secret, _, err = env.cache.open(c.sealed[c.due-1])
			}
		case plan.FieldVerificationSecret:
			if c.Desired.VerificationSecret.Mode == plan.Given {
				out.verification, _, err = env.cache.open(c.verification)
			}
		}
		if err != nil {
			return opened{}, err
		}
	}
	return out, nil
}

// writeCredentials sets credentials where Terra has none. It looks again right
// before, because a source that was disabled comes back with the keys it had,
// and a full replace would wipe what nobody has looked at.
func (env *environment) writeCredentials(ctx context.Context, c *Connection, change plan.Change) (write, error) {
	live, err := env.client.GetCredentials(ctx, env.spec.DevID, c.Provider)
	if err != nil {
		return write{}, fmt.Errorf("look before setting credentials: %w", err)
	}
	o, err := env.openFor(c, change)
	if err != nil {
		return write{}, err
	}
	d := c.Desired
	body := terra.CredentialWrite{ClientID: d.ClientID.Value, ClientSecret: o.secret, VerificationSecret: o.verification}
	for _, f := range change.Fields {
		switch f.Field {
		case plan.FieldRedirectURL:
			body.RedirectURL = &d.RedirectURL.Value
		case plan.FieldSandbox:
			body.Sandbox = &d.Sandbox.Value
		}
	}
	out := write{
		digest: env.cache.digester.Digest(body.Canonical()),
		send: func(ctx context.Context, key terra.IdempotencyKey) (bool, error) {
			answer, err := env.client.SetCredentials(ctx, env.spec.DevID, c.Provider, body, key)
			if body.RedirectURL == nil {
				c.noteDefault(answer)
			}
			return false, err
		},
		inForce: env.credentialsHold(c, change, o, ""),
	}
	if live.Credential == nil {
		return out, env.areGone(ctx, c, change)
	}
	return write{}, &notYetError{"Terra has credentials here that the plan has not seen, as when a source comes back with its old ones; the next run compares them"}
}

// areGone makes sure, right before keys are set where there may have been some, that Terra
// takes no patch of keys either: a full replace over live ones would wipe what it does not
// name. Nobody is asked where a person approved that.
func (env *environment) areGone(ctx context.Context, c *Connection, change plan.Change) error {
	mayBeThere := c.Observed != nil && (plan.KeysVanished(c.Connection) || c.Users == nil || !c.Users.Exact || c.Users.Count > 0)
	if !mayBeThere || plan.ApprovedBy(env.input, env.consent, change) != "" {
		return nil
	}
	err := env.proveDryRun(ctx, c)
	there := false
	if err == nil {
		there, err = env.client.TakesCredentials(ctx, env.spec.DevID, c.Provider, c.Desired.ClientID.Value)
	}
	switch {
	case err != nil:
		return fmt.Errorf("make sure that there are no keys: %w", err)
	case there:
		return &notYetError{"Terra shows no keys and takes a change of them, so there are some: nothing is set before it shows them, or a person approves that"}
	}
	return nil
}

// patchCredentials sends exactly what differs. Without credentials at Terra this
// is refused by Terra, and not turned into a full replace.
func (env *environment) patchCredentials(c *Connection, change plan.Change) (write, error) {
	o, err := env.openFor(c, change)
	if err != nil {
		return write{}, err
	}
	d := c.Desired
	body := terra.CredentialPatch{ClientSecret: o.secret}
	replaces, formerMask := false, ""
	for _, f := range change.Fields {
		switch f.Field {
		case plan.FieldClientID:
			body.ClientID = &d.ClientID.Value
		case plan.FieldClientSecret:
			replaces, formerMask = true, f.From.Mask
		case plan.FieldRedirectURL:
			body.RedirectURL = terra.To(d.RedirectURL.Value)
			if f.To.Default {
				body.RedirectURL = terra.Null[string]()
			}
		case plan.FieldVerificationSecret:
			body.VerificationSecret = terra.To(o.verification)
			if f.To.Default {
				body.VerificationSecret = terra.Null[secrets.Value]()
			}
		case plan.FieldSandbox:
			body.Sandbox = &d.Sandbox.Value
		}
	}
	return write{
		digest: env.cache.digester.Digest(body.Canonical()),
		send: func(ctx context.Context, key terra.IdempotencyKey) (bool, error) {
			if replaces && o.secret.IsZero() { // Terra would take it for a patch of other fields
				return false, errors.New("send client secret: it is not at hand; nothing was sent")
			}
			answer, err := env.client.UpdateCredentials(ctx, env.spec.DevID, c.Provider, body, key)
			if body.RedirectURL.Null {
				c.noteDefault(answer)
			}
			if terra.IsNotFound(err) {
				return false, fmt.Errorf("the credentials are gone since they were read; the next run looks again: %w", err)
			}
			return false, err
		},
		inForce: env.credentialsHold(c, change, o, formerMask),
	}, nil
}

// noteDefault takes note of what a redirect_url that is not set reads back as, where that
// is not known without memory.
func (c *Connection) noteDefault(answer terra.Credentials) {
	if own := answer.Credential; own != nil && own.RedirectURL != nil && providers.TerraHost(*own.RedirectURL) == "" {
		c.defaultRedirect = *own.RedirectURL
	}
}

// credentialsHold reads the credentials back and compares every field that was
// sent. A secret is compared by its mask; where the former secret had the same
// mask, or none is shown, by asking Terra for a dry run.
func (env *environment) credentialsHold(c *Connection, change plan.Change, o opened, formerMask string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		answer, err := env.client.GetCredentials(ctx, env.spec.DevID, c.Provider)
		if err != nil {
			return false, err
		}
		live := c.credentialsOf(answer)
		if !live.Set {
			return live.Hidden, nil // until the next change of this connection; the next run compares it
		}
		for _, f := range change.Fields {
			if !c.fieldHolds(f, live, o) {
				return false, nil
			}
		}
		if holds, err := env.replacedHolds(ctx, c, change, o, formerMask, live.ClientID); err != nil || !holds {
			return false, err
		}
		if o.verification.IsZero() || !replacesVerification(change) {
			return true, nil
		}
		return env.secretHolds(ctx, c, live.ClientID, terra.CredentialPatch{VerificationSecret: terra.To(o.verification)})
	}
}

// replacedHolds tells whether a secret that replaced another is the live one.
// Where the masks tell them apart the mask is proof; of a rotation Terra is asked
// all the same, and what it then cannot tell leaves the mask's word.
func (env *environment) replacedHolds(ctx context.Context, c *Connection, change plan.Change, o opened, formerMask, visibleID string) (bool, error) {
	if o.secret.IsZero() || formerMask == "" && change.Action != plan.RotateSecret {
		return true, nil
	}
	same, known := secrets.MaskAgrees(o.secret, formerMask)
	proven := known && !same
	if proven && change.Action != plan.RotateSecret {
		return true, nil
	}
	holds, err := env.secretHolds(ctx, c, visibleID, terra.CredentialPatch{ClientSecret: o.secret})
	if proven && err != nil && mayHaveWritten(err) == "" {
		return true, nil
	}
	return holds, err
}

// replacesVerification tells whether Terra had a verification secret before, so
// that its being there proves nothing.
func replacesVerification(change plan.Change) bool {
	return slices.ContainsFunc(change.Fields, func(f plan.FieldChange) bool {
		return f.Field == plan.FieldVerificationSecret && f.From.Mask != ""
	})
}

func (c *Connection) fieldHolds(f plan.FieldChange, live *plan.Credentials, o opened) bool {
	d := c.Desired
	switch f.Field {
	case plan.FieldClientID:
		return live.ClientID == d.ClientID.Value
	case plan.FieldClientSecret:
		agrees, known := secrets.MaskAgrees(o.secret, live.Mask)
		return agrees || !known
	case plan.FieldSecretRef:
		return !live.SecretRef
	case plan.FieldRedirectURL:
		if f.To.Default {
			return live.RedirectURL == nil || live.IsDefault
		}
		return live.RedirectURL != nil && *live.RedirectURL == d.RedirectURL.Value
	case plan.FieldVerificationSecret:
		return live.HasVerification == !f.To.Default
	case plan.FieldSandbox:
		return live.Sandbox == d.Sandbox.Value
	default:
		return true
	}
}

func (env *environment) secretHolds(ctx context.Context, c *Connection, visibleID string, sent terra.CredentialPatch) (bool, error) {
	if err := env.proveDryRun(ctx, c); err != nil {
		return false, err
	}
	return env.client.CompareCredentials(ctx, env.spec.DevID, c.Provider, visibleID, sent)
}

// noteRefusal takes note that Terra would not take a key because its provider does not,
// and of what that says of the live pair. It gives err, with what the question may have
// written.
func (env *environment) noteRefusal(ctx context.Context, c *Connection, change plan.Change, err error) error {
	var problem *terra.Problem
	if !writesSecret(change) || !errors.As(err, &problem) || problem.Code != terra.CodeCredentialsRejected {
		return err
	}
	c.refusal = "the provider rejects it"
	if problem.Detail != "" {
		c.refusal += ": " + strings.TrimRight(problem.Detail, ". ")
	}
	id := c.liveClientID()
	if id == "" || env.proveDryRun(ctx, c) != nil {
		return err
	}
	// a preview of the client id that Terra shows sends the provider the pair that is live
	_, asked := env.client.CompareCredentials(ctx, env.spec.DevID, c.Provider, id, terra.CredentialPatch{ClientID: &id})
	switch {
	case asked == nil:
		c.control = keys.ControlGood
	case terra.HasCode(asked, terra.CodeCredentialsRejected):
		c.control = keys.ControlBad
	case mayHaveWritten(asked) != "":
		return errors.Join(err, asked)
	}
	return err
}

// proveDryRun has the server prove that it honours dry_run, once, with a source as it
// is now.
func (env *environment) proveDryRun(ctx context.Context, c *Connection) error {
	env.proving.Lock()
	defer env.proving.Unlock()
	if env.proved {
		return nil
	}
	live, err := env.liveSources(ctx)
	if err != nil {
		return err
	}
	source, listed := live[c.Provider]
	if !listed {
		return errors.New("the source is gone")
	}
	err = env.client.ProveDryRun(ctx, env.spec.DevID, source)
	env.proved = err == nil
	return err
}

func isEnabled(s terra.Source, listed bool) bool { return listed && s.Active }
