package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// eachTransport runs the test over every way to reach a repository.
func eachTransport(t *testing.T, test func(t *testing.T, r repository, o Options)) {
	t.Helper()
	for name, options := range map[string]func(t *testing.T, r repository) Options{
		"directory": func(_ *testing.T, r repository) Options { return Options{URL: r.dir} },
		"file":      func(_ *testing.T, r repository) Options { return Options{URL: "file://" + r.dir + "/.git"} },
		"http": func(t *testing.T, r repository) Options {
			t.Helper()
			return Options{URL: serve(t, gitHTTP(t, r.dir)) + "/.git"}
		},
		"http with password": func(t *testing.T, r repository) Options {
			t.Helper()
			var password atomic.Pointer[string]
			password.Store(new(string))
			*password.Load() = "hunter2"
			return Options{
				URL:  serve(t, withPassword(gitHTTP(t, r.dir), &password)) + "/.git",
				Auth: Auth{Username: "bot", Token: func() (string, error) { return "hunter2", nil }},
			}
		},
		"ssh": func(t *testing.T, r repository) Options {
			t.Helper()
			host, user := newSSHKey(t), newSSHKey(t)
			address := serveSSH(t, r.dir, host, user)
			return Options{
				URL:  "ssh://git@" + address + "/.git",
				Auth: Auth{SSHKeyFile: user.file, KnownHostsFile: pin(t, address, host.signer.PublicKey())},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t)
			o := options(t, r)
			o.Timeout = time.Minute
			test(t, r, o)
		})
	}
}

func TestFetchFollowsTheBranch(t *testing.T) {
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		t.Helper()
		first := r.commit("first\n\nbody", "a.yaml", "one", "dir/b.yaml", "b")
		s := open(t, o)
		got, err := s.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := Commit{
			Hash: first, Author: "Ada <ada@acme.example>", Subject: "first",
			When: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("commit differs (-want +got):\n%s", diff)
		}
		look := func(hash, text string) {
			t.Helper()
			fetch(t, s, hash)
			if got := readFile(t, s, hash, "a.yaml"); got != text {
				t.Errorf("a.yaml of %s is %q, want %q", hash, got, text)
			}
			if got := readFile(t, s, hash, "dir/b.yaml"); got != "b" {
				t.Errorf("dir/b.yaml of %s is %q", hash, got)
			}
		}
		look(first, "one")
		second := r.commit("second", "a.yaml", "two")
		look(second, "two")
		look(r.commit("nothing changed"), "two")
		r.git("reset", "-q", "--hard", first)
		look(r.commit("forced", "a.yaml", "three", "dir/c.yaml", "c"), "three")
		r.git("reset", "-q", "--hard", second)
		look(second, "two")
	})
}

func TestFetchFailures(t *testing.T) {
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		t.Helper()
		_, err := open(t, o).Fetch(t.Context())
		if !errors.Is(err, ErrEmptyRepository) {
			t.Fatalf("an empty repository gave %v", err)
		}
		head := r.commit("first", "sub/a.yaml", "a", "top.yaml", "t")
		r.git("branch", "other")

		missing := o
		missing.Ref = "nope"
		_, err = open(t, missing).Fetch(t.Context())
		if got := wantError[*MissingRefError](t, err, `no branch "nope"`, "main, other"); !cmp.Equal(got.Have, []string{"main", "other"}) {
			t.Errorf("Have is %v", got.Have)
		}

		sub := o
		sub.Path = "sub/deeper"
		_, err = open(t, sub).Fetch(t.Context())
		wantError[*MissingPathError](t, err, `"sub/deeper"`, head[:12])
		sub.Path = "top.yaml"
		_, err = open(t, sub).Fetch(t.Context())
		wantError[*MissingPathError](t, err)
		sub.Path = "./sub/"
		s := open(t, sub)
		fetch(t, s, head)
		if got := readFile(t, s, head, "a.yaml"); got != "a" {
			t.Errorf("sub/a.yaml is %q", got)
		}

		elsewhere := o
		elsewhere.URL = strings.TrimSuffix(o.URL, "/.git") + "/none.git"
		_, err = open(t, elsewhere).Fetch(t.Context())
		wantError[*NotFoundError](t, err)

		r.git("symbolic-ref", "HEAD", "refs/heads/unborn")
		_, err = open(t, o).Fetch(t.Context())
		wantError[*MissingRefError](t, err, "choose one: main, other")

		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = open(t, o).Fetch(cancelled); !errors.Is(err, context.Canceled) && !is[*MissingRefError](err) {
			t.Errorf("a cancelled fetch gave %v", err)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("the error holds the token: %v", err)
		}
	})
}

func TestFetchRefs(t *testing.T) {
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		t.Helper()
		first := r.commit("first", "a", "1")
		r.git("tag", "light")
		r.git("tag", "-a", "-m", "note", "noted")
		r.git("branch", "team/eu")
		second := r.commit("second", "a", "2")
		for ref, want := range map[string]string{
			"": second, "HEAD": second, "main": second, "team/eu": first, "refs/heads/team/eu": first,
			"light": first, "noted": first, "refs/tags/noted": first,
		} {
			o.Ref = ref
			fetch(t, open(t, o), want)
		}
	})
}

func TestFetchCommit(t *testing.T) {
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		t.Helper()
		first := r.commit("first", "a", "1", "b", "same")
		second := r.commit("second", "a", "2")
		s := open(t, o)
		fetch(t, s, second)
		if got, err := s.FetchCommit(t.Context(), first); err != nil || got.Hash != first {
			t.Fatalf("FetchCommit gave %v, %v", got, err)
		}
		if got := readFile(t, s, first, "a") + readFile(t, s, first, "b") + readFile(t, s, second, "a"); got != "1same2" {
			t.Errorf("files are %q", got)
		}
		fetch(t, s, second)
		third := r.commit("third", "a", "3")
		fetch(t, s, third)
		_, err := s.FetchCommit(t.Context(), strings.Repeat("ab", 20))
		wantError[*UnknownCommitError](t, err, "abababababab")
		_, err = s.FetchCommit(t.Context(), "main")
		wantError[*OptionError](t, err)
	})
}

// Only commits in use are held: what Fetch gave last, and what FetchCommit gave since.
func TestOnlyCommitsInUseAreHeld(t *testing.T) {
	r := newRepository(t)
	s := open(t, Options{URL: r.dir})
	first := r.commit("first", "a", "1")
	fetch(t, s, first)
	second := r.commit("second", "a", "2")
	fetch(t, s, second)
	_, err := s.FS(first)
	wantError[*UnknownCommitError](t, err, first[:12])
	if _, err := s.FetchCommit(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, s, first, "a") + readFile(t, s, second, "a"); got != "12" {
		t.Errorf("files are %q", got)
	}
	files, err := s.FS(first)
	if err != nil {
		t.Fatal(err)
	}
	third := r.commit("third", "a", "3")
	fetch(t, s, third)
	for _, dropped := range []string{first, second} {
		_, err := s.FS(dropped)
		wantError[*UnknownCommitError](t, err, dropped[:12])
	}
	if got, err := fs.ReadFile(files, "a"); string(got) != "1" || err != nil {
		t.Errorf("the files in use read %q, %v", got, err)
	}
}

func TestManyFilesAreQuick(t *testing.T) {
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		t.Helper()
		head := r.commitMany(2000)
		start := time.Now()
		s := open(t, o)
		fetch(t, s, head)
		files, err := s.FS(head)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			count++
			_, err = fs.ReadFile(files, name)
			return err
		})
		if err != nil || count != 2000 {
			t.Errorf("read %d files, %v", count, err)
		}
		if took := time.Since(start); took > time.Minute { // it takes parts of a second, and is not to grow with their square
			t.Errorf("took %v", took)
		} else {
			t.Logf("took %v", took)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a", "1")
	s := open(t, Options{URL: serve(t, gitHTTP(t, r.dir)) + "/.git"})
	fetch(t, s, head)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 3 {
				if got, err := s.Fetch(t.Context()); err != nil || got.Hash != head {
					t.Errorf("Fetch gave %v, %v", got, err)
				}
				files, err := s.FS(head)
				if err != nil {
					t.Error(err)
					return
				}
				if data, err := fs.ReadFile(files, "a"); string(data) != "1" || err != nil {
					t.Errorf("a is %q, %v", data, err)
				}
			}
		})
	}
	group.Wait()
}

// TestFollowStaysOnABranch although HEAD comes to name another one, which is known.
func TestFollowStaysOnABranch(t *testing.T) {
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		first := r.commit("first", "a", "1")
		branch := r.git("symbolic-ref", "--short", "HEAD")
		s := open(t, o)
		fetch(t, s, first)
		if got := s.Head(); got != branch {
			t.Errorf("HEAD names %q, want %q", got, branch)
		}
		s.Follow(branch)
		r.git("checkout", "-q", "-b", "try")
		r.commit("second", "a", "2")
		fetch(t, s, first)
		if got := s.Head(); got != "try" {
			t.Errorf("HEAD names %q, want try", got)
		}
	})
}
