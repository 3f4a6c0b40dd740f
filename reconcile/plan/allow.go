package plan

import "strings"

// isApproved tells whether a person said yes to this very change: by the hash of
// the plan, or by an allow for each field that the change touches. A client_id
// needs an allow that names its target, a secret_ref one of its own; the secret
// travels with either.
func isApproved(in Input, c Change) bool {
	if in.ApprovedAll {
		return true
	}
	if c.Cause == Prune {
		return findAllow(in, c, "prune", "")
	}
	travels := false // the secret travels with an approved client_id or secret_ref
	for _, f := range c.Fields {
		pair := f.Field == FieldClientID || f.Field == FieldSecretRef
		travels = travels || pair && covered(in, c, f)
	}
	for _, f := range c.Fields {
		if !covered(in, c, f) && !(travels && f.Field == FieldClientSecret) {
			return false
		}
	}
	return len(c.Fields) > 0
}

func covered(in Input, c Change, f FieldChange) bool {
	target := ""
	if f.To.Value != nil {
		target = *f.To.Value
	}
	if findAllow(in, c, f.Field, target) {
		return true
	}
	if f.Field == FieldClientID && c.Action == UpdateCredentials || f.Field == FieldSecretRef {
		return false
	}
	return findAllow(in, c, string(c.Action), "")
}

// findAllow looks for an allow that has not ended, for this connection and this
// word (a field, an action, "prune" or "adopt"). An allow with a target holds
// for that target only; a client_id is never allowed without one.
func findAllow(in Input, c Change, word, target string) bool {
	for _, a := range in.Environment.Allow {
		if !strings.EqualFold(a.Provider, c.Provider) || a.Change != word || !in.Now.Before(a.Until) {
			continue
		}
		if a.To == "" && word != FieldClientID || a.To != "" && a.To == target {
			return true
		}
	}
	return false
}

func expiredAllow(in Input, c Change) (Allow, bool) {
	for _, a := range in.Environment.Allow {
		if strings.EqualFold(a.Provider, c.Provider) && !in.Now.Before(a.Until) &&
			(a.Change == string(c.Action) || a.Change == string(c.Cause) || has(c.Fields, a.Change)) {
			return a, true
		}
	}
	return Allow{}, false
}
