//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
)

// TestHostilePlace: a state is not opened where others could have put something in its
// way, and nothing that they point to is touched.
func TestHostilePlace(t *testing.T) {
	for _, c := range []struct {
		attack string
		make   func(dir, bait string) error // after a first start
		says   string
	}{
		{attack: "a state folder that every user can write to", make: func(dir, _ string) error { return os.Chmod(dir, 0o777) }, says: "every user of this machine can write to state folder"},
		{attack: "a state folder that is like /tmp", make: func(dir, _ string) error { return os.Chmod(dir, os.ModeSticky|0o777) }, says: "every user of this machine can write to state folder"},
		{attack: "a folder above that every user can write to", make: func(dir, _ string) error { return os.Chmod(filepath.Dir(dir), 0o777) }, says: "can put another folder in the place of state folder"},
		{attack: "a folder far above that every user can write to", make: func(dir, _ string) error { return os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o757) }, says: "can put another folder in the place of state folder"},
		{attack: "a state that is a link to another file", make: func(dir, bait string) error {
			return errors.Join(os.Rename(dir+"/state.db", bait+".db"), os.Symlink(bait+".db", dir+"/state.db"))
		}, says: "it is a link, which is not followed"},
		{attack: "a state that is a link to nothing", make: func(dir, bait string) error {
			return errors.Join(os.Remove(dir+"/state.db"), os.Symlink(bait+".none", dir+"/state.db"))
		}, says: "it is a link, which is not followed"},
		{attack: "a state that is a pipe", make: func(dir, _ string) error {
			return errors.Join(os.Remove(dir+"/state.db"), syscall.Mkfifo(dir+"/state.db", 0o600))
		}, says: "it is no file"},
		{attack: "a state that every user can write to", make: func(dir, _ string) error { return os.Chmod(dir+"/state.db", 0o666) }, says: "every user of this machine can write to it"},
		{attack: "a history that is a link to a file of somebody", make: func(dir, bait string) error {
			return errors.Join(remove(dir+"/history.jsonl"), os.Symlink(bait, dir+"/history.jsonl"))
		}, says: "it is a link, which is not followed"},
		{attack: "a history that is a link to a device", make: func(dir, _ string) error {
			return errors.Join(remove(dir+"/history.jsonl"), os.Symlink("/dev/null", dir+"/history.jsonl"))
		}, says: "it is a link, which is not followed"},
		{attack: "a history that is a pipe", make: func(dir, _ string) error {
			return errors.Join(remove(dir+"/history.jsonl"), syscall.Mkfifo(dir+"/history.jsonl", 0o600))
		}, says: "it is no file"},
		{attack: "a history that every user can write to", make: func(dir, _ string) error {
			return errors.Join(os.WriteFile(dir+"/history.jsonl", nil, 0o600), os.Chmod(dir+"/history.jsonl", 0o606))
		}, says: "every user of this machine can write to it"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			top := t.TempDir()
			dir, bait := filepath.Join(top, "service", "state"), filepath.Join(top, "bait")
			if err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o700), os.WriteFile(bait, []byte("theirs, without an end of line"), 0o600)); err != nil {
				t.Fatal(err)
			}
			store, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(store.Close(), c.make(dir, bait)); err != nil {
				t.Fatal(err)
			}
			store, err = Open(dir, Options{})
			if err == nil {
				_ = store.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if text, err := os.ReadFile(bait); string(text) != "theirs, without an end of line" || err != nil {
				t.Errorf("the file of somebody else is %q, %v", text, err)
			}
		})
	}
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// fileOf is a file of a user.
type fileOf struct {
	os.FileInfo
	uid uint32
}

func (f fileOf) Sys() any { return &syscall.Stat_t{Uid: f.uid} }

// TestRootIsToldWhoseStateItIs: a state that root takes from a service user is lost to its daemon.
func TestRootIsToldWhoseStateItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	must(t, os.WriteFile(path, nil, 0o600))
	info, err := os.Stat(path)
	must(t, err)
	for me, want := range map[int]string{0: "run it as that user (sudo -u '#65534'), or", 1000: "give it to this user, "} {
		said := advice.All(judgeFile(fileOf{info, 65534}, me))
		if len(said) != 1 || !strings.HasPrefix(said[0].Text, want) {
			t.Errorf("user %d is told %v, want %q", me, said, want)
		}
	}
}

// TestHostileOwners: whose folder a process keeps its state in.
func TestHostileOwners(t *testing.T) {
	for _, c := range []struct {
		attack    string
		owner, me int
		mode      os.FileMode
		says      string
	}{
		{attack: "a state folder of another user", owner: 1001, me: 1000, mode: 0o700, says: "belongs to user 1001, who could change what is remembered (this process runs as user 1000)"},
		{attack: "root on the state folder of a service user", owner: 1000, me: 0, mode: 0o700, says: "belongs to user 1000, and this process runs as root"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			if err := judgeFolder("/state", c.mode, c.owner, c.me); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	for _, fine := range [][3]int{{1000, 1000, 0o700}, {1000, 1000, 0o755}, {0, 0, 0o700}, {0, 65532, 0o2775}} { // the last one: a volume in Kubernetes
		if err := judgeFolder("/state", os.FileMode(fine[2]), fine[0], fine[1]); err != nil {
			t.Errorf("%v: %v", fine, err)
		}
	}
}
