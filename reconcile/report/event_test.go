package report

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func TestStuckEvents(t *testing.T) {
	now := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	held := func(gate plan.Gate, outcome Outcome, ago time.Duration) Change {
		c := Change{Change: plan.Change{ID: "production/strava:pause", Connection: "production/strava", Gate: gate, Guard: "protect", GateReason: "protected", Remediations: []plan.Remediation{{Kind: plan.ByCommit, Text: "commit policy: {protect: false}"}}}, Outcome: outcome}
		if ago > 0 {
			c.GatedSince = now.Add(-ago)
		}
		return c
	}
	for _, row := range []struct {
		name   string
		change Change
		want   int
	}{
		{"never held", held(plan.Ready, "", 0), 0},
		{"held, nobody remembers since when", held(plan.Blocked, "", 0), 0},
		{"held for nearly seven days", held(plan.Blocked, Skipped, StuckAfter-1), 0},
		{"held for exactly seven days, when the daemon wakes for it", held(plan.Blocked, Skipped, StuckAfter), 1},
		{"held for longer", held(plan.Blocked, Skipped, StuckAfter+time.Second), 1},
		{"waiting for longer", held(plan.Waiting, Waiting, StuckAfter+time.Second), 1},
		{"approved at last", held(plan.Approval, Applied, StuckAfter+time.Second), 0},
		{"ready at last", held(plan.Ready, Failed, StuckAfter+time.Second), 0},
	} {
		got := StuckEvents([]Change{row.change}, now)
		if len(got) != row.want {
			t.Errorf("%s: got %d events, want %d: %+v", row.name, len(got), row.want, got)
		}
	}
	got := StuckEvents([]Change{held(plan.Blocked, Skipped, 9*24*time.Hour)}, now)[0]
	if got.Kind != Stuck || got.Connection != "production/strava" || got.Change != "production/strava:pause" || !got.Since.Equal(now.Add(-9*24*time.Hour)) {
		t.Errorf("got %+v", got)
	}
	for _, want := range []string{"held for 9 days", "guard protect", "protect: false"} {
		if !strings.Contains(got.Text+Words(got.Remediations), want) {
			t.Errorf("the event lacks %q: %+v", want, got)
		}
	}
}

// An environment that has only an event to tell of is not passed over.
func TestEventsAreTold(t *testing.T) {
	r := New(Apply, "abc", time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC))
	e := planOf(plan.Plan{Environment: "production", DevID: "prod", Unchanged: 1}, "sha256:1")
	e.Events = []Event{{Kind: Stuck, Connection: "production/strava", Text: "held for 9 days"}}
	r.Environments = append(r.Environments, e)
	r.Finish(r.StartedAt)
	if r.ExitCode != ExitDone {
		t.Errorf("an event changes the exit code to %d", r.ExitCode)
	}
	forms := everyForm(t, r)
	forms["json"] = render(t, func(w io.Writer) error { return JSON(w, r) })
	for form, text := range forms {
		if !strings.Contains(text, "held for 9 days") || !strings.Contains(text, "stuck") {
			t.Errorf("%s does not tell the event:\n%s", form, text)
		}
	}
}
