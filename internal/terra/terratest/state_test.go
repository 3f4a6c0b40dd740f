package terratest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// full has something of everything in its state.
func full(t *testing.T) *Server {
	t.Helper()
	s := scene(t, Config{Clock: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }})
	s.AddToken(Token{Name: "limited", DevIDs: []string{devID}, ExpiresAt: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)})
	s.AddEnvironment("dev-2", EnvironmentOptions{Name: "Two", LegacyHost: true, Preview: []string{"fitbit"}})
	ownStrava(s)
	ownGarmin(s)
	reference(s)
	s.SetScopes(devID, "strava", []string{"activity:read_all"})
	s.SetUsers(devID, "strava", 12, 3)
	s.Pause("dev-2", "whoop")
	s.SetSourceType("dev-2", SourceType{Provider: "own", DisplayName: "Own", Icon: "i", AuthType: "oauth2", DataTypes: []string{}})
	s.SetSourceType("", SourceType{Provider: "samsung", DisplayName: "S", Icon: "i", AuthType: "sdk", DataTypes: []string{}, Deprecated: true})
	s.SetWebhookRow("42", "dailiesUrl", WebhookRow{URL: "https://else.example.com"})
	s.AcceptPair("garmin", "42", "secret")
	s.TakeHostname("taken.example.com")
	s.AddNotice("listSources", "hello")
	wantStatus(t, do(t, s, sent{method: "PUT", path: sources + "/polar", key: "k"}), 200, "")
	return s
}

func save(t *testing.T, s *Server) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStateSurvives(t *testing.T) {
	before := full(t)
	text := save(t, before)
	after := scene(t, Config{})
	if err := after.Load(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(text, save(t, after)); d != "" {
		t.Errorf("second save (-first +second):\n%s", d)
	}
	for _, id := range before.Environments() {
		if d := cmp.Diff(before.Live(id), after.Live(id)); d != "" {
			t.Errorf("%s (-before +after):\n%s", id, d)
		}
	}
	if d := cmp.Diff(before.Tokens(), after.Tokens()); d != "" {
		t.Errorf("tokens (-before +after):\n%s", d)
	}
	after.Disable(devID, "polar")
	do(t, after, sent{method: "PUT", path: sources + "/polar", key: "k"})
	if c := after.Log()[0]; !c.Replayed {
		t.Error("the Idempotency-Key was forgotten")
	}
}

func TestBadStates(t *testing.T) {
	good := save(t, full(t))
	for _, c := range []struct{ name, old, new, want string }{
		{"cut off", "\n}\n", "", "unexpected EOF"},
		{"unknown field", `"version"`, `"edition"`, "unknown field"},
		{"other version", `"version": 1`, `"version": 2`, "version is 2"},
		{"null tokens", `"tokens": {`, `"tokens": null, "notices": {}, "domains": {}, "x": {`, "unknown field"},
		{"environment not listed", `"dev-1",`, ``, "environment_order"},
		{"environment misnamed", `"dev_id": "dev-1"`, `"dev_id": "dev-3"`, `environment "dev-1" is incomplete`},
		{"source state", `"state": "paused"`, `"state": "asleep"`, `unknown state "asleep"`},
		{"source variant", `"auth_variant": "standard"`, `"auth_variant": "mine"`, `unknown auth_variant "mine"`},
		{"domain", `"domain": "garmin.example.com"`, `"domain": "gone.example.com"`, `unknown domain "gone.example.com"`},
		{"users who fell", `"inactive_users": 3`, `"inactive_users": 3, "fallen_users": 4`, "do not add up"},
		{"token lifetime", `"accepted": [`, `"token_lifetime": "-1h", "accepted": [`, `"garmin": token_lifetime is negative`},
		{"unit of a lifetime", `"accepted": [`, `"token_lifetime": "6 hours", "accepted": [`, `duration "6 hours"`},
		{"environment listed twice", `"dev-1",`, `"dev-2",`, "environment_order"},
		{"unknown provider", `"polar": {`, `"nike": {`, `environment "dev-1": unknown provider "nike"`},
		{"provider in upper case", `"polar": {`, `"Polar": {`, `unknown provider "Polar"`},
		{"pairs of an unknown provider", `"provider_pairs": {`, `"provider_pairs": {"nike": {}, `, `provider_pairs: unknown provider "nike"`},
		{"type of another provider", `"provider": "own"`, `"provider": "else"`, `source_types of "own" is about "else"`},
		{"domain of another provider", `"provider": "strava",`, `"provider": "whoop",`, `domain "auth.example.com" is for whoop`},
		{"domain state", `"state": "ACTIVE"`, `"state": "SERVING"`, `unknown state "SERVING"`},
		{"secret beside its reference", `"secret_ref": {`, `"client_secret": "x", "secret_ref": {`, "a secret and a secret_ref"},
		{"notice of an unknown operation", `"listSources": [`, `"listThings": [`, `notices: unknown operation "listThings"`},
		{"kind of a token", `"kind": "admin"`, `"kind": "root"`, `unknown kind "root"`},
		{"token misnamed", `"bearer": "terra_at_test"`, `"bearer": "terra_at_else"`, "a token is incomplete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("the state has no %q", c.old)
			}
			s := full(t)
			err := s.Load(strings.NewReader(strings.Replace(good, c.old, c.new, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v, want %q", err, c.want)
			}
			if d := cmp.Diff(good, save(t, s)); d != "" {
				t.Errorf("the state changed (-want +got):\n%s", d)
			}
		})
	}
	if err := full(t).Load(strings.NewReader(`{"version":1}`)); err == nil || !strings.Contains(err.Error(), "tokens is missing") {
		t.Errorf("an almost empty state: got error %v", err)
	}
}

func TestRevision(t *testing.T) {
	s := scene(t, Config{})
	at := s.Revision()
	do(t, s, sent{path: sources})
	do(t, s, sent{method: "PUT", path: sources + "/strava?dry_run=true"})
	if s.Revision() != at {
		t.Error("reads and dry runs changed the revision")
	}
	do(t, s, sent{method: "PUT", path: sources + "/strava"})
	if s.Revision() == at {
		t.Error("an enable did not change the revision")
	}
}

func TestLogLimit(t *testing.T) {
	s := scene(t, Config{LogLimit: 10})
	for range 95 {
		do(t, s, sent{path: "/me"})
	}
	if n := len(s.Log()); n < 10 || n > 20 {
		t.Errorf("got %d calls in the log, want 10 to 20", n)
	}
}

// The log names what happened and holds no secret.
func TestLog(t *testing.T) {
	s := scene(t, Config{Clock: func() time.Time { return time.Unix(0, 0) }})
	ownStrava(s)
	do(t, s, sent{
		method: "PATCH", path: sources + "/Strava/credentials?dry_run=true", body: `{"client_secret":"x","client_id":"42"}`,
		key: "k", header: map[string][]string{"User-Agent": {"test/1"}},
	})
	do(t, s, sent{method: "POST", path: sources + "/batch-enable", body: `{"providers":["Whoop","strava"]}`})
	want := []Call{
		{
			Time: time.Unix(0, 0).UTC(), Operation: "updateSourceCredentials", Write: true, Method: "PATCH", Path: "/api/v3/admin" + sources + "/Strava/credentials",
			DevID: devID, Provider: "strava", Fields: []string{"client_id", "client_secret"}, DryRun: true, IdempotencyKey: "k",
			TokenID: "token-00000001", UserAgent: "test/1", Status: 200,
		},
		{
			Time: time.Unix(0, 0).UTC(), Operation: "batchEnableSources", Write: true, Method: "POST", Path: "/api/v3/admin" + sources + "/batch-enable",
			DevID: devID, Providers: []string{"whoop", "strava"}, Fields: []string{"providers"}, TokenID: "token-00000001", Status: 200, Effect: true,
		},
	}
	if d := cmp.Diff(want, s.Log()); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
	s.ResetLog()
	if len(s.Log()) != 0 {
		t.Error("the log was not reset")
	}
}

func TestMisusePanics(t *testing.T) {
	for name, f := range map[string]func(*Server){
		"environment": func(s *Server) { s.Enable("dev-9", "strava") },
		"provider":    func(s *Server) { s.Enable(devID, "nike") },
		"domain":      func(s *Server) { s.Serve("nobody.example.com") },
		"row":         func(s *Server) { s.SetWebhookRow("42", "x", WebhookRow{}) },
		"token":       func(s *Server) { s.RevokeToken("x") },
		"fault":       func(s *Server) { s.Fault(Fault{Kind: "x"}) },
		"operation":   func(s *Server) { s.Fault(Fault{Kind: Hang, Operation: "x"}) },
		"lifetime":    func(s *Server) { s.SetTokenLifetime("strava", 0) },
		"live":        func(s *Server) { s.Live("dev-9") },
	} {
		t.Run(name, func(t *testing.T) {
			s := scene(t, Config{})
			defer func() {
				if text, ok := recover().(string); !ok || !strings.HasPrefix(text, "emulator: ") {
					t.Errorf("got panic %q", text)
				}
				s.Log() // the lock is free again
			}()
			f(s)
		})
	}
}
