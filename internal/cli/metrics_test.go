package cli

import (
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

// TestMetricsStayOnThisMachine: they name environments and what waits for whom, and nothing
// asks who reads them.
func TestMetricsStayOnThisMachine(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Options{Snapshot: func() metrics.Snapshot { return metrics.Snapshot{} }})
	for listen, served := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:0": true,
		"0.0.0.0:8080": false, ":8080": false, "[::]:8080": false, "192.0.2.1:8080": false, "127.0.0.1.example.com:8080": false,
	} {
		w := httptest.NewRecorder()
		metricsPage(config.Config{Listen: listen}, m).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", http.NoBody))
		page := w.Body.String()
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
