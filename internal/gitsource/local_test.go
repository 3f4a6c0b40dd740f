package gitsource

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever git can read is read, through the git on PATH.
func TestLocalRepositories(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a", "1")
	bare := filepath.Join(t.TempDir(), "bare.git")
	runGit(t, ".", "clone", "-q", "--bare", r.dir, bare)
	linked := filepath.Join(t.TempDir(), "linked")
	r.git("worktree", "add", "-q", "-b", "side", linked)
	shared := filepath.Join(t.TempDir(), "shared")
	runGit(t, ".", "clone", "-q", "--shared", r.dir, shared)
	r.git("gc", "-q")
	sparse := filepath.Join(t.TempDir(), "sparse")
	runGit(t, ".", "clone", "-q", "--sparse", "--filter=blob:none", "file://"+r.dir, sparse)
	for _, url := range []string{
		r.dir, "file://" + r.dir, bare, "file://" + bare, strings.TrimSuffix(bare, ".git"), linked, "file://" + linked, shared, sparse,
	} {
		s := open(t, Options{URL: url})
		fetch(t, s, head)
		if got := readFile(t, s, head, "a"); got != "1" {
			t.Errorf("%s: a is %q", url, got)
		}
	}
	_, err := open(t, Options{URL: filepath.Join(r.dir, "none")}).Fetch(t.Context())
	wantError[*NotFoundError](t, err, "no such folder")
	_, err = open(t, Options{URL: t.TempDir()}).Fetch(t.Context())
	wantError[*NotFoundError](t, err, "git init")
}

// Without git a folder can be looked at, and nothing says what of it is committed.
func TestFolderWithoutGit(t *testing.T) {
	r := newRepository(t)
	r.commit("first", "a", "1")
	bare := filepath.Join(t.TempDir(), "bare.git")
	runGit(t, ".", "clone", "-q", "--bare", r.dir, bare)
	t.Setenv("PATH", "")
	for _, url := range []string{r.dir, "file://" + r.dir, bare, "file://" + bare} {
		if _, err := open(t, Options{URL: url}).Fetch(t.Context()); !errors.Is(err, ErrNoGit) {
			t.Errorf("%s gave %v", url, err)
		}
	}
	tree := workTreeOf(t, r.dir, "")
	if !errors.Is(tree.Blind, ErrNoGit) || tree.Commit.Hash != "" || !tree.Dirty {
		t.Errorf("got %+v", tree)
	}
	if data, err := fs.ReadFile(tree.FS, "a"); string(data) != "1" || err != nil {
		t.Errorf("a is %q, %v", data, err)
	}
	if _, err := WorkTree(t.Context(), bare, "", nil); !errors.Is(err, ErrNoGit) {
		t.Errorf("a bare repository gave %v", err)
	}
	_, err := WorkTree(t.Context(), filepath.Join(r.dir, "none"), "", nil)
	wantError[*NotFoundError](t, err)
}

func TestLocalInsideARepository(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "eu/prod/a", "1")
	s := open(t, Options{URL: filepath.Join(r.dir, "eu"), Path: "prod"})
	fetch(t, s, head)
	if got := readFile(t, s, head, "a"); got != "1" {
		t.Errorf("a is %q", got)
	}
	_, err := open(t, Options{URL: "file://" + r.dir + "/eu"}).Fetch(t.Context())
	wantError[*NotFoundError](t, err)
}

// TestRefThatIsBeingWritten: a ref is empty for a moment while some programs write
// it. That is no damage, unless it stays so.
func TestRefThatIsBeingWritten(t *testing.T) {
	r := newRepository(t)
	r.commit("first", "a", "1")
	r.git("pack-refs", "--all") // an older value, which must not be found instead
	head := r.commit("second", "a", "2")
	for _, name := range []string{"HEAD", "refs/heads/main"} {
		path := filepath.Join(r.dir, ".git", name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, Options{URL: r.dir})
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) { // time stands still while git runs
			began := time.Now()
			_, err := s.Fetch(t.Context())
			wantError[*CorruptError](t, err, map[string]string{"HEAD": "for a repository"}[name], "git fsck")
			if took := time.Since(began); took != brokenRefTries*brokenRefWait {
				t.Errorf("%s stays empty: told after %s, want %s", name, took, brokenRefTries*brokenRefWait)
			}
			written := make(chan error, 1)
			time.AfterFunc(brokenRefTries/2*brokenRefWait-time.Nanosecond, func() { written <- os.WriteFile(path, text, 0o600) })
			fetch(t, s, head)
			if err := <-written; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLocalDamage(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a", "1", "b", "2")
	blob := r.git("rev-parse", "HEAD:a")
	path := filepath.Join(r.dir, ".git/objects", blob[:2], blob[2:])
	other := r.git("rev-parse", "HEAD:b")
	data, err := os.ReadFile(filepath.Join(r.dir, ".git/objects", other[:2], other[2:]))
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"swapped":   func() error { return os.WriteFile(path, data, 0o444) },
		"truncated": func() error { return os.WriteFile(path, data[:3], 0o444) },
		"gone":      func() error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			s := open(t, Options{URL: r.dir})
			_, err := s.Fetch(t.Context())
			wantError[*CorruptError](t, err, "git fsck")
			_, err = s.FS(head)
			wantError[*UnknownCommitError](t, err)
		})
	}
}

func TestLocalStoredOtherwise(t *testing.T) {
	needGit(t)
	dir := t.TempDir()
	runGit(t, dir, "init", "-q", "--object-format=sha256", ".")
	_, err := open(t, Options{URL: dir}).Fetch(t.Context())
	wantError[*UnsupportedError](t, err, "objectformat = sha256")
	_, err = WorkTree(t.Context(), dir, "", nil)
	wantError[*UnsupportedError](t, err)
	r := newRepository(t)
	r.git("config", "core.repositoryformatversion", "2")
	_, err = open(t, Options{URL: r.dir}).Fetch(t.Context())
	wantError[*OldGitError](t, err, "found 2", "newer git")
	if err := os.WriteFile(filepath.Join(r.dir, ".git/config"), []byte("[core"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, Options{URL: r.dir}).Fetch(t.Context())
	wantError[*CorruptError](t, err, "bad config line", "git status")
	astray := t.TempDir()
	for text, says := range map[string]string{"gitdir: /none": "not a git repository: /none", "nonsense": "invalid gitfile format"} {
		if err := os.WriteFile(filepath.Join(astray, ".git"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = open(t, Options{URL: astray}).Fetch(t.Context())
		wantError[*CorruptError](t, err, says)
	}
}

// A full name is of that ref alone: git itself goes on to look for one below refs/tags.
func TestFullNameIsExact(t *testing.T) {
	r := newRepository(t)
	r.commit("first", "a", "1")
	r.git("tag", "refs/heads/topic")
	r.git("branch", "refs/heads/other")
	bare := filepath.Join(t.TempDir(), "bare.git")
	runGit(t, ".", "clone", "-q", "--mirror", r.dir, bare)
	for _, url := range []string{r.dir, bare} {
		for _, ref := range []string{"refs/heads/topic", "topic", "refs/heads/other", "refs/pull/7/head"} {
			_, err := open(t, Options{URL: url, Ref: ref}).Fetch(t.Context())
			wantError[*MissingRefError](t, err, ref)
		}
	}
	second := r.commit("second", "a", "2")
	r.git("branch", "topic")
	fetch(t, open(t, Options{URL: r.dir, Ref: "refs/heads/topic"}), second)
	fetch(t, open(t, Options{URL: r.dir, Ref: "refs/tags/refs/heads/topic"}), r.git("rev-parse", "refs/tags/refs/heads/topic"))
}
