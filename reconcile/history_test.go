package reconcile

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// history reads all lines, and scans the state folder for planted secrets.
func (w *world) history() []state.Entry {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.stateDir, "*"))
	if err != nil || len(files) < 2 {
		w.t.Fatalf("state folder: got %v, %v", files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, secret := range w.planted {
			if bytes.Contains(data, []byte(secret)) {
				w.t.Fatalf("%s shows a secret", filepath.Base(name))
			}
		}
	}
	entries, damaged, err := state.History(w.stateDir, state.HistoryFilter{})
	if err != nil || len(damaged) > 0 {
		w.t.Fatalf("history: %v %v", damaged, err)
	}
	return entries
}

// told gives what the history tells as short words, after the first skip lines.
func (w *world) told(skip int) string {
	w.t.Helper()
	var out []string
	for _, e := range w.history()[skip:] {
		words := e.Event + " " + strings.TrimPrefix(e.Change, "production/")
		for _, f := range e.Fields {
			if e.Event == state.EventDriftResolved {
				words += e.Provider + "/" + f.Field
			}
		}
		if e.Guard != "" {
			words += " by " + e.Guard
		}
		if e.Outcome != "" {
			words += ": " + e.Outcome
		}
		out = append(out, words)
	}
	return strings.Join(out, "\n")
}

func (w *world) tells(skip int, want ...string) {
	w.t.Helper()
	if got := w.told(skip); got != strings.Join(want, "\n") {
		w.t.Errorf("history tells\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestHistoryTellsWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	r := w.run(Run{Mode: report.Apply, Author: "Ada <ada@acme.example>"})
	w.inSync()
	w.tells(0, "write strava:enable: applied", "write strava:set-credentials: applied")
	e := w.history()[1]
	if e.Run == "" || e.Run != r.RunID || e.Commit != "c0ffee" || e.Author != "Ada <ada@acme.example>" || e.Environment != "production" ||
		e.DevID != devID || e.Connection != "production/strava" || e.Action != plan.SetCredentials || e.Class != plan.Safe || e.Cause != plan.Create ||
		!strings.HasPrefix(e.Origin, "production/strava.yaml:") || !e.At.Equal(w.now) || len(e.Fields) != 2 {
		t.Errorf("got %+v", e)
	}
	if secret := e.Fields[1]; secret.Field != plan.FieldClientSecret || secret.To.Value != nil || secret.To.Key != 1 {
		t.Errorf("the secret is shown as %+v", secret)
	}
	w.apply()
	if n := len(w.history()); n != 2 {
		t.Errorf("nothing happened, and the history has %d lines", n)
	}
}

// A hold is told when it begins, when its guard or content changes and when it
// ends, and not once a run.
func TestHoldsAreToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.terra.Enable(devID, "strava")
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
	first := w.now
	hash := ""
	for day := range 4 {
		r := w.apply()
		if c := w.change(r, "strava:rotate-secret"); !c.GatedSince.Equal(first) || strings.Contains(c.GateReason, "held since 2026-11-23 09:00 UTC") != (day > 0) {
			t.Errorf("day %d: gated since %s, %q", day, c.GatedSince, c.GateReason)
		}
		if hash == "" {
			hash = r.Environments[0].PlanHash
		}
		if got := r.Environments[0].PlanHash; got != hash {
			t.Errorf("day %d: the plan hash is another one", day)
		}
		w.now = w.now.Add(24 * time.Hour)
	}
	w.tells(0, "gated strava:rotate-secret by adopt")
	w.environment("suspend: {reason: r, owner: o, until: 2026-11-29}\n")
	w.apply()
	w.apply()
	w.tells(1, "gate-changed strava:rotate-secret by suspend")
	w.now = w.now.Add(3 * 24 * time.Hour)
	r := w.dryRun()
	if c := w.change(r, "strava:rotate-secret"); !c.GatedSince.Equal(first) {
		t.Errorf("a dry run says gated since %s", c.GatedSince)
	}
	w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": r.Environments[0].PlanHash}})
	w.tells(2, "write strava:rotate-secret: applied", "gate-cleared strava:rotate-secret by suspend: applied")
	entries := w.history()
	if got := entries[2].Approval; got != r.Environments[0].PlanHash {
		t.Errorf("approved by %q, want the hash", got)
	}
	if got := time.Duration(entries[3].LastedMS) * time.Millisecond; got != 7*24*time.Hour || !entries[3].Since.Equal(first) {
		t.Errorf("gated for %s since %s, want 7 days", got, entries[3].Since)
	}
}

func TestHoldThatNobodyWantsAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "policy: {protect: true}\n")
	w.applied()
	before := len(w.history())
	w.strava(secretA, "state: paused\npolicy: {protect: true}\n")
	w.apply()
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "listSources", Times: terratest.Always})
	w.apply() // nothing is known, so nothing has ended
	w.apply()
	w.terra.ClearFaults()
	w.strava(secretA, "policy: {protect: true}\n")
	w.apply()
	w.tells(before, "gated strava:pause by protect", "environment-refused : failed", "environment-accepted ", "gate-cleared strava:pause by protect: no-longer-wanted")
}

// What is held for seven days is told in every report.
func TestStuckInEveryReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "policy: {protect: true}\n")
	w.applied()
	w.strava(secretA, "state: paused\npolicy: {protect: true}\n")
	w.apply()
	for _, row := range []struct {
		after time.Duration
		want  int
	}{{report.StuckAfter - time.Second, 0}, {time.Second, 1}, {24 * time.Hour, 1}} {
		w.now = w.now.Add(row.after)
		for _, mode := range []report.Mode{report.DryRun, report.Apply} {
			r := w.run(Run{Mode: mode})
			events := r.Environments[0].Events
			if len(events) != row.want {
				t.Fatalf("%s at %s: got %d events, want %d", mode, w.now, len(events), row.want)
			}
			if row.want > 0 && (events[0].Kind != report.Stuck || !strings.Contains(report.Words(events[0].Remediations), "protect: false")) {
				t.Errorf("got %+v", events[0])
			}
			if want := map[report.Mode]int{report.DryRun: report.ExitChanges, report.Apply: report.ExitHeld}[mode]; r.ExitCode != want {
				t.Errorf("%s: exit %d, want %d", mode, r.ExitCode, want)
			}
		}
	}
}

// Drift is as old as the first run that saw it, is not forgotten while Terra
// cannot be read, and ends with how long it lasted.
func TestDriftKnowsHowLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.environment("on_drift: report\n")
	w.strava(secretA, "scopes: [activity:read_all]\n")
	w.applied()
	before := len(w.history())
	w.terra.SetScopes(devID, "strava", []string{"activity:read", "activity:read_all"})
	first := w.now
	for range 3 {
		if c := w.change(w.apply(), "strava:set-scopes"); !c.DriftSince.Equal(first) {
			t.Errorf("drifts since %s, want %s", c.DriftSince, first)
		}
		w.now = w.now.Add(24 * time.Hour)
	}
	c := w.change(w.dryRun(), "strava:set-scopes")
	if !strings.Contains(c.Reason, "first seen 2026-11-23 09:00 UTC") || !c.DriftSince.Equal(first) {
		t.Errorf("a dry run says %q, %s", c.Reason, c.DriftSince)
	}
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "getSourceScopes", Times: terratest.Always})
	w.apply()
	w.terra.ClearFaults()
	w.environment("on_drift: revert\n")
	w.applied()
	w.tells(before, "gated strava:set-scopes by on-drift", "write strava:set-scopes: applied",
		"gate-cleared strava:set-scopes by on-drift: applied", "drift-resolved strava:set-scopesstrava/scopes: reverted")
	entries := w.history()
	if e := entries[len(entries)-1]; e.LastedMS != (3*24*time.Hour).Milliseconds() || !e.Since.Equal(first) {
		t.Errorf("lasted %d ms since %s", e.LastedMS, e.Since)
	}

	before = len(entries)
	w.environment("on_drift: report\n")
	w.terra.SetScopes(devID, "strava", []string{"activity:read", "activity:read_all"})
	w.apply()
	w.terra.SetScopes(devID, "strava", []string{"activity:read_all"})
	w.apply()
	w.tells(before, "gated strava:set-scopes by on-drift", "gate-cleared strava:set-scopes by on-drift: no-longer-wanted",
		"drift-resolved strava/scopes: no-longer-differs")
}

// A refused approval is told each time, with the hash that was approved.
func TestRefusedApprovalIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	before := len(w.history())
	w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": "sha256:other"}})
	w.tells(before, "environment-refused ")
	if e := w.history()[before]; e.Approval != "sha256:other" || !strings.Contains(e.Error, "the approval production=other is not for the plan as it is now") {
		t.Errorf("got %+v", e)
	}
}

// A lost answer is told as unknown, and again once a run knows.
func TestUnknownIsToldAndSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.write("production/polar.yaml", "provider: polar\n")
	w.terra.Fault(terratest.Fault{Kind: terratest.LostAnswer, Operation: "enableSource"})
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "listSources", Nth: 3, Times: terratest.Always})
	w.apply()
	w.terra.ClearFaults()
	w.now = w.now.Add(time.Hour)
	w.applied()
	w.tells(0, "write polar:enable: unknown", "write polar:enable: settled")
	e := w.history()
	if e[0].ID != e[1].ID || !e[1].Since.Equal(e[0].At) || e[1].Run == e[0].Run {
		t.Errorf("the two lines are %+v and %+v", e[0], e[1])
	}
}

// beforeCall calls fn before each call of Terra.
type beforeCall struct {
	inner http.RoundTripper
	fn    func(*http.Request)
}

func (b beforeCall) RoundTrip(r *http.Request) (*http.Response, error) {
	b.fn(r)
	return b.inner.RoundTrip(r)
}

// Where the history cannot be told nothing more is written. What was done is in the
// state, and the next process tells it.
func TestHistoryOnAFullDiskStopsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/polar.yaml", "provider: polar\n")
	w.strava(secretA, "")
	path := filepath.Join(w.stateDir, "history.jsonl")
	var once sync.Once
	w.wrap = func(inner http.RoundTripper) http.RoundTripper {
		return beforeCall{inner, func(*http.Request) {
			once.Do(func() {
				if err := os.Remove(path); err != nil {
					t.Error(err)
				}
				if err := os.Symlink("/dev/full", path); err != nil {
					t.Error(err)
				}
			})
		}}
	}
	r := w.apply()
	effects := len(w.terra.Effects())
	if effects == 0 || effects > 2 {
		t.Errorf("%d writes, want no more than those two that were under way at once", effects)
	}
	if r.ExitCode != report.ExitFailed || !strings.Contains(r.Environments[0].Error, "nothing more is written: write history") {
		t.Errorf("exit %d, %q", r.ExitCode, r.Environments[0].Error)
	}
	w.wrap = nil
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.applied()
	told := w.told(0)
	for _, change := range []string{"polar:enable", "strava:enable", "strava:set-credentials"} {
		if n := strings.Count(told, "write "+change+": "); n != 1 {
			t.Errorf("history tells %d times of %s, want once:\n%s", n, change, told)
		}
	}
	if n := strings.Count(told, ": applied"); n != 3 {
		t.Errorf("history tells of %d writes that they are applied, want 3:\n%s", n, told)
	}
}

// A state folder that is moved away during a run lets no write leave.
func TestStateThatVanishesStopsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	engine, store := w.engineAround(func(*http.Request) { _ = os.Rename(w.stateDir, w.stateDir+".away") })
	defer store.Close()
	set, problems := w.load()
	r := engine.Run(t.Context(), Run{Set: set, Problems: problems, Commit: "c0ffee", Mode: report.Apply})
	if n := len(w.terra.Writes()); n != 0 {
		t.Errorf("%d writes", n)
	}
	if said := r.Environments[0].Error; !strings.Contains(said, "moved or replaced") || r.ExitCode != report.ExitError {
		t.Errorf("exit %d, %s", r.ExitCode, said)
	}
}

func (w *world) engineAround(fn func(*http.Request)) (*Engine, *state.Store) {
	w.t.Helper()
	w.wrap = func(inner http.RoundTripper) http.RoundTripper { return beforeCall{inner, fn} }
	return w.engine(report.Apply)
}

// What is refused ends when the folder gets another dev_id, so that the same refusal later is
// told anew.
func TestRefusalEndsWithItsDevID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	before := len(w.history())
	allowed := w.files["production/environment.yaml"]
	other := &fstest.MapFile{Data: bytes.ReplaceAll(allowed.Data, []byte(devID), []byte("dev-other"))}
	for range 2 {
		w.files["production/environment.yaml"] = other
		w.apply()
		w.apply()
		w.files["production/environment.yaml"] = allowed
		w.applied()
	}
	w.tells(before, "environment-refused ", "environment-accepted ", "environment-refused ", "environment-accepted ")
	refused, accepted := w.history()[before], w.history()[before+1]
	if accepted.DevID != "dev-other" || !accepted.Since.Equal(refused.At) || accepted.Reason != "the environment has another dev_id" {
		t.Errorf("got %+v", accepted)
	}
}

// A commit of which nothing is used is told once for all runs of it.
func TestRefusedCommitIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	before := len(w.history())
	environment, connection := w.files["production/environment.yaml"], w.files["production/strava.yaml"]
	delete(w.files, "production/environment.yaml")
	delete(w.files, "production/strava.yaml")
	for range 3 {
		w.apply()
		w.dryRun()
	}
	w.tells(before, "environment-refused ")
	if e := w.history()[before]; e.Environment != "" || e.Commit != "c0ffee" || !strings.Contains(e.Error, "there is no environment") {
		t.Errorf("got %+v", e)
	}
	w.files["production/environment.yaml"], w.files["production/strava.yaml"] = environment, connection
	w.applied()
	w.write("terra.yaml", "nonsense: true\n")
	w.apply()
	w.apply()
	w.tells(before, "environment-refused ", "environment-refused ")
}
