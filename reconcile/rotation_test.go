package reconcile

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const secretC = "cccc0000cccc0000cccc0000cccc0000cccc3333"

// provider is a data provider that knows some secrets and says so when asked.
type provider struct {
	accepts []string
	silent  string // a secret of which it says nothing clear
	down    bool
	asked   int
}

func (p *provider) Probe(_ context.Context, _, _ string, secret secrets.Value) (good, bad bool, reason string) {
	p.asked++
	switch {
	case p.down, p.silent != "" && p.silent == secret.Reveal():
		return false, false, "the provider is unavailable (HTTP 503)"
	case contains(p.accepts, secret.Reveal()):
		return true, false, "the provider knows the pair"
	default:
		return false, true, "the provider does not accept this client secret"
	}
}

func contains(list []string, text string) bool {
	for _, one := range list {
		if one == text {
			return true
		}
	}
	return false
}

// key is one entry of a file: a secret and from when it is due.
type key struct {
	secret, from string // secret "": unknown: true
}

// keys writes Strava with keys, the oldest first.
func (w *world) keys(rotation string, keys ...key) {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("provider: strava\ncredentials:\n  client_id: \"123456\"\n  keys:\n")
	for _, k := range keys {
		if k.secret == "" {
			b.WriteString("    - {unknown: true}\n")
			continue
		}
		b.WriteString("    - client_secret: " + w.seal("strava", "client_secret", k.secret, "        "))
		if k.from != "" {
			b.WriteString("      not_before: " + k.from + "\n")
		}
	}
	w.write("production/strava.yaml", b.String()+"rotation: {"+rotation+"}\n")
}

// rotating is a world in which key 1 is live, remembered and accepted, and key 2
// is due on 1 December.
func rotating(t *testing.T) (*world, *provider) {
	w, p := newWorld(t), &provider{accepts: []string{secretA, secretB}}
	w.prober = p
	w.keys("", key{secretA, ""})
	w.applied()
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
	w.applied()
	return w, p
}

func (w *world) at(moment string) {
	w.t.Helper()
	at, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		w.t.Fatal(err)
	}
	w.now = at
}

// heard applies until what a provider says counts: it is asked again after a minute,
// and after four more. It gives the last report.
func (w *world) heard() report.Report {
	w.t.Helper()
	w.apply()
	w.now = w.now.Add(2 * time.Minute)
	w.apply()
	w.now = w.now.Add(4 * time.Minute)
	return w.apply()
}

func (w *world) liveSecret() string { return w.terra.Live(devID).Sources["strava"].Credential.Secret }

func (w *world) expectLive(want string) {
	w.t.Helper()
	if got := w.liveSecret(); got != want {
		w.t.Fatalf("live is the secret that ends in %s, want %s", got[len(got)-4:], want[len(want)-4:])
	}
}

func (w *world) expectExit(r report.Report, want int) report.Report {
	w.t.Helper()
	if r.ExitCode != want {
		w.t.Fatalf("exit %d, want %d\n%s", r.ExitCode, want, w.show(r))
	}
	return r
}

func expectText(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

// TestKeyRotatesAtItsTime runs each hour over two months.
func TestKeyRotatesAtItsTime(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	due := time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC)
	w.terra.ResetLog()
	for hour := w.now; hour.Before(due.AddDate(0, 2, 0)); hour = hour.Add(6 * time.Hour) {
		w.now = hour
		w.expectExit(w.apply(), report.ExitDone)
		want := secretA
		if !hour.Before(due) {
			want = secretB
		}
		w.expectLive(want)
	}
	if n := len(w.terra.Effects()); n != 1 {
		t.Errorf("%d effects, want the one rotation", n)
	}
	if p.asked < 3 || p.asked > 17 { // before the set, in each run of the soak of a day, and about the former key each week
		t.Errorf("asked %d times", p.asked)
	}
}

func TestRefusedKeyIsKeptOut(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretA}
	w.at("2026-12-01T03:00:00Z")
	asked := p.asked
	once := w.change(w.expectExit(w.apply(), report.ExitDone), "strava:rotate-secret")
	expectGate(t, once, plan.Waiting, plan.GuardProbeAgain)
	expectText(t, once.GateReason, "is asked again from 2026-12-01 03:01 UTC")
	w.expectLive(secretA)
	if p.asked != asked+2 { // key 2, and key 1 to know whether others are accepted
		t.Errorf("asked %d times", p.asked-asked)
	}
	w.now = w.now.Add(2 * time.Minute)
	c := w.change(w.expectExit(w.heard(), report.ExitHeld), "strava:rotate-secret:rejected")
	expectGate(t, c, plan.Blocked, "rejected")
	expectText(t, c.GateReason, "does not accept this client secret")
	expectText(t, report.Words(c.Remediations), "reconcile rotate add production/strava")
	w.expectLive(secretA)
	asked = p.asked
	for range 10 * 24 {
		w.now = w.now.Add(time.Hour)
		w.expectExit(w.apply(), report.ExitHeld)
	}
	w.expectLive(secretA)
	if n := (p.asked - asked) / 2; n < 10 || n > 15 { // after 1, 2, 4, 8 and 16 hours, then once a day
		t.Errorf("a rejected key was asked about %d times in ten days", n)
	}
	p.accepts = append(p.accepts, secretC)
	w.keys("", key{secretA, ""}, key{secretC, "2026-12-01T02:00:00Z"})
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretC)
}

// TestOldDiedOnResetAndNewIsBad resets in the portal and commits a wrong secret.
func TestOldDiedOnResetAndNewIsBad(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = nil
	w.at("2026-12-01T03:00:00Z")
	r := w.expectExit(w.apply(), report.ExitDone)
	expectText(t, warned(r.Environments[0].Warnings), "refuses the live key too")
	expectText(t, warned(r.Environments[0].Warnings), "syncing stops within 6h unless it is out of order;")
	w.now = w.now.Add(2 * time.Minute)
	r = w.expectExit(w.heard(), report.ExitHeld)
	expectKeys(t, w.keyStatus(r), keys.LiveRejected, 1, 2, 0, "key 1, which is live, and every other pair are refused")
	expectText(t, events(r), "key-rejected")
	w.expectLive(secretA)
	p.accepts = []string{secretC}
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}, key{secretC, "2026-12-01T03:00:00Z"})
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretC)
}

func TestGoesBackWhenTheProviderRejectsTheNewKey(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
	p.accepts = []string{secretA}
	w.now = w.now.Add(2 * time.Hour)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB) // one refusal is not a verdict
	w.now = w.now.Add(2 * time.Minute)
	r := w.expectExit(w.heard(), report.ExitDone)
	c := w.change(r, "strava:rotate-secret")
	if c.Outcome != report.Applied || c.Cause != plan.Rotation {
		t.Errorf("outcome %s, cause %s", c.Outcome, c.Cause)
	}
	expectText(t, c.Reason, "back to key 1")
	w.expectLive(secretA)
	w.now = w.now.Add(2 * time.Hour)
	expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret:rejected"), plan.Blocked, "rejected")
	w.expectLive(secretA)
}

// TestKeyThatCameBackIsWatchedToo lets end users fall away after a roll-back: that
// they were counted is not owed to a restart.
func TestKeyThatCameBackIsWatchedToo(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretA}
	w.now = w.now.Add(2 * time.Hour)
	w.expectExit(w.heard(), report.ExitDone)
	w.expectLive(secretA)
	w.terra.SetUsers(devID, "strava", 30, 10)
	w.now = w.now.Add(2 * time.Hour)
	r := w.expectExit(w.heard(), report.ExitHeld)
	w.expectLive(secretA)
	expectText(t, w.show(r), "10 of 40 active end users are gone")
}

func TestNeverGoesBackToARejectedPair(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = nil
	for range 10 {
		w.now = w.now.Add(2 * time.Hour)
		k := w.keyStatus(w.heard())
		expectKeys(t, k, keys.LiveRejected, 2, 2, 0, "key 2, which is live, and every other pair are refused")
		w.expectLive(secretB)
	}
}

func TestUnclearAnswersNeverGoBack(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.down = true
	for range 30 {
		w.now = w.now.Add(2 * time.Hour)
		w.expectExit(w.apply(), report.ExitDone)
	}
	w.expectLive(secretB)
}

func TestUsersFallAway(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		left     int
		rotation string
		accepts  []string
		live     string
		guard    string
	}{
		{"both keys work", 30, "", []string{secretA, secretB}, secretB, "roll-back"},
		{"the old key works", 30, "", []string{secretA}, secretA, ""},
		{"four people", 36, "", []string{secretA, secretB}, secretB, ""},
		{"the file bears more", 30, "max_user_drop: 50", []string{secretA, secretB}, secretB, ""},
		{"the old key is dead", 30, "", []string{secretB}, secretB, "roll-back"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, p := rotating(t)
			w.keys(row.rotation, key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
			w.at("2026-12-01T02:10:00Z")
			w.expectExit(w.apply(), report.ExitDone)
			p.accepts = row.accepts
			w.terra.SetUsers(devID, "strava", row.left, 40-row.left)
			w.now = w.now.Add(3 * time.Hour)
			r := w.heard()
			w.expectLive(row.live)
			if row.guard != "" {
				w.expectExit(r, report.ExitHeld)
			}
		})
	}
}

// TestFallThatEndsLiftsItsMark holds a fall that cannot be undone, until the
// people are back.
func TestFallThatEndsLiftsItsMark(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	p.accepts = []string{secretB}
	w.terra.SetUsers(devID, "strava", 30, 10)
	w.now = w.now.Add(2 * time.Hour)
	w.expectExit(w.apply(), report.ExitDone) // one low count is not a fall
	w.now = w.now.Add(2 * time.Minute)
	w.expectExit(w.heard(), report.ExitHeld)
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.now = w.now.Add(2 * time.Hour)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

// TestSampleStandsForManyUsers rotates where there are too many to count.
func TestSampleStandsForManyUsers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		left int
		live string
	}{{1500, secretB}, {700, secretA}} {
		t.Run(fmt.Sprint(row.left), func(t *testing.T) {
			w, p := rotating(t)
			w.terra.SetUsers(devID, "strava", 1500, 0)
			w.at("2026-12-01T02:10:00Z")
			w.expectExit(w.apply(), report.ExitDone)
			w.expectLive(secretB)
			p.silent = secretB // of the live key nothing is heard
			w.terra.SetUsers(devID, "strava", row.left, 1500-row.left)
			w.now = w.now.Add(2 * time.Hour)
			w.heard()
			w.expectLive(row.live)
		})
	}
}

// TestFixedByHandAtThree replaces the live secret at Terra by hand, because the
// one of the file is dead.
func TestFixedByHandAtThree(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = []string{secretC}
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	for range 5 {
		w.now = w.now.Add(time.Hour)
		w.expectExit(w.apply(), report.ExitHeld)
		w.expectLive(secretC)
	}
	w.keys("", key{secretA, ""}, key{secretC, ""})
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretC)
}

// TestRevertOfAHandMadeKeyNeedsAProof asks about the desired pair in the run that
// would revert.
func TestRevertOfAHandMadeKeyNeedsAProof(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	held := func() {
		t.Helper()
		expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "on-secret-drift")
		w.expectLive(secretC)
	}
	w.now = w.now.Add(30 * time.Minute)
	p.down = true
	held() // its answer of this hour is from before the day was saved
	p.down, p.accepts = false, []string{secretC}
	for range 8 {
		w.now = w.now.Add(time.Hour)
		w.heard()
		w.expectLive(secretC)
	}
	p.accepts = []string{secretA}
	w.now = w.now.Add(25 * time.Hour)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretA)
}

func TestSetByHandBeforeItsTimeIsAccepted(t *testing.T) {
	t.Parallel()
	w, _ := rotating(t)
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
	r := w.expectExit(w.apply(), report.ExitDone)
	expectText(t, warned(r.Environments[0].Warnings), "rotated early by hand")
	w.at("2026-12-02T02:10:00Z")
	w.terra.ResetLog()
	w.expectExit(w.apply(), report.ExitDone)
	if n := len(w.terra.Effects()); n != 0 {
		t.Errorf("%d effects, want none", n)
	}
}

func TestStateLostWhileAnOlderKeyIsLive(t *testing.T) {
	t.Parallel()
	w, _ := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.stateDir = t.TempDir()
	expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "adopt")
	w.expectLive(secretA)
}

func TestUnknownFirstKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.prober = &provider{accepts: []string{secretA, secretB}}
	w.terra.Enable(devID, "strava")
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.terra.SetAuthVariant(devID, "strava", "byo")
	w.keys("", key{}, key{secretB, "2026-12-01T02:00:00Z"})
	w.terra.ResetLog()
	for range 7 {
		w.expectExit(w.apply(), report.ExitDone)
		w.now = w.now.Add(24 * time.Hour)
	}
	if n := len(w.terra.Effects()); n != 0 {
		t.Errorf("%d effects before its time, want none", n)
	}
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

func TestProbeIsRequired(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.keys("probe: require", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
	w.at("2026-12-01T02:10:00Z")
	expectGate(t, w.change(w.dryRun(), "strava:rotate-secret"), plan.Waiting, "probe-required")
	p.down = true
	expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "probe-required")
	w.expectLive(secretA)
	p.down = false
	w.now = w.now.Add(30 * time.Minute)
	w.expectExit(w.apply(), report.ExitHeld) // asked less than an hour ago
	w.now = w.now.Add(31 * time.Minute)
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

func TestProbeIsOff(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.keys("probe: off", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"})
	p.accepts = nil
	asked := p.asked
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
	if p.asked != asked {
		t.Error("it was asked all the same")
	}
}

func TestPlainDryRunAsksNoProvider(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	asked := p.asked
	w.at("2026-12-01T02:10:00Z")
	w.dryRun()
	if p.asked != asked {
		t.Error("a plain dry run asked a provider")
	}
	w.run(Run{Mode: report.DryRun, Probe: true})
	if p.asked != asked+1 {
		t.Errorf("--probe asked %d times, want once", p.asked-asked)
	}
}

func TestBadFirstPairIsNotSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := &provider{accepts: []string{secretB}}
	w.prober = p
	w.keys("", key{secretA, ""})
	r := w.expectExit(w.heard(), report.ExitHeld)
	expectText(t, w.change(r, "strava:set-credentials").GateReason, "does not accept this client secret")
	asked := p.asked
	for range 40 {
		w.now = w.now.Add(3 * time.Hour)
		w.expectExit(w.apply(), report.ExitHeld)
	}
	if n := p.asked - asked; n > 10 {
		t.Errorf("asked again %d times in five days", n)
	}
	w.keys("", key{secretB, ""})
	w.applied()
	w.expectLive(secretB)
}
