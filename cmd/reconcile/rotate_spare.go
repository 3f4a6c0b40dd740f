package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// spareKeys are the numbers of the keys that a file can do without, and why these:
// what is known, or without a state taken to be so.
type spareKeys struct {
	numbers []int
	why     string
}

// spareKeys asks the memory of runs, and where there is none the file and the clock.
// A memory that is there and cannot be read is an error.
func (k keyFile) spareKeys(ctx context.Context, now time.Time, dir string) (spareKeys, error) {
	if dir == "" {
		return k.assumed(now, "no state folder is known (--state or RECONCILE_STATE_DIR names it)"), nil
	}
	store, _, err := memoryFor(ctx, dir)
	if err != nil {
		return spareKeys{}, err
	}
	doubts := store.TakeNotes()
	known, err := reconcile.RecallKeys(store, k.env, k.connection)
	if err = errors.Join(err, store.Close()); err != nil {
		return spareKeys{}, err
	}
	switch {
	case len(doubts) > 0:
		return spareKeys{why: strings.Join(doubts, "; ")}, nil
	case store.Missing():
		return k.assumed(now, "no run has left a state in "+dir), nil
	case store.Reason() != "":
		return spareKeys{}, fmt.Errorf("recall keys of %s: %s", k.name(), store.Reason())
	case !known.Any:
		return k.assumed(now, "the state in "+dir+" knows of no run of "+k.env.Name), nil
	}
	return k.remembered(now, known), nil
}

// remembered says what the state knows. What is watched, or not known, keeps all.
func (k keyFile) remembered(now time.Time, known reconcile.KnownKeys) spareKeys {
	due := secrets.Due(now, known.Schedule)
	live := "no key of the file is live"
	if known.Live >= 0 {
		live = fmt.Sprintf("key %d is live", known.Live+1)
	}
	live += ", as of " + known.At.Format(time.RFC3339)
	switch {
	case known.Unclear != "":
		return spareKeys{why: known.Unclear + "; the next run that applies finds out"}
	case !known.Watched.IsZero() && now.Before(known.Watched):
		return spareKeys{why: "a new key is watched until " + known.Watched.Format(time.RFC3339)}
	case !known.Watched.IsZero():
		return spareKeys{why: "the watch over a new key passed at " + known.Watched.Format(time.RFC3339) + ", and the next run that applies looks at it for the last time"}
	case known.Live >= 0 && known.Schedule[known.Live].Rejected:
		return spareKeys{why: live + ", and it was rejected"}
	}
	var rejected []string
	for i, key := range known.Schedule {
		if key.Rejected {
			rejected = append(rejected, fmt.Sprintf("key %d was rejected", i+1))
		}
	}
	return spareKeys{
		numbers: numbered(secrets.Unneeded(known.Schedule, known.Live, due)),
		why:     strings.Join(append([]string{live}, rejected...), ", ") + ", and no key is watched",
	}
}

// assumed takes the key that is due for live, and for watched as long as it would be
// had it been set when it could be.
func (k keyFile) assumed(now time.Time, because string) spareKeys {
	keys := k.schedule()
	due := secrets.Due(now, keys)
	if due < 0 {
		return spareKeys{why: "no key is due"}
	}
	from := keys[due].NotBefore
	if issued := k.connection.Credentials.Keys[due].Issued; issued.After(from) {
		from = issued
	}
	out := spareKeys{why: fmt.Sprintf("it is assumed that key %d is live, because it is due: %s", due+1, because)}
	if watched := from.Add(k.connection.Rotation.Soak); !from.IsZero() && now.Before(watched) {
		out.why += fmt.Sprintf(", and that it is watched until %s", watched.UTC().Format(time.RFC3339))
		return out
	}
	out.numbers = numbered(secrets.Unneeded(keys, due, due))
	return out
}

func numbered(indexes []int) []int {
	var out []int
	for _, i := range indexes {
		out = append(out, i+1)
	}
	return out
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
