package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// opened holds the secrets that one change sends.
type opened struct{ secret, verification secrets.Value }

func (a *applier) openFor(c plan.Change, w wanted) (opened, error) {
	var out opened
	for _, f := range c.Fields {
		var err error
		switch f.Field {
		case plan.FieldClientSecret:
			out.secret, _, err = a.p.book.open(w.keys[w.due])
		case plan.FieldVerificationSecret:
			if w.desired.VerificationSecret.Mode == plan.Given {
				out.verification, _, err = a.p.book.open(w.verification)
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
func (a *applier) writeCredentials(ctx context.Context, c plan.Change) (write, error) {
	w := a.wanted(c.Provider)
	live, err := a.p.client.GetCredentials(ctx, a.p.env.DevID, c.Provider)
	if err != nil {
		return write{}, fmt.Errorf("look before setting credentials: %w", err)
	}
	o, err := a.openFor(c, w)
	if err != nil {
		return write{}, err
	}
	body := terra.CredentialWrite{ClientID: w.desired.ClientID.Value, ClientSecret: o.secret, VerificationSecret: o.verification}
	for _, f := range c.Fields {
		switch f.Field {
		case plan.FieldRedirectURL:
			body.RedirectURL = &w.desired.RedirectURL.Value
		case plan.FieldSandbox:
			body.Sandbox = &w.desired.Sandbox.Value
		}
	}
	out := write{
		digest: a.p.book.digester.Digest(body.Canonical()),
		send: func(ctx context.Context, key terra.IdempotencyKey) error {
			_, err := a.p.client.SetCredentials(ctx, a.p.env.DevID, c.Provider, body, key)
			return err
		},
		inForce: a.credentialsHold(c, w, o, ""),
	}
	if live.Credential == nil {
		return out, nil
	}
	return write{}, &notYetError{"Terra has credentials here that the plan has not seen, as when a source comes back with its old ones; the next run compares them"}
}

// patchCredentials sends exactly what differs. Without credentials at Terra this
// is refused by Terra, and not turned into a full replace.
func (a *applier) patchCredentials(_ context.Context, c plan.Change) (write, error) {
	w := a.wanted(c.Provider)
	o, err := a.openFor(c, w)
	if err != nil {
		return write{}, err
	}
	body := terra.CredentialPatch{ClientSecret: o.secret}
	formerMask := ""
	for _, f := range c.Fields {
		switch f.Field {
		case plan.FieldClientID:
			body.ClientID = &w.desired.ClientID.Value
		case plan.FieldClientSecret:
			formerMask = f.From.Mask
		case plan.FieldRedirectURL:
			body.RedirectURL = terra.To(w.desired.RedirectURL.Value)
			if f.To.Default {
				body.RedirectURL = terra.Null[string]()
			}
		case plan.FieldVerificationSecret:
			body.VerificationSecret = terra.To(o.verification)
			if f.To.Default {
				body.VerificationSecret = terra.Null[secrets.Value]()
			}
		case plan.FieldSandbox:
			body.Sandbox = &w.desired.Sandbox.Value
		}
	}
	return write{
		digest: a.p.book.digester.Digest(body.Canonical()),
		send: func(ctx context.Context, key terra.IdempotencyKey) error {
			_, err := a.p.client.UpdateCredentials(ctx, a.p.env.DevID, c.Provider, body, key)
			if terra.IsNotFound(err) {
				return fmt.Errorf("the credentials are gone since they were read; the next run looks again: %w", err)
			}
			return err
		},
		inForce: a.credentialsHold(c, w, o, formerMask),
	}, nil
}

// credentialsHold reads the credentials back and compares every field that was
// sent. A secret is compared by its mask; where the former secret had the same
// mask, or none is shown, by asking Terra for a dry run.
func (a *applier) credentialsHold(c plan.Change, w wanted, o opened, formerMask string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		answer, err := a.p.client.GetCredentials(ctx, a.p.env.DevID, c.Provider)
		if err != nil {
			return false, err
		}
		live := credentialsOf(answer)
		if !live.Set {
			return a.storedHolds(ctx, c, w, o)
		}
		for _, f := range c.Fields {
			if !a.fieldHolds(f, live, w, o) {
				return false, nil
			}
		}
		if holds, err := a.replacedHolds(ctx, c, o, formerMask); err != nil || !holds {
			return false, err
		}
		if o.verification.IsZero() || !replacesVerification(c) {
			return true, nil
		}
		return a.secretHolds(ctx, c, terra.CredentialPatch{VerificationSecret: terra.To(o.verification)})
	}
}

// replacedHolds tells whether a secret that replaced another is the live one.
// Where the masks tell them apart the mask is proof; of a rotation Terra is asked
// all the same, and what it then cannot tell leaves the mask's word.
func (a *applier) replacedHolds(ctx context.Context, c plan.Change, o opened, formerMask string) (bool, error) {
	if o.secret.IsZero() || formerMask == "" && c.Action != plan.RotateSecret {
		return true, nil
	}
	same, known := secrets.MaskAgrees(o.secret, formerMask)
	proven := known && !same
	if proven && c.Action != plan.RotateSecret {
		return true, nil
	}
	holds, err := a.secretHolds(ctx, c, terra.CredentialPatch{ClientSecret: o.secret})
	if proven && err != nil && mayHaveWritten(err) == "" {
		return true, nil
	}
	return holds, err
}

// replacesVerification tells whether Terra had a verification secret before, so
// that its being there proves nothing.
func replacesVerification(c plan.Change) bool {
	return slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool {
		return f.Field == plan.FieldVerificationSecret && f.From.Mask != ""
	})
}

func (a *applier) fieldHolds(f plan.FieldChange, live *plan.Credentials, w wanted, o opened) bool {
	switch f.Field {
	case plan.FieldClientID:
		return live.ClientID == w.desired.ClientID.Value
	case plan.FieldClientSecret:
		agrees, known := secrets.MaskAgrees(o.secret, live.Mask)
		return agrees || !known
	case plan.FieldSecretRef:
		return !live.SecretRef
	case plan.FieldRedirectURL:
		if f.To.Default {
			return live.RedirectURL == nil
		}
		return live.RedirectURL != nil && *live.RedirectURL == w.desired.RedirectURL.Value
	case plan.FieldVerificationSecret:
		return live.HasVerification == !f.To.Default
	case plan.FieldSandbox:
		return live.Sandbox == w.desired.Sandbox.Value
	default:
		return true
	}
}

// storedHolds compares a pair that Terra keeps but does not show, because users
// meet Terra's app until the next change of this connection.
func (a *applier) storedHolds(ctx context.Context, c plan.Change, w wanted, o opened) (bool, error) {
	if !a.p.input.Types[c.Provider].BYO {
		return false, nil
	}
	live, err := a.liveSources(ctx)
	if err != nil {
		return false, err
	}
	return storedPair(ctx, a.p.client, a.p.env.DevID, live[c.Provider], w.desired.ClientID.Value, o.secret)
}

func (a *applier) secretHolds(ctx context.Context, c plan.Change, sent terra.CredentialPatch) (bool, error) {
	live, err := a.liveSources(ctx)
	if err != nil {
		return false, err
	}
	source, ok := live[c.Provider]
	if !ok {
		return false, errors.New("the source is gone")
	}
	if err := a.p.client.ProveDryRun(ctx, a.p.env.DevID, source); err != nil {
		return false, err
	}
	return a.p.client.CompareCredentials(ctx, a.p.env.DevID, c.Provider, sent)
}
