package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// Tree is a folder as it stands on disk.
type Tree struct {
	// FS reads the folder. It hides .git, follows no symbolic link, shows a
	// repository inside the folder as [fs.ModeIrregular], and never leaves the
	// folder. Unlike a commit's it changes when the folder does.
	FS fs.FS
	// Unborn says that it is in a repository that has no commit yet.
	Unborn bool
	// Commit is the hash of HEAD, "" without repository or commit.
	Commit string
	// Author of that commit, "Name <mail>", fit for a terminal; "" where it does not
	// hold the folder sub.
	Author string
	// Dirty says that FS is not what Commit holds.
	Dirty bool
	// Changes lists, sorted, the files that differ from Commit; nil without one.
	Changes []string
}

// WorkTree returns the folder sub of dir as it stands, for a dry run. dir may be
// a git repository, lie inside one, or be an ordinary folder; the latter is Dirty
// and has no Commit.
//
// Files are compared with HEAD by their content, so .gitignore and what is staged
// make no difference: what would be read is what is compared. Untracked files
// whose name, or a folder's on the way, begins with a dot do not count. Executable
// bits do not count either.
func WorkTree(dir, sub string) (Tree, error) {
	tree, err := workTree(dir, cleanPath(sub))
	if err != nil {
		return Tree{}, fmt.Errorf("read work tree %s: %w", dir, err)
	}
	return tree, nil
}

func workTree(dir, sub string) (Tree, error) {
	if !fs.ValidPath(sub) {
		return Tree{}, &OptionError{Option: "path", Reason: `must be a folder inside the work tree with "/" between names`}
	}
	files, err := openBelow(dir, sub)
	if err != nil {
		return Tree{}, &NotFoundError{Reason: clean(err.Error()) + "; check the path"}
	}
	repo, err := openLocal(dir, true)
	if is[*NotFoundError](err) || (err == nil && repo.root == "") {
		return Tree{FS: files, Dirty: true}, nil
	}
	if err != nil {
		return Tree{}, err
	}
	head, err := repo.resolve("HEAD")
	if errors.Is(err, ErrEmptyRepository) || is[*MissingRefError](err) {
		return Tree{FS: files, Dirty: true, Unborn: true}, nil
	}
	if err != nil {
		return Tree{}, err
	}
	changes, author, err := repo.changes(files, head, dir, sub)
	if err != nil {
		return Tree{}, err
	}
	return Tree{FS: files, Commit: head.String(), Author: author, Dirty: len(changes) > 0, Changes: changes}, nil
}

// openBelow opens the folder sub of dir. Whoever commits may put a link in the place of
// a folder, so none is followed from dir on.
func openBelow(dir, sub string) (diskFS, error) {
	top, err := os.OpenRoot(dir)
	if err != nil || sub == "." {
		return diskFS{root: top}, err
	}
	defer func() { _ = top.Close() }()
	info, err := diskFS{root: top}.find("open", sub)
	switch {
	case err == nil && info.Mode().Type() == fs.ModeSymlink:
		err = errLink
	case err == nil && !info.IsDir():
		err = errNoFolder
	}
	if err != nil {
		return diskFS{}, &fs.PathError{Op: "open", Path: filepath.Join(dir, sub), Err: cause(err)}
	}
	root, err := top.OpenRoot(sub)
	return diskFS{root: root}, err
}

// changes compares the files with the commit, and says who made that.
func (l local) changes(files diskFS, head plumbing.Hash, dir, sub string) (changed []string, author string, err error) {
	below, err := l.below(dir, sub)
	if err != nil {
		return nil, "", err
	}
	var committed fs.FS
	snap, err := build(context.Background(), l, nil, head, below, 4*DefaultMaxPack)
	switch {
	case is[*MissingPathError](err):
		committed = treeFS{root: &node{mode: fs.ModeDir | 0o555, count: 1}}
	case errors.Is(err, errMissingObject):
		return nil, "", classify(err, false)
	case err != nil:
		return nil, "", err
	default:
		committed, author = treeFS{root: snap.root}, snap.commit.Author
	}
	changed = []string{}
	tracked := map[string]bool{}
	err = fs.WalkDir(committed, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		tracked[name] = true
		same, err := sameOnDisk(committed, files, name, d)
		if !same {
			changed = append(changed, name)
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return &NotFoundError{Reason: clean(err.Error()) + "; make the folder readable"}
		}
		if strings.HasPrefix(d.Name(), ".") && name != "." && d.IsDir() {
			return fs.SkipDir
		}
		if !d.IsDir() && !tracked[name] && !strings.HasPrefix(d.Name(), ".") {
			changed = append(changed, name)
		}
		return nil
	})
	slices.Sort(changed)
	return changed, author, err
}

// sameOnDisk compares a committed file with the one on disk.
func sameOnDisk(committed fs.FS, files diskFS, name string, d fs.DirEntry) (bool, error) {
	now, err := files.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch d.Type() {
	case fs.ModeIrregular: // a submodule, not filled yet or filled
		return now.IsDir() || now.Mode().Type() == fs.ModeIrregular, nil
	case fs.ModeSymlink:
		if now.Mode().Type() != fs.ModeSymlink {
			return false, nil
		}
		want, _ := fs.ReadLink(committed, name)
		got, err := files.ReadLink(name)
		return got == want, err
	}
	before, err := d.Info()
	if err != nil || !now.Mode().IsRegular() || now.Size() != before.Size() || now.Size() > maxKeptFile {
		return false, err
	}
	want, err := fs.ReadFile(committed, name)
	if err != nil {
		return false, err
	}
	got, err := fs.ReadFile(files, name)
	return bytes.Equal(got, want), err
}
