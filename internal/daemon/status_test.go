package daemon

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestRunNow runs at once, after what is under way, and only what can be run.
func TestRunNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: 5 * time.Minute, environments: []Environment{
			{Name: "production", Revision: "a"}, {Name: "staging", Revision: "a"}, {Name: "broken", Behind: "no good commit is at hand"},
		}}
		d, stop := start(t, s, &bytes.Buffer{})
		if _, err := d.RunNow(""); !errors.Is(err, errNothingToRun) {
			t.Errorf("before the first poll: got %v", err)
		}
		after(2*time.Minute + time.Second)
		for range 3 { // under way: three wishes are one run more
			if got, err := d.RunNow("production"); err != nil || !slices.Equal(got, []string{"production"}) {
				t.Errorf("got %v, %v", got, err)
			}
		}
		after(10 * time.Minute)
		got, err := d.RunNow("")
		if diff := cmp.Diff([]string{"production", "staging"}, got); err != nil || diff != "" {
			t.Errorf("all: %v\n%s", err, diff)
		}
		for name, want := range map[string]string{"prodution": "the repository has broken, production, staging", "broken": "no good commit is at hand"} {
			if _, err := d.RunNow(name); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", name, err, want)
			}
		}
		after(time.Minute)
		stop()
		runs := s.ran()
		slices.Sort(runs)
		if want := []string{"production@0", "production@12", "production@5", "staging@0", "staging@12"}; !slices.Equal(runs, want) {
			t.Errorf("runs = %v, want %v", runs, want)
		}
	})
}

// outcomes is a Runner with a report to give.
type outcomes struct {
	*stub
	report report.Report
}

func (o outcomes) Run(ctx context.Context, name string, _ *Course) report.Report {
	_ = o.stub.Run(ctx, name, nil)
	r := o.report
	r.StartedAt = time.Now()
	return r
}

func TestStatusFollowsPollsAndRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: time.Minute, running: map[string]int{}, began: time.Now(), environments: []Environment{
			{Name: "production", DevID: "prod-1", Schedule: "*/15 * * * *", Revision: "a"},
			{Name: "broken", Behind: "no good commit is at hand"},
			{Name: "z\x1b[2J\u009b", Behind: "no good commit is at hand"},
		}}
		held := report.Change{Change: plan.Change{ID: "production/strava:pause", Gate: plan.Blocked, Guard: "pause", GateReason: "why"}, Outcome: report.Skipped}
		done := report.Change{Change: plan.Change{ID: "production/polar:enable", Gate: plan.Ready}, Outcome: report.Applied}
		runner := outcomes{s, report.Report{
			ExitCode: 3, DurationMS: 60_000,
			Environments: []report.Environment{{Name: "production", PlanHash: "sha256:1", Summary: report.Summary{Applied: 1, Gated: 1}, Changes: []report.Change{held, done}}},
		}}
		d, err := New(Options{Sources: []Source{{Poller: s, Runner: runner, Poll: time.Minute}}, Log: discard(), Deadline: 10 * time.Minute, AtOnce: 2, UnreadyAfter: 15 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = d.Run(ctx) }()
		began := time.Now().UTC()
		synctest.Wait()
		if running := d.Status().Environments[1].Running; running == nil || !running.Equal(began) {
			t.Errorf("running since %v, want %v", running, began)
		}
		after(61 * time.Second)
		s.set(errors.New("no route"))
		after(time.Minute)
		got := d.Status()
		before, polled, ended, next := began.Add(time.Minute), began.Add(2*time.Minute), began.Add(time.Minute), began.Add(15*time.Minute)
		polls := PollStatus{At: &polled, Error: "no route", Tries: Tries{LastSuccess: &before, FailingSince: &polled, Failures: 1}}
		want := Status{Schema: StatusSchema, StartedAt: began, Poll: polls, Paused: []Pause{}, Stuck: []string{}, Unready: []Unready{}, Receivers: []Receiver{}, Environments: []EnvironmentStatus{
			{Name: "broken", BehindReason: "no good commit is at hand", Gated: []GatedChange{}},
			{Name: "production", DevID: "prod-1", Revision: "a", NextRun: &next, NextRunReason: "its schedule", Tries: Tries{LastSuccess: &ended},
				LastRun: &LastRun{StartedAt: began.Add(time.Minute), DurationMS: 60_000, ExitCode: 3, PlanHash: "sha256:1", Summary: report.Summary{Applied: 1, Gated: 1}},
				Gated:   []GatedChange{{Change: "production/strava:pause", Gate: "blocked", Guard: "pause", Reason: "why"}}},
			{Name: "z\x1b[2J\u009b", BehindReason: "no good commit is at hand", Gated: []GatedChange{}},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		if text := w.Body.String(); w.Code != 200 || !strings.Contains(text, "broken is not on the newest commit") || strings.Contains(text, "production") ||
			!strings.Contains(text, `z\u001B[2J\u009B is not on`) {
			t.Errorf("healthz: %d %s", w.Code, text)
		}
		cancel()
		synctest.Wait()
	})
}

// TestStartedIsOfTheProcess: a daemon that goes on with another configuration runs on.
func TestStartedIsOfTheProcess(t *testing.T) {
	t.Parallel()
	s := &stub{running: map[string]int{}}
	began := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	d, err := New(Options{Sources: []Source{{Poller: s, Runner: s, Poll: time.Minute}}, Started: began, Log: discard(), Deadline: time.Minute, AtOnce: 1, UnreadyAfter: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Status().StartedAt; !got.Equal(began) {
		t.Errorf("it runs since %v, want %v", got, began)
	}
}
