package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// askedWith is the invocation of a command line.
func askedWith(t *testing.T, line ...string) invocation {
	t.Helper()
	root := newRoot(&Process{})
	cmd, rest, err := root.Find(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Fatal(err)
	}
	return invocationOf(cmd, cmd.Flags().Args())
}

// A command that a text tells to type is about the same state, configuration and
// repository as the one that printed it.
func TestCompleteNamesWhatTheCommandLineNamed(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.MkdirAll("my config/terra", 0o700); err != nil {
		t.Fatal(err)
	}
	everything := []string{"--config", "d.yaml", "--state", "it's", "--repo", "my config", "--path", "terra", "--ref", "main"}
	away := []string{"plan", "--repo", "https://git.example/acme/terra", "--ref", "main", "--path", "x"}
	for _, c := range []struct {
		line          []string
		command, want string
	}{
		{everything, "reconcile --dry-run", `reconcile --config d.yaml --state 'it'\''s' --repo 'my config' --ref main --path terra --dry-run`},
		{everything, "reconcile resume production/strava", `reconcile resume --config d.yaml --state 'it'\''s' production/strava`},
		{everything, "reconcile rotate add production/strava", `reconcile rotate add --config d.yaml --state 'it'\''s' --repo 'my config/terra' production/strava`},
		{everything, "reconcile validate", "reconcile validate 'my config/terra'"},
		{everything, "reconcile validate elsewhere", "reconcile validate elsewhere"},
		{everything, "reconcile secret rekey", "reconcile secret rekey 'my config/terra' --config d.yaml"},
		{everything, "reconcile token status", "reconcile token status --config d.yaml"},
		{everything, "reconcile daemon", "reconcile daemon --config d.yaml"},
		{everything, "reconcile secret keygen", "reconcile secret keygen"},
		{everything, "reconcile resume --state other", "reconcile resume --state other"},
		{everything, "reconcile --state=other --yes", "reconcile --state=other --yes"},
		{everything, "reconcile frobnicate", "reconcile frobnicate"},
		{append([]string{"doctor"}, everything...), "reconcile history --env x", `reconcile history --config d.yaml --state 'it'\''s' --env x`},
		{away, "reconcile --dry-run", "reconcile --repo https://git.example/acme/terra --ref main --path x --dry-run"},
		{away, "reconcile rotate add production/strava", "reconcile rotate add production/strava"},
		{away, "reconcile validate", "reconcile validate"},
		{[]string{"status", "--state", "s"}, "reconcile now", "reconcile now --state s"},
		{[]string{"validate", "my config"}, "reconcile validate", "reconcile validate 'my config'"},
		{[]string{"secret", "rekey", "my config"}, "reconcile rotate add a/b", "reconcile rotate add --repo 'my config' a/b"},
		{[]string{"--dry-run"}, "reconcile resume", "reconcile resume"},
	} {
		v := askedWith(t, c.line...)
		got := v.command(typed(t, c.command))
		if got.String() != c.want {
			t.Errorf("%q: %s: got %s, want %s", c.line, c.command, got, c.want)
		}
		if twice := v.command(got); twice.String() != got.String() {
			t.Errorf("%q: %s: completed twice it is %s", c.line, c.command, twice)
		}
	}
}

// TestOfOneOfSeveralRepositories: what a command is about is named as daemon.yaml names it, in
// the place of a folder, and never without a daemon.yaml: it would be a folder then.
func TestOfOneOfSeveralRepositories(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("config", 0o700); err != nil {
		t.Fatal(err)
	}
	several := []string{"status", "--config", "d.yaml"}
	checkout := []string{"rotate", "add", "production/strava", "--config", "d.yaml", "--repo", "config"}
	for _, c := range []struct {
		line                   []string
		repository, typed, get string
	}{
		{several, "apps", "reconcile --dry-run --env production", "reconcile --config d.yaml --repo apps --dry-run --env production"},
		{several, "apps", "reconcile rotate status production/strava", "reconcile rotate status --config d.yaml --repo apps production/strava"},
		{several, "apps", "reconcile rotate add production/strava", "reconcile rotate add --config d.yaml production/strava"},
		{several, "apps", "reconcile approve production 01234567", "reconcile approve --config d.yaml production 01234567"},
		{several, "", "reconcile --dry-run", "reconcile --config d.yaml --dry-run"},
		{checkout, "apps", "reconcile --env production", "reconcile --config d.yaml --repo apps --env production"},
		{checkout, "apps", "reconcile rotate add production/strava", "reconcile rotate add --config d.yaml --repo config production/strava"},
		{[]string{"status"}, "apps", "reconcile --dry-run", "reconcile --dry-run"},
	} {
		v := askedWith(t, c.line...)
		if got := v.of(c.repository).command(typed(t, c.typed)).String(); got != c.get {
			t.Errorf("%q of %q: %s: got %s, want %s", c.line, c.repository, c.typed, got, c.get)
		}
		if got := v.command(typed(t, "reconcile --dry-run")).String(); strings.Contains(got, "apps") {
			t.Errorf("%q: the repository stays: %s", c.line, got)
		}
	}
}

// TestADaemonNamesTheRepository in what a report tells to type, as the log, the page and messages
// have it.
func TestADaemonNamesTheRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"apps": "see the change: reconcile --config " + here + "/d.yaml --repo apps --dry-run --env production", "": "see the change: reconcile --config " + here + "/d.yaml --dry-run --env production"} {
		s := &commitSource{proc: &Process{asked: askedWith(t, "daemon", "--config", "d.yaml")}, config: config.Config{Repo: config.Repo{Name: name}}}
		r := report.Report{Environments: []report.Environment{{Events: []report.Event{{Remediations: []plan.Remediation{plan.NextCommand("see the change", "--dry-run", "--env", "production")}}}}}}
		s.complete(&r)
		if got := report.Words(r.Environments[0].Events[0].Remediations); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestAfterAKeyTheRepositoryIsNamed: what follows an added key is about the repository of the daemon,
// not the folder that it was added in.
func TestAfterAKeyTheRepositoryIsNamed(t *testing.T) {
	t.Parallel()
	asked := askedWith(t, "rotate", "add", "production/strava", "--config", "d.yaml", "--repo", "/tmp")
	a := addition{KeyFile: repoedit.KeyFile{Environment: spec.Environment{Name: "production"}, Connection: spec.Connection{Provider: "strava", File: "production/strava.yaml"}},
		placement: placement{number: 2}, repository: "apps"}
	for what, prints := range map[string]func(*Process) error{"new": a.print, "again": a.printAgain} {
		var out strings.Builder
		err := prints(&Process{Stdout: &out, asked: asked})
		if err != nil || !strings.Contains(out.String(), "reconcile --config d.yaml --repo apps --env production\n") || strings.Contains(out.String(), "/tmp") {
			t.Errorf("%s: %v\n%s", what, err, out.String())
		}
	}
}

// typed is the command of a line.
func typed(t *testing.T, line string) plan.Command {
	t.Helper()
	var c plan.Command
	if err := c.UnmarshalText([]byte(line)); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return c
}

// What may hold a password is refused by the run itself, and told by nobody.
func TestCompleteTellsNoPassword(t *testing.T) {
	t.Parallel()
	for _, repo := range []string{
		"https://user:hunter2@git.example/x", "ssh://git:hunter2@git.example/x", "https://git.example/x?token=hunter2", "https://git.example/x#hunter2",
	} {
		if got := askedWith(t, "--dry-run", "--repo", repo, "--state", "s").command(typed(t, "reconcile --yes")).String(); got != "reconcile --state s --yes" {
			t.Errorf("%s: got %s", repo, got)
		}
	}
	if got := askedWith(t, "--dry-run", "--repo", "ssh://git@git.example/x").command(typed(t, "reconcile --yes")).String(); got != "reconcile --repo ssh://git@git.example/x --yes" {
		t.Errorf("got %s", got)
	}
}

// What a daemon says is read elsewhere, and a connection file is edited there.
func TestCompleteElsewhere(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	v := askedWith(t, "daemon").elsewhere()
	want := plan.Command{"resume", "--config", filepath.Join(here, "daemon.yaml")}
	if got := v.command(plan.Command{"resume"}); !slices.Equal(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := v.command(typed(t, "reconcile rotate add a/b")).String(); got != "reconcile rotate add a/b" {
		t.Errorf("got %s", got)
	}
}

// Every command of a report is completed, and no text is touched.
func TestCompleteReport(t *testing.T) {
	t.Parallel()
	const text = "do `reconcile resume`"
	next := func() []plan.Remediation { return []plan.Remediation{plan.NextCommand(text, "resume")} }
	warned := func() []plan.Warning { return []plan.Warning{{Cause: text, Text: text, Remediations: next()}} }
	r := report.Report{Error: text, Warnings: warned(), Remediations: next(), Environments: []report.Environment{{
		Error: text, Warnings: warned(), Remediations: next(),
		Approval: report.Approval{Text: text, Command: plan.Command{"resume"}, Remediations: next()},
		Changes:  []report.Change{{Change: plan.Change{Reason: text, GateReason: text, Remediations: next()}}},
		Events:   []report.Event{{Text: text, Remediations: next()}}, Keys: []keys.Status{{Text: text, Remediations: next()}},
	}}}
	askedWith(t, "--state", "s").completeReport(&r)
	e := r.Environments[0]
	for _, list := range [][]plan.Remediation{r.Warnings[0].Remediations, r.Remediations, e.Warnings[0].Remediations, e.Remediations, e.Approval.Remediations,
		e.Changes[0].Remediations, e.Events[0].Remediations, e.Keys[0].Remediations, {{Text: text, Command: e.Approval.Command}}} {
		if list[0].Text != text || list[0].Command.String() != "reconcile resume --state s" {
			t.Errorf("got %q: %s", list[0].Text, list[0].Command)
		}
	}
	if r.Error != text || e.Error != text || e.Approval.Text != text || e.Changes[0].GateReason != text || e.Events[0].Text != text || r.Warnings[0].Text != text {
		t.Errorf("a text was changed: %+v", r)
	}
}

// No text of ours holds a command: it would not be completed, and could not be copied.
// What describes a command stands in examples, help and documents.
func TestTextsHoldNoCommand(t *testing.T) {
	t.Parallel()
	root := newRoot(&Process{})
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	command := regexp.MustCompile("reconcile (" + strings.Join(names, "|") + "|--[a-z])")
	described := []string{"Example", "Use", "Long", "Short", "Holds", "Else", "Do"} // of a command, of the table of guards, of the catalogue
	files := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "cmd/") || strings.HasSuffix(path, "/help_topics.go") {
			return err
		}
		files++
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if pair, ok := n.(*ast.KeyValueExpr); ok {
				if key, ok := pair.Key.(*ast.Ident); ok && slices.Contains(described, key.Name) {
					return false
				}
			}
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
				value, err := strconv.Unquote(text.Value)
				if err == nil && command.MatchString(value) && !slices.ContainsFunc(describing(), func(known string) bool { return strings.Contains(value, known) }) {
					t.Errorf("%s: a command in a text: %q", path, value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil || files < 100 {
		t.Fatalf("got %d files, %v", files, err)
	}
	t.Logf("COUNT files whose texts hold no command=%d", files)
}

// describing are parts of texts that describe a command to whom no flag would help.
func describing() []string {
	return []string{
		"(made by: reconcile ", "Written by reconcile secret", "Written by reconcile schema; ", "Next: reconcile --help", "(reconcile status says why)",
		"--ticket` prints what to write", "`reconcile providers", "`reconcile rotate status`",
	}
}

// A repository that only daemon.yaml names is one that a person edits elsewhere than
// where they stand.
func TestCompleteNamesTheRepositoryOfDaemonYaml(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, folder := range []string{"config/production", "empty"} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("config/terra.yaml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs("config")
	if err != nil {
		t.Fatal(err)
	}
	const add = "reconcile rotate add --config d.yaml"
	for _, c := range []struct{ here, url, want string }{
		{".", folder, add + " --repo " + folder + " a/b"},
		{"config", folder, add + " a/b"},
		{"config/production", folder, add + " a/b"},
		{".", folder + "/../empty", add + " a/b"},
		{".", "https://git.example/acme/terra", add + " a/b"},
		{".", "", add + " a/b"},
	} {
		here := filepath.Join(filepath.Dir(folder), c.here)
		t.Chdir(here)
		v := askedWith(t, "--config", "d.yaml")
		v.reads(config.Repo{URL: c.url})
		if got := v.command(typed(t, "reconcile rotate add a/b")).String(); got != c.want {
			t.Errorf("in %s, of %q: got %s, want %s", c.here, c.url, got, c.want)
		}
		if got := v.command(typed(t, "reconcile history")).String(); got != "reconcile history --config d.yaml" {
			t.Errorf("got %s", got)
		}
	}
}
