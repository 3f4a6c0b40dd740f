package cli

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDoctorAsksAboutTheKeyBefore: where the key that is due is refused, the one
// before it is most likely live, and somebody wants to know of that one. Where it is
// accepted nobody does.
func TestDoctorAsksAboutTheKeyBefore(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Now())
	file := filepath.Join(e.repository(), "production", "strava.yaml")
	keys := []string{"", strings.TrimSpace(e.run(0, "secret", "decrypt", file, "--key", "1")), strings.TrimSpace(e.run(0, "secret", "decrypt", file, "--key", "2"))}
	accepted, asked := keys[1], map[string]int{}
	strava := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		secret := q.PostFormValue("client_secret")
		asked[secret]++
		if secret != accepted {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"errors":[{"resource":"Application","field":"","code":"invalid"}]}`))
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"errors":[{"resource":"AuthorizationCode","field":"code","code":"invalid"}]}`))
	}))
	defer strava.Close()
	args := []string{"doctor", "--env", "production", "--config", e.daemonFile("probes: {strava: \"" + strava.URL + "\"}\n"), "--probe"}
	out := e.run(1, args...)
	holds(t, out, "fail probe production/strava (key 2 of 2): bad: Strava does not accept this client secret -> seal the right one: reconcile rotate add --config")
	holds(t, out, "ok probe production/strava (key 1 of 2): good: Strava knows the pair")
	e.now = e.now.Add(2 * time.Hour)
	accepted = keys[2]
	out = e.run(0, args...)
	holds(t, out, "ok probe production/strava (key 2 of 2): good: Strava knows the pair")
	if asked[keys[1]] != 1 || asked[keys[2]] != 2 {
		t.Errorf("asked %d times about key 1 and %d about key 2, want once and twice", asked[keys[1]], asked[keys[2]])
	}
}
