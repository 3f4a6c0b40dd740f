package terratest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func call(t *testing.T, s *Server, method, path, body string) (int, string) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), method, BaseURL+path, strings.NewReader(body))
	if body == "" {
		r.Body = http.NoBody
	}
	r.Header.Set("Authorization", "Bearer terra_at_x")
	r.Header.Set("Idempotency-Key", method+path+body)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w, err := s.RoundTripper().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(w.Body)
	t.Logf("%s %s -> %d %s", method, path, w.StatusCode, b)
	return w.StatusCode, string(b)
}

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Latency: time.Second, DomainDelay: time.Minute})
		s.Watch(t)
		s.AddToken(Token{Bearer: "terra_at_x"})
		s.AddEnvironment("d", EnvironmentOptions{})
		s.SetUsers("d", "strava", 120, 30)
		p := "/environments/d/unified-api/sources"
		call(t, s, "GET", "/me", "")
		call(t, s, "GET", "/environments", "")
		call(t, s, "GET", "/environments/d", "")
		call(t, s, "GET", "/environments/d/unified-api/source-types", "")
		call(t, s, "GET", "/environments/d/users?provider=strava&active=true&limit=2", "")
		call(t, s, "PUT", p+"/garmin", "")
		call(t, s, "GET", p, "")
		call(t, s, "PATCH", p+"/garmin?dry_run=true", `{"active":true}`)
		call(t, s, "PUT", p+"/garmin/domain", `{"hostname":"g.example.com"}`)
		call(t, s, "GET", p+"/garmin/domain", "")
		time.Sleep(time.Hour)
		call(t, s, "GET", p+"/garmin/domain", "")
		call(t, s, "PUT", p+"/garmin/credentials", `{"client_id":"a","client_secret":"secret","redirect_url":"https://g.example.com/auth"}`)
		call(t, s, "GET", p+"/garmin/credentials", "")
		_, b := call(t, s, "GET", p+"/garmin/webhook-endpoints", "")
		fp := b[strings.Index(b, `"fingerprint":"`)+15:][:16]
		call(t, s, "POST", p+"/garmin/webhook-endpoints/apply", `{"fingerprint":"`+fp+`"}`)
		call(t, s, "PATCH", p+"/garmin/credentials?dry_run=true", `{"client_secret":"secret"}`)
		call(t, s, "PATCH", p+"/garmin/credentials", `{"client_secret":"secret2"}`)
		call(t, s, "POST", p+"/batch-enable", `{"providers":["STRAVA","whoop"]}`)
		call(t, s, "GET", p+"/strava/scopes", "")
		call(t, s, "PUT", p+"/strava/scopes", `{"scopes":["activity:read_all"]}`)
		call(t, s, "DELETE", p+"/strava/scopes", "")
		call(t, s, "POST", p+"/batch-disable", `{"providers":["STRAVA","whoop"]}`)
		var buf bytes.Buffer
		if err := s.Save(&buf); err != nil {
			t.Fatal(err)
		}
		if err := s.Load(&buf); err != nil {
			t.Fatal(err)
		}
		call(t, s, "DELETE", p+"/garmin", "")
	})
}
