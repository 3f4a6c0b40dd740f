//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/neighbour"
)

// needsRoot skips what gives files to other users where this test may not, but not in CI.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatal("only root gives a file away")
	}
	t.Skip("only root gives a file away")
}

// TestHostileNeighbour: another user of the machine, with folders, links and files of her
// own on the way to a state or in it, gets no process to use what she has put there.
func TestHostileNeighbour(t *testing.T) {
	needsRoot(t)
	const eve, group = 12345, 54321 // a group that /etc/group does not know may be anybody's
	for _, c := range []struct {
		attack string
		make   func(top, dir string) error // after a first start
		says   string
	}{
		{attack: "a state folder that her group can write to", make: func(_, dir string) error {
			return errors.Join(os.Chown(dir, 0, group), os.Chmod(dir, 0o770))
		}, says: "the members of group 54321 can write to state folder"},
		{attack: "a folder above that her group can write to", make: func(_, dir string) error {
			return errors.Join(os.Chown(filepath.Dir(dir), 0, group), os.Chmod(filepath.Dir(dir), 0o775))
		}, says: "the members of group 54321 can put another folder in the place of state folder"},
		{attack: "a folder above that is hers", make: func(_, dir string) error { return os.Chown(filepath.Dir(dir), eve, eve) },
			says: "user 12345 can put another folder in the place of state folder"},
		{attack: "a folder far above that is hers", make: func(top, _ string) error { return os.Chown(top, eve, eve) },
			says: "user 12345 can put another folder in the place of state folder"},
		{attack: "a link of hers in a folder like /tmp", make: func(top, dir string) error {
			service := filepath.Dir(dir)
			return errors.Join(os.Rename(service, top+"/other"), os.Symlink(top+"/other", service), os.Lchown(service, eve, eve), os.Chmod(top, os.ModeSticky|0o777))
		}, says: "service belongs to them"},
		{attack: "a state folder that is a link of hers in a folder like /tmp", make: func(_, dir string) error {
			return errors.Join(os.Rename(dir, dir+".other"), os.Symlink(dir+".other", dir), os.Lchown(dir, eve, eve), os.Chmod(filepath.Dir(dir), os.ModeSticky|0o777))
		}, says: "state belongs to them"},
		{attack: "a link into a folder that is hers", make: func(top, dir string) error {
			hers := filepath.Join(top, "hers")
			return errors.Join(os.Mkdir(hers, 0o755), os.Rename(dir, hers+"/state"), os.Symlink(hers+"/state", dir), os.Chown(hers, eve, eve))
		}, says: "hers belongs to them"},
		{attack: "a state of hers", make: func(_, dir string) error { return os.Chown(dir+"/state.db", eve, eve) },
			says: "it belongs to user 12345, who could change what is remembered"},
		{attack: "a state that her group can write to", make: func(_, dir string) error {
			return errors.Join(os.Chown(dir+"/state.db", 0, group), os.Chmod(dir+"/state.db", 0o660))
		}, says: "the members of group 54321 can write to it"},
		{attack: "a history of hers", make: func(_, dir string) error {
			return errors.Join(os.WriteFile(dir+"/history.jsonl", nil, 0o600), os.Chown(dir+"/history.jsonl", eve, eve))
		}, says: "it belongs to user 12345, who could change what is remembered"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, "service", "state")
			must(t, os.Mkdir(filepath.Dir(dir), 0o755))
			store, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(store.Close(), c.make(top, dir)); err != nil {
				t.Fatal(err)
			}
			if store, err = Open(dir, Options{}); err == nil {
				_ = store.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// TestPlacesOfHonestUsers: where services, people and containers keep their state.
func TestPlacesOfHonestUsers(t *testing.T) {
	needsRoot(t)
	const me = 12345
	for name, place := range map[string]func(top string) (dir string, err error){
		"of a service, in a folder of root": func(top string) (string, error) {
			return top + "/state", errors.Join(os.Mkdir(top+"/state", 0o700), os.Chown(top+"/state", me, me))
		},
		"in a folder of the same user": func(top string) (string, error) {
			return top + "/home/state", errors.Join(os.MkdirAll(top+"/home/state", 0o700), os.Chown(top+"/home", me, me), os.Chown(top+"/home/state", me, me))
		},
		"in a folder like /tmp": func(top string) (string, error) {
			return top + "/state", errors.Join(os.Chmod(top, os.ModeSticky|0o777), os.Mkdir(top+"/state", 0o700), os.Chown(top+"/state", me, me))
		},
		"by a link of root": func(top string) (string, error) {
			return top + "/link/state", errors.Join(os.MkdirAll(top+"/real/state", 0o700), os.Symlink("real", top+"/link"), os.Chown(top+"/real", me, me))
		},
		"not there yet": func(top string) (string, error) { return top + "/a/b/state", nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := place(t.TempDir())
			must(t, err)
			if _, err := neighbour.Way(thing(), dir, me); err != nil {
				t.Error(err)
			}
		})
	}
}
