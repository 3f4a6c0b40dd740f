package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	maxEntries  = 200_000  // files and folders of one commit, repeated ones counted each time
	maxDepth    = 100      // folders inside each other
	maxKeptFile = 1 << 20  // larger files keep their size only, in bytes
	maxOther    = 64 << 10 // the same of files that are not wanted
	maxTarget   = 4 << 10  // the same of a link
	maxKept     = 64 << 20 // of all files of one commit, in bytes
	maxCommit   = 1 << 20  // of the commit itself, in bytes
)

// objects is where git objects come from.
type objects interface {
	// get finds an object; a missing one is plumbing.ErrObjectNotFound. Of one above
	// most bytes it gives kind and size only.
	get(hash plumbing.Hash, most int64) (gitObject, error)
}

// wanted says which files of a commit are kept, of those up to maxKeptFile.
type wanted struct {
	path   string                 // the folder, "." for all
	files  func(name string) bool // by the name in its folder; nil for all
	others int64                  // bytes that the other files up to maxOther may have together, as they come
	limit  int64                  // bytes that the wanted ones may have
}

// snapshot is a commit with everything below a folder, in memory and never changed after
// it was built.
type snapshot struct {
	hash   plumbing.Hash
	commit Commit
	raw    []byte        // the commit object
	tree   plumbing.Hash // the folder at the top of the commit
	root   *node
	known  map[plumbing.Hash]*node // every folder and every kept file below root
	kept   int64                   // bytes of files
}

// node is a file, link, submodule or folder.
type node struct {
	hash    plumbing.Hash // zero where it is not in known
	mode    fs.FileMode
	size    int64
	data    []byte                 // of a file that is kept; of a link its target
	read    func() ([]byte, error) // of a file on disk, in the place of data
	lost    error                  // of a file: why there is no data
	entries []entry                // sorted by name
	count   int                    // nodes below and including this one
}

type entry struct {
	name string
	node *node
}

// builder makes one snapshot.
type builder struct {
	source objects
	before *snapshot // unchanged files are shared with it; may be nil
	want   wanted
	left   int // entries of folders that may still be read
	into   *snapshot
}

// build reads the commit and what is wanted of it. Files that before has too are shared
// with it; it may be nil.
func build(ctx context.Context, source objects, before *snapshot, hash plumbing.Hash, want wanted) (*snapshot, error) {
	b := &builder{source: source, before: before, want: want, left: maxEntries, into: &snapshot{
		hash: hash, known: map[plumbing.Hash]*node{},
	}}
	data, err := b.object(hash, plumbing.CommitObject, maxCommit)
	if err != nil {
		return nil, err
	}
	var c object.Commit
	if err := decode(hash, plumbing.CommitObject, data, c.Decode); err != nil {
		return nil, err
	}
	b.into.raw, b.into.tree = bytes.Clone(data), c.TreeHash
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	b.into.commit = Commit{
		Hash: hash.String(), Author: clean(c.Author.Name + " <" + c.Author.Email + ">"),
		Subject: clean(subject), When: c.Committer.When.UTC(),
	}
	tree, err := b.descend(c.TreeHash, want.path)
	if err != nil {
		return nil, err
	}
	b.into.root, err = b.folder(ctx, tree, 0)
	if err != nil {
		return nil, err
	}
	return b.into, nil
}

// descend follows path from the commit's root folder.
func (b *builder) descend(tree plumbing.Hash, path string) (plumbing.Hash, error) {
	if path == "." {
		return tree, nil
	}
	for _, name := range strings.Split(path, "/") {
		entries, err := b.entries(tree)
		if err != nil {
			return tree, err
		}
		i := slices.IndexFunc(entries, func(e treeEntry) bool { return e.name == name && e.mode == filemode.Dir })
		if i < 0 {
			return tree, &MissingPathError{Path: path, Commit: b.into.hash.String()}
		}
		tree = entries[i].hash
	}
	return tree, nil
}

// treeEntry is a line of a folder. name holds on to the whole folder.
type treeEntry struct {
	mode filemode.FileMode
	name string
	hash plumbing.Hash
}

// entries reads a folder. What all folders hold together is bounded before any of it is
// read.
func (b *builder) entries(tree plumbing.Hash) (entries []treeEntry, err error) {
	data, err := b.object(tree, plumbing.TreeObject, maxObject)
	if err != nil {
		return nil, err
	}
	const least = len("40000 n\x00") + len(tree)
	entries = make([]treeEntry, 0, min(maxEntries, len(data)/least))
	for text := string(data); text != ""; {
		mode, rest, spaced := strings.Cut(text, " ")
		name, rest, ended := strings.Cut(rest, "\x00")
		e := treeEntry{name: name}
		parsed, err := filemode.New(mode)
		if !spaced || !ended || err != nil || len(rest) < len(e.hash) {
			return nil, &CorruptError{Reason: fmt.Sprintf("tree %.12s can not be read", tree)}
		}
		e.mode = parsed
		text = rest[copy(e.hash[:], rest):]
		if b.left--; b.left < 0 {
			return nil, fmt.Errorf("more than %d files: %w", maxEntries, ErrTooLarge)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// folder reads a folder and all below. Equal ones are read once.
func (b *builder) folder(ctx context.Context, hash plumbing.Hash, depth int) (*node, error) {
	if n, err := b.seen(hash, fs.ModeDir); n != nil || err != nil {
		return n, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("folders lie more than %d deep: %w", maxDepth, ErrTooLarge)
	}
	entries, err := b.entries(hash)
	if err != nil {
		return nil, err
	}
	n := &node{hash: hash, mode: fs.ModeDir | 0o555, count: 1, entries: make([]entry, 0, len(entries))}
	for _, e := range entries {
		if err := checkName(e.name); err != nil {
			return nil, err
		}
		child, err := b.child(ctx, e, depth)
		if err != nil {
			return nil, err
		}
		n.entries = append(n.entries, entry{name: strings.Clone(e.name), node: child})
		if n.count += child.count; n.count > maxEntries {
			return nil, fmt.Errorf("more than %d files: %w", maxEntries, ErrTooLarge)
		}
	}
	slices.SortFunc(n.entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(n.entries); i++ {
		if n.entries[i].name == n.entries[i-1].name {
			return nil, &CorruptError{Reason: fmt.Sprintf("folder %.12s names %q twice", hash, n.entries[i].name)}
		}
	}
	b.into.known[hash] = n
	return n, nil
}

func (b *builder) child(ctx context.Context, e treeEntry, depth int) (*node, error) {
	switch e.mode {
	case filemode.Dir:
		return b.folder(ctx, e.hash, depth+1)
	case filemode.Regular, filemode.Deprecated:
		return b.file(e, 0o444)
	case filemode.Executable:
		return b.file(e, 0o555)
	case filemode.Symlink:
		return b.file(e, fs.ModeSymlink|0o444)
	case filemode.Submodule:
		return &node{mode: fs.ModeIrregular, count: 1}, nil
	}
	return nil, &CorruptError{Reason: fmt.Sprintf("%q has the unknown mode %o", e.name, uint32(e.mode))}
}

// file reads a blob. One blob may stand under several modes and names.
func (b *builder) file(e treeEntry, mode fs.FileMode) (*node, error) {
	ours, most := b.want.files == nil || b.want.files(e.name), int64(maxKeptFile)
	switch {
	case mode.Type() == fs.ModeSymlink:
		ours, most = true, maxTarget
	case !ours && b.want.others == 0:
		return otherFile(mode), nil
	case !ours:
		most = min(maxOther, b.want.others)
	}
	n, err := b.seen(e.hash, 0)
	if err != nil {
		return nil, err
	}
	if n == nil {
		o, err := b.find(e.hash, plumbing.BlobObject, most)
		if err != nil {
			return nil, err
		}
		n = &node{hash: e.hash, mode: mode, size: o.size, data: o.data, count: 1}
		switch {
		case o.size > most && !ours:
			n.hash, n.lost = plumbing.ZeroHash, errNotKept
			return n, nil
		case o.size > most:
			n.hash, n.lost = plumbing.ZeroHash, errTooBig
			return n, nil
		case !ours:
			b.want.others -= n.size
		}
		if err := b.keep(n); err != nil {
			return nil, err
		}
	}
	if n.mode != mode {
		return &node{hash: e.hash, mode: mode, size: n.size, data: n.data, lost: n.lost, count: 1}, nil
	}
	return n, nil
}

// otherFile is one that nobody looks into.
func otherFile(mode fs.FileMode) *node { return &node{mode: mode, lost: errNotKept, count: 1} }

// seen returns the folder, or what is none, that this or the former snapshot has under
// the hash, or nil.
func (b *builder) seen(hash plumbing.Hash, folder fs.FileMode) (*node, error) {
	n := b.into.known[hash]
	adopted := n == nil && b.before != nil
	if adopted {
		n = b.before.known[hash]
	}
	switch {
	case n == nil || n.mode&fs.ModeDir != folder:
		return nil, nil
	case adopted:
		return n, b.adopt(n)
	}
	return n, nil
}

// adopt takes over a node of the former snapshot and all below it.
func (b *builder) adopt(n *node) error {
	if n.hash.IsZero() || b.into.known[n.hash] != nil {
		return nil
	}
	for _, e := range n.entries {
		if err := b.adopt(e.node); err != nil {
			return err
		}
	}
	return b.keep(n)
}

func (b *builder) keep(n *node) error {
	b.into.known[n.hash] = n
	if b.into.kept += int64(len(n.data)); b.into.kept > b.want.limit {
		return ErrTooLarge
	}
	return nil
}

// find gives an object of a kind, of at most so many bytes; of a larger one its size.
func (b *builder) find(hash plumbing.Hash, kind plumbing.ObjectType, most int64) (gitObject, error) {
	o, err := b.source.get(hash, most)
	switch {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return o, fmt.Errorf("%w: %s %.12s", errMissingObject, kind, hash)
	case errors.Is(err, ErrTooLarge):
		return o, err
	case err != nil:
		return o, &CorruptError{Reason: fmt.Sprintf("%s %.12s can not be read: %s", kind, hash, clean(err.Error()))}
	case o.kind != kind:
		return o, &CorruptError{Reason: fmt.Sprintf("object %.12s is a %s where a %s is wanted", hash, o.kind, kind)}
	case o.size <= most && plumbing.ComputeHash(kind, o.data) != hash:
		return o, &CorruptError{Reason: fmt.Sprintf("object %.12s does not hold what its name says", hash)}
	}
	return o, nil
}

// object is find for what has to be whole.
func (b *builder) object(hash plumbing.Hash, kind plumbing.ObjectType, most int64) ([]byte, error) {
	o, err := b.find(hash, kind, most)
	if err == nil && o.size > most {
		err = fmt.Errorf("%s %.12s has %d bytes: %w", kind, hash, o.size, ErrTooLarge)
	}
	return o.data, err
}

// decode gives an object to the library.
func decode(hash plumbing.Hash, kind plumbing.ObjectType, data []byte, into func(plumbing.EncodedObject) error) error {
	m := &plumbing.MemoryObject{}
	m.SetType(kind)
	_, err := m.Write(data)
	if err == nil {
		err = into(m)
	}
	if err != nil {
		return &CorruptError{Reason: fmt.Sprintf("%s %.12s can not be read: %s", kind, hash, clean(err.Error()))}
	}
	return nil
}

// checkName refuses names that no file system could hold safely.
func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "/\\\x00") || strings.EqualFold(name, ".git") {
		return &CorruptError{Reason: fmt.Sprintf("a file of the commit is named %q, which is refused", clean(name))}
	}
	return nil
}

var (
	errLink     = errors.New("is a symbolic link, which is not followed")
	errNoFile   = errors.New("is neither a file nor a folder")
	errTooBig   = errors.New("is larger than 1 MiB, and is not kept; split it")
	errNotKept  = errors.New("is no file of a configuration, and is not kept")
	errIsFolder = errors.New("is a folder")
	errNoFolder = errors.New("is not a folder")
)

// treeFS shows nodes as a file system: those of a commit, or of a folder. See
// [Source.FS] and [Tree].
type treeFS struct {
	root *node
	when time.Time // of all files
}

var (
	_ fs.StatFS     = treeFS{}
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
		i, found := n.find(part)
		if !found {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		n = n.entries[i].node
	}
	return n, nil
}

func (n *node) find(name string) (int, bool) {
	return slices.BinarySearchFunc(n.entries, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
}

func (t treeFS) info(name string, n *node) nodeInfo {
	return nodeInfo{name: path.Base(name), node: n, when: t.when}
}

func (t treeFS) Open(name string) (fs.File, error) {
	n, err := t.lookup("open", name)
	if err != nil {
		return nil, err
	}
	f := &openNode{info: t.info(name, n), path: name}
	switch n.mode.Type() {
	case fs.ModeDir:
		f.err = errIsFolder
		f.list = make([]fs.DirEntry, len(n.entries))
		for i, e := range n.entries {
			f.list[i] = t.info(e.name, e.node)
		}
	case 0:
		var data []byte
		data, f.err = n.contents()
		f.data.Reset(data)
	case fs.ModeSymlink:
		return nil, &fs.PathError{Op: "open", Path: name, Err: errLink}
	default:
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNoFile}
	}
	return f, nil
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

// contents of a file.
func (n *node) contents() ([]byte, error) {
	switch {
	case n.lost != nil:
		return nil, n.lost
	case n.read != nil:
		return n.read()
	}
	return n.data, nil
}

// nodeInfo is both fs.FileInfo and fs.DirEntry.
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

// openNode is an open file or folder.
type openNode struct {
	info nodeInfo
	path string
	data bytes.Reader
	err  error // instead of data
	list []fs.DirEntry
}

func (f *openNode) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openNode) Close() error               { return nil }

func (f *openNode) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.path, Err: f.err}
	}
	return f.data.Read(p)
}

func (f *openNode) ReadDir(n int) ([]fs.DirEntry, error) {
	switch {
	case !f.info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: f.path, Err: errNoFolder}
	case n <= 0:
		n = len(f.list)
	case len(f.list) == 0:
		return nil, io.EOF
	}
	n = min(n, len(f.list))
	taken := f.list[:n:n]
	f.list = f.list[n:]
	return taken, nil
}
