package terratest

import (
	"net/http"
	"sync"
	"testing"
)

func TestIdempotency(t *testing.T) {
	const path = sources + "/strava/credentials"
	const first, second = `{"client_secret":"second-secret"}`, `{"client_secret":"third-secret"}`
	start := func(t *testing.T) *Server {
		t.Helper()
		s := scene(t, Config{})
		ownStrava(s)
		s.AddToken(Token{Bearer: "terra_at_other"})
		wantStatus(t, do(t, s, sent{method: "PATCH", path: path, body: first, key: "k"}), 200, "")
		s.ResetLog()
		return s
	}
	for _, c := range []struct {
		name     string
		again    sent
		status   int
		code     string
		replayed bool
		effect   bool
	}{
		{"same again", sent{method: "PATCH", path: path, body: first, key: "k"}, 200, "", true, false},
		{"other body", sent{method: "PATCH", path: path, body: second, key: "k"}, 409, "idempotency_key_reuse", false, false},
		{"same body, written otherwise", sent{method: "PATCH", path: path, body: " " + first, key: "k"}, 409, "idempotency_key_reuse", false, false},
		{"other path", sent{method: "PUT", path: sources + "/whoop", key: "k"}, 409, "idempotency_key_reuse", false, false},
		{"other method", sent{method: "PUT", path: path, body: first, key: "k"}, 409, "idempotency_key_reuse", false, false},
		{"other key", sent{method: "PATCH", path: path, body: second, key: "l"}, 200, "", false, true},
		{"no key", sent{method: "PATCH", path: path, body: second}, 200, "", false, true},
		{"other token", sent{method: "PATCH", path: path, body: second, key: "k", bearer: "terra_at_other"}, 200, "", false, true},
		{"dry run with the key", sent{method: "PATCH", path: path + "?dry_run=true", body: second, key: "k"}, 200, "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			g := do(t, s, c.again)
			wantStatus(t, g, c.status, c.code)
			if log := s.Log()[0]; log.Replayed != c.replayed || log.Effect != c.effect {
				t.Errorf("got replayed %v, effect %v; want %v, %v", log.Replayed, log.Effect, c.replayed, c.effect)
			}
		})
	}
}

// A replay answers what was true then, and has no effect even if the state moved
// on since.
func TestReplayHasNoEffect(t *testing.T) {
	s := scene(t, Config{})
	put := sent{method: "PUT", path: sources + "/strava", key: "k"}
	want := do(t, s, put)
	s.Disable(devID, "strava")
	if g := do(t, s, put); g.body != want.body {
		t.Errorf("got %s, want %s", g.body, want.body)
	}
	if state := s.Live(devID).Sources["strava"].State; state != "disabled" {
		t.Errorf("got state %s, want disabled", state)
	}
	s.ForgetIdempotencyKeys()
	do(t, s, put)
	if state := s.Live(devID).Sources["strava"].State; state != "active" {
		t.Errorf("after the key was forgotten: got state %s, want active", state)
	}
}

func TestWhatAKeyRemembers(t *testing.T) {
	body := `{"client_id":"42","client_secret":"x","redirect_url":"https://auth.example.com/a"}`
	for _, c := range []struct {
		name string
		r    sent
		set  func(*Server) // makes the first try fail
		undo func(*Server) // makes the second try good
		want int           // of the second try
	}{
		{
			"a refusal", sent{method: "DELETE", path: sources + "/whoop", key: "k"},
			func(*Server) {}, func(s *Server) { s.Enable(devID, "whoop") }, 404,
		},
		{
			"not a 503", sent{method: "PUT", path: sources + "/strava/credentials", body: body, key: "k"},
			func(s *Server) { s.SetDomainCheck(false) }, func(s *Server) { s.SetDomainCheck(true) }, 200,
		},
		{
			"not a missing right", sent{method: "PUT", path: sources + "/whoop", key: "k"},
			func(s *Server) { s.AddToken(Token{Bearer: bearer, TokenID: "t", Scopes: []string{}}) },
			func(s *Server) { s.AddToken(Token{Bearer: bearer, TokenID: "t"}) }, 200,
		},
		{
			"not a fault", sent{method: "PUT", path: sources + "/whoop", key: "k"},
			func(s *Server) { s.Fault(Fault{Kind: Status503}) }, func(*Server) {}, 200,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scene(t, Config{})
			s.SetDomain(devID, "strava", "auth.example.com")
			c.set(s)
			if g := do(t, s, c.r); g.status < 400 {
				t.Fatalf("first try: got %d, want it to fail", g.status)
			}
			c.undo(s)
			if g := do(t, s, c.r); g.status != c.want {
				t.Errorf("second try: got %d, want %d", g.status, c.want)
			}
		})
	}
}

// Many at once with one key: one effect, and all read the same answer.
func TestIdempotencyAtOnce(t *testing.T) {
	s := scene(t, Config{})
	s.AddToken(Token{Bearer: "terra_at_other", TokenID: "other"})
	base := s.Start(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			g := send(t, transport, base, sent{method: "PUT", path: sources + "/strava", key: "k"})
			wantStatus(t, g, 200, "")
			send(t, transport, base, sent{path: sources})
			s.Live(devID)
			s.Log()
			s.SetUsers(devID, "whoop", 1, 1)
		})
	}
	wg.Wait()
	if n := len(s.Effects()); n != 1 {
		t.Errorf("got %d effects, want 1", n)
	}
	if n := len(s.Writes()); n != 20 {
		t.Errorf("got %d writes, want 20", n)
	}
}
