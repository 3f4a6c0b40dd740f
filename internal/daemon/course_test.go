package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// runner is a repository with one environment, and runs of it as a test says.
type runner struct {
	mu       sync.Mutex
	began    time.Time
	revision string
	paused   string
	run      func(ctx context.Context, revision string, course *Course) report.Report
	told     []string // REVISION FROM-TO HOW
}

func (r *runner) Poll(context.Context) ([]Environment, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return []Environment{{Name: "production", Revision: r.revision}}, nil
}

func (*runner) Next(string) Moment { return Moment{} }

func (r *runner) Run(ctx context.Context, _ string, course *Course) report.Report {
	r.mu.Lock()
	revision, from := r.revision, time.Since(r.began)
	r.mu.Unlock()
	course.Of(revision)
	out := r.run(ctx, revision, course)
	var early *report.EndedEarlyError
	if errors.As(context.Cause(ctx), &early) {
		out.EndedEarly, out.ExitCode = early.Why, report.ExitError
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf("%s %s-%s %s", revision, from, time.Since(r.began), out.EndedEarly))
	return out
}

func (r *runner) commit(revision string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revision = revision
}

// course runs a daemon that polls each second over a runner, until do has ended.
func course(t *testing.T, r *runner, do func(d *Daemon)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r.began = time.Now()
		log := &bytes.Buffer{}
		d, err := New(Options{Sources: []Source{{Poller: r, Runner: r, Poll: time.Second}}, Log: slog.New(slog.NewJSONHandler(log, nil)), Deadline: 10 * time.Minute, AtOnce: 2,
			UnreadyAfter: time.Minute, Paused: func(_ string, writes []string) string {
				r.mu.Lock()
				defer r.mu.Unlock()
				if r.paused == "production/strava" && !slices.Equal(writes, []string{"production/strava"}) {
					return ""
				}
				return r.paused
			}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		do(d)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), `"level":"ERROR"`) {
			t.Errorf("an error is logged: %s", log)
		}
	})
}

func (r *runner) expect(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.told, want) {
		t.Errorf("runs:\n%s\nwant:\n%s", strings.Join(r.told, "\n"), strings.Join(want, "\n"))
	}
}

// hang is a run that does not get on.
func hang(ctx context.Context) report.Report { <-ctx.Done(); return report.Report{} }

// TestNewerCommitEndsARunThatWroteNothing at once, and the run of it follows at once. It is
// no failure: the daemon stays ready, and nothing is tried again for that.
func TestNewerCommitEndsARunThatWroteNothing(t *testing.T) {
	r := &runner{revision: "aaaaaaaaaaaaaaaaaaaa"}
	r.run = func(ctx context.Context, revision string, course *Course) report.Report {
		if revision == "bbbb" {
			return report.Report{}
		}
		for ctx.Err() == nil { // it gets on well, and has a lot to read
			course.Answered()
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		return report.Report{}
	}
	course(t, r, func(d *Daemon) {
		after(10*time.Second + time.Millisecond)
		r.commit("bbbb")
		after(time.Second)
		r.expect(t, "aaaaaaaaaaaaaaaaaaaa 0s-11s commit bbbb arrived", "bbbb 11s-11s ")
		after(time.Hour)
		s := d.Status()
		if e := s.Environments[0]; e.Failures != 0 || e.FailingSince != nil || len(s.Unready) != 0 || e.LastRun.Error != "" {
			t.Errorf("it counts as a failure: %+v, %+v", e, s.Unready)
		}
		r.expect(t, "aaaaaaaaaaaaaaaaaaaa 0s-11s commit bbbb arrived", "bbbb 11s-11s ")
	})
}

// TestNewerCommitLetsARunThatWritesFinishWhatItBegan: it is told to begin no more, and ends
// only where nothing is answered for five seconds.
func TestNewerCommitLetsARunThatWritesFinishWhatItBegan(t *testing.T) {
	for _, c := range []struct {
		hangs bool
		want  string
	}{{false, "aaaa 0s-30s "}, {true, "aaaa 0s-25s commit bbbb arrived"}} {
		r := &runner{revision: "aaaa"}
		told := time.Duration(0)
		r.run = func(ctx context.Context, revision string, course *Course) report.Report {
			if revision == "bbbb" {
				return report.Report{}
			}
			course.Writes([]string{"production/strava"})
			for n := range 30 {
				if c.hangs && n == 20 {
					return hang(ctx)
				}
				if course.Overtaken() != "" && told == 0 {
					told = time.Since(r.began)
				}
				<-time.After(time.Second)
				course.Answered()
			}
			return report.Report{}
		}
		course(t, r, func(*Daemon) {
			after(10*time.Second + time.Millisecond)
			r.commit("bbbb")
			after(time.Minute)
			_, end, _ := strings.Cut(c.want, "-")
			end, _, _ = strings.Cut(end, " ")
			r.expect(t, c.want, fmt.Sprintf("bbbb %s-%s ", end, end))
			if told < 11*time.Second || told > 12*time.Second {
				t.Errorf("it is told after %v, the commit arrived after 11s", told)
			}
		})
	}
}

// TestRunOfTheNewestCommitIsLeftAlone, also where it hangs: its own deadlines end it.
func TestRunOfTheNewestCommitIsLeftAlone(t *testing.T) {
	r := &runner{revision: "aaaa"}
	r.run = func(ctx context.Context, _ string, _ *Course) report.Report {
		select {
		case <-time.After(5 * time.Minute):
		case <-ctx.Done():
		}
		return report.Report{}
	}
	course(t, r, func(d *Daemon) {
		after(time.Minute)
		d.Look()
		after(9 * time.Minute)
		r.expect(t, "aaaa 0s-5m0s ")
	})
}

// TestCommitsThatNeverStopNeverStarve: there is a commit every five seconds, and a run takes
// long; some come to their end, however long that is.
func TestCommitsThatNeverStopNeverStarve(t *testing.T) {
	for _, takes := range []time.Duration{6 * time.Second, 3 * time.Minute, 9 * time.Minute} {
		r := &runner{revision: "0"}
		finished := 0
		r.run = func(ctx context.Context, _ string, _ *Course) report.Report {
			select {
			case <-time.After(takes):
				finished++
			case <-ctx.Done():
			}
			return report.Report{}
		}
		course(t, r, func(*Daemon) {
			for n := range 8 * 3600 / 5 {
				after(5 * time.Second)
				r.commit(fmt.Sprint(n + 1))
			}
			if least := int(8 * time.Hour / (4 * takes)); finished < least {
				t.Errorf("runs of %s: %d came to their end in 8 hours, want %d at least", takes, finished, least)
			}
		})
	}
}

// TestPauseEndsARunThatHangs where all that it does is paused, and not otherwise. Another run
// says a minute later what is held.
func TestPauseEndsARunThatHangs(t *testing.T) {
	for _, c := range []struct {
		paused string
		writes []string
		ends   bool
	}{
		{"everything: incident 12", nil, true}, {"everything: incident 12", []string{"production/oura"}, true},
		{"production/strava", []string{"production/strava"}, true}, {"production/strava", []string{"production/oura"}, false}, {"production/strava", nil, false},
	} {
		r := &runner{revision: "aaaa"}
		runs := 0
		r.run = func(ctx context.Context, _ string, course *Course) report.Report {
			if runs++; runs > 1 {
				return report.Report{}
			}
			if c.writes != nil {
				course.Writes(c.writes)
			}
			for range 20 { // gets on, then hangs
				<-time.After(time.Second)
				course.Answered()
			}
			return hang(ctx)
		}
		course(t, r, func(d *Daemon) {
			after(10 * time.Second)
			r.mu.Lock()
			r.paused = c.paused
			r.mu.Unlock()
			d.Look()
			after(2 * time.Minute)
			if !c.ends {
				r.expect(t)
				return
			}
			r.expect(t, "aaaa 0s-25s "+c.paused, "aaaa 1m25s-1m25s ")
		})
	}
}

// TestNewCommitVoidsThePauseAfterAFailure: it runs at once, and where that fails, too, again
// after a minute, however long the pause had become.
func TestNewCommitVoidsThePauseAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{code: report.ExitError, environments: []Environment{{Name: "production", Revision: "a"}}}
		_, stop := start(t, s, &bytes.Buffer{})
		after(200*time.Minute + time.Second) // the next would be 243
		s.set(nil, Environment{Name: "production", Revision: "b"})
		after(5 * time.Minute)
		stop()
		if got, want := s.ran()[9:], []string{"production@201", "production@202", "production@204"}; !slices.Equal(got, want) {
			t.Errorf("runs = %v, want %v", got, want)
		}
	})
}
