package reconcile

import (
	"fmt"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// KnownKeys is what a state says about the keys of one connection. It is as old as
// the last run, and needs no identity: no secret is opened.
type KnownKeys struct {
	// Any is false where no run of the environment has finished with this state.
	Any bool
	// Live is the position in the file of the key that was live, -1 where that is
	// none of the file, or not known, which Unclear explains.
	Live    int
	Unclear string
	// At is when Live was last compared with Terra, UTC.
	At time.Time
	// Schedule is that of the file's keys, with what was rejected.
	Schedule []secrets.Schedule
	// Watched is when the watch over a new key passes; zero where none is under way.
	// A run that comes after it ends the watch.
	Watched time.Time
}

// RecallKeys asks a state about the keys of a connection. A record that cannot be
// read is an error.
func RecallKeys(store *state.Store, env spec.Environment, c spec.Connection) (KnownKeys, error) {
	out := KnownKeys{Live: -1}
	memory, err := store.Memory(env.DevID)
	if err != nil {
		return out, err
	}
	lives, err := store.KeyLives(env.DevID)
	if err != nil {
		return out, err
	}
	digests, err := store.Digests()
	if err != nil {
		return out, err
	}
	ongoing, err := store.Ongoing(env.DevID)
	if err != nil {
		return out, err
	}
	out.Any = memory.Known
	life, r := lives[c.Provider], memory.Connections[c.Provider]
	if life.Soak != nil {
		out.Watched = life.Soak.Until.UTC()
	}
	agreed := r.Fields[plan.FieldClientSecret]
	unseen := 0
	for i, k := range c.Credentials.Keys {
		s := sealedSecret{binding: secrets.Binding{DevID: env.DevID, Provider: c.Provider, Field: plan.FieldClientSecret}}
		if !k.Unknown {
			if s.sealed, err = secrets.Parse(k.Secret.Armor); err != nil {
				return out, fmt.Errorf("%s: %w", k.Secret.Origin, err)
			}
		}
		_, rejected := life.Rejected[entryOf(c, k, s.sealed)]
		out.Schedule = append(out.Schedule, secrets.Schedule{Unknown: k.Unknown, NotBefore: k.NotBefore, Rejected: rejected})
		digest, seen := digestOf(digests, s)
		switch {
		case k.Unknown && agreed == plan.UnknownKey, seen && secrets.DigestsAgree(digest.Value, agreed):
			out.Live = i
		case !k.Unknown && !seen:
			unseen++
		}
	}
	if out.At = r.VerifiedAt.UTC(); r.VerifiedAt.IsZero() {
		out.At = r.UpdatedAt.UTC()
	}
	held := r.Held[plan.FieldClientSecret] != ""
	for _, h := range ongoing.Held {
		held = held || h.Provider == c.Provider && h.Guard != plan.GuardRejected && changesKeys(plan.Action(h.Action))
	}
	out.Unclear = out.unclear(r, held, agreed, unseen)
	return out, nil
}

func changesKeys(a plan.Action) bool {
	return a == plan.RotateSecret || a == plan.UpdateCredentials || a == plan.SetCredentials
}

// unclear says why the state does not know which key is live. Where a change of the
// keys is held, something else may stand at Terra.
func (k *KnownKeys) unclear(r plan.Remembered, held bool, agreed string, unseen int) string {
	why := ""
	switch {
	case agreed == "" || r.Noted:
		why = "no run has agreed on a live key yet"
	case held:
		why = "a change of its keys is held, and until it is settled what is live may be another"
	case k.Live >= 0:
	case unseen > 0:
		why = "no run has seen all keys as they are sealed now"
	}
	if why != "" {
		k.Live = -1
	}
	return why
}
