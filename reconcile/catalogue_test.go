package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// told gives the warnings of the only environment, one a line.
func told(r report.Report) string { return warned(r.Environments[0].Warnings) }

// TestStepsGateEnable runs each kind of human step over Terra: who waits, what
// the reason is, and that Strava beside it never does.
func TestStepsGateEnable(t *testing.T) {
	t.Parallel()
	const practice = "  practice: {practice_id: P-1, doctor_licence: file/7}\n"
	const approved = "setup:\n  partner_approval: {done: 2026-11-20, value: SHP-1}\n"
	tests := []struct {
		name, provider, file string
		live                 bool
		reason               string // why enable waits; "" for done at once
		warning              string
	}{
		{"Libre without regions", "freestylelibre", "", false, "", ""},
		{"Libre in Germany", "freestylelibre", "options: {regions: [DE]}\n", false, "step practice by you: setup.practice.practice_id is missing", ""},
		{"Libre with a practice", "freestylelibre", "options: {regions: [DE, FR]}\nsetup:\n" + practice, false, "step activation by you, then Terra support: setup.activation.ticket is missing", ""},
		{"Libre requested", "freestylelibre", "options: {regions: [DE]}\nsetup:\n" + practice + "  activation: {ticket: T-1, state: requested}\n", false,
			`step activation by Terra support: setup.activation.state is "requested", not yet "active"`, ""},
		{"Libre active", "freestylelibre", "options: {regions: [DE]}\nsetup:\n" + practice + "  activation: {ticket: T-1, state: active}\n", false, "", ""},
		{"Libre where only some wait", "freestylelibre", "options: {regions: [DE, GB, US]}\n", false, "", "DE must wait for practice, activation"},
		{"Libre that is live", "freestylelibre", "options: {regions: [DE]}\n", true, "", ""},
		{"Samsung by Health Connect", "samsung", "options: {route: health_connect}\n", false, "", ""},
		{"Samsung direct", "samsung", "options: {route: direct, sdk_version: 1.2.3-samsung}\n", false,
			"step partner_approval by you, then Samsung: setup.partner_approval.done is missing: the day it was done; setup.partner_approval.value is missing: " +
				"what shows the approval, such as its reference number; until then `route: health_connect` works", ""},
		{"Samsung with another SDK", "samsung", "options: {route: direct, sdk_version: 1.2.3}\n" + approved, false,
			`step sdk by you: options.sdk_version is "1.2.3", which does not contain "samsung"; until then`, ""},
		{"Samsung approved", "samsung", "options: {route: direct, sdk_version: 1.2.3-samsung}\n" + approved, false, "", ""},
		{"Samsung that is live", "samsung", "options: {route: direct}\n", true, "", ""},
		{"Oura on Terra's app", "oura", "", false, "", ""},
		{"Oura on an own app", "oura", "app: own\n", false, "step terra_support by you, then Terra support: setup.terra_support.ticket is missing", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.strava(secretA, "")
			w.write("production/"+test.provider+".yaml", "provider: "+test.provider+"\n"+test.file)
			if test.live {
				w.terra.Enable(devID, test.provider)
			}
			r := w.apply()
			if r.ExitCode != report.ExitDone {
				t.Errorf("exit %d: waiting is no failure\n%s", r.ExitCode, w.show(r))
			}
			live := w.terra.Live(devID).Sources
			if live["strava"].Credential == nil {
				t.Error("a step of another connection held Strava")
			}
			if test.warning != "" && !strings.Contains(told(r), test.warning) {
				t.Errorf("warnings lack %q:\n%s", test.warning, told(r))
			}
			if test.reason == "" {
				if live[test.provider].State != "active" {
					t.Errorf("not enabled\n%s", w.show(r))
				}
				return
			}
			c := w.change(r, test.provider+":enable")
			expectGate(t, c, plan.Waiting, "setup")
			if !strings.HasPrefix(c.GateReason, test.reason) {
				t.Errorf("waits for %q, want %q", c.GateReason, test.reason)
			}
			if _, enabled := live[test.provider]; enabled {
				t.Error("enabled although a step is open")
			}
		})
	}
	t.Logf("COUNT gated_scenes=%d", len(tests))
}

// TestEvidenceOfADayToCome enables nothing before that day has begun somewhere.
func TestEvidenceOfADayToCome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/samsung.yaml", "provider: samsung\noptions: {route: direct, sdk_version: 1.2.3-samsung}\n"+
		"setup:\n  partner_approval: {done: 2026-11-25, value: x}\n")
	r := w.apply()
	c := w.change(r, "samsung:enable")
	expectGate(t, c, plan.Waiting, "setup")
	if want := "setup.partner_approval.done is 2026-11-25, a day to come, and shows nothing"; !strings.Contains(c.GateReason, want) || !strings.Contains(told(r), want) {
		t.Errorf("the reason %q or a warning lacks %q:\n%s", c.GateReason, want, told(r))
	}
	if _, enabled := w.terra.Live(devID).Sources["samsung"]; enabled {
		t.Error("enabled on a day to come")
	}
	w.now = w.now.Add(48 * time.Hour)
	w.apply()
	if w.terra.Live(devID).Sources["samsung"].State != "active" {
		t.Error("not enabled once the day has come")
	}
}

// TestOwnAppWaitsForTerraSupport keeps a live Oura on Terra's app until support
// has set the own one. An own app that is live is never held.
func TestOwnAppWaitsForTerraSupport(t *testing.T) {
	t.Parallel()
	const id = "0a1b2c3d-0000-4000-8000-0123456789ab"
	w := newWorld(t)
	w.terra.SetSourceType("", terratest.SourceType{Provider: "oura", DisplayName: "Oura", AuthType: "oauth2", DataTypes: []string{},
		BYOSupported: true, CustomCredentialsAllowed: true})
	w.own("oura", id, secretA, "app: own\nsetup:\n  terra_support: {ticket: T-1, state: requested}\n")
	w.terra.Enable(devID, "oura")
	r := w.apply()
	for _, action := range []string{"set-credentials", "set-app"} {
		c := w.change(r, "oura:"+action)
		expectGate(t, c, plan.Waiting, "setup")
		if !strings.Contains(c.GateReason, `setup.terra_support.state is "requested", not yet "active"`) {
			t.Errorf("%s waits for %q", action, c.GateReason)
		}
	}
	if n := len(w.terra.Effects()); n != 0 {
		t.Errorf("%d writes while the step is open", n)
	}
	w.own("oura", id, secretA, "app: own\nsetup:\n  terra_support: {ticket: T-1, state: active}\n")
	w.applied()
	w.own("oura", id, secretB, "app: own\nsetup:\n  terra_support: {ticket: T-1, state: requested}\n")
	w.applied() // its own app is live: rotating its key waits for nobody
}

// TestOwnAppThatSupportHasSet takes Terra's list as it is today: it offers no own
// app of Oura. What support has set by hand is in sync.
func TestOwnAppThatSupportHasSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.terra.Enable(devID, "oura")
	w.write("production/oura.yaml", "provider: oura\napp: own\nsetup:\n  app: {done: 2026-08-01}\n  terra_support: {ticket: T-1, state: requested}\n")
	r := w.apply()
	expectGate(t, w.change(r, "oura:set-app"), plan.Waiting, "setup")
	if r.ExitCode != report.ExitDone || strings.Contains(told(r), "impossible") {
		t.Errorf("exit %d\n%s", r.ExitCode, told(r))
	}
	w.terra.SetAuthVariant(devID, "oura", "byo")
	w.inSync()
}

func TestMissingEvidenceIsOneWarningUnlessRequired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.write("production/polar.yaml", "provider: polar\n")
	r := w.dryRun()
	if n := strings.Count(told(r), "not recorded under setup"); n != 1 {
		t.Errorf("%d warnings about evidence, want one:\n%s", n, told(r))
	}
	expectGate(t, w.change(r, "strava:enable"), plan.Ready, "")
	w.environment("policy: {require_setup: true}\n")
	r = w.apply()
	expectGate(t, w.change(r, "strava:enable"), plan.Waiting, "setup")
	if w.terra.Live(devID).Sources["polar"].State != "active" {
		t.Error("a step of Strava held Polar")
	}
	w.strava(secretA, "setup:\n  app: {done: 2026-08-01}\n  callback_domain: {value: access.tryterra.co}\n")
	w.applied()
}

// TestTerraIsBelieved lets Terra disagree with the catalogue.
func TestTerraIsBelieved(t *testing.T) {
	t.Parallel()
	offer := func(w *world, provider string, change func(*terratest.SourceType)) {
		s := terratest.SourceType{Provider: provider, DisplayName: provider, AuthType: "oauth2", DataTypes: []string{}}
		change(&s)
		w.terra.SetSourceType("", s)
	}
	w := newWorld(t)
	w.strava(secretA, "")
	w.write("production/fitbit.yaml", "provider: fitbit\n")
	w.own("samsung", "1", secretA, "")
	r := w.dryRun()
	got := ""
	for _, n := range r.Environments[0].NotCompared {
		got += n.Connection + ": " + n.Reason + "\n"
	}
	for _, want := range []string{
		"production/fitbit: production/fitbit.yaml:1: the legacy Fitbit Web API and its sign-in ended on 2026-11-02; connect `google_health` (GOOGLE_HEALTH in the data API)",
		"production/samsung: production/samsung.yaml:3: Samsung Health has no credentials; remove `credentials` (Samsung Health has no web API",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not planned:\n%swant %q", got, want)
		}
	}
	offer(w, "strava", func(s *terratest.SourceType) { s.CustomCredentialsAllowed = true })
	offer(w, "fitbit", func(*terratest.SourceType) {})
	offer(w, "samsung", func(s *terratest.SourceType) { s.CustomCredentialsAllowed = true })
	r = w.dryRun()
	for _, want := range []string{
		"production/strava: Terra says that own keys for strava are optional; our catalogue says required. Terra is believed",
		"production/samsung: Terra says that own keys for samsung are optional; our catalogue says impossible. Terra is believed",
		"production/fitbit: our catalogue says that the legacy Fitbit Web API and its sign-in ended on 2026-11-02, but Terra still offers fitbit. Terra is believed",
	} {
		if !strings.Contains(told(r), want) {
			t.Errorf("warnings lack %q:\n%s", want, told(r))
		}
	}
	w.applied()
	w.now = w.now.Add(25 * time.Hour) // what Terra offers is read once a day
	offer(w, "polar", func(*terratest.SourceType) {})
	w.own("polar", "0a1b", secretA, "")
	if r = w.dryRun(); !strings.Contains(told(r), "own keys for polar are impossible") {
		t.Errorf("warnings:\n%s", told(r))
	}
}

// TestLiveFitbitIsNotRefusedForEver: validate knows nothing of Terra and warns, a run
// refuses to enable it and lets what is live be paused and disabled.
func TestLiveFitbitIsNotRefusedForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.terra.Enable(devID, "fitbit")
	w.terra.SetUsers(devID, "fitbit", 3, 0)
	w.write("production/fitbit.yaml", "provider: fitbit\n")
	r := w.applied()
	if !strings.Contains(told(r), "the legacy Fitbit Web API and its sign-in ended on 2026-11-02") {
		t.Errorf("warnings:\n%s", told(r))
	}
	w.write("production/fitbit.yaml", "provider: fitbit\nstate: paused\n")
	w.applied()
	w.write("production/google_health.yaml", "provider: google_health\n")
	w.write("production/fitbit.yaml", "provider: fitbit\nstate: disabled\n")
	w.applied()
	if live := w.terra.Live(devID).Sources; live["fitbit"].State != "disabled" || live["google_health"].State != "active" {
		t.Errorf("fitbit is %s, google_health %s", live["fitbit"].State, live["google_health"].State)
	}
}

// TestWithdrawnProviderIsSaidToBe: what Terra took off its list is an error of that
// connection alone, with what is known of it; where it is offered again it works.
func TestWithdrawnProviderIsSaidToBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.terra.WithdrawSourceType("freestylelibre")
	w.write("production/freestylelibre.yaml", "provider: freestylelibre\noptions: {regions: [AT, GB]}\n")
	w.strava(secretA, "")
	r := w.apply()
	n := r.Environments[0].NotCompared
	if len(n) != 1 || !strings.Contains(n[0].Reason, "Terra offers no provider `freestylelibre` in this environment: Terra's changelog says") {
		t.Errorf("not compared: %+v", n)
	}
	if live := w.terra.Live(devID).Sources; live["strava"].Credential == nil {
		t.Error("it held Strava")
	}
	w.terra.SetSourceType(devID, terratest.SourceType{Provider: "freestylelibre", DisplayName: "FreeStyle Libre", AuthType: "login", DataTypes: []string{}})
	w.now = w.now.Add(25 * time.Hour)
	if r = w.applied(); !strings.Contains(told(r), "AT may need practice, activation too, which is not confirmed") {
		t.Errorf("warnings:\n%s", told(r))
	}
	if w.terra.Live(devID).Sources["freestylelibre"].State != "active" {
		t.Error("it does not work where Terra offers it")
	}
}

// TestProviderWithoutAFile takes one that only Terra knows, and one that nobody
// does.
func TestProviderWithoutAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.terra.SetSourceType("", terratest.SourceType{Provider: "sock_monitor", DisplayName: "Sock Monitor", AuthType: "oauth2",
		DataTypes: []string{}, CustomCredentialsAllowed: true, CustomerCredentialsRequired: true})
	w.own("sock_monitor", "left-sock", secretA, "")
	w.strava(secretA, "")
	r := w.applied()
	if want := "production/sock_monitor: our catalogue does not hold sock_monitor: only Terra's own description of it is used"; !strings.Contains(told(r), want) {
		t.Errorf("warnings lack %q:\n%s", want, told(r))
	}
	live := w.terra.Live(devID).Sources["sock_monitor"]
	if live.Credential == nil || live.Credential.ClientID != "left-sock" || live.Credential.Secret != secretA {
		t.Errorf("live = %+v", live)
	}
	w.own("sock_monitor", "left-sock", "Bearer 0123456789abcdef0123", "") // what holds for every secret holds here too
	r = w.apply()
	if n := r.Environments[0].NotCompared; len(n) != 1 || !strings.Contains(n[0].Reason, "Authorization header") {
		t.Errorf("not compared = %+v", n)
	}
}

// TestProviderThatTerraHasNeverHeardOf is an error of that connection alone, with
// the name that may be meant, and nothing is asked or written about it, until Terra
// offers it.
func TestProviderThatTerraHasNeverHeardOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	for slug, hint := range map[string]string{
		"polarr": "; did you mean `polar`?", "nobody_knows": "",
	} {
		w.own(slug, "left-sock", secretB, "scopes: [a]\ndomain: auth.acme.example\n")
		w.write("production/oura.yaml", "provider: oura\n")
		w.terra.ResetLog()
		r := w.apply()
		n := r.Environments[0].NotCompared
		if want := "production/" + slug + ".yaml:1: Terra offers no provider `" + slug + "` in this environment" + hint; len(n) != 1 || n[0].Reason != want {
			t.Errorf("not compared: %+v, want %s", n, want)
		}
		if r.ExitCode != report.ExitHeld || w.terra.Live(devID).Sources["oura"].State != "active" {
			t.Errorf("exit code %d, or oura was held as well\n%s", r.ExitCode, w.show(r))
		}
		for _, call := range w.terra.Log() {
			if call.Provider == slug {
				t.Errorf("%s: called %s", slug, call.Operation)
			}
		}
		if said := told(r); strings.Contains(said, "warning:") || !strings.Contains(said, "unknown provider `"+slug+"`") {
			t.Errorf("warnings: %s", said)
		}
		delete(w.files, "production/"+slug+".yaml")
	}
	w.write("production/sock_monitor.yaml", "provider: sock_monitor\n")
	w.dryRun()
	w.terra.SetSourceType("", terratest.SourceType{Provider: "sock_monitor", DisplayName: "Sock Monitor", AuthType: "oauth2", DataTypes: []string{}})
	if r := w.apply(); w.terra.Live(devID).Sources["sock_monitor"].State != "active" {
		t.Errorf("what Terra offers since is not seen at once\n%s", w.show(r))
	}
}

// TestVirtuagymByItsOwnNames writes what Virtuagym calls portal name and API key.
func TestVirtuagymByItsOwnNames(t *testing.T) {
	t.Parallel()
	file := func(w *world, key string) {
		w.write("production/virtuagym.yaml", "provider: virtuagym\ncredentials:\n  portal_name: acme-gyms\n  api_key: "+
			w.seal("virtuagym", "client_secret", key, "    "))
	}
	key := strings.Repeat("aZ9", 14)
	w := newWorld(t)
	file(w, key)
	w.applied()
	live := w.terra.Live(devID).Sources["virtuagym"]
	if live.Credential == nil || live.Credential.ClientID != "acme-gyms" || live.Credential.Secret != key {
		t.Errorf("live = %+v", live.Credential)
	}
	file(w, "CS-12345-ACCESS-AbCdEfGhIjKlMnOpQrStUvWxY")
	w.strava(secretA, "")
	r := w.apply()
	n := r.Environments[0].NotCompared
	if len(n) != 1 || !strings.Contains(n[0].Reason, "is a club secret (CS-…-ACCESS-…), not the API key") {
		t.Errorf("not compared = %+v", n)
	}
	if live := w.terra.Live(devID).Sources; live["virtuagym"].Credential.Secret != key || live["strava"].Credential == nil {
		t.Error("a club secret was sent, or held Strava")
	}
}

// TestLiveHostDecidesTheCallbackDomain compares what stands in the portal with
// what Terra shows.
func TestLiveHostDecidesTheCallbackDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.terra.AddEnvironment(devID, terratest.EnvironmentOptions{LegacyHost: true})
	w.strava(secretA, "setup:\n  app: {done: 2026-08-01}\n  callback_domain: {value: access.tryterra.co}\n")
	w.applied()
	if got, want := told(w.dryRun()), `setup.callback_domain is "access.tryterra.co", but Strava must have api.tryterra.co`; !strings.Contains(got, want) {
		t.Errorf("warnings lack %q:\n%s", want, got)
	}
}

// TestDisabledProviderIsLeftInPeace: who has taken the way out is not told of it again.
func TestDisabledProviderIsLeftInPeace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.terra.SetSourceType("", terratest.SourceType{Provider: "fitbit", DisplayName: "Fitbit", AuthType: "oauth2", DataTypes: []string{}, Deprecated: true})
	w.write("production/fitbit.yaml", "provider: fitbit\nstate: disabled\n")
	if r := w.applied(); len(r.Environments[0].Warnings) > 0 {
		t.Errorf("warnings: %s", told(r))
	}
	w.write("production/fitbit.yaml", "provider: fitbit\nstate: paused\n")
	if r := w.dryRun(); !strings.Contains(told(r), "Terra marks fitbit as deprecated") {
		t.Errorf("warnings: %s", told(r))
	}
}

// TestWarningsOfFilesSayTheWordOnce: a report puts it in front of each.
func TestWarningsOfFilesSayTheWordOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/peloton.yaml", "provider: peloton\n")
	r := w.dryRun()
	if got := told(r); !strings.Contains(got, "production/peloton.yaml:1:11: unknown provider") || strings.Contains(got, "warning:") {
		t.Errorf("warnings: %s", got)
	}
}
