package secrets

import "time"

// Schedule is what decides when one key of a connection is due.
type Schedule struct {
	// Unknown marks a key set by hand in the past that nobody can read. It is
	// due like any other; the caller never writes it.
	Unknown bool
	// NotBefore is the moment from which the key may be live. Zero is always.
	NotBefore time.Time
	// Rejected is true once the provider refused the key.
	Rejected bool
}

// Due returns the index of the key that should be live at now, or -1: of the
// keys, oldest first, the last one whose NotBefore is not after now and that is
// not rejected. For the same keys the index never falls as now grows.
func Due(now time.Time, keys []Schedule) int {
	for i := len(keys) - 1; i >= 0; i-- {
		if !keys[i].Rejected && !keys[i].NotBefore.After(now) {
			return i
		}
	}
	return -1
}

// Next returns the first moment after now at which [Due] gives another key, and
// that key. ok is false if no such moment comes.
func Next(now time.Time, keys []Schedule) (at time.Time, index int, ok bool) {
	for i := Due(now, keys) + 1; i < len(keys); i++ {
		k := keys[i]
		if k.Rejected {
			continue
		}
		if !ok || k.NotBefore.Before(at) {
			at, ok = k.NotBefore, true
		}
	}
	if !ok {
		return time.Time{}, -1, false
	}
	return at, Due(at, keys), true
}

// Unneeded returns the indexes of the keys that a file need not hold any more, where
// the key at live is live and proved, which is for the caller to know, and the one at
// due should be: those that are older than the one to go back to, and those that
// were rejected. The one to go back to is the newest one before both that can be
// written: neither unknown nor rejected; without one nothing older is needed. -1
// stands for none; where it is not known what is live, nobody can say what is needed.
// The keys at live and at due are never among them.
func Unneeded(keys []Schedule, live, due int) []int {
	if live < -1 || live >= len(keys) || due < -1 || due >= len(keys) {
		return nil
	}
	older := live
	if due >= 0 {
		older = min(live, due)
	}
	back := older
	for i := older - 1; i >= 0 && back == older; i-- {
		if !keys[i].Unknown && !keys[i].Rejected {
			back = i
		}
	}
	var out []int
	for i, k := range keys {
		if i != live && i != due && (i < back || k.Rejected) {
			out = append(out, i)
		}
	}
	return out
}
