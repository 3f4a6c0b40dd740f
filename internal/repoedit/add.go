package repoedit

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Add writes new files, by their names below the root, or none of them. It refuses a
// name that is taken and a folder that is a link, and takes back what it wrote where a
// file cannot be written or the repository has an error in one of them afterwards, and
// the folders it made for them.
func (r Repository) Add(files map[string][]byte) (err error) {
	var wrote []string // what to take back, the newest first
	defer func() {
		if err == nil {
			return
		}
		for _, name := range wrote {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		if !fs.ValidPath(name) {
			return fmt.Errorf("write %q: it is no name below the root", name)
		}
		folders, err := r.makeFolders(path.Dir(name))
		wrote = append(folders, wrote...)
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		full := r.Path(name)
		if err := writeNew(full, files[name]); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		wrote = append([]string{full}, wrote...)
	}
	for _, p := range r.Reload().Problems {
		if p.Severity == spec.Error && slices.Contains(names, p.Origin.File) {
			return fmt.Errorf("%w; nothing was written", problem(p))
		}
	}
	return nil
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

// writeNew makes a file, durably. It leaves none behind where it fails.
func writeNew(name string, text []byte) error {
	file, err := os.OpenFile(filepath.Clean(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // as git makes files
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}
