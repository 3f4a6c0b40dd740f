package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// asksAbout lets the provider be asked about the live key, as `doctor --probe` does
// before somebody goes to the portal.
func (w *world) asksAbout(secret string) {
	w.t.Helper()
	engine, store := w.engine(report.Apply)
	asker, _, err := NewAsker(engine.o, report.Apply, store.SaveProbe)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer, warnings := asker.Ask(w.t.Context(), devID, "strava", "123456", secrets.NewValue([]byte(secret))); answer.Verdict != plan.Good || len(warnings) > 0 {
		w.t.Fatalf("asked ahead: %+v %q", answer, warnings)
	}
	if err := store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestOldDiedRightAfterItWasAskedAbout resets in the portal within the hour in which
// the live key was still accepted, and mistypes the new one: that the live one is
// dead is found out as soon as it may be asked about again, without a soak.
func TestOldDiedRightAfterItWasAskedAbout(t *testing.T) {
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.asksAbout(secretA)
	p.accepts = []string{secretC} // the reset; the file has a typing error of it
	w.now = w.now.Add(10 * time.Minute)
	r := w.expectExit(w.apply(), report.ExitHeld)
	expectText(t, w.change(r, "strava:rotate-secret:rejected").GateReason, "asked about it less than an hour before, is asked again")
	expectKeys(t, w.keyStatus(r), report.KeyRejected, 1, 1, 0, "seal the right one, or make a new key at https://www.strava.com/settings/api")
	asked := p.asked
	w.now = w.now.Add(20 * time.Minute)
	w.expectExit(w.apply(), report.ExitHeld)
	if p.asked != asked {
		t.Fatal("the live key was asked about twice in an hour")
	}
	w.now = w.now.Add(31 * time.Minute)
	r = w.expectExit(w.apply(), report.ExitHeld)
	expectText(t, strings.Join(r.Environments[0].Warnings, "\n"), "rejects the live key too")
	for range 3 {
		expectText(t, w.change(r, "strava:rotate-secret:rejected").GateReason, "but the provider rejected it too: people fall away")
		expectKeys(t, w.keyStatus(r), report.KeyDead, 1, 1, 0, "and key 1, which is live, too: syncing stops within 6h; seal the right one, or make a new key")
		expectText(t, events(r), "key-rejected")
		w.now = w.now.Add(3 * time.Hour)
		r = w.expectExit(w.apply(), report.ExitHeld)
	}
	if p.asked != asked+1 {
		t.Errorf("asked %d times, want once more about the live key", p.asked-asked)
	}
	w.keys("", key{secretA, ""}, key{secretC, "2026-12-01T02:00:00Z"})
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretC)
}

// A live key that is accepted again, asked after the new one was rejected, is not
// asked about any more; one of which nothing clear is heard is.
func TestDoubtAboutTheLiveKeyEnds(t *testing.T) {
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.asksAbout(secretA)
	p.accepts = []string{secretA}
	w.now = w.now.Add(10 * time.Minute)
	w.apply()
	asked := p.asked
	p.down = true
	for range 2 {
		w.now = w.now.Add(61 * time.Minute)
		w.apply()
	}
	if p.asked != asked+2 {
		t.Fatalf("asked %d times while nothing clear was said, want twice", p.asked-asked)
	}
	p.down = false
	for range 5 {
		w.now = w.now.Add(61 * time.Minute)
		r := w.expectExit(w.apply(), report.ExitHeld)
		expectKeys(t, w.keyStatus(r), report.KeyRejected, 1, 1, 0, "key 2: the provider rejects it")
	}
	if p.asked != asked+3 {
		t.Errorf("asked %d times, want once more", p.asked-asked-2)
	}
	w.expectLive(secretA)
}

// TestStatusTellsOfAKeySetByHand: that a newer key was rejected does not hide what
// saved the day, and what a person does about that.
func TestStatusTellsOfAKeySetByHand(t *testing.T) {
	w, p := rotating(t)
	p.accepts = []string{secretC}
	w.at("2026-12-01T03:00:00Z")
	w.apply()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.now = w.now.Add(25 * time.Hour)
	r := w.expectExit(w.apply(), report.ExitHeld)
	k := w.keyStatus(r)
	expectKeys(t, k, report.KeyByHand, 0, 0, 0, "a key that the file does not have, perhaps to save the day; seal it: `reconcile rotate add production/strava`")
	if !k.Needs() || strings.Contains(k.Do, "make a new key") {
		t.Errorf("to do: %q: a reset in the portal would be the end of the key that saved the day", k.Do)
	}
	if got := events(r); got != "key-by-hand" {
		t.Errorf("events %q", got)
	}
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}, key{secretC, "2026-12-02T02:00:00Z"})
	r = w.expectExit(w.apply(), report.ExitDone)
	expectKeys(t, w.keyStatus(r), report.KeyFine, 3, 3, 0, "key 1 is no longer needed")
	w.expectLive(secretC)
}

// TestWayOutOfAHeldKey names the command where one secret is all that differs.
func TestWayOutOfAHeldKey(t *testing.T) {
	w, p := rotating(t)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.now = w.now.Add(25 * time.Hour)
	r := w.expectExit(w.apply(), report.ExitHeld)
	c := w.change(r, "strava:rotate-secret")
	expectGate(t, c, plan.Approval, "on_secret_drift")
	expectText(t, c.GateWay, "seal the live key: `reconcile rotate add production/strava`; or approve this plan")
	expectKeys(t, w.keyStatus(r), report.KeyByHand, 0, 1, 2, "seal it: `reconcile rotate add production/strava`")
	if got := events(r); got != "key-by-hand" {
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
	w, p := rotating(t)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "654321", Secret: secretC})
	r := w.expectExit(w.apply(), report.ExitHeld)
	if got := events(r); got != "key-by-hand" {
		t.Errorf("events %q\n%s", got, w.show(r))
	}
	expectText(t, r.Environments[0].Events[0].Text, "somebody set keys by hand, perhaps to save the day; to keep them commit them to production/strava.yaml:")
}
