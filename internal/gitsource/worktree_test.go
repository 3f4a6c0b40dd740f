package gitsource

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func workTreeOf(t *testing.T, dir, sub string) Tree {
	t.Helper()
	tree, err := WorkTree(t.Context(), dir, sub, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tree.Dirty != (tree.Commit.Hash == "" || len(tree.Changes) > 0) {
		t.Errorf("dirty is %v with commit %v and changes %v", tree.Dirty, tree.Commit, tree.Changes)
	}
	return tree
}

func TestWorkTreeChanges(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a.yaml", "a", "prod/b.yaml", "b", "prod/c.yaml", "c", ".gitignore", "ignored*\n", ".hidden", "h")
	type step struct {
		name string
		do   func()
		sub  string
		want []string
	}
	if err := os.Symlink("a.yaml", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "link")
	head = r.git("rev-parse", "HEAD")
	path := func(name string) string { return filepath.Join(r.dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []step{
		{"clean", func() {}, "", nil},
		{"untracked", func() { r.write("prod/new.yaml", "n") }, "", []string{"prod/new.yaml"}},
		{"below sub", func() {}, "prod", []string{"new.yaml"}},
		{"ignored by git but read by us", func() { r.write("ignored.yaml", "n") }, "", []string{"ignored.yaml", "prod/new.yaml"}},
		{"outside sub", func() { must(os.Remove(path("prod/new.yaml"))) }, "prod", nil},
		{"hidden and untracked", func() { must(os.Remove(path("ignored.yaml"))); r.write(".idea/x.yaml", "x"); r.write(".DS_Store", "x") }, "", nil},
		{"hidden and tracked", func() { r.write(".hidden", "changed") }, "", []string{".hidden"}},
		{"modified, same size and time", func() {
			must(os.Remove(path(".hidden")))
			r.write(".hidden", "h")
			info, err := os.Stat(path("a.yaml"))
			must(err)
			r.write("a.yaml", "A")
			must(os.Chtimes(path("a.yaml"), info.ModTime(), info.ModTime()))
		}, "", []string{"a.yaml"}},
		{"staged", func() { r.git("add", "-A") }, "", []string{".DS_Store", ".idea/x.yaml", "a.yaml"}[2:]},
		{"executable bit", func() { r.write("a.yaml", "a"); must(os.Chmod(path("a.yaml"), 0o755)) }, "", nil},
		{"deleted", func() { must(os.Remove(path("prod/c.yaml"))) }, "", []string{"prod/c.yaml"}},
		{"file became link", func() { must(os.Symlink("b.yaml", path("prod/c.yaml"))) }, "", []string{"prod/c.yaml"}},
		{"link names another file", func() {
			must(os.Remove(path("prod/c.yaml")))
			r.write("prod/c.yaml", "c")
			must(os.Remove(path("link")))
			must(os.Symlink("prod", path("link")))
		}, "", []string{"link"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			s.do()
			tree := workTreeOf(t, r.dir, s.sub)
			if tree.Commit.Hash != head || tree.Commit.Author != "Ada <ada@acme.example>" {
				t.Errorf("commit is %q by %q, want %q", tree.Commit.Hash, tree.Commit.Author, head)
			}
			if !slices.Equal(tree.Changes, s.want) {
				t.Errorf("changes are %v, want %v", tree.Changes, s.want)
			}
		})
	}
}

func TestWorkTreeWithoutCommit(t *testing.T) {
	plain := t.TempDir()
	if err := os.WriteFile(filepath.Join(plain, "a"), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRepository(t)
	r.write("a", "1")
	for name, dir := range map[string]string{"no repository": plain, "no commit": r.dir} {
		t.Run(name, func(t *testing.T) {
			tree := workTreeOf(t, dir, ".")
			if tree.Commit.Hash != "" || !tree.Dirty {
				t.Errorf("got %+v, want no commit and dirty", tree)
			}
			if data, err := fs.ReadFile(tree.FS, "a"); string(data) != "1" || err != nil {
				t.Errorf("a is %q, %v", data, err)
			}
		})
	}
	_, err := WorkTree(t.Context(), filepath.Join(plain, "none"), "", nil)
	wantError[*NotFoundError](t, err, "none", "check the path")
	_, err = WorkTree(t.Context(), plain, "../x", nil)
	wantError[*OptionError](t, err)
	_, err = WorkTree(t.Context(), filepath.Join(plain, "a"), "", nil)
	wantError[*NotFoundError](t, err)
}

func TestWorkTreeInsideARepository(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "eu/prod/a", "1", "us/b", "2")
	tree := workTreeOf(t, filepath.Join(r.dir, "eu"), "prod")
	if diff := cmp.Diff([]string{}, tree.Changes); diff != "" || tree.Commit.Hash != head {
		t.Errorf("commit %q, changes %v", tree.Commit, tree.Changes)
	}
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(r.dir, alias); err != nil {
		t.Fatal(err)
	}
	if tree := workTreeOf(t, filepath.Join(alias, "eu"), ""); tree.Dirty {
		t.Errorf("through a link, changes are %v", tree.Changes)
	}
	r.write("new/a", "1")
	if tree := workTreeOf(t, r.dir, "new"); !slices.Equal(tree.Changes, []string{"a"}) {
		t.Errorf("a new folder has changes %v", tree.Changes)
	}
	linked := filepath.Join(t.TempDir(), "linked")
	r.git("worktree", "add", "-q", "-b", "side", linked)
	if tree := workTreeOf(t, linked, ""); tree.Dirty || tree.Commit.Hash != head {
		t.Errorf("a linked work tree is %+v", tree)
	}
}

func TestWorkTreeFS(t *testing.T) {
	inner := newRepository(t)
	inner.commit("inner", "secret.yaml", "s")
	r := newRepository(t)
	r.git("submodule", "--quiet", "add", "file://"+inner.dir, "sub")
	head := r.commit("first", "a", "1", "dir/b", "2")
	for name, target := range map[string]string{"out": "/etc/passwd", "in": "a"} {
		if err := os.Symlink(target, filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(r.dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree := workTreeOf(t, r.dir, "")
	if !slices.Equal(tree.Changes, []string{"in", "out"}) || tree.Commit.Hash != head {
		t.Errorf("changes are %v", tree.Changes)
	}
	for name, want := range map[string]fs.FileMode{
		"a": 0, "dir": fs.ModeDir, "sub": fs.ModeIrregular, "out": fs.ModeSymlink, "pipe": fs.ModeNamedPipe, ".": fs.ModeDir,
	} {
		if info, err := fs.Stat(tree.FS, name); err != nil || info.Mode().Type() != want {
			t.Errorf("%s is %v, %v, want %v", name, info, err, want)
		}
	}
	for _, name := range []string{"out", "in", "sub", "pipe", ".git", ".git/config", "sub/secret.yaml", "in/x"} {
		if _, err := fs.ReadFile(tree.FS, name); err == nil {
			t.Errorf("%s was read", name)
		}
		if _, err := fs.ReadDir(tree.FS, name); err == nil {
			t.Errorf("%s was listed", name)
		}
	}
	if _, err := tree.FS.Open(".git/config"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening .git/config gave %v", err)
	}
	if target, err := fs.ReadLink(tree.FS, "in"); target != "a" || err != nil {
		t.Errorf("in names %q, %v", target, err)
	}
	for _, name := range []string{"in", "out", "pipe", "sub"} {
		if err := os.RemoveAll(filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.write("a", "2") // else HEAD would be read
	tree = workTreeOf(t, r.dir, "")
	if err := fstest.TestFS(tree.FS, "a", "dir/b", ".gitmodules"); err != nil {
		t.Error(err)
	}
}

// A folder that a commit replaced by a link leads nowhere, with or without a way out.
func TestWorkTreeFollowsNoLinkToItsFolder(t *testing.T) {
	r := newRepository(t)
	r.commit("first", "real/prod/a", "1")
	outside := t.TempDir()
	if err := os.Mkdir(filepath.Join(outside, "prod"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out": outside, "in": "real", "real/loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, says := range map[string]string{
		"out": "is a symbolic link, which is not followed", "in": "is a symbolic link", "real/loop": "is a symbolic link",
		"out/prod": "does not exist", "in/prod": "does not exist", "real/prod/a": "is not a folder", ".git": "does not exist",
	} {
		_, err := WorkTree(t.Context(), r.dir, name, nil)
		wantError[*NotFoundError](t, err, says)
	}
	workTreeOf(t, r.dir, "real/prod")
	write(t, r.dir, ".config/terra/x.yaml", "x")
	if tree := workTreeOf(t, r.dir, ".config/terra"); !slices.Equal(tree.Changes, []string{"x.yaml"}) {
		t.Errorf("a folder that begins with a dot has changes %v", tree.Changes)
	}
}

// What can not be read is never "nothing is there".
func TestWorkTreeUnreadable(t *testing.T) {
	r := newRepository(t)
	r.commit("first", "a", "1")
	if err := os.WriteFile(filepath.Join(r.dir, ".git/HEAD"), []byte("ref: refs/heads/main"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(r.dir, ".git/objects")); err != nil {
		t.Fatal(err)
	}
	_, err := WorkTree(t.Context(), r.dir, "", nil)
	wantError[*CorruptError](t, err)
}

// TestLargeFileThatCountsIsKept: what counts is asked for by its path, and is kept by its
// name, also above what other files may have.
func TestLargeFileThatCountsIsKept(t *testing.T) {
	r := newRepository(t)
	large := strings.Repeat("#", 100<<10)
	r.commit("first", "production/strava.yaml", large, "production/notes.txt", large)
	counts := func(name string) bool { return strings.Contains(name, "/") && strings.HasSuffix(name, ".yaml") }
	tree, err := WorkTree(t.Context(), r.dir, "", counts)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(tree.FS, "production/strava.yaml"); err != nil || len(got) != len(large) {
		t.Errorf("the file that counts: %d bytes, %v", len(got), err)
	}
	if _, err := fs.ReadFile(tree.FS, "production/notes.txt"); err == nil {
		t.Error("a large file that does not count is kept")
	}
}
