package state

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

	must(t, s.End("z"))
	if err := s.End("a", "z"); !errors.Is(err, ErrNotPending) {
		t.Errorf("ended twice: got %v, want ErrNotPending", err)
	}
	pending, err = s.Pending(dev)
	must(t, err)
	if diff := cmp.Diff([]Intent{late}, pending); diff != "" { // also that the refused call ended none
		t.Errorf("pending after an end (-want +got):\n%s", diff)
	}
}
