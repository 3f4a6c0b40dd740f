package cli

import (
	"fmt"
	"net/http"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/metrics"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/web"
)

// metricsPage serves metrics to whoever may read the page: they name environments,
// connections, and what waits for approval.
func metricsPage(site *web.Site, m *metrics.Metrics) http.Handler {
	if site != nil {
		return site.Reading(m.Handler())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintln(w, "metrics are served to who may read the page: set tls and web.read in daemon.yaml, or listen to 127.0.0.1:8080")
	})
}

// snapshot is what a scrape is made from.
func (r reconciler) snapshot() metrics.Snapshot {
	s, err := r.Status() // where the state does not tell, the rest stands there
	common := r.sources.common()
	out := metrics.Snapshot{Now: common.proc.Now(), Status: s, StateUsable: err == nil && common.store.Check() == nil, Environments: map[string]metrics.Environment{}}
	for _, e := range s.Environments {
		out.Environments[e.Name] = r.sources.of(e.Name).measured(e.Name)
	}
	return out
}

// measured is what metrics say of an environment beside its status.
func (s *commitSource) measured(name string) metrics.Environment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return metrics.Environment{Account: s.revisions[name].account, Report: s.reports[name], Lagging: s.lagging[name]}
}

// noteLag notes which environments are behind a commit that was fetched, and forgets what
// was noted of those that are gone.
func (s *commitSource) noteLag(newest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = newest
	if s.lagging == nil {
		s.lagging = map[string]time.Time{}
	}
	for name := range s.reports {
		if _, there := s.revisions[name]; !there {
			delete(s.reports, name)
		}
	}
	for name := range s.lagging {
		if _, there := s.revisions[name]; !there {
			delete(s.lagging, name)
		}
	}
	for name := range s.revisions {
		if s.lagging[name].IsZero() && s.reports[name].Commit != newest {
			s.lagging[name] = s.proc.Now()
		}
	}
}

// countCall counts an attempt at a call of an account.
func (s *commitSource) countCall(account string, a terra.Attempt) {
	c := metrics.Call{Account: account, Operation: a.Operation, Sent: true, Status: a.Status, Waited: a.Waited, Took: a.Took, Remaining: a.Remaining}
	switch a.Problem {
	case terra.ProblemHeld, terra.ProblemUnsent:
		c.Sent = false
	case terra.ProblemTimeout, terra.ProblemNetwork, terra.ProblemCanceled:
		c.Failure = a.Problem
	}
	s.metrics.Called(c)
}
