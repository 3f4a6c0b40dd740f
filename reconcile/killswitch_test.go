package reconcile

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func (w *world) killSwitch(environment, provider string) state.KillSwitch {
	return state.KillSwitch{Environment: environment, Provider: provider, Reason: "incident 12", Owner: "jo", Since: w.now, Until: w.now.Add(time.Hour)}
}

// inState changes what is remembered between two runs.
func (w *world) inState(change func(*state.Store) error) {
	w.t.Helper()
	store, err := state.Open(w.stateDir, state.Options{})
	if err == nil {
		err = change(store)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pauseNow(environment, provider string) {
	w.t.Helper()
	w.inState(func(s *state.Store) error { return s.SetKillSwitch(w.killSwitch(environment, provider)) })
}

// TestKillSwitchHoldsAndIsCarefulAfterwards: nothing is written while it is on, a
// dry run says so too, and what disturbs end users waits once it has ended.
func TestKillSwitchHoldsAndIsCarefulAfterwards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environment, provider string
		holds                 bool
	}{{"", "", true}, {"production", "", true}, {devID, "", true}, {"production", "strava", true}, {"production", "polar", false}, {"staging", "", false}} {
		w := newWorld(t)
		w.strava(secretA, "")
		w.applied()
		w.terra.SetUsers(devID, "strava", 7, 0)
		w.strava(secretA, "state: paused\n")
		w.pauseNow(c.environment, c.provider)
		w.terra.ResetLog()
		if !c.holds {
			w.applied()
			continue
		}
		for _, r := range []report.Report{w.dryRun(), w.apply()} {
			expectGate(t, w.change(r, "strava:pause"), plan.Blocked, "pause")
			if !strings.Contains(warned(r.Environments[0].Warnings), "incident 12") {
				t.Errorf("warnings: got %q", r.Environments[0].Warnings)
			}
			if want := map[report.Mode]int{report.DryRun: report.ExitChanges, report.Apply: report.ExitHeld}[r.Mode]; r.ExitCode != want {
				t.Errorf("%s: exit %d, want %d", r.Mode, r.ExitCode, want)
			}
		}
		w.now = w.now.Add(time.Hour)
		expectGate(t, w.change(w.apply(), "strava:pause"), plan.Approval, "after-suspend")
		if n := len(w.terra.Writes()); n > 0 {
			t.Errorf("%q %q: got %d writes, want none", c.environment, c.provider, n)
		}
	}
}

// TestKillSwitchThatNoRunSaw is on and off again between two runs, or only while
// one works; the next run is careful all the same.
func TestKillSwitchThatNoRunSaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.pauseNow("", "")
	w.inState(func(s *state.Store) error { _, err := s.LiftKillSwitch("", "sam", w.now); return err })
	w.strava(secretA, "state: paused\n")
	expectGate(t, w.change(w.apply(), "strava:pause"), plan.Approval, "after-suspend")
}

// switchedOn sets a kill switch while a run is under way, when a call has been
// answered.
type switchedOn struct {
	http.RoundTripper
	method, path string
	after        int // calls of this kind
	mu           sync.Mutex
	set          func()
}

func (s *switchedOn) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.RoundTripper.RoundTrip(r)
	if r.Method == s.method && strings.HasSuffix(r.URL.Path, s.path) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.after--; s.after == 0 {
			s.set()
		}
	}
	return answer, err
}

// runWith runs once and sets the kill switch after the nth call of a kind.
func (w *world) runWith(nth int, method, path string, k state.KillSwitch) report.Report {
	w.t.Helper()
	var store *state.Store
	w.wrap = func(t http.RoundTripper) http.RoundTripper {
		return &switchedOn{RoundTripper: t, method: method, path: path, after: nth, set: func() {
			if err := store.SetKillSwitch(k); err != nil {
				w.t.Error(err)
			}
		}}
	}
	engine, opened := w.engine(report.Apply)
	store, w.wrap = opened, nil
	r := Run{Mode: report.Apply, Commit: "c0ffee"}
	r.Set, r.Problems = w.load()
	out := engine.Run(w.t.Context(), r)
	if err := store.Close(); err != nil {
		w.t.Error(err)
	}
	return out
}

// TestKillSwitchStopsARunUnderWay before its next write.
func TestKillSwitchStopsARunUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "scopes: [activity:read_all]\n")
	r := w.runWith(1, "PUT", "/sources/strava", w.killSwitch("production", "strava"))
	if got := w.change(r, "strava:enable").Outcome; got != report.Applied {
		t.Errorf("enable: got %s, want applied: it had left\n%s", got, w.show(r))
	}
	for _, id := range []string{"strava:set-credentials", "strava:set-scopes"} {
		c := w.change(r, id)
		if expectGate(t, c, plan.Blocked, "pause"); c.Outcome != report.Skipped {
			t.Errorf("%s: got %s, want skipped", id, c.Outcome)
		}
	}
	if n := len(w.terra.Writes()); n != 1 || r.ExitCode != report.ExitHeld {
		t.Errorf("got %d writes and exit %d, want 1 and %d", n, r.ExitCode, report.ExitHeld)
	}
	w.inState(func(s *state.Store) error { _, err := s.LiftKillSwitch("production/strava", "sam", w.now); return err })
	memory := plan.Memory{}
	w.inState(func(s *state.Store) (err error) { memory, err = s.Memory(here()); return err })
	if !memory.Connections["strava"].Suspended {
		t.Error("it is not remembered")
	}
}

// TestKillSwitchStopsARepeatedWrite that Terra has put off.
func TestKillSwitchStopsARepeatedWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/polar.yaml", "provider: polar\n")
	w.terra.Fault(terratest.Fault{Kind: terratest.Status429, RetryAfter: time.Millisecond, Operation: "enableSource"})
	r := w.runWith(1, "PUT", "/sources/polar", w.killSwitch("", ""))
	expectGate(t, w.change(r, "polar:enable"), plan.Blocked, "pause")
	if n := len(w.terra.Writes()); n != 1 || r.ExitCode != report.ExitHeld {
		t.Errorf("got %d writes and exit %d, want only the one that was refused", n, r.ExitCode)
	}
}

// TestKillSwitchStopsABatch of enables, after the list that is read before it.
func TestKillSwitchStopsABatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		provider string
		writes   int
	}{{"", 0}, {"polar", 2}} {
		w := newWorld(t)
		for _, provider := range []string{"polar", "oura", "suunto"} {
			w.write("production/"+provider+".yaml", "provider: "+provider+"\n")
		}
		r := w.runWith(2, "GET", "/sources", w.killSwitch("production", c.provider))
		if n := len(w.terra.Writes()); n != c.writes || r.ExitCode != report.ExitHeld {
			t.Errorf("%q: got %d writes and exit %d, want %d\n%s", c.provider, n, r.ExitCode, c.writes, w.show(r))
		}
		expectGate(t, w.change(r, "polar:enable"), plan.Blocked, "pause")
		if pending := w.pending(); len(pending) > 0 {
			t.Errorf("%q: %d intents are left", c.provider, len(pending))
		}
	}
}

// TestKillSwitchStopsAllOfAConnection, not only its enable.
func TestKillSwitchStopsAllOfAConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	r := w.runWith(2, "GET", "/sources", w.killSwitch("production", "strava"))
	if n := len(w.terra.Writes()); n != 0 || r.ExitCode != report.ExitHeld {
		t.Errorf("got %d writes and exit %d\n%s", n, r.ExitCode, w.show(r))
	}
	expectGate(t, w.change(r, "strava:set-credentials"), plan.Blocked, "pause")
}

// TestKillSwitchHoldsWhatACrashLeft: an intent of a former run is not sent again.
func TestKillSwitchHoldsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.strava(secretA, "")
	w.terra.Fault(terratest.Fault{Kind: terratest.ConnectionReset, Operation: "setSourceCredentials"})
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "getSourceCredentials", Nth: 2, Times: terratest.Always})
	w.apply()
	w.terra.ClearFaults()
	w.terra.ResetLog()
	r := w.runWith(2, "GET", "/credentials", w.killSwitch("", ""))
	expectGate(t, w.change(r, "strava:set-credentials"), plan.Blocked, "pause")
	if n, pending := len(w.terra.Writes()), w.pending(); n > 0 || len(pending) != 1 {
		t.Errorf("got %d writes and %d pending intents, want 0 and 1", n, len(pending))
	}
}
