package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestStatusNamesKeysAndTokens: those that somebody should look at, each with the command that
// says more, and no other.
func TestStatusNamesKeysAndTokens(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	last := report.Report{StartedAt: now, Environments: []report.Environment{{Name: "production", Account: "default", TokenEnds: now.Add(13 * 24 * time.Hour), TokenRenewable: now.Add(15 * 24 * time.Hour),
		Keys: []keys.Status{
			{Connection: "production/strava", State: keys.Overdue, Text: "key 1 is 95 days old"}, {Connection: "production/oura", State: keys.Due},
			{Connection: "production/whoop", State: keys.OK}, {Connection: "production/polar", State: keys.Soaking},
			{Connection: "production/fitbit", State: keys.Soaking, Also: []keys.State{keys.Rejected}},
		}}}}
	source := &commitSource{reports: map[string]report.Report{"production": last}, revisions: map[string]revision{"production": {}}}
	r := reconciler{sources: sources{source}}
	e := daemon.EnvironmentStatus{Name: "production", Keys: keyNotices(last)}
	var out bytes.Buffer
	err := printStatus(&Process{Stdout: &out, Now: func() time.Time { return now }},
		daemon.Status{Environments: []daemon.EnvironmentStatus{e}, Tokens: r.tokenEnds([]daemon.EnvironmentStatus{e}, now)})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"key production/strava is overdue: key 1 is 95 days old", "reconcile rotate status production/strava", "key production/oura is due", "production/fitbit is rejected", "token of account default ends 2026-12-14 09:00 UTC: reconcile token status"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, calm := range []string{"whoop", "polar", "can be renewed"} {
		if strings.Contains(text, calm) {
			t.Errorf("%q in\n%s", calm, out.String())
		}
	}
	e.Repository, e.Gated = "payments", []daemon.GatedChange{{Gate: "approval"}}
	out.Reset()
	err = printStatus(&Process{Stdout: &out, Now: func() time.Time { return now }, asked: askedWith(t, "status", "--config", "d.yaml")}, daemon.Status{Environments: []daemon.EnvironmentStatus{e}})
	for _, want := range []string{"reconcile rotate status --config d.yaml --repo payments production/strava", "reconcile --config d.yaml --repo payments --dry-run --env production"} {
		if err != nil || !strings.Contains(out.String(), "  "+want+"\n") {
			t.Errorf("%v, and no %q in\n%s", err, want, out.String())
		}
	}
	if later := r.tokenEnds([]daemon.EnvironmentStatus{e}, now.Add(-2*24*time.Hour)); later != nil {
		t.Errorf("two weeks before: %+v", later)
	}
}

// TestStatusNamesWaysOut: an approval passes the cap of changes too, and to which commit
// releases go on.
func TestStatusNamesWaysOut(t *testing.T) {
	t.Parallel()
	capped := []daemon.GatedChange{{Change: "production/oura:disable", Gate: "blocked", Guard: "max-changes", Reason: "too many"}}
	paused := []daemon.GatedChange{{Change: "production/oura:disable", Gate: "blocked", Guard: "pause", Reason: "paused"}}
	const approve, commit, tag = "reconcile --dry-run --env production", "for a new commit", "for a new commit with a tag of a higher version"
	for _, row := range []struct {
		status      daemon.EnvironmentStatus
		want, never string
	}{
		{daemon.EnvironmentStatus{Gated: capped}, approve, commit},
		{daemon.EnvironmentStatus{Gated: paused}, "guard pause", approve},
		{daemon.EnvironmentStatus{RewoundFrom: "0123456789abcdef"}, commit, tag},
		{daemon.EnvironmentStatus{RewoundFrom: "0123456789abcdef", RewoundFromTag: "v1.5.0"}, tag, approve},
	} {
		row.status.Name = "production"
		var out bytes.Buffer
		if err := printStatus(&Process{Stdout: &out, Now: time.Now}, daemon.Status{Environments: []daemon.EnvironmentStatus{row.status}}); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(text, row.want) || strings.Contains(text, row.never) {
			t.Errorf("want %q and no %q in\n%s", row.want, row.never, out.String())
		}
	}
}
