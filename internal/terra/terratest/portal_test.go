package terratest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// ask is the word of the catalogue's probe.
func ask(t *testing.T, s *Server, provider, id, secret string) string {
	t.Helper()
	return verdict(t, providers.NewProber(s.ProviderRoundTripper(), nil), provider, id, secret)
}

func verdict(t *testing.T, p *providers.Prober, provider, id, secret string) string {
	t.Helper()
	return p.Probe(t.Context(), provider, id, secrets.NewValue([]byte(secret))).Verdict.String()
}

// Every probe of the catalogue gets the answers that the provider is known to
// give, at its real address in the process and below ProvidersPath on a socket.
func TestProbes(t *testing.T) {
	s := scene(t, Config{LogLimit: 1000})
	server := httptest.NewServer(s)
	defer server.Close()
	overrides, probed := map[string]string{}, 0
	for _, p := range providers.All() {
		if p.Probe == nil {
			continue
		}
		address, ok := emulator.ProviderAddress(server.URL, p.Probe.URL)
		if !ok {
			t.Errorf("%s: nobody answers for %s", p.Slug, p.Probe.URL)
		}
		overrides[p.Slug] = address
	}
	inside := providers.NewProber(s.ProviderRoundTripper(), nil)
	below := providers.NewProber(s.ProviderRoundTripper(), overrides)
	socket := providers.NewProber(server.Client().Transport, overrides)
	for _, p := range providers.All() {
		if p.Probe == nil {
			continue
		}
		probed++
		bad := "bad"
		if p.Slug == "polar" {
			bad = "unknown" // no source says that its 401 means the pair
		}
		for _, step := range []struct {
			name, id, secret, want string
			set                    func()
		}{
			{"nothing declared", "42", "good", "unknown", func() {}},
			{"accepted", "42", "good", "good", func() { s.AcceptPair(p.Slug, "42", "good") }},
			{"another secret", "42", "other", bad, func() {}},
			{"another id", "43", "good", bad, func() {}},
			{"the quota is used up", "42", "good", "unknown", func() { s.SetQuotaUsed(p.Slug, true) }},
			{"a bad pair without quota", "42", "other", "unknown", func() {}},
			{"down", "42", "good", "unknown", func() { s.SetQuotaUsed(p.Slug, false); s.SetReachable(p.Slug, false) }},
			{"a bad pair while down", "42", "other", "unknown", func() {}},
			{"up again", "42", "good", "good", func() { s.SetReachable(p.Slug, true) }},
			{"rejected", "42", "good", bad, func() { s.RejectPair(p.Slug, "42", "good") }},
		} {
			step.set()
			for way, prober := range map[string]*providers.Prober{"inside": inside, "below": below, "socket": socket} {
				if got := verdict(t, prober, p.Slug, step.id, step.secret); got != step.want {
					t.Errorf("%s, %s, %s: got %s, want %s", p.Slug, step.name, way, got, step.want)
				}
			}
		}
	}
	if asked := len(s.Questions()); probed < 4 || asked != probed*30 {
		t.Errorf("got %d questions by %d probes", asked, probed)
	}
	t.Logf("COUNT emulated_probes=%d", probed)
}

// Shapes that no probe of the catalogue sees.
func TestProviderAnswers(t *testing.T) {
	s := scene(t, Config{})
	for _, provider := range []string{"strava", "huawei", "whoop", "oura", "withings"} {
		s.AcceptPair(provider, "42", "good")
	}
	sign := func(secret string) string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("getnonce,42,1700000000"))
		return "&signature=" + hex.EncodeToString(mac.Sum(nil))
	}
	const nonce = "action=getnonce&client_id=42&timestamp=1700000000"
	for _, c := range []struct {
		method, address, form string
		status                int
		want                  string
	}{
		{"GET", "https://www.strava.com/api/v3/push_subscriptions?client_id=42&client_secret=good", "", 200, `[]`},
		{"GET", "https://www.strava.com/api/v3/push_subscriptions?client_id=42&client_secret=x", "", 401, `"field":"","code":"invalid"`},
		{"POST", "https://www.strava.com/oauth/token", "client_id=7&client_secret=good", 400, `"field":"client_id"`},
		{"POST", "https://www.strava.com/oauth/token", "client_id=42&client_secret=good", 400, `"grant_type"`},
		{"POST", "https://www.strava.com/oauth/token?client_id=42&client_secret=good", "", 400, `"field":"client_id"`},
		{"POST", "https://oauth-login.cloud.huawei.com/oauth2/v3/token", "grant_type=client_credentials&client_id=acme&client_secret=x", 400, `"sub_error":20002`},
		{"POST", "https://oauth-login.cloud.huawei.com/oauth2/v3/token", "grant_type=client_credentials&client_id=42", 400, `"sub_error":20171`},
		{"POST", "https://oauth-login.cloud.huawei.com/oauth2/v3/token", "grant_type=client_credentials&client_id=7&client_secret=x", 400, `"sub_error":20003`},
		{"POST", "https://oauth-login.cloud.huawei.com/oauth2/v3/token", "client_id=42&client_secret=good", 400, `"sub_error":0`},
		{"POST", "https://api.prod.whoop.com/oauth/oauth2/token", "client_id=42&client_secret=good", 400, `"invalid_request"`},
		{"POST", "https://api.ouraring.com/oauth/token", "grant_type=authorization_code&code=x&client_id=42&client_secret=good", 400, `"invalid_grant"`},
		{"POST", "https://api.ouraring.com/oauth/token", "grant_type=authorization_code&code=x&client_id=42&client_secret=x", 401, `"invalid_client"`},
		{"POST", "https://wbsapi.withings.net/v2/signature", nonce + sign("good"), 200, `"status":0,"body":{"nonce":`},
		{"POST", "https://wbsapi.withings.net/v2/signature", nonce + sign("x"), 200, `"status":503`},
		{"POST", "https://wbsapi.withings.net/v2/oauth2", "action=requesttoken&client_id=42&client_secret=good", 200, `"status":503`},
		{"GET", "https://www.strava.com/oauth/token", "", 405, "Method Not Allowed"},
		{"POST", "https://www.strava.com/else", "", 404, "Not Found"},
		{"POST", "https://elsewhere.invalid/oauth/token", "", 404, "Not Found"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, c.address, strings.NewReader(c.form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w, err := s.ProviderRoundTripper().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(w.Body)
		if err != nil || w.Body.Close() != nil || w.StatusCode != c.status || !strings.Contains(string(b), c.want) {
			t.Errorf("%s %s %s: got %d %s, %v; want %d %s", c.method, r.URL.Path, c.form, w.StatusCode, b, err, c.status, c.want)
		}
	}
}

func TestPortal(t *testing.T) {
	h := &hand{time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	s := scene(t, Config{Clock: h.now})
	server := httptest.NewServer(s)
	defer server.Close()
	for _, c := range []struct {
		method, path, form string
		status             int
		good               string // of the secrets a, b and c at Strava
	}{
		{"POST", "/strava/accept", "client_id=42&client_secret=a", 204, "a"},
		{"GET", "/strava/reset", "", 405, "a"},
		{"POST", "/strava/reset", "client_id=42", 400, "a"},
		{"POST", "/strava/reset", "client_id=42&client_secret=b&overlap=soon", 400, "a"},
		{"POST", "/strava/reset", "client_id=42&client_secret=b&overlap=-1h", 400, "a"},
		{"POST", "/strava/accept", "client_id=42&client_secret=b&overlap=1h", 400, "a"},
		{"POST", "/nike/reset", "client_id=42&client_secret=b", 404, "a"},
		{"POST", "/strava/delete", "client_id=42&client_secret=b", 404, "a"},
		{"POST", "/strava/reset", "client_id=42&client_secret=b&overlap=1h", 204, "a b"},
		{"POST", "/strava/reset", "client_id=42&client_secret=c", 204, "c"},
	} {
		at := s.Revision()
		r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+emulator.PortalPath+c.path, strings.NewReader(c.form))
		if err != nil {
			t.Fatal(err)
		}
		w, err := server.Client().Do(r)
		if err != nil || w.Body.Close() != nil {
			t.Fatal(err)
		}
		if changed := s.Revision() != at; w.StatusCode != c.status || changed != (c.status == 204) {
			t.Errorf("%s %s: got %d, changed %v; want %d", c.path, c.form, w.StatusCode, changed, c.status)
		}
		var good []string
		for _, secret := range []string{"a", "b", "c"} {
			if ask(t, s, "strava", "42", secret) == "good" {
				good = append(good, secret)
			}
		}
		if got := strings.Join(good, " "); got != c.good {
			t.Errorf("after %s %s: got %q accepted, want %q", c.path, c.form, got, c.good)
		}
	}
	want := emulator.Question{Time: h.at, Provider: "strava", ClientID: "42", Status: 400}
	if d := cmp.Diff(want, s.Questions()[0]); d != "" {
		t.Errorf("first question (-want +got):\n%s", d)
	}
	if _, ok := emulator.ProviderAddress(server.URL, (&url.URL{Scheme: "https", Host: "www.strava.com"}).String()); ok {
		t.Error("nobody answers at the root of www.strava.com")
	}
}
