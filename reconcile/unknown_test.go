package reconcile

import (
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// found is a world with a connection that Terra has with a key that nobody can read,
// which the file says. Its provider is down.
func found(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.prober = &provider{down: true}
	w.terra.Enable(devID, "strava")
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretA})
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.keys("", key{})
	return w
}

// A run that only observes adopts nothing, so the run after it is held as a first one.
func TestObserveAdoptsNothing(t *testing.T) {
	t.Parallel()
	w := found(t)
	w.environment("mode: observe\n")
	for range 2 {
		w.expectExit(w.apply(), report.ExitDone)
	}
	w.environment("")
	w.keys("", key{}, key{secretB, ""})
	expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "adopt")
	w.expectLive(secretA)
}

// TestUnknownKeyIsNotLost: the only copy of an adopted key is what is live.
func TestUnknownKeyIsNotLost(t *testing.T) {
	t.Parallel()
	w := found(t)
	w.applied()
	w.keys("", key{}, key{secretB, ""})
	expectGate(t, w.change(w.dryRun(), "strava:rotate-secret"), plan.Waiting, "no-way-back")
	r := w.expectExit(w.apply(), report.ExitHeld)
	c := w.change(r, "strava:rotate-secret")
	expectGate(t, c, plan.Approval, "no-way-back")
	expectText(t, report.Words(c.Remediations), "keep it: type the live secret while its portal still shows it, which is encrypted into the file: reconcile rotate add production/strava")
	expectKeys(t, w.keyStatus(r), keys.Held, 0, 2, 0, "guard no-way-back holds it")
	w.expectLive(secretA)

	// Once it is sealed it is live, and replaced as any other.
	w.keys("", key{}, key{secretB, ""}, key{secretA, ""})
	w.applied()
	w.keys("", key{}, key{secretA, ""}, key{secretB, ""})
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.apply()
	w.expectLive(secretB)
}

func TestUnknownKeyIsReplacedByOneThatItsProviderAccepts(t *testing.T) {
	t.Parallel()
	w := found(t)
	w.applied()
	w.prober = &provider{accepts: []string{secretB}}
	w.keys("", key{}, key{secretB, ""})
	w.expectExit(w.apply(), report.ExitDone)
	w.expectLive(secretB)
}

// TestUnknownKeySetByHandIsTold: its mask is all there is to tell it by.
func TestUnknownKeySetByHandIsTold(t *testing.T) {
	t.Parallel()
	const told = "the unknown live key was replaced out of band by one that ends like ****"
	w := found(t)
	w.applied()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	for range 3 {
		w.expectExit(w.dryRun(), report.ExitChanges)
		r := w.expectExit(w.apply(), report.ExitHeld)
		if n := r.Environments[0].NotCompared; len(n) != 1 || n[0].Field != plan.FieldClientSecret {
			t.Fatalf("not compared: %+v", n)
		}
		expectText(t, r.Environments[0].NotCompared[0].Reason, told)
		expectKeys(t, w.keyStatus(r), keys.OutOfBand, 0, 1, 0, "seal it: `reconcile rotate add production/strava`")
		expectText(t, adviceOf(w.keyStatus(r)), "or let it stay unknown, as if the connection were found anew: `reconcile state forget production/strava`")
		if got := events(r); got != "key-out-of-band" {
			t.Errorf("events %q", got)
		}
	}
	w.keys("", key{}, key{secretB, ""})
	expectGate(t, w.change(w.expectExit(w.apply(), report.ExitHeld), "strava:rotate-secret"), plan.Approval, "on-secret-drift")
	w.expectLive(secretC)
	w.keys("", key{}, key{secretC, ""})
	w.applied()

	// Or it stays unknown, as a person says.
	w = found(t)
	w.applied()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.expectExit(w.apply(), report.ExitHeld)
	_, store := w.engine(report.Apply)
	if _, err := store.Forget(here(), "strava", state.Entry{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	w.applied()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretA})
	w.expectExit(w.apply(), report.ExitHeld)
}

// A later key of the file that somebody set before its time is no key out of band.
func TestUnknownKeyReplacedEarlyByHand(t *testing.T) {
	t.Parallel()
	w := found(t)
	w.keys("", key{}, key{secretB, "2099-12-01T02:00:00Z"})
	w.applied()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
	r := w.applied()
	expectText(t, warned(r.Environments[0].Warnings), "key 2 of 2 is live before its time; accepted as rotated early by hand")
	if k := w.keyStatus(r); k.Live != 2 || k.State == keys.OutOfBand {
		t.Errorf("key %d is live, and it is %s: %s", k.Live, k.State, k.Text)
	}
}

// Another identity drops the digests, and masks are compared from then on anew.
func TestUnknownKeyWithAnotherIdentity(t *testing.T) {
	t.Parallel()
	w := found(t)
	w.applied()
	w.newIdentity()
	w.applied()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.expectExit(w.apply(), report.ExitHeld)
}

// A run that cannot keep digests neither compares masks nor forgets the one it has.
func TestUnknownKeyWithoutIdentity(t *testing.T) {
	t.Parallel()
	w := found(t)
	w.applied()
	with := w.identities
	w.identities = &secrets.Identities{}
	w.expectExit(w.apply(), report.ExitDone)
	w.identities = with
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	w.expectExit(w.apply(), report.ExitHeld)
}

// TestUnknownKeySetByHandBesideARejectedOne: that a newer key was rejected hides nothing.
func TestUnknownKeySetByHandBesideARejectedOne(t *testing.T) {
	t.Parallel()
	w := found(t)
	w.applied()
	w.prober = &provider{}
	w.keys("", key{}, key{secretB, "2026-12-01T02:00:00Z"})
	w.at("2026-12-01T03:00:00Z")
	w.heard()
	r := w.apply()
	expectKeys(t, w.keyStatus(r), keys.Rejected, 0, 1, 0, "key 2")
	if n := r.Environments[0].NotCompared; len(n) > 0 {
		t.Fatalf("not compared: %+v", n)
	}
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretC})
	r = w.apply()
	if n := r.Environments[0].NotCompared; len(n) != 1 {
		t.Fatalf("not compared: %+v", n)
	}
	w.expectLive(secretC)
}
