package reconcile

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// twoHeld is a world in which two connections need approval, each for a new client_id.
func twoHeld(t *testing.T) (w *world, hashes map[string]string) {
	t.Helper()
	w = newWorld(t)
	w.environment("policy: {max_changes: {count: 9, percent: 100}}\n")
	w.own("strava", "123456", secretA, "")
	w.own("withings", "abc", secretA, "")
	w.applied()
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.terra.SetUsers(devID, "withings", 9, 0)
	w.own("strava", "777777", secretB, "")
	w.own("withings", "def", secretB, "")
	return w, w.hashes(w.dryRun())
}

func (w *world) hashes(r report.Report) map[string]string {
	out := map[string]string{"production": r.Environments[0].PlanHash}
	for _, c := range r.Environments[0].Connections {
		out[c.Name] = c.PlanHash
	}
	return out
}

func (w *world) clientID(provider string) string {
	return w.terra.Live(devID).Sources[provider].Credential.ClientID
}

func (w *world) leave(connection, hash string, by ...string) {
	w.t.Helper()
	for _, who := range by {
		w.inState(func(s *state.Store) error {
			return s.SaveApproval(here(), state.Approval{Connection: connection, Hash: hash, By: []string{who}, At: w.now, Until: w.now.Add(time.Hour)})
		})
	}
}

// TestOneConnectionIsApproved: nothing else is written, a change elsewhere does not void
// it, and history tells who approved.
func TestOneConnectionIsApproved(t *testing.T) {
	t.Parallel()
	w, hashes := twoHeld(t)
	w.write("production/polar.yaml", "provider: polar\n") // an unrelated change
	r := w.run(Run{Mode: report.Apply, By: "jo", Approve: map[string]string{"production/strava": hashes["production/strava"][:len("sha256:")+8]}})
	if w.clientID("strava") != "777777" || w.clientID("withings") != "abc" {
		t.Errorf("strava has %s, withings %s\n%s", w.clientID("strava"), w.clientID("withings"), w.show(r))
	}
	expectGate(t, w.change(r, "withings:update-credentials"), plan.Approval, "destructive")
	var line state.Entry
	for _, e := range w.history() {
		if e.Change == "production/strava:update-credentials" && e.Event == state.EventWrite {
			line = e
		}
	}
	if line.Approval != hashes["production/strava"] || !slices.Equal(line.ApprovedBy, []string{"jo"}) {
		t.Errorf("history tells of approval %q by %v", line.Approval, line.ApprovedBy)
	}
	again := w.run(Run{Mode: report.Apply, Approve: map[string]string{"production/strava": hashes["production/strava"]}})
	expectText(t, again.Environments[0].Error, "was used already")
}

// TestOneConnectionIsRefused where its hash is another one, or one of the whole plan or
// of another connection.
func TestOneConnectionIsRefused(t *testing.T) {
	t.Parallel()
	w, hashes := twoHeld(t)
	before := len(w.terra.Effects())
	for _, hash := range []string{hashes["production"], hashes["production/withings"], "sha256:0000000", "00000000", ""} {
		r := w.run(Run{Mode: report.Apply, Approve: map[string]string{"production/strava": hash}})
		expectText(t, r.Environments[0].Error, "the approval production/strava=")
		expectText(t, r.Environments[0].Error, "is not for the plan as it is now: ")
		expectText(t, report.Words(r.Environments[0].Remediations), "look at it as it is now: reconcile --dry-run --only production/strava")
		if strings.Contains(r.Environments[0].Error, strings.TrimPrefix(hashes["production/strava"], "sha256:")[:8]) {
			t.Errorf("%q: the error gives away the hash of a plan that nobody has looked at: %s", hash, r.Environments[0].Error)
		}
		if r.ExitCode != report.ExitError || len(w.terra.Effects()) != before {
			t.Errorf("%q: exit %d, %d effects", hash, r.ExitCode, len(w.terra.Effects()))
		}
	}
}

// TestFewerDigitsThanAskedFor are refused, and what a report prints has as many as the
// runner asks for.
func TestFewerDigitsThanAskedFor(t *testing.T) {
	t.Parallel()
	w, hashes := twoHeld(t)
	w.approvers.Digits = 32
	hash := strings.TrimPrefix(hashes["production/strava"], "sha256:")
	before := len(w.terra.Effects())
	for _, given := range []string{hash[:8], hash[:31], "sha256:" + hash[:31]} {
		r := w.run(Run{Mode: report.Apply, Approve: map[string]string{"production/strava": given}})
		expectText(t, r.Environments[0].Error, "this runner takes no fewer than 32 (approvals.digits in daemon.yaml)")
		if r.ExitCode != report.ExitError || len(w.terra.Effects()) != before {
			t.Errorf("%q: exit %d, %d effects", given, r.ExitCode, len(w.terra.Effects()))
		}
	}
	r := w.dryRun()
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":     func(b *bytes.Buffer) error { return report.Text(b, r, report.TextOptions{}) },
		"markdown": func(b *bytes.Buffer) error { return report.Markdown(b, r) },
		"html":     func(b *bytes.Buffer) error { return report.HTML(b, r) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil || !strings.Contains(b.String(), "production/strava="+hash[:32]) || strings.Contains(b.String(), hash[:33]) {
			t.Errorf("%s does not print 32 digits of %s: %v\n%s", name, hash, err, b.String())
		}
	}
	w.run(Run{Mode: report.Apply, Approve: map[string]string{"production/strava": hash[:32]}})
	if w.clientID("strava") != "777777" {
		t.Errorf("32 digits: strava has %s", w.clientID("strava"))
	}
}

// TestApprovalsWaitBesideEachOther: each is used by what it is about, and one of another
// plan is dropped after it refused one run.
func TestApprovalsWaitBesideEachOther(t *testing.T) {
	t.Parallel()
	w, hashes := twoHeld(t)
	w.leave("production/strava", hashes["production/strava"], "jo")
	w.leave("production/withings", "sha256:0", "kim")
	r := w.run(Run{Mode: report.Apply, Waiting: true})
	expectText(t, r.Environments[0].Error, "the approval production/withings=0 is not for the plan as it is now: ")
	r = w.run(Run{Mode: report.Apply, Waiting: true})
	if w.clientID("strava") != "777777" || w.clientID("withings") != "abc" || r.ExitCode != report.ExitHeld {
		t.Errorf("strava has %s, withings %s, exit %d", w.clientID("strava"), w.clientID("withings"), r.ExitCode)
	}
	w.inState(func(s *state.Store) error {
		left, err := s.Approvals(here(), w.now)
		if len(left) > 0 {
			t.Errorf("left: %+v", left)
		}
		return err
	})
	if r = w.run(Run{Mode: report.Apply}); r.ExitCode != report.ExitHeld {
		t.Errorf("without approvals: exit %d", r.ExitCode)
	}
}

// TestFourEyes: what the runner's rule names takes two people; who approves twice is one.
func TestFourEyes(t *testing.T) {
	t.Parallel()
	w, hashes := twoHeld(t)
	w.approvers = Approvers{Required: 2, For: []plan.Class{plan.Destructive}}
	r := w.run(Run{Mode: report.Apply, By: "jo", Approve: map[string]string{"production/strava": hashes["production/strava"]}})
	expectText(t, r.Environments[0].Error, "2 people must approve this, and one did")
	w.leave("production/strava", hashes["production/strava"], "jo", "jo")
	r = w.run(Run{Mode: report.Apply, Waiting: true})
	expectGate(t, w.change(r, "strava:update-credentials"), plan.Approval, "destructive")
	all := r.Environments[0].Connections
	a := all[slices.IndexFunc(all, func(c report.Connection) bool { return c.Name == "production/strava" })].Approval
	if a.State != report.ApprovalPending || a.Required != 2 || !slices.Equal(a.By, []string{"jo"}) {
		t.Errorf("it says %+v", a)
	}
	expectText(t, a.Text, "approved by jo")
	expectText(t, a.Text, "1 more person must")
	w.leave("production/strava", hashes["production/strava"], "kim")
	w.run(Run{Mode: report.Apply, Waiting: true})
	if w.clientID("strava") != "777777" || w.clientID("withings") != "abc" {
		t.Errorf("strava has %s, withings %s", w.clientID("strava"), w.clientID("withings"))
	}
	w.own("strava", "777777", secretB, "state: paused\n") // disruptive: one is enough
	w.leave("production/strava", w.hashes(w.dryRun())["production/strava"], "jo")
	w.run(Run{Mode: report.Apply, Waiting: true})
	if got := w.terra.Live(devID).Sources["strava"].State; got != "paused" {
		t.Errorf("strava is %s", got)
	}
}

// TestWhatIsNotSelectedStays: it is not read but in the list, not written, and what is
// remembered and lasts about it stays as it was.
func TestWhatIsNotSelectedStays(t *testing.T) {
	t.Parallel()
	w, _ := twoHeld(t)
	w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\npolicy: {max_changes: {count: 9, percent: 100}}\n")
	w.apply()
	memory := func() (m plan.Memory, o state.OpenEvents) {
		w.inState(func(s *state.Store) (err error) {
			if m, err = s.Memory(here()); err == nil {
				o, err = s.OpenEvents(here())
			}
			return err
		})
		return m, o
	}
	before, lasts := memory()
	w.terra.ResetLog()
	delete(w.files, "production/withings.yaml") // to be pruned
	w.own("strava", "123456", secretA, "state: paused\n")
	r := w.run(Run{Mode: report.Apply, Select: []string{"production/strava"}})
	e := r.Environments[0]
	for _, c := range e.Changes {
		if c.Provider != "strava" {
			t.Errorf("%s is planned", c.ID)
		}
	}
	if !slices.Equal(e.Selected, []string{"production/strava"}) || e.NotSelected != 1 || len(e.Unmanaged) > 0 || len(e.Changes) == 0 {
		t.Errorf("it says selected %v, aside %d, unmanaged %v, %d changes", e.Selected, e.NotSelected, e.Unmanaged, len(e.Changes))
	}
	for _, c := range w.terra.Log() {
		if c.Provider != "" && c.Provider != "strava" {
			t.Errorf("%s of %s was called", c.Operation, c.Provider)
		}
	}
	after, last := memory()
	if !reflect.DeepEqual(after.Connections["withings"], before.Connections["withings"]) {
		t.Errorf("remembered of withings: %+v, was %+v", after.Connections["withings"], before.Connections["withings"])
	}
	id := "production/withings:update-credentials"
	if last.Gated[id] != lasts.Gated[id] || lasts.Gated[id].Since.IsZero() {
		t.Errorf("gated: %+v, was %+v", last.Gated[id], lasts.Gated[id])
	}
	for _, bad := range []string{"production/nowhere", "nowhere", "staging/strava"} {
		if r := w.run(Run{Mode: report.DryRun, Select: []string{bad}}); r.ExitCode != report.ExitError {
			t.Errorf("%s: exit %d", bad, r.ExitCode)
		}
	}
}
