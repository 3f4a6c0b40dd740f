package report

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// sceneAt is when the reports of the scenes are made.
func sceneAt() time.Time { return time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC) }

func value(s string) plan.FieldValue { return plan.FieldValue{Value: &s} }

func exactly(n int) *plan.Users { return &plan.Users{Count: n, Exact: true} }

// change makes a change of a connection of production that is ready.
func change(provider string, action plan.Action, class plan.Class, cause plan.Cause, fields ...plan.FieldChange) Change {
	return Change{Change: plan.Change{
		ID: "production/" + provider + ":" + string(action), Connection: "production/" + provider, Provider: provider, Action: action,
		Class: class, Cause: cause, Fields: fields, Gate: plan.Ready, Origin: "production/" + provider + ".yaml:3",
	}}
}

// held gates a change.
func (c Change) held(gate plan.Gate, guard, reason string, by ...plan.Remediation) Change {
	c.Gate, c.Guard, c.GateReason, c.Remediations = gate, guard, reason, by
	return c
}

func (c Change) hurting(u *plan.Users, why string) Change {
	c.ActiveUsers, c.ClassReason = u, why
	return c
}

func approve() plan.Remediation {
	return plan.Remediation{Kind: plan.ByApproval, Text: "approve this plan"}
}

func allow(provider, lines string) plan.Remediation {
	return plan.Remediation{Kind: plan.ByAllow, File: "production/" + provider + ".yaml", YAML: "policy: {allow: [{" + lines + ", until: 2026-12-05, reason: \"...\"}]}"}
}

func newConnection(provider string, n int) []Change {
	return []Change{
		change(provider, plan.Enable, plan.Safe, plan.Create, plan.FieldChange{Field: plan.FieldState, To: value("active")}).hurting(exactly(0), "no active end users"),
		change(provider, plan.SetCredentials, plan.Safe, plan.Create, plan.FieldChange{Field: plan.FieldClientID, To: value(fmt.Sprintf("7f3c-acme-%02d", n))},
			plan.FieldChange{Field: plan.FieldClientSecret, To: plan.FieldValue{Key: 1}}),
		change(provider, plan.SetScopes, plan.Safe, plan.Create, plan.FieldChange{Field: plan.FieldScopes, To: plan.FieldValue{List: []string{"a", "b", "c"}}}),
	}
}

// sevenHeld are seven connections that need a person, each for another reason.
func sevenHeld() []Change {
	strava := plan.FieldChange{Field: plan.FieldClientSecret, From: plan.FieldValue{Mask: "****9999", Compared: plan.Differs}, To: plan.FieldValue{Key: 2}}
	return []Change{
		change("strava", plan.RotateSecret, plan.Disruptive, plan.Drift, strava).hurting(&plan.Users{Count: 1000}, "the pair is not proved; at least 1000 active end users").
			held(plan.Approval, "on-secret-drift", "somebody set the keys out of band, perhaps in an emergency (on_secret_drift: hold, built-in default)",
				plan.NextCommand("keep it: type the live secret, which is encrypted into the file", "rotate", "add", "production/strava"), approve(), allow("strava", "change: rotate-secret")),
		change("huawei", plan.UpdateCredentials, plan.Destructive, plan.Commit, plan.FieldChange{Field: plan.FieldClientID, From: value("104512345"), To: value("104599999")}).
			hurting(exactly(37), "client_id, sandbox or secret_ref: every user may have to reconnect").
			held(plan.Approval, "destructive", "destructive, and nobody has approved it", approve(), allow("huawei", `change: client_id, to: "104599999"`)),
		change("polar", plan.Pause, plan.Disruptive, plan.Commit, plan.FieldChange{Field: plan.FieldState, From: value("active"), To: value("paused")}).
			hurting(exactly(41), "new sign-ins are refused; 41 active end users").
			held(plan.Blocked, "protect", "protect: true (production/polar.yaml:12)",
				plan.Remediation{Kind: plan.ByCommit, Text: "in the file of the connection, which has to stay", File: "production/polar.yaml", YAML: "policy: {protect: false}"}),
		change("whoop", plan.SetScopes, plan.Disruptive, plan.Drift, plan.FieldChange{Field: plan.FieldScopes, From: plan.FieldValue{List: []string{"read:cycles", "read:sleep"}}, To: plan.FieldValue{List: []string{"read:sleep"}}}).
			hurting(exactly(12), "scopes may be removed; 12 active end users").
			held(plan.Blocked, "on-drift", "on_drift: report, so it is only reported (production/environment.yaml:6)",
				plan.Remediation{Kind: plan.ByCommit, File: "production/environment.yaml", YAML: "on_drift: revert"}),
		change("withings", plan.Disable, plan.Destructive, plan.Prune, plan.FieldChange{Field: plan.FieldState, From: value("active"), To: value("disabled")}).
			hurting(exactly(4210), "data stops and the gap is never filled").
			held(plan.Approval, "destructive", "destructive, and nobody has approved it",
				plan.Remediation{Kind: plan.ByCommit, Text: "keep it: a file that names it is enough", File: "production/withings.yaml", YAML: "provider: withings"}, approve(), allow("withings", "change: prune")),
		change("oura", plan.SetCredentials, plan.Disruptive, plan.Adopt, plan.FieldChange{Field: plan.FieldClientID, From: value("OLD"), To: value("NEW")}).
			hurting(nil, "the pair is not proved; end users not counted").
			held(plan.Blocked, "pause", "paused until 2026-11-28 14:00 UTC by jo: incident 12", plan.NextCommand("lifts the pause of production", "resume", "production")),
		change("fitbit", plan.RotateSecret, plan.Safe, plan.Rotation, plan.FieldChange{Field: plan.FieldClientSecret, From: plan.FieldValue{Mask: "****9876", Key: 1}, To: plan.FieldValue{Key: 2}}).
			held(plan.Blocked, plan.GuardRejected, "the live key stays; the provider rejects it: invalid_client (2026-11-27 02:00 UTC)",
				plan.NextCommand("the right secret, or a new one", "rotate", "add", "production/fitbit")),
	}
}

func scene(mode Mode, unchanged int, changes ...Change) Report {
	r := New(mode, strings.Repeat("1f0c9a7b", 5), sceneAt())
	e := complete(Environment{Name: "production", DevID: "acme-prod-x81LmQ", PlanHash: "sha256:" + strings.Repeat("5e2c497c", 8), Changes: changes})
	e.Summary.Unchanged = unchanged
	for i, c := range changes {
		for _, n := range c.Remediations {
			if n.Kind != plan.ByApproval || c.Gate != plan.Approval {
				continue
			}
			e.Connections = append(e.Connections, Connection{Name: c.Connection, PlanHash: fmt.Sprintf("sha256:%02x", i) + strings.Repeat("f3a1", 15) + "00", Approval: Approval{Releases: 1, ReleasesNow: 1}})
			if c.Guard == plan.GuardSecretDrift {
				e.Approval.Leaves = append(e.Approval.Leaves, c.Connection)
				continue
			}
			e.Approval.Releases++
			e.Approval.ReleasesNow++
		}
	}
	r.Environments = []Environment{e}
	r.Finish(sceneAt().Add(40 * time.Millisecond))
	return r
}

// Each scene is at most so many lines long, and shows what it is about.
func TestScenes(t *testing.T) {
	var ten []Change
	for n, provider := range strings.Fields("coros dexcom eight fitbit garmin huawei oura polar strava whoop") {
		ten = append(ten, newConnection(provider, n)...)
	}
	waits := func(provider, step, by, do, record string, since time.Duration) Change {
		c := change(provider, plan.Enable, plan.Safe, plan.Create, plan.FieldChange{Field: plan.FieldState, To: value("active")}).
			held(plan.Waiting, plan.GuardSetup, "step "+step+", up to you and "+by+": setup."+step+".done is missing: the day it was done",
				plan.Remediation{Kind: plan.ByStep, Text: do + " Once done", File: "production/" + provider + ".yaml", YAML: "setup: {" + step + ": {" + record + "}}"},
				plan.Remediation{Kind: plan.ByStep, Text: "all steps, and what to paste where", Command: plan.Command{"providers", provider}})
		c.GatedSince = sceneAt().Add(-since)
		return c
	}
	wrong := scene(Apply, 3, sevenHeld()...)
	e := &wrong.Environments[0]
	e.Error = "apply plan: the approval 00000000 is not for this plan, which is 5e2c497c now; look at it before you approve it"
	e.Remediations = []plan.Remediation{plan.NextCommand("look at it again", "--dry-run", "--env", "production")}
	for i := range e.Changes {
		e.Changes[i].Outcome = NotAttempted
	}
	wrong.Finish(sceneAt())
	outage := scene(DryRun, 0)
	outage.Environments[0].Error = "list sources of acme-prod-x81LmQ: 503 service_unavailable: upstream timeout; run again later, or ask Terra support if it lasts"
	outage.Environments[0].PlanHash = ""
	outage.Finish(sceneAt().Add(12 * time.Second))
	applied := scene(Apply, 1, newConnection("garmin", 1)...)
	for i := range applied.Environments[0].Changes {
		applied.Environments[0].Changes[i].Outcome, applied.Environments[0].Changes[i].DurationMS = Applied, 120
	}
	applied.Finish(sceneAt().Add(time.Second))
	seven := scene(DryRun, 3, sevenHeld()...)
	seven.Environments[0].Unmanaged = []string{"withings"} // of which its row says so
	seven.Finish(sceneAt().Add(40 * time.Millisecond))
	var eight []Change
	for i, provider := range strings.Fields("coros dexcom fitbit garmin huawei oura polar whoop") {
		eight = append(eight, change(provider, plan.UpdateCredentials, plan.Destructive, plan.Commit, plan.FieldChange{Field: plan.FieldClientID, From: value("old"), To: value("new")}).
			hurting(exactly(i), "client_id, sandbox or secret_ref: every user may have to reconnect").
			held(plan.Approval, "destructive", "destructive, and nobody has approved it", approve(), allow(provider, `change: client_id, to: "new"`)))
	}
	two := scene(DryRun, 3, sevenHeld()[1:2]...)
	two.Environments = append(two.Environments, scene(DryRun, 1, sevenHeld()[4:5]...).Environments[0])
	two.Environments[1].Name, two.Environments[1].DevID = "staging", "acme-stag-Wq72Rt"
	two.Environments[1].Changes[0].Connection, two.Environments[1].Connections[0].Name = "staging/withings", "staging/withings"
	two.Finish(sceneAt().Add(40 * time.Millisecond))
	for _, s := range []struct {
		name  string
		r     Report
		lines int
		shows []string
	}{
		{"healthy", scene(DryRun, 5), 1, []string{"in sync, 5 connections"}},
		{"one-new", scene(DryRun, 4, newConnection("garmin", 0)...), 4, []string{"Dry run of commit 1f0c9a7b1f0c", "1 of 5 connections differs (3 changes)", "3 changes ready", "garmin", "own app 7f3c-acme-00", "secret key 1", "3 scopes"}},
		{"ten-new", scene(DryRun, 0, ten...), 22, []string{"7f3c-acme-09"}},
		{"seven-held", seven, 30, []string{"37 users must reconnect", "4,210 users cut off", "reconcile rotate add production/strava",
			"policy: {protect: false}", "reconcile resume production", "huawei reconcile --approve production/huawei=01f3a1f3",
			"Next, in any order; an approval lets through only the connection it names", "(****9999) -> key 2", "strava keep it: type the live secret, which is encrypted into the file: reconcile rotate add production/strava", "replace it: reconcile --approve production/strava=00f3a1f3",
			"withings keep it: commit to production/withings.yaml: provider: withings", "disable it: reconcile --approve production/withings=04f3a1f3",
			"at least 5,300 users affected if applied", "Why: the same command with --explain strava. The words: reconcile help"}},
		{"standing-waits", scene(DryRun, 3, waits("samsung", "partner_approval", "Samsung", "Apply as a partner in Samsung's partner portal and wait for the approval.", "done: DATE, value: VALUE", 16*24*time.Hour),
			waits("huawei", "health_kit_access", "Huawei", "Apply for Health Kit (Health Service Kit) access with every read scope you need.", "done: DATE", 9*24*time.Hour),
			waits("oura", "terra_support", "Terra support", "Terra support sets an own Oura app for an environment. Send the ticket (`reconcile providers oura --ticket` prints it) and wait for the answer.", "ticket: TICKET, state: active", 24*time.Hour),
			waits("polar", "terra_support", "Terra support", "Terra support sets an own Polar app for an environment. Send the ticket (`reconcile providers polar --ticket` prints it) and wait for the answer.", "ticket: TICKET, state: active", 0)), 22,
			[]string{"samsung waits since 12 Nov: step partner_approval, up to you and Samsung", "Once done: commit to production/samsung.yaml: setup: {partner_approval: {done: DATE, value: VALUE}}", "huawei waits since 19 Nov", "polar new waits: step terra_support, up to you and Terra support"}},
		{"eight-approvals", scene(DryRun, 3, eight...), 16, []string{"reconcile --approve production=5e2c497c", "Why, and how to approve it alone: the same command with --explain coros", "28 users affected if applied"}},
		{"two-environments", two, 17, []string{"production/huawei reconcile --approve production/huawei=00f3a1f3", "staging/withings keep it: commit to", "4,247 users affected"}},
		{"wrong-hash", wrong, 10, []string{"the approval 00000000 is not for this plan, which is 5e2c497c now", "7 changes not tried; need you: strava, huawei,", "Nothing was written.", "reconcile --dry-run --env production"}},
		{"rejected", scene(DryRun, 4, sevenHeld()[6]), 8, []string{"client secret (key 2) is rejected", "the live key stays", "reconcile rotate add production/fitbit"}},
		{"outage", outage, 6, []string{"503 service_unavailable", "run again later"}},
		{"applied", applied, 5, []string{"applied in"}},
	} {
		got := render(t, func(w io.Writer) error { return Text(w, s.r, TextOptions{}) })
		golden(t, "scenes/"+s.name+".txt", got)
		if n := strings.Count(got, "\n"); n > s.lines {
			t.Errorf("%s: %d lines, want at most %d:\n%s", s.name, n, s.lines, got)
		}
		if strings.Contains(got, "not managed") {
			t.Errorf("%s says twice that no file names a connection:\n%s", s.name, got)
		}
		flat := strings.Join(strings.Fields(got), " ")
		for _, want := range s.shows {
			if !strings.Contains(flat, want) {
				t.Errorf("%s does not show %q:\n%s", s.name, want, got)
			}
		}
		golden(t, "scenes/"+s.name+".md", everyForm(t, s.r)["markdown"])
	}
	apply := render(t, func(w io.Writer) error {
		return Text(w, scene(DryRun, 4, newConnection("garmin", 0)...), TextOptions{Apply: "reconcile"})
	})
	golden(t, "scenes/one-new-apply.txt", apply)
	if n := strings.Count(apply, "\n"); n > 4 || !strings.HasSuffix(apply, "Nothing was written. Apply: reconcile\n") {
		t.Errorf("%d lines:\n%s", n, apply)
	}
	// After a yes the plan stands above: only what became of it is printed.
	answered := scene(Apply, 1, append(newConnection("garmin", 1), sevenHeld()[1])...)
	for i := range 3 {
		answered.Environments[0].Changes[i].Outcome, answered.Environments[0].Changes[i].DurationMS = Applied, 120
	}
	answered.Finish(sceneAt().Add(time.Second))
	outcomes := render(t, func(w io.Writer) error { return Text(w, answered, TextOptions{Outcomes: true}) })
	golden(t, "scenes/after-yes.txt", outcomes)
	if !strings.Contains(outcomes, "applied in") || !strings.Contains(outcomes, "1 needs approval") || strings.Contains(outcomes, "client_id") || strings.Contains(outcomes, "Next") {
		t.Errorf("after a yes:\n%s", outcomes)
	}
	explained := render(t, func(w io.Writer) error {
		return Text(w, scene(DryRun, 3, sevenHeld()...), TextOptions{Explain: []string{"huawei"}})
	})
	golden(t, "scenes/explain-huawei.txt", explained)
}
