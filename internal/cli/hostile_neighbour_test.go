package cli

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHostileReload: a daemon does not go on with what another user of the machine could
// have written. It says so once, and takes it when that is put right, though no character
// changed.
func TestHostileReload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attack     string
		make, undo func(dir string) error
		says       string
	}{
		{attack: "a changed configuration that every user can write to", says: "every user of this machine can write to configuration",
			make: func(dir string) error { return os.Chmod(dir+"/daemon.yaml", 0o646) }, undo: func(dir string) error { return os.Chmod(dir+"/daemon.yaml", 0o644) }},
		{attack: "it names a token that every user can write to", says: "every user of this machine can write to token file",
			make: func(dir string) error { return os.Chmod(dir+"/token", 0o646) }, undo: func(dir string) error { return os.Chmod(dir+"/token", 0o600) }},
		{attack: "a folder that every user can write to", says: "every user of this machine can put another file in the place of configuration",
			make: func(dir string) error { return os.Chmod(dir, 0o777) }, undo: func(dir string) error { return os.Chmod(dir, 0o755) }},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "daemon.yaml")
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(os.WriteFile(file, []byte(someConfig+"1\n"), 0o600))
			must(os.WriteFile(filepath.Join(dir, "token"), []byte("x"), 0o600))
			log := &bytes.Buffer{}
			w := &configWatch{file: file, getenv: func(string) string { return "" }, running: digestOf(file)}
			must(os.WriteFile(file, []byte(strings.Replace(someConfig, "token_env: T", "token_file: token", 1)+"2\n"), 0o600))
			must(c.make(dir))
			wait := func() (found *configured) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					found = w.wait(ctx, slog.New(slog.NewTextHandler(log, nil)))
				})
				return found
			}
			if found := wait(); found != nil {
				t.Errorf("it is taken: %s", found.Listen)
			}
			if got := strings.Count(log.String(), c.says); got != 1 || !strings.Contains(log.String(), "chmod o-w") {
				t.Errorf("said %d times, want once, with what to do:\n%s", got, log)
			}
			must(c.undo(dir))
			if found := wait(); found == nil || found.Listen != "127.0.0.1:2" {
				t.Errorf("got %+v after it was put right", found)
			}
		})
	}
}
