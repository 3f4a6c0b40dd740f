package keys

import (
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// Known is what a state alone knows of the keys of one connection: it is as old as the
// last run, and needs no identity, since no secret is opened for it.
type Known struct {
	Live    int       // that was live, 0 where that is none of the file, or not known
	Unclear string    // why Live is not known; "" where it is
	At      time.Time // when Live was last compared with Terra, UTC
}

// Recall tells which key was live from what is remembered of the connection. The
// digests of the entries are those of the same state. held says that a change of its
// keys is gated: until that is settled, something else may be live at Terra.
func (s Set) Recall(r plan.Remembered, held bool) Known {
	out := Known{At: r.VerifiedAt.UTC()}
	if r.VerifiedAt.IsZero() {
		out.At = r.UpdatedAt.UTC()
	}
	agreed := r.Fields[plan.FieldClientSecret]
	unseen := false
	for i, e := range s.Entries {
		switch {
		case e.Unknown && agreed == plan.UnknownKey, e.Digest != "" && e.Digest == agreed:
			out.Live = i + 1
		case !e.Unknown && e.Digest == "":
			unseen = true
		}
	}
	switch {
	case agreed == "" || r.Noted:
		out.Unclear = "no run has agreed on a live key yet"
	case held || r.Held[plan.FieldClientSecret] != "":
		out.Unclear = "a change of its keys is held, and until it is settled what is live may be another"
	case out.Live == 0 && unseen:
		out.Unclear = "no run has seen all keys as they are sealed now"
	}
	if out.Unclear != "" {
		out.Live = 0
	}
	return out
}

// Assume takes the key that is due for live where nothing is remembered, and to soak as
// long as it would had it been set as soon as it could be. soaks is zero where that has
// passed, or where the file says no time.
func (s Set) Assume(now time.Time, soak time.Duration) (live int, soaks time.Time) {
	live = s.Due(now)
	e := s.Entry(live)
	from := e.NotBefore
	if e.Issued.After(from) {
		from = e.Issued
	}
	if until := from.Add(soak); !from.IsZero() && now.Before(until) {
		soaks = until.UTC()
	}
	return live, soaks
}

// Resume is the soak of a live key that nobody remembers, as after a lost state: until
// it has passed, counted from when the key was due, its provider is asked about it. End
// users before it were not counted by anybody, and there is nothing to go back to.
func (s Set) Resume(live int, pair Pair, soak time.Duration, now time.Time) *Soak {
	e := s.Entry(live)
	since := e.NotBefore
	if since.IsZero() {
		since = e.Issued
	}
	if e.ID == "" || pair.Digest == "" {
		return nil
	}
	return &Soak{Pair: pair, Entry: e.ID, Began: now, Until: since.Add(soak)}
}
