package reconcile

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestReadsAreOneWave looks at runs over connections in sync where each call takes a
// second: what is remembered says what to read, so no read waits for another and nothing
// is read twice.
func TestReadsAreOneWave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		var calls []string
		w.wrap = func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				calls = append(calls, r.Method+" "+r.URL.RequestURI())
				mu.Unlock()
				time.Sleep(time.Second)
				return next.RoundTrip(r)
			})
		}
		w.strava(secretA, "scopes: [activity:read_all]\n")
		w.own("whoop", "an-id", secretC, "")
		w.write("production/polar.yaml", "provider: polar\n")
		w.applied()
		for _, mode := range []report.Mode{report.DryRun, report.Apply} {
			calls = nil
			began := time.Now()
			if r := w.run(Run{Mode: mode}); r.ExitCode != report.ExitDone {
				t.Fatalf("%s: exit %d\n%s", mode, r.ExitCode, w.show(r))
			}
			if took := time.Since(began); took != time.Second || len(calls) != 4 {
				t.Errorf("%s: %d calls in %v, want 4 in the time of one:\n%s", mode, len(calls), took, strings.Join(calls, "\n"))
			}
			slices.Sort(calls)
			if unique := slices.Compact(slices.Clone(calls)); len(unique) != len(calls) {
				t.Errorf("%s: read twice:\n%s", mode, strings.Join(calls, "\n"))
			}
		}
	})
}
