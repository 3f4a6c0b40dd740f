package state

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Intent is one write that is about to leave. It holds no body: BodyDigest is
// keyed, and says only whether a later body is the same.
type Intent struct {
	ID         string    `json:"id"` // unique; chosen by the caller
	DevID      string    `json:"dev_id"`
	Provider   string    `json:"provider"`
	Action     string    `json:"action"`
	Change     string    `json:"change"`      // id of the planned change
	Commit     string    `json:"commit"`      // that asked for it
	Key        string    `json:"key"`         // Idempotency-Key
	BodyDigest string    `json:"body_digest"` // keyed
	At         time.Time `json:"at"`
	Entry      Entry     `json:"entry,omitzero"` // what to tell the history once the outcome is known
}

type intentRecord struct {
	V int `json:"v"`
	Intent
}

func (r intentRecord) version() int { return r.V }

// Begin writes down what is about to be sent. It is on disk when Begin returns
// nil; only then may the request leave. An id that is pending already, or an
// empty id, dev_id or key, is refused.
func (s *Store) Begin(i Intent) error {
	err := s.update(func(tx *bolt.Tx) error {
		if i.ID == "" || i.DevID == "" || i.Key == "" {
			return errors.New("an intent needs an id, a dev_id and a key")
		}
		journal := tx.Bucket([]byte(bucketJournal))
		if journal.Get([]byte(i.ID)) != nil {
			return errors.New("it is pending already")
		}
		i.At = utc(i.At)
		value, err := encode(intentRecord{V: recordVersion, Intent: i})
		if err != nil {
			return err
		}
		return journal.Put([]byte(i.ID), value)
	})
	if err != nil {
		return fmt.Errorf("begin intent %s: %w", i.ID, err)
	}
	return nil
}

// End forgets intents whose outcome is known and, with Record, told to the
// history: all of them or none. One that is not pending is refused with
// ErrNotPending.
func (s *Store) End(ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	err := s.update(func(tx *bolt.Tx) error {
		journal := tx.Bucket([]byte(bucketJournal))
		for _, id := range ids {
			if journal.Get([]byte(id)) == nil {
				return fmt.Errorf("%s: %w", id, ErrNotPending)
			}
			if err := journal.Delete([]byte(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end intents: %w", err)
	}
	return nil
}

// Pending gives the intents of one environment that began and have not ended,
// the oldest first.
func (s *Store) Pending(devID string) ([]Intent, error) {
	var pending []Intent
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketJournal)).ForEach(func(id, value []byte) error {
			record, err := decode[intentRecord](s, fmt.Sprintf("intent %s", id), value)
			if err == nil && record.ID != string(id) {
				err = s.corrupt(fmt.Sprintf("intent %s", id), errors.New("it is about another one"))
			}
			if err == nil && record.DevID == devID {
				pending = append(pending, record.Intent)
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("recall intents of %s: %w", devID, err)
	}
	slices.SortFunc(pending, func(a, b Intent) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	return pending, nil
}
