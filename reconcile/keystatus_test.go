package reconcile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func (w *world) keyStatus(r report.Report) keys.Status {
	w.t.Helper()
	if len(r.Environments) != 1 || len(r.Environments[0].Keys) != 1 {
		w.t.Fatalf("want one connection with keys in\n%s", w.show(r))
	}
	return r.Environments[0].Keys[0]
}

func expectKeys(t *testing.T, k keys.Status, state keys.State, live, due, next int, do string) {
	t.Helper()
	if k.State != state || k.Live != live || k.Due != due || k.Next != next {
		t.Errorf("state %q, live %d, due %d, next %d, want %q %d %d %d (%s)", k.State, k.Live, k.Due, k.Next, state, live, due, next, adviceOf(k))
	}
	if do == "" && adviceOf(k) != "" {
		t.Errorf("to do: %q, want nothing", adviceOf(k))
	}
	expectText(t, adviceOf(k), do)
}

// adviceOf is all that the report says of the keys of a connection.
func adviceOf(k keys.Status) string { return strings.TrimPrefix(k.Text+next(k.Remediations), "; ") }

// warned is all that a report warns of, a line each.
func warned(list []plan.Warning) string {
	var out []string
	for _, w := range list {
		out = append(out, w.Text+next(w.Remediations))
	}
	return strings.Join(out, "\n")
}

func next(list []plan.Remediation) string {
	out := ""
	for _, r := range list {
		if out += "; " + r.Text; len(r.Command) > 0 {
			out += ": `" + r.Command.String() + "`"
		}
	}
	return out
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
	t.Parallel()
	w, p := newWorld(t), &provider{accepts: []string{secretA, secretB, secretC}}
	w.prober = p
	w.keys("max_age: 90d", key{secretA, "2026-11-23T00:00:00Z"})
	w.applied()
	expectKeys(t, w.keyStatus(w.dryRun()), keys.OK, 1, 1, 0, "")

	w.at("2027-02-10T09:00:00Z") // 79 days, 14 before the end is the default
	r := w.apply()
	expectKeys(t, w.keyStatus(r), keys.Expiring, 1, 1, 0, "reaches rotation.max_age in 10 days (production/strava.yaml:")
	expectText(t, adviceOf(w.keyStatus(r)), "make a new key at https://www.strava.com/settings/api, and within minutes: `reconcile rotate add production/strava`")
	expectText(t, warned(r.Environments[0].Warnings), "reaches rotation.max_age in 10 days")

	w.keys("max_age: 90d", key{secretA, "2026-11-23T00:00:00Z"}, key{secretB, "2027-02-20T02:00:00Z"})
	expectKeys(t, w.keyStatus(w.apply()), keys.OK, 1, 1, 2, "")

	w.at("2027-02-20T02:10:00Z")
	expectKeys(t, w.keyStatus(w.dryRun()), keys.Due, 1, 2, 0, "the next run that applies sets key 2")
	k := w.keyStatus(w.apply())
	expectKeys(t, k, keys.Soaking, 2, 2, 0, "nothing to do; the soak ends 2027-02-21 02:10 UTC")
	if k.SoakEndsAt.Sub(k.SoakStartedAt) != 24*time.Hour || k.AgeDays == nil || *k.AgeDays != 0 {
		t.Errorf("watched %s to %s, age %v", k.SoakStartedAt, k.SoakEndsAt, k.AgeDays)
	}
	w.now = w.now.Add(25 * time.Hour)
	w.apply()
	expectKeys(t, w.keyStatus(w.dryRun()), keys.OK, 2, 2, 0, "")

	w.keys("max_age: 90d", key{secretA, "2026-11-23T00:00:00Z"}, key{secretB, "2027-02-20T02:00:00Z"}, key{secretC, "2027-03-20T02:00:00Z"})
	w.at("2027-03-20T03:00:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.now = w.now.Add(25 * time.Hour)
	w.apply()
	expectKeys(t, w.keyStatus(w.dryRun()), keys.OK, 3, 3, 0, "reconcile rotate prune production/strava --key 1")

	w.at("2027-08-01T00:00:00Z")
	r = w.apply()
	expectKeys(t, w.keyStatus(r), keys.Overdue, 3, 3, 0, "key 3 is 133 days old, rotation.max_age is 90 days")
	if events(r) != "key-overdue" {
		t.Errorf("events %q", events(r))
	}
}

func TestKeyStatusOfARejectedKey(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T03:00:00Z")
	expectKeys(t, w.keyStatus(w.apply()), keys.Due, 1, 2, 0, "key 2 is due and waits (guard probe-again): the provider refused this pair, and is asked again from")
	w.now = w.now.Add(2 * time.Minute)
	r := w.heard()
	expectKeys(t, w.keyStatus(r), keys.Rejected, 1, 1, 0, "key 2: the provider rejects it")
	if events(r) != "key-rejected" {
		t.Errorf("events %q", events(r))
	}
}

// An overdue live key does not hide that what is to replace it is refused.
func TestKeyStatusOfARejectedKeyBesideAnOverdueOne(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), &provider{accepts: []string{secretA}}
	w.prober = p
	w.keys("max_age: 90d", key{secretA, "2026-11-23T00:00:00Z"})
	w.applied()
	w.at("2027-03-01T09:00:00Z")
	w.keys("max_age: 90d", key{secretA, "2026-11-23T00:00:00Z"}, key{secretB, "2027-03-01T02:00:00Z"})
	r := w.heard()
	k := w.keyStatus(r)
	expectKeys(t, k, keys.Overdue, 1, 1, 0, "key 1 is 98 days old, rotation.max_age is 90 days")
	expectText(t, adviceOf(k), "; key 2: the provider rejects it")
	expectText(t, adviceOf(k), "seal the right one, or make a new key")
	if !slices.Equal(k.States(), []keys.State{keys.Overdue, keys.Rejected}) || events(r) != "key-overdue key-rejected" {
		t.Fatalf("%s; events %q", k.Words(), events(r))
	}
	if e := r.Environments[0].Events[1]; !e.Since.Equal(k.Rejected[0].At) {
		t.Errorf("rejected since %s, want %s", e.Since, k.Rejected[0].At)
	}
}

func TestKeyStatusOfARollBack(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretA}
	w.now = w.now.Add(2 * time.Hour)
	r := w.heard()
	expectKeys(t, w.keyStatus(r), keys.Rejected, 1, 1, 0, "key 2: the provider rejects it")
	if events(r) != "key-rejected rolled-back" {
		t.Errorf("events %q", events(r))
	}
}

func TestKeyStatusOfADeadLiveKey(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretB}
	w.terra.SetUsers(devID, "strava", 20, 20)
	w.now = w.now.Add(2 * time.Hour)
	r := w.heard()
	expectKeys(t, w.keyStatus(r), keys.LiveRejected, 2, 1, 0, "20 of 40 active end users are gone")
	if k := w.keyStatus(r); k.UsersBefore == nil || k.UsersBefore.Count != 40 || k.UsersNow == nil || k.UsersNow.Count != 20 {
		t.Errorf("users before %v, now %v", k.UsersBefore, k.UsersNow)
	}
	if got := events(r); got != "key-rejected rotation-held" {
		t.Errorf("events %q", got)
	}
}

func TestRotationHeldIsAnEvent(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.down = true
	w.terra.SetUsers(devID, "strava", 20, 20)
	w.now = w.now.Add(2 * time.Hour)
	r := w.expectExit(w.heard(), report.ExitHeld)
	if got := events(r); got != "key-rejected rotation-held" {
		t.Errorf("events %q", got)
	}
	w.expectLive(secretB)
}

func TestUnknownKeyStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keys("", key{secretA, ""})
	w.applied()
	w.keys("", key{}, key{secretB, "2026-12-01T02:00:00Z"})
	expectKeys(t, w.keyStatus(w.dryRun()), keys.Unknown, 0, 1, 2, "a key that was set out of band; key 2 replaces it")

	// Sealing the live secret, as it offers, changes nothing at Terra.
	w.keys("", key{}, key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
	if k := w.keyStatus(w.expectExit(w.dryRun(), report.ExitDone)); k.State != keys.OK || k.Live != 2 || k.Next != 3 {
		t.Errorf("%s, key %d is live, and key %d is next", k.State, k.Live, k.Next)
	}
}

func TestHeldKeyNeedsAPerson(t *testing.T) {
	t.Parallel()
	w, _ := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.stateDir = t.TempDir()
	k := w.keyStatus(w.apply())
	expectKeys(t, k, keys.Held, 1, 2, 0, "key 2 is due, and guard adopt holds it")
	if !k.Needs() {
		t.Error("nobody is needed")
	}
}

// TestRotationSaysWhatAProviderAsksToKnow rotates keys whose provider uses them for
// more than signing in.
func TestRotationSaysWhatAProviderAsksToKnow(t *testing.T) {
	t.Parallel()
	for provider, want := range map[string]string{
		"whoop":  "WHOOP signs webhooks with the client secret",
		"garmin": "the next run reviews Garmin's webhook rows again",
	} {
		w := newWorld(t)
		w.own(provider, "0a1b2c3d-0000-4000-8000-0123456789ab", secretA, "")
		w.terra.AcceptPair(provider, "0a1b2c3d-0000-4000-8000-0123456789ab", secretA)
		w.terra.AcceptPair(provider, "0a1b2c3d-0000-4000-8000-0123456789ab", secretB)
		w.apply()
		if r := w.dryRun(); strings.Contains(warned(r.Environments[0].Warnings), want) {
			t.Errorf("%s: said without a rotation", provider)
		}
		w.own(provider, "0a1b2c3d-0000-4000-8000-0123456789ab", secretB, "")
		r := w.dryRun()
		w.change(r, provider+":rotate-secret")
		expectText(t, warned(r.Environments[0].Warnings), want)
	}
}
