package state

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

const historyKept = 10_000 // entries per environment

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
}

// Entry is an intent whose outcome is known.
type Entry struct {
	Intent
	Outcome string    `json:"outcome"`
	EndedAt time.Time `json:"ended_at"`
}

type intentRecord struct {
	V int `json:"v"`
	Intent
}

func (r intentRecord) version() int { return r.V }

type entryRecord struct {
	V int `json:"v"`
	Entry
}

func (r entryRecord) version() int { return r.V }

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

// End writes down what became of an intent and moves it into the history of its
// environment, which keeps the last 10,000. An intent that is not pending is
// refused with ErrNotPending.
func (s *Store) End(id, outcome string, at time.Time) error {
	err := s.update(func(tx *bolt.Tx) error {
		journal := tx.Bucket([]byte(bucketJournal))
		value := journal.Get([]byte(id))
		if value == nil {
			return ErrNotPending
		}
		intent, err := decode[intentRecord](s, "intent "+id, value)
		if err != nil {
			return err
		}
		if err := journal.Delete([]byte(id)); err != nil {
			return err
		}
		return addHistory(tx, Entry{Intent: intent.Intent, Outcome: outcome, EndedAt: utc(at)})
	})
	if err != nil {
		return fmt.Errorf("end intent %s: %w", id, err)
	}
	return nil
}

func addHistory(tx *bolt.Tx, entry Entry) error {
	env, err := makeEnvironment(tx, entry.DevID)
	if err != nil {
		return err
	}
	history, err := env.CreateBucketIfNotExists([]byte(bucketHistory))
	if err != nil {
		return err
	}
	sequence, err := history.NextSequence()
	if err != nil {
		return err
	}
	value, err := encode(entryRecord{V: recordVersion, Entry: entry})
	if err != nil {
		return err
	}
	if err := history.Put(sequenceKey(sequence), value); err != nil {
		return err
	}
	if sequence <= historyKept {
		return nil
	}
	return history.Delete(sequenceKey(sequence - historyKept))
}

func sequenceKey(n uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, n)
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

// History gives the ended intents of one environment, the latest first, at most
// limit of them. With a provider only those of that connection; "" means all.
func (s *Store) History(devID, provider string, limit int) ([]Entry, error) {
	var entries []Entry
	err := s.view(func(tx *bolt.Tx) error {
		env := environment(tx, devID)
		if env == nil || env.Bucket([]byte(bucketHistory)) == nil {
			return nil
		}
		cursor := env.Bucket([]byte(bucketHistory)).Cursor()
		for key, value := cursor.Last(); key != nil && len(entries) < limit; key, value = cursor.Prev() {
			record, err := decode[entryRecord](s, fmt.Sprintf("history %x of %s", key, devID), value)
			if err != nil {
				return err
			}
			if provider == "" || record.Provider == provider {
				entries = append(entries, record.Entry)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("recall history of %s: %w", devID, err)
	}
	return entries, nil
}
