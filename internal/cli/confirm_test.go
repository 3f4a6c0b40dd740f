package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestQuestionOnATerminal answers no, then yes, and then finds nothing to ask.
func TestQuestionOnATerminal(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	proc := &Process{Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Now: time.Now,
		Terminals: Terminals{true, true, true}, Version: "test"}
	s := &stage{dir: t.TempDir(), terra: emulator.New(emulator.Config{})}
	address, stop, err := serve(t.Context(), s.terra)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := s.prepare(proc, address); err != nil {
		t.Fatal(err)
	}
	ask := func(answer string, want int) {
		t.Helper()
		out.Reset()
		errs.Reset()
		s.proc.Stdin = strings.NewReader(answer)
		if code := Run(t.Context(), []string{"--repo", filepath.Join(s.dir, "config")}, s.proc); code != want {
			t.Fatalf("answer %q: exit %d, want %d\n%s%s", answer, code, want, &out, &errs)
		}
	}
	asked := func() bool {
		return strings.Contains(errs.String(), "Apply what is ready, 3 connections, and nothing else?")
	}
	// What could not be applied is refused before anybody is asked.
	dirty := filepath.Join(s.dir, "config", "production", "oura.yaml")
	if err := os.WriteFile(dirty, []byte("provider: oura\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask("yes\n", exitFailed)
	if asked() || !strings.Contains(unfolded(errs.String()), unfolded("changes that are not committed")) {
		t.Errorf("not committed: asked %v\n%s", asked(), &errs)
	}
	if err := os.Remove(dirty); err != nil {
		t.Fatal(err)
	}
	ask("no\n", exitFailed)
	if n := len(s.terra.Effects()); n != 0 || !asked() {
		t.Errorf("after no: %d writes, asked %v", n, asked())
	}
	ask("yes\n", report.ExitDone)
	if !asked() || s.terra.Live(demoProduction()).Sources["strava"].State != "active" {
		t.Errorf("after yes: asked %v\n%s", asked(), &out)
	}
	// Without memory everything is found equal: nothing to ask, but it is adopted.
	if err := os.RemoveAll(filepath.Join(s.dir, "state")); err != nil {
		t.Fatal(err)
	}
	ask("", report.ExitDone)
	if _, err := os.Stat(filepath.Join(s.dir, "state", "state.db")); err != nil || asked() {
		t.Errorf("in sync: asked %v, memory %v", asked(), err)
	}
}
