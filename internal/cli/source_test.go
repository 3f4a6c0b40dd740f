package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
