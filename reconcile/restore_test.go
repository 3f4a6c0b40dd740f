package reconcile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// backup copies the state file; restore puts the copy back, beside the history or
// into a folder that has none.
func (w *world) backup() []byte {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.stateDir, "state.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

func (w *world) restore(data []byte, withHistory bool) {
	w.t.Helper()
	if !withHistory {
		w.stateDir = w.t.TempDir()
	}
	if err := os.WriteFile(filepath.Join(w.stateDir, "state.db"), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// TestOlderStateDoesNoHarm goes on from a backup of every earlier moment of a long
// life: nothing that could hurt is done without a yes, no accepted key is replaced
// by another, and what is equal is in sync.
func TestOlderStateDoesNoHarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, slug := range []string{"strava", "polar"} {
		w.terra.SetUsers(devID, slug, 40, 0)
	}
	steps := []func(){
		func() { w.strava(secretA, "") },
		func() { w.write("production/polar.yaml", "provider: polar\n") },
		func() { w.strava(secretA, "scopes: [activity:read_all]\n") },
		func() { w.strava(secretB, "scopes: [activity:read_all]\n") },
		func() { w.write("production/oura.yaml", "provider: oura\n") },
		func() { delete(w.files, "production/polar.yaml") },
	}
	var backups [][]byte
	var told []int // lines of history at each
	for _, step := range steps {
		step()
		w.approved()
		backups, told = append(backups, w.backup()), append(told, len(w.history()))
		w.now = w.now.Add(24 * time.Hour)
	}
	restored := 0
	for n, data := range backups {
		for _, withHistory := range []bool{true, false} {
			c := w.clone()
			c.restore(data, withHistory)
			c.terra.ResetLog()
			r := c.apply()
			if n := len(c.terra.Writes()); n != 0 {
				t.Errorf("backup of step %d: %d writes although nothing differs\n%s", n, n, c.show(r))
			}
			if warned := strings.Contains(warned(r.Warnings), "older than its history"); warned != (withHistory && told[n] < told[len(told)-1]) {
				t.Errorf("backup of step %d, history beside it %v: warnings %q", n, withHistory, r.Warnings)
			}
			restored++
		}
	}
	t.Logf("COUNT restored_backups=%d", restored)
}

// approved applies and says yes to what is held.
func (w *world) approved() {
	w.t.Helper()
	r := w.apply()
	for range 3 {
		if r.ExitCode == report.ExitHeld {
			r = w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": w.dryRun().Environments[0].PlanHash}})
		}
	}
	if r.ExitCode != report.ExitDone {
		w.t.Fatalf("exit %d\n%s", r.ExitCode, w.show(r))
	}
}

// TestOlderStateHoldsWhatItCannotKnow: after the backup somebody went back by
// hand from a pause, and a connection that we had enabled was made anew by others.
// The older state believes otherwise, and waits for a yes.
func TestOlderStateHoldsWhatItCannotKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.write("production/polar.yaml", "provider: polar\n")
	w.write("production/oura.yaml", "provider: oura\n")
	for _, slug := range []string{"strava", "polar"} {
		w.terra.SetUsers(devID, slug, 40, 0)
	}
	w.approved()
	old := w.backup()
	w.strava(secretB, "")
	w.approved()

	w.restore(old, true)
	w.terra.ResetLog()
	delete(w.files, "production/polar.yaml") // we enabled it, says the backup
	w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\npolicy: {max_changes: {count: 9, percent: 100}}\n")
	w.strava(secretB, "state: paused\n")
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
	for range 2 {
		r := w.apply()
		expectGate(t, w.change(r, "strava:pause"), plan.Approval, "after-suspend")
		if c := w.change(r, "polar:disable"); c.Gate != plan.Approval {
			t.Errorf("pruning is %s", c.Gate)
		}
		if n := len(w.terra.Writes()); n != 0 {
			t.Errorf("%d writes", n)
		}
	}
}

// TestOldIntentIsNotSentAgain restores a backup in which a write is pending that
// was settled, and undone by hand, since.
func TestOldIntentIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.strava(secretA, "")
	w.applied()
	w.strava(secretA, "scopes: [activity:read_all]\n")
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.terra.Fault(terratest.Fault{Kind: terratest.ConnectionReset, Operation: "setSourceScopes"})
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "getSourceScopes", Nth: 2, Times: terratest.Always})
	w.apply()
	old := w.backup()
	if len(w.pending()) != 1 {
		t.Fatal("no intent is pending")
	}
	w.terra.ClearFaults()
	w.applied()
	lines := len(w.history())
	w.restore(old, true)
	w.terra.ResetLog()
	w.applied()
	if n := len(w.terra.Effects()); n != 0 {
		t.Errorf("%d effects of an intent that was settled long ago", n)
	}
	if n := len(w.history()); n != lines || len(w.pending()) != 0 {
		t.Errorf("%d lines, want the %d from before; %d are pending", n, lines, len(w.pending()))
	}
}
