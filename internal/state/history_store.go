package state

import (
	"fmt"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

type epochRecord struct {
	V     int   `json:"v"`
	Epoch int64 `json:"epoch"`
}

func (r epochRecord) version() int { return r.V }

// Record writes lines of history. They are on disk when Record returns nil; after
// an error none of them is. A final line whose ID stands there already, because a
// run was killed before it could note so, is not written again.
func (s *Store) Record(entries ...Entry) error {
	if s.readOnly {
		return fmt.Errorf("write history: %w", ErrReadOnly)
	}
	if err := s.beginEpoch(); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return s.history.append(s.stamped(entries))
}

// TakeNotes gives, once, what a person should know about how the state was found.
func (s *Store) TakeNotes() []string {
	if s.history == nil {
		return nil
	}
	return s.history.takeNotes()
}

func (s *Store) stamped(entries []Entry) []Entry {
	out := make([]Entry, 0, len(entries))
	for _, e := range entries {
		e.Epoch = s.epoch
		out = append(out, e)
	}
	return out
}

// openHistory makes sure that the history can be written, finishes what a killed
// run has begun to tell it, and compares its age with that of the state.
func (s *Store) openHistory(dir string) error {
	s.history = newHistory(dir)
	f, _, err := s.history.open()
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("open history %s: %w", filepath.Join(dir, historyName), err)
	}
	if err := s.compareAge(); err != nil {
		return err
	}
	if s.older {
		if err := s.suspendAll(); err != nil {
			return err
		}
		s.older = false // it is written down now
	}
	return s.finishHistory()
}

// compareAge finds out whether the history goes on after the state ends.
func (s *Store) compareAge() error {
	last, err := s.history.lastEpoch()
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	var stored epochRecord
	err = s.view(func(tx *bolt.Tx) (err error) {
		if value := tx.Bucket([]byte(bucketMeta)).Get([]byte(keyEpoch)); value != nil {
			stored, err = decode[epochRecord](s, "epoch", value)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.epoch = max(stored.Epoch, last)
	if last <= stored.Epoch {
		return nil
	}
	if s.missing {
		s.history.notes = append(s.history.notes, fmt.Sprintf("%s was gone although its history is there; restore a backup, or go on knowing that what could hurt end users waits for approval", s.path))
		return nil
	}
	s.older = true
	s.history.notes = append(s.history.notes, fmt.Sprintf("%s is older than its history, as after restoring a backup; what could hurt end users waits for approval", s.path))
	return nil
}

// suspendAll makes the next run of every environment as careful as after a
// suspend: what was learned since this state was saved is not known any more.
func (s *Store) suspendAll() error {
	return s.update(func(tx *bolt.Tx) error {
		environments := tx.Bucket([]byte(bucketEnvironments))
		err := environments.ForEachBucket(func(devID []byte) error {
			env := environments.Bucket(devID)
			if env.Get([]byte(keyMemory)) == nil {
				return nil
			}
			return s.markEnvironment(env, string(devID))
		})
		if err != nil {
			return err
		}
		return s.putEpoch(tx)
	})
}

// beginEpoch gives the lines of this process a number of their own, before the
// first of them.
func (s *Store) beginEpoch() error {
	s.epochs.Lock()
	defer s.epochs.Unlock()
	if s.begun {
		return nil
	}
	s.epoch++
	if err := s.update(s.putEpoch); err != nil {
		s.epoch--
		return err
	}
	s.begun = true
	return nil
}

func (s *Store) putEpoch(tx *bolt.Tx) error {
	value, err := encode(epochRecord{recordVersion, s.epoch})
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyEpoch), value)
}

// finishHistory tells the history what a killed process had noted for it, and
// learns which pending intents have their line already.
func (s *Store) finishHistory() error {
	ids, waiting := map[string]bool{}, map[string][]Entry{}
	err := s.view(func(tx *bolt.Tx) error {
		err := tx.Bucket([]byte(bucketJournal)).ForEach(func(id, _ []byte) error {
			ids[string(id)] = true
			return nil
		})
		if err != nil {
			return err
		}
		switches, err := s.killSwitches(tx)
		if err != nil {
			return err
		}
		for _, e := range switches.Untold {
			ids[e.ID] = true
		}
		return tx.Bucket([]byte(bucketEnvironments)).ForEachBucket(func(devID []byte) error {
			box, err := recordIn[outboxRecord](s, environment(tx, string(devID)), string(devID), keyOutbox)
			if len(box.Entries) > 0 {
				waiting[string(devID)] = box.Entries
			}
			for _, e := range box.Entries {
				ids[e.ID] = true
			}
			return err
		})
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	if s.history.written, err = s.history.finals(ids); err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	if err := s.tellKillSwitches(); err != nil {
		return err
	}
	for devID, entries := range waiting {
		if err := s.history.append(entries); err != nil {
			return err
		}
		if err := s.clearOutbox(devID); err != nil {
			return err
		}
	}
	return nil
}

// toldRecord holds, for what is refused again and again, the ID of its last line.
type toldRecord struct {
	V    int               `json:"v"`
	Last map[string]string `json:"last"`
}

func (r toldRecord) version() int { return r.V }

// RecordOnce is Record for what every run or poll would tell again: a line is left
// out whose ID is that of the last one about the same thing.
func (s *Store) RecordOnce(about string, e Entry) error {
	told := toldRecord{V: recordVersion, Last: map[string]string{}}
	err := s.view(func(tx *bolt.Tx) (err error) {
		if value := tx.Bucket([]byte(bucketMeta)).Get([]byte(keyTold)); value != nil {
			told, err = decode[toldRecord](s, "told", value)
		}
		return err
	})
	if err != nil || told.Last[about] == e.ID {
		return err
	}
	if err := s.Record(e); err != nil {
		return err
	}
	if told.Last == nil {
		told.Last = map[string]string{}
	}
	told.Last[about] = e.ID
	value, err := encode(told)
	if err != nil {
		return err
	}
	return s.update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyTold), value) })
}
