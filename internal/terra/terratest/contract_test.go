package terratest

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// The judge must see what is wrong, or a green test means nothing.
func TestJudge(t *testing.T) {
	const base = emulator.BasePath
	good := emulator.Exchange{
		Method: "PATCH", Target: base + sources + "/strava/credentials?dry_run=true",
		Header: http.Header{"Authorization": {"Bearer x"}, "Content-Type": {"application/json"}},
		Body:   []byte(`{"client_secret":"x","verification_secret":null}`),
		Status: 200, AnswerHeader: http.Header{"Content-Type": {"application/json"}},
		Answer: []byte(`{"dry_run":true,"would":"noop","preview":{}}`),
	}
	for _, c := range []struct {
		name            string
		edit            func(*emulator.Exchange)
		request, answer bool // whether it must be found wrong
	}{
		{"good", func(*emulator.Exchange) {}, false, false},
		{"unknown field sent", func(e *emulator.Exchange) { e.Body = []byte(`{"secret":"x"}`) }, true, false},
		{"nothing sent", func(e *emulator.Exchange) { e.Body = []byte(`{}`) }, true, false},
		{"wrong type sent", func(e *emulator.Exchange) { e.Body = []byte(`{"sandbox":"yes"}`) }, true, false},
		{"not JSON sent", func(e *emulator.Exchange) { e.Body = []byte(`{`) }, true, false},
		{"no token sent", func(e *emulator.Exchange) { e.Header.Del("Authorization") }, true, false},
		{"dry_run sent badly", func(e *emulator.Exchange) { e.Target = strings.Replace(e.Target, "true", "perhaps", 1) }, true, false},
		{"unknown path", func(e *emulator.Exchange) { e.Target = base + "/nothing" }, true, true},
		{"field missing", func(e *emulator.Exchange) { e.Answer = []byte(`{"dry_run":true,"would":"noop"}`) }, false, true},
		{"dry_run false", func(e *emulator.Exchange) { e.Answer = []byte(`{"dry_run":false,"would":"noop","preview":{}}`) }, false, true},
		{"empty answer", func(e *emulator.Exchange) { e.Answer = nil }, false, true},
		{"answer is a list", func(e *emulator.Exchange) { e.Answer = []byte(`[]`) }, false, true},
		{"problem as plain JSON", func(e *emulator.Exchange) {
			e.Status, e.Answer = 409, []byte(`{"type":"a","title":"b","instance":"c","code":"conflict"}`)
		}, false, true},
		{"problem", func(e *emulator.Exchange) {
			e.Status, e.Answer = 409, []byte(`{"type":"a","title":"b","instance":"c","code":"conflict"}`)
			e.AnswerHeader.Set("Content-Type", "application/problem+json")
		}, false, false},
		{"problem with an unknown code", func(e *emulator.Exchange) {
			e.Status, e.Answer = 409, []byte(`{"type":"a","title":"b","instance":"c","code":"oops"}`)
			e.AnswerHeader.Set("Content-Type", "application/problem+json")
		}, false, true},
		{"204 with a body", func(e *emulator.Exchange) {
			e.Method, e.Target, e.Body = "DELETE", base+sources+"/strava", nil
			e.Header.Del("Content-Type")
			e.Status = 204
		}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := good
			e.Header, e.AnswerHeader = good.Header.Clone(), good.AnswerHeader.Clone()
			c.edit(&e)
			request, answer := sharedContract().Check(e)
			if (len(request) > 0) != c.request || (len(answer) > 0) != c.answer {
				t.Errorf("got request %q, answer %q; want wrong: %v, %v", request, answer, c.request, c.answer)
			}
		})
	}
}

// A violation names what is wrong and quotes no value.
func TestViolationsHoldNoSecret(t *testing.T) {
	s := New(Config{})
	s.AddEnvironment(devID, EnvironmentOptions{})
	s.AddToken(Token{Bearer: bearer})
	s.Enable(devID, "strava")
	for _, body := range []string{`{"client_secret":7077070770}`, `{"hush-hush-secret":1}`, `{"client_secret":"hush-hush-secret","sandbox":"hush-hush-secret"}`, `"hush-hush-secret"`} {
		do(t, s, sent{method: "PATCH", path: sources + "/strava/credentials", body: body})
	}
	all := strings.Join(s.Violations(), "\n")
	if len(s.Violations()) < 3 {
		t.Fatalf("got violations %q, want one for each request", all)
	}
	if strings.Contains(all, "7077070770") || strings.Contains(strings.ReplaceAll(all, "'hush-hush-secret' not allowed", ""), "hush") {
		t.Errorf("a violation quotes a value:\n%s", all)
	}
}

type judge struct{ request, answer []string }

func (j judge) Check(emulator.Exchange) (request, answer []string) { return j.request, j.answer }

func TestWhatIsAViolation(t *testing.T) {
	bad := []string{"bad"}
	for _, c := range []struct {
		name        string
		judge       judge
		badRequests bool
		fault       Kind
		path        string
		want        []string
	}{
		{"all well", judge{}, false, "", "/me", nil},
		{"bad request, answered", judge{request: bad}, false, "", "/me", []string{"getMe: bad"}},
		{"bad request, refused", judge{request: bad}, false, "", "/environments/x", []string{"getEnvironment: bad"}},
		{"bad request on purpose, answered", judge{request: bad}, true, "", "/me", []string{"getMe: bad"}},
		{"bad request on purpose, refused", judge{request: bad}, true, "", "/environments/x", nil},
		{"bad answer", judge{answer: bad}, true, "", "/environments/x", []string{"getEnvironment: bad"}},
		{"bad answer by fault", judge{answer: bad}, false, BrokenJSON, "/me", nil},
		{"bad answer despite fault", judge{answer: bad}, false, Status503, "/me", []string{"getMe: bad"}},
		{"unknown parameter", judge{}, false, "", "/me?x=1", []string{"getMe: request: query: unknown parameter"}},
		{"unknown parameter on purpose", judge{}, true, "", "/me?x=1", nil},
		{"outside of the API", judge{request: bad, answer: bad}, false, "", "/nothing", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(Config{Contract: c.judge, BadRequests: c.badRequests})
			s.AddToken(Token{Bearer: bearer})
			if c.fault != "" {
				s.Fault(Fault{Kind: c.fault})
			}
			try(t, s.RoundTripper(), BaseURL, sent{path: c.path})
			if d := cmp.Diff(c.want, s.Violations()); d != "" {
				t.Errorf("violations (-want +got):\n%s", d)
			}
		})
	}
}

// watcher is a test that only notes what it is told.
type watcher struct {
	testing.TB
	failures int
	cleanups []func()
}

func (w *watcher) Helper()               {}
func (w *watcher) Errorf(string, ...any) { w.failures++ }
func (w *watcher) Cleanup(f func())      { w.cleanups = append(w.cleanups, f) }

func TestWatchAndStartFailTheTest(t *testing.T) {
	for name, begin := range map[string]func(*Server, testing.TB){
		"watch": func(s *Server, tb testing.TB) { s.Watch(tb) },
		"start": func(s *Server, tb testing.TB) { s.Start(tb) },
	} {
		for _, violated := range []bool{false, true} {
			w := &watcher{TB: t}
			s := New(Config{})
			s.AddToken(Token{Bearer: bearer})
			begin(s, w)
			r := sent{path: "/me"}
			if violated {
				r.path = "/environments?limit=0"
			}
			do(t, s, r)
			for _, f := range slices.Backward(w.cleanups) {
				f()
			}
			if (w.failures > 0) != violated {
				t.Errorf("%s: got %d failures with violation %v", name, w.failures, violated)
			}
		}
	}
}

// TestEveryOperation asks for each operation once, over sockets, within the
// contract.
func TestEveryOperation(t *testing.T) {
	s := New(Config{})
	s.AddEnvironment(devID, EnvironmentOptions{})
	s.AddToken(Token{Bearer: bearer})
	ownGarmin(s)
	base := s.Start(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	one := sources + "/garmin"
	webhooks, _ := review(t, s)
	for _, r := range []sent{
		{path: "/me"},
		{path: "/environments"},
		{path: "/environments/dev-1"},
		{path: "/environments/dev-1/unified-api/source-types"},
		{path: "/environments/dev-1/users"},
		{path: sources},
		{method: "POST", path: sources + "/batch-enable", body: `{"providers":["strava","whoop"]}`},
		{method: "PUT", path: sources + "/strava/scopes", body: `{"scopes":[]}`},
		{path: sources + "/strava/scopes"},
		{method: "DELETE", path: sources + "/strava/scopes"},
		{method: "PUT", path: one},
		{method: "PATCH", path: one, body: `{"active":true}`},
		{path: one + "/webhook-endpoints"},
		{method: "POST", path: one + "/webhook-endpoints/apply", body: `{"fingerprint":"` + webhooks.Fingerprint + `"}`},
		{path: one + "/credentials"},
		{method: "PATCH", path: one + "/credentials", body: `{"sandbox":true}`},
		{method: "PUT", path: one + "/credentials", body: `{"client_id":"1","client_secret":"2"}`},
		{path: one + "/domain"},
		{method: "PUT", path: one + "/domain", body: `{"hostname":"garmin.example.com"}`},
		{method: "DELETE", path: sources + "/strava/domain"},
		{method: "DELETE", path: one},
		{method: "POST", path: sources + "/batch-disable", body: `{"providers":["strava","whoop"]}`},
	} {
		if g := send(t, transport, base, r); g.status >= 300 {
			t.Errorf("%s %s: got %d %s", r.method, r.path, g.status, g.body)
		}
	}
	seen := map[string]bool{}
	for _, c := range s.Log() {
		seen[c.Operation] = true
	}
	if len(seen) != 22 {
		t.Errorf("got %d operations, want 22", len(seen))
	}
}
