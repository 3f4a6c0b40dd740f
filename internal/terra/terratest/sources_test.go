package terratest

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

func TestSourceMutations(t *testing.T) {
	enabled := func(s *Server) { s.Enable(devID, "strava") }
	off := func(s *Server) { enabled(s); s.Disable(devID, "strava") }
	polar := func(s *Server) { s.SetCredential(devID, "polar", Credential{ClientID: "id", Secret: "secret"}) }
	runMutations(t, []mutation{
		{name: "enable", method: "PUT", path: "/strava", status: 200, would: "enable"},
		{name: "enable in another case", method: "PUT", path: "/StravA", status: 200, would: "enable"},
		{name: "enable again", set: enabled, method: "PUT", path: "/strava", status: 200, would: "noop"},
		{name: "enable a paused one", set: func(s *Server) { s.Pause(devID, "strava") }, method: "PUT", path: "/strava", status: 200, would: "resume"},
		{name: "enable a disabled one", set: off, method: "PUT", path: "/strava", status: 200, would: "enable"},
		{
			name: "enable an unknown one", method: "PUT", path: "/nike", status: 400, code: "validation_failed",
			errors: []string{`provider: unknown provider "nike"`},
		},
		{name: "enable a deprecated one", method: "PUT", path: "/fitbit", status: 422, code: "unsupported_operation"},
		{
			name: "enable a deprecated one with preview access", method: "PUT", path: "/fitbit", status: 200, would: "enable",
			set: func(s *Server) { s.AddEnvironment(devID, EnvironmentOptions{Preview: []string{"fitbit"}}) },
		},
		{
			name: "enable with a body", method: "PUT", path: "/strava", body: "{}", status: 400, code: "validation_failed",
			errors: []string{"body: this operation takes none"},
		},
		{name: "pause", set: enabled, method: "PATCH", path: "/strava", body: `{"active":false}`, status: 200, would: "pause"},
		{name: "pause a deprecated one", set: func(s *Server) { s.Enable(devID, "fitbit") }, method: "PATCH", path: "/fitbit", body: `{"active":false}`, status: 200, would: "pause"},
		{name: "pause again", set: func(s *Server) { s.Pause(devID, "strava") }, method: "PATCH", path: "/strava", body: `{"active":false}`, status: 200, would: "noop"},
		{name: "resume", set: func(s *Server) { s.Pause(devID, "strava") }, method: "PATCH", path: "/strava", body: `{"active":true}`, status: 200, would: "resume"},
		{name: "resume a deprecated one", set: func(s *Server) { s.Pause(devID, "fitbit") }, method: "PATCH", path: "/fitbit", body: `{"active":true}`, status: 422, code: "unsupported_operation"},
		{name: "set the value it has", set: enabled, method: "PATCH", path: "/strava", body: `{"active":true}`, status: 200, would: "noop"},
		{name: "patch one that is not enabled", method: "PATCH", path: "/strava", body: `{"active":true}`, status: 404, code: "not_found"},
		{name: "patch a disabled one", set: off, method: "PATCH", path: "/strava", body: `{"active":true}`, status: 404, code: "not_found"},
		{name: "patch nothing", set: enabled, method: "PATCH", path: "/strava", body: `{}`, status: 400, code: "validation_failed", errors: []string{"body: at least one field is needed"}},
		{name: "patch an unknown field", set: enabled, method: "PATCH", path: "/strava", body: `{"activ":true}`, status: 400, code: "validation_failed", errors: []string{"activ: unknown field"}},
		{name: "patch null", set: enabled, method: "PATCH", path: "/strava", body: `{"active":null}`, status: 400, code: "validation_failed", errors: []string{"active: must be true or false"}},
		{name: "patch an unknown variant", set: enabled, method: "PATCH", path: "/strava", body: `{"auth_variant":"mine"}`, status: 400, code: "validation_failed", errors: []string{"auth_variant: must be standard or byo"}},
		{name: "own app where there is no choice", set: enabled, method: "PATCH", path: "/strava", body: `{"auth_variant":"byo"}`, status: 422, code: "unsupported_operation"},
		{name: "own app", set: polar, method: "PATCH", path: "/polar", body: `{"auth_variant":"byo"}`, status: 200, would: "update"},
		{name: "own app while paused", set: func(s *Server) { polar(s); s.Pause(devID, "polar") }, method: "PATCH", path: "/polar", body: `{"auth_variant":"byo","active":true}`, status: 200, would: "resume"},
		{name: "own app without keys", set: func(s *Server) { s.Enable(devID, "polar") }, method: "PATCH", path: "/polar", body: `{"auth_variant":"byo"}`, status: 200, would: "update"},
		{name: "Terra's app", set: func(s *Server) { polar(s); s.SetAuthVariant(devID, "polar", "byo") }, method: "PATCH", path: "/polar", body: `{"auth_variant":"standard"}`, status: 200, would: "update"},
		{name: "disable", set: enabled, method: "DELETE", path: "/strava", status: 204, would: "disable"},
		{name: "disable one that is not enabled", method: "DELETE", path: "/strava", status: 404, code: "not_found"},
		{name: "disable an unknown one", method: "DELETE", path: "/nike", status: 400, code: "validation_failed", errors: []string{`provider: unknown provider "nike"`}},
	})
}

func TestBatchMutations(t *testing.T) {
	two := func(s *Server) { s.Enable(devID, "strava"); s.Pause(devID, "whoop") }
	many := func(n int) string {
		list := slices.Repeat([]string{"strava"}, n)
		b, _ := json.Marshal(map[string][]string{"providers": list})
		return string(b)
	}
	const enable, disable = "/batch-enable", "/batch-disable"
	runMutations(t, []mutation{
		{name: "enable", method: "POST", path: enable, body: `{"providers":["Whoop","strava"]}`, status: 200, would: "enable"},
		{name: "enable a paused one", set: two, method: "POST", path: enable, body: `{"providers":["strava","whoop"]}`, status: 200, would: "enable"},
		{name: "enable again", set: func(s *Server) { s.Enable(devID, "strava") }, method: "POST", path: enable, body: `{"providers":["strava"]}`, status: 200, would: "noop"},
		{
			name: "enable unknown and repeated ones", method: "POST", path: enable, body: `{"providers":["strava","nike","STRAVA"]}`,
			status: 400, code: "validation_failed",
			errors: []string{`providers[1]: unknown provider "nike"`, "providers[2]: repeated provider strava"},
		},
		{
			name: "enable a deprecated one", method: "POST", path: enable, body: `{"providers":["strava","fitbit"]}`,
			status: 422, code: "unsupported_operation", errors: []string{"providers[1]: The provider fitbit is deprecated."},
		},
		{name: "enable none", method: "POST", path: enable, body: `{"providers":[]}`, status: 400, code: "validation_failed", errors: []string{"providers: must name 1 to 100 providers"}},
		{name: "enable too many", method: "POST", path: enable, body: many(101), status: 400, code: "validation_failed", errors: []string{"providers: must name 1 to 100 providers"}},
		{name: "enable numbers", method: "POST", path: enable, body: `{"providers":[1]}`, status: 400, code: "validation_failed", errors: []string{"providers: must be a list of strings"}},
		{name: "enable null", method: "POST", path: enable, body: `{"providers":[null]}`, status: 400, code: "validation_failed", errors: []string{"providers: must be a list of strings"}},
		{name: "disable", set: two, method: "POST", path: disable, body: `{"providers":["strava","whoop"]}`, status: 204, would: "disable"},
		{
			name: "disable one that is not enabled", set: two, method: "POST", path: disable, body: `{"providers":["strava","polar"]}`,
			status: 404, code: "not_found", errors: []string{"providers[1]: polar is not enabled"},
		},
		{
			name: "disable repeated ones", set: two, method: "POST", path: disable, body: `{"providers":["strava","strava"]}`,
			status: 400, code: "validation_failed", errors: []string{"providers[1]: repeated provider strava"},
		},
	})
}

func TestSourcesReadBack(t *testing.T) {
	s := scene(t, Config{Seed: 7})
	for _, p := range []string{"strava", "whoop", "polar", "samsung", "garmin", "huawei"} {
		s.Enable(devID, p)
	}
	s.Pause(devID, "whoop")
	s.Disable(devID, "polar")
	order := map[string]bool{}
	for range 20 {
		var list struct{ Data []terra.Source }
		do(t, s, sent{path: sources}).into(t, &list)
		names := ""
		for _, src := range list.Data {
			names += src.Provider + " "
			if src.Active != (src.Provider != "whoop") {
				t.Errorf("%s: got active %v", src.Provider, src.Active)
			}
			if hasRedirect := src.AuthRedirectURL != nil; hasRedirect != (src.Provider != "samsung") {
				t.Errorf("%s: got redirect %v", src.Provider, src.AuthRedirectURL)
			}
		}
		if len(list.Data) != 5 {
			t.Fatalf("got %s, want 5 sources", names)
		}
		order[names] = true
	}
	if len(order) < 2 {
		t.Error("the list came in the same order 20 times")
	}
}

func TestDisabledSourceComesBackWithItsCredentials(t *testing.T) {
	s := scene(t, Config{})
	want := Credential{ClientID: "42", Secret: "first-secret", Verification: "verify"}
	s.SetCredential(devID, "strava", want)
	s.SetScopes(devID, "strava", []string{"activity:read_all"})
	wantStatus(t, do(t, s, sent{method: "DELETE", path: sources + "/strava", key: "1"}), http.StatusNoContent, "")
	for _, sub := range []string{"", "/credentials", "/scopes", "/domain"} {
		method := http.MethodGet
		if sub == "" {
			method = http.MethodDelete
		}
		wantStatus(t, do(t, s, sent{method: method, path: sources + "/strava" + sub}), http.StatusNotFound, "not_found")
	}
	wantStatus(t, do(t, s, sent{method: "PUT", path: sources + "/strava", key: "2"}), http.StatusOK, "")
	live := s.Live(devID).Sources["strava"]
	if *live.Credential != want || live.State != "active" {
		t.Errorf("got %+v %s, want the old credentials", *live.Credential, live.State)
	}
	if live.Scopes != nil {
		t.Errorf("got scopes %v, want no choice", live.Scopes)
	}
}

func TestLegacyHost(t *testing.T) {
	s := scene(t, Config{})
	s.AddEnvironment(devID, EnvironmentOptions{LegacyHost: true})
	s.Enable(devID, "huawei")
	var list struct{ Data []terra.Source }
	do(t, s, sent{path: sources}).into(t, &list)
	if got, want := *list.Data[0].AuthRedirectURL, "https://api.tryterra.co/v2/auth/huawei/oauth2"; got != want {
		t.Errorf("redirect: got %s, want %s", got, want)
	}
}

func TestSourceTypes(t *testing.T) {
	s := scene(t, Config{})
	s.AddEnvironment("dev-2", EnvironmentOptions{})
	own := SourceType{Provider: "own", DisplayName: "Own", Icon: "i", AuthType: "oauth2", DataTypes: []string{"body"}}
	s.SetSourceType("dev-2", own)
	s.SetSourceType("", SourceType{Provider: "strava", DisplayName: "Everywhere", Icon: "i", AuthType: "oauth2", DataTypes: []string{}})
	for id, wantOwn := range map[string]bool{devID: false, "dev-2": true} {
		var list struct{ Data []terra.SourceType }
		do(t, s, sent{path: "/environments/" + id + "/unified-api/source-types"}).into(t, &list)
		names := map[string]string{}
		for _, st := range list.Data {
			names[st.Provider] = st.DisplayName
		}
		if _, there := names["own"]; there != wantOwn || names["strava"] != "Everywhere" || names["whoop"] != "WHOOP" {
			t.Errorf("%s: got %v", id, names)
		}
		if status := do(t, s, sent{method: "PUT", path: "/environments/" + id + "/unified-api/sources/own"}).status; (status == 200) != wantOwn {
			t.Errorf("%s: enable own: got %d", id, status)
		}
	}
}
