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
	must(t, errors.Join(s.DropApproval(dev, "sha256:2"), s.DropApproval("other", "sha256:1")))
	if got, err := s.Approval(dev, noon()); got != want || err != nil {
		t.Errorf("after the use of others: got %+v, %v", got, err)
	}
	must(t, s.UseApproval(dev, "sha256:1", want.At, noon(), "run 1"))
	closed(t, s)
	s = opened(t, dir)
	if got, err := s.Approval(dev, noon()); got != (Approval{}) || err != nil {
		t.Errorf("after its use: got %+v, %v", got, err)
	}
	for _, bad := range []Approval{{Owner: "jo", At: noon(), Until: noon().Add(1)}, {Hash: "h", At: noon(), Until: noon().Add(1)}, {Hash: "h", Owner: "jo", At: noon(), Until: noon()}} {
		if err := s.SaveApproval(dev, bad); err == nil {
			t.Errorf("%+v: got no error", bad)
		}
	}
}

// TestApprovalHasServed: the same one never again, also after a restart; one that
// was given later, of the same plan, once more; and one of which nobody knows when
// it was given not at all.
func TestApprovalHasServed(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	const hash = "sha256:1"
	must(t, s.ApprovalUsed(dev, hash, time.Time{}))
	must(t, s.UseApproval(dev, hash, noon().Add(-time.Hour), noon(), "run 1"))
	closed(t, s)
	s = opened(t, dir)
	for name, c := range map[string]struct {
		dev, hash string
		given     time.Time
		used      bool
	}{
		"the same one":        {dev, hash, noon().Add(-time.Hour), true},
		"an older one":        {dev, hash, noon().Add(-2 * time.Hour), true},
		"given as it served":  {dev, hash, noon(), true},
		"at an unknown time":  {dev, hash, time.Time{}, true},
		"a later one":         {dev, hash, noon().Add(time.Second), false},
		"another plan":        {dev, "sha256:2", noon(), false},
		"another environment": {"other", hash, noon(), false},
	} {
		err := s.ApprovalUsed(c.dev, c.hash, c.given)
		var used *UsedError
		if errors.As(err, &used) != c.used || err != nil && !c.used {
			t.Errorf("%s: got %v, want used %t", name, err, c.used)
		}
		if c.used {
			if want := (UsedError{hash, noon(), "run 1"}); *used != want {
				t.Errorf("%s: got %+v, want %+v", name, *used, want)
			}
			if err := s.UseApproval(c.dev, c.hash, c.given, noon().Add(time.Minute), "run 2"); !errors.As(err, &used) {
				t.Errorf("%s: used again: %v", name, err)
			}
		}
	}
	must(t, s.UseApproval(dev, hash, noon().Add(time.Hour), noon().Add(time.Second), "run 2"))
	if err := s.ApprovalUsed(dev, hash, noon().Add(time.Hour)); err == nil {
		t.Error("given by a clock that is ahead: it serves twice")
	}
	for _, bad := range [][2]string{{"", "run"}, {hash, ""}} {
		if err := s.UseApproval(dev, bad[0], noon(), noon(), bad[1]); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	closed(t, s)
	s, err := OpenReadOnly(dir)
	must(t, err)
	if err := s.UseApproval(dev, "sha256:3", noon(), noon(), "run"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("read-only: got %v", err)
	}
	closed(t, s)
}

// TestApprovalsOf: what was left and not used is told of whatever plan it is, also when
// it has ended, and so is when one of this plan served.
func TestApprovalsOf(t *testing.T) {
	s := opened(t, t.TempDir())
	defer closed(t, s)
	if left, used, err := s.ApprovalsOf(dev, "sha256:1"); left != (Approval{}) || used != nil || err != nil {
		t.Errorf("of nothing: got %+v, %v, %v", left, used, err)
	}
	want := Approval{Hash: "sha256:2", Owner: "jo", At: noon(), Until: noon().Add(1)}
	must(t, errors.Join(s.UseApproval(dev, "sha256:1", noon(), noon(), "run 1"), s.SaveApproval(dev, want)))
	left, used, err := s.ApprovalsOf(dev, "sha256:1")
	if left != want || used == nil || *used != (UsedError{"sha256:1", noon(), "run 1"}) || err != nil {
		t.Errorf("of one that served: got %+v, %v, %v", left, used, err)
	}
	if left, used, err := s.ApprovalsOf(dev, "sha256:2"); left != want || used != nil || err != nil {
		t.Errorf("of one that was left: got %+v, %v, %v", left, used, err)
	}
	if left, used, err := None("").ApprovalsOf(dev, "sha256:1"); left != (Approval{}) || used != nil || err != nil {
		t.Errorf("without memory: got %+v, %v, %v", left, used, err)
	}
}
