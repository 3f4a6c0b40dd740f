package reconcile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestApprovalThatWaitsIsUsedOnce: by the plan it is about, or up by another one;
// not by a run that had to wait, nor by one that could read nothing.
func TestApprovalThatWaitsIsUsedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		windows    string
		hash       string
		token      string
		kept       bool
		exit       int
		gate       plan.Gate
		errorWords string
	}{
		"this plan":      {exit: report.ExitDone},
		"another plan":   {hash: "sha256:0", exit: report.ExitError, errorWords: "the approved hash is sha256:0"},
		"closed windows": {windows: "windows: [{days: [sat], from: \"02:00\", to: \"05:00\", tz: UTC}]\n", kept: true, exit: report.ExitDone, gate: plan.Waiting},
		"nothing read":   {token: "terra_at_expired0000000000000000000000", kept: true, exit: report.ExitError, errorWords: "token"},
	} {
		w := newWorld(t)
		w.strava(secretA, "")
		w.applied()
		w.terra.SetUsers(devID, "strava", 7, 0)
		w.environment(c.windows)
		w.strava(secretA, "state: paused\n")
		hash := w.dryRun().Environments[0].PlanHash
		if c.hash != "" {
			hash = c.hash
		}
		w.inState(func(s *state.Store) error {
			return s.SaveApproval(devID, state.Approval{Hash: hash, Owner: "jo", At: w.now, Until: w.now.Add(time.Hour)})
		})
		if c.token != "" {
			w.token = c.token
		}
		r := w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": hash}})
		if env := r.Environments[0]; r.ExitCode != c.exit || !strings.Contains(env.Error, c.errorWords) || (env.Error == "") != (c.errorWords == "") {
			t.Errorf("%s: exit %d, error %q", name, r.ExitCode, env.Error)
		}
		if c.gate != "" {
			expectGate(t, w.change(r, "strava:pause"), c.gate, "window")
		}
		left := state.Approval{}
		w.inState(func(s *state.Store) (err error) { left, err = s.Approval(devID, w.now); return err })
		if (left.Hash != "") != c.kept {
			t.Errorf("%s: left %+v, want kept %v", name, left, c.kept)
		}
	}
}

// TestUsedApprovalRefusesOneRun: one that waits and has served, as a clock that was
// set back makes it, must not refuse every run until it ends.
func TestUsedApprovalRefusesOneRun(t *testing.T) {
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.strava(secretA, "state: paused\n")
	hash := w.dryRun().Environments[0].PlanHash
	w.inState(func(s *state.Store) error {
		return errors.Join(s.UseApproval(devID, hash, w.now, w.now, "run"),
			s.SaveApproval(devID, state.Approval{Hash: hash, Owner: "jo", At: w.now, Until: w.now.Add(time.Hour)}))
	})
	r := w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": hash}, Given: w.now})
	expectText(t, r.Environments[0].Error, "was used already")
	w.inState(func(s *state.Store) error {
		left, err := s.Approval(devID, w.now)
		if left.Hash != "" {
			t.Errorf("it still waits: %+v", left)
		}
		return err
	})
	if n := w.terra.Live(devID).Sources["strava"].State; n != "active" {
		t.Errorf("strava is %s", n)
	}
}

// TestApprovalIsTold: a dry run says what a yes would let through, and what is
// remembered of one.
func TestApprovalIsTold(t *testing.T) {
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.environment("windows: [{days: [sat], from: \"02:00\", to: \"05:00\", tz: UTC}]\n")
	w.strava(secretA, "state: paused\n")
	first := w.dryRun().Environments[0]
	opens := first.Approval.Opens
	if opens.Weekday() != time.Saturday || opens.Hour() != 2 {
		t.Errorf("the window opens %s", opens)
	}
	left := func(hash string, until time.Duration) func(*state.Store) error {
		return func(s *state.Store) error {
			return s.SaveApproval(devID, state.Approval{Hash: hash, Owner: "jo", At: w.now, Until: w.now.Add(until)})
		}
	}
	saved := report.Approval{FreesNow: 1, Opens: opens, Owner: "jo", At: w.now}
	with := func(standing report.ApprovalStanding, hash string, until time.Duration) report.Approval {
		saved.Standing, saved.Hash, saved.Until = standing, hash, w.now.Add(until)
		return saved
	}
	used := report.Approval{FreesNow: 1, Opens: opens, UsedAt: w.now, UsedRun: "run 1"}
	for _, step := range []struct {
		name  string
		state func(*state.Store) error
		later time.Duration
		want  report.Approval
	}{
		{"nothing is remembered", func(*state.Store) error { return nil }, 0, report.Approval{FreesNow: 1, Opens: opens}},
		{"it waits", left(first.PlanHash, time.Hour), 0, with(report.ApprovalWaits, first.PlanHash, time.Hour)},
		{"another one waits", left("sha256:0", time.Hour), 0, with(report.ApprovalOfOther, "sha256:0", time.Hour)},
		{"another one has ended", left("sha256:0", time.Second), time.Second, report.Approval{FreesNow: 1, Opens: opens}},
		{"it has ended", left(first.PlanHash, time.Second), time.Second, with(report.ApprovalEnded, first.PlanHash, time.Second)},
		{"it was used", func(s *state.Store) error { return s.UseApproval(devID, first.PlanHash, w.now, w.now, "run 1") }, 0, used},
	} {
		began := w.now
		w.inState(step.state)
		w.now = w.now.Add(step.later)
		got := w.dryRun().Environments[0]
		w.now = began
		if got.PlanHash != first.PlanHash || got.Approval != step.want || got.ApproveNext == "" {
			t.Errorf("%s: got %+v\nwant %+v (%s)", step.name, got.Approval, step.want, got.ApproveNext)
		}
	}
	w.environment("")
	if a := w.dryRun().Environments[0].Approval; a != (report.Approval{}) {
		t.Errorf("nothing is held: got %+v", a)
	}
}

// TestRefusedApprovalLiftsNothing in what the report shows either.
func TestRefusedApprovalLiftsNothing(t *testing.T) {
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.environment("policy: {max_changes: {count: 0}}\n")
	w.strava(secretA, "state: paused\n")
	hash := w.dryRun().Environments[0].PlanHash
	w.inState(func(s *state.Store) error { return s.UseApproval(devID, hash, w.now, w.now, "run") })
	r := w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": hash}})
	expectText(t, r.Environments[0].Error, "was used already")
	if c := w.change(r, "strava:pause"); c.Gate != plan.Blocked || c.Guard != "max_changes" {
		t.Errorf("it is shown as %s, guard %q", c.Gate, c.Guard)
	}
}
