//go:build unix

package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestHostileOut: a report goes into a file of its own, whatever stands there.
func TestHostileOut(t *testing.T) {
	for _, c := range []struct {
		attack string
		make   func(out, bait string) error
		says   string // "" where it is written
	}{
		{attack: "a link to a file of somebody else", make: func(out, bait string) error { return os.Symlink(bait, out) }, says: "is a link, which is not followed"},
		{attack: "a link to a file that is not there", make: func(out, bait string) error { return os.Symlink(bait+".new", out) }, says: "is a link, which is not followed"},
		{attack: "a link to a device", make: func(out, _ string) error { return os.Symlink("/dev/stdout", out) }, says: "is a link, which is not followed"},
		{attack: "a pipe that nobody reads", make: func(out, _ string) error { return syscall.Mkfifo(out, 0o600) }, says: "is a pipe, a socket or a device"},
		{attack: "a folder", make: func(out, _ string) error { return os.Mkdir(out, 0o700) }, says: "is a folder"},
		{attack: "the place of a state", make: func(out, _ string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(out), "state.db"), nil, 0o600)
		}, says: "is in the folder of the state"},
		{attack: "another name of a file of somebody else", make: func(out, bait string) error { return os.Link(bait, out) }},
		{attack: "a file that everybody may read", make: func(out, _ string) error { return errors.Join(os.WriteFile(out, nil, 0o600), os.Chmod(out, 0o666)) }},
	} {
		t.Run(c.attack, func(t *testing.T) {
			dir := t.TempDir()
			out, bait := filepath.Join(dir, "plan.json"), filepath.Join(dir, "bait")
			if err := errors.Join(os.WriteFile(bait, []byte("theirs"), 0o600), c.make(out, bait)); err != nil {
				t.Fatal(err)
			}
			err := replaceFile(out, []byte("report"))
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if c.says == "" {
				text, read := os.ReadFile(out)
				info, stat := os.Lstat(out)
				if err != nil || read != nil || stat != nil || string(text) != "report" || info.Mode() != 0o600 {
					t.Errorf("got %v, %q, %v", err, text, info)
				}
			}
			if text, err := os.ReadFile(bait); string(text) != "theirs" || err != nil {
				t.Errorf("the file of somebody else is %q, %v", text, err)
			}
			left, err := filepath.Glob(filepath.Join(dir, ".plan.json-*"))
			if len(left) > 0 || err != nil {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	if err := (&runFlags{out: []string{"state.db"}}).check(); err == nil || !strings.Contains(err.Error(), "--out state.db is in the folder of the state") {
		t.Errorf("before the run: %v", err)
	}
	if err := replaceFile(filepath.Join(t.TempDir(), "state.db"), nil); err == nil || !strings.Contains(err.Error(), "is in the folder of the state") {
		t.Errorf("a state before the first start: %v", err)
	}
	if err := replaceFile("/dev/null", nil); err == nil || !strings.Contains(err.Error(), "device") {
		t.Errorf("/dev/null: %v", err)
	}
}
