package reconcile

import (
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestWalkWithReadsThatLag walks through all kinds of changes at a Terra whose reads show
// what was there three seconds ago, and one minute ago: a run waits for the former, the
// next one settles the latter. Nothing fails, and nothing is done twice.
func TestWalkWithReadsThatLag(t *testing.T) {
	t.Parallel()
	effects := func(t *testing.T, by time.Duration) map[string]int {
		out := map[string]int{}
		w := newWorld(t)
		w.lag(by)
		for _, s := range scenes() {
			w.now = w.now.Add(10 * time.Minute)
			s.set(w)
			w.terra.ResetLog()
			r := w.apply()
			for range 6 {
				for _, c := range r.Environments[0].Changes {
					if c.Outcome == report.Failed || c.Outcome == report.Unknown && by < 5*time.Second {
						t.Errorf("%s, reads lag by %s: %s: %s: %s", s.name, by, c.ID, c.Outcome, c.Error)
					}
				}
				w.now = w.now.Add(10 * time.Minute)
				if r = w.apply(); r.ExitCode == report.ExitDone && len(r.Environments[0].Changes) == 0 {
					break
				}
			}
			w.inSync()
			if !s.done(w) {
				t.Errorf("%s, reads lag by %s: Terra is not as wanted\n%s", s.name, by, w.show(r))
			}
			out[s.name] = len(w.terra.Effects())
		}
		checkOwned(t, w, "at the end")
		return out
	}
	want := effects(t, 0)
	for _, by := range []time.Duration{3 * time.Second, time.Minute} {
		t.Run(by.String(), func(t *testing.T) {
			for name, n := range effects(t, by) {
				if n != want[name] {
					t.Errorf("%s: %d effects, want %d", name, n, want[name])
				}
			}
		})
	}
}
