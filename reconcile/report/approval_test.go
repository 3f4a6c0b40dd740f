package report

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func at(hour int) time.Time { return time.Date(2026, 11, 27, hour, 0, 0, 0, time.UTC) }

// What is printed as the next step is what is possible: whoever holds the state, and
// whatever was approved before.
func TestApproval(t *testing.T) {
	const (
		here, there = "reconcile --approve production=sha256:1", "reconcile approve production sha256:1"
		look        = "reconcile --dry-run --env production"
		now         = " --now"
		once        = "this plan was approved before, which was used 2026-11-27 09:00 UTC"
		by          = "approved by jo 2026-11-27 08:00 UTC, waits for "
		until       = "; unused it expires 2026-11-28 08:00 UTC"
	)
	pending := func(now bool, releases int) Approval {
		return Approval{Releases: releases, ReleasesNow: 2, State: ApprovalPending, Hash: "sha256:1", IgnoresWindows: now, By: []string{"jo"}, GivenAt: at(8), ExpiresAt: at(8).AddDate(0, 0, 1)}
	}
	remembered := func(state ApprovalState) Approval {
		return Approval{Releases: 2, ReleasesNow: 2, State: state, By: []string{"jo"}, GivenAt: at(8), ExpiresAt: at(9)}
	}
	windowed, late := pending(false, 0), pending(false, 0)
	windowed.WindowOpens, late.WindowOpens = at(20), at(8).AddDate(0, 0, 2)
	used := Approval{Releases: 2, ReleasesNow: 2, UsedAt: at(9), UsedRun: "run"}
	usedNow := Approval{ReleasesNow: 2, UsedAt: at(9), State: ApprovalSuperseded, By: []string{"jo"}, GivenAt: at(8)}
	both := Approval{Releases: 2, ReleasesNow: 2}
	for _, row := range []struct {
		name     string
		lock     LockOwner
		approval Approval
		outcome  Outcome
		state    ApprovalState
		command  string
		text     string
		next     string
	}{
		{"releases nothing", "", Approval{}, "", ApprovalNone, "", "", ""},
		{"nobody holds the state", "", both, "", ApprovalRequired, here, "approve this plan", ""},
		{"a daemon does", LockedByDaemon, both, "", ApprovalRequired, there, "approve this plan", ""},
		{"only with --now", "", Approval{ReleasesNow: 2}, "", ApprovalRequired, here + now, "approve this plan (--now does not wait for the window)", ""},
		{"only with --now, by the daemon", LockedByDaemon, Approval{ReleasesNow: 2, WindowOpens: at(20)}, "", ApprovalRequired, there + now, "approve this plan (--now does not wait for the window that opens Fri 27 Nov 2026 20:00 UTC)", ""},
		{"some with --now", "", Approval{Releases: 1, ReleasesNow: 2}, "", ApprovalRequired, here, "approve this plan (1 change more with --now, else in the window)", ""},
		{"a daemon that only observes", LockedByObserver, used, "", ApprovalUsed, "", "the daemon that holds the state only observes, so it takes no approval", "write apply: true into its daemon.yaml, or stop it, then look again: " + look},
		{"a run is under way", LockedByRun, used, "", ApprovalUsed, "", "a run is under way and holds the state", "look again when it has ended: " + look},
		{"held, and nobody answers", LockedByUnknown, both, "", ApprovalRequired, there, "approve this plan, if a daemon holds the state: whoever does does not answer", ""},
		{"used", "", used, "", ApprovalUsed, "", once, "to do the same once more, look again: reconcile plan --env production --out plan.json; then apply that: reconcile apply plan.json"},
		{"used, another is pending, and a window", "", usedNow, "", ApprovalSuperseded, "", once + " (--now does not wait for the window)", "to do the same once more, look again: reconcile plan --env production --out plan.json; then apply that: reconcile apply plan.json --now"},
		{"used, by a daemon", LockedByDaemon, used, "", ApprovalUsed, there, "approve it once more: it was approved before, which was used 2026-11-27 09:00 UTC", ""},
		{"waits for the daemon", LockedByDaemon, pending(false, 2), "", ApprovalPending, "", by + "the daemon's next run" + until, "run at once: reconcile now production"},
		{"waits for a daemon that is not there", "", pending(false, 2), "", ApprovalPending, here, by + "the next run of a daemon" + until + "; approve it here to do without a daemon", ""},
		{"waits for the window", LockedByDaemon, windowed, "", ApprovalPending, there + now, by + "the window that opens Fri 27 Nov 2026 20:00 UTC" + until + "; approve it with --now not to wait", ""},
		{"expires before the window", LockedByDaemon, late, "", ApprovalPending, there + now, by + "the window that opens Sun 29 Nov 2026 08:00 UTC" + until + ", before the window opens; approve it with --now not to wait", ""},
		{"pending, with --now", LockedByDaemon, pending(true, 0), "", ApprovalPending, "", by + "the daemon's next run" + until, "run at once: reconcile now production"},
		{"expired", LockedByDaemon, remembered(ApprovalExpired), "", ApprovalExpired, there, "approve it again: jo did 2026-11-27 08:00 UTC, which expired unused 2026-11-27 09:00 UTC", ""},
		{"another plan is approved", LockedByDaemon, remembered(ApprovalSuperseded), "", ApprovalSuperseded, there, "approve this plan instead: jo approved another one 2026-11-27 08:00 UTC, which the daemon's next run refuses", ""},
		{"something was written", "", used, Applied, ApprovalUsed, "", "what is still held is another plan now", "look at it, then approve it: " + look},
		{"something may be written", "", used, Unknown, ApprovalUsed, "", "what is still held is another plan now", "look at it, then approve it: " + look},
		{"a write failed", "", both, Failed, ApprovalRequired, here, "approve this plan", ""},
	} {
		e := Environment{Name: "production", PlanHash: "sha256:1", Approval: row.approval, Changes: []Change{
			{Change: plan.Change{Gate: plan.Ready}, Outcome: row.outcome}, {Change: plan.Change{Gate: plan.Approval, Guard: "adopt"}},
		}}
		r := Report{StateLock: row.lock, Environments: []Environment{e}}
		for range 2 { // what is finished stays so
			r.Finish(r.StartedAt)
		}
		got := r.Environments[0].Approval
		var next []string
		for _, m := range got.Remediations {
			next = append(next, m.Text+": "+m.Command.String())
		}
		if got.State != row.state || got.Command.String() != row.command || got.Text != row.text || strings.Join(next, "; ") != row.next {
			t.Errorf("%s:\ngot  %s %s\n     %s\n     %q\nwant %s %s\n     %s\n     %s", row.name, got.State, got.Command, got.Text, next, row.state, row.command, row.text, row.next)
		}
	}
}

// TestApprovalAfterAnotherEnvironment: what --now does not wait for is named whole.
func TestApprovalAfterAnotherEnvironment(t *testing.T) {
	first := plan.Change{Connection: "production/oura", Gate: plan.Waiting, Guard: plan.GuardPromotion}
	beneath := plan.Change{Connection: "production/oura", Gate: plan.Approval, Guard: plan.GuardDrift, Holds: []plan.Hold{{Guard: plan.GuardDrift}, {Guard: plan.GuardPromotion}}}
	other := plan.Change{Connection: "production/polar", Gate: plan.Waiting, Guard: plan.GuardWindow}
	given := func(releases int, opens time.Time) Approval {
		return Approval{Releases: releases, ReleasesNow: 2, WindowOpens: opens, State: ApprovalPending, By: []string{"jo"}, GivenAt: at(8), ExpiresAt: at(8).AddDate(0, 0, 1)}
	}
	const window = "the window that opens Fri 27 Nov 2026 20:00 UTC"
	for _, row := range []struct {
		name     string
		change   plan.Change
		approval Approval
		want     string
	}{
		{"it alone", first, Approval{ReleasesNow: 2}, "approve this plan (--now does not wait for another environment)"},
		{"for some", first, Approval{Releases: 1, ReleasesNow: 2}, "approve this plan (1 change more with --now, else after another environment)"},
		{"a window beside it", first, Approval{ReleasesNow: 2, WindowOpens: at(20)}, "approve this plan (--now does not wait for another environment and " + window + ")"},
		{"a window for others", other, Approval{ReleasesNow: 2, WindowOpens: at(20)}, "approve this plan (--now does not wait for " + window + ")"},
		{"beneath another guard", beneath, Approval{ReleasesNow: 2}, "approve this plan (--now does not wait for another environment)"},
		{"pending", first, given(0, time.Time{}), "waits for another environment; unused it expires 2026-11-28 08:00 UTC; approve it with --now not to wait"},
		{"pending, a window beside it", first, given(0, at(20)), "waits for another environment and " + window + "; unused it expires 2026-11-28 08:00 UTC; approve it with --now not to wait"},
		{"pending, for some", first, given(1, time.Time{}), "waits for the daemon's next run; unused it expires 2026-11-28 08:00 UTC; approve it with --now not to wait"},
		{"pending, for a window of nobody knows when", other, given(0, time.Time{}), "waits for a window; unused it expires 2026-11-28 08:00 UTC; approve it with --now not to wait"},
	} {
		r := Report{Environments: []Environment{{Name: "production", PlanHash: "sha256:1", Approval: row.approval, Changes: []Change{{Change: row.change}}}}}
		if row.approval.State == ApprovalPending {
			r.StateLock = LockedByDaemon
		}
		r.Finish(r.StartedAt)
		if got := r.Environments[0].Approval.Text; !strings.HasSuffix(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

// TestPreviewApprovesNothing: whatever was approved before, a preview names no command that
// approves, in any form.
func TestPreviewApprovesNothing(t *testing.T) {
	for _, lock := range []LockOwner{"", LockedByDaemon, LockedByUnknown} {
		for _, state := range []ApprovalState{"", ApprovalPending, ApprovalExpired, ApprovalSuperseded} {
			r := planned()
			r.StateLock, r.PreviewOf = lock, "refs/heads/topic"
			e := &r.Environments[0]
			e.Changes[1].Remediations = []plan.Remediation{{Kind: plan.ByApproval, Text: "approve this connection"}}
			e.Approval = Approval{State: state, Releases: 1, ReleasesNow: 2, By: []string{"jo"}}
			e.Connections = []Connection{{Name: "production/oura", PlanHash: "sha256:" + strings.Repeat("1", 64), Approval: e.Approval}}
			r.Finish(r.StartedAt)
			if a := r.Environments[0].Approval; len(a.Command) > 0 || len(r.Environments[0].Connections[0].Approval.Command) > 0 || !strings.Contains(a.Text, "preview") {
				t.Errorf("%s %s: %s: %s", lock, state, a.Text, a.Command)
			}
			for name, form := range map[string]func(io.Writer) error{
				"text":     func(w io.Writer) error { return Text(w, r, TextOptions{Verbose: true}) },
				"short":    func(w io.Writer) error { return Text(w, r, TextOptions{}) },
				"json":     func(w io.Writer) error { return JSON(w, r) },
				"markdown": func(w io.Writer) error { return Markdown(w, r) },
				"html":     func(w io.Writer) error { return HTML(w, r) },
			} {
				var out strings.Builder
				if err := form(&out); err != nil {
					t.Fatal(err)
				}
				for _, command := range []string{"reconcile approve", "--approve", "reconcile now"} {
					if strings.Contains(out.String(), command) {
						t.Errorf("%s after %q beside %q says %s:\n%s", name, state, lock, command, out.String())
					}
				}
			}
		}
	}
}

// TestCovers: what a person approves is shown whole, but for what is beyond reason, and
// nothing of it acts on a terminal.
func TestCovers(t *testing.T) {
	long := "https://" + strings.Repeat("a.", 120) + "evil.example"
	text := func(s string) plan.FieldValue { return plan.FieldValue{Value: &s} }
	change := func(connection, field, from, to string) Change {
		return Change{Change: plan.Change{Connection: connection, Action: plan.UpdateCredentials, Class: plan.Destructive,
			ActiveUsers: &plan.Users{Count: 40, Exact: true}, Fields: []plan.FieldChange{{Field: field, From: text(from), To: text(to)}}}}
	}
	e := Environment{Name: "e", Approval: Approval{Leaves: []string{"e/strava"}}, Changes: []Change{
		change("e/polar", plan.FieldClientID, "1", "2\x1b[2J"), change("e/strava", plan.FieldRedirectURL, "https://a.example", long+"/"+strings.Repeat("x", 5000)),
	}}
	whole := Covers(e, "")
	if len(whole) != 2 || !strings.Contains(whole[0], `e/polar update-credentials: client_id 1 -> 2`) || strings.Contains(whole[0], "\x1b") ||
		!strings.Contains(whole[0], "(40 users") || strings.Contains(whole[0], "alone") {
		t.Errorf("got %q", whole)
	}
	if strava := Covers(e, "e/strava"); len(strava) != 1 || !strings.Contains(strava[0], long) || len(strava[0]) > 2000 || strings.Contains(strava[0], "alone") {
		t.Errorf("got %q", strava)
	}
	if !strings.Contains(whole[1], "not covered: it is approved alone") {
		t.Errorf("got %q", whole[1])
	}
	var safe []Change
	for range 100 {
		c := change("e/aaa", plan.FieldScopes, "a", "b")
		c.Class = plan.Safe
		safe = append(safe, c)
	}
	e.Changes = append(safe, e.Changes...)
	many := Covers(e, "")
	if len(many) != coveredLines+1 || many[coveredLines] != "and 52 more, all of them safe" || !strings.Contains(many[0], "e/polar") || !strings.Contains(many[1], "e/strava") {
		t.Errorf("%d lines, from %q to %q", len(many), many[:2], many[len(many)-1])
	}
	for range 100 {
		e.Changes = append(e.Changes, change("e/polar", plan.FieldScopes, "a", "b"))
	}
	if many := Covers(e, ""); len(many) != 103 {
		t.Errorf("%d lines: a dangerous change is cut", len(many))
	}
	if bare := Covers(Environment{Changes: []Change{{Change: plan.Change{Connection: "e/oura", Action: plan.Disable, Class: plan.Destructive}}}}, ""); len(bare) != 1 || !strings.HasPrefix(bare[0], "e/oura disable") {
		t.Errorf("a change without fields: %q", bare)
	}
}
