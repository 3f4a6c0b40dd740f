package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// stub is a Poller and Runner that remembers what was asked of it.
type stub struct {
	mu           sync.Mutex
	environments []Environment
	err          error
	polls        int
	runs         []string // name@minute
	running      map[string]int
	began        time.Time
	takes        time.Duration
	ignore       bool // do not end with the context
	boom         bool // panic in Poll
	code         int  // with which runs end
	moments      []Moment
	overlaps     bool // there were two runs of one environment at a time
}

func (s *stub) Poll(context.Context) ([]Environment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polls++
	if s.boom {
		panic("boom")
	}
	return slices.Clone(s.environments), s.err
}

func (s *stub) Run(ctx context.Context, name string, _ *Course) report.Report {
	s.mu.Lock()
	s.running[name]++
	s.overlaps = s.overlaps || s.running[name] > 1
	s.runs = append(s.runs, fmt.Sprintf("%s@%d", name, int(time.Since(s.began).Minutes())))
	s.mu.Unlock()
	done := ctx.Done()
	if s.ignore {
		done = nil
	}
	select {
	case <-time.After(s.takes):
	case <-done:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[name]--
	return report.Report{ExitCode: s.code, Environments: []report.Environment{{Name: name}}}
}

// Next gives the first of the moments that have not come.
func (s *stub) Next(string) Moment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.moments {
		if m.At.After(time.Now()) {
			return m
		}
	}
	return Moment{}
}

func (s *stub) comes(moments ...Moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moments = moments
}

func (s *stub) end(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
}

func (s *stub) set(err error, environments ...Environment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.environments, s.err = environments, err
}

func (s *stub) ran() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.runs)
}

// start runs a daemon in the current bubble and returns how to stop it.
func start(t *testing.T, s *stub, log *bytes.Buffer) (*Daemon, func()) {
	t.Helper()
	s.running, s.began = map[string]int{}, time.Now()
	d, err := New(Options{Sources: []Source{{Poller: s, Runner: s, Poll: time.Minute}}, Log: slog.New(slog.NewJSONHandler(log, nil)), Deadline: 10 * time.Minute, AtOnce: 2, UnreadyAfter: 15 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return d, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if s.overlaps {
			t.Errorf("two runs of one environment at a time: %v", s.ran())
		}
	}
}

// after lets the time of the bubble pass.
func after(d time.Duration) { <-time.After(d); synctest.Wait() }

func TestRunsOnCommitAndBySchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: time.Second, environments: []Environment{
			{Name: "production", Schedule: "*/15 * * * *", Revision: "a"}, {Name: "staging", Revision: "a"},
		}}
		_, stop := start(t, s, &bytes.Buffer{})
		after(30*time.Minute + 30*time.Second) // between two polls
		s.set(nil, Environment{Name: "production", Schedule: "@hourly", Revision: "a"}, Environment{Name: "staging", Revision: "b"})
		after(31 * time.Minute)
		stop()
		got := s.ran()
		slices.Sort(got)
		want := []string{"production@0", "production@15", "production@30", "production@60", "staging@0", "staging@31"}
		if !slices.Equal(got, want) {
			t.Errorf("runs = %v, want %v", got, want)
		}
	})
}

// TestRunsWhenAMomentComes: without a schedule, and between two ticks of one, once each.
// A moment that is new is asked for when somebody says so.
func TestRunsWhenAMomentComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{environments: []Environment{{Name: "production", Schedule: "@hourly", Revision: "a"}, {Name: "staging", Revision: "a"}}}
		in := func(d time.Duration) time.Time { return time.Now().Add(d) }
		s.comes(Moment{in(10*time.Minute + time.Second), "a key is due"}, Moment{in(25 * time.Minute), "a window opens"})
		d, stop := start(t, s, &bytes.Buffer{})
		after(20 * time.Minute)
		if e := d.Status().Environments[0]; e.NextRun == nil || !e.NextRun.Equal(in(5*time.Minute)) || e.NextRunReason != "a window opens" {
			t.Errorf("the next run is at %v: %s", e.NextRun, e.NextRunReason)
		}
		after(20 * time.Minute)
		s.comes(Moment{in(10 * time.Minute), "a pause ends"})
		after(time.Minute)
		if e := d.Status().Environments[0]; e.NextRunReason != "its schedule" {
			t.Errorf("nobody said that there is another moment, and the next run is because of %q", e.NextRunReason)
		}
		d.Look()
		after(15 * time.Minute)
		stop()
		got := s.ran()
		slices.Sort(got)
		want := []string{"production@0", "production@10", "production@25", "production@50", "staging@0", "staging@10", "staging@25", "staging@50"}
		if !slices.Equal(got, want) {
			t.Errorf("runs = %v, want %v", got, want)
		}
	})
}

func TestFailedPollKeepsEnvironments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{environments: []Environment{{Name: "production", Schedule: "*/15 * * * *", Revision: "a"}}}
		log := &bytes.Buffer{}
		_, stop := start(t, s, log)
		after(90 * time.Second)
		s.set(errors.New("no route"))
		after(15 * time.Minute)
		stop()
		if got := s.ran(); !slices.Equal(got, []string{"production@0", "production@15"}) {
			t.Errorf("runs = %v", got)
		}
		if !strings.Contains(log.String(), "no route") {
			t.Errorf("log = %s", log)
		}
	})
}

// TestPollThatRefusesACommitStillNamesEnvironments: they run from what was good.
func TestPollThatRefusesACommitStillNamesEnvironments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{}
		s.set(errors.New("commit b is not used"), Environment{Name: "production", Revision: "a", Behind: "commit b is not used"})
		d, stop := start(t, s, &bytes.Buffer{})
		after(time.Minute)
		got := d.Status()
		stop()
		if runs := s.ran(); !slices.Equal(runs, []string{"production@0"}) || got.Poll.Error != "commit b is not used" {
			t.Errorf("runs = %v, poll = %+v", runs, got.Poll)
		}
	})
}

func TestEnvironmentThatIsGoneStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{environments: []Environment{{Name: "production", Schedule: "*/5 * * * *", Revision: "a"}}}
		_, stop := start(t, s, &bytes.Buffer{})
		after(90 * time.Second)
		s.set(nil)
		after(time.Hour)
		stop()
		if got := s.ran(); len(got) != 1 {
			t.Errorf("runs = %v, want the first only", got)
		}
	})
}

func TestRunsOfOneEnvironmentDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: 7 * time.Minute, environments: []Environment{{Name: "production", Schedule: "* * * * *", Revision: "a"}}}
		_, stop := start(t, s, &bytes.Buffer{}) // which looks for it
		after(time.Hour)
		stop()
		if got := s.ran(); len(got) < 8 {
			t.Errorf("runs = %v", got)
		}
	})
}

// TestAccountThatHangsDelaysNoOther: each has its own room.
func TestAccountThatHangsDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: 3 * time.Minute}
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			s.environments = append(s.environments, Environment{Name: name, Account: "hangs", Revision: "1"})
		}
		s.environments = append(s.environments, Environment{Name: "well", Account: "other", Revision: "1"})
		_, stop := start(t, s, &bytes.Buffer{})
		after(time.Minute)
		if got := s.ran(); len(got) != 3 || !slices.Contains(got, "well@0") {
			t.Errorf("runs after a minute: %v, want two that hang and the one that does not wait for them", got)
		}
		after(10 * time.Minute)
		stop()
	})
}

func TestStopReachesTheRunUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: 9 * time.Minute, environments: []Environment{{Name: "production", Revision: "a"}}}
		_, stop := start(t, s, &bytes.Buffer{})
		after(time.Minute)
		begun := time.Now()
		stop()
		if took := time.Since(begun); took > time.Second {
			t.Errorf("stopping took %v", took)
		}
	})
}

func TestHealthFollowsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: 30 * time.Minute, ignore: true, environments: []Environment{{Name: "production", Revision: "a"}}}
		d, stop := start(t, s, &bytes.Buffer{})
		probe := func() (int, string) {
			w := httptest.NewRecorder()
			d.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
			return w.Code, w.Body.String()
		}
		after(5 * time.Minute)
		if code, body := probe(); code != 200 {
			t.Errorf("a run within its deadline: %d %s", code, body)
		}
		after(7 * time.Minute)
		if code, body := probe(); code != 503 || !strings.Contains(body, "production") {
			t.Errorf("a run beyond its deadline: %d %s", code, body)
		}
		after(20 * time.Minute)
		if code, body := probe(); code != 200 {
			t.Errorf("after it ended: %d %s", code, body)
		}
		stop()
	})
}

func TestScheduleThatCannotBeParsedRunsOnCommits(t *testing.T) {
	for _, expression := range []string{"nonsense", "CRON_TZ=X"} {
		synctest.Test(t, func(t *testing.T) {
			s := &stub{environments: []Environment{{Name: "production", Schedule: expression, Revision: "a"}}}
			log := &bytes.Buffer{}
			_, stop := start(t, s, log)
			after(time.Hour)
			stop()
			if got := s.ran(); len(got) != 1 || !strings.Contains(log.String(), "schedule is not understood") {
				t.Errorf("runs = %v, log = %s", got, log)
			}
		})
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
