package metrics

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// rule is an alert of examples/monitoring.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(read(t, "alerts.yaml"), &file); err != nil || len(file.Groups) != 1 || len(file.Groups[0].Rules) == 0 {
		t.Fatalf("%v: %+v", err, file)
	}
	return file.Groups[0].Rules
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "monitoring", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// exported are the metrics that there are, with the labels of each.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{"up": nil}
	for _, f := range checked(t, full()) {
		labels := []string{"job", "instance"}
		for _, pair := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, pair.GetName())
		}
		out[f.GetName()] = labels
		if f.GetMetric()[0].GetHistogram() != nil {
			out[f.GetName()+"_bucket"], out[f.GetName()+"_sum"], out[f.GetName()+"_count"] = append(slices.Clone(labels), "le"), labels, labels
		}
	}
	out["up"] = []string{"job", "instance"}
	return out
}

// wrongNames gives what an expression names that there is not: metrics, and labels of theirs.
func wrongNames(expression string, there map[string][]string) []string {
	var out []string
	var all []string // labels of all metrics that it names
	used := false
	for _, m := range regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})?`).FindAllStringSubmatchIndex(expression, -1) {
		name := expression[m[2]:m[3]]
		if !strings.Contains(name, "_") && name != "up" || regexp.MustCompile(`^[a-z_]+$`).MatchString(name) && strings.HasPrefix(expression[m[3]:], "(") {
			continue // a word of PromQL, a function
		}
		labels, ok := there[name]
		if !ok {
			if strings.HasPrefix(name, "terra_") || m[4] >= 0 {
				out = append(out, name)
			}
			continue
		}
		used = true
		all = append(all, labels...)
		if m[4] < 0 {
			continue
		}
		for _, label := range regexp.MustCompile(`([a-zA-Z_]+)\s*(?:=~|!~|!=|=)`).FindAllStringSubmatch(expression[m[4]:m[5]], -1) {
			if !slices.Contains(labels, label[1]) {
				out = append(out, name+" has no label "+label[1])
			}
		}
	}
	for _, by := range regexp.MustCompile(`(?:by|ignoring|on|without) \(([^)]*)\)`).FindAllStringSubmatch(expression, -1) {
		for label := range strings.SplitSeq(by[1], ",") {
			if label = strings.TrimSpace(label); !slices.Contains(all, label) {
				out = append(out, "no metric of it has a label "+label)
			}
		}
	}
	if !used {
		out = append(out, "it names no metric")
	}
	return out
}

func TestWrongNamesAreFound(t *testing.T) {
	t.Parallel()
	there := exported(t)
	for _, right := range []string{
		"terra_reconcile_ready == 0", `sum by (environment) (rate(terra_reconcile_runs_total{exit_code="1"}[5m])) > 0`, `absent(up{job="x"})`,
		"histogram_quantile(0.9, sum by (le) (rate(terra_reconcile_run_duration_seconds_bucket[5m])))",
	} {
		if wrong := wrongNames(right, there); len(wrong) > 0 {
			t.Errorf("%s: %v", right, wrong)
		}
	}
	for _, bad := range []string{
		"terra_reconcile_redy == 0", `sum by (envronment) (terra_reconcile_runs_total)`, `terra_reconcile_runs_total{code="1"}`, "terra_reconcile_ready_bucket", "vector(1)",
	} {
		if wrong := wrongNames(bad, there); len(wrong) == 0 {
			t.Errorf("%s: nothing is wrong", bad)
		}
	}
}

// TestAlerts holds the alerts to the metrics that there are, to their paragraphs in
// docs/operations.md, and these to them.
func TestAlerts(t *testing.T) {
	t.Parallel()
	there := exported(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	paragraphs := map[string]string{}
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		if body, _, _ = strings.Cut(body, "\n## "); strings.HasPrefix(name, "TerraReconcile") {
			paragraphs[name] = body
		}
	}
	tests := string(read(t, "alerts_test.yaml"))
	for _, r := range alerts(t) {
		for _, wrong := range wrongNames(r.Expr, there) {
			t.Errorf("%s: %s: %s", r.Alert, r.Expr, wrong)
		}
		if severity := r.Labels["severity"]; severity != "warning" && severity != "critical" {
			t.Errorf("%s has the severity %q", r.Alert, severity)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || len(r.Annotations) != 3 {
			t.Errorf("%s says %v", r.Alert, r.Annotations)
		}
		if _, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "/blob/main/docs/operations.md#"); anchor != strings.ToLower(r.Alert) {
			t.Errorf("%s leads to %q", r.Alert, r.Annotations["runbook_url"])
		}
		labels := append(slices.Concat(slices.Collect(maps.Values(there))...), repo) // where there are several
		for _, label := range regexp.MustCompile(`\$labels\.([a-z_]+)`).FindAllStringSubmatch(r.Annotations["summary"]+r.Annotations["description"], -1) {
			if !slices.Contains(labels, label[1]) {
				t.Errorf("%s: no metric has a label %s", r.Alert, label[1])
			}
		}
		if body := paragraphs[r.Alert]; len(strings.Fields(body)) < 20 || !strings.Contains(body, "`") {
			t.Errorf("%s: docs/operations.md does not say what to look at: %q", r.Alert, body)
		}
		delete(paragraphs, r.Alert)
		if !strings.Contains(tests, `alertname="`+r.Alert+`", alertstate="firing"`) {
			t.Errorf("%s: alerts_test.yaml does not see it fire", r.Alert)
		}
	}
	for name := range paragraphs {
		t.Errorf("docs/operations.md is about %s, which is no alert", name)
	}
	t.Logf("COUNT alerts=%d", len(alerts(t)))
}

type dashboard struct {
	Templating struct {
		List []struct{ Name, Type string }
	}
	Panels []struct {
		ID          int
		Type, Title string
		Datasource  struct{ UID string }
		FieldConfig struct {
			Defaults struct{ Unit string }
		}
		GridPos struct{ X, Y, W, H int }
		Targets []struct {
			Expr       string
			Datasource struct{ UID string }
		}
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(read(t, "dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDashboard holds the dashboard to the metrics that there are, and to what Grafana needs.
func TestDashboard(t *testing.T) {
	t.Parallel()
	there, d := exported(t), readDashboard(t)
	if len(d.Templating.List) == 0 || d.Templating.List[0].Name != "datasource" || d.Templating.List[0].Type != "datasource" {
		t.Errorf("no variable for the data source: %+v", d.Templating.List)
	}
	ids, taken, shown := map[int]bool{}, map[[2]int]string{}, ""
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: another panel has its id", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies over %s, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%+v", p)
		}
		for _, target := range p.Targets {
			shown += target.Expr + "\n"
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: another data source", p.Title)
			}
			for _, wrong := range wrongNames(target.Expr, there) {
				t.Errorf("%s: %s: %s", p.Title, target.Expr, wrong)
			}
		}
	}
	for _, r := range alerts(t) {
		shown += r.Expr + "\n"
	}
	unseen := []string{"apply_enabled", "build_info", "environment_info", "git_last_fetch_timestamp_seconds", "run_last_attempt_timestamp_seconds",
		"run_last_duration_seconds", "run_last_exit_code", "run_next_timestamp_seconds", "notification_last_success_timestamp_seconds"}
	for _, f := range Families() {
		if strings.Contains(shown, Prefix+f.Name) == slices.Contains(unseen, f.Name) {
			t.Errorf("%s: seen in the dashboard or an alert: %v", f.Name, !slices.Contains(unseen, f.Name))
		}
	}
}

// TestPromtool has Prometheus' own tool look at the rules, the tests of them, the scrape
// configuration, every expression of the dashboard and every metric.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal("promtool is missing: install Debian's prometheus")
		}
		t.Skip("promtool is missing: install Debian's prometheus")
	}
	run := func(stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command(promtool, args...)
		cmd.Dir, cmd.Stdin = filepath.Join("..", "..", "examples", "monitoring"), strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("", "check", "rules", "alerts.yaml")
	run("", "check", "config", "prometheus.yaml")
	run("", "test", "rules", "alerts_test.yaml")
	run(exposed(t, full()), "check", "metrics")
	type recorded struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var all []recorded
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			all = append(all, recorded{"dashboard:panel", strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")})
		}
	}
	type group struct {
		Name  string     `yaml:"name"`
		Rules []recorded `yaml:"rules"`
	}
	rules, err := yaml.Marshal(map[string][]group{"groups": {{"dashboard", all}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(file, rules, 0o600); err != nil {
		t.Fatal(err)
	}
	run("", "check", "rules", "--lint=none", file)
}
