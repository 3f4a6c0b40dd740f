package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// askedWith is the invocation of a command line.
func askedWith(t *testing.T, line ...string) invocation {
	t.Helper()
	root := newRoot(&environment{})
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
		line       []string
		text, want string
	}{
		{everything, "`reconcile --dry-run`", `reconcile --config d.yaml --state 'it'\''s' --repo 'my config' --ref main --path terra --dry-run`},
		{everything, "`reconcile resume production/strava`", `reconcile resume --config d.yaml --state 'it'\''s' production/strava`},
		{everything, "`reconcile rotate add production/strava`", `reconcile rotate add --config d.yaml --state 'it'\''s' --repo 'my config/terra' production/strava`},
		{everything, "`reconcile validate`", "reconcile validate 'my config/terra'"},
		{everything, "`reconcile validate elsewhere`", "reconcile validate elsewhere"},
		{everything, "`reconcile secret rekey`", "reconcile secret rekey 'my config/terra' --config d.yaml"},
		{everything, "`reconcile token status`", "reconcile token status --config d.yaml"},
		{everything, "`reconcile daemon`", "reconcile daemon --config d.yaml"},
		{everything, "`reconcile secret keygen`", "reconcile secret keygen"},
		{everything, "`reconcile resume --state other`", "reconcile resume --state other"},
		{everything, "`reconcile --state=other --yes`", "reconcile --state=other --yes"},
		{everything, "`reconcile frobnicate`", "reconcile frobnicate"},
		{everything, "`reconcile`", "reconcile"},
		{everything, "reconcile resume", "reconcile resume"},
		{everything, "`other resume`", "other resume"},
		{append([]string{"doctor"}, everything...), "`reconcile history --env x`", `reconcile history --config d.yaml --state 'it'\''s' --env x`},
		{away, "`reconcile --dry-run`", "reconcile --repo https://git.example/acme/terra --ref main --path x --dry-run"},
		{away, "`reconcile rotate add production/strava`", "reconcile rotate add production/strava"},
		{away, "`reconcile validate`", "reconcile validate"},
		{[]string{"status", "--state", "s"}, "`reconcile now`, then `reconcile status`", "reconcile now --state s, then reconcile status --state s"},
		{[]string{"validate", "my config"}, "`reconcile validate`", "reconcile validate 'my config'"},
		{[]string{"secret", "rekey", "my config"}, "`reconcile rotate add a/b`", "reconcile rotate add --repo 'my config' a/b"},
		{[]string{"--dry-run"}, "`reconcile resume`", "reconcile resume"},
	} {
		v := askedWith(t, c.line...)
		got := v.complete(c.text)
		if strings.ReplaceAll(got, "`", "") != c.want || strings.Count(got, "`") != strings.Count(c.text, "`") {
			t.Errorf("%q: %s: got %s, want %s", c.line, c.text, got, c.want)
		}
		if twice := v.complete(got); twice != got {
			t.Errorf("%q: %s: completed twice it is %s", c.line, c.text, twice)
		}
	}
}

// What may hold a password is refused by the run itself, and told by nobody.
func TestCompleteTellsNoPassword(t *testing.T) {
	for _, repo := range []string{
		"https://user:hunter2@git.example/x", "ssh://git:hunter2@git.example/x", "https://git.example/x?token=hunter2", "https://git.example/x#hunter2",
	} {
		if got := askedWith(t, "--dry-run", "--repo", repo, "--state", "s").complete("`reconcile --yes`"); got != "`reconcile --state s --yes`" {
			t.Errorf("%s: got %s", repo, got)
		}
	}
	if got := askedWith(t, "--dry-run", "--repo", "ssh://git@git.example/x").complete("`reconcile --yes`"); got != "`reconcile --repo ssh://git@git.example/x --yes`" {
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
	if got, want := v.complete("`reconcile resume`"), "`reconcile resume --config "+shellWord(filepath.Join(here, "daemon.yaml"))+"`"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := v.complete("`reconcile rotate add a/b`"); got != "`reconcile rotate add a/b`" {
		t.Errorf("got %s", got)
	}
}

// A shell reads the word that was written.
func TestShellWord(t *testing.T) {
	for _, word := range []string{"", "plain", "two words", "it's", `"$HOME" \ !`, "-x", "~", "a`b`", "*", "é"} {
		out, err := exec.Command("sh", "-c", "printf %s "+shellWord(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q: got %q, %v from %s", word, out, err, shellWord(word))
		}
	}
}

// Every text of a report that tells what to type is completed, and what people
// wrote themselves is not touched.
func TestCompleteReport(t *testing.T) {
	const text = "do `reconcile resume`"
	r := report.Report{Error: text, Warnings: []string{text}, Environments: []report.Environment{{
		Error: text, ApproveWay: text, ApproveNext: text, Warnings: []string{text}, NotCompared: []plan.NotCompared{{Reason: text}},
		Changes: []report.Change{{Change: plan.Change{Reason: text, GateReason: text, GateWay: text, AskWay: text}, Error: text}},
		Events:  []report.Event{{Text: text}}, Keys: []report.KeyStatus{{Do: text}},
		WarningDetails: []plan.Warning{{Next: text, Text: text}},
	}}}
	askedWith(t, "--state", "s").completeReport(&r)
	e := r.Environments[0]
	c := e.Changes[0]
	for _, got := range []string{
		r.Error, r.Warnings[0], e.Error, e.ApproveWay, e.Warnings[0], e.NotCompared[0].Reason, c.GateReason, c.GateWay, c.Error, e.Events[0].Text, e.Keys[0].Do,
		e.ApproveNext, c.AskWay, e.WarningDetails[0].Next, e.WarningDetails[0].Text,
	} {
		if got != "do `reconcile resume --state s`" {
			t.Errorf("got %s", got)
		}
	}
	if c.Reason != text {
		t.Errorf("got %s", c.Reason)
	}
}

// A command that a text of ours names stands in backticks. Without them it would
// not be completed, and could be broken over two lines.
func TestTextsNameCommandsInBackticks(t *testing.T) {
	root := newRoot(&environment{})
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	bare := regexp.MustCompile("(^|[^`\"])reconcile (" + strings.Join(names, "|") + "|--[a-z])")
	files := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if pair, ok := n.(*ast.KeyValueExpr); ok {
				if key, ok := pair.Key.(*ast.Ident); ok && slices.Contains([]string{"Example", "Use"}, key.Name) {
					return false // nothing but commands
				}
			}
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
				if value, err := strconv.Unquote(text.Value); err == nil && bare.MatchString(strings.ReplaceAll(value, "(made by: reconcile ", "")) {
					t.Errorf("%s: a command without backticks: %q", path, bare.FindString(value))
				}
			}
			return true
		})
		return nil
	})
	if err != nil || files < 100 {
		t.Fatalf("got %d files, %v", files, err)
	}
	t.Logf("COUNT files whose texts name commands=%d", files)
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
		if got := v.complete("`reconcile rotate add a/b`"); got != "`"+c.want+"`" {
			t.Errorf("in %s, of %q: got %s, want %s", c.here, c.url, got, c.want)
		}
		if got := v.complete("`reconcile history`"); got != "`reconcile history --config d.yaml`" {
			t.Errorf("got %s", got)
		}
	}
}
