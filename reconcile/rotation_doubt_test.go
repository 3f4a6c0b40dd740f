package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestStatusTellsOfAKeySetByHand: that a newer key was rejected does not hide what
// saved the day, and what a person does about that.
func TestStatusTellsOfAKeySetByHand(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretC}
	w.at("2026-12-01T03:00:00Z")
	w.heard()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.now = w.now.Add(25 * time.Hour)
	r := w.expectExit(w.apply(), report.ExitHeld)
	k := w.keyStatus(r)
	expectKeys(t, k, keys.OutOfBand, 0, 2, 0, "a key that the file does not have, perhaps in an emergency; seal it: `reconcile rotate add production/strava`")
	if !k.Needs() || strings.Contains(adviceOf(k), "make a new key") {
		t.Errorf("to do: %q: a reset in the portal would be the end of the key that saved the day", adviceOf(k))
	}
	if got := events(r); got != "key-out-of-band" {
		t.Errorf("events %q", got)
	}
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}, key{secretC, "2026-12-02T02:00:00Z"})
	r = w.expectExit(w.apply(), report.ExitDone)
	expectKeys(t, w.keyStatus(r), keys.OK, 3, 3, 0, "key 1 is no longer needed")
	w.expectLive(secretC)
}

// TestWayOutOfAHeldKey names the command where one secret is all that differs.
func TestWayOutOfAHeldKey(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.now = w.now.Add(25 * time.Hour)
	r := w.expectExit(w.apply(), report.ExitHeld)
	c := w.change(r, "strava:rotate-secret")
	expectGate(t, c, plan.Approval, "on-secret-drift")
	expectText(t, report.Words(c.Remediations), "keep it: type the live secret, which is encrypted into the file: reconcile rotate add production/strava; approve this connection alone")
	expectKeys(t, w.keyStatus(r), keys.OutOfBand, 0, 1, 2, "seal it: `reconcile rotate add production/strava`")
	if got := events(r); got != "key-out-of-band" {
		t.Errorf("events %q", got)
	}
	p.down = false
	w.now = w.now.Add(2 * time.Hour)
	if got := events(w.expectExit(w.apply(), report.ExitDone)); got != "" { // it was proved that ours works
		t.Errorf("events %q after it was reverted", got)
	}
}

// A client id that somebody set by hand is an event as well.
func TestPairSetByHandIsAnEvent(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "654321", Secret: secretC})
	r := w.expectExit(w.apply(), report.ExitHeld)
	if got := events(r); got != "key-out-of-band" {
		t.Errorf("events %q\n%s", got, w.show(r))
	}
	expectText(t, r.Environments[0].Events[0].Text+next(r.Environments[0].Events[0].Remediations), "somebody set keys out of band, perhaps in an emergency; to keep them commit them to production/strava.yaml:")
}
