package keys

import (
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// Entry is one key of a connection's file.
type Entry struct {
	// ID is what [EntryID] makes of the entry; "" for an unknown one. A key whose ID
	// changes is a new key: nothing that was said about the former one holds.
	ID string
	// Unknown marks a key that was set out of band in the past and that nobody can
	// read. It is due like any other, and never written.
	Unknown   bool
	NotBefore time.Time // from when it may be live; zero is always
	Issued    time.Time // zero where the file does not say
	Sealed    string    // sha256 of the sealed form
	Digest    string    // keyed digest of the opened secret; "" where it is not known
	Origin    string    // file:line
}

// EntryID names a key by all that a person can change of it: what it is sealed as, for
// which app, and from when it is due.
func EntryID(sealed, clientID string, notBefore time.Time) string {
	id := sealed + " for " + clientID
	if !notBefore.IsZero() {
		id += " from " + notBefore.UTC().Format(time.RFC3339)
	}
	return id
}

// SameButSealed tells whether two IDs are of one entry that was sealed again, as for
// another recipient. Whether the secret is the same, only its digest tells.
func SameButSealed(a, b string) bool {
	_, ofA, _ := strings.Cut(a, " ")
	_, ofB, _ := strings.Cut(b, " ")
	return a != "" && b != "" && ofA == ofB
}

// Set is the keys of one connection: those of its file, oldest first, and what is
// remembered of them.
type Set struct {
	Entries []Entry
	History History
}

// Entry gives a key by its number; the zero value where there is none.
func (s Set) Entry(key int) Entry {
	if key < 1 || key > len(s.Entries) {
		return Entry{}
	}
	return s.Entries[key-1]
}

// Find gives the number of the key with an ID, 0 for none.
func (s Set) Find(id string) int {
	if id == "" {
		return 0
	}
	return 1 + slices.IndexFunc(s.Entries, func(e Entry) bool { return e.ID == id })
}

// Refusal gives what was said against a key, whether it counts or not.
func (s Set) Refusal(key int) (Refusal, bool) {
	r, ok := s.History.Refused[s.Entry(key).ID]
	return r, ok && s.Entry(key).ID != ""
}

// IsRejected tells whether a key must not be live now: what was said against it counts.
// Where only Terra can ask its provider, that is a write, and it gets its next chance
// when it may be asked about again.
func (s Set) IsRejected(key int, now time.Time) bool {
	r, ok := s.Refusal(key)
	return ok && r.Counts() && (r.By != Terra || now.Before(r.AskAt()))
}

// Due is the key that should be live at a time: the newest one whose not_before has
// come and that is not rejected. For the same set it never gets older as time moves.
func (s Set) Due(now time.Time) int {
	key := s.Scheduled(now)
	for key > 0 && (s.IsRejected(key, now) || s.Entries[key-1].NotBefore.After(now)) {
		key--
	}
	return key
}

// Scheduled is the key that would be due if none had been rejected.
func (s Set) Scheduled(now time.Time) int {
	key := len(s.Entries)
	for key > 0 && s.Entries[key-1].NotBefore.After(now) {
		key--
	}
	return key
}

// Next is the first moment after now at which another key is due, and that key; 0
// where no such moment comes.
func (s Set) Next(now time.Time) (key int, at time.Time) {
	for later := s.Due(now) + 1; later <= len(s.Entries); later++ {
		e := s.Entries[later-1]
		if s.IsRejected(later, now) {
			continue
		}
		if key == 0 || e.NotBefore.Before(at) {
			key, at = later, e.NotBefore
		}
	}
	if key == 0 {
		return 0, time.Time{}
	}
	return s.Due(at), at
}

// Live is the key that is live, from how the live secret compares with the key that
// it was compared with; 0 where it is none of the file, or not known.
func Live(seen plan.Comparison, compared int) int {
	switch seen.Result {
	case plan.Equal:
		return compared
	case plan.Differs:
		return seen.LiveKey
	default:
		return 0
	}
}

// proofOfBad is how long after its rejection a key must have been refused once more
// before its file can do without it: until then it may be good after all.
const proofOfBad = 24 * time.Hour

// Prunable gives the keys that the file need not hold any more: those that are older
// than the one to go back to, and those that were rejected and surely are not good.
// The one to go back to is the newest before the live and the due one that can be
// written. None while a key soaks or where anything speaks against the live one; what
// is live is for the caller to know, 0 is none of the file.
func (s Set) Prunable(live, due int) []int {
	if _, doubted := s.Refusal(live); s.History.Soak != nil || doubted || live > len(s.Entries) || due > len(s.Entries) {
		return nil
	}
	older := live
	if due > 0 {
		older = min(live, due)
	}
	back := older
	for key := older - 1; key > 0; key-- {
		_, refused := s.Refusal(key)
		if !s.Entries[key-1].Unknown && !refused {
			back = key
			break
		}
	}
	var out []int
	for key := 1; key <= len(s.Entries); key++ {
		r, refused := s.Refusal(key)
		unneeded := key < back
		if refused && r.By != Users {
			unneeded = r.isSurelyBad()
		}
		if unneeded && key != live && key != due {
			out = append(out, key)
		}
	}
	return out
}
