package reconcile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// TestAppIsSentOnlyInWords: keys alone make users meet the own app, and what auth_variant
// means beside them is not settled, so it is sent for nothing but a line of the file.
func TestAppIsSentOnlyInWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own("polar", "123456", secretA, "")
	w.applied()
	for _, c := range w.terra.Log() {
		if c.Operation == "updateSource" && slices.Contains(c.Fields, "auth_variant") {
			t.Error("auth_variant was sent for keys alone")
		}
	}
	if live := w.terra.Live(devID).Sources["polar"]; !live.OwnApp || live.AuthVariant != "standard" {
		t.Errorf("own app %t, variant %s", live.OwnApp, live.AuthVariant)
	}
	w.own("polar", "123456", secretA, "app: own\n") // users meet it already
	w.inSync()
	w.own("polar", "123456", secretA, "app: terra\n") // Terra says standard, and users meet the own app
	w.applied()
	if live := w.terra.Live(devID).Sources["polar"]; live.OwnApp {
		t.Error("users still meet the own app")
	}
	w.own("polar", "123456", secretA, "app: own\n")
	w.applied()
	if live := w.terra.Live(devID).Sources["polar"]; !live.OwnApp || live.AuthVariant != "byo" {
		t.Errorf("own app %t, variant %s", live.OwnApp, live.AuthVariant)
	}
}

// TestKeysWithoutEffectAreSaid: where the choice of the app decides, keys alone change
// nothing for end users. The report says so, and which line would.
func TestKeysWithoutEffectAreSaid(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, terratest.Config{Reading: terratest.Reading{VariantDecides: true}})
	w.own("polar", "123456", secretA, "")
	w.applied()
	warnings := w.dryRun().Environments[0].Warnings
	i := slices.IndexFunc(warnings, func(x plan.Warning) bool { return strings.Contains(x.Text, "its keys have no effect") })
	if i < 0 || len(warnings[i].Remediations) != 1 || warnings[i].Remediations[0].YAML != "app: own" {
		t.Fatalf("warnings: %+v", warnings)
	}
	w.own("polar", "123456", secretA, "app: own\n")
	w.applied()
	if !w.terra.Live(devID).Sources["polar"].OwnApp {
		t.Error("the line does not help")
	}
}

// TestLeavingTheOwnAppKeepsItsLastKey: what was live until the choice of Terra's app is
// remembered as it was known, and not by what was read before that choice.
func TestLeavingTheOwnAppKeepsItsLastKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own("polar", "123456", secretA, "app: own\n")
	w.applied()
	last := w.keyHistory("polar").Live
	if last == nil {
		t.Fatal("no key is remembered as live")
	}
	w.now = w.now.Add(time.Hour)
	w.write("production/polar.yaml", "provider: polar\napp: terra\n")
	w.apply()
	if now := w.keyHistory("polar").Live; now == nil || *now != *last {
		t.Errorf("remembered as live: %+v, want %+v", now, last)
	}
}

func (w *world) keyHistory(provider string) (h keys.History) {
	w.inState(func(s *state.Store) error {
		all, err := s.KeyHistory(here())
		h = all[provider]
		return err
	})
	return h
}

// TestSecretThatIsNotAtHandIsNotLeftOut: a patch without it would be taken for one of
// other fields, and its answer for that of the new secret.
func TestSecretThatIsNotAtHandIsNotLeftOut(t *testing.T) {
	t.Parallel()
	env := &environment{cache: &secretsCache{digester: secrets.NewDigester(secrets.GenerateKey())}}
	c := &Connection{}
	c.Desired = &plan.Desired{}
	w, err := env.patchCredentials(c, plan.Change{Action: plan.RotateSecret, Fields: []plan.FieldChange{{Field: plan.FieldClientSecret}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.send(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "nothing was sent") {
		t.Errorf("got %v", err)
	}
}

// TestDefaultRedirectIsRemembered: what null reads back as is known from Terra's answer to
// the reset, on whatever host, and is in sync from then on.
func TestDefaultRedirectIsRemembered(t *testing.T) {
	t.Parallel()
	const own = "https://strava.acme.example/auth/strava"
	w := newWorldOf(t, terratest.Config{Reading: terratest.Reading{DefaultHost: "login.terra.example"}})
	w.terra.SetDomain(devID, "strava", "strava.acme.example")
	w.strava(secretA, "  redirect_url: "+own+"\n")
	w.applied()
	w.strava(secretA, "  redirect_url: null\n")
	w.applied()
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretA, RedirectURL: own})
	c := w.change(w.expectExit(w.apply(), report.ExitDone), "strava:update-credentials")
	if c.Cause != plan.Drift || c.Outcome != report.Applied {
		t.Errorf("%s %s: a redirect that somebody sets is drift all the same", c.Cause, c.Outcome)
	}
	w.inSync()
}

// TestSecretsOfASilentServer: where previews do not tell, a secret is not compared, also
// not one that differs behind the same mask, and a rotation goes on all the same.
func TestSecretsOfASilentServer(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, terratest.Config{Reading: terratest.Reading{SilentPreviews: true}})
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretA})
	w.strava(secretA, "")
	missed := w.dryRun().Environments[0].NotCompared
	if len(missed) != 1 || missed[0].Field != plan.FieldClientSecret || !strings.Contains(missed[0].Reason, "does not say in a preview") {
		t.Errorf("not compared: %+v", missed)
	}
	w.keys("", key{secretA, ""}, key{secretB, "2026-11-23T08:00:00Z"})
	w.prober = acceptsAll{}
	hash := w.dryRun().Environments[0].PlanHash
	w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": hash}})
	w.expectLive(secretB)
	w.inSync()
}

// TestEmptyScopes: a provider without scopes lists none, and a file may ask for none.
func TestEmptyScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own("garmin", garminID, secretA, "scopes: []\n"+garminSetup)
	w.applied()
	if n := slices.IndexFunc(w.terra.Effects(), func(c terratest.Call) bool { return strings.HasSuffix(c.Operation, "SourceScopes") }); n >= 0 {
		t.Error("scopes were written where there are none")
	}
	w.own("garmin", garminID, secretA, "scopes: null\n"+garminSetup)
	w.inSync()
}
