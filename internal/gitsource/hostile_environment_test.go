//go:build unix

package gitsource

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHostileHookReadsTheEnvironment: what git starts, and git itself, is told no token and
// no identity of this program.
func TestHostileHookReadsTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		attack string
		name   string
	}{
		{attack: "the admin token", name: "TERRA_ADMIN_TOKEN"},
		{attack: "the token for git", name: "RECONCILE_GIT_TOKEN"},
		{attack: "an age identity", name: "SOPS_AGE_KEY"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			r := newRepository(t)
			r.commit("first", "a", "1")
			r.git("config", "user.name", "Ada")
			r.git("config", "user.email", "ada@acme.example")
			heard := filepath.Join(t.TempDir(), "heard")
			hook := "#!/bin/sh\nenv > '" + heard + "'\n"
			hooks := filepath.Join(r.dir, ".git", "hooks")
			if err := errors.Join(os.MkdirAll(hooks, 0o700), os.WriteFile(filepath.Join(hooks, "pre-commit"), []byte(hook), 0o700)); err != nil {
				t.Fatal(err)
			}
			t.Setenv(c.name, "hunter2hunter2")
			pending, err := PrepareCommit(t.Context(), r.dir, []string{"a"})
			if err != nil {
				t.Fatal(err)
			}
			for _, known := range pending.git.env {
				if strings.Contains(known, "hunter2") {
					t.Errorf("git that reads is told %s", c.name)
				}
			}
			r.write("a", "2")
			if _, err := pending.Commit(t.Context(), "second"); err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(heard); err != nil || strings.Contains(string(text), "hunter2") {
				t.Errorf("the hook is told %s, %v", c.name, err)
			}
		})
	}
}
