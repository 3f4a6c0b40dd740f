package daemon

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// changing is a Runner whose outcome changes.
type changing struct {
	*stub
	report *report.Report
}

func (c changing) Run(ctx context.Context, name string, _ *Course) report.Report {
	_ = c.stub.Run(ctx, name, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	return *c.report
}

// TestReadinessIsSuccess: the daemon is ready once the repository was read, and not ready
// while git, or Terra for an environment, has failed for longer than the limit. A run that
// a guard holds is a success; liveness is none of it.
func TestReadinessIsSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: time.Second, running: map[string]int{}, began: time.Now()}
		s.set(errors.New("no route"))
		outcome := report.Report{ExitCode: report.ExitHeld}
		d, err := New(Options{Sources: []Source{{Poller: s, Runner: changing{s, &outcome}, Poll: time.Minute}}, Log: discard(), Deadline: 10 * time.Minute, AtOnce: 2, UnreadyAfter: 15 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = d.Run(ctx) }()
		page := func(path string) (int, string) {
			w := httptest.NewRecorder()
			d.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			return w.Code, w.Body.String()
		}
		wants := func(when string, code int, lines ...string) {
			t.Helper()
			got, text := page("/readyz")
			for _, line := range lines {
				if !strings.Contains(text, line) {
					t.Errorf("%s: lacks %q:\n%s", when, line, text)
				}
			}
			if got != code || strings.Contains(text, "no route") || strings.Contains(text, "refused") {
				t.Errorf("%s: %d, want %d:\n%s", when, got, code, text)
			}
			if alive, text := page("/healthz"); alive != 200 {
				t.Errorf("%s: healthz: %d %s", when, alive, text)
			}
			if unready := d.Status().Unready; (len(unready) > 0) != (code == 503 && !strings.Contains(text, "not read yet")) {
				t.Errorf("%s: status: %+v", when, unready)
			}
		}
		fails := func(at time.Time) string { return " fails since " + at.UTC().Format(time.RFC3339) }
		began := time.Now()
		after(time.Second)
		wants("at the start", 503, "not ready: git was not read yet")
		after(15 * time.Minute)
		wants("before the first success", 503, "not ready: git"+fails(began))
		both := []Environment{{Name: "git", Revision: "a", Schedule: "* * * * *"}, {Name: "staging", Revision: "a"}}
		s.set(nil, both...)
		after(2 * time.Minute)
		wants("held", 200, "ok")

		since := time.Now()
		s.set(errors.New("no route"))
		after(15 * time.Minute)
		wants("git fails for less than the limit", 200, "ok")
		after(2 * time.Minute)
		wants("git fails", 503, "not ready: git fails since ")
		if st := d.Status(); st.Poll.Failures < 16 || st.Poll.FailingSince.Before(since) || st.Unready[0].Cause != "no route" {
			t.Errorf("got %+v", st.Poll)
		}
		s.set(nil, both...)
		after(time.Minute)
		wants("git is back", 200, "ok")

		s.set(errors.New("terra.yaml is not valid"), both...)
		after(20 * time.Minute)
		wants("a commit is refused", 200, "ok")
		s.set(nil, both...)
		after(time.Minute)

		s.mu.Lock()
		outcome = report.Report{ExitCode: report.ExitFailed, Environments: []report.Environment{{Changes: []report.Change{
			{Change: plan.Change{ID: "git/strava:enable"}, Outcome: report.Failed, Error: "refused"},
		}}}}
		s.mu.Unlock()
		after(20 * time.Minute)
		wants("Terra fails for one", 503, "not ready: environment git fails since ")
		st := d.Status()
		if len(st.Unready) != 1 || st.Unready[0].Cause != "git/strava:enable: refused" || st.Environments[0].LastSuccess == nil || st.Environments[1].FailingSince != nil {
			t.Errorf("got %+v, %+v", st.Unready, st.Environments)
		}
		s.mu.Lock()
		outcome = report.Report{ExitCode: report.ExitError, Environments: []report.Environment{{Error: "refused: the runner does not let it touch it", CommitAtFault: true}}}
		s.mu.Unlock()
		after(40 * time.Minute)
		wants("a commit names what the runner does not allow", 200, "ok")
		if e := d.Status().Environments[0]; !e.LastRun.Refused || e.LastRun.ExitCode != report.ExitError || e.FailingSince != nil || e.Failures != 0 ||
			e.LastSuccess == nil || time.Since(*e.LastSuccess) < 20*time.Minute {
			t.Errorf("what a commit may not have is neither a success nor a failure: %+v %+v", e.LastRun, e.Tries)
		}

		s.mu.Lock()
		outcome = report.Report{}
		s.mu.Unlock()
		after(time.Hour)
		wants("Terra is back", 200, "ok")
		cancel()
		synctest.Wait()
	})
}

// hanging is a Poller whose git server never answers.
type hanging struct{ *stub }

func (h hanging) Poll(ctx context.Context) ([]Environment, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestAFirstReadThatHangsCountsFromTheStart: nothing has failed yet, and nothing was read.
func TestAFirstReadThatHangsCountsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := hanging{&stub{running: map[string]int{}, began: time.Now()}}
		d, err := New(Options{Sources: []Source{{Poller: s, Runner: s, Poll: time.Minute}}, Log: discard(), Deadline: 10 * time.Minute, AtOnce: 2, UnreadyAfter: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		go func() { _ = d.Run(ctx) }()
		after(6 * time.Minute)
		if unready := d.Status().Unready; len(unready) != 1 || !unready[0].Since.Equal(began) || unready[0].Cause != "the repository was not read yet" {
			t.Errorf("got %+v", unready)
		}
		cancel()
		synctest.Wait()
	})
}

// TestADaemonThatCannotRememberIsNotReady: it applies nothing while the state cannot be written.
func TestADaemonThatCannotRememberIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{running: map[string]int{}, began: time.Now()}
		var state error
		d, err := New(Options{Sources: []Source{{Poller: s, Runner: s, Poll: time.Minute}}, Log: discard(), Deadline: 10 * time.Minute, AtOnce: 2, UnreadyAfter: 5 * time.Minute,
			Check: func() error { return state }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = d.Run(ctx) }()
		after(time.Second)
		for _, c := range []struct {
			state error
			code  int
			text  string
		}{
			{nil, 200, "ok\n"}, {errors.New("/srv/state was moved"), 503, "not ready: the state cannot be written (/healthz says why)\n"}, {nil, 200, "ok\n"},
		} {
			state = c.state
			w := httptest.NewRecorder()
			d.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			if w.Code != c.code || w.Body.String() != c.text {
				t.Errorf("%v: got %d %q, want %d %q", c.state, w.Code, w.Body.String(), c.code, c.text)
			}
		}
		cancel()
		synctest.Wait()
	})
}
