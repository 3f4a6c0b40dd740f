package reconcile

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// planFile is a dry run, written to a file and read again.
func (w *world) planFile() report.Report {
	w.t.Helper()
	r := w.dryRun()
	r.Commit = strings.Repeat("c0ffee00", 5)
	var file bytes.Buffer
	if err := report.JSON(&file, r); err != nil {
		w.t.Fatal(err)
	}
	for _, secret := range w.planted {
		if bytes.Contains(file.Bytes(), []byte(secret)) {
			w.t.Fatal("the plan file shows a secret")
		}
	}
	back, err := report.ReadPlan(&file, w.now, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return back
}

// applyFile applies what a plan file holds.
func (w *world) applyFile(file report.Report) report.Report {
	w.t.Helper()
	env := file.Environments[0]
	return w.run(Run{Mode: report.Apply, Approve: map[string]string{env.Name: env.PlanHash},
		Shown: map[string]plan.Plan{env.Name: env.Plan()}, Given: file.StartedAt})
}

// refused demands that nothing was written, and that the reason holds some words.
func (w *world) refused(r report.Report, words ...string) {
	w.t.Helper()
	if n := len(w.terra.Writes()); n != 0 || r.ExitCode != report.ExitError {
		w.t.Errorf("%d writes, exit %d; want none and 1", n, r.ExitCode)
	}
	for _, word := range words {
		if !strings.Contains(r.Environments[0].Error, word) {
			w.t.Errorf("no %q in:\n%s", word, r.Environments[0].Error)
		}
	}
	w.terra.ResetLog()
}

// TestPlanOfAFileIsRefusedOnAnyDifference changes one thing between the look and
// the run.
func TestPlanOfAFileIsRefusedOnAnyDifference(t *testing.T) {
	t.Parallel()
	const suspended = "suspend: {reason: r, owner: o, until: 2026-11-24}\n"
	for name, c := range map[string]struct {
		before, then func(*world)
		words        []string
	}{
		"a value at Terra": {nil, func(w *world) { w.terra.SetScopes(devID, "strava", []string{"activity:read", "profile:read_all"}) },
			[]string{"altered: production/strava set-scopes scopes activity:read, profile:read_all, read -> ", ", was activity:read, read -> "}},
		"a value of the repository": {nil, func(w *world) { w.strava(secretA, "state: paused\nscopes: [activity:read]\n") },
			[]string{"gone: production/strava set-scopes"}},
		"another secret of the same number": {func(w *world) { w.strava(secretB, "") }, func(w *world) { w.strava(secretC, "") },
			[]string{"altered: production/strava rotate-secret client_secret", "key 1 (sealed sha256:"}},
		"one change more": {nil, func(w *world) { w.write("production/polar.yaml", "provider: polar\n") },
			[]string{"added: production/polar enable state not enabled -> active"}},
		"done by hand": {nil, func(w *world) { w.terra.Pause(devID, "strava") }, []string{"gone: production/strava pause state active -> paused"}},
		"users linked": {nil, func(w *world) { w.terra.SetUsers(devID, "strava", 7, 0) },
			[]string{"class rose: production/strava pause is disruptive now, was safe"}},
		"the end of a suspend": {func(w *world) { w.environment(suspended) }, func(w *world) { w.now = w.now.Add(24 * time.Hour) },
			[]string{"not held any more: production/strava pause was shown as blocked by guard suspend"}},
		"a new secret that is watched less": {func(w *world) { w.strava(secretB, "rotation: {probe: require, soak: 36h, max_user_drop: 5}\n") },
			func(w *world) { w.strava(secretB, "rotation: {probe: \"off\", soak: 90m, max_user_drop: 100}\n") },
			[]string{"watched less: production/strava rotate-secret with rotation.probe off now, was require",
				"rotate-secret with rotation.soak 1.5h now, was 36h", "rotate-secret with rotation.max_user_drop 100 now, was 5"}},
		"a probe that is off": {func(w *world) { w.strava(secretB, "") }, func(w *world) { w.strava(secretB, "rotation: {probe: \"off\"}\n") },
			[]string{"watched less: production/strava rotate-secret with rotation.probe off now, was prefer"}},
		"another dev_id": {nil, func(w *world) {
			w.terra.AddEnvironment("prod-other-1", terratest.EnvironmentOptions{})
			w.write("production/environment.yaml", "dev_id: prod-other-1\nprune: never\n")
			w.write("production/strava.yaml", "provider: strava\n")
		}, []string{"about dev_id " + devID + ", and environment production is prod-other-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.strava(secretA, "")
			w.applied()
			w.strava(secretA, "state: paused\nscopes: [activity:read_all]\n")
			if c.before != nil {
				c.before(w)
			}
			file := w.planFile()
			w.terra.ResetLog()
			c.then(w)
			w.refused(w.applyFile(file), c.words...)
		})
	}
}

// TestWhatNobodyWasShownIsNotApplied: a yes to other environments, or to one of which
// no plan could be made, is none to this one.
func TestWhatNobodyWasShownIsNotApplied(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shown map[string]plan.Plan
		words string
	}{
		"another environment": {map[string]plan.Plan{"staging": {DevID: devID}}, "was not there when the plans were shown"},
		"nothing":             {map[string]plan.Plan{}, "was not there when the plans were shown"},
		"an error":            {map[string]plan.Plan{"production": {}}, "no plan of this environment could be shown"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.write("production/polar.yaml", "provider: polar\n")
			w.refused(w.run(Run{Mode: report.Apply, Shown: c.shown}), c.words)
		})
	}
}

// TestKeyThatBecameDueIsNamed: time alone makes a plan another one.
func TestKeyThatBecameDueIsNamed(t *testing.T) {
	t.Parallel()
	w, _ := rotating(t)
	w.write("production/polar.yaml", "provider: polar\n")
	file := w.planFile()
	w.terra.ResetLog()
	w.at("2026-12-01T02:00:00Z")
	w.refused(w.applyFile(file), "added: production/strava rotate-secret client_secret", "(key 2 became due since)")
}

// TestPlanOfAFileServesOnce, and is not used up by a run that was refused or had
// nothing to write.
func TestPlanOfAFileServesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.environment("windows: [{days: [sat], from: \"02:00\", to: \"05:00\", tz: UTC}]\n")
	w.strava(secretA, "state: paused\n")
	file := w.planFile()
	w.now = w.now.Add(time.Minute)
	if c := w.change(w.applyFile(file), "strava:pause"); c.Outcome != report.Waiting {
		t.Fatalf("outside of the windows: %s", c.Outcome)
	}
	w.terra.Pause(devID, "strava")
	w.terra.ResetLog()
	w.refused(w.applyFile(file), "gone: ")
	w.terra.Enable(devID, "strava")
	w.environment("")
	if r := w.applyFile(file); r.ExitCode != report.ExitDone {
		t.Fatalf("inside of the windows: exit %d\n%s", r.ExitCode, w.show(r))
	}
	w.terra.Enable(devID, "strava")
	w.terra.ResetLog()
	used := w.now
	w.now = w.now.Add(time.Hour)
	w.refused(w.applyFile(file), "was used already, at "+used.UTC().Format("2006-01-02 15:04:05 UTC"))
	w.refused(w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": file.Environments[0].PlanHash}}), "was used already")
	again := w.planFile()
	if again.Environments[0].PlanHash != file.Environments[0].PlanHash {
		t.Fatal("the same plan has another hash")
	}
	if r := w.applyFile(again); r.ExitCode != report.ExitDone {
		t.Errorf("a new look at the same plan: exit %d\n%s", r.ExitCode, w.show(r))
	}
}

// TestApprovalIsUsedUpBeforeTheFirstWrite fails every write: the approval has
// served all the same.
func TestApprovalIsUsedUpBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.strava(secretA, "")
	w.applied()
	w.strava(secretA, "scopes: [activity:read_all]\n")
	file := w.planFile()
	w.terra.Fault(terratest.Fault{Kind: terratest.Problem, Status: 409, Code: "conflict", Operation: "setSourceScopes", Detail: "No.", Times: terratest.Always})
	if r := w.applyFile(file); r.ExitCode != report.ExitFailed {
		t.Errorf("exit %d, want 4", r.ExitCode)
	}
	w.terra.ClearFaults()
	w.terra.ResetLog()
	w.refused(w.applyFile(file), "was used already")
}
