package reconcile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// tripper is a function as a transport.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestEveryFieldThatMayHaveBeenWrittenIsNamed lets a server that proved dry_run
// ignore it for comparisons that are all on their way at once.
func TestEveryFieldThatMayHaveBeenWrittenIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slugs := []string{"polar", "strava", "whoop", "withings"}
	for _, p := range slugs {
		w.own(p, "app-1", secretA, "")
		w.terra.Enable(devID, p)
		w.terra.SetCredential(devID, p, terratest.Credential{ClientID: "app-1", Secret: "other-but-same-tail-000000000000001111"})
		w.terra.SetAuthVariant(devID, p, "byo")
	}
	var together sync.WaitGroup
	together.Add(len(slugs))
	w.wrap = func(next http.RoundTripper) http.RoundTripper {
		return tripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPatch && sendsSecret(r) {
				together.Done()
				together.Wait()
			}
			return next.RoundTrip(r)
		})
	}
	secret := func(c terratest.Call) bool { return slices.Contains(c.Fields, "client_secret") }
	w.terra.Fault(terratest.Fault{Kind: terratest.IgnoreDryRun, Operation: "updateSourceCredentials", Match: secret, Times: terratest.Always})
	r := w.dryRun()
	var wrote, want []string
	for _, c := range w.terra.Effects() {
		want = append(want, c.Provider+"/client_secret")
	}
	wrote = append(wrote, r.Environments[0].MayHaveWritten...)
	slices.Sort(want)
	slices.Sort(wrote)
	if diff := cmp.Diff(want, wrote); diff != "" || len(want) != len(slugs) || r.ExitCode != report.ExitFailed {
		t.Errorf("exit %d, named as maybe written (-want +got):\n%s", r.ExitCode, diff)
	}
}

// sendsSecret reports whether a request holds a client secret, and leaves it whole.
func sendsSecret(r *http.Request) bool {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return bytes.Contains(body, []byte(`"client_secret"`))
}

// TestNoFullReplaceOverKeysNobodyLookedAt leaves a set-credentials intent behind,
// lets a person set other keys and disable the source, and runs again.
func TestNoFullReplaceOverKeysNobodyLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.terra.Enable(devID, "oura")
	w.strava(secretA, "")
	w.terra.Fault(terratest.Fault{Kind: terratest.LostAnswer, Operation: "setSourceCredentials"})
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "getSourceCredentials", Nth: 2, Times: terratest.Always})
	if c := w.change(w.apply(), "strava:set-credentials"); c.Outcome != report.Unknown {
		t.Fatalf("outcome %s, want unknown", c.Outcome)
	}
	w.terra.ClearFaults()
	byHand := terratest.Credential{ClientID: "by-hand", Secret: secretB, Verification: "set-by-hand-verification"}
	w.terra.SetCredential(devID, "strava", byHand)
	w.terra.Disable(devID, "strava")
	c := w.change(w.apply(), "strava:set-credentials")
	if live := w.terra.Live(devID).Sources["strava"].Credential; live.ClientID != "by-hand" || c.Outcome != report.Waiting {
		t.Errorf("outcome %s, live client_id %q: keys of a person were replaced", c.Outcome, live.ClientID)
	}
}

func TestLostVerificationSecretIsNotTakenForApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	more := func(v string) string {
		return "  verification_secret: " + w.seal("strava", "verification_secret", v, "    ")
	}
	w.strava(secretA, more("verify-me-first-0001"))
	w.applied()
	w.strava(secretA, more("verify-me-second-0002"))
	w.terra.Fault(terratest.Fault{Kind: terratest.ConnectionReset, Operation: "updateSourceCredentials", Match: func(c terratest.Call) bool { return !c.DryRun }})
	if c := w.change(w.apply(), "strava:update-credentials"); c.Outcome == report.Applied {
		t.Error("a write that never arrived is reported as applied")
	}
	w.terra.ClearFaults()
	w.applied()
	if got := w.terra.Live(devID).Sources["strava"].Credential.Verification; got != "verify-me-second-0002" {
		t.Error("the new verification_secret is not live")
	}
}

func TestLostSecretRefReplacementIsNotTakenForApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	allow := "policy: {allow: [{change: secret_ref, until: 2027-01-01, reason: test}, {change: update-credentials, until: 2027-01-01, reason: test}]}\n"
	w.strava(secretA, allow)
	w.terra.Enable(devID, "strava")
	w.terra.SetSecretStore("vault", map[string]string{"value": secretB}, true)
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", SecretRef: &terratest.SecretRef{Store: "vault", Config: map[string]string{"path": "a"}}})
	w.terra.Fault(terratest.Fault{Kind: terratest.ConnectionReset, Operation: "updateSourceCredentials", Match: func(c terratest.Call) bool { return !c.DryRun }})
	r := w.apply()
	for _, c := range r.Environments[0].Changes {
		if c.Outcome == report.Applied {
			t.Errorf("%s never arrived and is reported as applied", c.ID)
		}
		if c.Outcome != report.Failed && c.Outcome != report.Applied {
			t.Errorf("%s: %s %s, want the write to be tried", c.ID, c.Outcome, c.GateReason)
		}
	}
}

// endingProber ends the run when it is asked, which is after all reading.
type endingProber struct{ end func() }

func (p endingProber) Probe(context.Context, string, string, secrets.Value) (good, bad bool, reason string) {
	p.end()
	return true, false, "accepted"
}

func TestCancelledRunSendsNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, p := range []string{"polar", "withings", "freestylelibre"} {
		w.write("production/"+p+".yaml", "provider: "+p+"\n")
	}
	w.strava(secretA, "")
	ctx, cancel := context.WithCancel(t.Context())
	w.ctx, w.prober = ctx, endingProber{cancel}
	r := w.run(Run{Mode: report.Apply, Probe: true})
	if n := len(w.terra.Writes()); n != 0 {
		t.Errorf("%d writes after the run was cancelled", n)
	}
	if r.ExitCode != report.ExitError {
		t.Errorf("exit %d, want 1", r.ExitCode)
	}
	for _, c := range r.Environments[0].Changes {
		if c.Outcome != report.NotAttempted {
			t.Errorf("%s: outcome %s, want not-attempted", c.ID, c.Outcome)
		}
	}
}

func TestPlanThatNobodyWasShownIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  Run
	}{
		{"another hash", Run{Shown: map[string]plan.Plan{"production": {DevID: devID}}}},
		{"an environment that was not shown", Run{Shown: map[string]plan.Plan{"staging": {DevID: devID}}}},
		{"an environment whose plan failed", Run{Shown: map[string]plan.Plan{"production": {}}}},
		{"another approved hash", Run{Approve: map[string]string{"production": "sha256:other"}}},
		{"an approval of an environment that is not there", Run{Approve: map[string]string{"prodution": "sha256:other"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.strava(secretA, "")
			c.run.Mode = report.Apply
			r := w.run(c.run)
			if n := len(w.terra.Writes()); n != 0 || r.ExitCode != report.ExitError {
				t.Errorf("%d writes, exit %d; want none and 1", n, r.ExitCode)
			}
		})
	}
}

// TestHandMadeKeyIsHeldWhenTheIdentityChanged replaces the runner's identity by
// one that cannot open the digest key, and keeps the store from taking another.
func TestHandMadeKeyIsHeldWhenTheIdentityChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
	w.newIdentity()
	w.strava(secretA, "")
	for _, mode := range []report.Mode{report.DryRun, report.Apply} {
		c := w.change(w.run(Run{Mode: mode}), "strava:rotate-secret")
		if c.Gate != plan.Approval {
			t.Errorf("%s: gate %s, cause %s; want approval", mode, c.Gate, c.Cause)
		}
	}
	if w.terra.Live(devID).Sources["strava"].Credential.Secret != secretB {
		t.Error("a hand-made key was overwritten")
	}
}

// TestIntentOfAConnectionThatIsNotReadStaysOpen: what was not looked at is
// neither in effect nor given up.
func TestIntentOfAConnectionThatIsNotReadStaysOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.strava(secretA, "")
	w.terra.Fault(terratest.Fault{Kind: terratest.LostAnswer, Operation: "setSourceCredentials"})
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "getSourceCredentials", Nth: 2, Times: terratest.Always})
	w.apply()
	for range 2 {
		w.apply()
		if n := len(w.pending()); n != 1 {
			t.Fatalf("%d intents are pending, want 1", n)
		}
	}
	w.terra.ClearFaults()
	w.applied()
	if n := len(w.pending()); n != 0 {
		t.Errorf("%d intents are pending, want none", n)
	}
}

func (w *world) pending() []state.Intent {
	w.t.Helper()
	_, store := w.engine(report.DryRun)
	defer store.Close()
	pending, err := store.Pending(here())
	if err != nil {
		w.t.Fatal(err)
	}
	return pending
}

// TestConnectionMissingFromOneListIsNotTouched serves one list with half of its
// entries left out, which no client can tell from the truth by itself.
func TestConnectionMissingFromOneListIsNotTouched(t *testing.T) {
	t.Parallel()
	for _, slugs := range [][]string{{"polar", "withings"}, {"polar", "withings", "freestylelibre", "oura", "fitbit", "whoop", "strava", "garmin"}} {
		w := newWorld(t)
		w.environment("policy: {max_changes: {count: 20, percent: 100}}\n")
		for _, p := range slugs {
			w.write("production/"+p+".yaml", "provider: "+p+"\nstate: paused\n")
			w.terra.Enable(devID, p)
			w.terra.Pause(devID, p)
		}
		w.terra.Fault(terratest.Fault{Kind: terratest.MissingEntries, Operation: "listSources"})
		r := w.apply()
		if n := len(w.terra.Effects()); n != 0 || r.ExitCode != report.ExitHeld {
			t.Errorf("%d effects, exit %d on a list of %d with half of it missing; want none and 3\n%s", n, r.ExitCode, len(slugs), w.show(r))
		}
		w.applied()
		_, store := w.engine(report.DryRun)
		memory, err := store.Memory(here())
		if err = errors.Join(err, store.Close()); err != nil {
			t.Fatal(err)
		}
		for p, m := range memory.Connections {
			if m.Enabled {
				t.Errorf("%s is taken for ours, and was there before", p)
			}
		}
	}
}
