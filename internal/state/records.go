package state

import (
	"encoding/json"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// The file is a tree of buckets; every value is JSON with its own version "v".
//
//	meta          format               the version of the whole file
//	              kill_switches        what `reconcile pause` holds; absent at first
//	              epoch                counts the processes that wrote history
//	              told                 last refusal of a commit or environment in the history
//	environments  <dev_id>  memory         head of the environment's memory
//	                        connections    <provider> -> connection
//	                        source_types   what Terra offers here
//	                        commits        attempted and applied
//	                        followed       the commits that it followed, each once
//	                        token          when it ends, and its name
//	                        good           the last commit without errors in its files
//	                        approval       left for the next run by a person
//	                        approvals_used <plan hash> -> when an approval of it served
//	                        ongoing        what is held or drifts, and since when
//	                        outbox         lines on their way to the history
//	                        key_lives      <provider> -> rejected, seen and watched keys
//	                        probes         <keyed digest> -> answer of a provider about a pair
//	digests       <sha256:…>           digest of one sealed secret
//	keys          digest               the sealed digest key
//	journal       <intent id>          writes that began and have not ended
const (
	bucketMeta         = "meta"
	bucketEnvironments = "environments"
	bucketDigests      = "digests"
	bucketKeys         = "keys"
	bucketJournal      = "journal"

	bucketConnections = "connections"

	keyFormat       = "format"
	keyKillSwitches = "kill_switches"
	keyMemory       = "memory"
	keySourceTypes  = "source_types"
	keyCommits      = "commits"
	keyGood         = "good"
	keyFollowed     = "followed"
	keyApproval     = "approval"
	keyOngoing      = "ongoing"
	keyOutbox       = "outbox"
	keyEpoch        = "epoch"
	keyTold         = "told"
	keyDigest       = "digest"

	recordVersion = 1
)

func topBuckets() []string {
	return []string{bucketMeta, bucketEnvironments, bucketDigests, bucketKeys, bucketJournal}
}

type formatRecord struct {
	V      int `json:"v"`
	Format int `json:"format"`
}

// verifyVersion refuses a file of a newer format and one that lacks a part.
func (s *Store) verifyVersion(tx *bolt.Tx) error {
	meta := tx.Bucket([]byte(bucketMeta))
	if meta == nil {
		return &CorruptError{Path: s.path, Cause: errors.New("it is a database of another program")}
	}
	// The format is read without its record version: a newer reconcile may
	// have changed the record as well.
	var format formatRecord
	if err := json.Unmarshal(meta.Get([]byte(keyFormat)), &format); err != nil {
		return &CorruptError{Path: s.path, Record: "format", Cause: err}
	}
	if format.Format > Version {
		return &NewerError{Path: s.path, Found: format.Format, Known: Version}
	}
	if format.Format != Version || format.V != recordVersion {
		return &CorruptError{Path: s.path, Record: "format", Cause: fmt.Errorf("format %d is unknown", format.Format)}
	}
	for _, name := range topBuckets() {
		if tx.Bucket([]byte(name)) == nil {
			return &CorruptError{Path: s.path, Cause: fmt.Errorf("its part %q is gone", name)}
		}
	}
	return nil
}

func encode[T any](record T) ([]byte, error) {
	value, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return value, nil
}

// versioned is a record that knows its own version.
type versioned interface{ version() int }

// decode reads a record that is there. name tells a person which one it is.
func decode[T versioned](s *Store, name string, value []byte) (T, error) {
	var record, none T
	if err := json.Unmarshal(value, &record); err != nil {
		return none, s.corrupt(name, err)
	}
	switch v := record.version(); {
	case v > recordVersion:
		return none, &NewerError{Path: s.path, Found: v, Known: recordVersion}
	case v < recordVersion:
		return none, s.corrupt(name, errors.New("it has no version"))
	}
	return record, nil
}

func (s *Store) corrupt(record string, cause error) error {
	return &CorruptError{Path: s.path, Record: record, Cause: cause}
}

// environment gives the bucket of one environment, nil when nothing was saved
// for it.
func environment(tx *bolt.Tx, devID string) *bolt.Bucket {
	return tx.Bucket([]byte(bucketEnvironments)).Bucket([]byte(devID))
}

func makeEnvironment(tx *bolt.Tx, devID string) (*bolt.Bucket, error) {
	return tx.Bucket([]byte(bucketEnvironments)).CreateBucketIfNotExists([]byte(devID))
}
