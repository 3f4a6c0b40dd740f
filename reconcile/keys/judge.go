package keys

import (
	"fmt"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// Refusal is what was said against the key of one entry. It ends with the entry, or
// with an acceptance.
//
// One answer is not the truth: a provider that is out of order refuses everybody, and
// one that knows a new secret only after a minute refuses it at first. So a refusal
// counts, and makes the key a rejected one, only once it was heard as often as
// [refusalsThatCount], over at least [refusalsSpread], each time while another pair of
// the same provider was accepted, where there is one to be asked about.
type Refusal struct {
	Reason string    `json:"reason"`
	By     Source    `json:"by"`
	Since  time.Time `json:"since"` // when it was heard first
	At     time.Time `json:"at"`    // when it was heard last
	Heard  int       `json:"heard"` // how often
	// Firm is how often it was heard while nothing spoke against it, FirmSince from when
	// and FirmAt when last.
	Firm      int       `json:"firm"`
	FirmSince time.Time `json:"firm_since,omitzero"`
	FirmAt    time.Time `json:"firm_at,omitzero"`
	// Rejected is since when it counts; zero as long as it does not.
	Rejected time.Time `json:"rejected,omitzero"`
	// Alone says that when it was heard last every other pair was refused as well:
	// the provider is out of order, or all of them are dead.
	Alone bool `json:"alone,omitempty"`
}

// Source says who spoke against a key.
type Source string

// The sources.
const (
	Provider Source = "provider" // asked about the pair
	Terra    Source = "terra"    // would not take it, because the provider does not
	Users    Source = "users"    // fell away after it was set, and the provider does not say that it is good
)

const (
	refusalsThatCount = 3
	refusalsSpread    = 5 * time.Minute
	// fallFrom is how many end users must be gone before a fall means anything: two of
	// three who stop wearing a watch say nothing about a key.
	fallFrom = 5
	// fallSpread is how long a fall must last before it is one.
	fallSpread = 5 * time.Minute
)

// pauses are how long nobody asks again about a refused pair, by how often it was
// refused; the last one stands for all that follow.
func pauses() []time.Duration {
	return []time.Duration{time.Minute, 4 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour}
}

func pauseAfter(refusals int) time.Duration {
	all := pauses()
	return all[min(max(refusals, 1), len(all))-1]
}

// Counts tells whether the key is rejected.
func (r Refusal) Counts() bool { return !r.Rejected.IsZero() }

// isSurelyBad tells whether it was heard again long after it counted, and not in an
// outage.
func (r Refusal) isSurelyBad() bool {
	return r.Counts() && r.By != Users && r.FirmAt.Sub(r.Rejected) >= proofOfBad
}

// IsFirm tells whether it was heard for so long that somebody must look, whether or not
// it may count.
func (r Refusal) IsFirm() bool {
	return r.Counts() || r.Heard >= refusalsThatCount && r.At.Sub(r.Since) >= refusalsSpread
}

// AskAt is when its key may be asked about, or sent, again.
func (r Refusal) AskAt() time.Time { return r.At.Add(pauseAfter(r.Heard)) }

// Control says what the provider thinks of another pair while it refuses one.
type Control int

// The answers about a control pair.
const (
	NoControl      Control = iota // there is no other pair that was ever accepted, or nobody to ask
	ControlGood                   // one is still accepted
	ControlBad                    // all are refused as well
	ControlUnclear                // of one the provider does not say, and none is accepted
)

// Controls are the keys to ask about beside one that is refused, until one is accepted:
// the live one, those that were accepted before, the last one first, and older ones.
func (s Set) Controls(key, live int) []int {
	var out []int
	for other := len(s.Entries); other > 0; other-- {
		id := s.Entry(other).ID
		_, accepted := s.History.Accepted[id]
		if other != key && id != "" && (accepted || other == live || other < key) {
			out = append(out, other)
		}
	}
	accepted := func(key int) time.Time { return s.History.Accepted[s.Entry(key).ID] }
	slices.SortStableFunc(out, func(a, b int) int { return accepted(b).Compare(accepted(a)) })
	if i := slices.Index(out, live); i > 0 {
		out = slices.Insert(slices.Delete(out, i, i+1), 0, live)
	}
	return out
}

// Accept remembers that a provider accepts a key. Whatever was said against it before
// ends; only people who are gone stay gone.
func (h *History) Accept(id string, at time.Time) {
	if id == "" {
		return
	}
	if h.Accepted == nil {
		h.Accepted = map[string]time.Time{}
	}
	h.Accepted[id] = at.UTC()
	if h.Refused[id].By != Users {
		delete(h.Refused, id)
	}
	if h.Former != nil && h.Former.Entry == id {
		h.Former.Asked, h.Former.Alive, h.Former.Refused, h.Former.RefusedSince = at.UTC(), at.UTC(), 0, time.Time{}
	}
}

// Refuse remembers that a key was refused, and what was said of another pair at that
// time. It tells whether the key is rejected by that: it was not before.
func (h *History) Refuse(id string, by Source, reason string, at time.Time, control Control) (rejected bool) {
	if id == "" {
		return false
	}
	at = at.UTC()
	r, known := h.Refused[id]
	if !known {
		r.Since = at
	}
	r.Reason, r.At, r.By, r.Alone = reason, at, by, control == ControlBad
	r.Heard++
	switch control {
	case ControlBad, ControlUnclear: // an outage says nothing about any pair
		if !r.Counts() {
			r.Firm, r.FirmSince, r.FirmAt = 0, time.Time{}, time.Time{}
		}
	case NoControl, ControlGood:
		if r.Firm++; r.Firm == 1 {
			r.FirmSince = at
		}
		r.FirmAt = at
		if !r.Counts() && r.Firm >= refusalsThatCount && at.Sub(r.FirmSince) >= refusalsSpread {
			r.Rejected, rejected = at, true
		}
	}
	h.refused(id, r)
	if h.Former != nil && h.Former.Entry == id {
		h.Former.Asked = at
	}
	return rejected
}

func (h *History) refused(id string, r Refusal) {
	if h.Refused == nil {
		h.Refused = map[string]Refusal{}
	}
	h.Refused[id] = r
}

// Fell tells whether so many active end users are gone that the new key is the
// likely cause: at least percent, at least five, and both counts exact.
func Fell(before, now plan.Users, percent int) bool {
	gone := before.Count - now.Count
	return before.Exact && now.Exact && gone >= fallFrom && gone*100 >= percent*before.Count
}

// Count judges the end users of the key that soaks: a fall counts once it was read
// twice, some minutes apart, and ends with the first reading that is none. It tells
// whether its key is rejected, or not rejected any more, by that.
func (h *History) Count(before, now plan.Users, percent int, limit string, at time.Time) (changed bool) {
	soak := h.Soak
	if soak == nil {
		return false
	}
	at = at.UTC()
	was, said := h.Refused[soak.Entry]
	if !Fell(before, now, percent) {
		soak.Fall = nil
		if said && was.By == Users {
			delete(h.Refused, soak.Entry)
			return true
		}
		return false
	}
	if soak.Fall == nil {
		soak.Fall = &Fall{Since: at}
	}
	if at.After(soak.Fall.At) { // a run that was killed is the same reading
		soak.Fall.At = at
		soak.Fall.Times++
	}
	if said && was.By != Users || soak.Fall.Times < 2 || at.Sub(soak.Fall.Since) < fallSpread {
		return false
	}
	reason := fmt.Sprintf("%d of %d active end users are gone since it was set, %d%% may be (%s)", before.Count-now.Count, before.Count, percent, limit)
	if !said {
		was = Refusal{By: Users, Since: soak.Fall.Since, FirmSince: soak.Fall.Since, Rejected: at}
	}
	was.Reason, was.At, was.Heard, was.Firm = reason, at, soak.Fall.Times, soak.Fall.Times
	h.refused(soak.Entry, was)
	return !said
}

// fallAgain is when a fall that was read once is to be read again.
func (s *Soak) fallAgain() time.Time {
	if s.Fall == nil || s.Fall.Times > 1 && s.Fall.At.Sub(s.Fall.Since) >= fallSpread {
		return time.Time{}
	}
	return s.Fall.Since.Add(fallSpread)
}

// Asks tells whether somebody should be asked about a key now although none would be
// written.
func (s Set) Asks(now time.Time) bool {
	for key := range s.Entries {
		if r, ok := s.Refusal(key + 1); ok && r.By == Provider && !now.Before(r.AskAt()) {
			return true
		}
	}
	return s.History.Soak != nil || s.FormerToAsk(now) > 0
}

// Wake is the next moment after now at which something about the keys can change by
// time alone, and what that is of which connection: a key is due, a soak passes, end
// users are counted again, or a key may be asked about again. Zero is never.
func (s Set) Wake(now time.Time, connection string) (next time.Time, why string) {
	at := func(t time.Time, format string, args ...any) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next, why = t, fmt.Sprintf(format, args...)
		}
	}
	key, due := s.Next(now)
	at(due, "key %d of %s is due", key, connection)
	for i := range s.Entries {
		if r, ok := s.Refusal(i + 1); ok && r.By != Users {
			at(r.AskAt(), "key %d of %s, which was refused, is asked about again", i+1, connection)
		}
	}
	if soak := s.History.Soak; soak != nil {
		at(soak.Until, "the soak of a key of %s ends", connection)
		at(soak.fallAgain(), "the end users of %s are counted again", connection)
	} else if f := s.History.Former; f != nil && s.Find(f.Entry) > 0 && !f.Asked.IsZero() {
		at(f.askAt(), "the key of %s that was replaced is asked about again", connection)
	}
	return next, why
}
