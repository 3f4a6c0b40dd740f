package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func (w *world) keyStatus(r report.Report) report.KeyStatus {
	w.t.Helper()
	if len(r.Environments) != 1 || len(r.Environments[0].Keys) != 1 {
		w.t.Fatalf("want one connection with keys in\n%s", w.show(r))
	}
	return r.Environments[0].Keys[0]
}

func expectKeys(t *testing.T, k report.KeyStatus, state report.KeyState, live, due, next int, do string) {
	t.Helper()
	if k.State != state || k.Live != live || k.Due != due || k.Next != next {
		t.Errorf("state %q, live %d, due %d, next %d, want %q %d %d %d (%s)", k.State, k.Live, k.Due, k.Next, state, live, due, next, k.Do)
	}
	if do == "" && k.Do != "" {
		t.Errorf("to do: %q, want nothing", k.Do)
	}
	expectText(t, k.Do, do)
}

func events(r report.Report) string {
	var out []string
	for _, e := range r.Environments[0].Events {
		out = append(out, string(e.Kind))
	}
	return strings.Join(out, " ")
}

// TestKeyStatusOverAYear follows one connection from its first key on.
func TestKeyStatusOverAYear(t *testing.T) {
	w, p := newWorld(t), &provider{accepts: []string{secretA, secretB, secretC}}
	w.prober = p
	w.keys("max_age: 90d", key{secretA, "2026-11-23T00:00:00Z"})
	w.applied()
	expectKeys(t, w.keyStatus(w.dryRun()), report.KeyFine, 1, 1, 0, "")

	w.at("2027-02-10T09:00:00Z") // 79 days, 14 before the end is the default
	r := w.apply()
	expectKeys(t, w.keyStatus(r), report.KeyAgeing, 1, 1, 0, "reaches rotation.max_age in 10 days (production/strava.yaml:")
	expectText(t, w.keyStatus(r).Do, "make a new key at https://www.strava.com/settings/api, and within minutes: `reconcile rotate add production/strava`")
	expectText(t, strings.Join(r.Environments[0].Warnings, "\n"), "reaches rotation.max_age in 10 days")

	w.keys("max_age: 90d", key{secretA, "2026-11-23T00:00:00Z"}, key{secretB, "2027-02-20T02:00:00Z"})
	expectKeys(t, w.keyStatus(w.apply()), report.KeyFine, 1, 1, 2, "")

	w.at("2027-02-20T02:10:00Z")
	expectKeys(t, w.keyStatus(w.dryRun()), report.KeyDue, 1, 2, 0, "the next run that applies sets key 2")
	k := w.keyStatus(w.apply())
	expectKeys(t, k, report.KeyWatched, 2, 2, 0, "nothing to do; the watch ends 2027-02-21 02:10 UTC")
	if k.WatchedUntil.Sub(k.WatchedSince) != 24*time.Hour || k.AgeDays == nil || *k.AgeDays != 0 {
		t.Errorf("watched %s to %s, age %v", k.WatchedSince, k.WatchedUntil, k.AgeDays)
	}
	w.now = w.now.Add(25 * time.Hour)
	w.apply()
	expectKeys(t, w.keyStatus(w.dryRun()), report.KeyFine, 2, 2, 0, "")

	w.keys("max_age: 90d", key{secretA, "2026-11-23T00:00:00Z"}, key{secretB, "2027-02-20T02:00:00Z"}, key{secretC, "2027-03-20T02:00:00Z"})
	w.at("2027-03-20T03:00:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.now = w.now.Add(25 * time.Hour)
	w.apply()
	expectKeys(t, w.keyStatus(w.dryRun()), report.KeyFine, 3, 3, 0, "reconcile rotate prune production/strava --key 1")

	w.at("2027-08-01T00:00:00Z")
	r = w.apply()
	expectKeys(t, w.keyStatus(r), report.KeyOverdue, 3, 3, 0, "key 3 is 133 days old, rotation.max_age is 90 days")
	if events(r) != "key-overdue" {
		t.Errorf("events %q", events(r))
	}
}

func TestKeyStatusOfARejectedKey(t *testing.T) {
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T03:00:00Z")
	r := w.apply()
	expectKeys(t, w.keyStatus(r), report.KeyRejected, 1, 1, 0, "key 2: the provider rejects it")
	if events(r) != "key-rejected" {
		t.Errorf("events %q", events(r))
	}
}

func TestKeyStatusOfARollBack(t *testing.T) {
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretA}
	w.now = w.now.Add(2 * time.Hour)
	r := w.apply()
	expectKeys(t, w.keyStatus(r), report.KeyRejected, 1, 1, 0, "key 2: the provider rejects it")
	if events(r) != "key-rejected rolled-back" {
		t.Errorf("events %q", events(r))
	}
}

func TestKeyStatusOfADeadLiveKey(t *testing.T) {
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretB}
	w.terra.SetUsers(devID, "strava", 20, 20)
	w.now = w.now.Add(2 * time.Hour)
	r := w.apply()
	expectKeys(t, w.keyStatus(r), report.KeyDead, 2, 0, 0, "20 of 40 active end users are gone")
	if k := w.keyStatus(r); k.UsersBefore == nil || k.UsersBefore.Count != 40 || k.UsersNow == nil || k.UsersNow.Count != 20 {
		t.Errorf("users before %v, now %v", k.UsersBefore, k.UsersNow)
	}
	if got := events(r); got != "key-rejected" {
		t.Errorf("events %q", got)
	}
}

func TestRotationHeldIsAnEvent(t *testing.T) {
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.down = true
	w.terra.SetUsers(devID, "strava", 20, 20)
	w.now = w.now.Add(2 * time.Hour)
	r := w.expectExit(w.apply(), report.ExitHeld)
	if got := events(r); got != "key-rejected rotation-held" {
		t.Errorf("events %q", got)
	}
	w.expectLive(secretB)
}

func TestUnknownKeyStatus(t *testing.T) {
	w := newWorld(t)
	w.keys("", key{secretA, ""})
	w.applied()
	w.keys("", key{}, key{secretB, "2026-12-01T02:00:00Z"})
	expectKeys(t, w.keyStatus(w.dryRun()), report.KeyNotKnown, 0, 1, 2, "a key that was set by hand; key 2 replaces it")
}

// TestEntryIsWhatAPersonCanChange: each part of an entry that a person can change
// makes it another one, so that a rejected key is tried again.
func TestEntryIsWhatAPersonCanChange(t *testing.T) {
	w := newWorld(t)
	w.keys("", key{secretA, "2026-12-01T02:00:00Z"})
	set, _ := w.load()
	c := set.Environments[0].Connections[0]
	sealed, err := secrets.Parse(c.Credentials.Keys[0].Secret.Armor)
	if err != nil {
		t.Fatal(err)
	}
	k := c.Credentials.Keys[0]
	before := entryOf(c, k, sealed)
	later, another := k, c
	later.NotBefore = k.NotBefore.Add(time.Second)
	another.Credentials.ClientID.Value = "654321"
	w.keys("", key{secretA, "2026-12-01T02:00:00Z"})
	again, _ := w.load()
	anew, err := secrets.Parse(again.Environments[0].Connections[0].Credentials.Keys[0].Secret.Armor)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"time": entryOf(c, later, sealed), "client id": entryOf(another, k, sealed), "sealed anew": entryOf(c, k, anew)} {
		if got == before || got == "" {
			t.Errorf("another %s is the same entry", name)
		}
	}
	if entryOf(c, spec.Key{Unknown: true}, secrets.Sealed{}) != "" {
		t.Error("an unknown key has an entry")
	}
}

func TestHeldKeyNeedsAPerson(t *testing.T) {
	w, _ := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.stateDir = t.TempDir()
	k := w.keyStatus(w.apply())
	expectKeys(t, k, report.KeyHeld, 1, 2, 0, "key 2 is due, and guard adopt holds it")
	if !k.Needs() {
		t.Error("nobody is needed")
	}
}

// TestRotationSaysWhatAProviderAsksToKnow rotates keys whose provider uses them for
// more than signing in.
func TestRotationSaysWhatAProviderAsksToKnow(t *testing.T) {
	for provider, want := range map[string]string{
		"whoop":  "WHOOP signs webhooks with the client secret",
		"garmin": "the next run reviews Garmin's webhook rows again",
	} {
		w := newWorld(t)
		w.own(provider, "0a1b2c3d-0000-4000-8000-0123456789ab", secretA, "")
		w.terra.AcceptPair(provider, "0a1b2c3d-0000-4000-8000-0123456789ab", secretA)
		w.terra.AcceptPair(provider, "0a1b2c3d-0000-4000-8000-0123456789ab", secretB)
		w.apply()
		if r := w.dryRun(); strings.Contains(strings.Join(r.Environments[0].Warnings, "\n"), want) {
			t.Errorf("%s: said without a rotation", provider)
		}
		w.own(provider, "0a1b2c3d-0000-4000-8000-0123456789ab", secretB, "")
		r := w.dryRun()
		w.change(r, provider+":rotate-secret")
		expectText(t, strings.Join(r.Environments[0].Warnings, "\n"), want)
	}
}
