package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// fixtures are the reports in testdata, each a JSON document.
func fixtures(t *testing.T) map[string]Report {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) < 5 {
		t.Fatalf("fixtures: got %v, %v", paths, err)
	}
	reports := map[string]Report{}
	for _, path := range paths {
		reports[strings.TrimSuffix(filepath.Base(path), ".json")] = fixture(t, path)
	}
	return reports
}

func fixture(t *testing.T, path string) Report {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if *update {
		r.Finish(r.StartedAt.Add(time.Duration(r.DurationMS) * time.Millisecond))
	}
	return r
}

func render(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// withoutDigest keeps a golden file from changing in two places.
func withoutDigest(document string) string {
	return regexp.MustCompile(`,\n  "digest": "sha256:[0-9a-f]{64}"\n\}\n$`).ReplaceAllLiteralString(document, "\n}\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./reconcile/report -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); run go test ./reconcile/report -update:\n%s", name, diff)
	}
}

func TestGoldens(t *testing.T) {
	for name, r := range fixtures(t) {
		golden(t, name+".json", withoutDigest(render(t, func(w io.Writer) error { return JSON(w, r) })))
		golden(t, name+".txt", render(t, func(w io.Writer) error { return Text(w, r, TextOptions{}) }))
		golden(t, name+".md", everyForm(t, r)["markdown"])
		golden(t, name+".html", everyForm(t, r)["html"])
	}
	golden(t, "every-change.color.txt", render(t, func(w io.Writer) error {
		return Text(w, fixture(t, "testdata/every-change.json"), TextOptions{Color: true, Width: 60})
	}))
}

// The exit code and the counts of a fixture are those that Finish computes.
func TestFixturesAreFinished(t *testing.T) {
	for name, want := range fixtures(t) {
		got := want
		got.Environments = append([]Environment(nil), want.Environments...)
		got.Finish(want.StartedAt.Add(time.Duration(want.DurationMS) * time.Millisecond))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func changed(gate plan.Gate, outcome Outcome) Change {
	return Change{Change: plan.Change{Gate: gate}, Outcome: outcome}
}

func TestExitCode(t *testing.T) {
	open := []plan.NotCompared{{Connection: "p/strava", Field: "client_secret"}}
	one := func(c ...Change) []Environment { return []Environment{{Changes: c}} }
	failedBeside := func(c ...Change) []Environment { return append(one(c...), Environment{Error: "401"}) }
	for _, row := range []struct {
		name         string
		mode         Mode
		environments []Environment
		err          string
		want         int
	}{
		{"nothing at all", DryRun, nil, "", 0},
		{"in sync", DryRun, one(), "", 0},
		{"unmanaged only", DryRun, []Environment{{Unmanaged: []string{"oura"}}}, "", 0},
		{"a change", DryRun, one(changed(plan.Ready, "")), "", 2},
		{"a blocked change", DryRun, one(changed(plan.Blocked, "")), "", 2},
		{"a waiting change", DryRun, one(changed(plan.Waiting, "")), "", 2},
		{"not compared", DryRun, []Environment{{NotCompared: open}}, "", 2},
		{"an environment failed", DryRun, failedBeside(), "", 1},
		{"an environment failed beside a change", DryRun, failedBeside(changed(plan.Ready, "")), "", 1},
		{"the run failed", DryRun, nil, "no network", 1},

		{"in sync", Apply, one(), "", 0},
		{"all applied", Apply, one(changed(plan.Ready, Applied)), "", 0},
		{"an approved change applied", Apply, one(changed(plan.Approval, Applied)), "", 0},
		{"waiting for a window", Apply, one(changed(plan.Waiting, Waiting)), "", 0},
		{"left for the next run", Apply, one(changed(plan.Ready, Waiting)), "", 3},
		{"behind what is left for the next run", Apply, one(changed(plan.Ready, Applied), changed(plan.Ready, Waiting), changed(plan.Ready, NotAttempted)), "", 3},
		{"a comparison that may have written", DryRun, []Environment{{MayHaveWritten: []string{"strava/client_secret"}}}, "", 4},
		{"already so", Apply, one(changed(plan.Ready, Skipped)), "", 0},
		{"a guard holds", Apply, one(changed(plan.Ready, Applied), changed(plan.Blocked, Skipped)), "", 3},
		{"an approval is missing", Apply, one(changed(plan.Approval, Skipped)), "", 3},
		{"an approval is missing, no outcome", Apply, one(changed(plan.Approval, "")), "", 3},
		{"not compared", Apply, []Environment{{NotCompared: open}}, "", 3},
		{"failed", Apply, one(changed(plan.Ready, Failed)), "", 4},
		{"unknown", Apply, one(changed(plan.Ready, Unknown)), "", 4},
		{"failed beats held", Apply, one(changed(plan.Blocked, Skipped), changed(plan.Ready, Failed)), "", 4},
		{"interrupted before a write", Apply, one(changed(plan.Ready, NotAttempted)), "", 1},
		{"interrupted after a write", Apply, one(changed(plan.Ready, Applied), changed(plan.Ready, NotAttempted)), "", 4},
		{"due and without an outcome", Apply, one(changed(plan.Ready, "")), "", 1},
		{"held and not attempted", Apply, one(changed(plan.Blocked, NotAttempted)), "", 3},
		{"an environment failed", Apply, failedBeside(), "", 1},
		{"an environment failed, another is held", Apply, failedBeside(changed(plan.Blocked, Skipped)), "", 1},
		{"an environment failed after a write", Apply, failedBeside(changed(plan.Ready, Applied)), "", 4},
		{"the run failed", Apply, nil, "no network", 1},
		{"the run failed after a write", Apply, one(changed(plan.Ready, Applied)), "state: disk full", 4},
	} {
		got := ExitCode(Report{Mode: row.mode, Environments: row.environments, Error: row.err})
		if got != row.want {
			t.Errorf("%s, %s: got %d, want %d", row.mode, row.name, got, row.want)
		}
	}
}

func TestSimple(t *testing.T) {
	for code, want := range map[int]int{0: 0, 1: 1, 2: 0, 3: 3, 4: 4} {
		if got := Simple(code); got != want {
			t.Errorf("Simple(%d): got %d, want %d", code, got, want)
		}
	}
}

func TestReportFromPlans(t *testing.T) {
	started := time.Date(2026, 11, 28, 2, 0, 0, 0, time.FixedZone("CET", 3600))
	p := plan.Plan{
		Environment: "production", DevID: "prod", Unchanged: 3, Live: 5, Unmanaged: []string{"oura"},
		Changes:     []plan.Change{{ID: "a", Gate: plan.Ready}, {ID: "b", Gate: plan.Waiting}, {ID: "c", Gate: plan.Ready}},
		NotCompared: []plan.NotCompared{{Connection: "production/strava"}},
	}
	r := New(Apply, "abc", started)
	r.Environments = append(r.Environments, Environment{Name: "staging", DevID: "st", Error: "no network"}, planOf(p, "sha256:1"))
	changes := r.Environments[1].Changes
	changes[0].Outcome, changes[2].Outcome = Applied, Unknown
	r.Finish(started.Add(1500 * time.Millisecond))

	want := Summary{Unchanged: 3, Changes: 3, Gated: 1, Unmanaged: 1, NotCompared: 1, Applied: 1, Unknown: 1}
	if got := r.Environments[0].Summary; got != want {
		t.Errorf("summary: got %+v, want %+v", got, want)
	}
	if got := Summarise(p, changes); got != want {
		t.Errorf("Summarise: got %+v, want %+v", got, want)
	}
	if r.Environments[0].Name != "production" || r.DurationMS != 1500 || r.ExitCode != 4 || r.StartedAt.Location() != time.UTC {
		t.Errorf("got %s first, %d ms, exit %d, %v", r.Environments[0].Name, r.DurationMS, r.ExitCode, r.StartedAt)
	}
}

// The last line names the environments that failed: it is where people look first.
func TestVerdictNamesWhatFailed(t *testing.T) {
	failed := func(names ...string) (out []Environment) {
		for _, name := range names {
			out = append(out, Environment{Name: name, Error: "401"})
		}
		return out
	}
	for _, row := range []struct {
		r    Report
		want string
	}{
		{Report{Error: "no network"}, "1 error"},
		{Report{Environments: failed("eu")}, "1 error (eu)"},
		{Report{Error: "disk", Environments: failed("eu", "us")}, "3 errors (the run, eu, us)"},
		{Report{Environments: failed("a", "b", "c", "d", "e")}, "5 errors (a, b, c and 2 more)"},
	} {
		if got := total(row.r).verdict(); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}

// planOf reports a plan of which nothing has been applied yet.
func planOf(p plan.Plan, hash string) Environment {
	e := Environment{Name: p.Environment, DevID: p.DevID, PlanHash: hash, Unmanaged: p.Unmanaged, NotCompared: p.NotCompared, Warnings: p.Warnings}
	for _, c := range p.Changes {
		e.Changes = append(e.Changes, Change{Change: c})
	}
	e.Summary = Summarise(p, e.Changes)
	return complete(e)
}
