package reconcile

import (
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// soaking is a world in which key 2 is live since 1 December, 02:10, and soaks.
func soaking(t *testing.T) (*world, *provider) {
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
	return w, p
}

// One wrong refusal of a good, live key that soaks takes nothing back; nor do two.
func TestOneRefusalIsNoVerdict(t *testing.T) {
	t.Parallel()
	for refusals := range 3 {
		w, p := soaking(t)
		p.accepts = []string{secretA}
		for range refusals {
			w.now = w.now.Add(30 * time.Minute)
			w.expectExit(w.apply(), report.ExitDone)
			w.expectLive(secretB)
		}
		p.accepts = []string{secretA, secretB}
		w.now = w.now.Add(2 * time.Hour)
		k := w.keyStatus(w.expectExit(w.apply(), report.ExitDone))
		expectKeys(t, k, keys.Soaking, 2, 2, 0, "nothing to do")
		if len(k.Rejected)+len(k.Unconfirmed) > 0 {
			t.Errorf("after %d refusals and an acceptance: %+v", refusals, k)
		}
	}
}

// A secret that its provider knows only some minutes later is used all the same.
func TestKeyThatItsProviderKnowsLate(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T02:00:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.now = w.now.Add(2 * time.Minute)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretA)
	p.accepts = []string{secretA, secretB}
	w.now = w.now.Add(4 * time.Minute)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

// An outage that refuses everybody rejects nobody, however long it takes, and is said.
func TestOutageThatRefusesEverybody(t *testing.T) {
	t.Parallel()
	w, p := soaking(t)
	p.accepts = nil
	var r report.Report
	for range 30 {
		w.now = w.now.Add(15 * time.Minute)
		r = w.apply()
		w.expectLive(secretB)
	}
	k := w.keyStatus(r)
	expectKeys(t, k, keys.LiveRejected, 2, 2, 0, "the provider is out of order, or syncing stops within 6h")
	expectText(t, events(r), "key-rejected")
	if len(k.Prunable) > 0 {
		t.Errorf("keys %v can go, it says", k.Prunable)
	}
	p.accepts = []string{secretA, secretB}
	w.now = w.now.Add(24 * time.Hour)
	expectKeys(t, w.keyStatus(w.expectExit(w.apply(), report.ExitDone)), keys.OK, 2, 2, 0, "")

	w, p = rotating(t) // the same, with a key that is not live yet
	p.accepts = nil
	w.at("2026-12-01T02:00:00Z")
	for range 30 {
		w.now = w.now.Add(15 * time.Minute)
		w.apply()
		w.expectLive(secretA)
	}
	p.accepts = []string{secretA, secretB}
	w.now = w.now.Add(24 * time.Hour)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

// A rejected key is asked about again, an hour later, then at longer intervals, and an
// acceptance lifts its rejection.
func TestRejectedKeyIsAskedAboutAgain(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T02:00:00Z")
	w.expectExit(w.heard(), report.ExitHeld)
	p.accepts = []string{secretA, secretB}
	w.now = w.now.Add(59 * time.Minute)
	w.expectExit(w.apply(), report.ExitHeld)
	w.now = w.now.Add(time.Minute)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

// One that somebody else hears to be accepted, as `doctor --probe` does, is not rejected
// any more either; it is asked about once more before it is written.
func TestSomebodyElseHearsThatItIsAccepted(t *testing.T) {
	t.Parallel()
	for _, works := range []bool{true, false} {
		w, p := rotating(t)
		p.accepts = []string{secretA}
		w.at("2026-12-01T02:00:00Z")
		w.expectExit(w.heard(), report.ExitHeld)
		if works {
			p.accepts = []string{secretA, secretB}
		}
		w.now = w.now.Add(10 * time.Minute)
		known := w.recalled()
		w.inState(func(s *state.Store) error {
			return s.AcceptKey(here(), "strava", known.Entry(2).ID, w.now)
		})
		w.expectExit(w.apply(), report.ExitDone)
		if want := map[bool]string{true: secretB, false: secretA}[works]; w.liveSecret() != want {
			t.Errorf("it works: %t, and it is live: %t", works, w.liveSecret() == secretB)
		}
	}
}

// A rejected key may be good after all, so it is named as one to remove only once it was
// refused a day later, too; never before that, and never because of an outage.
func TestRejectedKeyIsNotGivenAwayWhileItMayBeGood(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T02:00:00Z")
	w.heard()
	for hour := range 23 {
		w.now = w.now.Add(time.Hour)
		if k := w.keyStatus(w.apply()); len(k.Prunable) > 0 {
			t.Errorf("after %d hours keys %v can go, it says", hour+1, k.Prunable)
		}
	}
	p.down = true
	if k := w.keyStatus(w.days(3)); len(k.Prunable) > 0 {
		t.Errorf("while the provider is down keys %v can go, it says", k.Prunable)
	}
	p.down = false
	w.expectUnneeded(w.days(1), 2)
}

// One refusal by Terra, because the provider would not take the keys, is no verdict: the
// key is sent again after a pause.
func TestOneRefusalByTerraIsNoVerdict(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.down = true
	w.environment("policy: {max_changes: {count: 20, percent: 100}}\n")
	w.terra.Fault(terratest.Fault{Kind: terratest.Problem, Status: 422, Code: "provider_credentials_rejected", Operation: "updateSourceCredentials",
		Match: func(c terratest.Call) bool { return !c.DryRun }, Detail: "try again.", Times: 2})
	w.at("2026-12-01T03:00:00Z")
	w.expectExit(w.apply(), report.ExitFailed)
	sent := w.sent()
	for range 2 { // within its pause it is not sent
		expectGate(t, w.change(w.expectExit(w.apply(), report.ExitDone), "strava:rotate-secret"), plan.Waiting, plan.GuardProbeAgain)
	}
	if n := w.sent(); n != sent {
		t.Errorf("sent %d times more", n-sent)
	}
	w.now = w.now.Add(time.Minute)
	w.expectExit(w.apply(), report.ExitFailed)
	w.now = w.now.Add(4 * time.Minute)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

// One low count is no fall, and while the provider accepts the live key a fall takes
// nothing back, but is held until it ends.
func TestOneLowCountIsNoFall(t *testing.T) {
	t.Parallel()
	w, p := soaking(t)
	w.terra.SetUsers(devID, "strava", 22, 18)
	w.now = w.now.Add(time.Hour)
	w.expectExit(w.apply(), report.ExitDone)
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.now = w.now.Add(time.Hour)
	expectKeys(t, w.keyStatus(w.expectExit(w.apply(), report.ExitDone)), keys.Soaking, 2, 2, 0, "nothing to do")

	w.terra.SetUsers(devID, "strava", 22, 18)
	w.now = w.now.Add(time.Hour)
	r := w.expectExit(w.heard(), report.ExitHeld)
	c := w.change(r, "strava:rotate-secret")
	expectGate(t, c, plan.Approval, "roll-back")
	expectText(t, c.GateReason, "the provider accepts key 2, which is live")
	expectText(t, report.Words(c.Remediations), "reconcile rotate add production/strava")
	expectText(t, report.Words(c.Remediations), "approve this connection")
	w.expectLive(secretB)
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.now = w.now.Add(time.Hour)
	w.expectExit(w.apply(), report.ExitDone)

	w.terra.SetUsers(devID, "strava", 22, 18) // a fall, and the provider says nothing of the live key
	p.silent = secretB
	w.now = w.now.Add(2 * time.Hour)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
	w.now = w.now.Add(2 * time.Minute)
	w.expectExit(w.heard(), report.ExitDone)
	w.expectLive(secretA)
}

// A proof has a date: the reset was the end of the old key, and a revert within the hour
// does not write it over the new one because it was accepted before.
func TestProofFromBeforeTheLiveKeyProvesNothing(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.keys("", key{secretA, ""})
	w.at("2026-12-01T01:50:00Z")
	w.strava(secretA, "") // asks nobody, but is remembered
	w.applied()
	before := w.files["production/strava.yaml"]
	p.asked = 0
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.apply() // drift: asks about the old key, which is accepted
	w.expectLive(secretA)
	if p.asked == 0 {
		t.Fatal("nobody asked about the old key")
	}
	p.accepts = []string{secretB} // the reset
	w.now = w.now.Add(10 * time.Minute)
	w.strava(secretB, "")
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
	w.files["production/strava.yaml"] = before // git revert
	w.now = w.now.Add(5 * time.Minute)
	if c := w.change(w.apply(), "strava:rotate-secret"); c.ClassReason == plan.Proved || c.Outcome == report.Applied {
		t.Errorf("%s: %s", c.ClassReason, c.Outcome)
	}
	for range 6 {
		w.expectLive(secretB)
		w.now = w.now.Add(5 * time.Minute)
		w.apply()
	}
}

// Going back is going back, however it is asked: a commit that drops a rotation is held
// where nobody can be asked, and passes where the provider accepts the former key.
func TestRevertOfARotationIsARollBack(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		rotation string
		edit     func(w *world, p *provider)
		live     string
	}{
		"nobody can be asked":          {"probe: off", func(*world, *provider) {}, secretB},
		"the provider is down":         {"", func(_ *world, p *provider) { p.down = true }, secretB},
		"the former key is dead":       {"", func(_ *world, p *provider) { p.accepts = []string{secretB} }, secretB},
		"the former key works":         {"", func(*world, *provider) {}, secretA},
		"the state knows nothing":      {"probe: off", func(w *world, _ *provider) { w.stateDir = w.t.TempDir() }, secretB},
		"a person approves what it is": {"probe: off", nil, secretA},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := rotating(t)
			w.keys(row.rotation, key{secretA, ""})
			w.applied()
			first := w.files["production/strava.yaml"]
			w.keys(row.rotation, key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
			w.at("2026-12-01T02:10:00Z")
			w.expectExit(w.apply(), report.ExitDone)
			w.expectLive(secretB)
			w.now = w.now.Add(30 * time.Hour)
			w.expectExit(w.apply(), report.ExitDone)
			w.files["production/strava.yaml"] = first
			if row.edit != nil {
				row.edit(w, p)
			}
			w.now = w.now.Add(10 * time.Minute)
			r := w.run(Run{Mode: report.Apply, Commit: "c0ffef"})
			if row.edit == nil {
				c := w.change(r, "strava:rotate-secret")
				expectGate(t, c, plan.Approval, "roll-back")
				expectText(t, c.GateReason, "key 1 was live before, and the key that is live now has replaced it")
				w.expectLive(secretB)
				w.expectExit(w.run(Run{Mode: report.Apply, Commit: "c0ffef", Approve: map[string]string{"production": r.Environments[0].PlanHash}}), report.ExitDone)
			}
			w.expectLive(row.live)
		})
	}
}

// The key that was replaced is asked about once its successor has soaked: as long as it
// works it is to be revoked, and once it is refused the history says that it is dead.
func TestFormerKeyIsSeenToItsEnd(t *testing.T) {
	t.Parallel()
	w, p := soaking(t)
	w.now = w.now.Add(25 * time.Hour)
	w.expectExit(w.apply(), report.ExitDone) // the soak ends
	asked := p.asked
	w.now = w.now.Add(time.Hour)
	r := w.expectExit(w.apply(), report.ExitDone)
	k := w.keyStatus(r)
	expectKeys(t, k, keys.OK, 2, 2, 0, "key 1 is replaced and its provider still accepts it (2026-12-02); revoke key 1 in the provider's portal at https://www.strava.com/settings/api")
	expectText(t, warned(r.Environments[0].Warnings), "key 1 is replaced, and its provider still accepts it")
	for range 48 {
		w.now = w.now.Add(time.Hour)
		r = w.expectExit(w.apply(), report.ExitDone)
	}
	if n := p.asked - asked; n != 1 {
		t.Errorf("asked %d times about the former key, want once", n)
	}
	expectText(t, warned(r.Environments[0].Warnings), "key 1 is replaced, and its provider still accepts it")
	if n := w.deaths(); n != 0 {
		t.Errorf("the history says %d times that it is dead", n)
	}
	p.accepts = []string{secretB} // it is revoked
	w.now = w.now.Add(7 * 24 * time.Hour)
	w.heard()
	expectKeys(t, w.keyStatus(w.expectExit(w.apply(), report.ExitDone)), keys.OK, 2, 2, 0, "")
	if n := w.deaths(); n != 1 {
		t.Errorf("the history says %d times that it is dead", n)
	}
}

// deaths counts how often the history says that a key is dead.
func (w *world) deaths() (n int) {
	for _, e := range w.history() {
		if e.Event == state.EventKeyDead {
			n++
		}
	}
	return n
}

// Where the former key died with the reset, that is told as well; where nobody can be
// asked, nothing is.
func TestFormerKeyThatIsDead(t *testing.T) {
	t.Parallel()
	for _, down := range []bool{false, true} {
		w, p := soaking(t)
		p.accepts = []string{secretB}
		w.now = w.now.Add(25 * time.Hour)
		w.expectExit(w.apply(), report.ExitDone)
		p.down = down
		w.now = w.now.Add(time.Hour)
		r := w.expectExit(w.heard(), report.ExitDone)
		expectKeys(t, w.keyStatus(r), keys.OK, 2, 2, 0, "")
		if dead := w.deaths() == 1; dead == down {
			t.Errorf("the provider is down: %t, and the history says that it is dead: %t", down, dead)
		}
	}
}

// A former key that is refused while the live one is refused as well, as in an outage,
// is not dead; nor is one that was refused once.
func TestOneRefusalOfAFormerKeyIsNoDeath(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string][]string{"everybody is refused": nil, "it alone is refused": {secretB}} {
		t.Run(name, func(t *testing.T) {
			w, p := soaking(t)
			w.now = w.now.Add(25 * time.Hour)
			w.expectExit(w.apply(), report.ExitDone) // the soak ends
			p.accepts = outage
			w.now = w.now.Add(time.Hour)
			w.apply()
			p.accepts = []string{secretA, secretB}
			w.days(2)
			k := w.keyStatus(w.apply())
			if k.Former == nil || k.Former.Key != 1 {
				t.Errorf("nobody is told to revoke it: %+v", k)
			}
			if n := w.deaths(); n != 0 {
				t.Errorf("the history says %d times that it is dead", n)
			}
		})
	}
}

// A good key that was rejected is live again once the key before it has died, as at the
// end of an overlap, and the provider accepts it.
func TestGoodKeyIsSetWhenTheOldOneDies(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T02:00:00Z")
	w.expectExit(w.heard(), report.ExitHeld)
	p.accepts = []string{secretB} // it is known now, and the overlap has ended
	w.now = w.now.Add(time.Hour)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

// An outage a day after the rejection proves nothing about the rejected key: it is not
// given away for what was heard in it.
func TestOutageGivesNoKeyAway(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T02:00:00Z")
	w.heard()
	w.now = w.now.Add(23 * time.Hour)
	w.apply()
	p.accepts = nil // everybody is refused
	w.now = w.now.Add(2 * time.Hour)
	w.apply()
	p.accepts = []string{secretA} // before the rejected one is asked about again
	for range 8 {
		w.now = w.now.Add(10 * time.Minute)
		if k := w.keyStatus(w.apply()); len(k.Prunable) > 0 {
			t.Fatalf("keys %v can go, it says: %+v", k.Prunable, k)
		}
	}
}
