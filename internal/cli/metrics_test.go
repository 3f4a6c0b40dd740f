package cli

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/metrics"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestMetricsAreForReaders: they name environments and what waits for whom, so those read
// them who may read the page.
func TestMetricsAreForReaders(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Options{Snapshot: func() metrics.Snapshot { return metrics.Snapshot{} }})
	token := strings.Repeat("r", 32)
	read := &config.Web{Read: config.EnvSecret("R", func(string) string { return token })}
	for listen, served := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:0": true,
		"0.0.0.0:8080": false, ":8080": false, "[::]:8080": false, "192.0.2.1:8080": false, "127.0.0.1.example.com:8080": false,
	} {
		scrape := func(c config.Config, token string) (*httptest.ResponseRecorder, string) {
			site, err := newSite(c, webSource{}, m.Handler(), time.Now, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "http://127.0.0.1:8080/metrics", http.NoBody)
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			metricsPage(site, m).ServeHTTP(w, r)
			return w, w.Body.String()
		}
		protected := config.Config{Listen: listen, TLS: config.TLS{CertFile: "cert"}, Web: read}
		if w, page := scrape(protected, token); w.Code != http.StatusOK || !strings.Contains(page, "terra_reconcile_") {
			t.Errorf("%s with a token: %d: %s", listen, w.Code, page)
		}
		if w, page := scrape(protected, "wrong"); w.Code != http.StatusUnauthorized || strings.Contains(page, "terra_reconcile_") {
			t.Errorf("%s with a wrong token: %d: %s", listen, w.Code, page)
		}
		w, page := scrape(config.Config{Listen: listen}, "")
		if served != (w.Code == http.StatusOK) || served != strings.Contains(page, "terra_reconcile_") {
			t.Errorf("%s: %d: %s", listen, w.Code, page)
		}
		if !served && (w.Code != http.StatusNotFound || strings.Count(page, "\n") != 1) {
			t.Errorf("%s: it does not say why in one line: %d: %s", listen, w.Code, page)
		}
	}
}

// TestLagBeginsWithTheFirstCommitMissed: an environment that misses one commit after the
// other has been behind since the first, and nothing is kept of one that is gone.
func TestLagBeginsWithTheFirstCommitMissed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	s := &commitSource{proc: &Process{Now: func() time.Time { return now }}, revisions: map[string]revision{"production": {environment: daemon.Environment{Name: "production"}}},
		reports: map[string]report.Report{"production": {Commit: "a"}, "gone": {}}, lagging: map[string]time.Time{"gone": now}}
	s.noteLag("a")
	if !s.lagging["production"].IsZero() || len(s.reports) != 1 || len(s.lagging) != 0 {
		t.Errorf("got %v, %d reports", s.lagging, len(s.reports))
	}
	began := now
	for _, commit := range []string{"b", "c", "d"} {
		s.noteLag(commit)
		now = now.Add(time.Hour)
	}
	if !s.lagging["production"].Equal(began) {
		t.Errorf("got %v, want %v", s.lagging, began)
	}
}
