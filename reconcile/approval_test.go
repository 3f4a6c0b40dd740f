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
