package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestPollsAreSpread: a tenth around what is asked for, never more, and health waits for it.
func TestPollsAreSpread(t *testing.T) {
	t.Parallel()
	for spread, want := range map[float64]time.Duration{0: 9 * time.Hour, 0.5: 10 * time.Hour, 1: 11 * time.Hour, -7: 9 * time.Hour, 7: 11 * time.Hour} {
		d := &Daemon{o: Options{Spread: func() float64 { return spread }}}
		if got := d.untilPoll(&source{Source: Source{Poll: 10 * time.Hour}}); got != want {
			t.Errorf("%v gave %s, want %s", spread, got, want)
		}
	}
	if got := (&Daemon{}).untilPoll(&source{Source: Source{Poll: time.Hour}}); got != time.Hour {
		t.Errorf("without a spread it is %s", got)
	}
}

// TestSchedulesAreSpread: environments that share a minute begin in it, each at its own
// second, which is the one that the status has told and the same after a restart.
func TestSchedulesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var environments []Environment
		for i := range 100 {
			environments = append(environments, Environment{Name: fmt.Sprintf("env-%02d", i), Account: "default", DevID: fmt.Sprintf("app-%02d", i), Schedule: "*/15 * * * *", Revision: "a"})
		}
		round := func() map[string]time.Time {
			r := &starts{stub: &stub{environments: environments}, at: map[string]time.Time{}}
			d, err := New(Options{Sources: []Source{{Poller: r, Runner: r, Poll: 7 * time.Minute}}, Log: discard(), Deadline: time.Minute, AtOnce: len(environments), UnreadyAfter: time.Hour, ScheduleSpread: 30 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- d.Run(ctx) }()
			<-time.After(time.Until(time.Now().Truncate(15 * time.Minute).Add(14 * time.Minute)))
			next := map[string]time.Time{}
			for _, e := range d.Status().Environments {
				next[e.Name] = *e.NextRun
			}
			<-time.After(2 * time.Minute)
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(r.at, next, time.Time.Equal) {
				t.Errorf("ran at %v, and the status said %v", r.at, next)
			}
			return r.at
		}
		first, second := round(), round()
		together := map[time.Duration]int{}
		for name, at := range first {
			late := at.Sub(at.Truncate(15 * time.Minute))
			if late > 30*time.Second {
				t.Errorf("%s is late by %s", name, late)
			}
			if again := second[name]; again.Sub(again.Truncate(15*time.Minute)) != late {
				t.Errorf("%s is late by %s, and after a restart at %s", name, late, again)
			}
			together[late.Truncate(time.Second)]++
		}
		if most := slices.Max(slices.Collect(maps.Values(together))); len(first) != 100 || most > 10 {
			t.Errorf("%d ran, up to %d of them in one second", len(first), most)
		}
	})
}

// starts remembers when each environment was last run.
type starts struct {
	*stub
	mu sync.Mutex
	at map[string]time.Time
}

func (s *starts) Run(_ context.Context, name string, _ *Course) report.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[name] = time.Now()
	return report.Report{}
}

// TestLatenessOfASchedule: the latest that there can be is a tenth of the interval, a moment
// that is under way when the daemon starts is not missed, and what goes by intervals keeps them.
func TestLatenessOfASchedule(t *testing.T) {
	for name, c := range map[string]struct {
		from, expression string
		most, passes     time.Duration
		want             []string
	}{
		"half a minute":          {"2027-06-01T05:59:50Z", "0 6,18 * * *", 30 * time.Second, 13 * time.Hour, []string{"06:00:30", "18:00:30"}},
		"a tenth of a minute":    {"2027-06-01T06:00:00Z", "* * * * *", 30 * time.Second, 2 * time.Minute, []string{"06:00:06", "06:01:06"}},
		"a tenth until the next": {"2027-06-01T05:59:50Z", "0,2 6 * * *", 30 * time.Second, 3 * time.Minute, []string{"06:00:12", "06:02:30"}},
		"under way":              {"2027-06-01T06:00:20Z", "0 6 * * *", 30 * time.Second, time.Minute, []string{"06:00:30"}},
		"intervals":              {"2027-06-01T06:00:00Z", "@every 2m", 30 * time.Second, 5 * time.Minute, []string{"06:02:12", "06:04:12"}},
		"to the second":          {"2027-06-01T05:59:50Z", "0 6 * * *", 0, time.Minute, []string{"06:00:00"}},
		"a zone":                 {"2027-06-01T05:59:50Z", "CRON_TZ=Europe/London 0 7 * * *", 30 * time.Second, time.Minute, []string{"06:00:30"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := at(c.from)
				clock := newClock(w.now)
				defer clock.stop()
				if err := clock.set(timetable{c.expression, lateness{most: c.most, part: 1}}); err != nil {
					t.Fatal(err)
				}
				var got []string
				for end := time.After(c.passes); ; {
					select {
					case <-clock.fires():
						if clock.due() {
							got = append(got, w.now().UTC().Format("15:04:05"))
						}
						continue
					case <-end:
					}
					break
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			})
		})
	}
}
