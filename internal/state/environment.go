package state

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

type sourceTypesRecord struct {
	V     int                  `json:"v"`
	At    time.Time            `json:"at"`
	Types map[string]plan.Type `json:"types"`
}

func (r sourceTypesRecord) version() int { return r.V }

// SourceTypes gives Terra's last saved answer about what an environment can
// connect, by provider, and when it was given (UTC). types is nil when none was
// saved, or only in the form of an older version. It is shared: do not change it.
func (s *Store) SourceTypes(devID string) (types map[string]plan.Type, at time.Time, err error) {
	var record sourceTypesRecord
	err = s.view(func(tx *bolt.Tx) error {
		env := environment(tx, devID)
		if env == nil {
			return nil
		}
		value := env.Get([]byte(keySourceTypes))
		if value == nil {
			return nil
		}
		record, err = s.offered.decode(devID, value, func() (sourceTypesRecord, error) {
			return decode[sourceTypesRecord](s, keySourceTypes+" of "+devID, value)
		})
		return err
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("recall source types of %s: %w", devID, err)
	}
	return record.Types, record.At, nil
}

// SaveSourceTypes replaces Terra's answer about what an environment can connect.
func (s *Store) SaveSourceTypes(devID string, types map[string]plan.Type, at time.Time) error {
	err := saveOne(s, devID, keySourceTypes, sourceTypesRecord{V: recordVersion, At: utc(at), Types: types})
	if err != nil {
		return fmt.Errorf("save source types of %s: %w", devID, err)
	}
	return nil
}

// readOne gives the zero record when none was saved.
func readOne[T versioned](s *Store, devID, key string) (T, error) {
	var record T
	err := s.view(func(tx *bolt.Tx) (err error) {
		record, err = recordIn[T](s, environment(tx, devID), devID, key)
		return err
	})
	return record, err
}

func recordIn[T versioned](s *Store, env *bolt.Bucket, devID, key string) (T, error) {
	if env == nil || env.Get([]byte(key)) == nil {
		var none T
		return none, nil
	}
	return decode[T](s, key+" of "+devID, env.Get([]byte(key)))
}

func saveOne[T versioned](s *Store, devID, key string, record T) error {
	if s.readOnly {
		return ErrReadOnly
	}
	if devID == "" {
		return errors.New("dev_id is empty")
	}
	value, err := encode(record)
	if err != nil {
		return err
	}
	same := false
	err = s.view(func(tx *bolt.Tx) error {
		env := environment(tx, devID)
		same = env != nil && bytes.Equal(env.Get([]byte(key)), value)
		return nil
	})
	if err != nil || same {
		return err
	}
	return s.update(func(tx *bolt.Tx) error {
		env, err := makeEnvironment(tx, devID)
		if err != nil {
			return err
		}
		return env.Put([]byte(key), value)
	})
}
