package plan

import "strings"

// isApproved tells whether a person said yes to this very change: by the hash of
// the plan, or by an allow for each field that the change touches. A client_id
// needs an allow that names its target; the secret travels with it.
func isApproved(in Input, c Change) bool {
	if in.ApprovedAll {
		return true
	}
	if c.Cause == Prune {
		_, ok := findAllow(in, c, "prune", "")
		return ok
	}
	idCovered := false
	for _, f := range c.Fields {
		switch f.Field {
		case FieldClientID:
			_, idCovered = findAllow(in, c, FieldClientID, *orEmpty(f.To.Value))
			if !idCovered {
				return false
			}
		case FieldClientSecret:
			if idCovered || covered(in, c, f) {
				continue
			}
			return false
		default:
			if !covered(in, c, f) {
				return false
			}
		}
	}
	return len(c.Fields) > 0
}

func covered(in Input, c Change, f FieldChange) bool {
	target := ""
	if f.To.Value != nil {
		target = *f.To.Value
	}
	if _, ok := findAllow(in, c, f.Field, target); ok {
		return true
	}
	_, ok := findAllow(in, c, string(c.Action), "")
	return ok
}

// findAllow looks for an allow that has not ended, for this connection and this
// word (a field, an action or "prune"). An allow with a target holds for that
// target only; a client_id is never allowed without one.
func findAllow(in Input, c Change, word, target string) (Allow, bool) {
	for _, a := range in.Environment.Allow {
		if !strings.EqualFold(a.Provider, c.Provider) || a.Change != word || !in.Now.Before(a.Until) {
			continue
		}
		if a.To == target || a.To == "" && word != FieldClientID {
			return a, true
		}
	}
	return Allow{}, false
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

func orEmpty(s *string) *string {
	if s == nil {
		s = new(string)
	}
	return s
}
