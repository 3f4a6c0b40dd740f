package state

import (
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
// it. It needs a reason, an owner and an end after its beginning.
func (s *Store) SetKillSwitch(k KillSwitch) error {
	k.Since, k.Until = utc(k.Since), utc(k.Until)
	err := s.editKillSwitches(k.Since, func(tx *bolt.Tx, all []KillSwitch) ([]KillSwitch, error) {
		switch {
		case k.Reason == "" || k.Owner == "" || !k.Since.Before(k.Until):
			return nil, errors.New("it needs a reason, an owner and an end after its beginning")
		case k.Environment == "" && k.Provider != "":
			return nil, errors.New("a connection needs its environment")
		}
		all = slices.DeleteFunc(all, func(other KillSwitch) bool { return other.Target() == k.Target() })
		return append(all, k), s.markSuspended(tx, k)
	})
	if err != nil {
		return fmt.Errorf("set kill switch: %w", err)
	}
	return nil
}

// LiftKillSwitch ends the one on exactly this target and tells whether there was
// one that had not ended before now.
func (s *Store) LiftKillSwitch(target string, now time.Time) (lifted bool, err error) {
	err = s.editKillSwitches(now, func(_ *bolt.Tx, all []KillSwitch) ([]KillSwitch, error) {
		left := slices.DeleteFunc(slices.Clone(all), func(k KillSwitch) bool { return k.Target() == target })
		lifted = len(left) < len(all)
		return left, nil
	})
	if err != nil {
		return false, fmt.Errorf("lift kill switch: %w", err)
	}
	return lifted, nil
}

// editKillSwitches also drops those that have ended.
func (s *Store) editKillSwitches(now time.Time, edit func(*bolt.Tx, []KillSwitch) ([]KillSwitch, error)) error {
	return s.update(func(tx *bolt.Tx) error {
		record, err := s.killSwitches(tx)
		if err != nil {
			return err
		}
		record.Switches = slices.DeleteFunc(record.Switches, func(k KillSwitch) bool { return !now.Before(k.Until) })
		if record.Switches, err = edit(tx, record.Switches); err != nil {
			return err
		}
		value, err := encode(record)
		if err != nil {
			return err
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyKillSwitches), value)
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
