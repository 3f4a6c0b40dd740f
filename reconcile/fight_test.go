package reconcile

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// otherForm is a Terra that stores each redirect_url with a slash that nobody sent.
type otherForm struct{ inner http.RoundTripper }

func (o otherForm) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.URL.Query().Get("dry_run") != "" {
		return o.inner.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var sent map[string]any
	if json.Unmarshal(body, &sent) == nil && sent["redirect_url"] != nil {
		sent["redirect_url"] = sent["redirect_url"].(string) + "/"
		if body, err = json.Marshal(sent); err != nil {
			return nil, err
		}
	}
	changed := r.Clone(r.Context())
	changed.Body, changed.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return o.inner.RoundTrip(changed)
}

// TestSameWriteIsNotSentForEver has Terra store a value in another form: the second run
// holds it and says what was sent and what is read back, and no run sends it again.
func TestSameWriteIsNotSentForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.wrap = func(inner http.RoundTripper) http.RoundTripper { return otherForm{inner} }
	w.strava(secretA, "  redirect_url: https://access.tryterra.co/auth/strava\n")
	w.terra.ResetLog()
	r := w.expectExit(w.apply(), report.ExitFailed)
	if c := w.change(r, "strava:update-credentials"); c.Outcome != report.Unknown {
		t.Errorf("got %s: %s", c.Outcome, c.Error)
	}
	for range 5 {
		w.now = w.now.Add(15 * time.Minute)
		c := w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:update-credentials")
		expectGate(t, c, plan.Approval, "inconsistent")
		expectText(t, c.GateReason, `"https://access.tryterra.co/auth/strava" (2026-11-23 09:00 UTC) and shows "https://access.tryterra.co/auth/strava/"`)
	}
	if n := len(w.terra.Writes()); n != 1 {
		t.Errorf("%d writes, want the first one", n)
	}
	w.strava(secretA, "  redirect_url: https://access.tryterra.co/auth/strava/\n")
	w.now = w.now.Add(15 * time.Minute)
	w.applied()
}

// TestFightIsNoticed lets something else pause what the repository wants active, each time
// before the next run: it is resumed twice, and then held.
func TestFightIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/polar.yaml", "provider: polar\n")
	w.applied()
	w.terra.ResetLog()
	first := w.now
	var r report.Report
	for range 4 * 24 {
		w.terra.Pause(devID, "polar")
		r = w.apply()
		w.now = w.now.Add(15 * time.Minute)
	}
	if n := len(w.terra.Effects()); n != 2 {
		t.Errorf("resumed %d times, want twice", n)
	}
	c := w.change(w.expectExit(r, report.ExitHeld), "polar:resume")
	expectGate(t, c, plan.Approval, plan.GuardConflict)
	expectText(t, c.GateReason, "reverted 2 times since "+first.Format("2006-01-02 15:04 MST"))
	if !slices.ContainsFunc(r.Environments[0].Events, func(e report.Event) bool { return e.Kind == report.Conflict && e.Change == c.ID }) {
		t.Errorf("no event of it: %+v", r.Environments[0].Events)
	}
	w.now = w.now.Add(8 * 24 * time.Hour) // whatever it was, it has ended
	w.expectExit(w.apply(), report.ExitDone)
}

// TestVanishedKeysAreSetAgain takes the keys away at Terra: nobody saved a day with them.
// They are set again once a second look, five minutes later, found none either, or at once
// where a person approves it.
func TestVanishedKeysAreSetAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.RemoveCredential(devID, "strava")
	expectGate(t, w.change(w.expectExit(w.apply(), report.ExitDone), "strava:set-credentials"), plan.Waiting, plan.GuardKeysGone)
	w.now = w.now.Add(plan.KeysGoneFor)
	r := w.expectExit(w.apply(), report.ExitDone)
	c := w.change(r, "strava:set-credentials")
	if c.Outcome != report.Applied || !strings.Contains(c.Reason, "no keys of it any more") {
		t.Errorf("%s: %s: %s", c.Outcome, c.Reason, c.Error)
	}
	if n := len(r.Environments[0].Events); n != 0 {
		t.Errorf("events: %+v", r.Environments[0].Events)
	}
	w.expectLive(secretA)
	w.terra.RemoveCredential(devID, "strava")
	w.expectExit(w.run(Run{Mode: report.Apply, Approve: map[string]string{"production/strava": w.dryRun().Environments[0].Connections[0].PlanHash}}), report.ExitDone)
	w.expectLive(secretA)
}

// TestNewClientIDDoesNotShowTheSecretAsChanging moves the id and keeps the secret, which
// is sent with it all the same.
func TestNewClientIDDoesNotShowTheSecretAsChanging(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.own("strava", "777777", secretA, "policy: {allow: [{change: client_id, to: \"777777\", until: 2026-12-01, reason: moved}]}\n")
	c := w.change(w.expectExit(w.apply(), report.ExitDone), "strava:update-credentials")
	if len(c.Fields) != 1 || c.Fields[0].Field != plan.FieldClientID {
		t.Errorf("shows %+v", c.Fields)
	}
	live := w.terra.Live(devID).Sources["strava"].Credential
	if live.ClientID != "777777" || live.Secret != secretA {
		t.Errorf("live is %s", live.ClientID)
	}
}

// TestPairThatTerraDoesNotShow has users sent back to Terra's app, which hides the keys of
// the own one: they are not set anew over what nobody has looked at. Once they are shown
// again a new key replaces them.
func TestPairThatTerraDoesNotShow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own("polar", "123456", secretA, "app: own\n")
	w.applied()
	w.terra.SetAuthVariant(devID, "polar", "standard")
	w.terra.ResetLog()
	w.expectExit(w.apply(), report.ExitDone)
	if writes := w.terra.Writes(); len(writes) != 1 || writes[0].Operation != "updateSource" {
		t.Errorf("writes: %+v, want that of the app", writes)
	}
	w.terra.SetAuthVariant(devID, "polar", "standard")
	w.own("polar", "123456", secretB, "app: own\n")
	r := w.apply()
	if n := r.Environments[0].NotCompared; len(n) != 1 || n[0].Field != "credentials" {
		t.Errorf("not compared: %+v", n)
	}
	w.applied()
	if live := w.terra.Live(devID).Sources["polar"]; live.Credential.Secret != secretB {
		t.Error("the new key is not live")
	}
}

// TestFightOfTwoRunnersIsNoticed has two runners with repositories of their own on one
// account, each with a state of its own: each reverts the other twice, then both are held.
func TestFightOfTwoRunnersIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "scopes: [activity:read_all]\n")
	w.applied()
	other := *w
	other.files, other.stateDir = maps.Clone(w.files), t.TempDir()
	other.strava(secretA, "scopes: [read]\n")
	w.terra.ResetLog()
	runners := []*world{&other, w}
	var last [2]report.Report
	for n := range 4 * 24 {
		last[n%2] = runners[n%2].apply()
		for _, r := range runners {
			r.now = r.now.Add(15 * time.Minute)
		}
	}
	if n := len(w.terra.Effects()); n < 2 || n > 5 { // the first one of the other, and two of each
		t.Errorf("written %d times", n)
	}
	held := false
	for n, r := range runners {
		for _, c := range last[n].Environments[0].Changes {
			held = held || c.Guard == plan.GuardConflict
			if c.Guard != plan.GuardConflict {
				t.Errorf("%s of runner %d: guard %q %s", c.ID, n, c.Guard, r.show(last[n]))
			}
		}
	}
	if !held {
		t.Error("nobody says that they fight")
	}
}

// TestFightOverKeysIsNoticed lets something else set another secret before each run,
// where the repository says to revert that.
func TestFightOverKeysIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.environment("on_secret_drift: revert\n")
	w.strava(secretA, "")
	w.applied()
	w.terra.ResetLog()
	var r report.Report
	for range 3 * 24 {
		w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
		r = w.apply()
		w.now = w.now.Add(15 * time.Minute)
	}
	expectGate(t, w.change(w.expectExit(r, report.ExitHeld), "strava:rotate-secret"), plan.Approval, plan.GuardConflict)
	if n := len(w.terra.Effects()); n != 2 {
		t.Errorf("reverted %d times, want twice", n)
	}
	var out bytes.Buffer
	if err := report.Text(&out, r, report.TextOptions{Width: 400}); err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{"keep ", "reconcile rotate add production/strava", "replace it", "reconcile --approve production/strava="} {
		if !strings.Contains(out.String(), way) {
			t.Errorf("no %q in\n%s", way, out.String())
		}
	}
}
