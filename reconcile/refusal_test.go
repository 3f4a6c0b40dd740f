package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// refuseKeys lets Terra say that the data provider does not accept what is sent.
func (w *world) refuseKeys(operation string) {
	w.terra.Fault(terratest.Fault{Kind: terratest.Problem, Status: 422, Code: "provider_credentials_rejected", Operation: operation,
		Match: func(c terratest.Call) bool { return !c.DryRun }, Detail: "garmin rejected the credentials.", Times: terratest.Always})
}

// sent counts the writes of keys, carried out or not.
func (w *world) sent() int {
	n := 0
	for _, c := range w.terra.Log() {
		if strings.HasSuffix(c.Operation, "SourceCredentials") && c.Operation != "getSourceCredentials" && !c.DryRun {
			n++
		}
	}
	return n
}

// TestKeyThatTerraRefusesIsNotSentAgain until its entry changes: the provider has
// said no, and the live key stays.
func TestKeyThatTerraRefusesIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.down = true // nobody else can tell
	w.environment("policy: {max_changes: {count: 20, percent: 100}}\n")
	w.refuseKeys("updateSourceCredentials")
	w.at("2026-12-01T03:00:00Z")
	w.terra.ResetLog()
	for n := range 3 { // one refusal is not a verdict
		r := w.expectExit(w.apply(), report.ExitFailed)
		expectText(t, w.change(r, "strava:rotate-secret").Error, "garmin rejected the credentials")
		if n == 0 {
			expectGate(t, w.change(w.expectExit(w.apply(), report.ExitDone), "strava:rotate-secret"), plan.Waiting, plan.GuardProbeAgain)
		}
		w.now = w.now.Add(5 * time.Minute)
	}
	var r report.Report
	for range 3 {
		r = w.expectExit(w.apply(), report.ExitHeld)
		c := w.change(r, "strava:rotate-secret:rejected")
		expectGate(t, c, plan.Blocked, plan.GuardRejected)
		expectText(t, c.GateReason, "key 1 stays live, users sync as before; the provider refused key 2: garmin rejected the credentials")
	}
	if n := w.sent(); n != 3 {
		t.Errorf("the refused key was sent %d times, want three", n)
	}
	w.expectLive(secretA)
	w.terra.ClearFaults()
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}) // sealed anew
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

// TestFirstKeysThatTerraRefuses are not set again, and no older key goes with a
// client_id whose own key was refused.
func TestFirstKeysThatTerraRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.refuseKeys("setSourceCredentials")
	for range 3 {
		w.expectExit(w.apply(), report.ExitFailed)
		w.now = w.now.Add(5 * time.Minute)
	}
	sent := w.sent()
	for range 2 {
		r := w.expectExit(w.apply(), report.ExitHeld)
		expectGate(t, w.change(r, "strava:set-credentials"), plan.Blocked, "credentials")
	}
	if n := w.sent(); n != sent || sent != 3 {
		t.Errorf("the refused keys were sent %d times, then %d, want three", sent, n)
	}
}

func TestNoOlderKeyGoesWithANewApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	const yes = "policy: {allow: [{change: client_id, to: \"777777\", until: 2027-01-01, reason: test}]}\n"
	w.write("production/strava.yaml", "provider: strava\ncredentials:\n  client_id: \"777777\"\n  keys:\n    - client_secret: "+
		w.seal("strava", "client_secret", secretA, "        ")+"    - client_secret: "+w.seal("strava", "client_secret", secretB, "        ")+
		"      not_before: 2026-11-20\n"+yes)
	w.refuseKeys("updateSourceCredentials")
	for range 3 {
		w.expectExit(w.apply(), report.ExitFailed)
		w.now = w.now.Add(5 * time.Minute)
	}
	w.terra.ClearFaults()
	for range 2 {
		r := w.expectExit(w.apply(), report.ExitHeld)
		expectGate(t, w.change(r, "strava:update-credentials"), plan.Blocked, "credentials")
	}
	if id := w.terra.Live(devID).Sources["strava"].Credential.ClientID; id != "123456" {
		t.Errorf("client_id is %s, with a key that is not its own", id)
	}
}

// TestEnvironmentThatIsNamedTwiceRunsOnce.
func TestEnvironmentThatIsNamedTwiceRunsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	r := w.run(Run{Mode: report.Apply, Only: []string{"production", "production"}})
	if n := len(w.terra.Writes()); n != 2 || len(r.Environments) != 1 {
		t.Errorf("%d writes in %d environments, want 2 in 1", n, len(r.Environments))
	}
}

// TestApprovalOfWhatIsNotChosen is a mistake, and not left unsaid.
func TestApprovalOfWhatIsNotChosen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.terra.AddEnvironment("stag-app-1", terratest.EnvironmentOptions{})
	w.write("staging/environment.yaml", "dev_id: stag-app-1\nprune: never\n")
	r := w.run(Run{Mode: report.Apply, Only: []string{"production"}, Approve: map[string]string{"staging": "sha256:0"}})
	if r.ExitCode != report.ExitError || !strings.Contains(r.Error, `environment "staging": it is not chosen`) {
		t.Errorf("exit %d, error %q", r.ExitCode, r.Error)
	}
}

// TestStopIsOfTheWholeRun: after a failure in one environment nothing more is begun
// in another, whether it was a write or a read that failed.
func TestStopIsOfTheWholeRun(t *testing.T) {
	t.Parallel()
	const other = "stag-app-1"
	for _, operation := range []string{"enableSource", "listSources"} {
		for stop, want := range map[bool]report.Outcome{false: report.Applied, true: report.NotAttempted} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.terra.AddEnvironment(other, terratest.EnvironmentOptions{})
				w.write("production/polar.yaml", "provider: polar\n")
				w.write("staging/environment.yaml", "dev_id: "+other+"\nprune: never\n")
				w.write("staging/polar.yaml", "provider: polar\n")
				w.terra.Fault(terratest.Fault{Kind: terratest.Problem, Status: 409, Code: "conflict", Operation: operation, Times: terratest.Always,
					Match: func(c terratest.Call) bool { return c.DevID == devID }})
				w.terra.Fault(terratest.Fault{Kind: terratest.Latency, Operation: "listSources", Nth: 2, Delay: time.Second, // the look before the enable
					Match: func(c terratest.Call) bool { return c.DevID == other }})
				r := w.run(Run{Mode: report.Apply, Stop: stop})
				i := slices.IndexFunc(r.Environments, func(e report.Environment) bool { return e.Name == "staging" })
				if c := r.Environments[i].Changes[0]; c.Outcome != want {
					t.Errorf("%s fails, stop %t: %s of the other environment is %s, want %s", operation, stop, c.ID, c.Outcome, want)
				}
			})
		}
	}
}

// TestUncountedUsersOfAWatchedKeyAreSaid, also when nothing else speaks against it.
func TestUncountedUsersOfAWatchedKeyAreSaid(t *testing.T) {
	t.Parallel()
	w, _ := rotating(t)
	w.at("2026-12-01T03:00:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.at("2026-12-01T05:00:00Z")
	w.terra.Fault(terratest.Fault{Kind: terratest.Problem, Status: 403, Code: "scope_missing", Operation: "listUsers", Times: terratest.Always})
	r := w.expectExit(w.apply(), report.ExitDone)
	expectText(t, warned(r.Environments[0].Warnings), "end users of the soaking key are not counted")
}

// TestManyEnables: one call takes a hundred at most.
func TestManyEnables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.environment("policy: {max_changes: {count: 1000, percent: 100}}\n")
	const many = 230
	for i := range many {
		slug := fmt.Sprintf("made_up_%03d", i)
		w.terra.SetSourceType("", terratest.SourceType{Provider: slug, DisplayName: slug, Icon: "i", AuthType: "oauth2", DataTypes: []string{}})
		w.write("production/"+slug+".yaml", "provider: "+slug+"\n")
	}
	w.applied()
	if n := len(w.terra.Writes()); n != 3 {
		t.Errorf("%d writes for %d enables, want 3", n, many)
	}
}
