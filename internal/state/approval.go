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

// UseApproval forgets the approval of this hash, if it waits: it is on disk that
// no other run can use it when UseApproval returns nil.
func (s *Store) UseApproval(devID, hash string) error {
	record, err := readOne[approvalRecord](s, devID, keyApproval)
	if err == nil && record.Hash == hash && hash != "" {
		err = s.update(func(tx *bolt.Tx) error { return environment(tx, devID).Delete([]byte(keyApproval)) })
	}
	if err != nil {
		return fmt.Errorf("use approval of %s: %w", devID, err)
	}
	return nil
}
