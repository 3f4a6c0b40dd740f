package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// slipped is how far --not-before may lie in the past: a day, that of a bare date in
// any time zone. Further back it is a slip, as in the year, and the key would be live
// at once.
const slipped = 24 * time.Hour

// placement is where in the list a new key stands, and from when it is due.
type placement struct {
	number    int        // 1 is the oldest
	written   string     // not_before as the file is to hold it, "" for none
	notBefore time.Time  // zero: at once
	later     []spec.Key // that become due after it, so that it stands before them
}

// before is the number of the entry to stand before, 0 for the end of the list.
func (p placement) before() int {
	if len(p.later) == 0 {
		return 0
	}
	return p.number
}

// placeFor finds the place of a key that is due from the time of a flag, or at
// once. Keys stand oldest first, so it goes before those that become due later; a
// key that is due at once after one that has a time gets the time of now. It must
// not stand before the key that is due already: it would never be live.
func (k keyFile) placeFor(flag string, now time.Time) (placement, error) {
	p := placement{written: now.Format(time.RFC3339), notBefore: now.Truncate(time.Second)}
	if flag != "" {
		at, err := spec.ParseMoment(flag)
		if err != nil {
			return p, usageError("--not-before %q: write it like 2026-11-28 (00:00 UTC) or 2026-11-28T02:00:00Z: it %w", flag, err)
		}
		p.written, p.notBefore = flag, at
	}
	keys := k.connection.Credentials.Keys
	older := slices.IndexFunc(keys, func(key spec.Key) bool { return key.NotBefore.After(p.notBefore) })
	if older < 0 {
		older = len(keys)
	}
	p.later, p.number = keys[older:], older+1
	if due := secrets.Due(now, k.schedule()); due >= older {
		return p, fmt.Errorf("%s: key %d is due since %s, and a key from before that would never be live; to have the new one at once leave --not-before out",
			keys[due].Origin, due+1, keys[due].NotBefore.UTC().Format(time.RFC3339))
	}
	if now.Sub(p.notBefore) > slipped {
		return p, usageError("--not-before %s: it is more than a day ago; leave it out to use the key at once", flag)
	}
	if flag == "" && (older == 0 || keys[older-1].NotBefore.IsZero()) {
		p.written, p.notBefore = "", time.Time{}
	}
	return p, nil
}

func (k keyFile) schedule() []secrets.Schedule {
	var out []secrets.Schedule
	for _, key := range k.connection.Credentials.Keys {
		out = append(out, secrets.Schedule{Unknown: key.Unknown, NotBefore: key.NotBefore})
	}
	return out
}
