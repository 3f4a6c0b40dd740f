package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// desk is a Messenger on a real state, of which a test reads what waits.
type desk struct {
	*Messenger
	t     *testing.T
	store *state.Store
	now   time.Time
	seen  map[string]int64
	log   bytes.Buffer
}

func start() time.Time { return time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC) }

func opened(t *testing.T, dir string) *state.Store {
	t.Helper()
	store, err := state.Open(dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// newDesk has the receiver ops, to which everything goes, unless there are routes.
func newDesk(t *testing.T, dir string, routes ...Route) *desk {
	t.Helper()
	d := &desk{t: t, store: opened(t, dir), now: start(), seen: map[string]int64{}}
	if len(routes) == 0 {
		routes = []Route{{Receivers: []string{"ops"}}}
	}
	named := map[string]bool{}
	var receivers []Receiver
	for _, r := range routes {
		for _, name := range r.Receivers {
			if !named[name] {
				receivers = append(receivers, Receiver{Name: name, Form: Webhook})
			}
			named[name] = true
		}
	}
	var err error
	d.Messenger, err = NewMessenger(MessengerOptions{Store: d.store, Routes: routes, Receivers: receivers, Now: func() time.Time { return d.now },
		Log: slog.New(slog.NewTextHandler(&d.log, nil)), Owner: func(environment, connection string) string {
			if strings.HasSuffix(connection, "/garmin") {
				return "team-garmin"
			}
			return ""
		}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// news are what came to wait for a receiver since it was last asked, a line each.
func (d *desk) news(receiver string) []string {
	d.t.Helper()
	all, _, err := d.store.Waiting(receiver)
	if err != nil {
		d.t.Fatal(err)
	}
	out := []string{}
	for _, stored := range all {
		if stored.Number <= d.seen[receiver] {
			continue
		}
		d.seen[receiver] = stored.Number
		var m Message
		if err := json.Unmarshal(stored.Body, &m); err != nil {
			d.t.Fatal(err)
		}
		if m.ID != stored.ID || m.ID == "" || m.Schema != Schema || m.Count == 0 {
			d.t.Errorf("message %+v is not whole", m)
		}
		out = append(out, fmt.Sprintf("%s %s %s", m.Phase, m.Event, m.Title))
	}
	return out
}

// lasts is what is said of the one condition of an event that lasts.
func (d *desk) lasts(event string) (text string) {
	d.t.Helper()
	all, err := d.store.Conditions()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, conditions := range all {
		for _, c := range conditions {
			if c.Event == event {
				text += c.Text
			}
		}
	}
	return text
}

func (d *desk) expect(what, receiver string, want ...string) {
	d.t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, d.news(receiver)); diff != "" {
		d.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (d *desk) record(entries ...state.Entry) {
	d.t.Helper()
	if err := d.store.Record(entries...); err != nil {
		d.t.Fatal(err)
	}
}

func wrote(connection, outcome string) state.Entry {
	return state.Entry{ID: connection + outcome, At: start(), Event: state.EventWrite, Environment: "production", DevID: "prod", Connection: "production/" + connection, Provider: connection,
		Action: plan.UpdateCredentials, Cause: plan.Commit, Outcome: outcome}
}

// ran is the report of a run with some changes.
func ran(changes ...report.Change) report.Report {
	return report.Report{Environments: []report.Environment{{Name: "production", DevID: "prod", PlanHash: "sha256:1", Changes: changes}}}
}

func gatedChange(connection string, gate plan.Gate, guard string, cause plan.Cause) report.Change {
	return report.Change{Change: plan.Change{ID: "production/" + connection + ":" + guard, Connection: "production/" + connection, Provider: connection, Action: plan.Disable, Cause: cause, Gate: gate, Guard: guard, GateReason: "because"}}
}

// TestOneMessageAnEvent: a year of history is told to nobody, a line is told once, and what
// lasts when it begins and when it ends.
func TestOneMessageAnEvent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before := opened(t, dir)
	if err := before.Record(wrote("strava", "failed"), wrote("garmin", "failed")); err != nil {
		t.Fatal(err)
	}
	_ = before.Close()
	d := newDesk(t, dir)
	d.Look()
	d.expect("the first start", "ops")
	d.record(wrote("strava", "applied"), wrote("oura", "applied"), wrote("whoop", "failed"))
	d.Hear(ran())
	d.Look()
	d.expect("three writes", "ops", "happened applied production (2): applied", "happened failed production/whoop: failed")
	held := ran(gatedChange("strava", plan.Approval, "adopt", plan.Adopt), gatedChange("oura", plan.Blocked, plan.GuardPause, plan.Commit), gatedChange("polar", plan.Waiting, plan.GuardWindow, plan.Commit))
	for range 3 {
		d.Hear(held)
	}
	d.expect("held for three runs", "ops", "began held production/strava: held for a person")
	d.Hear(ran(gatedChange("strava", plan.Blocked, "protect", plan.Commit)))
	d.expect("held by another guard", "ops", "began held production/strava: held for a person")
	d.Hear(ran())
	d.expect("free to go", "ops", "ended held Resolved: production/strava: held for a person")
	d.Hear(ran(gatedChange("strava", plan.Ready, "", plan.Drift)))
	d.Hear(ran(gatedChange("strava", plan.Ready, "", plan.Drift)))
	d.Hear(ran())
	d.expect("drift", "ops", "began drift production/strava: changed outside the repository", "ended drift Resolved: production/strava: changed outside the repository")
}

// handSet is a change that would put the key of the file in the place of one that somebody
// set by hand.
func handSet(gate plan.Gate, guard string, outcome report.Outcome) report.Change {
	c := gatedChange("strava", gate, guard, plan.Drift)
	c.ID, c.Action, c.Outcome = "production/strava:rotate-secret", plan.RotateSecret, outcome
	c.Fields = []plan.FieldChange{{Field: plan.FieldClientSecret, To: plan.FieldValue{Key: 1}}}
	keep := plan.NextCommand("keep it: type the live secret, which is encrypted into the file", "rotate", "add", c.Connection)
	c.Holds = []plan.Hold{{Guard: plan.GuardSecretDrift, Gate: plan.Approval, Remediations: []plan.Remediation{keep}}}
	if guard == plan.GuardSecretDrift {
		c.Remediations = []plan.Remediation{keep}
	}
	return c
}

// heard is the report of a run that found keys set out of band and an approval that it offers.
func heard(c report.Change) report.Report {
	r := ran(c)
	e := &r.Environments[0]
	e.Connections = []report.Connection{{Name: c.Connection, Approval: report.Approval{Command: plan.Command{"approve", c.Connection, "5e2c497c", "--now"}}}}
	if c.Gate == plan.Approval {
		e.Events = []report.Event{{Kind: report.KeyOutOfBandEvent, Connection: c.Connection, Change: c.ID, Text: "somebody set keys out of band"}}
	}
	return r
}

// TestForeignKeyLastsUntilItIsReplaced: an approval, a window and a commit that allows it end
// nothing; that the key of the file is written does, and that a run sees it live.
func TestForeignKeyLastsUntilItIsReplaced(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]report.Report{"written": ran(handSet(plan.Ready, "", report.Applied)), "seen": ran()} {
		d := newDesk(t, t.TempDir())
		d.Hear(heard(handSet(plan.Approval, plan.GuardSecretDrift, report.Skipped)))
		d.expect(name+": found", "ops", "began key-out-of-band production/strava: keys set out of band")
		d.Hear(ran(handSet(plan.Waiting, plan.GuardWindow, report.Waiting)))
		d.expect(name+": approved, and waits for a window", "ops")
		allowed := handSet(plan.Waiting, plan.GuardWindow, report.Waiting)
		allowed.Holds = nil
		d.Hear(ran(allowed))
		d.expect(name+": allowed by a commit, and waits for a window", "ops")
		d.Hear(ran(handSet(plan.Blocked, plan.GuardPause, report.Skipped)))
		d.expect(name+": paused", "ops")
		if got := d.lasts("key-out-of-band"); !strings.Contains(got, "; the change that replaces them is held by guard pause: because") {
			t.Errorf("%s: a reminder would say %q", name, got)
		}
		d.Hear(ran(handSet(plan.Ready, "", report.Unknown)))
		d.expect(name+": nobody knows whether it was replaced", "ops")
		if got := d.lasts("key-out-of-band"); !strings.Contains(got, "; the change that replaces them is let go, and not applied yet") {
			t.Errorf("%s: a reminder would say %q", name, got)
		}
		d.Hear(last)
		d.expect(name, "ops", "ended key-out-of-band Resolved: production/strava: keys set out of band")
		d.Hear(ran())
		d.expect(name+": nothing more", "ops")
	}
}

// TestForeignKeyIsOneMessage: with both ways, of which the one that keeps the key that is live
// is the command; what else was told of the same change goes on in it.
func TestForeignKeyIsOneMessage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	drifts := handSet(plan.Waiting, plan.GuardProbe, report.Waiting)
	drifts.Holds = nil
	d.Hear(ran(drifts))
	d.expect("drift, of which nobody knows more", "ops", "began drift production/strava: changed outside the repository")
	scopes := gatedChange("strava", plan.Ready, "", plan.Drift)
	r := heard(handSet(plan.Approval, plan.GuardSecretDrift, report.Skipped))
	d.Hear(r)
	d.expect("a foreign key", "ops", "began key-out-of-band production/strava: keys set out of band")
	all, _, err := d.store.Waiting("ops")
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	if err := json.Unmarshal(all[len(all)-1].Body, &m); err != nil {
		t.Fatal(err)
	}
	const keep, replace = "reconcile rotate add production/strava", "reconcile approve production/strava 5e2c497c --now"
	text := m.Items[0].Text
	if at := strings.Index(text, keep); m.Items[0].Command != keep || at < 0 || at > strings.Index(text, replace) {
		t.Errorf("got %q, and types %q", text, m.Items[0].Command)
	}
	r.Environments[0].Changes = append(r.Environments[0].Changes, scopes)
	d.Hear(r)
	d.expect("another field drifts, too", "ops", "began drift production/strava: changed outside the repository")
}

// fought is the report of a run that leaves what something else sets again and again.
func fought(c report.Change) report.Report {
	r := heard(c)
	r.Environments[0].Events = []report.Event{{Kind: report.Conflict, Connection: c.Connection, Change: c.ID, Text: "something else sets it"}}
	return r
}

// TestConflictIsOneMessage: of what is held because it comes back neither drift nor a hold is
// told, but how it is approved; it lasts until the change is applied.
func TestConflictIsOneMessage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	c := gatedChange("strava", plan.Approval, plan.GuardConflict, plan.Drift)
	d.Hear(fought(c))
	d.expect("it comes back", "ops", "began conflict production/strava: drift comes back")
	if got := d.lasts("conflict"); !strings.Contains(got, "is held, guard conflict: because") {
		t.Errorf("it says %q", got)
	}
	if all, _, err := d.store.Waiting("ops"); err != nil || !strings.Contains(string(all[0].Body), `"command":"reconcile approve production/strava 5e2c497c --now"`) {
		t.Errorf("got %s, %v", all[0].Body, err)
	}
	c.Gate, c.Guard = plan.Waiting, plan.GuardWindow
	d.Hear(ran(c))
	d.expect("approved, and waits for a window", "ops")
	c.Gate, c.Guard, c.Outcome = plan.Ready, "", report.Applied
	d.Hear(ran(c))
	d.expect("applied", "ops", "ended conflict Resolved: production/strava: drift comes back")
}

// TestConflictOverKeysIsOneMessage: that of the keys, which says how they are kept.
func TestConflictOverKeysIsOneMessage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	c := handSet(plan.Approval, plan.GuardConflict, report.Skipped)
	c.Remediations, c.Holds = c.Holds[0].Remediations, nil
	r := fought(c)
	r.Environments[0].Events = append(r.Environments[0].Events, heard(c).Environments[0].Events...)
	d.Hear(r)
	d.expect("a foreign key for the third time", "ops", "began key-out-of-band production/strava: keys set out of band")
	if got := d.lasts("key-out-of-band"); !strings.Contains(got, "keep it") || !strings.Contains(got, "; or replace them by those of the file: reconcile approve ") {
		t.Errorf("it says %q", got)
	}
}

// TestEndsSayHow: what has ended repeats neither the sentence of while it lasted nor what to
// type, and says how it ended where that is known.
func TestEndsSayHow(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	disable := gatedChange("oura", plan.Approval, "destructive", plan.Commit)
	disable.Remediations = []plan.Remediation{plan.NextCommand("approve it", "approve", "production/oura", "5e2c497c")}
	withdrawn := gatedChange("whoop", plan.Approval, "destructive", plan.Commit)
	foreign := handSet(plan.Approval, plan.GuardSecretDrift, report.Skipped)
	first := ran(disable, withdrawn, foreign)
	soak := func(connection string, state keys.State, live int) keys.Status {
		return keys.Status{Connection: "production/" + connection, State: state, Live: live, SoakStartedAt: start(), SoakEndsAt: start().Add(24 * time.Hour)}
	}
	first.Environments[0].Keys = []keys.Status{soak("polar", keys.Soaking, 2), soak("suunto", keys.Soaking, 2), soak("withings", keys.Soaking, 2)}
	d.Hear(first)
	d.Set("ready", []Lasting{{Key: "git", Condition: state.Condition{Event: "unready", About: "git", Text: "git fails", Command: "reconcile status"}}})
	d.record(state.Entry{ID: "p", At: start(), Event: state.EventPause, Owner: "ada", Reason: "incident", Until: start().Add(time.Hour)},
		state.Entry{ID: "q", At: start(), Event: state.EventPause, Environment: "staging", Owner: "ada", Reason: "incident", Until: start().Add(time.Minute)},
		state.Entry{ID: "w", At: start(), Event: state.EventRewound, Environment: "staging", DevID: "stag", Reason: "from a to b"})
	d.Look()
	d.news("ops")
	d.now = start().Add(time.Minute)
	disable.Outcome = report.Applied
	last := ran(disable)
	last.Environments[0].Keys = []keys.Status{{Connection: "production/polar", State: keys.OK, Live: 2}, soak("suunto", keys.Rejected, 1), soak("withings", keys.LiveRejected, 2), {Connection: "production/strava", State: keys.OK, Live: 1}}
	d.Hear(last)
	d.Set("ready", nil)
	d.record(state.Entry{ID: "r", At: start(), Event: state.EventResume, Owner: "bob"},
		state.Entry{ID: "x", At: start(), Event: state.EventRewoundResolved, Environment: "staging", DevID: "stag"})
	d.Look()
	all, _, err := d.store.Waiting("ops")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, stored := range all {
		var m Message
		if err := json.Unmarshal(stored.Body, &m); err != nil {
			t.Fatal(err)
		}
		for _, i := range m.Items {
			if m.Phase != Ended {
				continue
			}
			got = append(got, i.Text)
			if i.Command != "" || i.Since.IsZero() {
				t.Errorf("%s: types %q, since %s", i.Text, i.Command, i.Since)
			}
		}
	}
	want := []string{
		"production/oura: held for a person (disable, guard destructive); this has ended: the change was applied",
		"production/whoop: held for a person (disable, guard destructive); this has ended: the change is not in the plan any more",
		"production/strava: keys set out of band; this has ended: key 1 of the file is live",
		"production/polar: a new key soaks (key 2); this has ended: key 2 is live, and its soak is over",
		"production/suunto: a new key soaks (key 2); this has ended: key 1 is live in its place",
		"production/withings: a new key soaks (key 2); this has ended: key 2 is live, and its state is live-rejected",
		"not ready (git); this has ended",
		"paused; this has ended: changes of everything are let go by bob",
		"staging: paused; this has ended: its time is over",
		"staging: the branch was rewound; this has ended: the branch moved on",
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestHoldLastsUntilItIsApplied: who approves what waits for a window then has ended no hold.
func TestHoldLastsUntilItIsApplied(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	change := func(gate plan.Gate, guard string, outcome report.Outcome) report.Change {
		c := gatedChange("strava", gate, guard, plan.Commit)
		c.ID, c.Outcome = "production/strava:disable", outcome
		return c
	}
	other := gatedChange("strava", plan.Waiting, plan.GuardWindow, plan.Commit)
	d.Hear(ran(change(plan.Approval, "destructive", report.Skipped)))
	d.expect("held", "ops", "began held production/strava: held for a person")
	for name, c := range map[string]report.Change{"window": change(plan.Waiting, plan.GuardWindow, report.Waiting), "pause": change(plan.Blocked, plan.GuardPause, report.Skipped),
		"failed": change(plan.Ready, "", report.Failed)} {
		d.Hear(ran(c))
		d.expect(name, "ops")
		want := map[string]string{"window": "production/strava: disable is not applied yet, guard window: because", "pause": "production/strava: disable is not applied yet, guard pause: because",
			"failed": "production/strava: disable is let go, and not applied yet"}[name]
		if got := d.lasts("held"); got != want {
			t.Errorf("%s: a reminder would say %q, want %q", name, got, want)
		}
	}
	d.Hear(ran(change(plan.Approval, "destructive", report.Skipped)))
	d.expect("held again, which it was all the time", "ops")
	d.Hear(ran(change(plan.Ready, "", report.Applied), other))
	d.expect("applied", "ops", "ended held Resolved: production/strava: held for a person")
}

// TestUnknownIsNoEnd: a run that failed, and what was not compared, neither begin nor end
// anything.
func TestUnknownIsNoEnd(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	d.Hear(ran(gatedChange("strava", plan.Approval, "adopt", plan.Adopt)))
	d.news("ops")
	failed := ran()
	failed.Environments[0].Error = "read environment: Terra answered 503"
	d.Hear(failed)
	unplanned := ran()
	unplanned.Environments[0].PlanHash = ""
	d.Hear(unplanned)
	d.Hear(report.Report{Error: "nothing is known"})
	d.expect("failed runs", "ops")
	unsure := ran()
	unsure.Environments[0].NotCompared = []plan.NotCompared{{Connection: "production/strava", Field: "client_secret", Reason: "no identity"}}
	d.Hear(unsure)
	d.expect("not compared", "ops")
	d.Hear(ran())
	d.expect("known again", "ops", "ended held Resolved: production/strava: held for a person")
}

// TestDriftThatIsPutBack: where the run that finds drift puts it back, that is one message.
func TestDriftThatIsPutBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	ended := state.Entry{ID: "d", At: start(), Event: state.EventDriftResolved, Environment: "production", DevID: "prod", Connection: "production/strava", Outcome: "reverted", Since: start().Add(-time.Hour),
		Fields: []plan.FieldChange{{Field: plan.FieldScopes}}}
	d.record(ended)
	d.Hear(ran())
	d.expect("put back at once", "ops", "ended drift Resolved: production/strava: changed outside the repository")
	d.Hear(ran(gatedChange("strava", plan.Approval, "max-changes", plan.Drift)))
	d.news("ops")
	d.record(ended)
	d.Look()
	d.expect("the line before the run is heard", "ops")
	d.Hear(ran())
	d.expect("the run", "ops", "ended drift Resolved: production/strava: changed outside the repository", "ended held Resolved: production/strava: held for a person")
}

// TestMessagesOutliveTheProcess: what was heard and what lasts is known to the next process,
// and lines that were written while nobody heard are told by it.
func TestMessagesOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDesk(t, dir)
	d.Hear(ran(gatedChange("strava", plan.Approval, "adopt", plan.Adopt)))
	d.record(wrote("strava", "unknown"))
	_ = d.store.Close() // killed before it was heard
	d = newDesk(t, dir)
	d.expect("what waits", "ops", "began held production/strava: held for a person")
	d.Look()
	d.expect("what nobody heard", "ops", "happened unknown production/strava: outcome unknown")
	d.Hear(ran(gatedChange("strava", plan.Approval, "adopt", plan.Adopt)))
	d.expect("it lasts", "ops")
}

// TestManyAreOneMessage: 200 connections that fail at once are one message.
func TestManyAreOneMessage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	for n := range 200 {
		d.record(wrote(fmt.Sprintf("p%03d", n), "failed"))
	}
	d.Look()
	all, _, err := d.store.Waiting("ops")
	if err != nil || len(all) != 1 {
		t.Fatalf("got %d messages, %v", len(all), err)
	}
	var m Message
	if err := json.Unmarshal(all[0].Body, &m); err != nil {
		t.Fatal(err)
	}
	if m.Count != 200 || len(m.Items) != mostItems || m.Title != "production (200): failed" || !strings.Contains(strings.Join(lines(m), "\n"), "and 180 more") {
		t.Errorf("got %d of %d, %q\n%s", len(m.Items), m.Count, m.Title, strings.Join(lines(m), "\n"))
	}
}

// TestRunsAreToldWhole: what a run writes is told when it ends, each line once, and not later
// than after a minute; what people do is told at once.
func TestRunsAreToldWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDesk(t, dir)
	running := map[string]bool{"production": true}
	d.o.Running = func(name string) bool { return running[name] }
	other := func(connection string) state.Entry {
		e := wrote(connection, "applied")
		e.Environment, e.DevID, e.Connection = "staging", "stag", "staging/"+connection
		return e
	}
	d.record(wrote("a", "failed"), other("b"), state.Entry{ID: "p", At: start(), Event: state.EventApproved, Environment: "production", ApprovedBy: []string{"ada"}})
	d.Look()
	d.Look()
	d.expect("a run is under way", "ops", "happened applied staging/b: applied", "happened approved production: approved")
	d.record(wrote("c", "failed"), other("d"))
	d.Look()
	d.expect("more of it", "ops", "happened applied staging/d: applied")
	_ = d.store.Close() // killed: the next process has no run under way
	d = newDesk(t, dir)
	d.o.Running = func(name string) bool { return running[name] }
	d.seen["ops"] = 3
	d.Hear(ran())
	d.expect("the run ends", "ops", "happened failed production (2): failed")
	d.record(wrote("e", "failed"))
	d.Look()
	d.now = d.now.Add(untilTold)
	d.Look()
	d.expect("a run that takes long", "ops", "happened failed production/e: failed")
	if until, _, err := d.store.HeardUntil(); until.Sequence != 6 || len(until.Ahead) > 0 || err != nil {
		t.Errorf("got %+v, %v", until, err)
	}
}

// TestRoutes: by event, severity, environment and owner; each receiver once; what is about
// no environment is for all.
func TestRoutes(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir(),
		Route{Severities: []string{"critical"}, Receivers: []string{"pager", "all"}},
		Route{Receivers: []string{"all"}},
		Route{Events: []string{"held"}, Environments: []string{"eu/*"}, Receivers: []string{"eu"}},
		Route{Environments: []string{"production"}, Events: []string{"unready", "held"}, Receivers: []string{"production"}},
		Route{Owners: []string{"team-garmin"}, Receivers: []string{"garmin"}},
	)
	d.record(wrote("strava", "failed"), wrote("garmin", "applied"))
	d.Look()
	d.Hear(report.Report{Environments: []report.Environment{{Name: "eu/production", PlanHash: "sha256:1", Changes: []report.Change{{Change: plan.Change{Connection: "eu/production/oura", Gate: plan.Approval, Guard: "adopt"}}}}}})
	d.Set("ready", []Lasting{{Key: "unready git", Condition: state.Condition{Event: "unready", Text: "git: no route to host"}}})
	for receiver, want := range map[string][]string{
		"pager":      {"happened failed production/strava: failed", "began unready terra-reconcile: not ready"},
		"all":        {"happened failed production/strava: failed", "happened applied production/garmin: applied", "began held eu/production/oura: held for a person", "began unready terra-reconcile: not ready"},
		"eu":         {"began held eu/production/oura: held for a person"},
		"production": {"began unready terra-reconcile: not ready"},
		"garmin":     {"happened applied production/garmin: applied"},
	} {
		d.expect(receiver, receiver, want...)
	}
}

// TestReminders: each receiver after its own time, again after the same, and never of what
// has ended.
func TestReminders(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir(), Route{Receivers: []string{"ops"}, Remind: 24 * time.Hour}, Route{Receivers: []string{"quiet"}})
	held := ran(gatedChange("strava", plan.Approval, "adopt", plan.Adopt))
	d.Hear(held)
	d.news("ops")
	d.news("quiet")
	for hour := range 49 {
		d.now = start().Add(time.Duration(hour) * time.Hour)
		d.Look()
		want := []string{}
		if hour == 24 || hour == 48 {
			want = append(want, "reminder held Reminder: production/strava: held for a person")
		}
		d.expect(fmt.Sprintf("hour %d", hour), "ops", want...)
	}
	held = ran()
	held.Environments[0].Keys = []keys.Status{{Connection: "production/polar", State: keys.Soaking, Live: 2}}
	d.Hear(held)
	d.now = d.now.Add(100 * time.Hour)
	d.Look()
	d.expect("a soak", "ops", "began key-soaking production/polar: a new key soaks", "ended held Resolved: production/strava: held for a person")
	d.news("quiet")
	d.Hear(ran())
	d.Look()
	d.expect("the end", "ops", "ended key-soaking Resolved: production/polar: a new key soaks")
	d.expect("who is never reminded", "quiet", "ended key-soaking Resolved: production/polar: a new key soaks")
}

// TestPauses: a pause is told, ends by a resume or by itself, and a rewound branch likewise.
func TestPauses(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	pause := state.Entry{ID: "p", At: start(), Event: state.EventPause, Environment: "production", Owner: "ada", Reason: "incident", Until: start().Add(time.Hour)}
	d.record(pause)
	d.Look()
	d.expect("paused", "ops", "began paused production: paused")
	if all, _, err := d.store.Waiting("ops"); err != nil || !strings.Contains(string(all[0].Body), `"command":"reconcile resume production"`) {
		t.Errorf("got %s, %v", all[0].Body, err)
	}
	d.now = start().Add(time.Hour)
	d.Look()
	d.Look()
	d.expect("its end", "ops", "ended paused Resolved: production: paused")
	one, whole := pause, pause
	one.ID, one.Connection, one.Provider, one.Until = "o", "production/strava", "strava", start().Add(2*time.Hour)
	whole.ID, whole.Until = "h", start().Add(2*time.Hour)
	d.record(one, whole)
	d.Look()
	d.now = start().Add(2 * time.Hour)
	d.Look()
	d.expect("a connection and its environment", "ops", "began paused production (2): paused", "ended paused Resolved: production (2): paused")
	pause.Until, pause.Environment = start().Add(9*time.Hour), ""
	d.record(pause, state.Entry{ID: "r", At: start(), Event: state.EventResume, Owner: "ada"}, state.Entry{ID: "r", At: start(), Event: state.EventResume, Owner: "ada"},
		state.Entry{ID: "w", At: start(), Event: state.EventRewound, Environment: "production", DevID: "prod", Reason: "from c0ffee"},
		state.Entry{ID: "x", At: start(), Event: state.EventRewoundResolved, Environment: "production", DevID: "prod"})
	d.Look()
	d.expect("paused and resumed", "ops", "began paused terra-reconcile: paused", "ended paused Resolved: terra-reconcile: paused",
		"began rewound production: the branch was rewound", "ended rewound Resolved: production: the branch was rewound")
}

// TestEveryKindIsMade: each kind of the table is made by something, and once.
func TestEveryKindIsMade(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	at := start()
	d.record(wrote("a", "applied"), wrote("a", "failed"), wrote("a", "unknown"), wrote("a", "settled"),
		state.Entry{ID: "1", At: at, Event: state.EventApproved, Environment: "production", ApprovedBy: []string{"ada"}},
		state.Entry{ID: "2", At: at, Event: state.EventEnvironmentRefused, Environment: "production", Approval: "sha256:1", Error: "it is another plan"},
		state.Entry{ID: "2b", At: at, Event: state.EventEnvironmentRefused, Environment: "production", Error: "heard of elsewhere"},
		state.Entry{ID: "3", At: at, Event: state.EventForgotten, Environment: "production", Connection: "production/a", Owner: "ada"},
		state.Entry{ID: "4", At: at, Event: state.EventKeyDead, Environment: "production", Connection: "production/a", Reason: "key 1"},
		state.Entry{ID: "4b", At: at, Event: state.EventForcedPush, Reason: "from a to b"},
		state.Entry{ID: "5", At: at, Event: state.EventRewound, Environment: "production", DevID: "prod"},
		state.Entry{ID: "6", At: at, Event: state.EventPause, Environment: "production", Until: at.Add(time.Hour)},
		state.Entry{ID: "7", At: at, Event: state.EventWrite, Environment: "production", Connection: "production/b", Outcome: "applied", Action: plan.RotateSecret, Reason: "key 2 is rejected",
			Fields: []plan.FieldChange{{Field: plan.FieldClientSecret, From: plan.FieldValue{Key: 2}, To: plan.FieldValue{Key: 1}}}})
	r := ran(gatedChange("c", plan.Approval, "adopt", plan.Drift), gatedChange("setup", plan.Waiting, plan.GuardSetup, plan.Create))
	e := &r.Environments[0]
	for _, kind := range []report.EventKind{report.Stuck, report.KeyRejectedEvent, report.KeyOverdueEvent, report.RolledBack, report.RotationHeld, report.Conflict, report.KeyOutOfBandEvent} {
		e.Events = append(e.Events, report.Event{Kind: kind, Connection: "production/" + string(kind), Text: "d"})
	}
	e.Events = append(e.Events, report.Event{Kind: report.Stuck, Connection: "production/setup", Change: e.Changes[1].ID, Text: "held"})
	e.Keys = []keys.Status{{Connection: "production/e", State: keys.Expiring}, {Connection: "production/f", State: keys.Soaking, Live: 2}, {Connection: "production/g", State: keys.OK}}
	d.Hear(r)
	for source, kind := range map[string]report.EventKind{"token": report.EventTokenExpiring, "poll": report.EventCommitRefused, "poll2": report.EventEnvironmentInvalid, "ready": report.EventUnready} {
		d.Set(source, []Lasting{{Key: "k", Condition: state.Condition{Event: string(kind), Text: "t"}}})
	}
	got := map[string]int{string(report.EventMessagesDropped): 1, string(report.EventTest): 1} // which no route carries
	for _, line := range d.news("ops") {
		got[strings.Fields(line)[1]]++
	}
	want := map[string]int{}
	for _, k := range report.Kinds() {
		want[string(k.Name)] = 1
	}
	want["applied"]++ // the roll-back is a write, too, of another connection
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestGone: what lasted in an environment that the repository has no more has ended, and
// what waits for a receiver that the configuration has no more is dropped.
func TestGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDesk(t, dir)
	d.Hear(ran(gatedChange("strava", plan.Approval, "adopt", plan.Adopt)))
	d.news("ops")
	d.Gone([]string{"production"}, nil)
	d.expect("it is there", "ops")
	d.Gone([]string{"staging"}, map[string]string{"other": "taken"})
	d.expect("it is gone", "ops", "gone held No longer watched: production/strava: held for a person")
	all, _, err := d.store.Waiting("ops")
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	if err := json.Unmarshal(all[len(all)-1].Body, &m); err != nil {
		t.Fatal(err)
	}
	const want = "production/strava: held for a person (disable, guard adopt); environment production is no longer in the repository, so nobody looks any more whether this lasts"
	if i := m.Items[0]; i.Text != want || i.Command != "" || strings.Contains(strings.Join(lines(m), " "), "ended") {
		t.Errorf("got %q and %q", i.Text, i.Command)
	}
	_ = d.store.Close()
	d = newDesk(t, dir, Route{Receivers: []string{"other"}})
	if text := d.log.String(); !strings.Contains(text, "gone from the configuration") || !strings.Contains(text, "receiver=ops messages=2") {
		t.Errorf("log: %s", text)
	}
	if all, _, err := d.store.Waiting("ops"); len(all) > 0 || err != nil {
		t.Errorf("%d messages wait for nobody, %v", len(all), err)
	}
}

// TestGoneThoughTheRepositoryNamesIt: an environment that is another repository's is not said to
// be in none.
func TestGoneThoughTheRepositoryNamesIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	d.Hear(ran(gatedChange("strava", plan.Approval, "adopt", plan.Adopt)))
	d.news("ops")
	d.Gone([]string{"staging"}, map[string]string{"production": "it belongs to the repository payments already"})
	all, _, err := d.store.Waiting("ops")
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	var m Message
	if err := json.Unmarshal(all[len(all)-1].Body, &m); err != nil {
		t.Fatal(err)
	}
	const want = "environment production is not used (it belongs to the repository payments already), so nobody looks any more whether this lasts"
	if text := m.Items[0].Text; !strings.HasSuffix(text, "; "+want) || strings.Contains(text, "no longer in the repository") {
		t.Errorf("got %q", text)
	}
}

// TestEachRefusedCommitIsTold: one that is refused after another one was has not ended
// anything, and is told of; the same one again is not.
func TestEachRefusedCommitIsTold(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	refused := func(hash string) []Lasting {
		return []Lasting{{Key: "commit " + hash, Condition: state.Condition{Event: string(report.EventCommitRefused), Text: "commit " + hash + " is not used"}}}
	}
	const began, ended = "began commit-refused terra-reconcile: a commit is not used", "ended commit-refused Resolved: terra-reconcile: a commit is not used"
	d.Set("poll", refused("a"))
	d.Set("poll", refused("a"))
	d.expect("the first", "ops", began)
	d.Set("poll", refused("b"))
	d.Set("poll", refused("b"))
	d.expect("another one", "ops", began)
	if got := d.lasts("commit-refused"); got != "commit b is not used" {
		t.Errorf("what lasts is %q", got)
	}
	d.Set("poll", nil)
	d.expect("one that is good", "ops", ended)
}

// TestEnvironmentStaysBehind: what keeps an environment on its last commit ends with the last
// reason for it, and a commit that is refused as a whole begins nothing of an environment.
func TestEnvironmentStaysBehind(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	invalid := func(name, text string, goesOn bool) Lasting {
		return Lasting{Key: name, GoesOn: goesOn, Condition: state.Condition{Event: string(report.EventEnvironmentInvalid), Environment: name, Text: text}}
	}
	refused := Lasting{Key: "commit a", Condition: state.Condition{Event: string(report.EventCommitRefused), Text: "commit a is not used"}}
	d.Set("poll", []Lasting{invalid("production", "strava.yaml:1:1", false)})
	d.expect("its files are wrong", "ops", "began environment-invalid production: newest commit not used")
	d.Set("poll", []Lasting{refused, invalid("production", "commit a is not used", true), invalid("staging", "commit a is not used", true)})
	d.expect("the next commit is refused", "ops", "began commit-refused terra-reconcile: a commit is not used")
	if got := d.lasts("environment-invalid"); got != "commit a is not used" {
		t.Errorf("what lasts is %q", got)
	}
	d.Set("poll", []Lasting{invalid("production", "strava.yaml:1:1", false)})
	d.expect("its files are wrong still", "ops", "ended commit-refused Resolved: terra-reconcile: a commit is not used")
	d.Set("poll", nil)
	d.expect("all is good", "ops", "ended environment-invalid Resolved: production: newest commit not used")
}

// TestCommitAtFault: where the runner does not allow what a commit asks for, or Terra has it
// not, people hear that it begins and that it ends, which no run that failed tells.
func TestCommitAtFault(t *testing.T) {
	t.Parallel()
	d := newDesk(t, t.TempDir())
	const began, ended = "began environment-invalid production: newest commit not used", "ended environment-invalid Resolved: production: newest commit not used"
	failed := func(cause string, atFault bool) report.Report {
		return report.Report{Environments: []report.Environment{{Name: "production", DevID: "other", Error: cause, CommitAtFault: atFault}}}
	}
	d.Hear(failed("dev_id other is not allowed", true))
	d.Hear(failed("dev_id other is not allowed", true))
	d.Hear(failed("no route", false))
	d.expect("not allowed", "ops", began)
	if got := d.lasts("environment-invalid"); got != "production: dev_id other is not allowed" {
		t.Errorf("what lasts is %q", got)
	}
	behind := []Lasting{{Key: "production", Condition: state.Condition{Event: string(report.EventEnvironmentInvalid), Environment: "production", Text: "strava.yaml:1:1"}}}
	d.Set("poll", behind)
	d.expect("and its files are wrong", "ops", began)
	d.Hear(ran())
	d.expect("it is allowed, and its files are wrong", "ops")
	d.Set("poll", nil)
	d.expect("mended", "ops", ended)
	d.Hear(failed("dev_id other is not allowed", true))
	d.Set("poll", behind)
	d.news("ops")
	d.Set("poll", nil)
	d.expect("its files are mended", "ops")
	d.Hear(ran())
	d.expect("and it is allowed", "ops", ended)
	d.Hear(failed("dev_id other is not allowed", true))
	d.Gone(nil, nil)
	d.expect("removed", "ops", began, "gone environment-invalid No longer watched: production: newest commit not used")
}

// TestReceiversAddedLater: who was not told that something lasts is not told that it has ended,
// but who was reminded of it is. Of conditions of former releases nobody knows who was told.
func TestReceiversAddedLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ops := Route{Receivers: []string{"ops"}}
	d := newDesk(t, dir, ops)
	fails := []Lasting{{Key: "git", Condition: state.Condition{Event: string(report.EventUnready), Text: "no route"}}}
	d.Set("ready", fails)
	d.record(state.Entry{ID: "p", At: start(), Event: state.EventPause, Environment: "production", Owner: "ada", Reason: "x", Until: start().Add(time.Hour)})
	d.Look()
	d.news("ops")
	_ = d.store.Close()
	d = newDesk(t, dir, ops, Route{Receivers: []string{"new"}})
	if _, err := d.store.SaveHeard(state.Heard{Until: d.until, Conditions: map[string]map[string]state.Condition{"poll": {"old": {Event: string(report.EventCommitRefused), Text: "x", Reminded: map[string]time.Time{"ops": start()}}}}, Most: 10, MostBytes: 10000}); err != nil {
		t.Fatal(err)
	}
	d.lasting, _ = d.store.Conditions()
	d.now = start().Add(time.Hour)
	d.Set("ready", nil)
	d.Set("poll", nil)
	const former = "ended commit-refused Resolved: terra-reconcile: a commit is not used"
	d.expect("who was there", "ops", "began unready terra-reconcile: not ready", "began paused production: paused", "ended unready Resolved: terra-reconcile: not ready", "ended paused Resolved: production: paused", former)
	d.expect("who was not", "new", former)
	d.Set("ready", fails)
	d.Set("ready", nil)
	d.expect("what began since", "new", "began unready terra-reconcile: not ready", "ended unready Resolved: terra-reconcile: not ready")
	_ = d.store.Close()
	d = newDesk(t, dir, ops)
	d.Set("ready", fails)
	_ = d.store.Close()
	d = newDesk(t, dir, ops, Route{Receivers: []string{"new"}, Remind: time.Hour})
	d.now = start().Add(3 * time.Hour)
	d.Look()
	d.Set("ready", nil)
	d.expect("who was reminded", "new", "reminder unready Reminder: terra-reconcile: not ready", "ended unready Resolved: terra-reconcile: not ready")
}

// TestUnwritableState: what cannot be saved is not forgotten: it is told once that works.
func TestUnwritableState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDesk(t, dir)
	d.record(wrote("strava", "failed"))
	good := d.o.Store
	d.o.Store = failing{good}
	d.Look()
	if !strings.Contains(d.log.String(), "it is told later") {
		t.Errorf("log: %s", d.log.String())
	}
	d.o.Store = good
	d.Look()
	d.expect("once it can be saved", "ops", "happened failed production/strava: failed")
}

type failing struct{ Store }

func (failing) SaveHeard(state.Heard) (map[string]int, error) { return nil, os.ErrPermission }

// TestNoCommandIsCut: a part of a command is another one, so the reason before it is cut, and
// a command that has no room is left out.
func TestNoCommandIsCut(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		reason, connection string
		want, never        string
	}{
		"a long reason":  {strings.Repeat("x", 600), "production/strava", "…; keep it: type the live secret, which is encrypted into the file: reconcile rotate add production/strava; or replace them by those of the file: reconcile approve production/strava 5e2c497c --now", "xxx;"},
		"a long command": {"because", strings.Repeat("x", 200), "", "reconcile approve"},
	} {
		c := handSet(plan.Blocked, plan.GuardConflict, report.Skipped)
		c.GateReason, c.Connection, c.Remediations = row.reason, row.connection, []plan.Remediation{plan.NextCommand("keep it: type the live secret, which is encrypted into the file", "rotate", "add", row.connection)}
		e := heard(c).Environments[0]
		text, command := foreignText(e, c)
		if n := len([]rune(text)); n > longestText || !strings.HasSuffix(text, row.want) || strings.Contains(text, row.never) {
			t.Errorf("%s: it says in %d characters %q", name, n, text)
		}
		if whole(command) != command || whole(command+strings.Repeat("x", longestText)) != "" {
			t.Errorf("%s: the command is %q", name, whole(command))
		}
	}
}
