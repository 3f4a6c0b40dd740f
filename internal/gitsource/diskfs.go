package gitsource

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// diskFS reads a folder on disk. See [Tree].
type diskFS struct{ root *os.Root }

var (
	_ fs.StatFS     = diskFS{}
	_ fs.ReadDirFS  = diskFS{}
	_ fs.ReadLinkFS = diskFS{}
)

// find looks at a name without following links on the way or at its end.
func (d diskFS) find(op, name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	parts := strings.Split(name, "/")
	var info fs.FileInfo
	for i := range parts {
		if strings.EqualFold(parts[i], ".git") {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		found, err := d.root.Lstat(strings.Join(parts[:i+1], "/"))
		if err != nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: cause(err)}
		}
		if info = d.disguise(strings.Join(parts[:i+1], "/"), found); i+1 < len(parts) && !info.IsDir() {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
	}
	return info, nil
}

// disguise shows a repository inside the folder as what a commit of it would
// be: a submodule.
func (d diskFS) disguise(name string, info fs.FileInfo) fs.FileInfo {
	if name == "." || !info.IsDir() {
		return info
	}
	if _, err := d.root.Lstat(path.Join(name, ".git")); err != nil {
		return info
	}
	return submodule{info}
}

type submodule struct{ fs.FileInfo }

func (submodule) Mode() fs.FileMode { return fs.ModeIrregular }
func (submodule) IsDir() bool       { return false }

func (d diskFS) Open(name string) (fs.File, error) {
	info, err := d.find("open", name)
	if err != nil {
		return nil, err
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		list, err := d.ReadDir(name)
		if err != nil {
			return nil, err
		}
		return &diskDir{name: name, info: info, list: list}, nil
	case 0:
		f, err := d.root.Open(name)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: cause(err)}
		}
		return f, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: notOpened(info.Mode())}
}

func (d diskFS) Stat(name string) (fs.FileInfo, error)  { return d.find("stat", name) }
func (d diskFS) Lstat(name string) (fs.FileInfo, error) { return d.find("stat", name) }

func (d diskFS) ReadLink(name string) (string, error) {
	info, err := d.find("readlink", name)
	if err != nil {
		return "", err
	}
	if info.Mode().Type() != fs.ModeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	target, err := d.root.Readlink(name)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: cause(err)}
	}
	return target, nil
}

func (d diskFS) ReadDir(name string) ([]fs.DirEntry, error) {
	info, err := d.find("read", name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: notOpened(info.Mode())}
	}
	found, err := fs.ReadDir(d.root.FS(), name)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: cause(err)}
	}
	found = slices.DeleteFunc(found, func(e fs.DirEntry) bool { return strings.EqualFold(e.Name(), ".git") })
	for i, e := range found {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &fs.PathError{Op: "read", Path: path.Join(name, e.Name()), Err: errors.New("went away while the folder was read")}
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path.Join(name, e.Name()), Err: cause(err)}
		}
		found[i] = fs.FileInfoToDirEntry(d.disguise(path.Join(name, e.Name()), info))
	}
	return found, nil
}

// diskDir is an open folder: what it held when it was opened.
type diskDir struct {
	name string
	info fs.FileInfo
	list []fs.DirEntry
}

func (d *diskDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *diskDir) Close() error               { return nil }

func (d *diskDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errIsFolder}
}

func (d *diskDir) ReadDir(n int) ([]fs.DirEntry, error) { return take(&d.list, n) }

// take is fs.ReadDirFile's rule over a list in memory.
func take(list *[]fs.DirEntry, n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(*list)
	} else if len(*list) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(*list))
	taken := (*list)[:n:n]
	*list = (*list)[n:]
	return taken, nil
}

// cause drops the name from an error about a file: we say it ourselves, below
// the right root.
func cause(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}
