package plan

import (
	"reflect"
	"slices"
	"time"
)

// Remember says what to remember after a run. applied holds the IDs of the
// changes that were applied and verified.
//
// A field is remembered as agreed when it was compared and equal or when its
// change was applied; otherwise what was remembered before stays, so that the
// cause of a held change does not shift with time. A connection that Terra
// already had is adopted only when nothing of that is left open; until then it is
// noted, so that its protection and a suspend are not forgotten. One that should
// be disabled and was never seen is noted too: that a list lacks it proves little.
// Ownership comes from enabling it, and ends when Terra no longer lists it.
func Remember(in Input, p Plan, applied map[string]bool) Memory {
	out := Memory{Known: true, Suspended: isHeld(in), Connections: map[string]Remembered{}}
	if in.Memory.Known {
		for provider, old := range in.Memory.Connections {
			_, live := in.Observed[provider]
			if live || isDesired(in, provider) || doubtful(in) {
				out.Connections[provider] = old
			}
		}
	}
	for _, c := range p.Changes {
		if c.Cause == Prune && applied[c.ID] {
			delete(out.Connections, c.Provider)
		}
	}
	for _, d := range in.Desired {
		if m, ok := newRun(in, p, d, applied).remember(); ok {
			out.Connections[d.Provider] = m
		} else if _, had := out.Connections[d.Provider]; !had {
			out.Connections[d.Provider] = Remembered{Noted: true, Fields: map[string]string{}}
		}
	}
	for provider, m := range out.Connections {
		m = settle(in, p, provider, m, applied)
		old := in.Memory.of(provider)
		if m.UpdatedAt = old.UpdatedAt; old.UpdatedAt.IsZero() || !reflect.DeepEqual(m, old) {
			m.UpdatedAt = in.Now
		}
		out.Connections[provider] = m
	}
	return out
}

// settle brings up to date what does not depend on the comparison of fields, and
// so also holds for a connection that could not be compared.
func settle(in Input, p Plan, provider string, m Remembered, applied map[string]bool) Remembered {
	id := in.Environment.Name + "/" + provider
	if _, live := in.Observed[provider]; !live && !applied[id+":"+string(Enable)] {
		m.Enabled, m.Paused = false, false
	}
	if o := in.Observed[provider]; o.Active && !applied[id+":"+string(Pause)] {
		m.Paused = false
	}
	m.Protected = isProtected(in, provider)
	unsettled := slices.ContainsFunc(p.Changes, func(c Change) bool {
		return c.Connection == id && c.Class != Safe && !applied[c.ID] && !isKeptOut(c)
	}) ||
		slices.ContainsFunc(p.NotCompared, func(n NotCompared) bool { return n.Connection == id })
	paused := len(PausesOf(provider, inForce(in))) > 0
	m.Suspended = (in.Memory.Suspended || in.Memory.of(provider).Suspended) && unsettled ||
		paused || isSuspended(in.Environment.Suspend, in.Now) || isSuspended(desiredOf(in, provider).Suspend, in.Now)
	return m
}

// run is what one run did to one connection.
type run struct {
	in      Input
	want    Desired
	old     Remembered
	known   bool
	live    bool
	seen    Observed
	applied map[Action]bool
	written map[string]bool  // fields of applied changes
	open    map[string]bool  // fields that are not agreed
	held    map[string]Cause // fields whose change was not made, by the cause that asks for a yes
	adopts  bool             // something of an adoption was left undone or not compared
}

func newRun(in Input, p Plan, d Desired, applied map[string]bool) run {
	id := in.Environment.Name + "/" + d.Provider
	r := run{in: in, want: d, old: in.Memory.of(d.Provider), applied: map[Action]bool{}, written: map[string]bool{}, open: map[string]bool{}, held: map[string]Cause{}}
	_, r.known = in.Memory.known(d.Provider)
	r.seen, r.live = in.Observed[d.Provider]
	for _, c := range p.Changes {
		if c.Connection != id || isKeptOut(c) {
			continue
		}
		done := applied[c.ID]
		r.applied[c.Action] = r.applied[c.Action] || done
		for _, f := range c.Fields {
			if cause := needsYes(c, f.Field); !done && cause != "" {
				r.held[f.Field] = cause
			}
			r.open[f.Field] = r.open[f.Field] || !done
			r.written[f.Field] = r.written[f.Field] || done
		}
		r.adopts = r.adopts || !done && c.Cause == Adopt
	}
	for _, n := range p.NotCompared {
		if n.Connection == id {
			r.open[n.Field], r.adopts = true, true
		}
	}
	return r
}

func (r run) remember() (Remembered, bool) {
	enabled := r.applied[Enable]
	ours := enabled || r.old.Enabled // by a run, too, that ended before it could remember
	if r.open[""] || !r.known && r.adopts && !ours || !r.live && !enabled && (r.want.State != Disabled || !r.known || doubtful(r.in)) {
		return Remembered{}, false
	}
	m := Remembered{
		Fields: map[string]string{}, VerifiedAt: r.old.VerifiedAt,
		Enabled: (r.old.Enabled || enabled) && !r.applied[Disable],
		Paused:  r.applied[Pause] || r.old.Paused && r.live && !r.seen.Active && !r.applied[Resume],
	}
	for field, token := range desiredTokens(r.want) {
		if r.agreed(field, token) {
			m.Fields[field] = token
		} else if kept, had := r.old.Fields[field]; had {
			m.Fields[field] = kept
		}
		if cause, now := r.held[field]; now {
			m.hold(field, cause)
		} else if cause, before := r.old.Held[field]; before && !r.agreed(field, token) {
			m.hold(field, cause)
		}
	}
	if kept, had := r.old.Fields[FieldClientSecret]; had && r.want.Refused != nil && r.want.Secret.Mode != Given {
		m.Fields[FieldClientSecret] = kept // all keys of the file were rejected, which makes none of them forgotten
	}
	verified := r.seen.Secret.Asked && r.seen.Secret.Result == Equal || r.written[FieldClientSecret]
	if verified && !r.open[FieldClientSecret] && !r.open[FieldVerificationSecret] {
		m.VerifiedAt = r.in.Now
	}
	return m, true
}

// needsYes gives the cause for which a field is held that time does not heal: it is
// part of an adoption, or somebody set the keys by hand. "" is none.
func needsYes(c Change, field string) Cause {
	keys := field == FieldClientID || field == FieldClientSecret
	switch {
	case c.Gate != Approval && c.Gate != Blocked:
		return ""
	case c.Cause == Adopt, c.Cause == Drift && keys:
		return c.Cause
	case c.Guard == guardSecretDrift && keys:
		return Drift
	default:
		return ""
	}
}

func (m *Remembered) hold(field string, cause Cause) {
	if m.Held == nil {
		m.Held = map[string]Cause{}
	}
	m.Held[field] = cause
}

// agreed tells whether Terra has what the file asks for in this field: it was
// written, or compared with what Terra showed in this run and found equal.
func (r run) agreed(field, token string) bool {
	isSecret := field == FieldClientSecret || field == FieldVerificationSecret
	switch {
	case r.open[field], isSecret && token == "", isCredential(field) && r.open["credentials"], slices.Contains(r.want.Ignore, field):
		return false
	case r.written[field]:
		return true
	case r.want.State == Disabled:
		return field == FieldState
	case !r.live:
		return false
	case isCredential(field) && leavesCredentials(r.in, r.want):
		return false
	default: // another key of the file may be live before its time
		return r.want.UnknownKey || field != FieldClientSecret || r.seen.Secret.Result == Equal
	}
}

func isCredential(field string) bool {
	return slices.Contains([]string{FieldClientID, FieldClientSecret, FieldRedirectURL, FieldVerificationSecret, FieldSandbox}, field)
}

func isDesired(in Input, provider string) bool {
	for i := range in.Desired {
		if in.Desired[i].Provider == provider {
			return true
		}
	}
	return false
}

// isHeld tells whether nothing of the environment may be changed at this time.
func isHeld(in Input) bool {
	return isSuspended(in.Environment.Suspend, in.Now) ||
		slices.ContainsFunc(inForce(in), func(s KillSwitch) bool { return s.Provider == "" })
}

func isSuspended(s *Suspend, now time.Time) bool { return s != nil && now.Before(s.Until) }
