package state

import (
	"fmt"
	"testing"
)

// TestFollowedCommits: each commit keeps the place at which it was first followed, so
// that only the newest of them is not older than another.
func TestFollowedCommits(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	newer := func(s *Store, devID, commit, want string) {
		t.Helper()
		if got, err := s.NewerThan(devID, commit); got != want || err != nil {
			t.Errorf("newer than %q: got %q, %v, want %q", commit, got, err, want)
		}
	}
	newer(s, dev, "a", "")
	for _, commit := range []string{"a", "b", "b", "c", "a"} {
		must(t, s.Follow(dev, commit))
	}
	for commit, want := range map[string]string{"a": "c", "b": "c", "c": "", "never": ""} {
		newer(s, dev, commit, want)
	}
	newer(s, "another", "a", "")
	must(t, s.Close())
	s = opened(t, dir)
	newer(s, dev, "a", "c")
	if err := s.ReadOnly().Follow(dev, "d"); err == nil {
		t.Error("a store that cannot save follows a commit")
	}
	many := followedRecord{V: recordVersion}
	for i := range followedKept {
		many.Commits = append(many.Commits, fmt.Sprint(i))
	}
	must(t, saveOne(s, dev, keyFollowed, many))
	must(t, s.Follow(dev, "last"))
	newer(s, dev, "0", "")
	newer(s, dev, "1", "last")
	newer(None("there is none"), dev, "0", "")
}
