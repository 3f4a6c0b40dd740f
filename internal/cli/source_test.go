package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestRepositoryHereBesideAConfiguration: daemon.yaml names a repository, and a person
// names the folder they are in. What they typed counts.
func TestRepositoryHereBesideAConfiguration(t *testing.T) {
	e := newExample(t, time.Now())
	file := e.daemonFile("")
	here := filepath.Join(e.dir, "here")
	if err := os.CopyFS(here, os.DirFS(e.repository())); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(here, "production")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(here)
	holds(t, e.run(2, "--dry-run", "--config", file), "production")
	holds(t, e.run(0, "doctor", "--config", file, "--repo", "."), "1 environment with")
	holds(t, e.run(0, "doctor", "--config", file), "2 environments with")
	t.Chdir(e.dir) // no repository at all
	const none = "no terra.yaml in its folder or above"
	if e.run(1, "rotate", "prune", "production/strava", "--key", "1", "--config", file); strings.Contains(e.outputs.String(), none) {
		t.Error("the repository of daemon.yaml is not used")
	}
	e.run(1, "rotate", "prune", "production/strava", "--key", "1", "--config", file, "--repo", ".")
	holds(t, e.outputs.String(), none)
}

// TestLeftIsOfTheLastRun: a run that could not look at an environment does not tell what is
// left there, whatever the one before it said.
func TestLeftIsOfTheLastRun(t *testing.T) {
	t.Parallel()
	e := report.Environment{Name: "production", DevID: "prod"}
	e.PlanHash = plan.Hash(e.Plan())
	s := &commitSource{reports: map[string]report.Report{"production": {Environments: []report.Environment{e}}}}
	if left, known := s.left("production"); !known || left.Name != "production" {
		t.Fatalf("got %v, %v", left, known)
	}
	other := e
	other.Name = "staging"
	other.PlanHash = plan.Hash(other.Plan())
	for name, r := range map[string]report.Report{"no environment": {Error: "load age identities"}, "another": {Environments: []report.Environment{other}}} {
		s.reports["production"] = r
		if left, known := s.left("production"); known {
			t.Errorf("%s: got %v", name, left)
		}
	}
}

// TestRunThatCannotBeginDecidesNothing: the time by which the run before it decided would
// give moments that have passed, while what the page shows of that run stays as it was.
func TestRunThatCannotBeginDecidesNothing(t *testing.T) {
	t.Parallel()
	now := time.Now()
	shown := []report.Environment{{Name: "production", DecidedAt: now, Ahead: time.Second}}
	s := &commitSource{proc: &Process{Now: time.Now}, reports: map[string]report.Report{"production": {RunID: "one", Environments: shown}}}
	if r := s.Run(t.Context(), "production", &daemon.Course{}); r.Error == "" {
		t.Fatal("it ran")
	}
	last := s.reports["production"]
	if e, told := environmentOf(last, "production"); last.RunID != "one" || !told || !e.DecidedAt.IsZero() || e.Ahead != 0 {
		t.Errorf("got %+v of run %q", e, last.RunID)
	}
	if !shown[0].DecidedAt.Equal(now) {
		t.Error("it changed a report that others read")
	}
}

// TestFilesOfOneRepositoryStopThatOne: a file that another user could change stops the
// repository that names it, and what names it for all stops all.
func TestFilesOfOneRepositoryStopThatOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"token", "git-a", "git-b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Parse(filepath.Join(dir, "daemon.yaml"), []byte(`apply: true
accounts: {main: {token_file: token, dev_ids: ["*"]}}
repos:
  a: {url: "https://git.acme.example/a", auth: {token_file: git-a}, accounts: [main]}
  b: {url: "https://git.acme.example/b", auth: {token_file: git-b}, accounts: [main]}
`), func(name string) string { return map[string]string{"HOME": dir}[name] })
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"git-a": "a", "git-b": "b", "token": "a b"} {
		if err := os.Chmod(filepath.Join(dir, file), 0o602); err != nil {
			t.Fatal(err)
		}
		var stopped []string
		for _, one := range c.Each() {
			s := &commitSource{config: one, file: func() daemon.ConfigStatus { return daemon.ConfigStatus{} }}
			if s.checkFiles() != nil {
				stopped = append(stopped, one.Repo.Name)
			}
		}
		if got := strings.Join(stopped, " "); got != want {
			t.Errorf("%s, which every user could write, stops %q, want %q", file, got, want)
		}
		if err := os.Chmod(filepath.Join(dir, file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
