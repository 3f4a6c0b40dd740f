package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// recalled is what the state alone knows of the keys of Strava.
func (w *world) recalled() KnownKeys {
	w.t.Helper()
	store, err := state.OpenReadOnly(w.stateDir)
	if err != nil {
		w.t.Fatal(err)
	}
	defer store.Close()
	set, _ := w.load()
	known, err := RecallKeys(store, set.Environments[0], set.Environments[0].Connections[0])
	if err != nil {
		w.t.Fatal(err)
	}
	return known
}

// expectUnneeded compares what a report names with what is wanted, and demands that
// the state alone never gives away more.
func (w *world) expectUnneeded(r report.Report, want ...int) {
	w.t.Helper()
	k, known := w.keyStatus(r), w.recalled()
	if !slices.Equal(k.Unneeded, append([]int{}, want...)) {
		w.t.Errorf("%s: not needed are %v, want %v (%s)", w.now, k.Unneeded, want, k.Do)
	}
	if known.Unclear != "" || !known.Watched.IsZero() || known.Live >= 0 && known.Schedule[known.Live].Rejected {
		return
	}
	for _, i := range secrets.Unneeded(known.Schedule, known.Live, secrets.Due(w.now, known.Schedule)) {
		if !slices.Contains(k.Unneeded, i+1) {
			w.t.Errorf("%s: by the state key %d can go, and it cannot (%s)", w.now, i+1, k.Do)
		}
	}
}

// A rejected key that is not live is named with the command that removes it; what
// is watched, live, due or to go back to is not.
func TestUnneededKeysOverARotation(t *testing.T) {
	w, p := rotating(t)
	p.accepts = append(p.accepts, secretC)
	w.expectUnneeded(w.dryRun())
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}, key{secretC, "2026-12-09T02:00:00Z"})
	w.at("2026-12-01T02:10:00Z")
	w.expectUnneeded(w.apply()) // key 2 is watched
	if known := w.recalled(); known.Live != 1 || !known.Watched.Equal(w.now.Add(24*time.Hour)) {
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
	expectText(t, w.keyStatus(w.dryRun()).Do, "key 1 is no longer needed: `reconcile rotate prune production/strava --key 1`")
}

func TestRejectedKeysAreUnneeded(t *testing.T) {
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T03:00:00Z")
	r := w.apply()
	w.expectUnneeded(r, 2)
	expectText(t, w.keyStatus(r).Do, "`reconcile rotate add production/strava`; key 2 is no longer needed: `reconcile rotate prune production/strava --key 2`")
	w.keys("", key{secretA, ""}) // it was pruned
	w.expectUnneeded(w.applied())
	expectKeys(t, w.keyStatus(w.dryRun()), report.KeyFine, 1, 1, 0, "")
}

// A key that was taken back is watched no longer and can go; a live one that was
// rejected can not, nor what may be needed then.
func TestTakenBackKeysAreUnneeded(t *testing.T) {
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.expectUnneeded(w.dryRun())
	p.accepts = []string{secretA}
	w.now = w.now.Add(2 * time.Hour)
	w.apply()
	w.expectLive(secretA)
	w.expectUnneeded(w.apply()) // what is set again is watched too
	w.now = w.now.Add(25 * time.Hour)
	w.expectUnneeded(w.apply(), 2)

	w, p = rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = nil
	w.now = w.now.Add(2 * time.Hour)
	r := w.apply()
	expectKeys(t, w.keyStatus(r), report.KeyDead, 2, 0, 0, "key 2: the provider rejects it")
	w.expectUnneeded(r)
	w.expectUnneeded(w.dryRun())
}

// The live key was rejected, and no watch is on any more: somebody has set it again
// by hand. What may be needed now stays.
func TestNothingIsUnneededWhereTheLiveKeyIsRejected(t *testing.T) {
	w, p := rotating(t)
	p.accepts = append(p.accepts, secretC)
	w.keys("", key{secretC, ""}, key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
	w.applied()
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretA, secretC}
	w.now = w.now.Add(2 * time.Hour)
	w.apply()
	w.expectLive(secretA)
	w.now = w.now.Add(25 * time.Hour)
	w.expectUnneeded(w.apply(), 3)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
	w.now = w.now.Add(25 * time.Hour)
	r := w.apply()
	if k := w.keyStatus(r); k.State != report.KeyDead || !k.WatchedUntil.IsZero() {
		t.Fatalf("state %q, watched until %s", k.State, k.WatchedUntil)
	}
	w.expectUnneeded(r)
}

// Without an identity nobody knows what is live, and so not that a rejected key is
// not.
func TestNothingIsUnneededWithoutAnIdentity(t *testing.T) {
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T03:00:00Z")
	w.expectUnneeded(w.apply(), 2)
	var err error
	if w.identities, err = secrets.LoadIdentities(secrets.Source{}); err != nil {
		t.Fatal(err)
	}
	if k := w.keyStatus(w.dryRun()); k.Live != 0 || len(k.Unneeded) > 0 {
		t.Errorf("live %d, not needed %v (%s)", k.Live, k.Unneeded, k.Do)
	}
}

// The first real key was refused, and what was set by hand is live: no key of the
// file is, and the refused one can go.
func TestRejectedFirstKeyIsUnneeded(t *testing.T) {
	w, p := newWorld(t), &provider{}
	w.prober = p
	w.keys("", key{secretB, ""})
	p.accepts = []string{secretB}
	w.applied()
	w.keys("", key{"", ""})
	w.applied()
	w.keys("", key{"", ""}, key{secretC, "2026-12-01T02:00:00Z"})
	w.at("2026-12-01T03:00:00Z")
	r := w.apply()
	if k := w.keyStatus(r); k.State != report.KeyRejected || k.Live != 0 {
		t.Fatalf("state %q, live %d (%s)", k.State, k.Live, k.Do)
	}
	w.expectUnneeded(r, 2)
	w.expectLive(secretB)
}

// While nobody agreed on what is live, nothing is given away: the state was lost and
// an older key is live, or somebody set one that no file has.
func TestNothingIsUnneededWhileItIsNotKnownWhatIsLive(t *testing.T) {
	w, p := rotating(t)
	p.accepts = append(p.accepts, secretC)
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}, key{secretC, "2026-12-02T02:00:00Z"})
	w.stateDir = t.TempDir()
	w.at("2026-12-03T02:10:00Z")
	w.expectUnneeded(w.apply())
	w.expectLive(secretA)
	if known := w.recalled(); known.Unclear == "" || known.Live >= 0 {
		t.Errorf("recalled %+v", known)
	}

	w, p = rotating(t)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.now = w.now.Add(25 * time.Hour)
	w.apply()
	w.expectLive(secretC)
	if known := w.recalled(); known.Unclear == "" || known.Live >= 0 {
		t.Errorf("held: recalled %+v", known)
	}
}

// What the state knows needs no identity, and is as old as the last run.
func TestRecallNeedsNoIdentity(t *testing.T) {
	w, _ := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.now = w.now.Add(48 * time.Hour)
	w.apply()
	known := w.recalled()
	if known.Live != 1 || known.Unclear != "" || !known.At.Equal(w.now) {
		t.Errorf("recalled %+v", known)
	}
	w.newIdentity() // seals keys anew in the next line: no run has seen those
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
	if known := w.recalled(); known.Live >= 0 || known.Unclear != "no run has seen all keys as they are sealed now" {
		t.Errorf("sealed anew: recalled %+v", known)
	}
	store, err := state.Open(w.stateDir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.SaveMemory(devID, plan.Memory{}); err != nil {
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
	const first, second, wrong, byHand = "first-secret-0001", "second-secret-0002", "wrong-secret-0003", "by-hand-0004"
	w, p := newWorld(t), &provider{accepts: []string{first, second}}
	w.prober = p
	w.keys("", key{first, ""})
	w.apply()
	w.keys("", key{first, ""}, key{second, "2026-12-01T02:00:00Z"})
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	if known := w.recalled(); known.Live != 1 || known.Unclear != "" {
		t.Errorf("watched: recalled %+v", known)
	}
	w.keys("", key{first, ""}, key{second, "2026-12-01T02:00:00Z"}, key{wrong, "2026-12-01T03:00:00Z"})
	w.at("2026-12-01T03:10:00Z")
	w.expectExit(w.apply(), report.ExitHeld)
	p.down = true
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: byHand})
	w.now = w.now.Add(10 * time.Minute)
	w.expectExit(w.apply(), report.ExitHeld)
	w.expectLive(byHand)
	w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": w.dryRun().Environments[0].PlanHash}})
	w.expectLive(second)
	p.down = false
	w.now = w.now.Add(25 * time.Hour)
	r := w.apply()
	w.expectUnneeded(r, 3)
	known := w.recalled()
	if known.Live != 1 || known.Unclear != "" || !known.Watched.IsZero() || !known.Schedule[2].Rejected {
		t.Errorf("recalled %+v", known)
	}
	expectText(t, told(r), "is usually 40 characters") // and still checked in each run
}
