package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const (
	exampleProduction = "acme-prod-x81LmQ"
	exampleStaging    = "acme-stag-Wq72Rt"
)

// example is a copy of examples/config as its own git repository, with an
// emulated Terra.
type example struct {
	t       *testing.T
	dir     string
	terra   *terratest.Server
	vars    map[string]string
	now     time.Time
	outputs bytes.Buffer // everything that was ever printed
}

func newExample(t *testing.T, now time.Time) *example {
	t.Helper()
	e := newExampleOf(t, "../../examples/config", now)
	e.terra.AddEnvironment(exampleProduction, terratest.EnvironmentOptions{})
	e.terra.AddEnvironment(exampleStaging, terratest.EnvironmentOptions{})
	return e
}

// newExampleOf copies another repository, whose environments Terra does not have yet.
func newExampleOf(t *testing.T, repository string, now time.Time) *example {
	t.Helper()
	e := &example{t: t, dir: t.TempDir(), now: now, vars: map[string]string{}}
	if err := os.CopyFS(e.repository(), os.DirFS(repository)); err != nil {
		t.Fatal(err)
	}
	e.commit("First commit")
	e.terra = terratest.New(terratest.Config{Clock: func() time.Time { return e.now }})
	identity, err := filepath.Abs("../../examples/identity.txt")
	if err != nil {
		t.Fatal(err)
	}
	e.vars["TERRA_BASE_URL"] = e.terra.Start(t)
	e.vars["TERRA_ADMIN_TOKEN"] = e.terra.AddToken(terratest.Token{}).Bearer
	e.vars["RECONCILE_AGE_KEY_FILE"] = identity
	e.vars["RECONCILE_STATE_DIR"] = filepath.Join(e.dir, "state")
	return e
}

func (e *example) repository() string { return filepath.Join(e.dir, "config") }

func (e *example) commit(message string) {
	e.t.Helper()
	if _, err := commitAll(e.repository(), message, e.now); err != nil {
		e.t.Fatal(err)
	}
}

// run runs one command line and returns what it printed on standard output.
func (e *example) run(want int, args ...string) string {
	e.t.Helper()
	var out, errs bytes.Buffer
	got := Run(e.t.Context(), args, &Process{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string { return e.vars[name] }, Now: func() time.Time { return e.now }, Version: "test",
	})
	e.outputs.Write(out.Bytes())
	e.outputs.Write(errs.Bytes())
	if got != want {
		e.t.Fatalf("reconcile %s: got exit code %d, want %d\n%s%s", strings.Join(args, " "), got, want, out.String(), errs.String())
	}
	return out.String()
}

func TestExamplesAreApplied(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	repository := "--repo=" + e.repository()
	if got, want := e.run(0, "validate", e.repository()), "valid: 2 environments with 10 connections\n"; got != want {
		t.Errorf("validate: got %q, want %q: an example teaches no warnings", got, want)
	}
	e.run(0, "secret", "recipients", "--check", e.repository())
	e.run(2, repository, "--dry-run")
	if writes := e.terra.Writes(); len(writes) != 0 {
		t.Fatalf("the dry run sent %d writes", len(writes))
	}
	e.run(0, repository, "--yes")
	want := map[string]string{
		"production/withings": "active", "production/huawei": "active", "production/samsung": "active",
		"production/strava": "active", "production/virtuagym": "active",
		"staging/huawei": "active", "staging/strava": "active", "staging/virtuagym": "paused", "staging/withings": "active",
	}
	if diff := cmp.Diff(want, e.live()); diff != "" {
		t.Errorf("live after apply (-want +got):\n%s", diff)
	}
	e.checkSecrets(map[string]string{
		"production/strava.yaml --key=2": exampleProduction, "production/virtuagym.yaml": exampleProduction,
		"production/huawei.yaml": exampleProduction, "staging/strava.yaml": exampleStaging,
		"staging/virtuagym.yaml": exampleStaging, "staging/huawei.yaml": exampleStaging,
	})
	e.terra.ResetLog()
	second := e.run(2, repository, "--dry-run")
	if !strings.Contains(second, "1 connection waiting") {
		t.Errorf("second plan: want nothing but the one that waits; got\n%s", second)
	}
	e.run(0, repository, "--yes")
	if writes := e.terra.Writes(); len(writes) != 0 {
		t.Errorf("the second apply sent %d writes", len(writes))
	}
}

func (e *example) live() map[string]string {
	out := map[string]string{}
	for name, devID := range map[string]string{"production": exampleProduction, "staging": exampleStaging} {
		for provider, source := range e.terra.Live(devID).Sources {
			out[name+"/"+provider] = source.State
		}
	}
	return out
}

// checkSecrets compares what Terra holds with what the files seal, and looks for
// every one of these secrets in all outputs and in the state.
func (e *example) checkSecrets(files map[string]string) {
	e.t.Helper()
	var printed bytes.Buffer
	printed.Write(e.outputs.Bytes())
	err := os.CopyFS(filepath.Join(e.dir, "looked"), os.DirFS(e.vars["RECONCILE_STATE_DIR"]))
	if err != nil {
		e.t.Fatal(err)
	}
	s := &scene{work: filepath.Join(e.dir, "looked")}
	for file, devID := range files {
		name, key, _ := strings.Cut(file, " ")
		args := []string{"secret", "decrypt", filepath.Join(e.repository(), filepath.FromSlash(name))}
		if key != "" {
			args = append(args, key)
		}
		secret := strings.TrimSpace(e.run(0, args...))
		provider := strings.TrimSuffix(filepath.Base(name), ".yaml")
		if live := e.terra.Live(devID).Sources[provider].Credential; live == nil || live.Secret != secret {
			e.t.Errorf("%s: Terra does not hold what the file seals", name)
		}
		s.planted = append(s.planted, secret)
	}
	if err := os.WriteFile(filepath.Join(s.work, "outputs"), printed.Bytes(), 0o600); err != nil {
		e.t.Fatal(err)
	}
	s.searchLeaks(e.t)
}

func TestExampleRunnerConfigurationIsValid(t *testing.T) {
	t.Parallel()
	c, err := config.Load("../../examples/daemon.yaml", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	for _, devID := range []string{exampleProduction, exampleStaging} {
		if !c.Allows(config.DefaultAccount, devID) {
			t.Errorf("the account of daemon.yaml may not touch %s", devID)
		}
	}
}

// TestDryRunInREADME keeps the sample in README.md, the first fenced block after
// the marker, what a dry run of the examples prints.
func TestDryRunInREADME(t *testing.T) {
	file, err := filepath.Abs("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)(<!-- dry-run -->\\s*```[a-z]*\n)(.*?)(```)")
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := block.FindSubmatchIndex(readme)
	if at == nil {
		t.Fatal("README.md has no <!-- dry-run --> with a fenced block after it")
	}
	before, shown, after := string(readme[:at[4]]), string(readme[at[4]:at[5]]), string(readme[at[5]:])
	want := dryRunSample(t)
	if *update {
		if err := os.WriteFile(file, []byte(before+want+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("README.md shows something else (-printed +shown); run with -update:\n%s", diff)
	}
}

// dryRunSample is production some days after it was applied: its second key is
// due, somebody paused Virtuagym by hand, and a commit takes Huawei away.
func dryRunSample(t *testing.T) string {
	e := newExample(t, time.Date(2026, 8, 7, 9, 0, 0, 0, time.UTC))
	repository := "--repo=" + e.repository()
	e.run(0, repository, "--yes", "--env=production")
	e.terra.SetUsers(exampleProduction, "strava", 1204, 0)
	e.terra.SetUsers(exampleProduction, "huawei", 37, 0)
	e.terra.Pause(exampleProduction, "virtuagym")
	huawei := filepath.Join(e.repository(), "production", "huawei.yaml")
	text, err := os.ReadFile(huawei)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("provider: huawei\n"), []byte("provider: huawei\nstate: paused\n"), 1)
	if err := os.WriteFile(huawei, text, 0o600); err != nil {
		t.Fatal(err)
	}
	e.commit("Pause Huawei")
	e.now = time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC) // a Monday
	t.Chdir(e.repository())
	out := e.run(2, "--dry-run", "--env=production")
	return regexp.MustCompile(`Dry run of commit [0-9a-f]{12} in [0-9.]+ m?s`).ReplaceAllString(out, "Dry run of commit 3f9c2a7be1d0 in 41 ms")
}

// fullDisk takes nothing that is written to it.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestReportThatCannotBePrinted: exit code 1 says that nothing was written, so a run that
// wrote and cannot print its report ends with another one.
func TestReportThatCannotBePrinted(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	repository := "--repo=" + e.repository()
	for _, run := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{repository, "--dry-run"}, report.ExitError, "no space left"},
		{[]string{repository, "--yes"}, report.ExitFailed, "reconcile history"},
	} {
		var errs bytes.Buffer
		got := Run(t.Context(), run.args, &Process{Stdin: strings.NewReader(""), Stdout: fullDisk{}, Stderr: &errs,
			Getenv: func(name string) string { return e.vars[name] }, Now: func() time.Time { return e.now }, Version: "test"})
		if got != run.want || !strings.Contains(errs.String(), run.says) {
			t.Errorf("%v: exit code %d, want %d\n%s", run.args, got, run.want, errs.String())
		}
	}
	if len(e.terra.Writes()) == 0 {
		t.Error("nothing was written: this proves nothing")
	}
}
