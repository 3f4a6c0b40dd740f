package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// UnknownKey is the token of a key that was set by hand before this repository
// was, and that the file says so of: it is known of, so that the first real key
// replaces it as a rotation and not as an adoption.
const UnknownKey = "unknown"

// desiredTokens gives the token of each field that a file manages: the value
// itself, "default", or the keyed digest of a secret.
func desiredTokens(d Desired) map[string]string {
	t := map[string]string{FieldState: string(d.State)}
	put := func(field string, mode Mode, value string) {
		switch mode {
		case Given:
			t[field] = value
		case Default:
			t[field] = "default"
		case Unmanaged:
		}
	}
	put(FieldApp, d.App.Mode, d.App.Value)
	put(FieldClientID, d.ClientID.Mode, d.ClientID.Value)
	put(FieldClientSecret, d.Secret.Mode, d.Secret.Value.Digest)
	if d.UnknownKey {
		t[FieldClientSecret] = UnknownKey
	}
	put(FieldRedirectURL, d.RedirectURL.Mode, d.RedirectURL.Value)
	put(FieldVerificationSecret, d.VerificationSecret.Mode, d.VerificationSecret.Value.Digest)
	put(FieldSandbox, d.Sandbox.Mode, strconv.FormatBool(d.Sandbox.Value))
	if put(FieldScopes, d.Scopes.Mode, ""); d.Scopes.Mode == Given {
		t[FieldScopes] = listToken(sorted(d.Scopes.Value))
	}
	put(FieldDomain, d.Domain.Mode, d.Domain.Value)
	put(FieldWebhooks, d.Webhooks.Mode, "managed")
	return t
}

func listToken(s []string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return "" // a list of strings always marshals
	}
	return string(b)
}

// causeOf says why live and desired differ. A change of several fields is drift
// only when all of them are. Keys that Terra has and nobody remembers are
// adopted, even where the connection itself is known, and so is what was held of
// the first set-up of a connection, for as long as it is.
func (d *diff) causeOf(a Action, fields []FieldChange) Cause {
	if !d.isKnown || d.overwritesForgotten(a, fields) || d.remembered.held(fields, Adopt) {
		return Adopt
	}
	if a == RotateSecret && d.refusedIsLive() {
		return Rotation
	}
	if a == RotateSecret && d.want.Refused != nil && d.want.WasLive {
		return Drift // the mark of a newer key makes this one wanted, no commit does: what is live was set by hand
	}
	tokens := desiredTokens(d.want)
	for _, f := range decisive(a, fields) {
		if d.remembered.Fields[f.Field] == tokens[f.Field] {
			continue
		}
		if a == RotateSecret && d.want.Secret.Value.Key > 1 {
			return Rotation
		}
		return Commit
	}
	return Drift
}

// decisive gives the fields whose cause a change has. A pair that Terra does not
// have any more was taken away, whatever else is set with it.
func decisive(a Action, fields []FieldChange) []FieldChange {
	if pair := pairOf(fields); a == SetCredentials && len(pair) > 0 {
		return pair
	}
	return fields
}

func pairOf(fields []FieldChange) []FieldChange {
	return slices.DeleteFunc(slices.Clone(fields), func(f FieldChange) bool { return f.Field != FieldClientID && f.Field != FieldClientSecret })
}

func (d *diff) overwritesForgotten(a Action, fields []FieldChange) bool {
	if a != RotateSecret && a != UpdateCredentials {
		return false
	}
	for _, f := range fields {
		_, known := d.remembered.Fields[f.Field]
		secret := f.Field == FieldClientID || f.Field == FieldClientSecret || f.Field == FieldVerificationSecret && f.From.Mask != ""
		if secret && !known {
			return true
		}
	}
	return false
}

// number names a key of the file.
func number(key int) string { return fmt.Sprintf("key %d", key) }

// held tells whether a change of any of the fields was held for this cause.
func (m Remembered) held(fields []FieldChange, cause Cause) bool {
	for _, f := range fields {
		if m.Held[f.Field] == cause {
			return true
		}
	}
	return false
}

func (d *diff) reason(a Action, cause Cause, fields []FieldChange) string {
	switch {
	case cause == Rotation && d.refusedIsLive():
		return fmt.Sprintf("back to %s: %s is live and %s", number(d.want.Secret.Value.Key), number(d.want.Refused.Key), d.want.Refused.words())
	case cause == Rotation:
		return d.want.SecretReason
	case cause == Drift && a == Enable:
		return "it was disabled outside this repository"
	case cause == Drift:
		return "it was changed outside this repository"
	case cause == Adopt && !d.isLive:
		return "not at Terra yet"
	case cause == Adopt && d.isKnown && !d.overwritesForgotten(a, fields):
		return "its first set-up is not finished"
	case cause == Adopt && d.isKnown:
		return "Terra has keys here that nobody remembers"
	case cause == Adopt:
		return "found at Terra, not known to be ours"
	case a == RotateSecret && d.want.SecretReason != "":
		return d.want.SecretReason
	default:
		return "the repository asks for it"
	}
}
