package reconcile

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// compare reads a live connection, unless it was read before, and fills in how its
// secrets compare with those of the file.
func (env *environment) compare(ctx context.Context, c *Connection) error {
	if c.Observed == nil || !c.isCompared() || c.resolved.Unreadable != "" {
		return nil
	}
	if c.answers == nil {
		if err := env.readConnection(ctx, c); err != nil {
			return err
		}
	}
	out := *c.answers
	if env.openUnfamiliar(c, out); env.familiar.givesAway(out) {
		out = plan.Observed{Failed: showsSecret(c)}
	}
	out.Active, out.Variant = c.source.Active, cmp.Or(c.source.AuthVariant, "standard")
	if out.Credentials != nil {
		ask := asking{env: env, c: c}
		switch err := ask.secrets(ctx, &out); {
		case err == nil:
			ask.hidden(&out)
		case ctx.Err() != nil, mayHaveWritten(err) != "":
			return err
		default:
			out = plan.Observed{Active: out.Active, Variant: out.Variant, Failed: err.Error()}
		}
	}
	c.Observed = &out
	return nil
}

// asking finds out how the live secrets of a connection compare with the desired ones,
// although Terra never returns them. Evidence for client_secret, strongest need first:
//
//	another client_id        -> nothing to compare, both are sent together
//	masks differ             -> differs
//	masks agree, and memory agrees and is fresh -> equal
//	else                     -> ask Terra: a dry run that would change nothing is equal
//
// Memory alone is not enough where a mask could tell and does not: a secret shorter
// than eight characters has none, and one of another form proves nothing. A
// verification secret is never masked, so only memory and Terra can tell.
type asking struct {
	env *environment
	c   *Connection

	visibleID string // the live client id, as Terra shows it
}

func (a asking) secrets(ctx context.Context, out *plan.Observed) (err error) {
	d, live, cache := a.c.resolved, out.Credentials, a.env.cache
	a.visibleID = live.ClientID
	if !live.Set || live.SecretRef {
		return nil
	}
	agrees := d.ClientID.Mode != plan.Given || d.ClientID.Value == live.ClientID
	if agrees && (d.Secret.Mode == plan.Given && d.Secret.Value.Closed == "" || d.Rejected != nil && cache.closed() == "") {
		if out.Secret, err = a.secret(ctx, live.Mask); err != nil {
			return err
		}
	}
	if agrees && d.UnknownKey {
		if out.Secret, err = a.unknown(ctx, live.Mask, out.Secret); err != nil {
			return err
		}
	}
	if !agrees && d.Secret.Mode == plan.Given && d.Secret.Value.Closed == "" { // sent together, so Terra is not asked
		if masks, err := a.mask(a.c.due, live.Mask); err == nil && masks == plan.Equal && a.fresh(plan.FieldClientSecret, d.Secret.Value.Digest) {
			out.Secret = plan.Comparison{Result: plan.Equal, LiveKey: a.c.due}
		}
	}
	if v := d.VerificationSecret; v.Mode == plan.Given && v.Value.Closed == "" && live.HasVerification {
		if a.fresh(plan.FieldVerificationSecret, v.Value.Digest) {
			out.Verification = plan.Comparison{Result: plan.Equal}
			return nil
		}
		out.Verification, err = a.terra(ctx, a.c.verification)
	}
	return err
}

func (a asking) secret(ctx context.Context, mask string) (plan.Comparison, error) {
	d, due := a.c.resolved, a.c.due
	if d.Secret.Mode != plan.Given { // all that is due was rejected
		return a.liveKey(ctx, mask)
	}
	masks, err := a.mask(due, mask)
	if err != nil {
		return plan.Comparison{}, err
	}
	if masks != plan.Differs {
		if masks == plan.Equal && a.fresh(plan.FieldClientSecret, d.Secret.Value.Digest) {
			return plan.Comparison{Result: plan.Equal, LiveKey: due}, nil
		}
		answer, err := a.terra(ctx, a.c.sealed[due-1])
		if err != nil || answer.Result != plan.Differs {
			answer.LiveKey = due
			return answer, err
		}
	}
	return a.liveKey(ctx, mask)
}

// unknown looks at a live key that is to stay unknown: only its mask can tell whether it
// is the one that was agreed. Another one may be a later key of the file, which seen
// tells where all that is due was rejected.
func (a asking) unknown(ctx context.Context, mask string, seen plan.Comparison) (plan.Comparison, error) {
	out := seen
	if out.Result == "" && a.replaced(mask) {
		later, err := a.liveKey(ctx, mask)
		if err != nil || later.LiveKey > 0 || later.Result == plan.Uncertain {
			return later, err
		}
		out.OutOfBand = true
	}
	if a.env.cache.lasting && secrets.IsMask(mask) && out.LiveKey == 0 && out.Result != plan.Uncertain {
		out.MaskDigest = a.env.cache.digester.MaskDigest(mask)
	}
	return out, nil
}

// liveKey finds out whether another key of the file is the live one, newest first.
// Only keys whose mask agrees are asked about.
func (a asking) liveKey(ctx context.Context, mask string) (plan.Comparison, error) {
	out := plan.Comparison{Result: plan.Differs}
	for i, key := range slices.Backward(a.c.sealed) {
		if i == a.c.due-1 || key.sealed.IsZero() {
			continue
		}
		masks, err := a.mask(i+1, mask)
		if err != nil || masks == plan.Differs {
			continue // a key that does not open cannot be told to be live
		}
		answer, err := a.terra(ctx, key)
		switch {
		case err != nil:
			return plan.Comparison{}, err
		case answer.Result == plan.Uncertain && masks == plan.Equal && a.agreed(i+1):
			out.LiveKey = i + 1 // Terra does not tell; memory and the mask agree, and another key is due all the same
			return out, nil
		case answer.Result == plan.Uncertain && masks == plan.Equal && i+1 < a.c.due:
			return out, nil // by its mask it is not the one that is due, and no later one
		case answer.Result == plan.Uncertain:
			return answer, nil
		case answer.Result == plan.Equal:
			out.LiveKey = i + 1
			return out, nil
		}
	}
	out.OutOfBand = a.outOfBand(mask)
	return out, nil
}

// outOfBand tells whether the live secret, which is no key of the file, is surely not
// the one that was last agreed: that one is a key of the file, or its mask differs.
func (a asking) outOfBand(mask string) bool {
	if a.c.Remembered == nil {
		return false
	}
	agreed := a.c.Remembered.Fields[plan.FieldClientSecret]
	if agreed == plan.UnknownKey {
		return a.replaced(mask)
	}
	for _, key := range a.c.sealed {
		if key.sealed.IsZero() {
			continue
		}
		if d, err := a.env.cache.digest(key, a.c.catalogue); err == nil && secrets.DigestsAgree(d.Value, agreed) {
			return true
		}
	}
	before, seen := a.env.cache.maskOf(agreed)
	return seen && secrets.IsMask(mask) && before != a.env.cache.digester.MaskDigest(mask)
}

// replaced tells whether the live secret is surely not the unknown one that was agreed.
func (a asking) replaced(mask string) bool {
	m := a.c.Remembered
	return m != nil && m.Fields[plan.FieldClientSecret] == plan.UnknownKey && m.UnknownMask != "" &&
		secrets.IsMask(mask) && m.UnknownMask != a.env.cache.digester.MaskDigest(mask)
}

// agreed tells whether memory says that a key of the file was the live one.
func (a asking) agreed(key int) bool {
	d, err := a.env.cache.digest(a.c.sealed[key-1], a.c.catalogue)
	return err == nil && a.c.Remembered != nil && secrets.DigestsAgree(d.Value, a.c.Remembered.Fields[plan.FieldClientSecret])
}

// mask compares a key with the mask that Terra shows of the live one. Masks that differ
// prove that the secrets do; Equal says no more than that the masks are. A mask of
// another form, or a secret too short to have one, proves nothing.
func (a asking) mask(key int, mask string) (plan.Compared, error) {
	d, err := a.env.cache.digest(a.c.sealed[key-1], a.c.catalogue)
	switch {
	case err != nil:
		return plan.Uncertain, err
	case d.Mask == "" || !secrets.IsMask(mask):
		return plan.Uncertain, nil
	case d.Mask != a.env.cache.digester.MaskDigest(mask):
		return plan.Differs, nil
	default:
		return plan.Equal, nil
	}
}

// fresh tells whether memory says that this secret was agreed, recently enough.
func (a asking) fresh(field, digest string) bool {
	m := a.c.Remembered
	if m == nil {
		return false
	}
	age := a.env.o.Now().Sub(m.VerifiedAt)
	return secrets.DigestsAgree(m.Fields[field], digest) && age >= 0 && age < a.env.spec.VerifyEvery
}

// terra lets Terra compare one secret by a dry run of a patch. What keeps it from
// telling becomes an uncertain comparison, but an answer that may have been a write is
// an error.
func (a asking) terra(ctx context.Context, s sealedSecret) (plan.Comparison, error) {
	field := s.binding.Field
	v, _, err := a.env.cache.open(s)
	patch := terra.CredentialPatch{ClientSecret: v}
	if field == plan.FieldVerificationSecret {
		patch = terra.CredentialPatch{VerificationSecret: terra.To(v)}
	}
	if err == nil {
		err = a.env.client.ProveDryRun(ctx, a.env.spec.DevID, a.c.source)
	}
	equal := false
	if err == nil {
		equal, err = a.env.ask(ctx, a.c.Provider, a.visibleID, patch, field)
	}
	switch {
	case err != nil && (ctx.Err() != nil || mayHaveWritten(err) != ""):
		return plan.Comparison{}, err
	case err != nil:
		return plan.Comparison{Result: plan.Uncertain, Reason: err.Error()}, nil //nolint:nilerr // it is the comparison's reason
	case equal:
		return plan.Comparison{Result: plan.Equal, Asked: true}, nil
	default:
		return plan.Comparison{Result: plan.Differs, Asked: true}, nil
	}
}

// ask asks Terra about one field. A comparison that has left is answered even when the
// run ends, because its answer tells whether it was a write.
func (env *environment) ask(ctx context.Context, provider, visibleID string, patch terra.CredentialPatch, field string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	equal, err := env.client.CompareCredentials(env.request.inFlight(), env.spec.DevID, provider, visibleID, patch)
	env.wrote.compared(provider+"/"+field, err)
	return equal, err
}

// hidden fills in a pair that we have set and that Terra does not show, because users
// meet its own app: choosing the own app again then needs no full replace. Terra cannot be
// asked about what it does not show, so memory has to agree; all of it is compared once
// Terra shows it.
func (a asking) hidden(out *plan.Observed) {
	d, m := a.c.resolved, a.c.Remembered
	if !out.Credentials.Hidden || m == nil || d.ClientID.Mode != plan.Given || m.Fields[plan.FieldClientID] != d.ClientID.Value ||
		!secrets.DigestsAgree(m.Fields[plan.FieldClientSecret], d.Secret.Value.Digest) {
		return
	}
	out.Credentials = &plan.Credentials{Set: true, TerraOwned: out.Credentials.TerraOwned, ClientID: d.ClientID.Value, Sandbox: d.Sandbox.Value, HasVerification: d.VerificationSecret.Mode == plan.Given}
	if d.RedirectURL.Mode == plan.Given {
		out.Credentials.RedirectURL = &d.RedirectURL.Value
	}
	out.Secret = plan.Comparison{Result: plan.Equal}
	out.Verification = plan.Comparison{Result: plan.Equal}
}

// written collects what comparisons may have written on a server that does not honour
// dry_run. Comparisons run side by side, so there can be several, and one without an
// answer counts once another has shown what the server does.
type written struct {
	mu      sync.Mutex
	fields  []string
	unclear []string
}

// wroteError says which fields a dry run may have written.
type wroteError struct {
	fields []string
	err    error
}

func (e *wroteError) Error() string {
	if len(e.fields) < 2 {
		return e.err.Error()
	}
	return e.err.Error() + "; all that may have been written: " + strings.Join(e.fields, ", ")
}

func (e *wroteError) Unwrap() error { return e.err }

// compared takes note of how a comparison of one field ended.
func (w *written) compared(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var problem *terra.Problem
	var connection *terra.ConnectionError
	var bad *terra.BadAnswerError
	switch {
	case mayHaveWritten(err) != "":
		w.fields = append(w.fields, name)
	case errors.As(err, &connection), errors.As(err, &bad), errors.As(err, &problem) && problem.Status >= 500:
		w.unclear = append(w.unclear, name)
	}
}

// orElse gives the error to report: what may have been written, else err.
func (w *written) orElse(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := mayHaveWritten(err)
	if name == "" && len(w.fields) == 0 {
		return err
	}
	fields := append(slices.Clone(w.fields), w.unclear...)
	if name != "" {
		fields = append(fields, name)
	}
	slices.Sort(fields)
	return &wroteError{slices.Compact(fields), err}
}

// mayHaveWritten names the field that a comparison may have written, "" for none.
func mayHaveWritten(err error) string {
	var wrote *terra.MayHaveWrittenError
	if !errors.As(err, &wrote) {
		return ""
	}
	return wrote.Provider + "/" + wrote.Field
}
