package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const (
	secretA = "aaaa0000aaaa0000aaaa0000aaaa0000aaaa1111"
	secretB = "bbbb0000bbbb0000bbbb0000bbbb0000bbbb2222"
)

func TestNewConnectionIsEnabledAndSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	r := w.dryRun()
	if r.ExitCode != report.ExitChanges {
		t.Fatalf("dry run: exit %d\n%s", r.ExitCode, w.show(r))
	}
	if n := len(w.terra.Effects()) + len(w.terra.Writes()); n != 0 {
		t.Fatalf("a dry run sent %d writes", n)
	}
	w.applied()
	live := w.terra.Live(devID).Sources["strava"]
	if live.State != "active" || live.Credential == nil || live.Credential.Secret != secretA {
		t.Errorf("live = %+v", live)
	}
}

func TestSecondPassOpensNothingAndAsksLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.ResetLog()
	w.inSync()
	for _, c := range w.terra.Log() {
		if c.Operation != "listSources" && c.Operation != "getSourceCredentials" {
			t.Errorf("unneeded call %s", c.Operation)
		}
	}
}

func TestSecretOfTheCommitIsRotated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.strava(secretB, "")
	w.applied()
	if got := w.terra.Live(devID).Sources["strava"].Credential.Secret; got != secretB {
		t.Error("the new secret is not live")
	}
}

func TestSecretChangedByHandIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
	r := w.apply()
	c := w.change(r, "strava:rotate-secret")
	expectGate(t, c, plan.Approval, "on-secret-drift")
	if c.Cause != plan.Drift {
		t.Errorf("cause = %s, want drift", c.Cause)
	}
	if r.ExitCode != report.ExitHeld {
		t.Errorf("exit %d, want 3", r.ExitCode)
	}
	if got := w.terra.Live(devID).Sources["strava"].Credential.Secret; got != secretB {
		t.Error("a hand-made key was overwritten")
	}
	r = w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": r.Environments[0].PlanHash}})
	expectGate(t, w.change(r, "strava:rotate-secret"), plan.Approval, "on-secret-drift")
	if got := w.terra.Live(devID).Sources["strava"].Credential.Secret; got != secretB {
		t.Error("the approval of the whole environment overwrote a hand-made key")
	}
	if got := r.Environments[0].Approval.Leaves; !slices.Equal(got, []string{"production/strava"}) {
		t.Errorf("it says that it leaves %v", got)
	}
	r = w.run(Run{Mode: report.Apply, Approve: map[string]string{"production/strava": r.Environments[0].Connections[0].PlanHash}})
	if r.ExitCode != report.ExitDone {
		t.Errorf("approved alone: exit %d\n%s", r.ExitCode, w.show(r))
	}
}

func TestSameMaskIsComparedExactly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	twin := "cccc0000cccc0000cccc0000cccc0000cccc1111" // same last four
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: twin})
	w.inSync() // memory vouches for it until verify_every has passed
	w.now = w.now.Add(25 * time.Hour)
	r := w.dryRun()
	if c := w.change(r, "strava:rotate-secret"); c.Cause != plan.Drift {
		t.Errorf("cause = %s", c.Cause)
	}
}

// A secret too short for a mask is compared by Terra in every run: memory alone
// would call it in sync whatever somebody sets by hand.
func TestShortSecretIsNotTakenFromMemory(t *testing.T) {
	t.Parallel()
	for _, live := range []string{"wxyz5", secretB} {
		w := newWorld(t)
		w.strava("abcd9", "")
		w.applied()
		w.inSync()
		w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: live})
		c := w.change(w.apply(), "strava:rotate-secret")
		expectGate(t, c, plan.Approval, "on-secret-drift")
		if c.Cause != plan.Drift {
			t.Errorf("cause = %s", c.Cause)
		}
	}
}

func TestForeignAccountIsAdoptedWithoutHarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "scopes: [activity:read]\n")
	w.write("production/whoop.yaml", "provider: whoop\nstate: paused\n")
	w.write("production/polar.yaml", "provider: polar\nstate: disabled\n")
	for _, p := range []string{"strava", "whoop", "polar", "garmin"} {
		w.terra.Enable(devID, p)
		w.terra.SetUsers(devID, p, 7, 0)
	}
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "999999", Secret: secretB})
	r := w.apply()
	if effects := w.terra.Effects(); len(effects) != 0 {
		t.Errorf("%d writes on a foreign account: %+v", len(effects), effects)
	}
	if r.ExitCode != report.ExitHeld {
		t.Errorf("exit %d, want 3\n%s", r.ExitCode, w.show(r))
	}
	for _, c := range r.Environments[0].Changes {
		if c.Gate == plan.Ready {
			t.Errorf("%s is ready", c.ID)
		}
	}
}

func TestFailedListChangesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []terratest.Kind{terratest.Status500, terratest.HasMoreWithoutCursor, terratest.BrokenJSON, terratest.Empty200, terratest.PlainNotFound} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			w.strava(secretA, "")
			w.applied()
			w.options.MaxAttempts = 1
			w.terra.Fault(terratest.Fault{Operation: "listSources", Kind: kind, Times: terratest.Always})
			w.terra.ResetLog()
			r := w.apply()
			if r.ExitCode != report.ExitError {
				t.Errorf("exit %d, want 1\n%s", r.ExitCode, w.show(r))
			}
			if n := len(w.terra.Writes()); n != 0 {
				t.Errorf("%d writes", n)
			}
			if kind != terratest.PlainNotFound { // of which time is no cure
				expectText(t, report.Words(r.Environments[0].Remediations), "look again in some minutes: reconcile --dry-run --env production")
			}
		})
	}
}
