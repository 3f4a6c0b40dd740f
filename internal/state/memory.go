package state

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// memoryRecord heads the memory of one environment. Count says how many
// connections belong to it: one that is lost is damage, not "never seen".
type memoryRecord struct {
	V     int `json:"v"`
	Count int `json:"count"`
	plan.Memory
}

func (r memoryRecord) version() int { return r.V }

type connectionRecord struct {
	V int `json:"v"`
	plan.Remembered
}

func (r connectionRecord) version() int { return r.V }

// Memory gives what was last agreed for one environment. Where nothing was ever
// saved it is the zero Memory with an empty map; a damaged record is a
// *CorruptError. Times come back in UTC.
func (s *Store) Memory(devID string) (plan.Memory, error) {
	memory := plan.Memory{Connections: map[string]plan.Remembered{}}
	err := s.view(func(tx *bolt.Tx) error {
		env := environment(tx, devID)
		if env == nil {
			return nil
		}
		head, err := s.memoryHead(env, devID)
		if err != nil {
			return err
		}
		memory.Known, memory.Suspended = head.Known, head.Suspended || s.older
		if err := s.connections(env, devID, memory.Connections); err != nil {
			return err
		}
		if len(memory.Connections) != head.Count {
			return s.corrupt("memory of "+devID, fmt.Errorf("%d of %d connections are there", len(memory.Connections), head.Count))
		}
		return nil
	})
	if err != nil {
		return plan.Memory{}, fmt.Errorf("recall %s: %w", devID, err)
	}
	return memory, nil
}

// memoryHead reads the head; one that was never written counts no connections.
func (s *Store) memoryHead(env *bolt.Bucket, devID string) (memoryRecord, error) {
	value := env.Get([]byte(keyMemory))
	if value == nil {
		return memoryRecord{V: recordVersion}, nil
	}
	return decode[memoryRecord](s, "memory of "+devID, value)
}

func (s *Store) connections(env *bolt.Bucket, devID string, into map[string]plan.Remembered) error {
	bucket := env.Bucket([]byte(bucketConnections))
	if bucket == nil {
		return nil
	}
	return bucket.ForEach(func(provider, value []byte) error {
		slug := string(provider)
		record, err := s.recalled.decode(devID+"/"+slug, value, func() (connectionRecord, error) {
			return decode[connectionRecord](s, "connection "+slug+" of "+devID, value)
		})
		if err != nil {
			return err
		}
		into[slug] = record.Clone()
		return nil
	})
}

// SaveMemory replaces what is remembered of one environment, in one transaction.
// Connections that are absent from m are forgotten; where nothing differs the
// disk is not touched.
func (s *Store) SaveMemory(devID string, m plan.Memory) error {
	if err := s.saveMemory(devID, m); err != nil {
		return fmt.Errorf("remember %s: %w", devID, err)
	}
	return nil
}

func (s *Store) saveMemory(devID string, m plan.Memory) error {
	if s.readOnly {
		return ErrReadOnly
	}
	if devID == "" {
		return errors.New("dev_id is empty")
	}
	want, err := encodeMemory(m)
	if err != nil {
		return err
	}
	same := false
	err = s.view(func(tx *bolt.Tx) error {
		same = want.equals(environment(tx, devID))
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
		return want.write(env)
	})
}

// storedMemory is a memory as it stands on disk.
type storedMemory struct {
	head        []byte
	connections map[string][]byte
}

func encodeMemory(m plan.Memory) (storedMemory, error) {
	head, err := encode(memoryRecord{V: recordVersion, Count: len(m.Connections), Memory: m})
	if err != nil {
		return storedMemory{}, err
	}
	stored := storedMemory{head: head, connections: make(map[string][]byte, len(m.Connections))}
	for provider, remembered := range m.Connections {
		if provider == "" {
			return storedMemory{}, errors.New("a connection has no provider")
		}
		value, err := encodeConnection(remembered)
		if err != nil {
			return storedMemory{}, err
		}
		stored.connections[provider] = value
	}
	return stored, nil
}

func encodeConnection(r plan.Remembered) ([]byte, error) {
	r.VerifiedAt, r.UpdatedAt = utc(r.VerifiedAt), utc(r.UpdatedAt)
	return encode(connectionRecord{V: recordVersion, Remembered: r})
}

// utc keeps a zero time zero and drops the location of any other.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

func (m storedMemory) equals(env *bolt.Bucket) bool {
	if env == nil || !bytes.Equal(env.Get([]byte(keyMemory)), m.head) {
		return false
	}
	bucket := env.Bucket([]byte(bucketConnections))
	if bucket == nil {
		return false
	}
	found := 0
	cursor := bucket.Cursor()
	for provider, value := cursor.First(); provider != nil; provider, value = cursor.Next() {
		if !bytes.Equal(value, m.connections[string(provider)]) {
			return false
		}
		found++
	}
	return found == len(m.connections)
}

// write brings env to m: what is gone is deleted, what differs is put.
func (m storedMemory) write(env *bolt.Bucket) error {
	bucket, err := env.CreateBucketIfNotExists([]byte(bucketConnections))
	if err != nil {
		return err
	}
	var gone [][]byte
	cursor := bucket.Cursor()
	for provider, _ := cursor.First(); provider != nil; provider, _ = cursor.Next() {
		if _, stays := m.connections[string(provider)]; !stays {
			gone = append(gone, bytes.Clone(provider))
		}
	}
	for _, provider := range gone {
		if err := bucket.Delete(provider); err != nil {
			return err
		}
	}
	for provider, value := range m.connections {
		if bytes.Equal(bucket.Get([]byte(provider)), value) {
			continue
		}
		if err := bucket.Put([]byte(provider), value); err != nil {
			return err
		}
	}
	return env.Put([]byte(keyMemory), m.head)
}
