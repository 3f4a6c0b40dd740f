package reconcile

import (
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestFixedByHandWhileARollBackIsHeld makes a new key by hand at Terra while
// nobody can prove the key to go back to.
func TestFixedByHandWhileARollBackIsHeld(t *testing.T) {
	t.Parallel()
	w, _ := rotating(t)
	w.keys("probe: off", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.terra.SetUsers(devID, "strava", 20, 20)
	w.now = w.now.Add(2 * time.Hour)
	expectGate(t, w.change(w.expectExit(w.heard(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "roll-back")
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	for range 3 {
		w.now = w.now.Add(2 * time.Hour)
		expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "on-secret-drift")
		w.expectLive(secretC)
	}
}

// TestRejectedKeySetByHandIsNotTakenBackOnAnOldAnswer sets the rejected key again
// by hand after a roll-back, because the key before it has died since.
func TestRejectedKeySetByHandIsNotTakenBackOnAnOldAnswer(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretA}
	w.now = w.now.Add(2 * time.Hour)
	w.expectExit(w.heard(), report.ExitDone)
	w.expectLive(secretA)
	p.accepts = []string{secretB}
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
	for range 50 {
		w.now = w.now.Add(20 * time.Minute)
		w.apply()
		w.expectLive(secretB)
	}
	w.expectExit(w.apply(), report.ExitDone) // it was asked about again, and its rejection ended
}

// TestWatchOutlivesARollBackThatAPauseStopped lets the rejected key be accepted
// again, which only a watch that goes on finds out.
func TestWatchOutlivesARollBackThatAPauseStopped(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretA}
	for range 2 {
		w.now = w.now.Add(2 * time.Hour)
		w.apply()
	}
	w.now = w.now.Add(2 * time.Hour)
	r := w.runWith(1, "GET", "/users", w.killSwitch("production", "strava"))
	c := w.change(r, "strava:rotate-secret")
	if expectGate(t, c, plan.Blocked, "pause"); c.Outcome != report.Skipped {
		t.Fatalf("got %s, want skipped", c.Outcome)
	}
	w.inState(func(s *state.Store) error { _, err := s.LiftKillSwitch("production/strava", "sam", w.now); return err })
	p.accepts = []string{secretA, secretB}
	w.now = w.now.Add(2 * time.Hour)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

// TestGoesBackAlsoWhenANewerKeyIsRejectedToo has a third key come due, and be
// refused, together with the end of the one that is watched.
func TestGoesBackAlsoWhenANewerKeyIsRejectedToo(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}, key{secretC, "2026-12-01T04:00:00Z"})
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
	p.accepts = []string{secretA}
	w.now = w.now.Add(2 * time.Hour)
	r := w.heard()
	expectText(t, w.change(r, "strava:rotate-secret").Reason, "back to key 1")
	w.expectLive(secretA)
	w.now = w.now.Add(2 * time.Hour)
	expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret:rejected"), plan.Blocked, "rejected")
}

// TestMarkIsOnDiskBeforeAnythingIsWritten refuses the plan after the provider has
// rejected its key, so that the run ends before it writes and remembers anything.
func TestMarkIsOnDiskBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T03:00:00Z")
	for range 3 {
		w.expectExit(w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": "sha256:another"}}), report.ExitError)
		w.now = w.now.Add(5 * time.Minute)
	}
	asked := p.asked
	w.expectExit(w.apply(), report.ExitHeld)
	if p.asked != asked {
		t.Errorf("asked %d times about a key that was rejected just now", p.asked-asked)
	}
	w.expectLive(secretA)
}

// TestFixedByHandRightBeforeARotation sets a key by hand between two runs, and in
// the second of them another one is due: what nobody can prove does not replace what
// somebody may have saved the day with, however long it takes.
func TestFixedByHandRightBeforeARotation(t *testing.T) {
	t.Parallel()
	saved := func(rotation, environment string) (*world, *provider) {
		w, p := rotating(t)
		w.environment(environment)
		w.keys(rotation, key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
		w.applied()
		w.at("2026-12-01T01:55:00Z")
		w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
		p.down = true
		w.at("2026-12-01T02:10:00Z")
		return w, p
	}
	held := func(w *world) {
		t.Helper()
		for range 40 {
			expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "on-secret-drift")
			w.expectLive(secretC)
			w.now = w.now.Add(25 * time.Hour)
		}
	}
	w, p := saved("", "")
	held(w)
	if known := w.recalled(); known.Unclear == "" {
		t.Errorf("recalled %+v", known)
	}
	p.down = false
	w.expectExit(w.apply(), report.ExitDone) // the provider accepts the due one
	w.expectLive(secretB)

	w, _ = saved("", "")
	hashes := w.hashes(w.dryRun())
	w.expectExit(w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": hashes["production"]}}), report.ExitHeld)
	w.expectExit(w.run(Run{Mode: report.Apply, Approve: map[string]string{"production/strava": hashes["production/strava"]}}), report.ExitDone)
	w.expectLive(secretB)

	w, _ = saved("", "on_secret_drift: revert\n")
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)

	w, _ = saved("probe: off", "")
	held(w)

	w, _ = saved("", "") // the hand-made key was sealed: it is not a stranger any more
	w.keys("", key{secretA, ""}, key{secretC, "2026-12-01T02:00:00Z"})
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretC)
}

// A new secret that is committed in the place of the old one says the same, as far
// as the mask of the old one tells.
func TestFixedByHandRightBeforeACommit(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), &provider{down: true}
	w.prober = p
	w.strava(secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.strava(secretB, "")
	w.applied() // nobody touched it meanwhile
	w.expectLive(secretB)
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.strava(secretA, "")
	expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "on-secret-drift")
	w.expectLive(secretC)
}
