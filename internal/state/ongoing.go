package state

import (
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Ongoing is what lasts over the runs of one environment, and since when.
type Ongoing struct {
	Held    map[string]Hold  `json:"held,omitempty"`   // by the id of the change
	Drifts  map[string]Drift `json:"drifts,omitempty"` // by provider/field
	Refused *Refused         `json:"refused,omitempty"`
	Back    *Back            `json:"back,omitempty"`
}

// Back is a branch that stands on a commit which was followed before a newer one.
type Back struct {
	Since  time.Time `json:"since"` // UTC
	Commit string    `json:"commit"`
	Newer  string    `json:"newer"` // the newest that was followed
}

// Hold is a change that is held.
type Hold struct {
	Since    time.Time `json:"since"` // UTC: when a run first held it
	Provider string    `json:"provider"`
	Action   string    `json:"action"`
	Gate     string    `json:"gate"`
	Guard    string    `json:"guard"`
	Content  string    `json:"content"` // a digest of what it would change
}

// Drift is a field that somebody changed elsewhere.
type Drift struct {
	Since    time.Time `json:"since"` // UTC: when a run first saw it
	Provider string    `json:"provider"`
	Field    string    `json:"field"`
}

// Refused is a whole environment of which no plan can be made.
type Refused struct {
	Since time.Time `json:"since"` // UTC
}

type ongoingRecord struct {
	V int `json:"v"`
	Ongoing
}

func (r ongoingRecord) version() int { return r.V }

// outboxRecord holds lines that have to reach the history even if the process is
// killed before they do.
type outboxRecord struct {
	V       int     `json:"v"`
	Entries []Entry `json:"entries"`
}

func (r outboxRecord) version() int { return r.V }

// Ongoing gives what lasts in an environment.
func (s *Store) Ongoing(devID string) (Ongoing, error) {
	record, err := readOne[ongoingRecord](s, devID, keyOngoing)
	if err != nil {
		return Ongoing{}, fmt.Errorf("recall what lasts in %s: %w", devID, err)
	}
	return record.Ongoing, nil
}

// SaveOngoing replaces what lasts in an environment and tells the history what
// has begun and ended: both or neither, also when the process is killed in
// between. Where nothing differs the disk is not touched.
func (s *Store) SaveOngoing(devID string, o Ongoing, entries []Entry) error {
	if err := s.saveOngoing(devID, o, entries); err != nil {
		return fmt.Errorf("save what lasts in %s: %w", devID, err)
	}
	return nil
}

func (s *Store) saveOngoing(devID string, o Ongoing, entries []Entry) error {
	record := ongoingRecord{recordVersion, o}
	if len(entries) == 0 {
		return saveOne(s, devID, keyOngoing, record)
	}
	if err := s.beginEpoch(); err != nil {
		return err
	}
	value, err := encode(record)
	if err != nil {
		return err
	}
	entries = s.stamped(entries)
	err = s.update(func(tx *bolt.Tx) error {
		env, err := makeEnvironment(tx, devID)
		if err != nil {
			return err
		}
		left, err := recordIn[outboxRecord](s, env, devID, keyOutbox) // the disk was full
		if err != nil {
			return err
		}
		entries = append(left.Entries, entries...)
		lines, err := encode(outboxRecord{recordVersion, entries})
		if err != nil {
			return err
		}
		if err := env.Put([]byte(keyOngoing), value); err != nil {
			return err
		}
		return env.Put([]byte(keyOutbox), lines)
	})
	if err != nil {
		return err
	}
	if err := s.history.append(entries); err != nil {
		return err
	}
	return s.clearOutbox(devID)
}

func (s *Store) clearOutbox(devID string) error {
	return s.update(func(tx *bolt.Tx) error {
		env, err := makeEnvironment(tx, devID)
		if err != nil {
			return err
		}
		return env.Delete([]byte(keyOutbox))
	})
}
