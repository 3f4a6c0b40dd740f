package reconcile

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// threeMore asks for three sources that are enabled in one call.
func threeMore(w *world) {
	for _, p := range []string{"polar", "withings", "freestylelibre"} {
		w.write("production/"+p+".yaml", "provider: "+p+"\n")
	}
}

// TestAcceptedIsNotAppliedBeforeItIsReadBack: Terra says yes and then nothing more.
// Nobody knows whether it is in force, so nobody says so; the next run looks, finds
// it and sends nothing again.
func TestAcceptedIsNotAppliedBeforeItIsReadBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set   func(*world)
		lists int // of sources before the first write
	}{
		"one":      {func(w *world) { w.strava(secretA, "state: paused\n") }, 1},
		"together": {threeMore, 2},
	} {
		w := newWorld(t)
		w.options.MaxAttempts = 1
		w.strava(secretA, "")
		w.applied()
		c.set(w)
		w.wrap = func(next http.RoundTripper) http.RoundTripper {
			return tripper(func(r *http.Request) (*http.Response, error) {
				if r.Method != http.MethodGet {
					w.now = w.now.Add(2 * time.Second)
				}
				return next.RoundTrip(r)
			})
		}
		w.terra.ResetLog()
		w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "listSources", Nth: c.lists + 1, Times: terratest.Always})
		r := w.apply()
		changes := r.Environments[0].Changes
		for _, change := range changes {
			if change.Outcome != report.Unknown || !strings.Contains(change.Error, "accepted by Terra, but reading back failed") || change.DurationMS != 2000 {
				t.Errorf("%s: %s is %q (%s) after %d ms, want unknown after 2000", name, change.ID, change.Outcome, change.Error, change.DurationMS)
			}
		}
		if pending := len(w.pending()); r.ExitCode != report.ExitFailed || len(changes) == 0 || pending != len(changes) {
			t.Errorf("%s: exit %d, %d changes, %d of them pending; want 4 and all", name, r.ExitCode, len(changes), pending)
		}
		writes := len(w.terra.Writes())
		w.terra.ClearFaults()
		w.applied()
		if again := len(w.terra.Writes()); writes != 1 || again != writes || len(w.pending()) != 0 {
			t.Errorf("%s: %d writes, then %d in all, %d pending; want 1, 1, 0", name, writes, again, len(w.pending()))
		}
		checkOwned(t, w, name)
	}
}

// TestOnError: what does not depend on a failure goes on, unless the run is to stop.
func TestOnError(t *testing.T) {
	t.Parallel()
	for stop, want := range map[bool]report.Outcome{false: report.Applied, true: report.NotAttempted} {
		w := newWorld(t)
		w.environment("policy: {max_changes: {count: 20, percent: 100}}\n")
		threeMore(w)
		w.strava(secretA, "")
		w.applied()
		w.terra.Fault(terratest.Fault{Kind: terratest.Problem, Status: 409, Code: "conflict", Operation: "setSourceScopes", Detail: "No.", Times: terratest.Always})
		w.strava(secretA, "state: paused\nscopes: [activity:read_all]\n")
		w.write("production/polar.yaml", "provider: polar\nstate: disabled\n")
		r := w.run(Run{Mode: report.Apply, Stop: stop})
		if r.ExitCode != report.ExitFailed {
			t.Errorf("stop %t: exit %d, want 4", stop, r.ExitCode)
		}
		if c := w.change(r, "strava:pause"); c.Outcome != report.Applied {
			t.Errorf("stop %t: what came before the failure is %s", stop, c.Outcome)
		}
		if c := w.change(r, "strava:set-scopes"); c.Outcome != report.Failed || !strings.Contains(c.Error, "conflict") {
			t.Errorf("stop %t: got %s (%s), want it failed", stop, c.Outcome, c.Error)
		}
		if c := w.change(r, "polar:disable"); c.Outcome != want || (c.Error != "") != stop {
			t.Errorf("stop %t: got %s (%s), want %s", stop, c.Outcome, c.Error, want)
		}
	}
}

// TestStepsBehindAFailureAreNotAttempted, and the other connections are.
func TestStepsBehindAFailureAreNotAttempted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.write("production/polar.yaml", "provider: polar\n")
	w.terra.Fault(terratest.Fault{Kind: terratest.Problem, Status: 409, Code: "conflict", Operation: "setSourceCredentials", Detail: "No.", Times: terratest.Always})
	w.strava(secretA, "scopes: [activity:read_all]\n")
	r := w.apply()
	for id, want := range map[string]report.Outcome{
		"strava:enable": report.Applied, "strava:set-credentials": report.Failed, "strava:set-scopes": report.NotAttempted, "polar:enable": report.Applied,
	} {
		if c := w.change(r, id); c.Outcome != want || (c.Error == "") != (want == report.Applied) {
			t.Errorf("%s: got %s (%s), want %s and why", id, c.Outcome, c.Error, want)
		}
	}
	if r.ExitCode != report.ExitFailed {
		t.Errorf("exit %d, want 4", r.ExitCode)
	}
}
