package state

import (
	"bytes"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// Parts of an environment that are written first when there is something to say.
const (
	bucketKeyLives = "key_lives" // <provider> -> plan.KeyLife
	bucketProbes   = "probes"    // <keyed digest of a pair> -> the provider's answer
)

// probeKept is how long an answer of a provider is kept.
const probeKept = 24 * time.Hour

type keyLifeRecord struct {
	V int `json:"v"`
	plan.KeyLife
}

func (r keyLifeRecord) version() int { return r.V }

type probeRecord struct {
	V       int          `json:"v"`
	Verdict plan.Verdict `json:"verdict"`
	Reason  string       `json:"reason"`
	At      time.Time    `json:"at"`
}

func (r probeRecord) version() int { return r.V }

// KeyLives gives what is remembered of the keys of one environment, by provider;
// empty where there is nothing. A damaged record is a *CorruptError.
func (s *Store) KeyLives(devID string) (map[string]plan.KeyLife, error) {
	lives := map[string]plan.KeyLife{}
	err := s.view(func(tx *bolt.Tx) error {
		bucket := part(tx, devID, bucketKeyLives)
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(provider, value []byte) error {
			record, err := decode[keyLifeRecord](s, fmt.Sprintf("keys of %s/%s", devID, provider), value)
			lives[string(provider)] = record.KeyLife
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("recall keys of %s: %w", devID, err)
	}
	return lives, nil
}

// SaveKeyLife replaces what is remembered of the keys of one connection; nothing
// to remember removes the record.
func (s *Store) SaveKeyLife(devID, provider string, life plan.KeyLife) error {
	err := s.savePart(devID, bucketKeyLives, func(bucket *bolt.Bucket) error {
		if life.IsZero() {
			return bucket.Delete([]byte(provider))
		}
		return putRecord(bucket, provider, keyLifeRecord{V: recordVersion, KeyLife: life})
	})
	if err != nil {
		return fmt.Errorf("remember keys of %s/%s: %w", devID, provider, err)
	}
	return nil
}

// Probed gives the last answer of a provider about a pair, which is named by a
// keyed digest. ok is false where none is remembered.
func (s *Store) Probed(devID, pair string) (answer plan.Probe, ok bool, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		bucket := part(tx, devID, bucketProbes)
		if bucket == nil || bucket.Get([]byte(pair)) == nil {
			return nil
		}
		record, err := decode[probeRecord](s, "probe of "+devID, bucket.Get([]byte(pair)))
		answer, ok = plan.Probe{Verdict: record.Verdict, Reason: record.Reason, At: record.At}, err == nil
		return err
	})
	if err != nil {
		return plan.Probe{}, false, fmt.Errorf("recall probe: %w", err)
	}
	return answer, ok, nil
}

// SaveProbe remembers the answer of a provider about a pair, and drops answers
// that are older than a day.
func (s *Store) SaveProbe(devID, pair string, answer plan.Probe) error {
	err := s.savePart(devID, bucketProbes, func(bucket *bolt.Bucket) error {
		if err := s.dropOldProbes(bucket, answer.At); err != nil {
			return err
		}
		return putRecord(bucket, pair, probeRecord{V: recordVersion, Verdict: answer.Verdict, Reason: answer.Reason, At: utc(answer.At)})
	})
	if err != nil {
		return fmt.Errorf("remember probe: %w", err)
	}
	return nil
}

func (s *Store) dropOldProbes(bucket *bolt.Bucket, now time.Time) error {
	var old [][]byte
	err := bucket.ForEach(func(pair, value []byte) error {
		record, err := decode[probeRecord](s, "probe", value)
		if err == nil && now.Sub(record.At) > probeKept {
			old = append(old, bytes.Clone(pair))
		}
		return err
	})
	for _, pair := range old {
		if err == nil {
			err = bucket.Delete(pair)
		}
	}
	return err
}

// part gives a part of an environment, nil where it was never written.
func part(tx *bolt.Tx, devID, name string) *bolt.Bucket {
	env := environment(tx, devID)
	if env == nil {
		return nil
	}
	return env.Bucket([]byte(name))
}

// savePart runs fn on a part of an environment, which is made when it is missing.
func (s *Store) savePart(devID, name string, fn func(*bolt.Bucket) error) error {
	if s.readOnly {
		return ErrReadOnly
	}
	return s.update(func(tx *bolt.Tx) error {
		env, err := makeEnvironment(tx, devID)
		if err != nil {
			return err
		}
		bucket, err := env.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		return fn(bucket)
	})
}

func putRecord[T versioned](bucket *bolt.Bucket, key string, record T) error {
	value, err := encode(record)
	if err != nil {
		return err
	}
	return bucket.Put([]byte(key), value)
}

// forgetPairs drops what was made with another digest key: pairs that were live,
// the pair that is watched, and answers by pair. That a provider refused a sealed
// key stays.
func (s *Store) forgetPairs(env *bolt.Bucket, devID string) error {
	if env.Bucket([]byte(bucketProbes)) != nil {
		if err := env.DeleteBucket([]byte(bucketProbes)); err != nil {
			return err
		}
	}
	bucket := env.Bucket([]byte(bucketKeyLives))
	if bucket == nil {
		return nil
	}
	kept := map[string]plan.KeyLife{}
	err := bucket.ForEach(func(provider, value []byte) error {
		record, err := decode[keyLifeRecord](s, fmt.Sprintf("keys of %s/%s", devID, provider), value)
		kept[string(provider)] = plan.KeyLife{Rejected: record.Rejected}
		return err
	})
	for provider, life := range kept {
		switch {
		case err != nil:
			return err
		case life.IsZero():
			err = bucket.Delete([]byte(provider))
		default:
			err = putRecord(bucket, provider, keyLifeRecord{V: recordVersion, KeyLife: life})
		}
	}
	return err
}
