package metrics

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

var update = flag.Bool("update", false, "rewrite the goldens and the table in docs/operations.md")

func at(day int) time.Time { return time.Date(2026, 12, day, 12, 0, 0, 0, time.UTC) }

func ptr[T any](v T) *T { return &v }

// everything is a snapshot in which each metric has something to say.
func everything() Snapshot {
	change := func(id string, action plan.Action, cause plan.Cause, gate plan.Gate, guard string, outcome report.Outcome) report.Change {
		connection, _, _ := strings.Cut(id, ":")
		return report.Change{Outcome: outcome, Change: plan.Change{ID: id, Connection: connection, Action: action, Class: plan.Safe, Cause: cause, Gate: gate, Guard: guard}}
	}
	held := change("production/strava:disable", plan.Disable, plan.Prune, plan.Approval, "destructive", report.Waiting)
	held.GatedSince = at(1)
	older := change("production/strava:set-scopes", plan.SetScopes, plan.Drift, plan.Approval, "destructive", report.Waiting)
	older.GatedSince, older.DriftSince = at(1).Add(-time.Hour), at(1).Add(-2*time.Hour)
	unknown := change("production/whoop:pause", plan.Pause, plan.Commit, plan.Blocked, "pause", report.Skipped)
	r := report.Report{StartedAt: at(2), DurationMS: 1500, ExitCode: 3, Environments: []report.Environment{{
		Name: "production", Account: "default", PlanHash: "sha256:1", Summary: report.Summary{Unchanged: 2}, Unmanaged: []string{"peloton"},
		NotCompared: []plan.NotCompared{{}}, TokenEnds: at(12), TokenRenewable: at(22),
		Changes: []report.Change{held, older, unknown,
			change("production/oura:enable", plan.Enable, plan.Create, plan.Ready, "", report.Applied),
			change("production/polar:rotate-secret", plan.RotateSecret, plan.Rotation, plan.Ready, "", report.Failed)},
		Events: []report.Event{{Kind: report.Stuck, Connection: "production/strava", Change: "a"}, {Kind: report.Stuck, Connection: "production/strava", Change: "b"},
			{Kind: report.KeyRejectedEvent, Connection: "production/polar"}},
		Keys: []keys.Status{
			{Connection: "production/polar", State: keys.Soaking, Issued: at(1), AgeDays: ptr(1), MaxAgeDays: 90, Next: 3, NextAt: at(5), SoakStartedAt: at(2), SoakEndsAt: at(3),
				UsersBefore: &plan.Users{Count: 40, Exact: true}, UsersNow: &plan.Users{Count: 38, Exact: true}, Unconfirmed: []keys.RefusedKey{{}}, Rejected: []keys.RefusedKey{{}, {}}},
			{Connection: "production/withings", State: keys.Unknown},
		},
	}}}
	return Snapshot{
		Now: at(2), StateUsable: true,
		Status: daemon.Status{Mode: report.Apply, Stuck: []string{}, Unready: []daemon.Unready{},
			Poll:      daemon.PollStatus{At: ptr(at(2)), Tries: daemon.Tries{LastSuccess: ptr(at(1)), Failures: 3}},
			Receivers: []daemon.Receiver{{Name: "ops", Waiting: 3, Dropped: 2}, {Name: "pager"}},
			Paused:    []daemon.Pause{{Since: at(1), Until: at(3)}, {Target: "production/strava", Since: at(2), Until: at(3)}},
			Environments: []daemon.EnvironmentStatus{{Name: "production", Revision: "b", AppliedRevision: "a", BehindReason: "its files have errors",
				LastRun: &daemon.LastRun{StartedAt: at(2), DurationMS: 1500, ExitCode: 3}, Tries: daemon.Tries{LastSuccess: ptr(at(2))}, NextRun: ptr(at(4))}},
		},
		Environments: map[string]Environment{"production": {Account: "default", Report: r, Lagging: at(1)}},
	}
}

func metricsOf(s Snapshot) *Metrics {
	return New(Options{Version: "1.2.3", Snapshot: func() Snapshot { return s }})
}

// full is metrics after which each counter has counted.
func full() *Metrics {
	s := everything()
	m := metricsOf(s)
	m.version = "go1.2.3"
	m.Fetched("", 20*time.Millisecond, true)
	m.Fetched("", time.Second, false)
	m.Ran("production", s.Environments["production"].Report)
	m.Called(Call{Account: "default", Operation: "listSources", Sent: true, Status: 200, Waited: time.Second, Took: 30 * time.Millisecond})
	m.Called(Call{Account: "default", Operation: "updateSource", Sent: true, Status: 429, Took: time.Millisecond, Remaining: ptr(7)})
	m.Called(Call{Account: "default", Operation: "updateSource", Sent: true, Failure: "timeout", Took: time.Minute})
	m.Called(Call{Account: "default", Operation: "updateSource", Waited: time.Second})
	m.Notified("oncall", true, at(2))
	m.Notified("oncall", false, at(3))
	return m
}

// scrape gives the lines about metrics of ours, sorted within a family.
func scrape(t testing.TB, m *Metrics) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(exposed(t, m)) {
		if strings.HasPrefix(line, Prefix) {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out
}

func exposed(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// checked gathers as a registry does, which wants no series twice and labels that fit.
func checked(t testing.TB, m *Metrics) []*dto.MetricFamily {
	t.Helper()
	all, err := prometheus.Gatherers{m}.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryMetric(t *testing.T) {
	t.Parallel()
	m := full()
	golden := filepath.Join("testdata", "everything.txt")
	got := strings.Join(scrape(t, m), "")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("metrics (-want +got):\n%s", d)
	}
	gathered := map[string]*dto.MetricFamily{}
	for _, f := range checked(t, m) {
		gathered[f.GetName()] = f
	}
	for _, f := range Families() {
		g := gathered[Prefix+f.Name]
		if g == nil {
			t.Errorf("%s has no series here: nothing shows that it works", f.Name)
			continue
		}
		if strings.ToLower(g.GetType().String()) != string(f.Kind) || g.GetHelp() != f.Help {
			t.Errorf("%s is a %s: %s", f.Name, g.GetType(), g.GetHelp())
		}
		for _, metric := range g.GetMetric() {
			var names []string
			for _, pair := range metric.GetLabel() {
				names = append(names, pair.GetName())
			}
			labels := slices.DeleteFunc(slices.Clone(f.Labels), func(name string) bool { return name == repo }) // there is one alone here
			if want := slices.Sorted(slices.Values(labels)); !slices.Equal(slices.Sorted(slices.Values(names)), want) {
				t.Errorf("%s has the labels %v, want %v", f.Name, names, want)
			}
		}
		delete(gathered, Prefix+f.Name)
	}
	for name := range gathered {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is not in the list", name)
		}
	}
	t.Logf("COUNT metrics=%d", len(Families()))
}

// TestSeveralRepositoriesAreToldApart: each has its own series, and of one that is not followed
// any more there are none.
func TestSeveralRepositoriesAreToldApart(t *testing.T) {
	t.Parallel()
	s := everything()
	s.Status.Environments[0].Repository = "payments"
	s.Status.Repositories = []daemon.RepositoryStatus{
		{Name: "apps", Poll: daemon.PollStatus{At: ptr(at(2)), Tries: daemon.Tries{Failures: 7}}, RefusedEnvironments: []daemon.RefusedEnvironment{{Name: "production"}, {Name: "staging"}}},
		{Name: "payments", Poll: daemon.PollStatus{At: ptr(at(2)), Tries: daemon.Tries{LastSuccess: ptr(at(2))}}},
	}
	m := metricsOf(s)
	m.Fetched("apps", time.Second, false)
	m.Fetched("payments", time.Second, true)
	m.Fetched("former", time.Second, true)
	checked(t, m)
	page := exposed(t, m)
	for _, want := range []string{
		`git_consecutive_failures{repo="apps"} 7`, `git_consecutive_failures{repo="payments"} 0`, `git_last_success_timestamp_seconds{repo="payments"}`,
		`git_fetches_total{outcome="failure",repo="apps"} 1`, `git_fetches_total{outcome="success",repo="apps"} 0`, `git_fetches_total{outcome="success",repo="payments"} 1`,
		`environment_info{environment="production",account="default",repo="payments"} 1`, `environments_not_used{repo="apps"} 2`, `environments_not_used{repo="payments"} 0`, `ready 0`,
	} {
		if !strings.Contains(page, Prefix+want) {
			t.Errorf("there is no %s:\n%s", want, page)
		}
	}
	for _, never := range []string{"former", `git_last_success_timestamp_seconds{repo="apps"}`, `repo=""`} {
		if strings.Contains(page, never) {
			t.Errorf("there is %s", never)
		}
	}
	s.Status.Repositories[0].Poll.LastSuccess = ptr(at(1))
	if page := exposed(t, metricsOf(s)); !strings.Contains(page, Prefix+"ready 1\n") {
		t.Error("it is not ready once each was read")
	}
}

// TestNamesAreThoseOfPrometheus holds every name, type and help to promlint, those of the
// runtime as well.
func TestNamesAreThoseOfPrometheus(t *testing.T) {
	t.Parallel()
	problems, err := promlint.NewWithMetricFamilies(checked(t, full())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if problems, err := promlint.New(strings.NewReader("# TYPE bad_milliseconds counter\nbad_milliseconds 1\n")).Lint(); err != nil || len(problems) == 0 {
		t.Errorf("promlint finds nothing in a bad name: %v", err)
	}
}

// TestTheDocumentListsThem holds the table in docs/operations.md to the registry.
func TestTheDocumentListsThem(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "docs", "operations.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begins = "| metric | type | labels | meaning |\n"
	from := bytes.Index(text, []byte(begins))
	if from < 0 {
		t.Fatalf("%s has no table of metrics", file)
	}
	to := from + bytes.Index(text[from:], []byte("\n\n")) + 1
	if *update {
		text = slices.Concat(text[:from], []byte(Table()), text[to:])
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(Table(), string(text[from:to])); d != "" {
		t.Errorf("%s (-want +got), make generate writes it:\n%s", file, d)
	}
}

// TestUnknownIsAbsent: of a daemon that has not done anything yet nothing stands there but
// what is known, and of an environment whose last run could not read Terra nothing of its
// connections.
func TestUnknownIsAbsent(t *testing.T) {
	t.Parallel()
	names := func(m *Metrics) []string {
		out := map[string]bool{}
		for _, line := range scrape(t, m) {
			name, _, _ := strings.Cut(line, " ")
			name, _, _ = strings.Cut(name, "{")
			for _, histogram := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, histogram)
			}
			out[strings.TrimPrefix(name, Prefix)] = true
		}
		return slices.Sorted(maps.Keys(out))
	}
	begins := []string{"apply_enabled", "build_info", "config_last_reload_successful", "dropped_labels", "environments", "environments_not_used", "git_consecutive_failures", "git_fetch_duration_seconds",
		"git_fetches_total", "ready", "run_duration_seconds", "state_usable", "stuck_runs"}
	if d := cmp.Diff(begins, names(metricsOf(Snapshot{Now: at(1)}))); d != "" {
		t.Errorf("at the start (-want +got):\n%s", d)
	}
	if line := Prefix + "ready 0\n"; !slices.Contains(scrape(t, metricsOf(Snapshot{Now: at(1)})), line) {
		t.Error("it is ready before the first read")
	}
	forgetful := everything()
	forgetful.StateUsable = false
	if line := Prefix + "ready 0\n"; !slices.Contains(scrape(t, metricsOf(forgetful)), line) {
		t.Error("it is ready while the state cannot be written")
	}
	refused := everything()
	refused.Status.Config.RefusedSince = ptr(at(1))
	if line := Prefix + "config_last_reload_successful 0\n"; !slices.Contains(scrape(t, metricsOf(refused)), line) {
		t.Error("daemon.yaml is not used, and no metric says so")
	}
	s := everything()
	blind := s.Environments["production"]
	blind.Report.Environments = []report.Environment{{Name: "production", Account: "default", Error: "Terra does not answer"}}
	s.Environments["production"] = blind
	for _, name := range names(metricsOf(s)) {
		if strings.HasPrefix(name, "key_") || strings.HasPrefix(name, "gated_") || strings.HasPrefix(name, "token_") ||
			slices.Contains([]string{"connections", "changes", "drift_seconds", "event", "fields_not_compared"}, name) {
			t.Errorf("%s stands there, and nobody knows", name)
		}
	}
	s.Status.Environments = nil
	for _, line := range scrape(t, metricsOf(s)) {
		if strings.Contains(line, `environment="production"`) {
			t.Errorf("the environment is gone: %s", line)
		}
	}
}

// TestKeyStateHasARowForEachState: an alert that asks for a rejected key finds it beside an
// overdue one.
func TestKeyStateHasARowForEachState(t *testing.T) {
	t.Parallel()
	s := everything()
	k := &s.Environments["production"].Report.Environments[0].Keys[0]
	k.State, k.Also = keys.Overdue, []keys.State{keys.Rejected}
	lines := strings.Join(scrape(t, metricsOf(s)), "")
	for _, state := range k.States() {
		if want := fmt.Sprintf(`key_state{environment="production",connection=%q,state=%q} 1`, k.Connection, state); !strings.Contains(lines, want) {
			t.Errorf("lacks %s", want)
		}
	}
}

// TestNobodyFloodsTheMetrics: a repository of thousands of environments costs a bounded
// number of series, what was there before keeps its own, and what is left out is said.
func TestNobodyFloodsTheMetrics(t *testing.T) {
	t.Parallel()
	s := everything()
	flood := func(name string, connections int) {
		var e report.Environment
		e.PlanHash = "sha256:2"
		for i := range connections {
			e.Keys = append(e.Keys, keys.Status{Connection: fmt.Sprintf("%s/%06d", name, i), State: keys.OK})
		}
		s.Status.Environments = append(s.Status.Environments, daemon.EnvironmentStatus{Name: name})
		s.Environments[name] = Environment{Report: report.Report{Environments: []report.Environment{e}}}
	}
	flood("aaa", MaxConnections+500)
	for i := range 3000 {
		flood(fmt.Sprintf("env%06d", i), 1)
	}
	m := metricsOf(s)
	for _, e := range s.Status.Environments {
		m.Ran(e.Name, s.Environments[e.Name].Report)
	}
	m.Ran("production", s.Environments["production"].Report)
	lines := scrape(t, m)
	count := func(name string) (n int) {
		for _, line := range lines {
			if strings.HasPrefix(line, Prefix+name+"{") {
				n++
			}
		}
		return n
	}
	if got := count("environment_info"); got != MaxEnvironments {
		t.Errorf("%d environments", got)
	}
	if got := count("key_state"); got > MaxConnections {
		t.Errorf("%d connections", got)
	}
	if len(m.counts) > MaxEnvironments {
		t.Errorf("counts of %d environments are kept", len(m.counts))
	}
	all := strings.Join(lines, "")
	for _, want := range []string{
		Prefix + `dropped_labels{kind="environment"} 2002` + "\n",
		Prefix + `dropped_labels{kind="connection"} 1503` + "\n", // aaa's, beside those of the small ones
		`key_state{environment="production",connection="production/polar",state="soaking"} 1`,
		`environment_info{environment="production"`,
		`key_state{environment="env000000",connection="env000000/000000",state="ok"} 1`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("lacks %s", want)
		}
	}
	checked(t, m)

	// Those that are gone are forgotten, and there is room again.
	s.Status.Environments = everything().Status.Environments
	m.o.Snapshot = func() Snapshot { return s }
	scrape(t, m)
	m.Ran("production", s.Environments["production"].Report)
	if len(m.counts) != 1 || m.counts["production"] == nil {
		t.Errorf("counts of %d environments are kept", len(m.counts))
	}
}

// TestHostileNames: names of anybody are one visible line of bounded length, never a key,
// and never the same series twice.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	const key = "AGE-SECRET-KEY-1PFHVL2Z7AGDQ94P7QLE2N5C4HQPSTQ8TVKMNN4G5G9Y7MTS2WYZSM5WUCR"
	long := strings.Repeat("é", 4000)
	names := []string{"a\nb", `a"} 1`, `a\`, "a\x1b[2J", "a\u202eb", "a\xffb", `a\xFFb`, long + "1", long + "2", key, key + "X", "terra_at_4Gt9PsLd2NcXw7Qf6J", ""}
	s := Snapshot{Now: at(1), Environments: map[string]Environment{}}
	var connections []report.Change
	for _, name := range names {
		connections = append(connections, report.Change{Change: plan.Change{Connection: name, Gate: plan.Blocked, Guard: "pause"}})
	}
	for _, name := range names {
		s.Status.Environments = append(s.Status.Environments, daemon.EnvironmentStatus{Name: name})
		s.Status.Paused = append(s.Status.Paused, daemon.Pause{Target: name}, daemon.Pause{Target: name})
		s.Environments[name] = Environment{Account: name, Report: report.Report{Environments: []report.Environment{{PlanHash: "x", Account: name, TokenEnds: at(2), Changes: connections}}}}
	}
	for i := range 1000 {
		s.Status.Receivers = append(s.Status.Receivers, daemon.Receiver{Name: fmt.Sprint(i)}, daemon.Receiver{Name: fmt.Sprint(i)})
	}
	m := metricsOf(s)
	for _, name := range names {
		m.Ran(name, s.Environments[name].Report)
		m.Called(Call{Account: "default", Operation: "getMe", Sent: true, Status: 200 + len(name)%700})
	}
	for status := range 2000 {
		m.Called(Call{Account: "default", Operation: "getMe", Sent: true, Status: status})
	}
	for i := range 1000 {
		m.Notified(fmt.Sprint(i), false, at(1))
	}
	text := exposed(t, m)
	if strings.Contains(text, "PFHVL2Z7") || strings.Contains(text, "4Gt9PsLd") {
		t.Error("a label repeats a key")
	}
	for line := range strings.Lines(text) {
		if !utf8.ValidString(line) || utf8.RuneCountInString(line) > 700 || strings.ContainsAny(line, "\x1b\u202e") {
			t.Errorf("line of %d characters: %.200q", len(line), line)
		}
	}
	families := checked(t, m)
	for _, f := range families {
		switch f.GetName() {
		case Prefix + "api_requests_total":
			if n := len(f.GetMetric()); n > 100 {
				t.Errorf("a server makes %d series of its status codes", n)
			}
		case Prefix + "notification_consecutive_failures", Prefix + "notifications_waiting", Prefix + "notifications_dropped_total":
			if n := len(f.GetMetric()); n > maxReceivers {
				t.Errorf("%d receivers", n)
			}
		case Prefix + "environment_info":
			if n := len(f.GetMetric()); n < len(names)-2 {
				t.Errorf("%d of %d environments have series", n, len(names))
			}
		}
	}
}

// TestEventsThatLastCountOnce: what lasts over runs began once, and a run that could not
// tell ends nothing.
func TestEventsThatLastCountOnce(t *testing.T) {
	t.Parallel()
	s := everything()
	m := metricsOf(s)
	r := s.Environments["production"].Report
	blind := report.Report{ExitCode: 1, Environments: []report.Environment{{Error: "no answer"}}}
	count := func() float64 { return m.counts["production"].events[report.Stuck] }
	m.Ran("production", r)
	m.Ran("production", blind)
	m.Ran("production", r)
	if count() != 2 { // of two changes
		t.Errorf("got %v", count())
	}
	m.Ran("production", report.Report{Environments: []report.Environment{{PlanHash: "x"}}})
	m.Ran("production", r)
	if count() != 4 {
		t.Errorf("got %v", count())
	}
	if !slices.Contains(scrape(t, m), Prefix+`events_total{environment="production",kind="rolled-back"} 0`+"\n") {
		t.Error("an event that never was does not count from 0")
	}
}

// TestScrapesBesideRuns is for the race detector.
func TestScrapesBesideRuns(t *testing.T) {
	t.Parallel()
	s := everything()
	m := metricsOf(s)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { _, _ = m.Gather() })
		all.Go(func() {
			m.Ran("production", s.Environments["production"].Report)
			m.Fetched("", time.Second, true)
			m.Called(Call{Account: "default", Operation: "getMe", Sent: true, Status: 200})
			m.Notified("oncall", true, at(1))
		})
	}
	all.Wait()
}
