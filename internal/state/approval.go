package state

import (
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Approval lets one run apply exactly one plan of an environment, until a moment
// (exclusive).
type Approval struct {
	Hash  string    `json:"hash"`  // of the plan
	Now   bool      `json:"now"`   // also outside the windows
	Owner string    `json:"owner"` // who said yes
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
}

type approvalRecord struct {
	V int `json:"v"`
	Approval
}

func (r approvalRecord) version() int { return r.V }

// SaveApproval keeps an approval until it is used. A new one replaces the former.
func (s *Store) SaveApproval(devID string, a Approval) error {
	a.At, a.Until = utc(a.At), utc(a.Until)
	err := error(nil)
	if a.Hash == "" || a.Owner == "" || !a.At.Before(a.Until) {
		err = errors.New("it needs a hash, an owner and an end after its beginning")
	}
	if err == nil {
		err = saveOne(s, devID, keyApproval, approvalRecord{recordVersion, a})
	}
	if err != nil {
		return fmt.Errorf("save approval of %s: %w", devID, err)
	}
	return nil
}

// Approval gives what waits to be used by an environment; the zero Approval where
// there is none, or it has ended before now.
func (s *Store) Approval(devID string, now time.Time) (Approval, error) {
	record, err := readOne[approvalRecord](s, devID, keyApproval)
	if err != nil {
		return Approval{}, fmt.Errorf("recall approval of %s: %w", devID, err)
	}
	if !now.Before(record.Until) {
		return Approval{}, nil
	}
	return record.Approval, nil
}

// ApprovalsOf gives what is remembered of approvals: the one that was left for the
// next run of an environment and has not served, be it of another plan or ended; and
// when one of this hash last served, nil where none did.
func (s *Store) ApprovalsOf(devID, hash string) (left Approval, used *UsedError, err error) {
	record, err := readOne[approvalRecord](s, devID, keyApproval)
	if err != nil {
		return Approval{}, nil, aboutApproval("recall", devID, err)
	}
	if err := s.ApprovalUsed(devID, hash, time.Time{}); err != nil && !errors.As(err, &used) {
		return Approval{}, nil, err
	}
	return record.Approval, used, nil
}

// DropApproval forgets the approval of this hash, if it waits: it is on disk that
// no run can use it any more when DropApproval returns nil.
func (s *Store) DropApproval(devID, hash string) error {
	record, err := readOne[approvalRecord](s, devID, keyApproval)
	if err == nil && record.Hash == hash && hash != "" {
		err = s.update(func(tx *bolt.Tx) error { return s.dropIn(environment(tx, devID), devID, hash) })
	}
	if err != nil {
		return fmt.Errorf("drop approval of %s: %w", devID, err)
	}
	return nil
}

// bucketUsed is the part of an environment that remembers which approvals have
// served: <plan hash> -> when the last one did.
const bucketUsed = "approvals_used"

type usedRecord struct {
	V   int       `json:"v"`
	At  time.Time `json:"at"`
	Run string    `json:"run"`
}

func (r usedRecord) version() int { return r.V }

// UsedError says that an approval has served already.
type UsedError struct {
	Hash string
	At   time.Time // UTC: when it did
	Run  string    // in which run
}

// Error names the moment and the run, as the history has them.
func (e *UsedError) Error() string {
	return fmt.Sprintf("the approval of %s was used already, at %s by run %s; an approval serves once", e.Hash, e.At.Format("2006-01-02 15:04:05 UTC"), e.Run)
}

// ApprovalUsed gives a *UsedError when an approval of this hash that was given at
// a moment has served. Given at an unknown time, the zero one, it has when any of
// the same hash ever did.
func (s *Store) ApprovalUsed(devID, hash string, given time.Time) error {
	err := s.view(func(tx *bolt.Tx) error { return s.usedIn(part(tx, devID, bucketUsed), devID, hash, given) })
	return aboutApproval("recall", devID, err)
}

// UseApproval remembers that an approval serves now, and forgets it where it
// waited: both at once, and on disk when UseApproval returns nil. Only then may the
// first write leave. One that has served is refused with a *UsedError.
func (s *Store) UseApproval(devID, hash string, given, now time.Time, run string) error {
	if hash == "" || run == "" {
		return aboutApproval("use", devID, errors.New("it needs a hash and a run"))
	}
	err := s.savePart(devID, bucketUsed, func(bucket *bolt.Bucket) error {
		if err := s.usedIn(bucket, devID, hash, given); err != nil {
			return err
		}
		if given.After(now) {
			now = given // whatever the clocks say, this very one has served
		}
		err := putRecord(bucket, hash, usedRecord{V: recordVersion, At: utc(now), Run: run})
		return errors.Join(err, s.dropIn(environment(bucket.Tx(), devID), devID, hash))
	})
	return aboutApproval("use", devID, err)
}

// dropIn forgets the approval of this hash in a transaction that writes.
func (s *Store) dropIn(env *bolt.Bucket, devID, hash string) error {
	record, err := recordIn[approvalRecord](s, env, devID, keyApproval)
	if err != nil || record.Hash != hash {
		return err
	}
	return env.Delete([]byte(keyApproval))
}

func (s *Store) usedIn(bucket *bolt.Bucket, devID, hash string, given time.Time) error {
	if bucket == nil || bucket.Get([]byte(hash)) == nil {
		return nil
	}
	record, err := decode[usedRecord](s, "used approval of "+devID, bucket.Get([]byte(hash)))
	if err == nil && !given.After(record.At) {
		err = &UsedError{Hash: hash, At: record.At, Run: record.Run}
	}
	return err
}

func aboutApproval(verb, devID string, err error) error {
	var used *UsedError
	if err == nil || errors.As(err, &used) {
		return err
	}
	return fmt.Errorf("%s approval of %s: %w", verb, devID, err)
}
