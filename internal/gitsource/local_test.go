package gitsource

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// The static image holds no git: this machine's repositories are read without.
func TestLocalNeedsNoGit(t *testing.T) {
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
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[this is not a git configuration"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "")
	t.Setenv("HOME", home)
	for _, url := range []string{r.dir, "file://" + r.dir, bare, "file://" + bare, linked, "file://" + linked, shared, sparse} {
		t.Run(url, func(t *testing.T) {
			s := open(t, Options{URL: url})
			fetch(t, s, head)
			if got := readFile(t, s, head, "a"); got != "1" {
				t.Errorf("a is %q", got)
			}
		})
	}
	_, err := open(t, Options{URL: filepath.Join(r.dir, "none")}).Fetch(t.Context())
	wantError[*NotFoundError](t, err, "no such folder")
	_, err = open(t, Options{URL: t.TempDir()}).Fetch(t.Context())
	wantError[*NotFoundError](t, err, "git init")
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
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			_, err := s.Fetch(t.Context())
			wantError[*CorruptError](t, err, "is empty")
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s stays empty: told after %s", name, took)
			}
			go func() {
				time.Sleep(200 * time.Millisecond)
				_ = os.WriteFile(path, text, 0o600)
			}()
			fetch(t, s, head)
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
	_, err = WorkTree(dir, "")
	wantError[*UnsupportedError](t, err)
	r := newRepository(t)
	r.git("config", "core.repositoryformatversion", "2")
	_, err = open(t, Options{URL: r.dir}).Fetch(t.Context())
	wantError[*UnsupportedError](t, err, "format version 2")
	if err := os.WriteFile(filepath.Join(r.dir, ".git/config"), []byte("[core"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, Options{URL: r.dir}).Fetch(t.Context())
	wantError[*CorruptError](t, err)
	astray := t.TempDir()
	for text, says := range map[string]string{"gitdir: /none": "no HEAD", "nonsense": "names no directory"} {
		if err := os.WriteFile(filepath.Join(astray, ".git"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = open(t, Options{URL: astray}).Fetch(t.Context())
		wantError[*CorruptError](t, err, says)
	}
}
