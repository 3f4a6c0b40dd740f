package reconcile

import (
	"errors"
	"reflect"
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
	t.Parallel()
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
		"another plan":   {hash: "sha256:0", exit: report.ExitError, errorWords: "the approval production=0 is not for the plan as it is now: "},
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
			return s.SaveApproval(here(), state.Approval{Hash: hash, By: []string{"jo"}, At: w.now, Until: w.now.Add(time.Hour)})
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
		var left []state.Approval
		w.inState(func(s *state.Store) (err error) {
			left, err = s.Approvals(here(), w.now)
			return err
		})
		if (len(left) > 0) != c.kept {
			t.Errorf("%s: left %+v, want kept %v", name, left, c.kept)
		}
	}
}

// TestUsedApprovalRefusesOneRun: one that waits and has served, as a clock that was
// set back makes it, must not refuse every run until it ends.
func TestUsedApprovalRefusesOneRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.strava(secretA, "state: paused\n")
	hash := w.dryRun().Environments[0].PlanHash
	w.inState(func(s *state.Store) error {
		return errors.Join(s.UseApproval(here(), hash, w.now, w.now, "run"),
			s.SaveApproval(here(), state.Approval{Hash: hash, By: []string{"jo"}, At: w.now, Until: w.now.Add(time.Hour)}))
	})
	r := w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": hash}, Given: w.now})
	expectText(t, r.Environments[0].Error, "was used already")
	w.inState(func(s *state.Store) error {
		left, err := s.Approvals(here(), w.now)
		if len(left) > 0 {
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
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.environment("windows: [{days: [sat], from: \"02:00\", to: \"05:00\", tz: UTC}]\n")
	w.strava(secretA, "state: paused\n")
	first := w.dryRun().Environments[0]
	opens := first.Approval.WindowOpens
	if opens.Weekday() != time.Saturday || opens.Hour() != 2 {
		t.Errorf("the window opens %s", opens)
	}
	left := func(hash string, until time.Duration) func(*state.Store) error {
		return func(s *state.Store) error {
			return s.SaveApproval(here(), state.Approval{Hash: hash, By: []string{"jo"}, At: w.now, Until: w.now.Add(until)})
		}
	}
	saved := report.Approval{Required: 1, ReleasesNow: 1, WindowOpens: opens, By: []string{"jo"}, GivenAt: w.now}
	with := func(state report.ApprovalState, hash string, until time.Duration) report.Approval {
		saved.State, saved.Hash, saved.ExpiresAt = state, hash, w.now.Add(until)
		return saved
	}
	used := report.Approval{Required: 1, State: report.ApprovalUsed, ReleasesNow: 1, WindowOpens: opens, UsedAt: w.now, UsedRun: "run 1"}
	for _, step := range []struct {
		name  string
		state func(*state.Store) error
		later time.Duration
		want  report.Approval
	}{
		{"nothing is remembered", func(*state.Store) error { return nil }, 0, report.Approval{Required: 1, State: report.ApprovalRequired, ReleasesNow: 1, WindowOpens: opens}},
		{"it waits", left(first.PlanHash, time.Hour), 0, with(report.ApprovalPending, first.PlanHash, time.Hour)},
		{"another one waits", left("sha256:0", time.Hour), 0, with(report.ApprovalSuperseded, "sha256:0", time.Hour)},
		{"another one has ended", left("sha256:1", time.Second), time.Second, report.Approval{Required: 1, State: report.ApprovalRequired, ReleasesNow: 1, WindowOpens: opens}},
		{"it has ended", left(first.PlanHash, time.Second), time.Second, with(report.ApprovalExpired, first.PlanHash, time.Second)},
		{"it was used", func(s *state.Store) error {
			return s.UseApproval(here(), first.PlanHash, w.now, w.now, "run 1")
		}, 0, used},
	} {
		began := w.now
		w.inState(step.state)
		w.now = w.now.Add(step.later)
		got := w.dryRun().Environments[0]
		w.now = began
		said := got.Approval.Text
		got.Approval.Text, got.Approval.Command, got.Approval.Remediations = "", nil, nil
		if got.PlanHash != first.PlanHash || !reflect.DeepEqual(got.Approval, step.want) || said == "" {
			t.Errorf("%s: got %+v\nwant %+v (%s)", step.name, got.Approval, step.want, said)
		}
	}
	w.environment("")
	if a := w.dryRun().Environments[0].Approval; a.State != report.ApprovalNone || a.ReleasesNow != 0 || a.Command != nil {
		t.Errorf("nothing is held: got %+v", a)
	}
}

// TestRefusedApprovalLiftsNothing in what the report shows either.
func TestRefusedApprovalLiftsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.environment("policy: {max_changes: {count: 0}}\n")
	w.strava(secretA, "state: paused\n")
	hash := w.dryRun().Environments[0].PlanHash
	w.inState(func(s *state.Store) error {
		return s.UseApproval(here(), hash, w.now, w.now, "run")
	})
	r := w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": hash}})
	expectText(t, r.Environments[0].Error, "was used already")
	if c := w.change(r, "strava:pause"); c.Gate != plan.Blocked || c.Guard != "max-changes" {
		t.Errorf("it is shown as %s, guard %q", c.Gate, c.Guard)
	}
}
