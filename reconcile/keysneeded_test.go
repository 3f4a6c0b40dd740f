package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// recalled is what the state alone knows of the keys of Strava.
func (w *world) recalled() RecalledKeys {
	w.t.Helper()
	store, err := state.OpenReadOnly(w.stateDir)
	if err != nil {
		w.t.Fatal(err)
	}
	defer store.Close()
	set, _ := w.load()
	known, err := RecallKeys(store, here(), set.Environments[0].Account, set.Environments[0].Connections[0])
	if err != nil {
		w.t.Fatal(err)
	}
	return known
}

// days applies every hour, and gives the last report.
func (w *world) days(n int) (r report.Report) {
	w.t.Helper()
	for range n * 24 {
		w.now = w.now.Add(time.Hour)
		r = w.apply()
	}
	return r
}

// expectUnneeded compares what a report names with what is wanted, and demands that
// the state alone never gives away more.
func (w *world) expectUnneeded(r report.Report, want ...int) {
	w.t.Helper()
	k, known := w.keyStatus(r), w.recalled()
	if !slices.Equal(k.Prunable, append([]int{}, want...)) {
		w.t.Errorf("%s: not needed are %v, want %v (%s)", w.now, k.Prunable, want, adviceOf(k))
	}
	if known.Unclear != "" {
		return
	}
	for _, key := range known.Prunable(known.Live, known.Due(w.now)) {
		if !slices.Contains(k.Prunable, key) {
			w.t.Errorf("%s: by the state key %d can go, and it cannot (%s)", w.now, key, adviceOf(k))
		}
	}
}

// A rejected key that is not live is named with the command that removes it; what
// is watched, live, due or to go back to is not.
func TestUnneededKeysOverARotation(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = append(p.accepts, secretC)
	w.expectUnneeded(w.dryRun())
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}, key{secretC, "2026-12-09T02:00:00Z"})
	w.at("2026-12-01T02:10:00Z")
	w.expectUnneeded(w.apply()) // key 2 is watched
	if known := w.recalled(); known.Live != 2 || !known.History.Soak.Until.Equal(w.now.Add(24*time.Hour)) {
		t.Errorf("recalled %+v", known)
	}
	w.now = w.now.Add(25 * time.Hour)
	w.expectUnneeded(w.apply()) // key 1 is the one to go back to
	w.at("2026-12-09T02:10:00Z")
	w.expectUnneeded(w.apply()) // key 3 is watched
	w.now = w.now.Add(23 * time.Hour)
	w.expectUnneeded(w.apply())
	w.now = w.now.Add(2 * time.Hour)
	w.expectUnneeded(w.apply(), 1)
	expectText(t, adviceOf(w.keyStatus(w.dryRun())), "key 1 is no longer needed: `reconcile rotate prune production/strava --key 1`")
}

func TestRejectedKeysAreUnneeded(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T03:00:00Z")
	w.expectUnneeded(w.heard()) // it may be good after all
	r := w.days(2)
	w.expectUnneeded(r, 2)
	expectText(t, adviceOf(w.keyStatus(r)), "`reconcile rotate add production/strava`; key 2 is no longer needed: `reconcile rotate prune production/strava --key 2`")
	w.keys("", key{secretA, ""}) // it was pruned
	w.expectUnneeded(w.applied())
	expectKeys(t, w.keyStatus(w.dryRun()), keys.OK, 1, 1, 0, "")
}

// A key that was taken back is watched no longer and can go; a live one that was
// rejected can not, nor what may be needed then.
func TestTakenBackKeysAreUnneeded(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.expectUnneeded(w.dryRun())
	p.accepts = []string{secretA}
	w.now = w.now.Add(2 * time.Hour)
	w.heard()
	w.expectLive(secretA)
	w.expectUnneeded(w.apply()) // what is set again soaks too
	w.expectUnneeded(w.days(2), 2)

	w, p = rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = nil
	w.now = w.now.Add(2 * time.Hour)
	r := w.heard()
	expectKeys(t, w.keyStatus(r), keys.LiveRejected, 2, 2, 0, "key 2, which is live, and every other pair are refused (the provider rejects it")
	w.expectUnneeded(r)
	w.expectUnneeded(w.dryRun())
}

// The live key was rejected, and no watch is on any more: somebody has set it again
// by hand. What may be needed now stays.
func TestNothingIsUnneededWhereTheLiveKeyIsRejected(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = append(p.accepts, secretC)
	w.keys("", key{secretC, ""}, key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
	w.applied()
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretA, secretC}
	w.now = w.now.Add(2 * time.Hour)
	w.heard()
	w.expectLive(secretA)
	w.expectUnneeded(w.days(2), 3)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
	w.now = w.now.Add(25 * time.Hour)
	r := w.apply()
	if k := w.keyStatus(r); k.State != keys.LiveRejected || !k.SoakEndsAt.IsZero() {
		t.Fatalf("state %q, watched until %s", k.State, k.SoakEndsAt)
	}
	w.expectUnneeded(r)
}

// Without an identity nobody knows what is live, and so not that a rejected key is
// not.
func TestNothingIsUnneededWithoutAnIdentity(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T03:00:00Z")
	w.heard()
	w.expectUnneeded(w.days(2), 2)
	var err error
	if w.identities, err = secrets.LoadIdentities(secrets.Source{}); err != nil {
		t.Fatal(err)
	}
	if k := w.keyStatus(w.dryRun()); k.Live != 0 || len(k.Prunable) > 0 {
		t.Errorf("live %d, not needed %v (%s)", k.Live, k.Prunable, adviceOf(k))
	}
}

// The first real key was refused, and what was set by hand is live: no key of the
// file is, and the refused one can go.
func TestRejectedFirstKeyIsUnneeded(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), &provider{}
	w.prober = p
	w.keys("", key{secretB, ""})
	p.accepts = []string{secretB}
	w.applied()
	w.keys("", key{"", ""})
	w.applied()
	w.keys("", key{"", ""}, key{secretC, "2026-12-01T02:00:00Z"})
	w.at("2026-12-01T03:00:00Z")
	w.heard()
	r := w.days(2)
	if k := w.keyStatus(r); k.State != keys.Rejected || k.Live != 0 {
		t.Fatalf("state %q, live %d (%s)", k.State, k.Live, adviceOf(k))
	}
	w.expectUnneeded(r, 2)
	w.expectLive(secretB)
}

// While nobody agreed on what is live, nothing is given away: the state was lost and
// an older key is live, or somebody set one that no file has.
func TestNothingIsUnneededWhileItIsNotKnownWhatIsLive(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = append(p.accepts, secretC)
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}, key{secretC, "2026-12-02T02:00:00Z"})
	w.stateDir = t.TempDir()
	w.at("2026-12-03T02:10:00Z")
	w.expectUnneeded(w.apply())
	w.expectLive(secretA)
	if known := w.recalled(); known.Unclear == "" || known.Live > 0 {
		t.Errorf("recalled %+v", known)
	}

	w, p = rotating(t)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.now = w.now.Add(25 * time.Hour)
	w.apply()
	w.expectLive(secretC)
	if known := w.recalled(); known.Unclear == "" || known.Live > 0 {
		t.Errorf("held: recalled %+v", known)
	}
}

// What the state knows needs no identity, and is as old as the last run.
func TestRecallNeedsNoIdentity(t *testing.T) {
	t.Parallel()
	w, _ := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.now = w.now.Add(48 * time.Hour)
	w.apply()
	known := w.recalled()
	if known.Live != 2 || known.Unclear != "" || !known.At.Equal(w.now) {
		t.Errorf("recalled %+v", known)
	}
	w.newIdentity() // seals keys anew in the next line: no run has seen those
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
	if known := w.recalled(); known.Live > 0 || known.Unclear != "no run has seen all keys as they are sealed now" {
		t.Errorf("sealed anew: recalled %+v", known)
	}
	store, err := state.Open(w.stateDir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.SaveMemory(here(), plan.Memory{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if known := w.recalled(); known.Any {
		t.Errorf("no run has finished: recalled %+v", known)
	}
}

// Secrets that the offline checks warn about are known as well as any other, in a
// rotation whose newest key is rejected and that somebody meets by hand.
func TestRecallKnowsKeysWithWarnings(t *testing.T) {
	t.Parallel()
	const first, second, wrong, byHand = "first-secret-0001", "second-secret-0002", "wrong-secret-0003", "by-hand-0004"
	w, p := newWorld(t), &provider{accepts: []string{first, second}}
	w.prober = p
	w.keys("", key{first, ""})
	w.apply()
	w.keys("", key{first, ""}, key{second, "2026-12-01T02:00:00Z"})
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	if known := w.recalled(); known.Live != 2 || known.Unclear != "" {
		t.Errorf("watched: recalled %+v", known)
	}
	w.keys("", key{first, ""}, key{second, "2026-12-01T02:00:00Z"}, key{wrong, "2026-12-01T03:00:00Z"})
	w.at("2026-12-01T03:10:00Z")
	w.expectExit(w.heard(), report.ExitHeld)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: byHand})
	w.now = w.now.Add(10 * time.Minute)
	w.expectExit(w.apply(), report.ExitHeld)
	w.expectLive(byHand)
	w.run(Run{Mode: report.Apply, Approve: map[string]string{"production/strava": w.hashes(w.dryRun())["production/strava"]}})
	w.expectLive(second)
	p.down = false
	w.now = w.now.Add(25 * time.Hour)
	r := w.days(2)
	w.expectUnneeded(r, 3)
	known := w.recalled()
	if known.Live != 2 || known.Unclear != "" || known.History.Soak != nil || !known.IsRejected(3, w.now) {
		t.Errorf("recalled %+v", known)
	}
	expectText(t, told(r), "is usually 40 characters") // and still checked in each run
}
