package keys

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// History is what is remembered of the keys of one connection beyond the pair that was
// last agreed. Digests are keyed. It is plain data, which a state stores.
type History struct {
	Refused  map[string]Refusal   `json:"refused,omitempty"`  // by ID of the entry
	Accepted map[string]time.Time `json:"accepted,omitempty"` // by ID: when its provider accepted it last
	Seen     []Pair               `json:"seen,omitempty"`     // live before a change of ours, the latest last
	Live     *Sighting            `json:"live,omitempty"`
	Soak     *Soak                `json:"soak,omitempty"`
	Former   *Former              `json:"former,omitempty"`
}

// Pair is a client id with the keyed digest of its secret.
type Pair struct {
	ClientID string `json:"client_id"`
	Digest   string `json:"digest"`
}

// Sighting is the live pair, and when it was first seen live: what a provider said
// before that proves nothing, since making this key may have been the end of others.
// The digest is that of the mask where the secret is not known.
type Sighting struct {
	Pair
	Since time.Time `json:"since"`
}

// Soak is a key that was written and is watched for a while.
type Soak struct {
	Pair
	Entry  string      `json:"entry"`            // ID
	Began  time.Time   `json:"began"`            // before the write left
	Until  time.Time   `json:"until"`            // when it has passed, if nothing speaks against the key
	Former string      `json:"former,omitempty"` // ID of the entry that was live before; "" for none of the file
	Users  *plan.Users `json:"users,omitempty"`
	Sample []string    `json:"sample,omitempty"` // keyed hashes of user ids that were active, where there were too many to count
	Fall   *Fall       `json:"fall,omitempty"`   // since when too many of them are gone
}

// Fall is a count of end users that is too low.
type Fall struct {
	Since time.Time `json:"since"`
	At    time.Time `json:"at"` // when it was read last
	Times int       `json:"times"`
}

// Former is the key that was live before the one whose soak has passed, as long as
// nobody knows that it is dead.
type Former struct {
	Entry    string    `json:"entry"`          // ID
	Replaced time.Time `json:"replaced"`       // when
	Alive    time.Time `json:"alive,omitzero"` // when its provider accepted it after the soak
	Asked    time.Time `json:"asked,omitzero"` // when it was asked about last
	// Refused is how often it was refused since it was accepted last, each time while
	// another pair was accepted, and RefusedSince from when.
	Refused      int       `json:"refused,omitempty"`
	RefusedSince time.Time `json:"refused_since,omitzero"`
}

// IsZero reports whether there is nothing to remember.
func (h History) IsZero() bool {
	return len(h.Refused) == 0 && len(h.Accepted) == 0 && len(h.Seen) == 0 && h.Live == nil && h.Soak == nil && h.Former == nil
}

// Equal tells whether both say the same.
func (h History) Equal(o History) bool {
	return h.IsZero() && o.IsZero() || reflect.DeepEqual(h, o)
}

// Clone is a copy that shares nothing with h.
func (h History) Clone() History {
	h.Refused, h.Accepted, h.Seen = maps.Clone(h.Refused), maps.Clone(h.Accepted), slices.Clone(h.Seen)
	if h.Live != nil {
		live := *h.Live
		h.Live = &live
	}
	if h.Former != nil {
		former := *h.Former
		h.Former = &former
	}
	if h.Soak != nil {
		soak := *h.Soak
		h.Soak = &soak
		if soak.Fall != nil {
			fall := *soak.Fall
			h.Soak.Fall = &fall
		}
	}
	return h
}

// pairsKept is how many pairs that were live before are remembered.
const pairsKept = 5

// Saw remembers a pair that was live until now.
func (h *History) Saw(p Pair) {
	if p.Digest == "" || p.ClientID == "" {
		return
	}
	seen := slices.DeleteFunc(slices.Clone(h.Seen), func(old Pair) bool { return old == p })
	seen = append(seen, p)
	h.Seen = seen[max(0, len(seen)-pairsKept):]
}

// WasLive tells whether a pair was live before.
func (h History) WasLive(p Pair) bool { return p.Digest != "" && slices.Contains(h.Seen, p) }

// SawLive remembers which pair is live now, and since when. An empty pair says that it
// is not known, which changes nothing.
func (h *History) SawLive(p Pair, now time.Time) {
	if p.Digest == "" || p.ClientID == "" || h.Live != nil && h.Live.Pair == p {
		return
	}
	h.Live = &Sighting{Pair: p, Since: now.UTC()}
}

// LiveSince is when the present live key was first seen; zero where nobody knows.
func (h History) LiveSince() time.Time {
	if h.Live == nil {
		return time.Time{}
	}
	return h.Live.Since
}

// LiveSinceOf is when a pair that is live now was first seen: now, where another one or
// none was seen last.
func (h History) LiveSinceOf(p Pair, now time.Time) time.Time {
	if h.Live == nil || h.Live.Pair != p {
		return now
	}
	return h.Live.Since
}

// WithoutDigests is what is left of it once the key of its digests is lost: what was
// said against the sealed keys of a file, and for them.
func (h History) WithoutDigests() History {
	return History{Refused: h.Refused, Accepted: h.Accepted}
}

// Settle drops what does not hold any more after a run: what was said of entries that
// the file has no more, and the soak of a key that is not live, or whose time has
// passed with nothing against it; the key before it is to be seen to its end then. pair
// is what is live now.
func (s *Set) Settle(pair Pair, known bool, now time.Time) {
	h := &s.History
	maps.DeleteFunc(h.Refused, func(id string, _ Refusal) bool { return s.Find(id) == 0 })
	maps.DeleteFunc(h.Accepted, func(id string, _ time.Time) bool { return s.Find(id) == 0 })
	if h.Former != nil && s.Find(h.Former.Entry) == 0 {
		h.Former = nil
	}
	if known {
		h.SawLive(pair, now)
	}
	if h.Soak == nil {
		return
	}
	_, refused := h.Refused[h.Soak.Entry]
	doubted := refused || h.Soak.Fall != nil
	passed := !doubted && !now.Before(h.Soak.Until)
	if passed && known && pair == h.Soak.Pair && s.Find(h.Soak.Former) > 0 {
		h.Former = &Former{Entry: h.Soak.Former, Replaced: h.Soak.Began.UTC()}
	}
	if passed || known && pair != h.Soak.Pair {
		h.Soak = nil
	}
}

// formerAgain is how long nobody asks again about a key that was replaced and is
// accepted, formerUnclear about one of which its provider did not say.
const formerAgain, formerUnclear = 7 * day, day

// askAt is when it may be asked about again; zero where it never was.
func (f Former) askAt() time.Time {
	switch {
	case f.Asked.IsZero():
		return time.Time{}
	case f.Refused > 0:
		return f.Asked.Add(pauseAfter(f.Refused))
	case f.Asked.Equal(f.Alive):
		return f.Asked.Add(formerAgain)
	default:
		return f.Asked.Add(formerUnclear)
	}
}

// FormerToAsk is the key that was live before the one whose soak has passed, where its
// provider should be asked about it: once, as long as it accepts it once a week, and
// after a refusal until that counts. 0 is none.
func (s Set) FormerToAsk(now time.Time) int {
	f := s.History.Former
	if s.History.Soak != nil || f == nil || now.Before(f.askAt()) {
		return 0
	}
	return s.Find(f.Entry)
}

// HearFormer remembers an answer about the former key that is no acceptance. It is dead,
// and forgotten, once it was refused as often, and for as long, as any refusal must be
// heard that counts, each time while another pair was accepted.
func (h *History) HearFormer(refused bool, control Control, at time.Time) (dead bool) {
	f := h.Former
	f.Asked = at.UTC()
	if !refused || control != ControlGood { // an outage says nothing about any pair
		f.Refused, f.RefusedSince = 0, time.Time{}
		return false
	}
	if f.Refused++; f.Refused == 1 {
		f.RefusedSince = f.Asked
	}
	if f.Refused < refusalsThatCount || f.Asked.Sub(f.RefusedSince) < refusalsSpread {
		return false
	}
	h.Former = nil
	return true
}
