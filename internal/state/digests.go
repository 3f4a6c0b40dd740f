package state

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

const (
	digestKept    = 30 * 24 * time.Hour // without use
	digestTouched = 24 * time.Hour      // how exact the time of last use is
)

// Digest is what is known of a sealed secret without opening it again.
type Digest struct {
	Value string // keyed digest of the plaintext
	Mask  string // as Terra would show it
}

type digestRecord struct {
	V     int       `json:"v"`
	Value string    `json:"value"`
	Mask  string    `json:"mask"`
	Used  time.Time `json:"used"`
}

func (r digestRecord) version() int { return r.V }

type keyRecord struct {
	V      int    `json:"v"`
	Sealed []byte `json:"sealed"`
}

func (r keyRecord) version() int { return r.V }

// DigestKey gives the sealed digest key, nil when none was set.
func (s *Store) DigestKey() ([]byte, error) {
	var sealed []byte
	err := s.view(func(tx *bolt.Tx) error {
		value := tx.Bucket([]byte(bucketKeys)).Get([]byte(keyDigest))
		if value == nil {
			return nil
		}
		record, err := decode[keyRecord](s, "digest key", value)
		if err == nil && len(record.Sealed) == 0 {
			err = s.corrupt("digest key", errors.New("it is empty"))
		}
		sealed = record.Sealed
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("recall digest key: %w", err)
	}
	return sealed, nil
}

// SetDigestKey saves a new digest key, sealed to the runner's own identity, in
// the place of former, which is what DigestKey gave. It drops in the same
// transaction all that was made with another one: the cached digests and the
// remembered tokens of client_secret and verification_secret. When the key is not
// former any more nothing changes and the error wraps ErrKeyChanged: two runs
// must never work with two keys. The same sealed key again changes nothing.
func (s *Store) SetDigestKey(former, sealed []byte) error {
	if len(sealed) == 0 {
		return errors.New("set digest key: it is empty")
	}
	s.digests.mu.Lock()
	defer s.digests.mu.Unlock()
	s.digests.records = nil // until what is on disk is read again
	err := s.update(func(tx *bolt.Tx) error {
		value, err := encode(keyRecord{V: recordVersion, Sealed: sealed})
		if err != nil {
			return err
		}
		keys := tx.Bucket([]byte(bucketKeys))
		current := keys.Get([]byte(keyDigest))
		if bytes.Equal(current, value) {
			return nil
		}
		if err := s.stillThere(current, former); err != nil {
			return err
		}
		if err := tx.DeleteBucket([]byte(bucketDigests)); err != nil {
			return err
		}
		if _, err := tx.CreateBucket([]byte(bucketDigests)); err != nil {
			return err
		}
		if err := s.forgetSecrets(tx); err != nil {
			return err
		}
		return keys.Put([]byte(keyDigest), value)
	})
	if err != nil {
		return fmt.Errorf("set digest key: %w", err)
	}
	return nil
}

// stillThere is an error unless the stored record holds the sealed key former.
func (s *Store) stillThere(stored, former []byte) error {
	var record keyRecord
	if stored != nil {
		var err error
		if record, err = decode[keyRecord](s, "digest key", stored); err != nil {
			return err
		}
	}
	if !bytes.Equal(record.Sealed, former) {
		return ErrKeyChanged
	}
	return nil
}

func (s *Store) forgetSecrets(tx *bolt.Tx) error {
	environments := tx.Bucket([]byte(bucketEnvironments))
	return environments.ForEachBucket(func(devID []byte) error {
		env := environments.Bucket(devID)
		found := map[string]plan.Remembered{}
		if err := s.connections(env, string(devID), found); err != nil {
			return err
		}
		for provider, remembered := range found {
			delete(remembered.Fields, plan.FieldClientSecret)
			delete(remembered.Fields, plan.FieldVerificationSecret)
			value, err := encodeConnection(remembered)
			if err != nil {
				return err
			}
			if err := env.Bucket([]byte(bucketConnections)).Put([]byte(provider), value); err != nil {
				return err
			}
		}
		return s.forgetPairs(env, string(devID))
	})
}

// Digests gives all cached digests by the token of the sealed form ("sha256:…").
// The caller owns the result.
func (s *Store) Digests() (map[string]Digest, error) {
	s.digests.mu.Lock()
	defer s.digests.mu.Unlock()
	records, err := s.digestRecords()
	if err != nil {
		return nil, fmt.Errorf("recall digests: %w", err)
	}
	digests := make(map[string]Digest, len(records))
	for token, record := range records {
		digests[token] = Digest{Value: record.Value, Mask: record.Mask}
	}
	return digests, nil
}

// digestTable is what the digests on disk say, decoded once: a runner that works
// through its environments one by one asks for all of them each time. It cannot
// grow stale, because while a Store is open no other process writes the file.
type digestTable struct {
	mu      sync.Mutex
	records map[string]digestRecord // nil: not read yet, or no longer known
}

// digestRecords gives the table, for a caller that holds its lock.
func (s *Store) digestRecords() (map[string]digestRecord, error) {
	if s.digests.records != nil {
		return s.digests.records, nil
	}
	records := map[string]digestRecord{}
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketDigests)).ForEach(func(token, value []byte) error {
			record, err := s.digest(token, value)
			records[string(token)] = record
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	s.digests.records = records
	return records, nil
}

func (s *Store) digest(token, value []byte) (digestRecord, error) {
	name := fmt.Sprintf("digest %.20s", token)
	record, err := decode[digestRecord](s, name, value)
	if err == nil && record.Value == "" {
		err = s.corrupt(name, errors.New("it is empty"))
	}
	return record, err
}

// SaveDigests adds the digests that a run has used, by the token of their sealed
// form, and drops those that no run has used for 30 days before now. The time of
// last use is kept to the day, so that a run that used what it used before does
// not touch the disk.
func (s *Store) SaveDigests(now time.Time, used map[string]Digest) error {
	if s.readOnly {
		return fmt.Errorf("save digests: %w", ErrReadOnly)
	}
	s.digests.mu.Lock()
	defer s.digests.mu.Unlock()
	records, err := s.digestRecords()
	if err != nil {
		return fmt.Errorf("save digests: %w", err)
	}
	edits, err := editDigests(records, now.UTC(), used)
	if err == nil && len(edits.put)+len(edits.drop) > 0 {
		s.digests.records = nil // until what is on disk is read again
		err = s.update(func(tx *bolt.Tx) error { return edits.write(tx.Bucket([]byte(bucketDigests))) })
	}
	if err != nil {
		return fmt.Errorf("save digests: %w", err)
	}
	return nil
}

type digestEdits struct {
	put  map[string]digestRecord
	drop []string
}

func editDigests(records map[string]digestRecord, now time.Time, used map[string]Digest) (digestEdits, error) {
	edits := digestEdits{put: map[string]digestRecord{}}
	for token, digest := range used {
		if token == "" || digest.Value == "" {
			return digestEdits{}, errors.New("a digest or its token is empty")
		}
		record, known := records[token]
		same := known && digest == Digest{Value: record.Value, Mask: record.Mask}
		if !same || now.Sub(record.Used).Abs() >= digestTouched {
			edits.put[token] = digestRecord{V: recordVersion, Value: digest.Value, Mask: digest.Mask, Used: now}
		}
	}
	for token, record := range records {
		if _, inUse := used[token]; !inUse && now.Sub(record.Used) > digestKept {
			edits.drop = append(edits.drop, token)
		}
	}
	return edits, nil
}

func (e digestEdits) write(bucket *bolt.Bucket) error {
	for _, token := range e.drop {
		if err := bucket.Delete([]byte(token)); err != nil {
			return err
		}
	}
	for token, record := range e.put {
		value, err := encode(record)
		if err != nil {
			return err
		}
		if err := bucket.Put([]byte(token), value); err != nil {
			return err
		}
	}
	return nil
}
