package state

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

func intent(id string, at time.Time) Intent {
	return Intent{
		ID: id, DevID: dev, Provider: "strava", Action: "rotate-secret", Change: "production/strava:rotate-secret",
		Commit: "abc", Key: "key-" + id, BodyDigest: "hmac:" + id, At: at,
	}
}

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	late, early := intent("a", noon().Add(time.Minute)), intent("z", noon())
	other := intent("other", noon())
	other.DevID = "staging"
	for _, i := range []Intent{late, early, other} {
		must(t, s.Begin(i))
	}
	if err := s.Begin(early); err == nil {
		t.Error("begun twice: got no error")
	}
	closed(t, s)
	s = opened(t, dir)
	pending, err := s.Pending(dev)
	must(t, err)
	if diff := cmp.Diff([]Intent{early, late}, pending); diff != "" {
		t.Errorf("pending, the oldest first (-want +got):\n%s", diff)
	}

	must(t, s.End("z", "applied", noon().Add(time.Second)))
	if err := s.End("z", "failed", noon()); !errors.Is(err, ErrNotPending) {
		t.Errorf("ended twice: got %v, want ErrNotPending", err)
	}
	pending, err = s.Pending(dev)
	must(t, err)
	if diff := cmp.Diff([]Intent{late}, pending); diff != "" {
		t.Errorf("pending after an end (-want +got):\n%s", diff)
	}
	history, err := s.History(dev, "", 10)
	must(t, err)
	want := []Entry{{Intent: early, Outcome: "applied", EndedAt: noon().Add(time.Second)}}
	if diff := cmp.Diff(want, history); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestHistoryIsBoundedAndFiltered(t *testing.T) {
	s := opened(t, t.TempDir())
	total := historyKept + 3
	must(t, s.update(func(tx *bolt.Tx) error {
		for n := range total {
			i := intent(fmt.Sprint(n), noon())
			if n%2 == 1 {
				i.Provider = "garmin"
			}
			if err := addHistory(tx, Entry{Intent: i, Outcome: "applied", EndedAt: noon()}); err != nil {
				return err
			}
		}
		return nil
	}))
	all, err := s.History(dev, "", total)
	must(t, err)
	if len(all) != historyKept || all[0].ID != fmt.Sprint(total-1) || all[len(all)-1].ID != "3" {
		t.Errorf("got %d entries from %s to %s, want %d from %d to 3", len(all), all[0].ID, all[len(all)-1].ID, historyKept, total-1)
	}
	two, err := s.History(dev, "garmin", 2)
	must(t, err)
	if len(two) != 2 || two[0].ID != fmt.Sprint(total-2) || two[1].ID != fmt.Sprint(total-4) {
		t.Errorf("the last two of garmin: got %+v", two)
	}
}
