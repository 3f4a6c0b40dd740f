//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHostileHistoryIsRead: who looks at a history waits for nobody, and follows no link.
func TestHostileHistoryIsRead(t *testing.T) {
	for _, c := range []struct {
		attack string
		make   func(path string) error
		says   string
	}{
		{attack: "a pipe that nobody writes to", make: func(path string) error { return syscall.Mkfifo(path, 0o600) }, says: "it is no file"},
		{attack: "a link to a device without an end", make: func(path string) error { return os.Symlink("/dev/zero", path) }, says: "it is a link, which is not followed"},
		{attack: "a folder", make: func(path string) error { return os.Mkdir(path, 0o700) }, says: "it is no file"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "history.jsonl")
			must(t, c.make(path))
			done := make(chan error, 1)
			go func() {
				done <- eachFile(dir, "history", func(*os.File) (bool, error) { return false, nil })
			}()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want %q", err, c.says)
				}
			case <-time.After(time.Minute):
				t.Error("it waits")
				if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil { // lets it go on
					_ = f.Close()
				}
				<-done
			}
		})
	}
}
