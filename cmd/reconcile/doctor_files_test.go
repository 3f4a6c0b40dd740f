package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
)

func TestFilesForEveryUser(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder, file, link := filepath.Join(top, "run"), filepath.Join(top, "run", "token"), filepath.Join(top, "link")
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(os.Mkdir(folder, 0o700))
	do(os.WriteFile(file, []byte("x"), 0o600))
	do(os.Symlink(file, link))
	for _, c := range []struct {
		top, folder, file os.FileMode
		want              bool
	}{
		{0o755, 0o755, 0o600, false}, {0o755, 0o755, 0o640, false}, {0o755, 0o755, 0o440, false}, {0o755, 0o755, 0o711, false},
		{0o755, 0o755, 0o644, true}, {0o755, 0o755, 0o602, true}, {0o711, 0o711, 0o604, true},
		{0o755, 0o750, 0o644, false}, {0o700, 0o755, 0o644, false}, {0o755, 0o754, 0o644, false},
	} {
		do(os.Chmod(file, c.file))
		do(os.Chmod(folder, c.folder))
		do(os.Chmod(top, c.top))
		for _, name := range []string{file, link} {
			if got := isForAll(name, top); got != c.want {
				t.Errorf("%s with %o, %o and %o: got %v, want %v", filepath.Base(name), c.top, c.folder, c.file, got, c.want)
			}
		}
	}
	if isForAll(filepath.Join(top, "none"), top) {
		t.Error("a file that is not there can be read")
	}
}

// TestDoctorNamesFilesForEveryUser: each file of the runner's once, whatever it is for.
func TestDoctorNamesFilesForEveryUser(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(top, name) }
	for name, mode := range map[string]os.FileMode{"": 0o755, "token": 0o644, "git": 0o604, "age": 0o666, "ssh": 0o644, "good": 0o640} {
		if name != "" {
			if err := os.WriteFile(path(name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	d := &doctor{env: &environment{}, config: config.Config{
		Repo:       config.Repo{Auth: config.RepoAuth{Token: config.FileSecret(path("git")), SSHKeyFile: path("ssh")}},
		Identities: config.Identities{Files: []string{path("age"), path("good"), path("none")}},
		Accounts: map[string]config.Account{
			"a": {Token: config.FileSecret(path("token"))}, "b": {Token: config.FileSecret(path("token"))},
			"c": {Token: config.EnvSecret("T", os.Getenv)}, "d": {Token: config.FileSecret(path("good"))},
		},
	}}
	d.secretFiles(top)
	var got []string
	for _, c := range d.checks {
		if c.Status != statusWarn || c.Next != "take that right from others (chmod o=)" {
			t.Errorf("got %+v", c)
		}
		name, _ := strings.CutPrefix(c.Says, top+"/")
		got = append(got, name)
	}
	const says = " can be read by every user of this machine"
	if want := []string{"age" + says, "git" + says, "ssh" + says, "token" + says}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
