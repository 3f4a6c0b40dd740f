package plan

import (
	"strconv"
	"strings"
	"time"
)

// isAllowed tells whether a commit approves this very change: by an allow for each
// field that the change touches. A client_id needs an allow that names its target, a
// secret_ref one of its own; the secret travels with either.
func isAllowed(in Input, c Change) bool {
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

// allowsOf gives the allows that are about a provider.
func (in Input) allowsOf(provider string) (of []Allow) {
	if in.allows != nil {
		return in.allows[strings.ToLower(provider)]
	}
	for _, a := range in.Environment.Allow {
		if strings.EqualFold(a.Provider, provider) {
			of = append(of, a)
		}
	}
	return of
}

// findAllow looks for an allow that has not ended, for this connection and this
// word (a field, an action, "prune" or "adopt"). An allow with a target holds
// for that target only; a client_id is never allowed without one.
func findAllow(in Input, c Change, word, target string) bool {
	for _, a := range in.allowsOf(c.Provider) {
		if a.Change != word || !in.Now.Before(a.Until) {
			continue
		}
		if a.To == "" && word != FieldClientID || a.To != "" && a.To == target {
			return true
		}
	}
	return false
}

func expiredAllow(in Input, c Change) (Allow, bool) {
	for _, a := range in.allowsOf(c.Provider) {
		if !in.Now.Before(a.Until) &&
			(a.Change == string(c.Action) || a.Change == string(c.Cause) || a.Change == string(Adopt) && c.Cause.IsFirst() || has(c.Fields, a.Change)) {
			return a, true
		}
	}
	return Allow{}, false
}

// allowFor is how long an allow lasts that a plan proposes.
const allowFor = 7 * 24 * time.Hour

// allowRemediation proposes the policy that allows a change, with a reason to fill in.
func allowRemediation(in Input, k Connection, c Change) Remediation {
	var rows []string
	for _, a := range allowsFor(in, c) {
		row := "{"
		if k.Desired == nil {
			row += "connection: " + a.Provider + ", "
		}
		row += "change: " + a.Change
		if a.To != "" {
			row += ", to: " + strconv.Quote(a.To)
		}
		rows = append(rows, row+", until: "+a.Until.Format(time.DateOnly)+", reason: \"...\"}")
	}
	where := file(in.Environment.Origin)
	if k.Desired != nil {
		where = file(k.Desired.Origin)
	}
	return Remediation{Kind: ByAllow, File: where, YAML: "policy: {allow: [" + strings.Join(rows, ", ") + "]}"}
}

// allowsFor gives the least that approves a change: one word for the whole of it,
// or, where it may hold a client_id or secret_ref, one for each field.
func allowsFor(in Input, c Change) []Allow {
	until := in.Now.Add(allowFor).UTC().Truncate(24 * time.Hour)
	one := func(word, to string) Allow {
		return Allow{Provider: c.Provider, Change: word, To: to, Until: until}
	}
	switch {
	case c.Cause == Prune:
		return []Allow{one("prune", "")}
	case c.Action != UpdateCredentials:
		return []Allow{one(string(c.Action), "")}
	}
	var out []Allow
	travels := has(c.Fields, FieldClientID) || has(c.Fields, FieldSecretRef)
	for _, f := range c.Fields {
		if f.Field != FieldClientSecret || !travels {
			out = append(out, one(f.Field, target([]FieldChange{f}, f.Field)))
		}
	}
	return out
}
