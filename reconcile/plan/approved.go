package plan

import "strings"

// ApprovedBy gives where the yes for a change stands: "hash" when a person approved
// the hash of this very plan, the origin of an allow that is about it, or "" when
// there is neither. It decides nothing.
func ApprovedBy(in Input, c Change) string {
	if in.ApprovedAll {
		return "hash"
	}
	if !isApproved(in, c) && !findAllow(in, c, string(Adopt), "") {
		return ""
	}
	for _, a := range in.Environment.Allow {
		if !strings.EqualFold(a.Provider, c.Provider) || !in.Now.Before(a.Until) {
			continue
		}
		switch {
		case a.Change == string(c.Action), a.Change == string(c.Cause):
			return a.Origin
		case has(c.Fields, a.Change) && (a.To == "" || a.To == target(c.Fields, a.Change)):
			return a.Origin
		}
	}
	return ""
}

// target is the value that a change gives a field, "" where it shows none.
func target(fields []FieldChange, field string) string {
	for _, f := range fields {
		if f.Field == field && f.To.Value != nil {
			return *f.To.Value
		}
	}
	return ""
}
