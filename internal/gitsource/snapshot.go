package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	maxEntries  = 200_000  // files and folders of one commit, repeated ones counted each time
	maxDepth    = 100      // folders inside each other
	maxKeptFile = 16 << 20 // larger files keep their size only, in bytes
)

// objects is where git objects come from. A missing one is
// plumbing.ErrObjectNotFound.
type objects interface {
	get(hash plumbing.Hash) (plumbing.EncodedObject, error)
}

// snapshot is a commit with everything below Options.Path, in memory and never
// changed after it was built.
type snapshot struct {
	hash   plumbing.Hash
	commit Commit
	root   *node
	known  map[plumbing.Hash]*node // every file and folder below root
}

// node is a file, link, submodule or folder.
type node struct {
	hash    plumbing.Hash // zero for a submodule
	mode    fs.FileMode
	size    int64
	data    []byte // of a file, nil when above maxKeptFile; of a link its target
	entries []entry
	count   int // nodes below and including this one
}

type entry struct {
	name string
	node *node
}

// builder makes one snapshot.
type builder struct {
	source objects
	before *snapshot // unchanged files are shared with it; may be nil
	budget int64     // bytes of files that may still be kept
	into   *snapshot
}

// build reads the commit and all below path. Files that before has too are shared
// with it; it may be nil. limit bounds the files' bytes.
func build(ctx context.Context, source objects, before *snapshot, hash plumbing.Hash, path string, limit int64) (*snapshot, error) {
	b := &builder{source: source, before: before, budget: limit, into: &snapshot{
		hash: hash, known: map[plumbing.Hash]*node{},
	}}
	var c object.Commit
	if err := b.decode(hash, plumbing.CommitObject, c.Decode); err != nil {
		return nil, err
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	b.into.commit = Commit{
		Hash: hash.String(), Author: clean(c.Author.Name + " <" + c.Author.Email + ">"),
		Subject: clean(subject), When: c.Committer.When.UTC(),
	}
	tree, err := b.descend(c.TreeHash, path)
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
		i := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name && e.Mode == filemode.Dir })
		if i < 0 {
			return tree, &MissingPathError{Path: path, Commit: b.into.hash.String()}
		}
		tree = entries[i].Hash
	}
	return tree, nil
}

func (b *builder) entries(tree plumbing.Hash) ([]object.TreeEntry, error) {
	var t object.Tree
	if err := b.decode(tree, plumbing.TreeObject, t.Decode); err != nil {
		return nil, err
	}
	return t.Entries, nil
}

// folder reads a folder and all below. Equal ones are read once.
func (b *builder) folder(ctx context.Context, hash plumbing.Hash, depth int) (*node, error) {
	if n, err := b.seen(hash); n != nil || err != nil {
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
	n := &node{hash: hash, mode: fs.ModeDir | 0o555, count: 1}
	for _, e := range entries {
		if err := checkName(e.Name); err != nil {
			return nil, err
		}
		child, err := b.child(ctx, e, depth)
		if err != nil {
			return nil, err
		}
		n.entries = append(n.entries, entry{name: e.Name, node: child})
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

func (b *builder) child(ctx context.Context, e object.TreeEntry, depth int) (*node, error) {
	switch e.Mode {
	case filemode.Dir:
		return b.folder(ctx, e.Hash, depth+1)
	case filemode.Regular, filemode.Deprecated:
		return b.file(e.Hash, 0o444)
	case filemode.Executable:
		return b.file(e.Hash, 0o555)
	case filemode.Symlink:
		return b.file(e.Hash, fs.ModeSymlink|0o444)
	case filemode.Submodule:
		return &node{mode: fs.ModeIrregular, count: 1}, nil
	}
	return nil, &CorruptError{Reason: fmt.Sprintf("%q has the unknown mode %o", e.Name, uint32(e.Mode))}
}

// file reads a blob. One blob may stand under several modes.
func (b *builder) file(hash plumbing.Hash, mode fs.FileMode) (*node, error) {
	if n, err := b.seen(hash); n != nil || err != nil {
		if err != nil || n.mode == mode {
			return n, err
		}
		return &node{hash: hash, mode: mode, size: n.size, data: n.data, count: 1}, nil
	}
	o, err := b.object(hash, plumbing.BlobObject)
	if err != nil {
		return nil, err
	}
	n := &node{hash: hash, mode: mode, size: o.Size(), count: 1}
	if n.size <= maxKeptFile {
		if err := b.spend(n.size); err != nil {
			return nil, err
		}
		if n.data, err = contents(o, hash); err != nil {
			return nil, err
		}
	}
	b.into.known[hash] = n
	return n, nil
}

// seen returns what this or the former snapshot has under the hash, or nil.
func (b *builder) seen(hash plumbing.Hash) (*node, error) {
	if n := b.into.known[hash]; n != nil {
		return n, nil
	}
	if b.before == nil || b.before.known[hash] == nil {
		return nil, nil
	}
	n := b.before.known[hash]
	return n, b.adopt(n)
}

// adopt takes over a node of the former snapshot and all below it.
func (b *builder) adopt(n *node) error {
	if n.hash.IsZero() || b.into.known[n.hash] != nil {
		return nil
	}
	b.into.known[n.hash] = n
	for _, e := range n.entries {
		if err := b.adopt(e.node); err != nil {
			return err
		}
	}
	return b.spend(int64(len(n.data)))
}

func (b *builder) spend(size int64) error {
	if b.budget -= size; b.budget < 0 {
		return ErrTooLarge
	}
	return nil
}

func (b *builder) decode(hash plumbing.Hash, want plumbing.ObjectType, into func(plumbing.EncodedObject) error) error {
	o, err := b.object(hash, want)
	if err != nil {
		return err
	}
	data, err := contents(o, hash)
	if err != nil {
		return err
	}
	m := &plumbing.MemoryObject{}
	m.SetType(want)
	if _, err := m.Write(data); err != nil {
		return err
	}
	if err := into(m); err != nil {
		return &CorruptError{Reason: fmt.Sprintf("%s %.12s can not be read: %s", want, hash, clean(err.Error()))}
	}
	return nil
}

func (b *builder) object(hash plumbing.Hash, want plumbing.ObjectType) (plumbing.EncodedObject, error) {
	o, err := b.source.get(hash)
	switch {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return nil, fmt.Errorf("%w: %s %.12s", errMissingObject, want, hash)
	case err != nil:
		return nil, &CorruptError{Reason: fmt.Sprintf("%s %.12s can not be read: %s", want, hash, clean(err.Error()))}
	case o.Type() != want:
		return nil, &CorruptError{Reason: fmt.Sprintf("object %.12s is a %s where a %s is wanted", hash, o.Type(), want)}
	}
	return o, nil
}

// contents reads an object and checks that it is what its name says.
func contents(o plumbing.EncodedObject, hash plumbing.Hash) (data []byte, err error) {
	r, err := o.Reader()
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(r, o.Size()+1))
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		return nil, &CorruptError{Reason: fmt.Sprintf("object %.12s can not be read: %s", hash, clean(err.Error()))}
	}
	if plumbing.ComputeHash(o.Type(), data) != hash {
		return nil, &CorruptError{Reason: fmt.Sprintf("object %.12s does not hold what its name says", hash)}
	}
	return data, nil
}

// checkName refuses names that no file system could hold safely.
func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "/\\\x00") || strings.EqualFold(name, ".git") {
		return &CorruptError{Reason: fmt.Sprintf("a file of the commit is named %q, which is refused", clean(name))}
	}
	return nil
}
