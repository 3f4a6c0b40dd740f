package repoedit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Add writes new files, by their names below the root, or none of them. It refuses a
// name that something else has and a folder that is a link. All of them stand whole in a folder of
// their own before the first one gets its name, so that a full disk leaves nothing; what
// got its name is taken back where another one cannot, or where the repository has an error
// in one of them afterwards, and so are the folders that were made for them.
//
// Whoever dies meanwhile leaves whole files, and no environment or repository that is half
// there: the file that makes it one gets its name last. Adding the same once more completes
// it.
func (r Repository) Add(files map[string][]byte) (err error) {
	names := slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return cmp.Or(cmp.Compare(begins(a), begins(b)), strings.Compare(a, b))
	})
	for _, name := range names {
		if !fs.ValidPath(name) {
			return fmt.Errorf("write %q: it is no name below the root", name)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return r.holds(name, files[name]) })
	for _, name := range names {
		if _, err := os.Lstat(r.Path(name)); err == nil {
			return fmt.Errorf("write %s: %w", name, fs.ErrExist)
		}
	}
	stage, err := os.MkdirTemp(r.Root, ".reconcile-*")
	if err != nil {
		return fmt.Errorf("write into %s: %w", r.Root, err)
	}
	var named []string // what to take back, the newest first
	defer func() {
		if err != nil {
			for _, name := range named {
				err = errors.Join(err, os.Remove(name))
			}
		}
		err = errors.Join(err, os.RemoveAll(stage))
	}()
	for i, name := range names {
		if err := writeNew(filepath.Join(stage, strconv.Itoa(i)), files[name]); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	for i, name := range names {
		folders, err := r.makeFolders(path.Dir(name))
		named = append(folders, named...)
		if err == nil {
			err = giveName(filepath.Join(stage, strconv.Itoa(i)), r.Path(name))
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		named = append([]string{r.Path(name)}, named...)
	}
	for _, p := range r.Reload().Problems {
		if p.Severity == spec.Error && slices.Contains(names, p.Origin.File) {
			return problem(p)
		}
	}
	return nil
}

// holds tells whether a file is there already, with this very text.
func (r Repository) holds(name string, text []byte) bool {
	info, err := os.Lstat(r.Path(name))
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(text)) {
		return false
	}
	have, err := os.ReadFile(r.Path(name))
	return err == nil && bytes.Equal(have, text)
}

// begins orders the files that make a folder an environment, and a repository, behind
// all others.
func begins(name string) int {
	switch {
	case spec.IsRoot(name):
		return 2
	case path.Base(name) == "environment.yaml":
		return 1
	}
	return 0
}

// giveName gives a file its name, if that is not taken. Not every file system has links.
func giveName(file, name string) error {
	err := os.Link(file, name)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, taken := os.Lstat(name); taken == nil {
		return fs.ErrExist
	}
	return os.Rename(file, name)
}

// makeFolders makes a folder and those above it below the root. It gives those that it
// made, the innermost first.
func (r Repository) makeFolders(folder string) (made []string, err error) {
	if folder == "." {
		return nil, nil
	}
	if made, err = r.makeFolders(path.Dir(folder)); err != nil {
		return made, err
	}
	full := r.Path(folder)
	switch info, err := os.Lstat(full); {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.Mkdir(full, 0o755); err != nil { //nolint:gosec // as git makes folders
			return made, err
		}
		return append([]string{full}, made...), nil
	case err != nil:
		return made, err
	case !info.IsDir():
		return made, fmt.Errorf("%s is no folder", folder)
	}
	return made, nil
}

// writeNew makes a file, durably.
func writeNew(name string, text []byte) error {
	file, err := os.OpenFile(filepath.Clean(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // as git makes files
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}
