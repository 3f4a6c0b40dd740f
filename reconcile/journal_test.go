package reconcile

import (
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestEnableWhoseAnswerWasLostIsOurs loses the answer and every reading back.
func TestEnableWhoseAnswerWasLostIsOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.write("production/polar.yaml", "provider: polar\n")
	w.terra.Fault(terratest.Fault{Kind: terratest.LostAnswer, Operation: "enableSource"})
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "listSources", Nth: 3, Times: terratest.Always})
	if c := w.change(w.apply(), "polar:enable"); c.Outcome != report.Unknown {
		t.Fatalf("outcome %s, want unknown", c.Outcome)
	}
	w.terra.ClearFaults()
	w.applied()
	_, store := w.engine(report.DryRun)
	defer store.Close()
	memory, err := store.Memory(here())
	if err != nil || !memory.Connections["polar"].Enabled {
		t.Errorf("memory %+v, %v: it is not ours", memory, err)
	}
}

// TestPauseWhoseAnswerWasLostIsOurs loses the answer and every reading back: to
// resume it later is to end our own pause.
func TestPauseWhoseAnswerWasLostIsOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.write("production/polar.yaml", "provider: polar\n")
	w.applied()
	w.write("production/polar.yaml", "provider: polar\nstate: paused\n")
	w.terra.Fault(terratest.Fault{Kind: terratest.LostAnswer, Operation: "updateSource"})
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "listSources", Nth: 2, Times: terratest.Always})
	if c := w.change(w.apply(), "polar:pause"); c.Outcome != report.Unknown {
		t.Fatalf("outcome %s, want unknown", c.Outcome)
	}
	w.terra.ClearFaults()
	w.applied()
	w.terra.SetUsers(devID, "polar", 7, 0)
	w.write("production/polar.yaml", "provider: polar\n")
	if c := w.change(w.dryRun(), "polar:resume"); c.Class != plan.Safe {
		t.Errorf("to end our own pause is %s", c.Class)
	}
}

// TestHalfSetUpThatDiedIsOurs loses the answer of an enable whose keys have to
// wait for a domain: what is done so far is remembered, not only noted.
func TestHalfSetUpThatDiedIsOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.own("garmin", garminID, secretA, garminFile+garminSetup)
	w.terra.Fault(terratest.Fault{Kind: terratest.LostAnswer, Operation: "enableSource"})
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "listSources", Nth: 3, Times: terratest.Always})
	if c := w.change(w.apply(), "garmin:enable"); c.Outcome != report.Unknown {
		t.Fatalf("outcome %s, want unknown", c.Outcome)
	}
	w.terra.ClearFaults()
	w.apply()
	_, store := w.engine(report.DryRun)
	defer store.Close()
	memory, err := store.Memory(here())
	if got := memory.Connections["garmin"]; err != nil || !got.Enabled || got.Noted || got.Fields[plan.FieldDomain] != garminDomain {
		t.Errorf("memory %+v, %v: it is not known as ours", got, err)
	}
}

// TestFirstKeysAfterALostEnableAwaitAYes loses the enable of a connection whose
// end users nobody can count, and for which Terra lends its own app: that it is ours
// by then does not send its keys.
func TestFirstKeysAfterALostEnableAwaitAYes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.token = w.terra.AddToken(terratest.Token{Scopes: []string{"providers:read", "providers:write"}}).Bearer
	w.terra.Enable(devID, "oura")
	w.own("polar", "0a1b", secretA, "")
	w.terra.Fault(terratest.Fault{Kind: terratest.LostAnswer, Operation: "enableSource"})
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "listSources", Nth: 3, Times: terratest.Always})
	if c := w.change(w.apply(), "polar:enable"); c.Outcome != report.Unknown {
		t.Fatalf("outcome %s, want unknown", c.Outcome)
	}
	w.terra.ClearFaults()
	for range 3 {
		expectGate(t, w.change(w.apply(), "polar:set-credentials"), plan.Approval, "adopt")
	}
	r := w.dryRun()
	r = w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": r.Environments[0].PlanHash}})
	if c := w.change(r, "polar:set-credentials"); c.Outcome != report.Applied {
		t.Errorf("approved: %s %s", c.Outcome, c.Error)
	}
	w.inSync()
}

// TestPendingIntentIsSentWithItsKeyOnlyWhenItMeansTheSame leaves an intent behind
// and runs again, from the same commit and from one that asks for something else.
func TestPendingIntentIsSentWithItsKeyOnlyWhenItMeansTheSame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		then string
		same bool
	}{{"scopes: [activity:read_all]\n", true}, {"scopes: [activity:read, activity:read_all]\n", false}} {
		w := newWorld(t)
		w.options.MaxAttempts = 1
		w.strava(secretA, "")
		w.applied()
		w.strava(secretA, "scopes: [activity:read_all]\n")
		w.terra.Fault(terratest.Fault{Kind: terratest.ConnectionReset, Operation: "setSourceScopes"})
		w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "getSourceScopes", Nth: 2, Times: terratest.Always})
		w.apply()
		pending := w.pending()
		if len(pending) != 1 {
			t.Fatalf("%d intents are pending, want 1", len(pending))
		}
		w.terra.ClearFaults()
		w.terra.ResetLog()
		w.strava(secretA, c.then)
		w.applied()
		writes := w.terra.Writes()
		if len(writes) != 1 || (writes[0].IdempotencyKey == pending[0].Key) != c.same {
			t.Errorf("%q: %d writes, sent with the old key: want %v", c.then, len(writes), c.same)
		}
	}
}

// TestSecretCopiedToAnotherPlaceIsRefused copies a secret that was opened, and
// whose digest is remembered, to another connection.
func TestSecretCopiedToAnotherPlaceIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.ResetLog()
	w.write("production/polar.yaml", strings.Replace(string(w.files["production/strava.yaml"].Data), "provider: strava", "provider: polar", 1))
	for _, mode := range []report.Mode{report.DryRun, report.Apply} {
		missed := w.run(Run{Mode: mode}).Environments[0].NotCompared
		if len(missed) != 1 || missed[0].Connection != "production/polar" || missed[0].Field != "" {
			t.Errorf("%s: not compared = %+v, want polar", mode, missed)
		}
	}
	if n := len(w.terra.Writes()); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestEmptyRepositoryIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	delete(w.files, "production/strava.yaml")
	delete(w.files, "production/environment.yaml")
	if r := w.apply(); r.ExitCode != report.ExitError || r.Error == "" {
		t.Errorf("exit %d, error %q; want 1 and why", r.ExitCode, r.Error)
	}
}

func TestLastFileGoneNeverPrunes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	delete(w.files, "production/strava.yaml")
	w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\npolicy: {allow: [{connection: strava, change: prune, until: 2027-01-01, reason: test}]}\n")
	expectGate(t, w.change(w.apply(), "strava:disable"), plan.Blocked, "empty-set")
}
