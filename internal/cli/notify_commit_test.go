package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/notify"
)

// TestStatusesOfCommits: a refused commit is a failure for each environment that was
// followed, for none where none was; a run that is cut off says nothing.
func TestStatusesOfCommits(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Now())
	source := e.follow(time.Now, io.Discard)
	var told []string
	source.statuses = func(list ...notify.Status) {
		for _, s := range list {
			text := s.Environment + ": " + string(s.State) + ": " + s.Description
			told = append(told, strings.ReplaceAll(text, s.Commit[:12], "COMMIT"))
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(e.repository(), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e.commit("Change " + name)
	}
	good := e.read("terra.yaml")
	expect := func(what string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(strings.Join(told, "\n"), w) {
				t.Errorf("%s: told\n%s\nwant %s", what, strings.Join(told, "\n"), w)
			}
		}
		if len(told) != len(want) {
			t.Errorf("%s: told %d, want %d:\n%s", what, len(told), len(want), strings.Join(told, "\n"))
		}
		told = nil
	}

	write("terra.yaml", "version: 2\n")
	if _, err := source.Poll(t.Context()); err == nil {
		t.Fatal("a wrong terra.yaml is used")
	}
	expect("the first commit is refused", ": failure: Not used: commit COMMIT is not used: terra.yaml:1:10: ")

	write("terra.yaml", good)
	if _, err := source.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("a good commit")
	cut, stop := context.WithCancel(t.Context())
	stop()
	source.Run(cut, "production", &daemon.Course{})
	expect("a run that is cut off")
	source.Run(t.Context(), "production", &daemon.Course{})
	expect("a run", "production: success: 5 connections applied.")

	write("terra.yaml", "version: 2\n")
	if _, err := source.Poll(t.Context()); err == nil {
		t.Fatal("a wrong terra.yaml is used")
	}
	expect("a later commit is refused", "production: failure: Not used: commit COMMIT is not used: terra.yaml:1:10: ", "staging: failure: Not used: ")
}
