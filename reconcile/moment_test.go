package reconcile

import (
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// next is when a daemon without a schedule would run again, and why.
func (w *world) next(last report.Report) Moment {
	w.t.Helper()
	set, _ := w.load()
	var out Moment
	w.inState(func(s *state.Store) (err error) {
		out, err = NextMoment(s, here(), set.Environments[0], last.Environments[0], nil, w.clock())
		return err
	})
	return out
}

// TestTimeAloneMovesAKey runs when a moment says so and at no other time: the key is set
// when it is due, a provider that refuses it at first is asked again after a minute and
// after four more, a soak ends, and a rejected key gets its next chance.
func TestTimeAloneMovesAKey(t *testing.T) {
	t.Parallel()
	const (
		due   = "key 2 of production/strava is due"
		again = "key 2 of production/strava, which was refused, is asked about again"
		soak  = "the soak of a key of production/strava ends"
	)
	type step struct{ at, why, accepts, live string } // what the provider accepts from then on
	for name, steps := range map[string][]step{
		"at once": {{"12-01T02:00:00Z", due, "AB", secretB}, {"12-02T02:00:00Z", soak, "AB", secretB}},
		"known to its provider after some minutes": {{"12-01T02:00:00Z", due, "A", secretA}, {"12-01T02:01:00Z", again, "A", secretA},
			{"12-01T02:05:00Z", again, "AB", secretB}, {"12-02T02:05:00Z", soak, "AB", secretB}},
		"rejected, and good an hour later": {{"12-01T02:00:00Z", due, "A", secretA}, {"12-01T02:01:00Z", again, "A", secretA},
			{"12-01T02:05:00Z", again, "A", secretA}, {"12-01T03:05:00Z", again, "AB", secretB}, {"12-02T03:05:00Z", soak, "AB", secretB}},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := rotating(t)
			w.now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
			last := w.expectExit(w.apply(), report.ExitDone)
			for _, s := range steps {
				m := w.next(last)
				if got := m.At.Format(time.RFC3339); got != "2026-"+s.at || m.Why != s.why {
					t.Fatalf("at %s the next moment is %s: %s; want %s: %s", w.now.Format(time.RFC3339), got, m.Why, s.at, s.why)
				}
				p.accepts = map[string][]string{"A": {secretA}, "AB": {secretA, secretB}}[s.accepts]
				w.now = m.At
				last = w.apply()
				w.expectLive(s.live)
			}
		})
	}
}
