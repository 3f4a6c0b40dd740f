package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// A CI can rehearse a rotation: the provider knows a pair, its portal resets it,
// and what happened survives a restart with the same flags.
func TestRehearseRotation(t *testing.T) {
	flags := []string{"--state", filepath.Join(t.TempDir(), "terra.json"), "--pair", "strava:42:first", "--token-lifetime", "strava=1m"}
	r := start(t, flags...)
	r.wantProbes(t, "good", "bad")
	form := url.Values{"client_id": {"42"}, "client_secret": {"second"}}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		strings.TrimSuffix(r.base, emulator.BasePath)+"/portal/strava/reset", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	w, err := (&http.Client{}).Do(q)
	if err != nil || w.Body.Close() != nil || w.StatusCode != http.StatusNoContent {
		t.Fatalf("reset: got %v, %v", w, err)
	}
	r.wantProbes(t, "bad", "good")
	if code, text := r.stop(t); code != 0 || text != "" {
		t.Fatalf("got exit code %d, stderr %q", code, text)
	}
	b, err := os.ReadFile(flags[1])
	if err != nil || !strings.Contains(string(b), `"token_lifetime": "1m0s"`) {
		t.Errorf("got state %s, %v", b, err)
	}
	again := start(t, flags...)
	again.wantProbes(t, "bad", "good")
	again.stop(t)
}

// wantProbes asks about the first and the second secret, at the address that the
// command printed.
func (r *running) wantProbes(t *testing.T, first, second string) {
	t.Helper()
	_, rest, ok := strings.Cut(r.stdout, "# probe strava: ")
	address, _, _ := strings.Cut(rest, "\n")
	if !ok {
		t.Fatalf("no address of a probe in %q", r.stdout)
	}
	prober := providers.NewProber(nil, map[string]string{"strava": address})
	for secret, want := range map[string]string{"first": first, "second": second} {
		got := prober.Probe(t.Context(), "strava", "42", secrets.NewValue([]byte(secret)))
		if got.Verdict.String() != want {
			t.Errorf("%s: got %v, want %s", secret, got, want)
		}
	}
}

// What the emulator takes for the life of a token is what the catalogue says.
func TestTokenLifetimesAreTheCatalogues(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	published := 0
	for _, p := range providers.All() {
		if p.TokenLifetime == 0 {
			continue
		}
		published++
		at := now
		s := emulator.New(emulator.Config{Clock: func() time.Time { return at }})
		s.AddEnvironment("dev-1", emulator.EnvironmentOptions{})
		s.SetCredential("dev-1", p.Slug, emulator.Credential{ClientID: "42", Secret: "first"})
		s.SetUsers("dev-1", p.Slug, 10, 0)
		s.RejectPair(p.Slug, "42", "first")
		for _, c := range []struct {
			passed time.Duration
			left   int
		}{{p.TokenLifetime - time.Second, 1}, {p.TokenLifetime, 0}} {
			at = now.Add(c.passed)
			if got := s.Live("dev-1").Sources[p.Slug].ActiveUsers; got != c.left {
				t.Errorf("%s after %s: got %d active users, want %d", p.Slug, c.passed, got, c.left)
			}
		}
	}
	if published == 0 {
		t.Error("no token lifetime was compared")
	}
}
