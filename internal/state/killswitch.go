package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// KillSwitch holds every change of everything, of an environment or of a
// connection until a moment (exclusive). There is at most one on each.
type KillSwitch struct {
	Environment string    `json:"environment"` // its name, or a dev_id; "" is everything
	DevIDs      []string  `json:"dev_ids"`     // what that was then, so that another name does not escape
	Provider    string    `json:"provider"`    // "": the whole environment
	Reason      string    `json:"reason"`
	Owner       string    `json:"owner"`
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until"`
}

// Target is what it is set on: "", ENV or ENV/CONN.
func (k KillSwitch) Target() string {
	return strings.TrimSuffix(k.Environment+"/"+k.Provider, "/")
}

// Concerns tells whether it is about an environment, or a connection of it.
func (k KillSwitch) Concerns(name, devID string) bool {
	return k.Environment == "" || k.Environment == name || k.Environment == devID || slices.Contains(k.DevIDs, devID)
}

type killSwitchesRecord struct {
	V        int          `json:"v"`
	Switches []KillSwitch `json:"switches"`
	Untold   []Entry      `json:"untold,omitempty"` // on their way to the history
}

func (r killSwitchesRecord) version() int { return r.V }

// KillSwitches gives those that have not ended before now.
func (s *Store) KillSwitches(now time.Time) ([]KillSwitch, error) {
	var record killSwitchesRecord
	err := s.view(func(tx *bolt.Tx) (err error) {
		record, err = s.killSwitches(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("recall kill switches: %w", err)
	}
	return slices.DeleteFunc(record.Switches, func(k KillSwitch) bool { return !now.Before(k.Until) }), nil
}

func (s *Store) killSwitches(tx *bolt.Tx) (killSwitchesRecord, error) {
	value := tx.Bucket([]byte(bucketMeta)).Get([]byte(keyKillSwitches))
	if value == nil {
		return killSwitchesRecord{V: recordVersion}, nil
	}
	return decode[killSwitchesRecord](s, "kill switches", value)
}

// SetKillSwitch replaces the one on the same target, and marks what it is about as
// suspended, so that the first run after it is careful even when no run has seen
// it. It needs a reason, an owner and an end after its beginning. The history is
// told of it; where that fails it holds all the same, and a later change of the kill
// switches, or the next process, tells it.
func (s *Store) SetKillSwitch(k KillSwitch) error {
	k.Since, k.Until = utc(k.Since), utc(k.Until)
	err := s.editKillSwitches(k.Since, func(tx *bolt.Tx, r *killSwitchesRecord) error {
		switch {
		case k.Reason == "" || k.Owner == "" || !k.Since.Before(k.Until):
			return errors.New("it needs a reason, an owner and an end after its beginning")
		case k.Environment == "" && k.Provider != "":
			return errors.New("a connection needs its environment")
		}
		r.Switches = slices.DeleteFunc(r.Switches, func(other KillSwitch) bool { return other.Target() == k.Target() })
		r.Switches, r.Untold = append(r.Switches, k), append(r.Untold, k.line(EventPause, k.Since, k.Owner, s.epoch))
		return s.markSuspended(tx, k)
	})
	if err != nil {
		return fmt.Errorf("set kill switch: %w", err)
	}
	return nil
}

// LiftKillSwitch ends the one on exactly this target, for owner, and tells whether
// there was one that had not ended before now. The history is told as by
// SetKillSwitch.
func (s *Store) LiftKillSwitch(target, owner string, now time.Time) (lifted bool, err error) {
	err = s.editKillSwitches(now, func(_ *bolt.Tx, r *killSwitchesRecord) error {
		i := slices.IndexFunc(r.Switches, func(k KillSwitch) bool { return k.Target() == target })
		if lifted = i >= 0; lifted {
			line := r.Switches[i].line(EventResume, now, owner, s.epoch)
			line.Since, line.LastedMS = r.Switches[i].Since, now.Sub(r.Switches[i].Since).Milliseconds()
			r.Switches, r.Untold = slices.Delete(r.Switches, i, i+1), append(r.Untold, line)
		}
		return nil
	})
	if err != nil {
		return lifted, fmt.Errorf("lift kill switch: %w", err)
	}
	return lifted, nil
}

// line tells the history of a kill switch.
func (k KillSwitch) line(event string, at time.Time, owner string, epoch int64) Entry {
	e := Entry{ID: rand.Text(), At: utc(at), Event: event, Environment: k.Environment, Provider: k.Provider, Reason: k.Reason,
		Owner: owner, Until: k.Until, Epoch: epoch}
	if k.Provider != "" {
		e.Connection = k.Target()
	}
	if len(k.DevIDs) == 1 {
		e.DevID = k.DevIDs[0]
	}
	return e
}

// editKillSwitches also drops those that have ended, and tells the history.
func (s *Store) editKillSwitches(now time.Time, edit func(*bolt.Tx, *killSwitchesRecord) error) error {
	if err := s.beginEpoch(); err != nil {
		return err
	}
	err := s.update(func(tx *bolt.Tx) error {
		record, err := s.killSwitches(tx)
		if err != nil {
			return err
		}
		record.Switches = slices.DeleteFunc(record.Switches, func(k KillSwitch) bool { return !now.Before(k.Until) })
		if err := edit(tx, &record); err != nil {
			return err
		}
		return putKillSwitches(tx, record)
	})
	if err != nil {
		return err
	}
	if err := s.tellKillSwitches(); err != nil {
		return fmt.Errorf("it is in effect, and the history is told of it later: %w", err)
	}
	return nil
}

func putKillSwitches(tx *bolt.Tx, record killSwitchesRecord) error {
	value, err := encode(record)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyKillSwitches), value)
}

// tellKillSwitches writes the lines that wait. Whoever comes second finds none.
func (s *Store) tellKillSwitches() error {
	s.telling.Lock()
	defer s.telling.Unlock()
	var record killSwitchesRecord
	err := s.view(func(tx *bolt.Tx) (err error) {
		record, err = s.killSwitches(tx)
		return err
	})
	if err != nil || len(record.Untold) == 0 {
		return err
	}
	if err := s.history.append(record.Untold); err != nil {
		return err
	}
	told := len(record.Untold)
	return s.update(func(tx *bolt.Tx) error {
		record, err := s.killSwitches(tx)
		if err != nil {
			return err
		}
		record.Untold = record.Untold[told:]
		return putKillSwitches(tx, record)
	})
}

// markSuspended changes what is remembered of the environments and connections
// that a kill switch is about.
func (s *Store) markSuspended(tx *bolt.Tx, k KillSwitch) error {
	environments := tx.Bucket([]byte(bucketEnvironments))
	return environments.ForEachBucket(func(devID []byte) error {
		env := environments.Bucket(devID)
		commits, err := recordIn[commitsRecord](s, env, string(devID), keyCommits)
		if err != nil || !k.Concerns(commits.Environment, string(devID)) || env.Get([]byte(keyMemory)) == nil {
			return err
		}
		if k.Provider != "" {
			return s.markConnection(env, string(devID), k.Provider)
		}
		return s.markEnvironment(env, string(devID))
	})
}

func (s *Store) markEnvironment(env *bolt.Bucket, devID string) error {
	head, err := s.memoryHead(env, devID)
	if err != nil {
		return err
	}
	head.Suspended = true
	value, err := encode(head)
	if err != nil {
		return err
	}
	return env.Put([]byte(keyMemory), value)
}

func (s *Store) markConnection(env *bolt.Bucket, devID, provider string) error {
	found := map[string]plan.Remembered{}
	if err := s.connections(env, devID, found); err != nil {
		return err
	}
	remembered, known := found[provider]
	if !known {
		return nil
	}
	remembered.Suspended = true
	value, err := encodeConnection(remembered)
	if err != nil {
		return err
	}
	return env.Bucket([]byte(bucketConnections)).Put([]byte(provider), value)
}
