package reconcile

import (
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// found is a world with a connection that Terra has with a key that nobody can read,
// which the file says. Its provider is down.
func found(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.prober = &provider{down: true}
	w.terra.Enable(devID, "strava")
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretA})
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.keys("", key{})
	return w
}

// A run that only observes adopts nothing, so the run after it is held as a first one.
func TestObserveAdoptsNothing(t *testing.T) {
	w := found(t)
	w.environment("mode: observe\n")
	for range 2 {
		w.expectExit(w.apply(), report.ExitDone)
	}
	w.environment("")
	w.keys("", key{}, key{secretB, ""})
	expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "adopt")
	w.expectLive(secretA)
}

// TestUnknownKeyIsNotLost: the only copy of an adopted key is what is live.
func TestUnknownKeyIsNotLost(t *testing.T) {
	w := found(t)
	w.applied()
	w.keys("", key{}, key{secretB, ""})
	expectGate(t, w.change(w.dryRun(), "strava:rotate-secret"), plan.Waiting, "no-way-back")
	r := w.expectExit(w.apply(), report.ExitHeld)
	c := w.change(r, "strava:rotate-secret")
	expectGate(t, c, plan.Approval, "no-way-back")
	expectText(t, report.Words(c.Remediations), "seal the live secret first, while its portal still shows it: reconcile rotate add production/strava")
	expectKeys(t, w.keyStatus(r), keys.Held, 0, 2, 0, "guard no-way-back holds it")
	w.expectLive(secretA)

	// Once it is sealed it is live, and replaced as any other.
	w.keys("", key{}, key{secretB, ""}, key{secretA, ""})
	w.applied()
	w.keys("", key{}, key{secretA, ""}, key{secretB, ""})
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.apply()
	w.expectLive(secretB)
}

func TestUnknownKeyIsReplacedByOneThatItsProviderAccepts(t *testing.T) {
	w := found(t)
	w.applied()
	w.prober = &provider{accepts: []string{secretB}}
	w.keys("", key{}, key{secretB, ""})
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}
