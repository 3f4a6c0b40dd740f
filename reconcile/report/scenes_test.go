package report

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
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

// briefly is as much of the reason of a gate as stands in a row.
func (c Change) briefly(reason string) Change {
	c.GateBrief = reason
	return c
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
	return plan.Remediation{Kind: plan.ByApproval, Text: "approve this connection"}
}

func allow(provider, lines string) plan.Remediation {
	return plan.Remediation{Kind: plan.ByAllow, File: "production/" + provider + ".yaml", YAML: "policy: {allow: [{" + lines + ", until: 2026-12-05, reason: \"...\"}]}"}
}

// clientIDs are as providers give them.
func clientID(provider string) string {
	return map[string]string{
		"coros": "e3f1c7a05b2d4c86", "dexcom": "AbCdEfGhIjKlMnOpQrStUvWxYz012345", "eight": "58c1e0f2", "fitbit": "23ABCD",
		"garmin": "0a1b2c3d-77f0-4b1e-9a35-0123456789ab", "huawei": "104512345", "oura": "5X7QK2ZJ", "polar": "b41c9d7e", "strava": "123456", "suunto": "4d7e21aa", "whoop": "9f30a6c1",
	}[provider]
}

func newConnection(provider string) []Change {
	return []Change{
		change(provider, plan.Enable, plan.Safe, plan.Create, plan.FieldChange{Field: plan.FieldState, To: value("active")}).hurting(exactly(0), "no active end users"),
		change(provider, plan.SetCredentials, plan.Safe, plan.Create, plan.FieldChange{Field: plan.FieldClientID, To: value(clientID(provider))},
			plan.FieldChange{Field: plan.FieldClientSecret, To: plan.FieldValue{Key: 1}}),
		change(provider, plan.SetScopes, plan.Safe, plan.Create, plan.FieldChange{Field: plan.FieldScopes, To: plan.FieldValue{List: []string{"a", "b", "c"}}}),
	}
}

// sevenHeld are seven connections that need a person, each for another reason.
func sevenHeld() []Change {
	strava := plan.FieldChange{Field: plan.FieldClientSecret, From: plan.FieldValue{Mask: "****9999", Compared: plan.Differs}, To: plan.FieldValue{Key: 2}}
	pause := plan.KillSwitch{Provider: "oura", Target: "production/oura", Reason: "incident 12", Owner: "jo", Until: sceneAt().Add(12 * time.Hour)}
	list := []Change{
		change("strava", plan.RotateSecret, plan.Disruptive, plan.Rotation, strava).hurting(&plan.Users{Count: 1000}, "the pair is not proved; at least 1000 active end users").
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
			held(plan.Blocked, plan.GuardDrift, "on_drift: report, so it is only reported (production/environment.yaml:6)",
				plan.Remediation{Kind: plan.ByCommit, Text: "for the whole environment", File: "production/environment.yaml", YAML: plan.RevertDrift},
				plan.Remediation{Kind: plan.ByCommit, Text: "what Terra has", File: "production/whoop.yaml"}),
		change("withings", plan.Disable, plan.Destructive, plan.Prune, plan.FieldChange{Field: plan.FieldState, From: value("active"), To: value("disabled")}).
			hurting(exactly(4210), "data stops and the gap is never filled").
			held(plan.Approval, "destructive", "destructive, and nobody has approved it",
				plan.Remediation{Kind: plan.ByCommit, Text: "keep it: a file that names it is enough", File: "production/withings.yaml", YAML: "provider: withings"}, approve(), allow("withings", "change: prune")),
		change("oura", plan.SetCredentials, plan.Disruptive, plan.Adopt, plan.FieldChange{Field: plan.FieldClientID, From: value("5X7QK2ZJ"), To: value("8M4TR9WB")}).
			hurting(nil, "the pair is not proved; end users not counted").
			held(plan.Blocked, plan.GuardPause, pause.String(), pause.Resume()),
		change("fitbit", plan.RotateSecret, plan.Safe, plan.Rotation, plan.FieldChange{Field: plan.FieldClientSecret, From: plan.FieldValue{Mask: "****9876", Key: 1}, To: plan.FieldValue{Key: 2}}).
			held(plan.Blocked, plan.GuardRejected, "key 1 stays live, users sync as before; the provider refused key 2: invalid_client (2026-11-27 02:00 UTC)",
				plan.NextCommand("asks for a working secret and seals it into the file, to be committed", "rotate", "add", "production/fitbit")).
			briefly("the provider refused key 2: invalid_client (2026-11-27 02:00 UTC)"),
	}
	list[slices.IndexFunc(list, func(c Change) bool { return c.Provider == "oura" })].Then = plan.Approval // adopt
	return list
}

func scene(mode Mode, unchanged int, changes ...Change) Report {
	hash := func(of string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(of))) }
	all := fmt.Sprint(mode, unchanged)
	var planned plan.Plan
	for _, c := range changes {
		all += " " + c.ID
		planned.Changes = append(planned.Changes, c.Change)
	}
	hashes := plan.ConnectionHashes(planned)
	r := New(mode, hash("commit " + all)[:40], sceneAt())
	e := complete(Environment{Name: "production", DevID: "acme-prod-x81LmQ", PlanHash: plan.Hash(planned), Changes: changes})
	e.Summary.Unchanged = unchanged
	for _, c := range changes {
		for _, n := range c.Remediations {
			if n.Kind != plan.ByApproval || c.Gate != plan.Approval {
				continue
			}
			e.Connections = append(e.Connections, Connection{Name: c.Connection, PlanHash: hashes[c.Connection], Approval: Approval{Releases: 1, ReleasesNow: 1}})
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
	for _, provider := range strings.Fields("coros dexcom eight fitbit garmin huawei oura polar strava whoop") {
		ten = append(ten, newConnection(provider)...)
	}
	waits := func(provider, step, by, do, record, blanks string, since time.Duration) Change {
		c := change(provider, plan.Enable, plan.Safe, plan.Create, plan.FieldChange{Field: plan.FieldState, To: value("active")}).
			held(plan.Waiting, plan.GuardSetup, "step "+step+" by you, then "+by+": setup."+step+".done is missing: the day it was done",
				plan.Remediation{Kind: plan.ByStep, Text: do + " Once " + by + " has confirmed (" + blanks + ")", File: "production/" + provider + ".yaml", YAML: "setup: {" + step + ": {" + record + "}}"},
				plan.Remediation{Kind: plan.ByStep, Text: "all steps, and what to paste where", Command: plan.Command{"providers", provider}})
		c.GatedSince, c.GateYours = sceneAt().Add(-since), true
		return c.briefly("step " + step + " by you, then " + by)
	}
	wrong := scene(Apply, 3, sevenHeld()...)
	e := &wrong.Environments[0]
	e.Error = "apply plan: the approval production/huawei=3ca0772e is not for the plan as it is now: a file or Terra has changed since, or it is the hash of something else"
	e.Remediations = []plan.Remediation{plan.NextCommand("look at it as it is now", "--dry-run", "--only", "production/huawei")}
	wrong.Finish(sceneAt())
	outage := scene(DryRun, 0)
	outage.Environments[0].Error = "list connections of acme-prod-x81LmQ: Terra says 503 service_unavailable: upstream timeout; run again later, or ask Terra support if it lasts"
	outage.Environments[0].PlanHash = ""
	outage.Environments[0].Remediations = []plan.Remediation{plan.NextCommand("look again in some minutes", "--dry-run", "--env", "production")}
	outage.Finish(sceneAt().Add(12 * time.Second))
	applied := scene(Apply, 1, newConnection("garmin")...)
	for i := range applied.Environments[0].Changes {
		applied.Environments[0].Changes[i].Outcome, applied.Environments[0].Changes[i].DurationMS = Applied, 120
	}
	applied.Finish(sceneAt().Add(time.Second))
	seven := scene(DryRun, 3, sevenHeld()...)
	seven.Environments[0].Unmanaged = []string{"withings"} // of which its row says so
	seven.Finish(sceneAt().Add(40 * time.Millisecond))
	var eight []Change
	for i, provider := range strings.Fields("coros fitbit huawei oura polar strava suunto whoop") {
		newID := fmt.Sprintf("%x", sha256.Sum256([]byte(provider)))[:8]
		eight = append(eight, change(provider, plan.UpdateCredentials, plan.Destructive, plan.Commit, plan.FieldChange{Field: plan.FieldClientID, From: value(clientID(provider)), To: value(newID)}).
			hurting(exactly(i), "client_id, sandbox or secret_ref: every user may have to reconnect").
			held(plan.Approval, "destructive", "destructive, and nobody has approved it", approve(), allow(provider, `change: client_id, to: "`+newID+`"`)))
	}
	two := scene(DryRun, 3, sevenHeld()[1:2]...)
	staging := sevenHeld()[4:5]
	staging[0].Connection, staging[0].ID = "staging/withings", "staging/withings:disable"
	for i := range staging[0].Remediations {
		staging[0].Remediations[i].File = strings.Replace(staging[0].Remediations[i].File, "production/", "staging/", 1)
	}
	two.Environments = append(two.Environments, scene(DryRun, 1, staging...).Environments[0])
	two.Environments[1].Name, two.Environments[1].DevID = "staging", "acme-stag-Wq72Rt"
	two.Finish(sceneAt().Add(40 * time.Millisecond))
	// A pause of an environment holds all of it, whatever else does.
	pause := plan.KillSwitch{Target: "production", Owner: "jo", Reason: "incident 12", Until: sceneAt().Add(12 * time.Hour)}
	var stopped []Change
	for _, c := range append(newConnection("garmin"), sevenHeld()[1], sevenHeld()[2]) {
		c = c.held(plan.Blocked, plan.GuardPause, pause.String(), pause.Resume())
		if c.Class != plan.Safe {
			c.Then = plan.Approval // after-suspend
		}
		stopped = append(stopped, c)
	}
	paused := scene(DryRun, 2, stopped...)
	paused.Environments[0].Warnings = []plan.Warning{{Cause: pause.String(), Text: "production: " + pause.String(), Remediations: []plan.Remediation{pause.Resume()}}}
	lost := sevenHeld()
	lost = lost[slices.IndexFunc(lost, setOutOfBand):][:1]
	lost[0].Guard, lost[0].Cause, lost[0].GateReason = plan.GuardNoWayBack, plan.Rotation, "no file has the live key, so there is no way back to it"
	for _, s := range []struct {
		name  string
		r     Report
		lines int
		shows []string
	}{
		{"healthy", scene(DryRun, 5), 1, []string{"in sync, 5 connections"}},
		{"one-new", scene(DryRun, 4, newConnection("garmin")...), 4, []string{"1 of 5 connections differs; no user affected", "1 connection ready", "garmin", "own app " + clientID("garmin"), "key 1, 3 scopes", "Nothing was written. Apply (asks first): reconcile"}},
		{"ten-new", scene(DryRun, 0, ten...), 22, []string{clientID("whoop"), "10 connections ready", "Apply all that is ready (asks first): reconcile One alone: reconcile --only production/coros"}},
		{"seven-held", seven, 30, []string{
			"Need approval: at least 5,247 users affected if approved ! withings", "4,210 users cut off ! huawei", "37 users must reconnect ! strava client secret ****9999 (set out of band) -> key 2 if replaced, at least 1,000 users may stop syncing",
			"Blocked: at least 53 users affected if that is lifted ! oura", "users unknown no changes until 2026-11-28 14:00 UTC by jo: incident 12 ! polar", "! whoop", "! fitbit key 2 is rejected; key 1 stays live, users sync as before",
			"Next: nothing until you choose; --approve applies only that, without a question withings keep as is: new file production/withings.yaml: provider: withings disable it: reconcile --approve production/withings=0b13bfee huawei reconcile --approve production/huawei=f974cf2e strava keep ****9999: reconcile rotate add production/strava # asks for it replace it: reconcile --approve production/strava=",
			"oura reconcile resume production/oura # if jo agrees; then approve it polar commit to production/polar.yaml: policy: {protect: false}",
			"whoop commit to production/environment.yaml: on_drift: revert # holds for all of production; today only whoop drifted fitbit reconcile rotate add production/fitbit # type a working one, commit",
			"3 connections need approval, 4 blocked. Nothing was written. Why, and all that can be done: reconcile --dry-run --explain withings"}},
		{"paused", paused, 17, []string{"3 of 5 connections differ, 3 blocked ! huawei", "active -> paused", "no changes until 2026-11-28 14:00 UTC by jo: incident 12 Next huawei, polar, garmin: to end the pause sooner, if jo agrees, for all of production (not possible for one alone): reconcile resume production Then huawei, polar need approval; the next run applies garmin"}},
		{"standing-waits", scene(DryRun, 3, waits("samsung", "partner_approval", "Samsung", "Apply as a partner in Samsung's partner portal and wait for the approval.", "done: DATE, value: VALUE", "DATE: that day, as 2026-08-01; VALUE: what shows the approval, such as its reference number, as SHP-2026-0042", 16*24*time.Hour),
			waits("huawei", "health_kit_access", "Huawei", "Apply for Health Kit (Health Service Kit) access with every read scope you need.", "done: DATE", "DATE: that day, as 2026-08-01", 9*24*time.Hour),
			waits("oura", "terra_support", "Terra support", "Terra support sets an own Oura app for an environment. Send the ticket (`reconcile providers oura --ticket` prints it) and wait for the answer.", "ticket: TICKET, state: active", "TICKET: the number of the ticket, as TERRA-1234", 24*time.Hour),
			waits("polar", "terra_support", "Terra support", "Terra support sets an own Polar app for an environment. Send the ticket (`reconcile providers polar --ticket` prints it) and wait for the answer.", "ticket: TICKET, state: active", "TICKET: the number of the ticket, as TERRA-1234", 0)), 24,
			[]string{"4 of 7 connections differ, 4 need you", "samsung waits since 12 Nov for partner_approval: you, then Samsung",
				"Once Samsung has confirmed (DATE: that day, as 2026-08-01; VALUE: what shows the approval, such as its reference number, as SHP-2026-0042): commit to production/samsung.yaml: setup: {partner_approval: {done: DATE, value: VALUE}}",
				"huawei waits since 19 Nov", "new, waits for terra_support: you, then Terra support", "Next: once a step is over commit its lines; a run by hand then asks to apply it", "4 connections waiting; no user affected"}},
		{"eight-approvals", scene(DryRun, 3, eight...), 24, []string{"8 need approval ! whoop", "without a question whoop reconcile --approve production/whoop=", " coros reconcile --approve production/coros=0106d4e3 reconcile --approve production=87e4c213 # all 8 at once: 28 users affected Dry run", "28 users affected if applied"}},
		{"two-environments", two, 17, []string{"production/huawei reconcile --approve production/huawei=", "staging/withings keep as is: new file staging/withings.yaml: provider: withings", "4,247 users affected"}},
		{"wrong-hash", wrong, 10, []string{"the approval production/huawei=3ca0772e is not for the plan as it is now", "nothing was applied of withings, huawei, strava, oura, polar, whoop, fitbit", "Nothing was written: for end users nothing changed.", "reconcile --dry-run --only production/huawei"}},
		{"rejected", scene(DryRun, 4, sevenHeld()[6]), 8, []string{"key 2 is rejected; key 1 stays live, users sync as before", "the provider refused key 2: invalid_client", "reconcile rotate add production/fitbit"}},
		{"no-way-back", scene(DryRun, 4, lost...), 12, []string{"no file has the live key, so there is no way back to it",
			"Next: nothing until you choose;", "strava keep ****9999: reconcile rotate add production/strava # asks for it", "replace it: reconcile --approve production/strava="}},
		{"outage", outage, 9, []string{"Terra says 503 service_unavailable", "run again later", "Next reconcile --dry-run --env production # look again in some minutes", "for end users nothing changed"}},
		{"applied", applied, 5, []string{"applied in", "1 connection applied, 1 unchanged", "1 connection applied."}},
	} {
		got := render(t, func(w io.Writer) error { return Text(w, s.r, TextOptions{Apply: "reconcile"}) })
		golden(t, "scenes/"+s.name+".txt", got)
		if n := strings.Count(got, "\n"); n > s.lines {
			t.Errorf("%s: %d lines, want at most %d:\n%s", s.name, n, s.lines, got)
		}
		for _, e := range s.r.Environments {
			for _, c := range e.Changes {
				for _, n := range c.Remediations {
					if n.File != "" && !strings.HasPrefix(n.File, e.Name+"/") {
						t.Errorf("%s: %s is mended in %s", s.name, c.ID, n.File)
					}
				}
			}
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
	// Beside a daemon nobody else applies.
	beside := scene(DryRun, 0, ten...)
	beside.StateLock = LockedByDaemon
	text := render(t, func(w io.Writer) error { return Text(w, beside, TextOptions{Apply: "reconcile now production"}) })
	if flat := strings.Join(strings.Fields(text), " "); !strings.Contains(flat, "The daemon applies it, at once with: reconcile now production") || strings.Contains(flat, "One alone") {
		t.Errorf("beside a daemon:\n%s", text)
	}
	// More names than a line holds are counted.
	many := scene(Apply, 3, ten...)
	many.Environments[0].Error = "apply plan: refused"
	many.Finish(sceneAt())
	refused := render(t, func(w io.Writer) error { return Text(w, many, TextOptions{}) })
	if !strings.Contains(refused, "  nothing was applied of the 10 connections that differ\n") {
		t.Errorf("ten that were not applied:\n%s", refused)
	}
	// Who approves all of a plan applies what is ready as well.
	withReady := render(t, func(w io.Writer) error {
		return Text(w, scene(DryRun, 3, append(newConnection("garmin"), eight...)...), TextOptions{})
	})
	if flat := strings.Join(strings.Fields(withReady), " "); !strings.Contains(flat, "all 8 at once, and what is ready (1 connection): 28 users affected: reconcile --approve production=") {
		t.Errorf("what is ready is not said to be applied as well:\n%s", withReady)
	}
	// After a yes the plan stands above: only what became of it is printed.
	answered := scene(Apply, 1, append(newConnection("garmin"), sevenHeld()[1])...)
	for i, c := range answered.Environments[0].Changes {
		if c.Provider == "garmin" {
			answered.Environments[0].Changes[i].Outcome, answered.Environments[0].Changes[i].DurationMS = Applied, 120
		}
	}
	answered.Finish(sceneAt().Add(time.Second))
	outcomes := render(t, func(w io.Writer) error { return Text(w, answered, TextOptions{Outcomes: true}) })
	golden(t, "scenes/after-yes.txt", outcomes)
	flat := strings.Join(strings.Fields(outcomes), " ")
	for _, want := range []string{"1 connection applied, 1 needs you, 1 unchanged", "! huawei client_id 104512345 -> 104599999 37 users must reconnect needs approval", "applied in", "huawei reconcile --approve production/huawei=f974cf2e", "1 needs approval"} {
		if !strings.Contains(flat, want) {
			t.Errorf("after a yes there is no %q:\n%s", want, outcomes)
		}
	}
	// Where much is left it stands above, and one command shows it again.
	much := scene(Apply, 1, append(newConnection("garmin"), sevenHeld()...)...)
	for i, c := range much.Environments[0].Changes {
		if c.Provider == "garmin" {
			much.Environments[0].Changes[i].Outcome = Applied
		}
	}
	much.Finish(sceneAt().Add(time.Second))
	outcomes = render(t, func(w io.Writer) error { return Text(w, much, TextOptions{Outcomes: true}) })
	golden(t, "scenes/after-yes-much.txt", outcomes)
	if !strings.Contains(outcomes, "Next  reconcile --dry-run  # what is left, and what it needs\n") || strings.Contains(outcomes, "--approve") ||
		!strings.Contains(outcomes, "blocked (pause) ") || !strings.Contains(outcomes, "blocked (protect) ") {
		t.Errorf("after a yes:\n%s", outcomes)
	}
	if strings.Contains(outcomes, "client_id") {
		t.Errorf("after a yes the plan is shown again:\n%s", outcomes)
	}
	explained := render(t, func(w io.Writer) error {
		return Text(w, scene(DryRun, 3, sevenHeld()...), TextOptions{Explain: []string{"huawei"}})
	})
	golden(t, "scenes/explain-huawei.txt", explained)
}
