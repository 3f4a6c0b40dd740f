package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

// promoted is the example with one connection in both environments, no schedule, and a
// production that waits for staging.
func promoted(t *testing.T) *example {
	t.Helper()
	e := newExample(t, time.Now())
	for _, name := range []string{"production", "staging"} {
		if err := os.RemoveAll(filepath.Join(e.repository(), name)); err != nil {
			t.Fatal(err)
		}
	}
	e.writes("production/environment.yaml", "dev_id: "+exampleProduction+"\nprune: never\nafter: {environment: staging, for: 6h}\n")
	e.writes("staging/environment.yaml", "dev_id: "+exampleStaging+"\nprune: never\n")
	e.writes("production/polar.yaml", "provider: polar\n")
	e.writes("staging/polar.yaml", "provider: polar\n")
	e.commit("Production waits for staging")
	return e
}

func (e *example) writes(name, text string) {
	e.t.Helper()
	file := filepath.Join(e.repository(), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

func (d *timed) expectState(devID, want string) {
	d.t.Helper()
	if got := d.terra.Live(devID).Sources["polar"].State; got != want {
		d.t.Errorf("%s: %s is %q, want %q", d.now().Format(time.RFC3339), devID, got, want)
	}
}

// TestDaemonPromotes: nobody has a schedule, and production follows staging to the second:
// it is woken when staging came in sync, and when the wait is over.
func TestDaemonPromotes(t *testing.T) {
	e := promoted(t)
	first := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	e.serveFrom(t, first, func(d *timed) {
		d.until("2026-11-30T12:05:00Z")
		d.expectState(exampleStaging, "active")
		d.expectState(exampleProduction, "")
		status, err := d.reconciler.Status()
		if err != nil {
			d.t.Fatal(err)
		}
		next := status.Environments[0]
		if next.Name != "production" || next.NextRun == nil || next.NextRun.Sub(first) < 6*time.Hour || next.NextRun.Sub(first) > 6*time.Hour+time.Minute ||
			next.NextRunReason != "production/polar:enable has been in sync in staging for long enough" {
			d.t.Errorf("next is %v, %q", next.NextRun, next.NextRunReason)
		}
		d.until("2026-11-30T17:59:59Z")
		d.expectState(exampleProduction, "")
		d.until("2026-11-30T18:01:00Z")
		d.expectState(exampleProduction, "active")

		// A change that staging cannot make yet, for it is paused: production waits without a
		// time, and is woken by the run that ends that.
		if _, err := d.control.Pause(daemon.PauseRequest{Target: "staging", Reason: "incident 12", Seconds: 7200, Owner: "ops"}); err != nil {
			d.t.Fatal(err)
		}
		d.writes("production/polar.yaml", "provider: polar\nstate: paused\n")
		d.writes("staging/polar.yaml", "provider: polar\nstate: paused\n")
		d.commit("Pause Polar")
		d.until("2026-11-30T19:30:00Z")
		d.expectState(exampleStaging, "active")
		d.expectState(exampleProduction, "active")
		d.until("2026-11-30T20:05:00Z")
		d.expectState(exampleStaging, "paused")
		d.until("2026-12-01T02:00:00Z")
		d.expectState(exampleProduction, "active")
		d.until("2026-12-01T02:05:00Z")
		d.expectState(exampleProduction, "paused")
	})
}
