//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package neighbour

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
)

// A group is shared when somebody else may be in it.
func TestSharedGroup(t *testing.T) {
	t.Parallel()
	const users = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\neve:x:1001:100::/home/eve:/bin/sh\n"
	const groups = "root:x:0:\nusers:x:100:\nada:x:1000:\nteam:x:2000:ada,eve\nours:x:2001:ada,root\n"
	for group, want := range map[string]bool{
		"0": false, "1000": false, "2001": false, // hers alone, or of root
		"100": true, "2000": true, // eve is in it
		"4711": true, // nobody knows who is
	} {
		if got := hasOthers(groups, users, group, "1000"); got != want {
			t.Errorf("group %s: got %t", group, got)
		}
	}
}

// fileOf is a file of a user.
type fileOf struct {
	os.FileInfo
	uid uint32
}

func (f fileOf) Sys() any { return &syscall.Stat_t{Uid: f.uid} }

// A file that root takes from a service user is lost to its daemon.
func TestRootIsToldWhoseFileItIs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	said := advice.All(judgeFile(file("token file"), path, path, fileOf{info, 65534}, 0))
	want := "run it as that user (sudo -u '#65534'), or where nothing of that user reads the file "
	if len(said) != 1 || !strings.HasPrefix(said[0].Text, want) {
		t.Errorf("root is told %v, want %q", said, want)
	}
}
