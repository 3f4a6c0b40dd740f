package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func TestEventsAreLogged(t *testing.T) {
	var out bytes.Buffer
	r := report.Report{Environments: []report.Environment{{Name: "production", Events: []report.Event{
		{Kind: report.KeyOverdueEvent, Connection: "production/strava", Text: "key 1 is 95 days old"},
	}}}}
	logRun(t.Context(), slog.New(slog.NewJSONHandler(&out, nil)), "production", r, nil)
	for _, want := range []string{`"level":"WARN"`, `"msg":"event"`, `"kind":"key-overdue"`, `"connection":"production/strava"`, `"text":"key 1 is 95 days old"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %s in it", out.String(), want)
		}
	}
	if strings.Contains(out.String(), `"since"`) {
		t.Errorf("nobody knows since when, and the log says it: %s", out.String())
	}
	r.Environments[0].Events[0].Since = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	logRun(t.Context(), slog.New(slog.NewJSONHandler(&out, nil)), "production", r, nil)
	if want := `"since":"2026-12-01T09:00:00Z"`; !strings.Contains(out.String(), want) {
		t.Errorf("got %s, want %s in it", out.String(), want)
	}
}

// TestWhatLastsIsToldOnceADay: a week of runs in which the same is held, warned
// about and not compared. What was done is always told.
func TestWhatLastsIsToldOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := report.Change{Change: plan.Change{ID: "production/strava:pause", Gate: plan.Blocked, GateReason: "too many"}, Outcome: report.Skipped}
		seen := report.Change{Change: plan.Change{ID: "production/oura:enable", Gate: plan.Ready}} // of a daemon that only looks
		done := report.Change{Change: plan.Change{ID: "production/polar:enable", Gate: plan.Ready}, Outcome: report.Failed, Error: "no answer"}
		quiet := report.Environment{Name: "production", Warnings: plan.Warnings("it is late"), Changes: []report.Change{held, seen, done},
			NotCompared: []plan.NotCompared{{Connection: "production/whoop", Field: "client_secret", Reason: "no identity"}},
			Events:      []report.Event{{Kind: report.KeyOverdueEvent, Text: "key 1 is old"}}}
		other := quiet
		other.Warnings = plan.Warnings("it is later")
		var out bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&out, nil))
		var last logged
		for range 7 * 24 {
			r := report.Report{Warnings: plan.Warnings("of the whole"), Environments: []report.Environment{quiet}}
			last = logRun(t.Context(), log, "production", r, last)
			<-time.After(time.Hour)
		}
		for text, want := range map[string]int{"it is late": 7, "of the whole": 7, "too many": 7, "oura:enable": 7, "no identity": 7, "key 1 is old": 7,
			"no answer": 7 * 24, `"msg":"run"`: 7 * 24} {
			if got := strings.Count(out.String(), text); got != want {
				t.Errorf("%q: told %d times in a week, want %d", text, got, want)
			}
		}
		out.Reset()
		for _, env := range []report.Environment{other, quiet, quiet} { // it differs, and is as before
			last = logRun(t.Context(), log, "production", report.Report{Environments: []report.Environment{env}}, last)
		}
		if got := strings.Count(out.String(), "it is late"); got != 2 {
			t.Errorf("%d lines, want one each time it begins:\n%s", got, out.String())
		}
		if len(last) != 5 {
			t.Errorf("it remembers %d lines, want those of the last run", len(last))
		}
	})
}
