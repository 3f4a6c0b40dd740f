package reconcile

import (
	"fmt"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

const day = 24 * time.Hour

// keyStatuses says how the keys of each connection stand after what was done.
func (p *prepared) keyStatuses(changes []report.Change) []report.KeyStatus {
	out := []report.KeyStatus{}
	for i, w := range p.want {
		if len(w.keys) == 0 || w.desired.State == plan.Disabled || w.desired.Unreadable != "" {
			continue
		}
		s := keyReview{p: p, w: w, file: p.env.Connections[i], life: w.life, live: p.liveKey(w), now: p.input.Now}
		if saved, ok := p.lives[w.desired.Provider]; ok {
			s.life = saved
		}
		for _, c := range changes {
			if c.Provider == w.desired.Provider && writesSecret(c.Change) {
				s.change = &c
			}
		}
		if s.change != nil && s.change.Outcome == report.Applied {
			s.live, s.change = w.due, nil
		}
		out = append(out, s.status())
	}
	return out
}

// keyReview is all that the standing of one connection's keys is told from.
type keyReview struct {
	p      *prepared
	w      wanted
	file   spec.Connection
	life   plan.KeyLife
	live   int            // position in the file, -1 when not known
	change *report.Change // that sends a secret, and was not applied
	now    time.Time
}

func (s keyReview) status() report.KeyStatus {
	name := s.p.env.Name + "/" + s.w.desired.Provider
	out := report.KeyStatus{
		Connection: name, Provider: s.w.desired.Provider, Keys: len(s.w.keys), Live: s.live + 1, Due: s.w.due + 1,
		MaxAgeDays: int(s.w.rotation.MaxAge / day), Rejected: []report.RejectedKey{}, Unneeded: []int{},
	}
	if at, index, ok := secrets.Next(s.now, s.schedule()); ok {
		out.Next, out.NextAt = index+1, at.UTC()
	}
	for i, entry := range s.w.entries {
		if why, ok := s.life.Rejected[entry]; ok && entry != "" {
			out.Rejected = append(out.Rejected, report.RejectedKey{Key: i + 1, At: why.At, Reason: why.Reason})
		}
	}
	s.dates(&out)
	s.watch(&out)
	out.State = s.state(out)
	for _, i := range s.unneeded() {
		out.Unneeded = append(out.Unneeded, i+1)
	}
	out.Do = s.next(out)
	return out
}

func (s keyReview) schedule() []secrets.Schedule {
	out := make([]secrets.Schedule, len(s.w.keys))
	for i, k := range s.file.Credentials.Keys {
		_, rejected := s.life.Rejected[s.w.entries[i]]
		out[i] = secrets.Schedule{Unknown: k.Unknown, NotBefore: k.NotBefore, Rejected: rejected}
	}
	return out
}

func (s keyReview) dates(out *report.KeyStatus) {
	if s.live < 0 {
		return
	}
	k := s.file.Credentials.Keys[s.live]
	out.Issued = k.Issued
	if out.Issued.IsZero() {
		out.Issued = k.NotBefore
	}
	if !out.Issued.IsZero() {
		age := max(0, int(s.now.Sub(out.Issued)/day))
		out.AgeDays = &age
	}
}

func (s keyReview) watch(out *report.KeyStatus) {
	soak := s.life.Soak
	if soak == nil || s.live < 0 || s.w.entries[s.live] != soak.Entry {
		return
	}
	out.WatchedSince, out.WatchedUntil, out.UsersBefore = soak.Began.UTC(), soak.Until.UTC(), soak.Users
	if len(soak.Sample) > 0 {
		out.UsersBefore = &plan.Users{Count: len(soak.Sample), Exact: true}
	}
	if now, ok := s.p.watched[s.w.desired.Provider]; ok {
		out.UsersNow = &now
	}
}

func (s keyReview) state(k report.KeyStatus) report.KeyState {
	left := s.left(k)
	switch {
	case s.liveMarked() || s.liveToo(k):
		return report.KeyDead
	case s.stranger() && (s.change == nil || s.held()):
		return report.KeyByHand
	case left != nil && *left < 0:
		return report.KeyOverdue
	case len(k.Rejected) > 0 && s.w.desired.Refused != nil:
		return report.KeyRejected
	case s.held():
		return report.KeyHeld
	case s.change != nil:
		return report.KeyDue
	case !k.WatchedUntil.IsZero():
		return report.KeyWatched
	case left != nil && *left <= s.w.rotation.Warn && (k.Next == 0 || k.NextAt.Sub(s.now) > *left):
		return report.KeyAgeing
	case k.Live == 0:
		return report.KeyNotKnown
	default:
		return report.KeyFine
	}
}

// liveMarked tells whether the live key itself was rejected.
func (s keyReview) liveMarked() bool {
	if s.live < 0 {
		return false
	}
	_, marked := s.life.Rejected[s.w.entries[s.live]]
	return marked
}

// liveToo tells whether the live key was rejected together with the newer one that
// is kept out.
func (s keyReview) liveToo(k report.KeyStatus) bool {
	refused := s.w.desired.Refused
	return refused != nil && k.Live > 0 && refused.LiveToo == k.Live
}

// stranger tells whether somebody has set a key that the file does not have. A new
// reset in the portal would be the end of it.
func (s keyReview) stranger() bool {
	return s.live < 0 && s.p.input.Observed[s.w.desired.Provider].Secret.ByHand
}

func (s keyReview) held() bool {
	return s.change != nil && (s.change.Gate == plan.Approval || s.change.Gate == plan.Blocked)
}

// left is how long the live key may still be used; nil where nothing ends it.
func (s keyReview) left(k report.KeyStatus) *time.Duration {
	if k.Issued.IsZero() || s.w.rotation.MaxAge == 0 {
		return nil
	}
	left := k.Issued.Add(s.w.rotation.MaxAge).Sub(s.now)
	return &left
}

// resetWarnings are what a provider's own ways ask a person to know of a rotation.
func (p *prepared) resetWarnings() []plan.Warning {
	var out []plan.Warning
	for _, c := range p.plan.Changes {
		provider, _ := providers.Lookup(c.Provider)
		if c.Action == plan.RotateSecret && writesSecret(c) && provider.Reset.Warns != "" {
			out = append(out, plan.Warn(c.Connection, provider.Reset.Warns))
		}
	}
	return out
}

// keyWarnings are what stands in every report about keys that grow old; one that
// is overdue is an event.
func keyWarnings(keys []report.KeyStatus, now time.Time) []plan.Warning {
	var out []plan.Warning
	for _, k := range keys {
		if k.State == report.KeyAgeing {
			left := k.Issued.AddDate(0, 0, k.MaxAgeDays).Sub(now)
			out = append(out, plan.Warning{About: k.Connection, Cause: "the live key reaches rotation.max_age", Detail: fmt.Sprintf("in %d days", int(left/day)),
				Next: "`reconcile rotate status` says what to do", Text: k.Connection + ": " + k.Do})
		}
	}
	return out
}

// keyEvents are what somebody should hear of about the keys.
func keyEvents(keys []report.KeyStatus, changes []report.Change) []report.Event {
	var out []report.Event
	for _, k := range keys {
		e := report.Event{Connection: k.Connection, Text: k.Connection + ": " + k.Do}
		switch k.State {
		case report.KeyDead, report.KeyRejected:
			e.Kind, e.Since = report.KeyRejectedEvent, k.Rejected[len(k.Rejected)-1].At.UTC()
		case report.KeyByHand:
			e.Kind = report.KeyByHandEvent
		case report.KeyOverdue:
			e.Kind, e.Since = report.KeyOverdueEvent, k.Issued.AddDate(0, 0, k.MaxAgeDays).UTC()
		default:
			continue
		}
		out = append(out, e)
	}
	for _, c := range changes {
		said := slices.ContainsFunc(out, func(e report.Event) bool { return e.Kind == report.KeyByHandEvent && e.Connection == c.Connection })
		if revertsPair(c.Change) && c.Gate == plan.Approval && !said {
			out = append(out, report.Event{Kind: report.KeyByHandEvent, Connection: c.Connection, Change: c.ID, Since: c.GatedSince,
				Text: c.Connection + ": somebody set keys by hand, perhaps to save the day; to keep them commit them to " + c.Origin + "; or " + c.GateWay})
		}
		if !goesBack(c.Change) {
			continue
		}
		switch {
		case c.Outcome == report.Applied:
			out = append(out, report.Event{Kind: report.RolledBack, Connection: c.Connection, Change: c.ID, Text: c.Connection + ": " + c.Reason})
		case c.Gate == plan.Approval || c.Gate == plan.Blocked:
			out = append(out, report.Event{Kind: report.RotationHeld, Connection: c.Connection, Change: c.ID, Since: c.GatedSince,
				Text: c.Connection + ": " + c.Reason + ", and that is held: " + c.GateReason})
		}
	}
	return out
}

// revertsPair tells whether a change takes back a client id or secret that somebody
// set by hand.
func revertsPair(c plan.Change) bool {
	return c.Cause == plan.Drift && slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool {
		return f.Field == plan.FieldClientID || f.Field == plan.FieldClientSecret
	})
}

// goesBack tells whether a change replaces a live key by an older one.
func goesBack(c plan.Change) bool {
	return c.Action == plan.RotateSecret && writesSecret(c) && slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool {
		return f.Field == plan.FieldClientSecret && f.To.Key > 0 && f.From.Key > f.To.Key
	})
}
