package terratest

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

func TestScopeMutations(t *testing.T) {
	enabled := func(s *Server) { s.Enable(devID, "strava") }
	chosen := func(s *Server) { enabled(s); s.SetScopes(devID, "strava", []string{"activity:read_all"}) }
	const path = "/strava/scopes"
	runMutations(t, []mutation{
		{name: "choose", set: enabled, method: "PUT", path: path, body: `{"scopes":["activity:read_all"]}`, status: 200, would: "replace"},
		{name: "choose the default", set: enabled, method: "PUT", path: path, body: `{"scopes":["activity:read"]}`, status: 200, would: "replace"},
		{name: "choose none", set: chosen, method: "PUT", path: path, body: `{"scopes":[]}`, status: 200, would: "replace"},
		{name: "choose the same, naming a required one", set: chosen, method: "PUT", path: path, body: `{"scopes":["read","activity:read_all"]}`, status: 200, would: "noop"},
		{
			name: "choose unknown ones", set: chosen, method: "PUT", path: path, body: `{"scopes":["write","activity:read_all","READ"]}`, status: 400, code: "validation_failed",
			errors: []string{`scopes: strava does not accept "write"`, `scopes: strava does not accept "READ"`},
		},
		{name: "choose twice", set: chosen, method: "PUT", path: path, body: `{"scopes":["read","read"]}`, status: 400, code: "validation_failed", errors: []string{"scopes: read is there twice"}},
		{name: "choose without a list", set: chosen, method: "PUT", path: path, body: `{}`, status: 400, code: "validation_failed", errors: []string{"scopes: is required"}},
		{name: "choose where there is no choice", set: func(s *Server) { s.Enable(devID, "samsung") }, method: "PUT", path: "/samsung/scopes", body: `{"scopes":[]}`, status: 200, would: "replace"},
		{name: "choose what a provider without scopes has not", set: func(s *Server) { s.Enable(devID, "samsung") }, method: "PUT", path: "/samsung/scopes", body: `{"scopes":["x"]}`, status: 400, code: "validation_failed", errors: []string{`scopes: samsung does not accept "x"`}},
		{name: "choose while not enabled", method: "PUT", path: path, body: `{"scopes":[]}`, status: 404, code: "not_found"},
		{name: "reset", set: chosen, method: "DELETE", path: path, status: 204, would: "reset"},
		{name: "reset nothing", set: enabled, method: "DELETE", path: path, status: 204, would: "noop"},
		{name: "reset while not enabled", method: "DELETE", path: path, status: 404, code: "not_found"},
	})
}

func TestScopesReadBack(t *testing.T) {
	s := scene(t, Config{})
	s.Enable(devID, "strava")
	read := func() (bool, map[string]bool) {
		var view terra.SourceScopes
		do(t, s, sent{path: sources + "/strava/scopes"}).into(t, &view)
		on := map[string]bool{}
		for _, scope := range view.Scopes {
			on[scope.Scope] = scope.Enabled
		}
		return view.Customised, on
	}
	want := map[string]bool{"read": true, "activity:read": true, "activity:read_all": false, "profile:read_all": false, "activity:write": false}
	if customised, on := read(); customised || !cmp.Equal(want, on) {
		t.Errorf("default: got customised %v, %v", customised, on)
	}
	do(t, s, sent{method: "PUT", path: sources + "/strava/scopes", body: `{"scopes":["profile:read_all"]}`})
	want = map[string]bool{"read": true, "activity:read": false, "activity:read_all": false, "profile:read_all": true, "activity:write": false}
	if customised, on := read(); !customised || !cmp.Equal(want, on) {
		t.Errorf("chosen: got customised %v, %v", customised, on)
	}
}

func TestDomainMutations(t *testing.T) {
	enabled := func(s *Server) { s.Enable(devID, "strava") }
	has := func(s *Server) { s.SetDomain(devID, "strava", "old.example.com") }
	used := func(s *Server) {
		has(s)
		s.SetCredential(devID, "strava", Credential{ClientID: "42", Secret: "x", RedirectURL: "https://old.example.com/auth"})
	}
	usedElsewhere := func(s *Server) {
		has(s)
		s.AddEnvironment("dev-2", EnvironmentOptions{})
		s.SetDomain("dev-2", "strava", "old.example.com")
		s.SetCredential("dev-2", "strava", Credential{ClientID: "42", Secret: "x", RedirectURL: "https://old.example.com/auth"})
	}
	shares := func(s *Server) {
		s.AddEnvironment("dev-2", EnvironmentOptions{})
		s.SetDomain("dev-2", "strava", "old.example.com")
		used(s)
	}
	webhooked := func(s *Server) {
		ownGarmin(s)
		s.SetWebhookRow("42", "sleepsUrl", WebhookRow{URL: "https://garmin.example.com/hooks/garmin/push/sleeps", Enabled: true, UploadType: "push"})
	}
	const path, claim = "/strava/domain", `{"hostname":"auth.example.com"}`
	runMutations(t, []mutation{
		{name: "claim", set: enabled, method: "PUT", path: path, body: claim, status: 201, would: "claim"},
		{name: "claim again", set: has, method: "PUT", path: path, body: `{"hostname":"old.example.com"}`, status: 200, would: "noop"},
		{
			name: "share", method: "PUT", path: path, body: claim, status: 200, would: "claim",
			set: func(s *Server) {
				enabled(s)
				s.AddEnvironment("dev-2", EnvironmentOptions{})
				s.SetDomain("dev-2", "strava", "auth.example.com")
			},
		},
		{name: "another provider's", set: func(s *Server) { enabled(s); s.SetDomain(devID, "whoop", "auth.example.com") }, method: "PUT", path: path, body: claim, status: 409, code: "conflict"},
		{name: "another account's", set: func(s *Server) { enabled(s); s.TakeHostname("auth.example.com") }, method: "PUT", path: path, body: claim, status: 409, code: "conflict"},
		{name: "replace", set: has, method: "PUT", path: path, body: claim, status: 201, would: "replace"},
		{name: "replace one under the own redirect", set: used, method: "PUT", path: path, body: claim, status: 201, would: "replace"},
		{name: "replace one that another environment uses", set: usedElsewhere, method: "PUT", path: path, body: claim, status: 409, code: "conflict"},
		{name: "release one that another environment uses", set: usedElsewhere, method: "DELETE", path: path, status: 409, code: "conflict"},
		{name: "Terra's own", set: enabled, method: "PUT", path: path, body: `{"hostname":"access.tryterra.co"}`, status: 400, code: "validation_failed", errors: []string{"hostname: is Terra's own"}},
		{name: "not a hostname", set: enabled, method: "PUT", path: path, body: `{"hostname":"https://auth.example.com"}`, status: 400, code: "validation_failed", errors: []string{"hostname: must be a full hostname in lower case"}},
		{name: "no hostname", set: enabled, method: "PUT", path: path, body: `{}`, status: 400, code: "validation_failed", errors: []string{"hostname: is required"}},
		{name: "empty hostname", set: enabled, method: "PUT", path: path, body: `{"hostname":""}`, status: 400, code: "validation_failed", errors: []string{"hostname: must not be empty"}},
		{name: "provider without domains", set: func(s *Server) { s.Enable(devID, "polar") }, method: "PUT", path: "/polar/domain", body: claim, status: 422, code: "unsupported_operation"},
		{name: "not enabled", method: "PUT", path: path, body: claim, status: 201, would: "claim"},
		{name: "not enabled, release", set: func(s *Server) { has(s); s.Disable(devID, "strava") }, method: "DELETE", path: path, status: 204, would: "release"},
		{name: "release", set: has, method: "DELETE", path: path, status: 204, would: "release"},
		{name: "release nothing", set: enabled, method: "DELETE", path: path, status: 204, would: "noop"},
		{name: "release one under the own redirect", set: used, method: "DELETE", path: path, status: 204, would: "release"},
		{name: "release a shared one", set: shares, method: "DELETE", path: path, status: 204, would: "noop"},
		{name: "replace a shared one", set: shares, method: "PUT", path: path, body: claim, status: 201, would: "replace"},
		{name: "release under Garmin's webhooks", set: webhooked, method: "DELETE", path: "/garmin/domain", status: 409, code: "conflict"},
		{name: "replace under Garmin's webhooks", set: webhooked, method: "PUT", path: "/garmin/domain", body: claim, status: 409, code: "conflict"},
		{name: "release while Garmin is away", set: func(s *Server) { ownGarmin(s); s.SetReachable("garmin", false) }, method: "DELETE", path: "/garmin/domain", status: 503, code: "dependency_failed"},
		{name: "release of a provider without domains", set: func(s *Server) { s.Enable(devID, "polar") }, method: "DELETE", path: "/polar/domain", status: 422, code: "unsupported_operation"},
	})
}

func TestDomainLifecycle(t *testing.T) {
	s := scene(t, Config{})
	s.Enable(devID, "whoop")
	read := func() (d terra.SourceDomain) {
		g := do(t, s, sent{path: sources + "/whoop/domain"})
		if g.status != http.StatusOK {
			t.Fatalf("got %d %s", g.status, g.body)
		}
		g.into(t, &d)
		return d
	}
	wantStatus(t, do(t, s, sent{path: sources + "/whoop/domain"}), http.StatusNotFound, "not_found")
	do(t, s, sent{method: "PUT", path: sources + "/whoop/domain", body: `{"hostname":"whoop.example.com"}`})
	if d := read(); d.State != "PROVISIONING" || d.Serving || d.ResolvedIP != nil || *d.Reason != "dns_pending" {
		t.Errorf("claimed: got %+v", d)
	}
	s.PublishDNS("whoop.example.com")
	if d := read(); d.State != "PROVISIONING" || d.Serving || *d.ResolvedIP != d.DNSRecord.Value || *d.Reason != "certificate_pending" {
		t.Errorf("published: got %+v", d)
	}
	s.Serve("whoop.example.com")
	if d := read(); d.State != "ACTIVE" || !d.Serving || d.ExpiresAt == nil || d.Reason != nil || d.RedirectServed {
		t.Errorf("served: got %+v", d)
	}
	s.SetCredential(devID, "whoop", Credential{ClientID: "42", Secret: "x", RedirectURL: "https://whoop.example.com/auth/whoop/oauth2"})
	if d := read(); !d.RedirectServed || d.Shared {
		t.Errorf("with the redirect on it: got %+v", d)
	}
	s.FailDomain("whoop.example.com", "the record is gone")
	if d := read(); d.State != "FAILED" || d.Serving || *d.Detail != "the record is gone" {
		t.Errorf("failed: got %+v", d)
	}
	do(t, s, sent{method: "DELETE", path: sources + "/whoop/domain"})
	wantStatus(t, do(t, s, sent{path: sources + "/whoop/domain"}), http.StatusNotFound, "not_found")
}

func TestDomainServesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scene(t, Config{DomainDelay: time.Minute})
		s.Enable(devID, "whoop")
		do(t, s, sent{method: "PUT", path: sources + "/whoop/domain", body: `{"hostname":"whoop.example.com"}`})
		time.Sleep(time.Minute - time.Nanosecond)
		if s.Live(devID).Sources["whoop"].DomainServes {
			t.Error("it serves too early")
		}
		time.Sleep(time.Nanosecond)
		if live := s.Live(devID).Sources["whoop"]; !live.DomainServes || live.DomainState != "ACTIVE" {
			t.Errorf("got %+v, want it to serve", live)
		}
	})
}

func ownGarmin(s *Server) {
	s.SetDomain(devID, "garmin", "garmin.example.com")
	s.SetCredential(devID, "garmin", Credential{ClientID: "42", Secret: "secret", RedirectURL: "https://garmin.example.com/auth/garmin/oauth2"})
}

func review(t *testing.T, s *Server) (v terra.WebhookEndpoints, etag string) {
	t.Helper()
	g := do(t, s, sent{path: sources + "/garmin/webhook-endpoints"})
	wantStatus(t, g, http.StatusOK, "")
	g.into(t, &v)
	return v, g.header.Get("ETag")
}

func TestWebhookEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scene(t, Config{})
		ownGarmin(s)
		s.SetWebhookRow("42", "dailiesUrl", WebhookRow{URL: "https://else.example.com/x", Enabled: true, UploadType: "push"})
		s.SetWebhookRow("42", "sleepsUrl", WebhookRow{URL: "https://garmin.example.com/hooks/garmin/push/sleeps", Enabled: true, UploadType: "ping"})
		s.SetWebhookRow("42", "epochsUrl", WebhookRow{URL: "https://garmin.example.com/hooks/garmin/push/epochs", UploadType: "push"})
		s.SetWebhookRow("42", "pulseoxUrl", WebhookRow{URL: "https://garmin.example.com/hooks/garmin/push/pulseox", Enabled: true, UploadType: "push"})
		v, etag := review(t, s)
		if etag != `"`+v.Fingerprint+`"` || !v.HasExisting || v.Locked || v.Host != "garmin.example.com" {
			t.Errorf("review: got ETag %s, %+v", etag, v)
		}
		want := map[string]string{"dailiesUrl": "restore", "sleepsUrl": "retype", "epochsUrl": "enable", "pulseoxUrl": "ok", "activitiesUrl": "set"}
		for _, e := range v.Entries {
			if action, ok := want[e.ID]; ok && e.Action != action {
				t.Errorf("%s: got action %s, want %s", e.ID, e.Action, action)
			}
		}
		apply := func(body, match string) got {
			header := http.Header{}
			if match != "" {
				header.Set("If-Match", match)
			}
			return do(t, s, sent{method: "POST", path: sources + "/garmin/webhook-endpoints/apply", body: body, header: header})
		}
		wantStatus(t, apply(`{}`, ""), 400, "validation_failed")
		wantStatus(t, apply(`{"fingerprint":"old","acknowledge_replacing_existing":true}`, ""), 412, "precondition_failed")
		wantStatus(t, apply(`{"fingerprint":"old"}`, etag), 400, "validation_failed")
		wantStatus(t, apply(`{"acknowledge_replacing_existing":false}`, etag), 400, "validation_failed")
		g := apply(`{"acknowledge_replacing_existing":true}`, etag)
		wantStatus(t, g, http.StatusAccepted, "")
		var applied terra.AppliedWebhookEndpoints
		g.into(t, &applied)
		if d := cmp.Diff([]string{"42"}, applied.AppliedAppIDs); d != "" {
			t.Errorf("applied (-want +got):\n%s", d)
		}
		after, etag := review(t, s)
		if !after.Locked || after.HasExisting || etag == `"`+v.Fingerprint+`"` {
			t.Errorf("after: got %+v", after)
		}
		wantStatus(t, apply(`{}`, etag), 409, "not_ready")
		time.Sleep(3 * time.Minute)
		wantStatus(t, apply(`{}`, etag), http.StatusOK, "")
		if n := len(s.Effects()); n != 1 {
			t.Errorf("got %d effects, want 1", n)
		}
		if row := s.Live(devID).Sources["garmin"].Webhooks["dailiesUrl"]; row.URL != "https://garmin.example.com/hooks/garmin/push/dailies" {
			t.Errorf("row: got %+v", row)
		}
		s.LockWebhooks("42")
		wantStatus(t, apply(`{}`, etag), 409, "not_ready")
	})
}

func TestWebhookRefusals(t *testing.T) {
	for _, c := range []struct {
		name, provider, code string
		status               int
		set                  func(*Server)
	}{
		{"another provider", "strava", "unsupported_operation", 422, func(s *Server) { s.Enable(devID, "strava") }},
		{"unknown provider", "nike", "validation_failed", 400, func(*Server) {}},
		{"not enabled", "garmin", "not_found", 404, func(*Server) {}},
		{"no keys", "garmin", "not_found", 404, func(s *Server) { s.Enable(devID, "garmin") }},
		{"redirect on Terra", "garmin", "unsupported_operation", 422, func(s *Server) {
			s.SetCredential(devID, "garmin", Credential{ClientID: "42", Secret: "secret"})
		}},
		{"domain does not serve", "garmin", "unsupported_operation", 422, func(s *Server) { ownGarmin(s); s.FailDomain("garmin.example.com", "gone") }},
		{"keys rejected", "garmin", "provider_credentials_rejected", 422, func(s *Server) { ownGarmin(s); s.RejectPair("garmin", "42", "secret") }},
		{"Garmin unreachable", "garmin", "dependency_failed", 503, func(s *Server) { ownGarmin(s); s.SetReachable("garmin", false) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scene(t, Config{})
			c.set(s)
			base := sources + "/" + c.provider + "/webhook-endpoints"
			wantStatus(t, do(t, s, sent{path: base}), c.status, c.code)
			wantStatus(t, do(t, s, sent{method: "POST", path: base + "/apply", body: `{"fingerprint":"x"}`}), c.status, c.code)
			wantStatus(t, do(t, s, sent{method: "POST", path: base + "/apply?dry_run=true", body: `{"fingerprint":"x"}`}), c.status, c.code)
		})
	}
}

// A hostname belongs to the environment that set it up. Others may use it for the same
// provider, see it as shared and never release it.
func TestSharedDomain(t *testing.T) {
	first := scene(t, Config{})
	first.AddEnvironment("dev-2", EnvironmentOptions{})
	first.SetDomain(devID, "strava", "auth.example.com")
	s := scene(t, Config{})
	if err := s.Load(strings.NewReader(save(t, first))); err != nil {
		t.Fatal(err)
	}
	path := func(devID, provider string) string {
		return "/environments/" + devID + "/unified-api/sources/" + provider + "/domain"
	}
	shared := func(devID string) bool {
		var d terra.SourceDomain
		do(t, s, sent{path: path(devID, "strava")}).into(t, &d)
		return d.Shared
	}
	wantStatus(t, do(t, s, sent{path: path("dev-2", "strava")}), 404, "not_found")
	s.SetCredential("dev-2", "strava", Credential{ClientID: "42", Secret: "x", RedirectURL: "https://auth.example.com/auth/strava"})
	if shared(devID) || !shared("dev-2") {
		t.Error("want it shared for the one whose redirect is on it, not for the one that set it up")
	}
	const claim = `{"hostname":"auth.example.com"}`
	wantStatus(t, do(t, s, sent{method: "PUT", path: path("dev-2", "strava"), body: claim}), 200, "")
	wantStatus(t, do(t, s, sent{method: "PUT", path: path(devID, "whoop"), body: claim}), 409, "conflict")
	wantStatus(t, do(t, s, sent{method: "DELETE", path: path("dev-2", "strava"), key: "1"}), 204, "")
	wantStatus(t, do(t, s, sent{method: "DELETE", path: path(devID, "strava"), key: "2"}), 409, "conflict")
	s.SetCredential("dev-2", "strava", Credential{ClientID: "42", Secret: "x"})
	wantStatus(t, do(t, s, sent{method: "DELETE", path: path(devID, "strava"), key: "3"}), 204, "")
	wantStatus(t, do(t, s, sent{path: path("dev-2", "strava")}), 404, "not_found")
	wantStatus(t, do(t, s, sent{method: "PUT", path: path(devID, "whoop"), body: claim}), 201, "")
}
