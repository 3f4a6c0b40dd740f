package gitsource

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

var (
	errLink     = errors.New("is a symbolic link, which is not followed")
	errNoFile   = errors.New("is neither a file nor a folder")
	errTooBig   = errors.New("is above 16 MiB, its content is not kept")
	errIsFolder = errors.New("is a folder")
	errNoFolder = errors.New("is not a folder")
)

// treeFS shows a snapshot as a file system. See [Source.FS].
type treeFS struct {
	root *node
	when time.Time
}

var (
	_ fs.StatFS     = treeFS{}
	_ fs.ReadFileFS = treeFS{}
	_ fs.ReadDirFS  = treeFS{}
	_ fs.ReadLinkFS = treeFS{}
)

// lookup finds a node by name without following links.
func (t treeFS) lookup(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n := t.root
	if name == "." {
		return n, nil
	}
	for _, part := range strings.Split(name, "/") {
		i, found := slices.BinarySearchFunc(n.entries, part, func(e entry, part string) int {
			return strings.Compare(e.name, part)
		})
		if !found {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		n = n.entries[i].node
	}
	return n, nil
}

func (t treeFS) info(name string, n *node) nodeInfo {
	return nodeInfo{name: path.Base(name), node: n, when: t.when}
}

func (t treeFS) Open(name string) (fs.File, error) {
	n, err := t.lookup("open", name)
	if err != nil {
		return nil, err
	}
	switch n.mode.Type() {
	case fs.ModeDir:
		return &openDir{info: t.info(name, n), list: t.list(n)}, nil
	case 0:
		return &openFile{info: t.info(name, n), path: name, Reader: bytes.NewReader(n.data)}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: notOpened(n.mode)}
}

func (t treeFS) Stat(name string) (fs.FileInfo, error) { return t.Lstat(name) }

func (t treeFS) Lstat(name string) (fs.FileInfo, error) {
	n, err := t.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return t.info(name, n), nil
}

func (t treeFS) ReadLink(name string) (string, error) {
	n, err := t.lookup("readlink", name)
	if err != nil {
		return "", err
	}
	if n.mode.Type() != fs.ModeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return string(n.data), nil
}

func (t treeFS) ReadFile(name string) ([]byte, error) {
	n, err := t.lookup("read", name)
	if err != nil {
		return nil, err
	}
	if err := n.readable(); err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return slices.Clone(n.data), nil
}

func (t treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.lookup("read", name)
	if err != nil {
		return nil, err
	}
	if !n.mode.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errNoFolder}
	}
	return t.list(n), nil
}

func (t treeFS) list(n *node) []fs.DirEntry {
	list := make([]fs.DirEntry, len(n.entries))
	for i, e := range n.entries {
		list[i] = t.info(e.name, e.node)
	}
	return list
}

func (n *node) readable() error {
	switch {
	case n.mode.IsDir():
		return errIsFolder
	case n.mode.Type() != 0:
		return notOpened(n.mode)
	case int64(len(n.data)) != n.size:
		return errTooBig
	}
	return nil
}

func notOpened(mode fs.FileMode) error {
	if mode.Type() == fs.ModeSymlink {
		return errLink
	}
	return errNoFile
}

// nodeInfo is both fs.FileInfo and fs.DirEntry. Its time is the commit's.
type nodeInfo struct {
	name string
	node *node
	when time.Time
}

func (i nodeInfo) Name() string               { return i.name }
func (i nodeInfo) Size() int64                { return i.node.size }
func (i nodeInfo) Mode() fs.FileMode          { return i.node.mode }
func (i nodeInfo) Type() fs.FileMode          { return i.node.mode.Type() }
func (i nodeInfo) ModTime() time.Time         { return i.when }
func (i nodeInfo) IsDir() bool                { return i.node.mode.IsDir() }
func (i nodeInfo) Sys() any                   { return nil }
func (i nodeInfo) Info() (fs.FileInfo, error) { return i, nil }
func (i nodeInfo) String() string             { return fs.FormatFileInfo(i) }

type openFile struct {
	info nodeInfo
	path string
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

func (f *openFile) Read(p []byte) (int, error) {
	if err := f.info.node.readable(); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.path, Err: err}
	}
	return f.Reader.Read(p)
}

type openDir struct {
	info nodeInfo
	list []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errIsFolder}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) { return take(&d.list, n) }

// String is for messages only; it names no content.
func (t treeFS) String() string { return fmt.Sprintf("%d files and folders", t.root.count) }
