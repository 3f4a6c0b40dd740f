package plan

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Results is what became of changes, by ID.
type Results struct {
	Applied map[string]bool // and verified
	Unshown map[string]bool // accepted by Terra, which did not show it
	// DefaultRedirects are, by provider, what Terra answered to redirect_url: null.
	DefaultRedirects map[string]string
	// SharedDomains are, by provider, domains that Terra answered to be shared and to serve.
	SharedDomains map[string]string
}

// Remember says what to remember after a run.
//
// A field is remembered as agreed when it was compared and equal or when its
// change was applied; otherwise what was remembered before stays, so that the
// cause of a held change does not shift with time. A connection that Terra
// already had is adopted only when nothing of that is left open; until then it is
// noted, so that its protection and a suspend are not forgotten. One that should
// be disabled and was never seen is noted too: that a list lacks it proves little. A run
// that only observes adopts nothing.
// Ownership comes from enabling it, and ends when Terra no longer lists it.
func Remember(in Input, p Plan, results Results) Memory {
	applied := results.Applied
	out := Memory{Known: true, Suspended: in.Environment.Suspend.isOn(in.Now) || slices.ContainsFunc(in.inForce(), func(s KillSwitch) bool { return s.Provider == "" }), Connections: map[string]Remembered{}}
	out.Gone = goneAfter(in, p, applied)
	for _, k := range in.Connections {
		if k.Aside {
			if out.Suspended = out.Suspended || in.Suspended; k.Remembered != nil {
				out.Connections[k.Provider] = k.memory().Clone()
			}
			continue
		}
		m, keep := k.memory().Clone(), k.Remembered != nil && (k.Observed != nil || k.Desired != nil || in.isDoubtful())
		for _, c := range p.Changes {
			keep = keep && !(c.Provider == k.Provider && c.Cause == Prune && applied[c.ID])
		}
		if k.Desired != nil {
			if agreed, ok := newRun(in, k, p, applied).remember(); ok {
				m = agreed
			} else if !keep {
				m = Remembered{Noted: true, Fields: map[string]string{}}
			}
			keep = true
		}
		if !keep {
			continue
		}
		m = settle(in, k, p, m, applied)
		if m.DefaultRedirect = k.memory().DefaultRedirect; results.DefaultRedirects[k.Provider] != "" {
			m.DefaultRedirect = results.DefaultRedirects[k.Provider]
		}
		m.SharedDomain = sharedAfter(k, results)
		m.KeysGone = keysGoneAfter(in, k, applied)
		m.Synced, m.Since = syncedAfter(in, k, p, m, applied)
		m.Unshown, m.Reverted = unshownAfter(in, k, p, results), revertedAfter(in, k, p, applied)
		old := k.memory()
		if m.UpdatedAt = old.UpdatedAt; old.UpdatedAt.IsZero() || !reflect.DeepEqual(m, *old) {
			m.UpdatedAt = in.Now
		}
		out.Connections[k.Provider] = m
	}
	return out
}

// settle brings up to date what does not depend on the comparison of fields, and
// so also holds for a connection that could not be compared.
func settle(in Input, k Connection, p Plan, m Remembered, applied map[string]bool) Remembered {
	id := in.id(k)
	if k.Observed == nil && !applied[id+":"+string(Enable)] {
		m.Enabled, m.Paused = false, false
	}
	if k.live().Active && !applied[id+":"+string(Pause)] {
		m.Paused = false
	}
	_, m.Protected = protectedBy(in, k)
	unsettled := slices.ContainsFunc(p.Changes, func(c Change) bool {
		return c.Connection == id && c.Class != Safe && !applied[c.ID] && !c.ShowsRejected()
	}) ||
		slices.ContainsFunc(p.NotCompared, func(n NotCompared) bool { return n.Connection == id })
	paused := len(PausesOf(k.Provider, in.inForce())) > 0
	m.Suspended = (in.Suspended || k.memory().Suspended) && unsettled ||
		paused || in.Environment.Suspend.isOn(in.Now) || k.want().Suspend.isOn(in.Now)
	return m
}

// latest is the time of the run by the later of two clocks that differ: what begins then
// never began earlier.
func (in Input) latest() time.Time { return in.Now.Add(in.ClockOff) }

// from is since when something is so that is so now: since before, where that is known and
// no clock was ahead then.
func (in Input) from(before time.Time) time.Time {
	if now := in.latest(); before.IsZero() || before.After(now) {
		return now
	}
	return before
}

// syncedAfter says since when a connection has been in sync, and each of its fields. What a
// run wrote begins with it, also where it put drift back.
func syncedAfter(in Input, k Connection, p Plan, m Remembered, applied map[string]bool) (synced time.Time, since map[string]time.Time) {
	if k.Desired == nil || m.Noted {
		return synced, nil
	}
	r, isSynced, unread := newRun(in, k, p, applied), true, map[string]bool{}
	for _, c := range p.Changes {
		if c.Provider == k.Provider {
			isSynced = isSynced && applied[c.ID]
		}
	}
	for _, n := range p.NotCompared {
		if n.Connection == in.id(k) {
			isSynced, unread[n.Field] = false, true
		}
	}
	since = map[string]time.Time{}
	for field, token := range desiredTokens(r.want) {
		before := k.memory().Since[field]
		if k.memory().Fields[field] != token || r.written[field] {
			before = time.Time{}
		}
		switch {
		case r.agreed(field, token):
			since[field] = in.from(before)
		case !before.IsZero() && (unread[""] || unread[field]): // it may be as it was, and the connection is not in sync meanwhile
			since[field] = before
		}
	}
	if isSynced {
		synced = in.from(k.memory().Synced)
		for _, field := range since { // what was written now, or by a run that ended before it could remember
			if field.After(synced) {
				synced = field
			}
		}
	}
	if len(since) == 0 {
		since = nil // as it comes back
	}
	return synced, since
}

// goneAfter remembers what is gone, as long as no file names it and Terra does not list it.
func goneAfter(in Input, p Plan, applied map[string]bool) map[string]time.Time {
	out := map[string]time.Time{}
	for _, c := range p.Changes {
		if c.Cause == Prune && applied[c.ID] {
			out[c.Provider] = in.latest()
		}
	}
	for _, k := range in.Connections {
		before, was := in.Gone[k.Provider]
		switch gone := k.Desired == nil && k.Observed == nil && !in.isDoubtful(); {
		case k.Aside && was:
			out[k.Provider] = before
		case k.Aside:
		case gone && (was || k.known()):
			out[k.Provider] = in.from(before)
		}
	}
	for provider, before := range in.Gone {
		if _, named := in.find(provider); !named {
			out[provider] = in.from(before)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// unshownAfter remembers what Terra accepted and did not show, as long as the file asks
// for the same and it is not there.
func unshownAfter(in Input, k Connection, p Plan, results Results) map[string]Unshown {
	out := map[string]Unshown{}
	if slices.ContainsFunc(p.NotCompared, func(n NotCompared) bool { return n.Connection == in.id(k) }) {
		maps.Copy(out, k.memory().Unshown)
	}
	for _, c := range p.Changes {
		if c.Provider != k.Provider || results.Applied[c.ID] {
			continue
		}
		for _, f := range c.Fields {
			u, had := k.memory().Unshown[f.Field]
			if had = had && u.Sent == f.To.token(); !had {
				u = Unshown{}
			}
			if results.Unshown[c.ID] {
				u, had = Unshown{Sent: f.To.token(), Before: f.From.token(), At: in.Now, Times: u.Times + 1}, true
			}
			if had {
				out[f.Field] = u
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// keysGoneAfter remembers since when keys have vanished, as long as they are not set again.
func keysGoneAfter(in Input, k Connection, applied map[string]bool) time.Time {
	if !KeysVanished(k) || applied[in.id(k)+":"+string(SetCredentials)] {
		return time.Time{}
	}
	if since := k.memory().KeysGone; !since.IsZero() && !since.After(in.Now) {
		return since
	}
	return in.Now
}

// sharedAfter remembers a shared domain as long as the file names it.
func sharedAfter(k Connection, results Results) string {
	want := k.want().Domain
	for _, host := range []string{results.SharedDomains[k.Provider], k.memory().SharedDomain} {
		if want.Mode == Given && host != "" && strings.EqualFold(host, want.Value) {
			return host
		}
	}
	return ""
}

// revertedAfter remembers the drift that we wrote over, as long as it may come back.
func revertedAfter(in Input, k Connection, p Plan, applied map[string]bool) map[string]Reverted {
	out := map[string]Reverted{}
	for field, r := range k.memory().Reverted {
		if !r.isOver(in.Now) {
			out[field] = r
		}
	}
	for _, c := range p.Changes {
		if c.Provider == k.Provider && c.Cause == Drift && applied[c.ID] {
			for _, f := range c.Fields {
				out[f.Field] = out[f.Field].again(in.Now)
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// run is what one run did to one connection.
type run struct {
	in      Input
	k       Connection
	want    Desired
	old     Remembered
	live    bool
	seen    Observed
	applied map[Action]bool
	written map[string]bool  // fields of applied changes
	open    map[string]bool  // fields that are not agreed
	held    map[string]Cause // fields whose change was not made, by the cause that asks for an approval
	adopts  bool             // something of an adoption was left undone or not compared
}

func newRun(in Input, k Connection, p Plan, applied map[string]bool) run {
	id := in.id(k)
	r := run{in: in, k: k, want: *k.Desired, old: *k.memory(), live: k.Observed != nil, seen: *k.live(),
		applied: map[Action]bool{}, written: map[string]bool{}, open: map[string]bool{}, held: map[string]Cause{}}
	for _, c := range p.Changes {
		if c.Connection != id || c.ShowsRejected() {
			continue
		}
		done := applied[c.ID]
		r.applied[c.Action] = r.applied[c.Action] || done
		for _, f := range c.Fields {
			if cause := needsApproval(c, f.Field); !done && cause != "" {
				r.held[f.Field] = cause
			}
			r.open[f.Field] = r.open[f.Field] || !done
			r.written[f.Field] = r.written[f.Field] || done
		}
		r.adopts = r.adopts || !done && c.Cause.IsFirst()
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
	if r.open[""] || !r.k.known() && (r.adopts && !ours || r.in.Environment.Observe) || !r.live && !enabled && (r.want.State != Disabled || !r.k.known() || r.in.isDoubtful()) {
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
	if kept, had := r.old.Fields[FieldClientSecret]; had && r.want.Rejected != nil && r.want.Secret.Mode != Given {
		m.Fields[FieldClientSecret] = kept // all keys of the file were rejected, which makes none of them forgotten
	}
	m.UnknownMask = r.unknownMask(m.Fields[FieldClientSecret])
	verified := r.seen.Secret.Asked && r.seen.Secret.Result == Equal || r.written[FieldClientSecret]
	if verified && !r.open[FieldClientSecret] && !r.open[FieldVerificationSecret] {
		m.VerifiedAt = r.in.Now
	}
	return m, true
}

// unknownMask is that of the unknown key that is agreed now. One that was set out of band
// since takes the place of none.
func (r run) unknownMask(agreed string) string {
	switch seen := r.seen.Secret.MaskDigest; {
	case agreed != UnknownKey:
		return ""
	case seen != "" && r.agreed(FieldClientSecret, UnknownKey):
		return seen
	case r.old.Fields[FieldClientSecret] == UnknownKey:
		return r.old.UnknownMask
	}
	return ""
}

// needsApproval gives the cause for which a field is held that time does not heal: it is
// part of an adoption, or the keys were set out of band. "" is none.
func needsApproval(c Change, field string) Cause {
	keys := field == FieldClientID || field == FieldClientSecret
	switch {
	case c.Gate != Approval && c.Gate != Blocked:
		return ""
	case c.Cause.IsFirst(), c.Cause == Drift && keys && c.Action != SetCredentials:
		return c.Cause
	case c.Guard == GuardSecretDrift && keys:
		return Drift
	default:
		return ""
	}
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
	case isCredential(field) && ownAppOf(r.k) == appIdle:
		return false
	default: // another key of the file may be live before its time
		return r.want.UnknownKey || field != FieldClientSecret || r.seen.Secret.Result == Equal
	}
}

func isCredential(field string) bool {
	return slices.Contains([]string{FieldClientID, FieldClientSecret, FieldRedirectURL, FieldVerificationSecret, FieldSandbox}, field)
}
