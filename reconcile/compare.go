package reconcile

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// compare fills in how the live secrets compare with the desired ones, although
// Terra never returns them. Evidence for client_secret, strongest need first:
//
//	another client_id        -> nothing to compare, both are sent together
//	masks differ             -> differs
//	masks agree, and memory agrees and is fresh -> equal
//	else                     -> ask Terra: a dry run that would change nothing is equal
//
// Memory alone is not enough where a mask could tell and does not: a secret shorter
// than eight characters has none, and one of another form proves nothing. A
// verification secret is never masked, so only memory and Terra can tell. opened are
// secrets that were opened for their digests just now.
func (o *observer) compare(ctx context.Context, w wanted, source terra.Source, opened map[string]secrets.Value, out *plan.Observed) error {
	live := out.Credentials
	if !live.Set || live.SecretRef {
		return nil
	}
	id := w.desired.ClientID
	agrees := id.Mode != plan.Given || id.Value == live.ClientID
	s := w.desired.Secret
	if agrees && (s.Mode == plan.Given && s.Value.Closed == "" || w.desired.Refused != nil && o.book.closed() == "") {
		c, err := o.compareSecret(ctx, w, source, opened[plan.FieldClientSecret], live.Mask)
		if err != nil {
			return err
		}
		out.Secret = c
	}
	if v := w.desired.VerificationSecret; v.Mode == plan.Given && v.Value.Closed == "" && live.HasVerification {
		if o.fresh(w, plan.FieldVerificationSecret, v.Value.Digest) {
			out.Verification = plan.Comparison{Result: plan.Equal}
			return nil
		}
		c, err := o.ask(ctx, w, source, w.verification, opened[plan.FieldVerificationSecret])
		if err != nil {
			return err
		}
		out.Verification = c
	}
	return nil
}

func (o *observer) compareSecret(ctx context.Context, w wanted, source terra.Source, opened secrets.Value, mask string) (plan.Comparison, error) {
	if w.desired.Secret.Mode != plan.Given { // all that is due was rejected
		return o.liveKey(ctx, w, source, mask)
	}
	told, err := o.compareMask(w, w.due, mask)
	if err != nil {
		return plan.Comparison{}, err
	}
	if told != plan.Differs {
		if told == plan.Equal && o.fresh(w, plan.FieldClientSecret, w.desired.Secret.Value.Digest) {
			return plan.Comparison{Result: plan.Equal, LiveKey: w.due + 1}, nil
		}
		c, err := o.ask(ctx, w, source, w.keys[w.due], opened)
		if err != nil || c.Result != plan.Differs {
			c.LiveKey = w.due + 1
			return c, err
		}
	}
	return o.liveKey(ctx, w, source, mask)
}

// liveKey finds out whether another key of the file is the live one, newest
// first. Only keys whose mask agrees are asked about.
func (o *observer) liveKey(ctx context.Context, w wanted, source terra.Source, mask string) (plan.Comparison, error) {
	out := plan.Comparison{Result: plan.Differs}
	for i := len(w.keys) - 1; i >= 0; i-- {
		if i == w.due || w.keys[i].sealed.IsZero() {
			continue
		}
		told, err := o.compareMask(w, i, mask)
		if err != nil || told == plan.Differs {
			continue // a key that does not open cannot be told to be live
		}
		c, err := o.ask(ctx, w, source, w.keys[i], secrets.Value{})
		switch {
		case err != nil:
			return plan.Comparison{}, err
		case c.Result == plan.Uncertain:
			return c, nil
		case c.Result == plan.Equal:
			out.LiveKey = i + 1
			return out, nil
		}
	}
	out.ByHand = o.byHand(w, mask)
	return out, nil
}

// byHand tells whether the live secret, which is no key of the file, is surely not
// the one that was last agreed: that one is a key of the file, or its mask differs.
func (o *observer) byHand(w wanted, mask string) bool {
	m, known := o.memory.Connections[w.desired.Provider]
	agreed := m.Fields[plan.FieldClientSecret]
	if !known || !o.memory.Known {
		return false
	}
	p, _ := providers.Lookup(w.desired.Provider)
	for i := range w.keys {
		if w.keys[i].sealed.IsZero() {
			continue
		}
		if d, err := o.book.digest(w.keys[i], p); err == nil && secrets.DigestsAgree(d.Value, agreed) {
			return true
		}
	}
	before, seen := o.book.maskOf(agreed)
	return seen && isMask(mask) && before != o.book.digester.MaskDigest(mask)
}

// compareMask compares a key with the mask that Terra shows of the live one. Masks
// that differ prove that the secrets do; Equal says no more than that the masks
// are. A mask of another form, or a secret too short to have one, proves nothing.
func (o *observer) compareMask(w wanted, key int, mask string) (plan.Compared, error) {
	p, _ := providers.Lookup(w.desired.Provider)
	d, err := o.book.digest(w.keys[key], p)
	switch {
	case err != nil:
		return plan.Uncertain, err
	case d.Mask == "" || !isMask(mask):
		return plan.Uncertain, nil
	case d.Mask != o.book.digester.MaskDigest(mask):
		return plan.Differs, nil
	default:
		return plan.Equal, nil
	}
}

// isMask tells whether a mask has the documented form: `****` and four characters.
func isMask(mask string) bool {
	tail, stars := strings.CutPrefix(mask, "****")
	return stars && utf8.RuneCountInString(tail) == 4
}

// fresh tells whether memory says that this secret was agreed, recently enough.
func (o *observer) fresh(w wanted, field, digest string) bool {
	m, known := o.memory.Connections[w.desired.Provider]
	age := o.o.Now().Sub(m.VerifiedAt)
	return known && o.memory.Known && secrets.DigestsAgree(m.Fields[field], digest) && age >= 0 && age < o.env.VerifyEvery
}

// storedPair asks whether Terra keeps exactly this pair although it shows none:
// where users meet Terra's app, a pair of our own is kept and not shown. It is
// an error when Terra cannot be asked.
func storedPair(ctx context.Context, client *terra.Client, devID string, source terra.Source, id string, secret secrets.Value) (bool, error) {
	if err := client.ProveDryRun(ctx, devID, source); err != nil {
		return false, err
	}
	for _, patch := range []terra.CredentialPatch{{ClientID: &id}, {ClientSecret: secret}} {
		equal, err := client.CompareCredentials(ctx, devID, source.Provider, patch)
		if terra.IsNotFound(err) {
			return false, nil // nothing is kept
		}
		if err != nil || !equal {
			return false, err
		}
	}
	return true, nil
}

// showStored fills in a pair that we have set and that Terra keeps unshown, so
// that choosing the own app again needs no full replace. Fields beside the pair
// are compared once Terra shows them.
func (o *observer) showStored(ctx context.Context, w wanted, source terra.Source, out *plan.Observed) error {
	d := w.desired
	_, ours := o.memory.Connections[d.Provider].Fields[plan.FieldClientSecret]
	if out.Credentials.Set || out.Variant != "standard" || !ours || w.due < 0 || d.ClientID.Mode != plan.Given || d.Secret.Value.Digest == "" {
		return nil
	}
	v, _, err := o.book.open(w.keys[w.due])
	if err != nil {
		return err
	}
	stored, err := storedPair(ctx, o.client, o.env.DevID, source, d.ClientID.Value, v)
	if err != nil || !stored {
		return err
	}
	out.Credentials = &plan.Credentials{Set: true, ClientID: d.ClientID.Value, Sandbox: d.Sandbox.Value, HasVerification: d.VerificationSecret.Mode == plan.Given}
	if d.RedirectURL.Mode == plan.Given {
		out.Credentials.RedirectURL = &d.RedirectURL.Value
	}
	out.Secret = plan.Comparison{Result: plan.Equal, Asked: true}
	out.Verification = plan.Comparison{Result: plan.Equal}
	return nil
}

// ask lets Terra compare one secret by a dry run of a patch. What keeps it from
// telling becomes an uncertain comparison, but an answer that may have been a
// write is an error. v is the secret where it is open already, else zero.
func (o *observer) ask(ctx context.Context, w wanted, source terra.Source, s sealedSecret, v secrets.Value) (plan.Comparison, error) {
	field := s.binding.Field
	if v.IsZero() {
		var err error
		if v, _, err = o.book.open(s); err != nil {
			return inconclusive(err)
		}
	}
	patch := terra.CredentialPatch{ClientSecret: v}
	if field == plan.FieldVerificationSecret {
		patch = terra.CredentialPatch{VerificationSecret: terra.To(v)}
	}
	err := o.client.ProveDryRun(ctx, o.env.DevID, source)
	var equal bool
	if err == nil {
		equal, err = o.compareAt(ctx, w.desired.Provider, field, patch)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return plan.Comparison{}, err
	case err != nil:
		return inconclusive(err)
	case equal:
		return plan.Comparison{Result: plan.Equal, Asked: true}, nil
	default:
		return plan.Comparison{Result: plan.Differs, Asked: true}, nil
	}
}

// inconclusive turns what kept Terra from telling into an uncertain comparison.
// An answer that may have been a write stays an error.
func inconclusive(err error) (plan.Comparison, error) {
	var wrote *terra.MayHaveWrittenError
	if errors.As(err, &wrote) {
		return plan.Comparison{}, err
	}
	return plan.Comparison{Result: plan.Uncertain, Reason: err.Error()}, nil
}
