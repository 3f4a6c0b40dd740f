package plan

import (
	"maps"
	"slices"
)

// Remember says what to remember after a run. applied holds the IDs of the
// changes that were applied and verified.
//
// A field is remembered as agreed when it was compared and equal or when its
// change was applied; otherwise what was remembered before stays, so that the
// cause of a held change does not shift with time. A connection that Terra
// already had is remembered only when nothing of its adoption is left open.
// Ownership comes from enabling it, and never goes while it is live.
func Remember(in Input, p Plan, applied map[string]bool) Memory {
	out := Memory{Known: true, Suspended: isSuspended(in), Connections: map[string]Remembered{}}
	for provider, old := range in.Memory.Connections {
		if _, live := in.Observed[provider]; live && !isDesired(in, provider) {
			out.Connections[provider] = old
		}
	}
	for _, c := range p.Changes {
		if c.Cause == Prune && applied[c.ID] {
			delete(out.Connections, c.Provider)
		}
	}
	for _, d := range in.Desired {
		old, known := in.Memory.Connections[d.Provider]
		if m, ok := rememberOne(in, p, d, applied); ok {
			out.Connections[d.Provider] = m
		} else if known {
			out.Connections[d.Provider] = old
		}
	}
	return out
}

func rememberOne(in Input, p Plan, d Desired, applied map[string]bool) (Remembered, bool) {
	old, known := in.Memory.Connections[d.Provider]
	known = known && in.Memory.Known
	id := in.Environment.Name + "/" + d.Provider
	open, ours := map[string]bool{}, old.Enabled
	m := Remembered{Fields: map[string]string{}, Paused: old.Paused, VerifiedAt: old.VerifiedAt, UpdatedAt: in.Now}
	adoptionOpen, enabledNow := false, false
	for _, c := range p.Changes {
		if c.Connection != id {
			continue
		}
		done := applied[c.ID]
		for _, f := range c.Fields {
			open[f.Field] = open[f.Field] || !done
		}
		adoptionOpen = adoptionOpen || !done && c.Cause == Adopt
		switch {
		case done && c.Action == Enable:
			ours, enabledNow = true, true
		case done && c.Action == Disable:
			ours = false
		case done && (c.Action == Pause || c.Action == Resume):
			m.Paused = c.Action == Pause
		}
	}
	for _, n := range p.NotCompared {
		if n.Connection == id {
			open[n.Field] = true
		}
	}
	o, live := in.Observed[d.Provider]
	if live && o.Secret.Result == Differs && !applied[id+":"+string(RotateSecret)] && !applied[id+":"+string(UpdateCredentials)] {
		open[FieldClientSecret] = true // also when another key of the file is live before its time
	}
	if open[""] || !known && adoptionOpen && !enabledNow || !live && !enabledNow && d.State != Disabled {
		return Remembered{}, false
	}
	m.Enabled = ours
	m.Protected = isProtected(in, d.Provider)
	if live && o.Active && !applied[id+":"+string(Pause)] {
		m.Paused = false
	}
	rememberFields(&m, old, d, open)
	if o.Secret.Asked && o.Secret.Result == Equal || applied[id+":"+string(RotateSecret)] ||
		applied[id+":"+string(SetCredentials)] {
		m.VerifiedAt = in.Now
	}
	return m, true
}

func rememberFields(m *Remembered, old Remembered, d Desired, open map[string]bool) {
	for field, token := range desiredTokens(d) {
		kept, had := old.Fields[field]
		switch {
		case !open[field] && !slices.Contains(d.Ignore, field) && !(open["credentials"] && isCredential(field)):
			m.Fields[field] = token
		case had:
			m.Fields[field] = kept
		}
	}
	if d.Secret.Mode == Given && d.Secret.Value.Digest == "" {
		delete(m.Fields, FieldClientSecret)
		maps.Copy(m.Fields, only(old.Fields, FieldClientSecret))
	}
}

func isCredential(field string) bool {
	return slices.Contains([]string{FieldClientID, FieldClientSecret, FieldRedirectURL, FieldVerificationSecret, FieldSandbox}, field)
}

func only(fields map[string]string, name string) map[string]string {
	out := map[string]string{}
	if v, ok := fields[name]; ok {
		out[name] = v
	}
	return out
}

func isDesired(in Input, provider string) bool {
	return slices.ContainsFunc(in.Desired, func(d Desired) bool { return d.Provider == provider })
}

func isSuspended(in Input) bool {
	s := in.Environment.Suspend
	return s != nil && in.Now.Before(s.Until)
}
