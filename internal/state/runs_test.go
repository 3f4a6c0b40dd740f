package state

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestApprovalIsUsedOnce(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	want := Approval{Hash: "sha256:1", Now: true, By: []string{"jo"}, At: noon(), Until: noon().Add(24 * time.Hour)}
	must(t, errors.Join(s.SaveApproval(here(), Approval{Hash: "sha256:0", By: []string{"jo"}, At: noon(), Until: noon().Add(1)}), s.SaveApproval(here(), want)))
	closed(t, s)
	s = opened(t, dir)
	for at, want := range map[time.Duration][]Approval{0: {want}, 24*time.Hour - 1: {want}, 24 * time.Hour: nil} {
		if got, err := s.Approvals(here(), noon().Add(at)); !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("after %s: got %+v, %v", at, got, err)
		}
	}
	must(t, errors.Join(s.DropApproval(here(), "sha256:2"), s.DropApproval(of("other"), "sha256:1")))
	if got, err := s.Approvals(here(), noon()); !reflect.DeepEqual(got, []Approval{want}) || err != nil {
		t.Errorf("after the use of others: got %+v, %v", got, err)
	}
	must(t, s.UseApproval(here(), "sha256:1", want.At, noon(), "run 1"))
	closed(t, s)
	s = opened(t, dir)
	if got, err := s.Approvals(here(), noon()); len(got) > 0 || err != nil {
		t.Errorf("after its use: got %+v, %v", got, err)
	}
	for _, bad := range []Approval{{By: []string{"jo"}, At: noon(), Until: noon().Add(1)}, {Hash: "h", At: noon(), Until: noon().Add(1)}, {Hash: "h", By: []string{"jo"}, At: noon(), Until: noon()}} {
		if err := s.SaveApproval(here(), bad); err == nil {
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
	must(t, s.ApprovalUsed(here(), hash, time.Time{}))
	must(t, s.UseApproval(here(), hash, noon().Add(-time.Hour), noon(), "run 1"))
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
		err := s.ApprovalUsed(of(c.dev), c.hash, c.given)
		var used *UsedError
		if errors.As(err, &used) != c.used || err != nil && !c.used {
			t.Errorf("%s: got %v, want used %t", name, err, c.used)
		}
		if c.used {
			if want := (UsedError{hash, noon(), "run 1"}); *used != want {
				t.Errorf("%s: got %+v, want %+v", name, *used, want)
			}
			if err := s.UseApproval(of(c.dev), c.hash, c.given, noon().Add(time.Minute), "run 2"); !errors.As(err, &used) {
				t.Errorf("%s: used again: %v", name, err)
			}
		}
	}
	must(t, s.UseApproval(here(), hash, noon().Add(time.Hour), noon().Add(time.Second), "run 2"))
	if err := s.ApprovalUsed(here(), hash, noon().Add(time.Hour)); err == nil {
		t.Error("given by a clock that is ahead: it serves twice")
	}
	for _, bad := range [][2]string{{"", "run"}, {hash, ""}} {
		if err := s.UseApproval(here(), bad[0], noon(), noon(), bad[1]); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	closed(t, s)
	s, err := OpenReadOnly(dir)
	must(t, err)
	if err := s.UseApproval(here(), "sha256:3", noon(), noon(), "run"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("read-only: got %v", err)
	}
	closed(t, s)
}

// TestApprovalsOf: what was left and not used is told of whatever plan it is, also when
// it has ended, and so is when one of this plan served.
func TestApprovalsOf(t *testing.T) {
	s := opened(t, t.TempDir())
	defer closed(t, s)
	if left, used, err := s.ApprovalsOf(here(), "", "sha256:1"); left.Hash != "" || used != nil || err != nil {
		t.Errorf("of nothing: got %+v, %v, %v", left, used, err)
	}
	want := Approval{Hash: "sha256:2", By: []string{"jo"}, At: noon(), Until: noon().Add(1)}
	must(t, errors.Join(s.UseApproval(here(), "sha256:1", noon(), noon(), "run 1"), s.SaveApproval(here(), want)))
	left, used, err := s.ApprovalsOf(here(), "", "sha256:1")
	if !reflect.DeepEqual(left, want) || used == nil || *used != (UsedError{"sha256:1", noon(), "run 1"}) || err != nil {
		t.Errorf("of one that served: got %+v, %v, %v", left, used, err)
	}
	if left, used, err := s.ApprovalsOf(here(), "", "sha256:2"); !reflect.DeepEqual(left, want) || used != nil || err != nil {
		t.Errorf("of one that was left: got %+v, %v, %v", left, used, err)
	}
	if left, used, err := None("").ApprovalsOf(here(), "", "sha256:1"); left.Hash != "" || used != nil || err != nil {
		t.Errorf("without memory: got %+v, %v, %v", left, used, err)
	}
}

// TestApprovalsOfConnections: each stands beside that of the whole plan, and is used or
// dropped apart from it.
func TestApprovalsOfConnections(t *testing.T) {
	s := opened(t, t.TempDir())
	defer closed(t, s)
	give := func(connection, hash string) Approval {
		a := Approval{Connection: connection, Hash: hash, By: []string{"jo"}, At: noon(), Until: noon().Add(time.Hour)}
		must(t, s.SaveApproval(here(), a, Entry{ID: connection, At: noon(), Event: EventApproved}))
		return a
	}
	plan, strava, whoop := give("", "sha256:1"), give("production/strava", "sha256:2"), give("production/whoop", "sha256:3")
	expect := func(want ...Approval) {
		t.Helper()
		if got, err := s.Approvals(here(), noon()); !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	expect(plan, strava, whoop)
	must(t, s.UseApproval(here(), "sha256:2", noon(), noon(), "run 1"))
	expect(plan, whoop)
	must(t, s.DropApproval(here(), "sha256:1"))
	expect(whoop)
	if left, used, err := s.ApprovalsOf(here(), "production/strava", "sha256:2"); left.Hash != "" || used == nil || err != nil {
		t.Errorf("of one that served: got %+v, %v, %v", left, used, err)
	}
}

// TestApprovalOfSeveral: who approves the same hash joins those who did; another hash, or
// one that has expired, begins anew. Windows are ignored where all of them said so.
func TestApprovalOfSeveral(t *testing.T) {
	s := opened(t, t.TempDir())
	defer closed(t, s)
	for _, step := range []struct {
		who, hash string
		now       bool
		at        time.Duration
		by        []string
		ignores   bool
	}{
		{"jo", "sha256:1", true, 0, []string{"jo"}, true},
		{"jo", "sha256:1", false, time.Minute, []string{"jo"}, false},
		{"kim", "sha256:1", true, 2 * time.Minute, []string{"jo", "kim"}, false},
		{"jo", "sha256:1", true, 3 * time.Minute, []string{"kim", "jo"}, false},
		{"lee", "sha256:2", true, 4 * time.Minute, []string{"lee"}, true},
		{"jo", "sha256:2", true, 3 * time.Hour, []string{"jo"}, true},
	} {
		at := noon().Add(step.at)
		must(t, s.SaveApproval(here(), Approval{Hash: step.hash, By: []string{step.who}, Now: step.now, At: at, Until: at.Add(time.Hour)}))
		got, err := s.Approvals(here(), at)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0].By, step.by) || got[0].Now != step.ignores {
			t.Errorf("after %s: got %+v, %v", step.who, got, err)
		}
	}
}

// TestAttemptedRevisions: each commit keeps the place at which it was first attempted, so
// that only the newest of them is not older than another.
func TestAttemptedRevisions(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	newer := func(s *Store, devID, commit, want string) {
		t.Helper()
		if got, err := s.RewoundFrom(of(devID), commit, false); got != want || err != nil {
			t.Errorf("newer than %q: got %q, %v, want %q", commit, got, err, want)
		}
	}
	newer(s, dev, "a", "")
	for _, commit := range []string{"a", "b", "b", "c", "a"} {
		must(t, s.RecordAttempt(here(), commit, false))
	}
	for commit, want := range map[string]string{"a": "c", "b": "c", "c": "", "never": ""} {
		newer(s, dev, commit, want)
	}
	newer(s, "another", "a", "")
	older := func(commit, want string) {
		t.Helper()
		if got, err := s.RewoundFrom(here(), commit, true); got != want || err != nil {
			t.Errorf("newer than %q, which is older: got %q, %v, want %q", commit, got, err, want)
		}
	}
	older("never", "c")
	must(t, s.RecordAttempt(here(), "lower", true))
	older("lower", "c")
	older("c", "")
	newer(s, dev, "lower", "c")
	newer(s, dev, "c", "")
	must(t, s.Close())
	s = opened(t, dir)
	newer(s, dev, "a", "c")
	if err := s.ReadOnly().RecordAttempt(here(), "d", false); err == nil {
		t.Error("a store that cannot save records an attempt")
	}
	var many []string
	for i := range attemptsKept {
		many = append(many, fmt.Sprint(i))
	}
	must(t, replace(s, kindAttempted, here(), many))
	must(t, s.RecordAttempt(here(), "last", false))
	newer(s, dev, "0", "")
	newer(s, dev, "1", "last")
	newer(None("there is none"), dev, "0", "")
}

// TestApprovalTwiceIsOne: who approves again what waits is not told of again, and makes it
// last no longer; what is another approval in any way is one.
func TestApprovalTwiceIsOne(t *testing.T) {
	t.Parallel()
	first := Approval{Hash: "sha256:1", By: []string{"jo"}, At: noon(), Until: noon().Add(24 * time.Hour)}
	for name, c := range map[string]struct {
		change func(a *Approval)
		lines  int
		until  time.Duration // of what waits then, after noon
	}{
		"the same":        {func(*Approval) {}, 1, 24 * time.Hour},
		"another person":  {func(a *Approval) { a.By = []string{"kim"} }, 2, 25 * time.Hour},
		"with now":        {func(a *Approval) { a.Now = true }, 2, 25 * time.Hour},
		"another plan":    {func(a *Approval) { a.Hash = "sha256:2" }, 2, 25 * time.Hour},
		"a connection":    {func(a *Approval) { a.Connection = "production/strava" }, 2, 24 * time.Hour},
		"after its end":   {func(a *Approval) { a.At, a.Until = noon().Add(24*time.Hour), noon().Add(48*time.Hour) }, 2, 48 * time.Hour},
		"after it served": {nil, 2, 25 * time.Hour},
	} {
		dir := t.TempDir()
		s := opened(t, dir)
		again := first
		again.At, again.Until = noon().Add(time.Hour), noon().Add(25*time.Hour)
		must(t, s.SaveApproval(here(), first, Entry{ID: "1", At: first.At, Event: EventApproved}))
		if c.change == nil {
			must(t, s.UseApproval(here(), first.Hash, first.At, noon().Add(time.Minute), "run 1"))
		} else {
			c.change(&again)
		}
		must(t, s.SaveApproval(here(), again, Entry{ID: "2", At: again.At, Event: EventApproved}))
		waiting, err := s.Approvals(here(), again.At)
		if err != nil || len(waiting) == 0 || !waiting[0].Until.Equal(noon().Add(c.until)) {
			t.Errorf("%s: %+v, %v", name, waiting, err)
		}
		must(t, s.Close())
		if lines, _, err := History(dir, HistoryFilter{}); len(lines) != c.lines || err != nil {
			t.Errorf("%s: %d lines, %v, want %d", name, len(lines), err, c.lines)
		}
	}
}

// TestTakeOver: what is remembered of a repository goes over to another name once, and puts
// nothing over what is there.
func TestTakeOver(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SaveFollowed("uno /x", Followed{Newest: "n", Verified: []string{"v"}}))
	must(t, s.SaveBranch("uno /x", "main"))
	choose := func(known []string) string {
		if slices.Contains(known, "one /x") || !slices.Contains(known, "uno /x") {
			return ""
		}
		return "uno /x"
	}
	for range 2 {
		must(t, s.TakeOver("one /x", choose))
	}
	all, err := s.FollowedAll()
	must(t, err)
	if diff := cmp.Diff(map[string]Followed{"one /x": {Newest: "n", Verified: []string{"v"}}}, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"one /x": "main", "uno /x": ""} {
		if branch, err := s.Branch(name); err != nil || branch != want {
			t.Errorf("%s follows %q, %v", name, branch, err)
		}
	}
}
