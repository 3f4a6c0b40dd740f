package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// BenchmarkScrape asks over HTTP for the metrics of 1,000 connections in ten environments, of
// whose keys each has an age, an end and a next one, and every tenth is held and drifts. The best of
// all counts.
func BenchmarkScrape(b *testing.B) {
	s := Snapshot{Now: at(2), Environments: map[string]Environment{}}
	for env := range 10 {
		name := fmt.Sprintf("env%03d", env)
		e := report.Environment{PlanHash: "sha256:1", Account: "default"}
		for c := range 100 {
			connection := fmt.Sprintf("%s/own_%03d", name, c)
			e.Keys = append(e.Keys, keys.Status{Connection: connection, State: keys.OK, Issued: at(1), AgeDays: ptr(1), MaxAgeDays: 90, Next: 2, NextAt: at(9)})
			if c%10 == 0 {
				e.Changes = append(e.Changes, report.Change{Change: plan.Change{Connection: connection, Action: plan.SetScopes, Cause: plan.Drift, Gate: plan.Approval, Guard: "adopt"}, GatedSince: at(1), DriftSince: at(1)})
			}
		}
		s.Status.Environments = append(s.Status.Environments, daemon.EnvironmentStatus{Name: name, AppliedRevision: "a"})
		s.Environments[name] = Environment{Account: "default", Report: report.Report{Environments: []report.Environment{e}}}
	}
	server := httptest.NewServer(metricsOf(s).Handler())
	b.Cleanup(server.Close)
	client := &http.Client{Timeout: time.Minute}
	var took []time.Duration
	series, size := 0, 0
	for b.Loop() {
		began := time.Now()
		answer, err := client.Get(server.URL)
		if err != nil {
			b.Fatal(err)
		}
		page, err := io.ReadAll(answer.Body)
		if err != nil {
			b.Fatal(err)
		}
		_ = answer.Body.Close()
		took = append(took, time.Since(began))
		series, size = 0, len(page)
		for line := range strings.Lines(string(page)) {
			if !strings.HasPrefix(line, "#") {
				series++
			}
		}
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took[0])/float64(time.Millisecond), "scrape-ms")
	b.ReportMetric(float64(took[len(took)/2])/float64(time.Millisecond), "median-ms")
	b.ReportMetric(float64(series), "series")
	b.ReportMetric(float64(size)/1024, "KiB")
	if took[0] > 5*time.Millisecond {
		b.Errorf("a scrape takes %v, want 5ms", took[0])
	}
}
