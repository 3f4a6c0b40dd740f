package terratest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// hand is a clock that only a test moves.
type hand struct{ at time.Time }

func (h *hand) now() time.Time { return h.at }

func (h *hand) pass(d time.Duration) { h.at = h.at.Add(d) }

const lived = 6 * time.Hour // of an access token of Strava

// rotating is a scene with 100 end users of an own Strava app, whose pair Strava
// accepts.
func rotating(t *testing.T) (*Server, *hand) {
	t.Helper()
	h := &hand{time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	s := scene(t, Config{Clock: h.now})
	s.SetCredential(devID, "strava", Credential{ClientID: "42", Secret: "old"})
	s.AcceptPair("strava", "42", "old")
	s.SetUsers(devID, "strava", 100, 3)
	return s, h
}

func write(t *testing.T, s *Server, secret string) {
	t.Helper()
	g := do(t, s, sent{method: "PATCH", path: sources + "/strava/credentials", body: `{"client_secret":"` + secret + `"}`})
	wantStatus(t, g, http.StatusOK, "")
}

// users counts with listUsers, page by page.
func users(t *testing.T, s *Server, active bool) int {
	t.Helper()
	n, path := 0, fmt.Sprintf("/environments/dev-1/users?provider=strava&limit=100&active=%v", active)
	for cursor := ""; ; {
		g := do(t, s, sent{path: path + cursor})
		wantStatus(t, g, http.StatusOK, "")
		n += len(g.Data)
		if !g.HasMore {
			return n
		}
		cursor = "&cursor=" + *g.Next
	}
}

func wantUsers(t *testing.T, s *Server, when string, active int) {
	t.Helper()
	if got, not := users(t, s, true), users(t, s, false); got != active || got+not != 103 {
		t.Errorf("%s: got %d active and %d inactive users, want %d of 103 active", when, got, not, active)
	}
}

func TestUsersFallAway(t *testing.T) {
	s, h := rotating(t)
	h.pass(1000 * time.Hour)
	wantUsers(t, s, "with the right pair", 100)
	write(t, s, "wrong")
	wantUsers(t, s, "at once", 100)
	for _, c := range []struct {
		passed time.Duration
		active int
	}{{time.Minute, 100}, {lived / 4, 75}, {lived / 2, 50}, {lived - time.Second, 1}, {lived, 0}, {100 * lived, 0}} {
		h.at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(1000*time.Hour + c.passed)
		wantUsers(t, s, c.passed.String(), c.active)
	}
	if l := s.Live(devID).Sources["strava"]; l.ActiveUsers != 0 || l.InactiveUsers != 103 {
		t.Errorf("Live: got %d and %d users", l.ActiveUsers, l.InactiveUsers)
	}
}

// A long jump of the clock does the same as many looks.
func TestUsersFallUnseen(t *testing.T) {
	s, h := rotating(t)
	s.ResetSecret("strava", "42", "new", 24*time.Hour)
	h.pass(24*time.Hour - time.Second)
	wantUsers(t, s, "in the overlap", 100)
	h.pass(time.Second + lived/2)
	wantUsers(t, s, "half a lifetime after the overlap", 50)
	h.pass(lived)
	wantUsers(t, s, "long after the overlap", 0)
}

func TestResetKillsAtOnce(t *testing.T) {
	s, h := rotating(t)
	s.ResetSecret("strava", "42", "new", 0)
	h.pass(lived / 4)
	wantUsers(t, s, "after the reset", 75)
	write(t, s, "new")
	h.pass(10 * lived)
	wantUsers(t, s, "with the new secret", 75)
	write(t, s, "old")
	h.pass(lived / 3)
	wantUsers(t, s, "back on the dead secret", 50)
}

func TestResetProlongsNothing(t *testing.T) {
	s, h := rotating(t)
	s.AcceptPair("strava", "43", "another app")
	s.ResetSecret("strava", "42", "second", time.Hour)
	s.ResetSecret("strava", "42", "third", 24*time.Hour)
	for _, c := range []struct {
		after time.Duration
		good  string
	}{{0, "old second third"}, {time.Hour, "second third"}, {24 * time.Hour, "third"}} {
		h.at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(c.after)
		var good []string
		for _, secret := range []string{"old", "second", "third"} {
			if ask(t, s, "strava", "42", secret) == "good" {
				good = append(good, secret)
			}
		}
		if got := strings.Join(good, " "); got != c.good {
			t.Errorf("after %s: got %q accepted, want %q", c.after, got, c.good)
		}
	}
	if got := ask(t, s, "strava", "43", "another app"); got != "good" {
		t.Errorf("another app: got %s, want good", got)
	}
}

// A provider that only rejects takes every other pair that is one.
func TestPairsRejectedAlone(t *testing.T) {
	s, _ := rotating(t)
	s.RejectPair("whoop", "42", "bad")
	for _, c := range []struct{ id, secret, want string }{{"42", "bad", "bad"}, {"42", "other", "good"}, {"7", "bad", "good"}} {
		if got := ask(t, s, "whoop", c.id, c.secret); got != c.want {
			t.Errorf("%s and %s: got %s, want %s", c.id, c.secret, got, c.want)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.prod.whoop.com/oauth/oauth2/token", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.ProviderRoundTripper().RoundTrip(r)
	if err != nil || w.Body.Close() != nil || w.StatusCode != http.StatusUnauthorized {
		t.Errorf("no pair at all: got %v, %v; want 401", w, err)
	}
	s.AcceptPair("whoop", "42", "bad")
	if got := ask(t, s, "whoop", "42", "bad"); got != "good" {
		t.Errorf("accepted after all: got %s, want good", got)
	}
}

func TestUsersReturn(t *testing.T) {
	for _, back := range []bool{false, true} {
		s, h := rotating(t)
		s.SetUsersReturn("strava", back)
		write(t, s, "wrong")
		h.pass(lived / 2)
		write(t, s, "old")
		want := 50
		if back {
			want = 100
		}
		wantUsers(t, s, fmt.Sprintf("return %v", back), want)
	}
}

// Another app cannot refresh the tokens of this one.
func TestUsersBelongToTheirApp(t *testing.T) {
	s, h := rotating(t)
	s.AcceptPair("strava", "43", "good")
	set := func(id, secret string) {
		t.Helper()
		body := `{"client_id":"` + id + `","client_secret":"` + secret + `"}`
		wantStatus(t, do(t, s, sent{method: "PATCH", path: sources + "/strava/credentials", body: body}), http.StatusOK, "")
	}
	set("43", "good")
	h.pass(lived / 2)
	wantUsers(t, s, "on another app", 50)
	set("42", "old")
	h.pass(lived)
	wantUsers(t, s, "back on theirs", 50)
}

// Whom the wrong secret does not touch.
func TestUsersStay(t *testing.T) {
	for name, set := range map[string]func(*Server){
		"no pairs declared": func(s *Server) { s.SetCredential(devID, "huawei", Credential{ClientID: "1", Secret: "x"}) },
		"on Terra's app":    func(s *Server) { s.Enable(devID, "polar"); s.AcceptPair("polar", "1", "x") },
		"standard with a pair": func(s *Server) {
			s.SetCredential(devID, "polar", Credential{ClientID: "1"})
			s.SetAuthVariant(devID, "polar", "standard")
			s.AcceptPair("polar", "1", "x")
		},
		"another pair rejected": func(s *Server) {
			s.SetCredential(devID, "whoop", Credential{ClientID: "1", Secret: "x"})
			s.RejectPair("whoop", "1", "y")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := rotating(t)
			set(s)
			for _, provider := range []string{"huawei", "polar", "whoop"} {
				s.SetUsers(devID, provider, 10, 0)
			}
			h.pass(1000 * time.Hour)
			for provider, l := range s.Live(devID).Sources {
				if want := map[string]int{"strava": 100}[provider]; l.ActiveUsers != max(want, 10) {
					t.Errorf("%s: got %d active users", provider, l.ActiveUsers)
				}
			}
		})
	}
}

func TestTokenLifetimes(t *testing.T) {
	for provider, lifetime := range map[string]time.Duration{
		"strava": lived, "huawei": time.Hour, "whoop": time.Hour, "withings": 24 * time.Hour, "dexcom": time.Minute,
	} {
		s, h := rotating(t)
		s.SetTokenLifetime("dexcom", time.Minute)
		s.SetCredential(devID, provider, Credential{ClientID: "1", Secret: "x"})
		if provider == "withings" {
			s.SetAuthVariant(devID, provider, "byo")
		}
		s.SetUsers(devID, provider, 10, 0)
		s.RejectPair(provider, "1", "x")
		h.pass(lifetime - time.Millisecond)
		if n := s.Live(devID).Sources[provider].ActiveUsers; n != 1 {
			t.Errorf("%s: got %d active users just before %s, want the last", provider, n, lifetime)
		}
		h.pass(time.Millisecond)
		if n := s.Live(devID).Sources[provider].ActiveUsers; n != 0 {
			t.Errorf("%s: got %d active users after %s, want none", provider, n, lifetime)
		}
	}
}

// A fall goes on in another process, and a state edited by hand begins one.
func TestFallSurvives(t *testing.T) {
	s, h := rotating(t)
	write(t, s, "wrong")
	h.pass(lived / 4)
	text := save(t, s)
	if !strings.Contains(text, `"wrong_since": "2026-11-23T12:00:00Z"`) || !strings.Contains(text, `"fallen_users": 25`) {
		t.Errorf("the state does not tell of the fall:\n%s", text)
	}
	h.pass(lived / 4)
	other := scene(t, Config{Clock: h.now})
	if err := other.Load(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	wantUsers(t, other, "after a restart", 50)
	good, _ := rotating(t)
	edited := strings.Replace(save(t, good), `"accepted": [`, `"token_lifetime": "1h", "rejected": [{"client_id": "42", "client_secret": "old"}], "accepted": [`, 1)
	edited = strings.Replace(edited, `"rejected": null,`, ``, 1)
	if err := other.Load(strings.NewReader(edited)); err != nil {
		t.Fatal(err)
	}
	wantUsers(t, other, "when the edit is loaded", 100)
	h.pass(30 * time.Minute)
	wantUsers(t, other, "half a lifetime later", 50)
	other.SetUsers(devID, "strava", 8, 95)
	h.pass(30 * time.Minute)
	wantUsers(t, other, "new users", 4)
}

// Terra itself asks Garmin alone.
func TestTerraTakesWrongPairs(t *testing.T) {
	s, _ := rotating(t)
	ownGarmin(s)
	s.RejectPair("garmin", "42", "wrong")
	s.SetReachable("strava", false)
	write(t, s, "wrong")
	g := do(t, s, sent{method: "PATCH", path: sources + "/garmin/credentials", body: `{"client_secret":"wrong"}`})
	wantStatus(t, g, http.StatusUnprocessableEntity, "provider_credentials_rejected")
}
