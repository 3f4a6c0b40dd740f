package reconcile

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// panicky breaks at the n-th call as a fault of this program would: before the
// call has left, or after it had its effect.
type panicky struct {
	inner http.RoundTripper
	after bool

	mu     sync.Mutex
	left   int
	struck bool
}

func (p *panicky) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.left--
	strikes := p.left == 0
	p.struck = p.struck || strikes
	p.mu.Unlock()
	if strikes && !p.after {
		panic("a fault before " + r.URL.Path)
	}
	answer, err := p.inner.RoundTrip(r)
	if strikes {
		panic("a fault after " + r.URL.Path)
	}
	return answer, err
}

// TestWalkOfFaults lets the program panic at the n-th call, for every n of every
// scene: the process lives, the report tells all that happened and where the fault
// is, the limiter that later runs share is whole, and the next run converges with
// no effect twice.
func TestWalkOfFaults(t *testing.T) {
	t.Parallel()
	points, all := 0, walk.Whole() // else one of both ways at each call
	step := 20 / walk.Times(20)    // or at some calls, another way each
	before := newWorld(t)
	for _, s := range scenes() {
		for n := 1; ; n += step {
			struck := faultAt(t, before.clone(), s, n, points%2 == 0)
			if all {
				struck = faultAt(t, before.clone(), s, n, points%2 == 1) || struck
			}
			if !struck {
				break
			}
			points++
		}
		s.set(before)
		before.applied()
	}
	t.Logf("COUNT panic_walk_points=%d", points)
	if points*step < 40 {
		t.Errorf("only %d points", points)
	}
}

func faultAt(t *testing.T, w *world, s scene, n int, after bool) (struck bool) {
	t.Helper()
	w.options.Limits = terra.NewLimits()
	s.set(w)
	breaks := &panicky{inner: w.terra.RoundTripper(), left: n, after: after}
	w.wrap = func(http.RoundTripper) http.RoundTripper { return breaks }
	w.terra.ResetLog()
	r := w.apply()
	if !breaks.struck {
		return false
	}
	where := fmt.Sprintf("fault at call %d (after it: %v) of %q", n, after, s.name)
	if text := w.show(r); !strings.Contains(text, "a fault of this program at ") {
		t.Errorf("%s: it is not told\n%s", where, text)
	}
	if r.ExitCode == report.ExitError && len(w.terra.Effects()) > 0 {
		t.Errorf("%s: nothing written, says exit %d", where, r.ExitCode)
	}
	checkReported(t, w, s, r, where)
	for range 3 {
		if w.apply(); w.dryRun().ExitCode == report.ExitDone {
			break
		}
	}
	if r := w.dryRun(); r.ExitCode != report.ExitDone || !s.done(w) {
		t.Fatalf("%s: does not converge\n%s", where, w.show(r))
	}
	checkOnce(t, w, where)
	checkOwned(t, w, where)
	return true
}
