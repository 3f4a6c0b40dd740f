package state

import (
	"cmp"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// KillSwitch holds every change of everything, of an environment or of a
// connection until a moment (exclusive). There is at most one on each.
type KillSwitch struct {
	Environment string    `json:"environment"` // its name, or a dev_id; "" is everything
	DevIDs      []string  `json:"dev_ids"`     // what that was then, so that another name does not escape
	Provider    string    `json:"provider"`    // "": the whole environment
	Whole       []string  `json:"whole"`       // dev_ids of an environment whose very name is that of the connection: it is held, too
	Reason      string    `json:"reason"`
	Owner       string    `json:"owner"`
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until"`
}

// Target is what it is set on: "", ENV or ENV/CONN.
func (k KillSwitch) Target() string {
	return strings.TrimSuffix(k.Environment+"/"+k.Provider, "/")
}

// Holds tells whether it is about an environment, and of which connection of it; a
// provider of "" is the whole. An environment whose name is that of a connection is held
// beside it: a folder of that name must not take the pause away. Letter case makes no
// other dev_id.
func (k KillSwitch) Holds(name, devID string) (provider string, holds bool) {
	among := func(ids []string) bool {
		return slices.ContainsFunc(ids, func(id string) bool { return strings.EqualFold(id, devID) })
	}
	switch {
	case k.Environment == "", k.Provider != "" && (k.Target() == name || among(k.Whole)):
		return "", true
	case k.Environment == name, strings.EqualFold(k.Environment, devID), among(k.DevIDs):
		return k.Provider, true
	}
	return "", false
}

func (k KillSwitch) over(now time.Time) bool { return !now.Before(k.Until) }

// KillSwitches gives those that have not ended before now, sorted by their target.
func (s *Store) KillSwitches(now time.Time) (all []KillSwitch, err error) {
	err = s.read("recall kill switches", func(r Reader) error {
		known, err := kindKillSwitch.list(r, Environment{}, nil)
		all = slices.Collect(maps.Values(known))
		return err
	})
	all = slices.DeleteFunc(all, func(k KillSwitch) bool { return k.over(now) })
	slices.SortFunc(all, func(a, b KillSwitch) int { return cmp.Compare(a.Target(), b.Target()) })
	return all, err
}

// SetKillSwitch replaces the one on the same target, and marks what it is about as
// suspended, so that the first run after it is careful even when no run has seen
// it. It needs a reason, an owner and an end after its beginning. The history has a
// line of it; where that can only be written later (*UnpublishedError) it holds all
// the same.
func (s *Store) SetKillSwitch(k KillSwitch) error {
	k.Since, k.Until = utc(k.Since), utc(k.Until)
	return s.write("set kill switch", func(w Writer) error {
		switch {
		case k.Reason == "" || k.Owner == "" || !k.Since.Before(k.Until):
			return errors.New("it needs a reason, an owner and an end after its beginning")
		case k.Environment == "" && k.Provider != "":
			return errors.New("a connection needs its environment")
		}
		if err := dropOver(w, k.Since); err != nil {
			return err
		}
		if err := kindKillSwitch.put(w, Environment{}, k.Target(), k); err != nil {
			return err
		}
		if err := markSuspended(w, k); err != nil {
			return err
		}
		return appendLines(w, k.line(EventPause, k.Since, k.Owner))
	})
}

// LiftKillSwitch ends the one on exactly this target, for owner, and tells whether
// there was one that had not ended before now. The history has a line of it, as with
// SetKillSwitch.
func (s *Store) LiftKillSwitch(target, owner string, now time.Time) (lifted bool, err error) {
	err = s.write("lift kill switch", func(w Writer) error {
		lifted = false
		if err := dropOver(w, now); err != nil {
			return err
		}
		k, found, err := kindKillSwitch.get(w, Environment{}, target)
		if err != nil || !found {
			return err
		}
		lifted = true
		line := k.line(EventResume, now, owner)
		line.Since, line.LastedMS = k.Since, now.Sub(k.Since).Milliseconds()
		if err := kindKillSwitch.drop(w, Environment{}, target); err != nil {
			return err
		}
		return appendLines(w, line)
	})
	return lifted, err
}

// line tells the history of a kill switch.
func (k KillSwitch) line(event string, at time.Time, owner string) Entry {
	e := Entry{ID: rand.Text(), At: utc(at), Event: event, Environment: k.Environment, Provider: k.Provider, Reason: k.Reason,
		Owner: owner, Until: k.Until}
	if k.Provider != "" {
		e.Connection = k.Target()
	}
	if len(k.DevIDs) == 1 {
		e.DevID = k.DevIDs[0]
	}
	return e
}

// dropOver forgets those that have ended.
func dropOver(w Writer, now time.Time) error {
	known, err := kindKillSwitch.list(w, Environment{}, nil)
	for target, k := range known {
		if err == nil && k.over(now) {
			err = kindKillSwitch.drop(w, Environment{}, target)
		}
	}
	return err
}

// markSuspended changes what is remembered of the environments and connections
// that a kill switch is about.
func markSuspended(w Writer, k KillSwitch) error {
	environments, err := w.Environments()
	if err != nil {
		return err
	}
	for _, env := range environments {
		named, _, err := kindCommits.get(w, env, "")
		if err != nil {
			return err
		}
		switch provider, holds := k.Holds(named.Environment, env.DevID); {
		case !holds:
			continue
		case provider == "":
			err = suspend(w, env)
		default:
			err = suspendConnection(w, env, provider)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func suspendConnection(w Writer, env Environment, provider string) error {
	c, known, err := kindConnection.get(w, env, provider)
	if err != nil || !known {
		return err
	}
	c.Suspended = true
	return putConnection(w, env, provider, c)
}
