package plan

import (
	"cmp"
	"fmt"
	"slices"
)

// diff compares one connection that a file names with what is live.
type diff struct {
	in          Input
	k           Connection
	id          string
	want        Desired  // of k
	live        Observed // of k, the zero value where it is not live
	isLive      bool
	changes     []Change
	notCompared []NotCompared
	warnings    []Warning
}

// add plans a change, with its cause.
func (d *diff) add(a Action, origin string, fields ...FieldChange) *Change {
	cause := causeOf(d.k, a, fields)
	d.changes = append(d.changes, Change{
		ID: d.id + ":" + string(a), Connection: d.id, Provider: d.k.Provider, Action: a,
		Cause: cause, Reason: causeReason(d.k, a, cause, fields), Fields: fields, Origin: cmp.Or(origin, d.want.Origin),
		Remediations: []Remediation{},
	})
	return &d.changes[len(d.changes)-1]
}

func (d *diff) addState(a Action, from string, to State) {
	d.add(a, d.want.StateOrigin, FieldChange{Field: FieldState, From: text(from), To: text(string(to))})
}

func (d *diff) skip(field, reason string) {
	d.notCompared = append(d.notCompared, NotCompared{Connection: d.id, Field: field, Reason: cmp.Or(reason, "it was not compared in this run")})
}

func (d *diff) warn(text string) { d.warnings = append(d.warnings, Warn(d.id, text)) }

// causeOf says why live and desired differ. A change of several fields is drift
// only when all of them are. Keys that Terra has and nobody remembers are adopted, even
// where the connection itself is known; and what was held of the first set-up of a
// connection stays part of it, for as long as it is.
func causeOf(k Connection, a Action, fields []FieldChange) Cause {
	switch {
	case overwritesForgotten(k, a, fields):
		return Adopt
	case !k.known() && (k.Observed == nil || k.memory().Enabled):
		return Create // enabled by us also in a run that died before it could remember
	case !k.known():
		return Adopt
	}
	if first := k.memory().heldFirst(fields); first != "" {
		return first
	}
	if a == RotateSecret && rejectedIsLive(k) {
		return Rotation
	}
	if a == RotateSecret && k.want().Rejected != nil && k.want().WasLive {
		return Drift // that a newer key was rejected makes this one wanted, no commit does: what is live was set out of band
	}
	tokens := desiredTokens(*k.want())
	if pair := pairOf(fields); a == SetCredentials && len(pair) > 0 {
		fields = pair // a pair that Terra does not have any more was taken away, whatever else is set with it
	}
	for _, f := range fields {
		if k.memory().Fields[f.Field] == tokens[f.Field] {
			continue
		}
		if a == RotateSecret && k.want().Secret.Value.Key > 1 {
			return Rotation
		}
		return Commit
	}
	return Drift
}

func overwritesForgotten(k Connection, a Action, fields []FieldChange) bool {
	if a != RotateSecret && a != UpdateCredentials {
		return false
	}
	return slices.ContainsFunc(fields, func(f FieldChange) bool {
		_, known := k.memory().Fields[f.Field]
		secret := f.Field == FieldClientID || f.Field == FieldClientSecret || f.Field == FieldVerificationSecret && f.From.Mask != ""
		return secret && !known
	})
}

func causeReason(k Connection, a Action, cause Cause, fields []FieldChange) string {
	want := k.want()
	switch {
	case cause == Rotation && rejectedIsLive(k):
		return fmt.Sprintf("back to %s: %s is live and %s", number(want.Secret.Value.Key), number(want.Rejected.Key), want.Rejected.words())
	case cause == Rotation:
		return want.SecretReason
	case cause == Drift && a == Enable:
		return "it was disabled outside this repository"
	case cause == Drift && a == SetCredentials:
		return "Terra has no keys of it any more"
	case cause == Drift:
		return "it was changed outside this repository"
	case cause == Create && k.Observed == nil:
		return "not at Terra yet"
	case cause == Create, cause == Adopt && k.known() && !overwritesForgotten(k, a, fields):
		return "its first set-up is not finished"
	case cause == Adopt && k.known():
		return "Terra has keys here that nobody remembers"
	case cause == Adopt:
		return "found at Terra, not known to be ours"
	case a == RotateSecret && want.SecretReason != "":
		return want.SecretReason
	default:
		return "the repository asks for it"
	}
}
