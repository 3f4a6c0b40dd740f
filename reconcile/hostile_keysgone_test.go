package reconcile

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestHostileNoKeys lets Terra's answer say that a connection has no keys, which it has: a
// full replace would wipe what the file does not name.
func TestHostileNoKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attack string
		lies   func(run int) bool // whether the answer of a run is a lie
		users  int
		forgot bool // memory is lost
	}{
		{attack: "one answer", lies: func(run int) bool { return run == 0 }, users: 7},
		{attack: "every other answer", lies: func(run int) bool { return run%2 == 0 }, users: 7},
		{attack: "each answer, for a week", lies: func(int) bool { return true }, users: 7},
		{attack: "each answer, and nobody is linked", lies: func(int) bool { return true }},
		{attack: "each answer, to a state that remembers nothing", lies: func(int) bool { return true }, users: 7, forgot: true},
	} {
		t.Run(c.attack, func(t *testing.T) {
			w := newWorld(t)
			w.prober = &provider{accepts: []string{secretA}}
			w.strava(secretA, "")
			w.applied()
			live := *w.terra.Live(devID).Sources["strava"].Credential
			live.Verification = "of-a-person-who-set-it"
			w.terra.SetCredential(devID, "strava", live)
			w.terra.SetUsers(devID, "strava", c.users, 0)
			if c.forgot {
				w.stateDir = t.TempDir()
			}
			run := 0
			w.answers("/strava/credentials", func(document map[string]any) {
				if c.lies(run) {
					document["credential"], document["has_credentials"] = nil, false
				}
			})
			for ; run < 20; run++ {
				w.apply()
				w.now = w.now.Add(8 * time.Hour)
			}
			if got := *w.terra.Live(devID).Sources["strava"].Credential; got.Verification != live.Verification || got.Secret != live.Secret {
				t.Errorf("the live keys were replaced: %+v", got.Verification)
			}
		})
	}
}

// TestHostileNoKeysAnywhere lets the preview say so, too, for less than the time that keys
// have to be gone: nothing is set.
func TestHostileNoKeysAnywhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ attack string }{{attack: "both answers, for four minutes"}} {
		w := newWorld(t)
		w.strava(secretA, "")
		w.applied()
		w.answers("/strava/credentials", func(document map[string]any) { document["credential"], document["has_credentials"] = nil, false })
		answers := w.wrap
		w.wrap = func(next http.RoundTripper) http.RoundTripper {
			said := answers(next)
			return tripper(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/strava/credentials") {
					w.terra.Fault(terratest.Fault{Kind: terratest.Problem, Operation: "updateSourceCredentials", Status: 404, Code: "not_found", Times: 1, Detail: "No."})
				}
				return said.RoundTrip(r)
			})
		}
		w.terra.ResetLog()
		for range 4 {
			expectGate(t, w.change(w.expectExit(w.apply(), report.ExitDone), "strava:set-credentials"), plan.Waiting, plan.GuardKeysGone)
			w.now = w.now.Add(time.Minute)
		}
		if n := len(w.terra.Writes()); n != 0 {
			t.Errorf("%s: %d writes", c.attack, n)
		}
		w.wrap = nil
		w.expectExit(w.apply(), report.ExitDone)
		w.inState(func(s *state.Store) error {
			m, err := s.Memory(here())
			if !m.Connections["strava"].KeysGone.IsZero() {
				t.Error("it is remembered although the keys are there")
			}
			return err
		})
	}
}
