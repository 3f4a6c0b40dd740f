package state

import (
	"fmt"
	"slices"
)

// followedKept is how many commits of an environment are remembered, the newest ones.
const followedKept = 1000

// followedRecord holds the commits that an environment followed, each once, in the
// order in which it first did.
type followedRecord struct {
	V       int      `json:"v"`
	Commits []string `json:"commits"`
}

func (r followedRecord) version() int { return r.V }

// Follow remembers that an environment follows a commit. One that it followed before
// keeps its place, so the newest stays the newest when a branch goes back.
func (s *Store) Follow(devID, commit string) error {
	record, err := readOne[followedRecord](s, devID, keyFollowed)
	if err == nil && !slices.Contains(record.Commits, commit) {
		all := append(record.Commits, commit)
		err = saveOne(s, devID, keyFollowed, followedRecord{recordVersion, all[max(0, len(all)-followedKept):]})
	}
	if err != nil {
		return fmt.Errorf("remember that %s follows a commit: %w", devID, err)
	}
	return nil
}

// NewerThan gives the newest commit that an environment followed, where it followed
// this one before that: the branch went back. It is "" for the newest itself and for a
// commit that was never followed.
func (s *Store) NewerThan(devID, commit string) (string, error) {
	record, err := readOne[followedRecord](s, devID, keyFollowed)
	if err != nil {
		return "", fmt.Errorf("recall which commits %s followed: %w", devID, err)
	}
	at := slices.Index(record.Commits, commit)
	if last := len(record.Commits) - 1; at >= 0 && at < last {
		return record.Commits[last], nil
	}
	return "", nil
}
