package state

import (
	"errors"
	"testing"
	"time"
)

func TestApprovalIsUsedOnce(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	want := Approval{Hash: "sha256:1", Now: true, Owner: "jo", At: noon(), Until: noon().Add(24 * time.Hour)}
	must(t, errors.Join(s.SaveApproval(dev, Approval{Hash: "sha256:0", Owner: "jo", At: noon(), Until: noon().Add(1)}), s.SaveApproval(dev, want)))
	closed(t, s)
	s = opened(t, dir)
	for at, want := range map[time.Duration]Approval{0: want, 24*time.Hour - 1: want, 24 * time.Hour: {}} {
		if got, err := s.Approval(dev, noon().Add(at)); got != want || err != nil {
			t.Errorf("after %s: got %+v, %v", at, got, err)
		}
	}
	must(t, errors.Join(s.UseApproval(dev, "sha256:2"), s.UseApproval("other", "sha256:1")))
	if got, err := s.Approval(dev, noon()); got != want || err != nil {
		t.Errorf("after the use of others: got %+v, %v", got, err)
	}
	must(t, s.UseApproval(dev, "sha256:1"))
	closed(t, s)
	s = opened(t, dir)
	if got, err := s.Approval(dev, noon()); got != (Approval{}) || err != nil {
		t.Errorf("after its use: got %+v, %v", got, err)
	}
	must(t, s.UseApproval(dev, "sha256:1"))
	for _, bad := range []Approval{{Owner: "jo", At: noon(), Until: noon().Add(1)}, {Hash: "h", At: noon(), Until: noon().Add(1)}, {Hash: "h", Owner: "jo", At: noon(), Until: noon()}} {
		if err := s.SaveApproval(dev, bad); err == nil {
			t.Errorf("%+v: got no error", bad)
		}
	}
}
