package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestEnvironmentThatComesBackWaitsForItsFormerRun: a commit that lacks an
// environment for one poll does not lead to two runs of it at a time.
func TestEnvironmentThatComesBackWaitsForItsFormerRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		production := Environment{Name: "production", Revision: "a"}
		s := &stub{takes: 5 * time.Minute, ignore: true, environments: []Environment{production}}
		_, stop := start(t, s, &bytes.Buffer{}) // which looks for two at a time
		after(30 * time.Second)
		s.set(nil)
		after(time.Minute)
		s.set(nil, production)
		after(10 * time.Minute)
		stop()
		if got := s.ran(); !slices.Equal(got, []string{"production@0", "production@5"}) {
			t.Errorf("runs = %v", got)
		}
	})
}

// TestNoRunBeginsAfterTheStop, also when one was asked for.
func TestNoRunBeginsAfterTheStop(t *testing.T) {
	for range 20 { // a select that could begin one does so every other time
		synctest.Test(t, func(t *testing.T) {
			s := &stub{takes: time.Minute, environments: []Environment{{Name: "production", Schedule: "* * * * *", Revision: "a"}}}
			d, stop := start(t, s, &bytes.Buffer{})
			after(30 * time.Second)
			if _, err := d.RunNow(""); err != nil {
				t.Fatal(err)
			}
			stop()
			if got := s.ran(); len(got) != 1 {
				t.Fatalf("runs = %v, want the first only", got)
			}
		})
	}
}

// TestRunThatDoesNotEndIsNamedAtTheStop: the process ends all the same.
func TestRunThatDoesNotEndIsNamedAtTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: time.Hour, ignore: true, environments: []Environment{{Name: "production", Revision: "a"}, {Name: "staging", Revision: "a"}}}
		s.running, s.began = map[string]int{}, time.Now()
		d, err := New(Options{Sources: []Source{{Poller: s, Runner: s, Poll: time.Minute}}, Log: discard(), Deadline: 10 * time.Minute, AtOnce: 1, UnreadyAfter: 15 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		after(time.Minute)
		cancel()
		began := time.Now()
		err = <-done
		if took := time.Since(began); took != stopWithin {
			t.Errorf("stopping took %v, want %v", took, stopWithin)
		}
		var stuck *StuckError
		if !errors.As(err, &stuck) || len(stuck.Names) != 1 {
			t.Errorf("got %v, want the one run that is under way", err)
		}
		after(2 * time.Hour)
	})
}

// bomb is a Runner that panics in one environment.
type bomb struct{ *stub }

func (b bomb) Run(ctx context.Context, name string, _ *Course) report.Report {
	if name == "broken" {
		runs := len(b.stub.Run(ctx, name, nil).Environments)
		_ = make([]string, runs)[runs+1]
	}
	return b.stub.Run(ctx, name, nil)
}

// TestRunThatPanicsIsAFailedRun: it is said with its stack, others go on, and it
// is tried again by its schedule.
func TestRunThatPanicsIsAFailedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{running: map[string]int{}, began: time.Now(), environments: []Environment{
			{Name: "broken", Schedule: "*/14 * * * *", Revision: "a"}, {Name: "production", Schedule: "*/14 * * * *", Revision: "a"},
		}}
		log := &bytes.Buffer{}
		d, err := New(Options{Sources: []Source{{Poller: s, Runner: bomb{s}, Poll: time.Minute}}, Log: slog.New(slog.NewJSONHandler(log, nil)), Deadline: 10 * time.Minute, AtOnce: 1, UnreadyAfter: 15 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		after(16 * time.Minute)
		status := d.Status()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		runs := s.ran()
		slices.Sort(runs)
		if want := []string{"broken@0", "broken@1", "broken@14", "broken@3", "broken@7", "production@0", "production@14"}; !slices.Equal(runs, want) {
			t.Errorf("runs = %v, want %v", runs, want)
		}
		last := status.Environments[0].LastRun
		if last == nil || last.ExitCode != report.ExitFailed || !strings.Contains(last.Error, "index out of range [2] with length 1") {
			t.Errorf("status = %+v, want a failed run", last)
		}
		if status.Environments[0].Running != nil {
			t.Error("it counts as running")
		}
		if text := log.String(); strings.Count(text, `"level":"ERROR"`) != 2*5 || !strings.Contains(text, "bomb.Run") {
			t.Errorf("%d errors", strings.Count(text, `"level":"ERROR"`))
		}
	})
}

// TestPollThatPanicsIsAFailedPoll, and the environments stay.
func TestPollThatPanicsIsAFailedPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{environments: []Environment{{Name: "production", Schedule: "*/15 * * * *", Revision: "a"}}}
		d, stop := start(t, s, &bytes.Buffer{})
		after(90 * time.Second)
		s.mu.Lock()
		s.boom = true
		s.mu.Unlock()
		after(15 * time.Minute)
		got := d.Status()
		stop()
		if runs := s.ran(); !slices.Equal(runs, []string{"production@0", "production@15"}) || !strings.Contains(got.Poll.Error, "boom") {
			t.Errorf("runs = %v, poll = %+v", runs, got.Poll)
		}
	})
}

// TestPollsThatFailForHoursAreNotALineEach: when it begins, changes and ends, and
// once an hour in between.
func TestPollsThatFailForHoursAreNotALineEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		production := Environment{Name: "production", Revision: "a"}
		s := &stub{environments: []Environment{production}}
		log := &bytes.Buffer{}
		_, stop := start(t, s, log)
		after(90 * time.Second)
		s.set(errors.New("no route"))
		after(5*time.Hour - time.Minute)
		s.set(errors.New("no such host"))
		after(30 * time.Minute)
		s.set(nil, production)
		after(48 * time.Hour)
		stop()
		for text, want := range map[string]int{"no route": 5, "no such host": 1, "can be used again": 1, `"msg":"run"`: 1} {
			if got := strings.Count(log.String(), text); got != want {
				t.Errorf("%q: %d lines, want %d", text, got, want)
			}
		}
		if lines := strings.Count(log.String(), "\n"); lines != 9 { // and that it stops
			t.Errorf("%d lines, want 9:\n%s", lines, log)
		}
	})
}

// TestRefusedCommitIsNoFailedPoll: the log says which commit is refused and why, each once,
// and does not call the poll failed.
func TestRefusedCommitIsNoFailedPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		production := Environment{Name: "production", Revision: "a"}
		s := &stub{environments: []Environment{production}}
		log := &bytes.Buffer{}
		_, stop := start(t, s, log)
		after(90 * time.Second)
		for _, hash := range []string{"b1", "c2"} {
			s.set(&RefusedCommitError{hash, errors.New("commit " + hash + " is not used: terra.yaml:3:1: unknown field")}, production)
			after(10 * time.Minute)
		}
		s.set(nil, production)
		after(10 * time.Minute)
		stop()
		for text, want := range map[string]int{"poll failed": 0, "is refused": 2, `"commit":"b1","reason":"commit b1 is not used: terra.yaml:3:1: unknown field"`: 1, `"commit":"c2"`: 1, "can be used again": 0, "the newest commit is used again": 1} {
			if got := strings.Count(log.String(), text); got != want {
				t.Errorf("%q: %d lines, want %d:\n%s", text, got, want, log)
			}
		}
	})
}

// TestTenThousandCyclesLeaveNothingBehind: no goroutine and no memory grows.
func TestTenThousandCyclesLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counter{}
		d, err := New(Options{Sources: []Source{{Poller: s, Runner: s, Poll: 10 * time.Second}}, Log: discard(), Deadline: time.Minute, AtOnce: 2, UnreadyAfter: 15 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		measure := func() (goroutines int, heap uint64) {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return runtime.NumGoroutine(), m.HeapAlloc
		}
		after(20 * time.Minute)
		goroutines, heap := measure()
		after(10_000 * time.Minute)
		moreGoroutines, moreHeap := measure()
		runs := s.runs
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		t.Logf("COUNT daemon_cycles=%d", runs)
		if runs < 10_000 {
			t.Errorf("%d runs, want 10,000", runs)
		}
		if moreGoroutines > goroutines+1 { // the environment that comes and goes
			t.Errorf("%d goroutines, before it were %d", moreGoroutines, goroutines)
		}
		if moreHeap > heap+1<<20 {
			t.Errorf("%d bytes, before it were %d", moreHeap, heap)
		}
	})
}

// counter has an environment that comes and goes, and one with a new commit in
// every poll.
type counter struct{ polls, runs int }

func (c *counter) Poll(context.Context) ([]Environment, error) {
	c.polls++
	out := []Environment{{Name: "production", Schedule: "* * * * *", Revision: "a"}}
	if c.polls%3 == 0 {
		out = append(out, Environment{Name: "staging"})
	}
	return out, nil
}

func (*counter) Next(string) Moment { return Moment{} }

func (c *counter) Run(context.Context, string, *Course) report.Report {
	c.runs++
	return report.Report{}
}

// TestRunThatFailedIsTriedAgain, also without a schedule, ever more seldom, until
// one has not failed.
func TestRunThatFailedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{code: report.ExitError, environments: []Environment{{Name: "production", Revision: "a"}}}
		d, stop := start(t, s, &bytes.Buffer{})
		after(6*time.Hour + time.Second)
		if next := d.Status().Environments[0].NextRun; next == nil || time.Until(*next) > time.Hour {
			t.Errorf("the next run is at %v", next)
		}
		s.end(report.ExitHeld)
		after(time.Hour)
		if next := d.Status().Environments[0].NextRun; next != nil {
			t.Errorf("it did not fail, and the next run is at %v", next)
		}
		after(24 * time.Hour)
		s.end(report.ExitFailed)
		s.set(nil, Environment{Name: "production", Revision: "b"})
		after(2 * time.Minute)
		stop()
		want := []string{"production@0", "production@1", "production@3", "production@7", "production@15", "production@31", "production@63",
			"production@123", "production@183", "production@243", "production@303", "production@363", "production@1861", "production@1862"}
		if got := s.ran(); !slices.Equal(got, want) {
			t.Errorf("runs = %v, want %v", got, want)
		}
	})
}
