package gitsource

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

func TestFSIsAFileSystem(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "terra.yaml", "version: 1\n", "prod/environment.yaml", "x", "prod/deep/er/a", "", "z", "z")
	s := open(t, Options{URL: r.dir})
	fetch(t, s, head)
	files, err := s.FS(head)
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(files, "terra.yaml", "prod/environment.yaml", "prod/deep/er/a", "z"); err != nil {
		t.Error(err)
	}
}

func TestFSModes(t *testing.T) {
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		t.Helper()
		r.commit("inner")
		r.write("run.sh", "#!/bin/sh\n")
		r.git("add", "run.sh")
		r.git("update-index", "--chmod=+x", "run.sh")
		r.write("target", "/etc/passwd")
		link := r.git("hash-object", "-w", "target")
		r.git("update-index", "--add", "--cacheinfo", "120000,"+link+",link")
		r.git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("ab", 20)+",sub")
		r.write("file", "content")
		r.git("add", "file")
		r.git("commit", "-q", "-m", "modes")
		head := r.git("rev-parse", "HEAD")
		s := open(t, o)
		fetch(t, s, head)
		files, err := s.FS(head)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]fs.FileMode{
			"file": 0o444, "run.sh": 0o555, "link": fs.ModeSymlink | 0o444, "sub": fs.ModeIrregular, ".": fs.ModeDir | 0o555,
		} {
			info, err := fs.Stat(files, name)
			if err != nil || info.Mode() != want {
				t.Errorf("%s is %v, %v, want %v", name, info, err, want)
			}
		}
		if target, err := fs.ReadLink(files, "link"); target != "/etc/passwd" || err != nil {
			t.Errorf("the link names %q, %v", target, err)
		}
		for _, name := range []string{"link", "sub"} {
			if _, err := files.Open(name); err == nil {
				t.Errorf("%s was opened", name)
			}
			if _, err := fs.ReadFile(files, name); err == nil {
				t.Errorf("%s was read", name)
			}
		}
		for _, name := range []string{"link/x", "file/x", "none"} {
			if _, err := files.Open(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("opening %s gave %v", name, err)
			}
		}
		if _, err := files.Open("../x"); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("opening ../x gave %v", err)
		}
	})
}

func TestHugeFileKeepsItsSizeOnly(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "huge", strings.Repeat("x", maxKeptFile+1))
	s := open(t, Options{URL: r.dir})
	fetch(t, s, head)
	files, err := s.FS(head)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := fs.Stat(files, "huge"); err != nil || info.Size() != maxKeptFile+1 {
		t.Errorf("huge is %v, %v", info, err)
	}
	if _, err := fs.ReadFile(files, "huge"); !errors.Is(err, errTooBig) {
		t.Errorf("reading it gave %v", err)
	}
	f, err := files.Open("huge")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Read(make([]byte, 1)); n != 0 || !errors.Is(err, errTooBig) {
		t.Errorf("reading it in pieces gave %d, %v", n, err)
	}
}

// stored is a place for objects that git itself would not write.
type stored map[plumbing.Hash]gitObject

func (s stored) get(hash plumbing.Hash, most int64) (gitObject, error) {
	o, ok := s[hash]
	if ok && o.size > most {
		o.data = nil
	}
	if !ok {
		return o, plumbing.ErrObjectNotFound
	}
	return o, nil
}

func (s stored) put(kind plumbing.ObjectType, data string) plumbing.Hash {
	hash := plumbing.ComputeHash(kind, []byte(data))
	s[hash] = gitObject{kind: kind, size: int64(len(data)), data: []byte(data)}
	return hash
}

// tree stores a folder just as given, sound or not.
func (s stored) tree(entries ...object.TreeEntry) plumbing.Hash {
	var data strings.Builder
	for _, e := range entries {
		data.WriteString(strings.TrimLeft(e.Mode.String(), "0") + " " + e.Name + "\x00" + string(e.Hash[:]))
	}
	return s.put(plumbing.TreeObject, data.String())
}

func (s stored) commit(tree plumbing.Hash) plumbing.Hash {
	return s.put(plumbing.CommitObject, "tree "+tree.String()+"\nauthor A\x1b[2J <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nred \x1b[31m\u202ealert\nmore\n")
}

func TestCommitIsFitForATerminal(t *testing.T) {
	s := stored{}
	blob := s.put(plumbing.BlobObject, "x")
	snap, err := build(t.Context(), s, nil, s.commit(s.tree(object.TreeEntry{Name: "a", Mode: filemode.Regular, Hash: blob})), wanted{path: ".", limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if got := snap.commit.Author + snap.commit.Subject; strings.ContainsAny(got, "\x1b\u202e\n") {
		t.Errorf("author and subject are %q", got)
	}
}

func TestBudgetCountsSharedFiles(t *testing.T) {
	s := stored{}
	blob := s.put(plumbing.BlobObject, strings.Repeat("x", 1000))
	first := s.commit(s.tree(object.TreeEntry{Name: "a", Mode: filemode.Regular, Hash: blob}))
	more := s.put(plumbing.BlobObject, strings.Repeat("y", 1000))
	second := s.commit(s.tree(object.TreeEntry{Name: "a", Mode: filemode.Regular, Hash: blob}, object.TreeEntry{Name: "b", Mode: filemode.Regular, Hash: more}))
	before, err := build(t.Context(), s, nil, first, wanted{path: ".", limit: 1500})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := build(t.Context(), s, before, second, wanted{path: ".", limit: 1500}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
