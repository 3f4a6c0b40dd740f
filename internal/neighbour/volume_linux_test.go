package neighbour

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestVolumeOfKubernetes: a volume with a configuration or secrets is open to all, and
// nobody can write to it, because it is mounted to be read.
func TestVolumeOfKubernetes(t *testing.T) {
	dir, what := t.TempDir(), file("configuration")
	mounted := syscall.Mount("none", dir, "tmpfs", 0, "mode=0777")
	if mounted == nil {
		t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	} else { // no volume can be mounted here
		what.readOnly = func(string) bool { return false }
	}
	path := filepath.Join(dir, "daemon.yaml")
	if err := errors.Join(os.Mkdir(dir+"/..1", 0o755), os.WriteFile(dir+"/..1/daemon.yaml", nil, 0o644), os.Chmod(dir+"/..1/daemon.yaml", 0o666),
		os.Symlink("..1", dir+"/..data"), os.Symlink("..data/daemon.yaml", path), os.Chmod(dir, os.ModeSetgid|0o777)); err != nil {
		t.Fatal(err)
	}
	if err := judge(what, path, os.Stat); err == nil || !strings.Contains(err.Error(), "another file in the place of") {
		t.Errorf("while it can be written to: got %v", err)
	}
	what.readOnly = func(string) bool { return true }
	if mounted == nil {
		what.readOnly = nil
		if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"daemon.yaml", "optional"} {
		if err := judge(what, filepath.Join(dir, name), os.Stat); err != nil {
			t.Error(err)
		}
	}
}
