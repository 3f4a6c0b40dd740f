package terratest

import (
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// TestReadings holds that every switch is among the readings, each alone, and that it
// changes what a call answers.
func TestReadings(t *testing.T) {
	const keys = `{"client_id":"42","client_secret":"second-secret"}`
	polar := func(s *Server) { s.SetCredential(devID, "polar", Credential{ClientID: "42", Secret: "first-secret"}) }
	chosen := func(s *Server) { polar(s); s.SetAuthVariant(devID, "polar", "standard") }
	get := func(path string) sent { return sent{path: sources + path} }
	put := func(method, path, body string) sent {
		return sent{method: method, path: sources + path, body: body, key: "k"}
	}
	shows := map[string]struct {
		set         func(*Server)
		calls       []sent // the last one shows it
		says, other string
	}{
		"SilentPreviews": {polar, []sent{put("PATCH", "/polar/credentials?dry_run=true", `{"client_id":"42"}`)}, `"would":"noop"`, `"would":"update"`},
		"VariantDecides": {polar, []sent{get("/polar/credentials")}, `"terra_owned":false`, `"terra_owned":true`},
		"StandardStays": {chosen, []sent{put("PATCH", "/polar/credentials", keys), get("/polar/credentials")},
			`"terra_owned":false`, `"terra_owned":true`},
		"ByoNeedsKeys": {func(s *Server) { s.Enable(devID, "polar") }, []sent{put("PATCH", "/polar", `{"auth_variant":"byo"}`)}, `"auth_variant":"byo"`, `"conflict"`},
		"ByoNowhere":   {polar, []sent{put("PATCH", "/polar", `{"auth_variant":"byo"}`)}, `"auth_variant":"byo"`, `"unsupported_operation"`},
		"ByoEverywhere": {func(s *Server) { s.Enable(devID, "strava") }, []sent{put("PATCH", "/strava", `{"auth_variant":"byo"}`)},
			`"unsupported_operation"`, `"auth_variant":"byo"`},
		"ChecksPairs": {func(s *Server) { s.Enable(devID, "strava"); s.AcceptPair("strava", "1", "other") }, []sent{put("PUT", "/strava/credentials", keys)},
			`"has_credentials":true`, `"provider_credentials_rejected"`},
		"RedirectsAhead": {func(s *Server) {
			s.SetDomain(devID, "strava", "auth.example.com")
			s.FailDomain("auth.example.com", "no record")
		}, []sent{put("PUT", "/strava/credentials", strings.TrimSuffix(keys, "}")+`,"redirect_url":"https://auth.example.com/auth/strava"}`)},
			`"validation_failed"`, `"redirect_url":"https://auth.example.com/auth/strava"`},
		"KeepsScopes": {func(s *Server) {
			s.Enable(devID, "strava")
			s.SetScopes(devID, "strava", []string{})
			s.Disable(devID, "strava")
		},
			[]sent{put("PUT", "/strava", ""), get("/strava/scopes")}, `"customised":false`, `"customised":true`},
		"ShowsDisabled": {func(s *Server) { polar(s); s.Disable(devID, "polar") }, []sent{get("/polar/credentials")}, `"not_found"`, `"provider_client_id":"42"`},
		"SharedUnseen": {func(s *Server) {
			s.AddEnvironment("dev-2", EnvironmentOptions{})
			s.SetDomain("dev-2", "strava", "auth.example.com")
		}, []sent{put("PUT", "/strava/domain", `{"hostname":"auth.example.com"}`), get("/strava/domain")}, `"shared":true`, `"not_found"`},
		"Capitals":    {polar, []sent{get("/polar/credentials")}, `"provider":"polar"`, `"provider":"POLAR"`},
		"DefaultHost": {polar, []sent{get("/polar/credentials")}, "access.tryterra.co", "login.terra.example"},
	}
	alone := map[string]Reading{}
	for _, s := range Switches() {
		var reading Reading
		s.Set(&reading)
		v := reflect.ValueOf(reading)
		for i := range v.NumField() {
			if field := v.Type().Field(i).Name; !v.Field(i).IsZero() {
				if _, twice := alone[field]; twice {
					t.Errorf("%s is read twice, also as %q", field, s.Name)
				}
				alone[field] = reading
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(alone)), slices.Sorted(maps.Keys(shows)); !slices.Equal(got, want) {
		t.Fatalf("switches %q, shown %q", got, want)
	}
	if n := reflect.TypeFor[Reading]().NumField(); n != len(alone) || len(Switches()) != n {
		t.Errorf("%d switches, %d readings of %d", n, len(Switches()), len(alone))
	}
	for field, c := range shows {
		t.Run(field, func(t *testing.T) {
			for reading, want := range map[Reading]string{{}: c.says, alone[field]: c.other} {
				s := scene(t, Config{Reading: reading})
				c.set(s)
				body := ""
				for _, call := range c.calls {
					body = do(t, s, call).body
				}
				if !strings.Contains(body, want) {
					t.Errorf("%+v: %s, want %s", reading, body, want)
				}
			}
		})
	}
}

// TestSeveralGarminApps: Terra manages the rows of every saved app. An apply that fails
// half way names those it wrote, and the next review shows what is left.
func TestSeveralGarminApps(t *testing.T) {
	client, s := meet(t, Config{})
	ownGarmin(s)
	s.AddGarminApp(devID, "43")
	s.AddGarminApp(devID, "44")
	rows, err := client.GetWebhookEndpoints(t.Context(), devID, "garmin")
	if err != nil || len(rows.Entries) != 30 {
		t.Fatalf("%d rows, %v; want 30 of three apps", len(rows.Entries), err)
	}
	s.FailWebhookApply(2)
	apply := func(fingerprint string) (terra.AppliedWebhookEndpoints, error) {
		return client.ApplyWebhookEndpoints(t.Context(), devID, "garmin", terra.WebhookApply{Fingerprint: fingerprint}, terra.NewIdempotencyKey())
	}
	s.ResetLog()
	_, err = apply(rows.Fingerprint)
	var p *terra.Problem
	if !errors.As(err, &p) || !slices.Equal(p.AppliedAppIDs, []string{"42", "43"}) || len(s.Log()) != 1 {
		t.Errorf("%v after %d calls; want one that names two apps", err, len(s.Log()))
	}
	left, err := client.GetWebhookEndpoints(t.Context(), devID, "garmin")
	if err != nil || left.Fingerprint == rows.Fingerprint || !left.Locked {
		t.Fatalf("%+v, %v", left, err)
	}
	for _, e := range left.Entries {
		if (e.Action == "ok") != (e.AppID != "44") {
			t.Errorf("app %s, row %s: %s", e.AppID, e.ID, e.Action)
		}
	}
	if live := s.Live(devID).Sources["garmin"]; len(live.Webhooks) != 10 || len(live.MoreWebhooks) != 1 {
		t.Errorf("rows of %d more apps", len(live.MoreWebhooks))
	}
}

// TestProblemsAreAboutBlank: their type says nothing, and their instance is the path.
func TestProblemsAreAboutBlank(t *testing.T) {
	s := scene(t, Config{})
	g := do(t, s, sent{path: sources + "/nike/credentials"})
	wantStatus(t, g, http.StatusBadRequest, "validation_failed")
	if !strings.Contains(g.body, `"type":"about:blank"`) || !strings.Contains(g.body, `"instance":"/api/v3/admin`+sources+`/nike/credentials"`) {
		t.Errorf("problem: %s", g.body)
	}
}
