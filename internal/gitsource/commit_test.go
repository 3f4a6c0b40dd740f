package gitsource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What would slip into a commit, or would be lost by it, is refused before anything is
// changed. (What a commit looks like is tested where rotate add makes one.)
func TestPrepareCommitRefuses(t *testing.T) {
	files := []string{"sub/b.yaml", ".reconcile/recipients.lock"}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, r repository) string
		says    string
	}{
		"no repository": {func(t *testing.T, _ repository) string { t.Helper(); return t.TempDir() }, "is not in a git repository; run git init, or drop --commit"},
		"no commit": {func(t *testing.T, _ repository) string {
			t.Helper()
			dir := t.TempDir()
			runGit(t, dir, "init", "-q", ".")
			return dir
		}, "has no commit yet"},
		"bare": {func(t *testing.T, r repository) string { t.Helper(); return cloned(t, r, []string{"--bare"}) }, "lies in no work tree"},
		"merge": {func(_ *testing.T, r repository) string {
			r.write(".git/MERGE_HEAD", r.git("rev-parse", "HEAD")+"\n")
			return r.dir
		}, "a merge is not finished"},
		"staged": {func(_ *testing.T, r repository) string { r.write("x", "x"); r.git("add", "x"); return r.dir }, "x is staged and would slip in"},
		"dirty":  {func(_ *testing.T, r repository) string { r.write("sub/b.yaml", "x"); return r.dir }, "sub/b.yaml has changes that are not committed and would slip in"},
		"dirty, seen from a folder": {func(_ *testing.T, r repository) string {
			r.write("deep/sub/b.yaml", "x")
			return filepath.Join(r.dir, "deep")
		}, "deep/sub/b.yaml has changes"},
		"the lock is not checked out": {func(t *testing.T, r repository) string {
			t.Helper()
			r.commit("lock", ".reconcile/recipients.lock", "# lock\n")
			return cloned(t, r, nil, []string{"config", "user.name", "Ada"}, []string{"config", "user.email", "a@b.example"}, []string{"sparse-checkout", "set", "--cone", "sub"})
		}, ".reconcile/recipients.lock is not checked out here (sparse checkout); run git sparse-checkout add .reconcile"},
		"assume-unchanged": {func(_ *testing.T, r repository) string {
			r.git("update-index", "--assume-unchanged", "sub/b.yaml")
			return r.dir
		}, "--no-assume-unchanged"},
		"no author": {func(_ *testing.T, r repository) string { r.git("config", "--unset", "user.email"); return r.dir }, "git knows no author; set user.name and user.email"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			r.commit("first", "sub/b.yaml", "b\n")
			r.git("config", "user.name", "Ada")
			r.git("config", "user.email", "ada@acme.example")
			if _, err := PrepareCommit(t.Context(), r.dir, files); err != nil {
				t.Fatalf("before: %v", err)
			}
			_, err := PrepareCommit(t.Context(), c.prepare(t, r), files)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// Variables that a hook leaves behind name another repository than the folder does;
// those of a person whose work tree has its git directory elsewhere are heard.
func TestVariablesOfGit(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a.yaml", "one: 1\n")
	other := newRepository(t)
	other.commit("other", "o.yaml", "1\n")
	plain := t.TempDir()
	write(t, plain, "a.yaml", "one: 1\n")
	dots := t.TempDir()
	runGit(t, ".", "clone", "-q", "--bare", r.dir, dots+"/dots.git")
	runGit(t, dots, "--git-dir", "dots.git", "--work-tree", plain, "checkout", "-q", "-f", "main")

	t.Setenv("GIT_DIR", filepath.Join(other.dir, ".git"))
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other.dir, ".git/index"))
	t.Setenv("GIT_OBJECT_DIRECTORY", filepath.Join(other.dir, ".git/objects"))
	cleanTree(t, r.dir, head)
	if tree := workTreeOf(t, plain, ""); tree.Commit.Hash != "" {
		t.Errorf("a plain folder has the commit %v", tree.Commit)
	}
	for _, name := range []string{"GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"} {
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GIT_WORK_TREE", plain)
	t.Setenv("GIT_DIR", filepath.Join(dots, "dots.git"))
	if tree := workTreeOf(t, plain, ""); tree.Commit.Hash != head || tree.Dirty {
		t.Errorf("got %+v", tree)
	}
	cleanTree(t, r.dir, head)
}
