package notify

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// change is one of a connection of production.
func change(provider string, gate plan.Gate, outcome report.Outcome) report.Change {
	return report.Change{Change: plan.Change{ID: "production/" + provider + ":pause", Connection: "production/" + provider, Provider: provider, Action: plan.Pause, Class: plan.Disruptive, Gate: gate,
		ActiveUsers: &plan.Users{Count: 12, Exact: true}}, Outcome: outcome}
}

// TestOf: which outcome gives which state, in which words, applied and only proposed.
func TestOf(t *testing.T) {
	t.Parallel()
	seven := report.Summary{Unchanged: 7}
	for _, c := range []struct {
		name     string
		mode     report.Mode
		e        report.Environment
		want     State
		proposed State
		says     string
	}{
		{"in sync", report.Apply, report.Environment{Summary: seven}, Success, Success, "Nothing to change, 7 connections in sync."},
		{"in sync, watched", report.DryRun, report.Environment{Summary: seven}, Success, Success, "Nothing to change, 7 connections in sync."},
		{"applied", report.Apply, report.Environment{Changes: []report.Change{change("strava", plan.Ready, report.Applied)}}, Success, Success, "1 connection applied."},
		{"waiting", report.Apply, report.Environment{Changes: []report.Change{change("strava", plan.Waiting, report.Waiting)}}, Pending, Success, "1 connection waiting. Nothing was written."},
		{"needs approval", report.Apply, report.Environment{Changes: []report.Change{change("strava", plan.Approval, report.Skipped)}}, Pending, Success, "1 connection needs approval. Nothing was written."},
		{"blocked", report.Apply, report.Environment{Changes: []report.Change{change("strava", plan.Blocked, report.Skipped), change("oura", plan.Ready, report.Applied)}}, Pending, Success, "1 connection applied, 1 blocked."},
		{"differs, and it only watches", report.DryRun, report.Environment{Changes: []report.Change{change("strava", plan.Ready, "")}}, Pending, Success, "1 connection ready. Nothing was written."},
		{"not compared", report.Apply, report.Environment{NotCompared: []plan.NotCompared{{Connection: "production/strava", Field: "client_secret"}}}, Pending, Success, "1 not compared."},
		{"failed", report.Apply, report.Environment{Changes: []report.Change{change("strava", plan.Ready, report.Failed)}}, Failure, Failure, "1 connection FAILED."},
		{"unknown", report.Apply, report.Environment{Changes: []report.Change{change("strava", plan.Ready, report.Unknown)}}, Failure, Failure, "1 connection UNKNOWN."},
		{"may have written", report.DryRun, report.Environment{MayHaveWritten: []string{"strava/client_secret"}}, Failure, Failure, "1 error (production). The server may have written: look at Terra before anything else."},
		{"never tried", report.Apply, report.Environment{Changes: []report.Change{change("strava", plan.Ready, report.NotAttempted)}}, Error, Error, "1 connection not tried. Nothing was written."},
		{"not read", report.Apply, report.Environment{Error: "list sources: hunter2"}, Error, Error, "1 error (production)."},
		{"not managed", report.Apply, report.Environment{Unmanaged: []string{"peloton"}, Summary: seven}, Success, Success, "Nothing to change, 7 connections in sync."},
	} {
		for _, proposed := range []bool{false, true} {
			r := report.New(c.mode, commit, time.Unix(0, 0))
			c.e.Name = "production"
			r.Environments = []report.Environment{c.e}
			r.Finish(time.Unix(1, 0))
			want := c.want
			if proposed {
				want = c.proposed
			}
			got := Of(r, proposed)
			if len(got) != 1 || got[0].State != want || got[0].Environment != "production" || got[0].Commit != commit {
				t.Errorf("%s, proposed %t: got %+v, want %s", c.name, proposed, got, want)
				continue
			}
			if got[0].Description != c.says {
				t.Errorf("%s: %q, want %q", c.name, got[0].Description, c.says)
			}
		}
	}
}

// TestOfSeveral: each environment has its own, and a run that could not begin one of none.
func TestOfSeveral(t *testing.T) {
	t.Parallel()
	r := report.New(report.Apply, commit, time.Unix(0, 0))
	if got := Of(r, false); got != nil {
		t.Errorf("nothing ran: %v", got)
	}
	r.Error = "read repository: hunter2"
	want := []Status{{Commit: commit, State: Error, Description: "1 error."}}
	if diff := cmp.Diff(want, Of(r, true)); diff != "" {
		t.Errorf("not begun (-want +got):\n%s", diff)
	}
	r.Error = ""
	r.Environments = []report.Environment{{Name: "production", Error: "x"}, {Name: "staging", Summary: report.Summary{Unchanged: 1}}}
	want = []Status{
		{Environment: "production", Commit: commit, State: Error, Description: "1 error (production)."},
		{Environment: "staging", Commit: commit, State: Success, Description: "Nothing to change, 1 connection in sync."},
	}
	if diff := cmp.Diff(want, Of(r, false)); diff != "" {
		t.Errorf("two (-want +got):\n%s", diff)
	}
}

// TestDescriptionsAreShort: of one line, of no more characters than a forge takes.
func TestDescriptionsAreShort(t *testing.T) {
	t.Parallel()
	for _, why := range []string{strings.Repeat("é", 500), "a\nb\x1b[31m", strings.Repeat("word ", 100), "short"} {
		got := Refused("production", commit, why).Description
		if n := utf8.RuneCountInString(got); n > 140 || strings.ContainsAny(got, "\n\x1b") {
			t.Errorf("%d characters: %q", n, got)
		}
		if strings.HasSuffix(got, "…") != (len(why) > 200) {
			t.Errorf("%q does not say whether it goes on", got)
		}
	}
}
