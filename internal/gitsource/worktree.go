package gitsource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// maxOthers is how many bytes of files that do not count are there.
const maxOthers = 16 << 20

// Tree is a folder on this machine.
type Tree struct {
	// FS has its files. Where Dirty, it reads the folder as it stands: it hides .git,
	// follows no symbolic link, shows a repository inside the folder as
	// [fs.ModeIrregular], never leaves the folder, and changes when the folder does;
	// what a sparse checkout left out comes from Commit. Else it has the files of Commit.
	FS fs.FS
	// Commit is HEAD; zero without repository or commit. Author and Subject are empty
	// where it does not hold the folder.
	Commit Commit
	// Dirty says that FS is not what Commit holds.
	Dirty bool
	// Changes lists, sorted, the files that differ from Commit; nil without one.
	Changes []string
	// Unborn says that it is in a repository that has no commit yet.
	Unborn bool
	// Blind is why nobody knows what is committed: there is no git on PATH, or it is too
	// old for this repository. Nil where git could be asked.
	Blind error
}

// WorkTree returns the folder sub of dir: as its user's git says it is committed, or as
// it stands where a file that counts differs from that. dir may be a git repository,
// bare or not, lie inside one, or be an ordinary folder; the latter is Dirty and has no
// Commit. counts says which files make a difference and are kept, by their names below
// sub; nil means all. Of the others small ones are there, 16 MiB of
// them, and no file above 1 MiB can be read.
//
// What git ignores counts, because it would be read; so does what it was told to
// overlook (--assume-unchanged, --skip-worktree). Untracked files whose name, or a
// folder's on the way, begins with a dot do not count, nor do executable bits and
// submodules.
func WorkTree(ctx context.Context, dir, sub string, counts func(name string) bool) (Tree, error) {
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	if counts == nil {
		counts = func(string) bool { return true }
	}
	tree, err := workTree(ctx, dir, cleanPath(sub), counts)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &TimeoutError{After: DefaultTimeout}
	}
	if err != nil {
		return Tree{}, fmt.Errorf("read work tree %s: %w", dir, err)
	}
	return tree, nil
}

func workTree(ctx context.Context, dir, sub string, counts func(string) bool) (Tree, error) {
	if !fs.ValidPath(sub) {
		return Tree{}, &OptionError{Option: "path", Reason: `must be a folder inside the work tree with "/" between names`}
	}
	files, unopened := openBelow(dir, sub)
	if unopened != nil {
		unopened = &NotFoundError{Reason: clean(unopened.Error()) + "; check the path"}
	}
	// stands completes a tree that is not what a commit holds.
	stands := func(t Tree) (Tree, *node, error) {
		if unopened != nil {
			return Tree{}, nil, unopened
		}
		left := maxEntries
		root, err := asItStands(files, ".", &left)
		t.FS, t.Dirty = treeFS{root: root}, true
		return t, root, err
	}
	g, hash, err := openRef(ctx, dir, false, "HEAD")
	var outside Tree
	switch {
	case is[*NotFoundError](err):
	case (errors.Is(err, ErrNoGit) || is[*OldGitError](err)) && !isBare(dir):
		outside.Blind = err
	case g.inTree && (errors.Is(err, ErrEmptyRepository) || is[*MissingRefError](err)):
		outside.Unborn = true
	case err != nil:
		return Tree{}, err
	}
	if err != nil {
		tree, _, err := stands(outside)
		return tree, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var listed func() (listing, error)
	if g.inTree {
		if err := g.hush(ctx); err != nil {
			return Tree{}, err
		}
		listed = g.list(ctx, sub)
	}
	// A file is kept by its name, wherever it stands: at the top, or in a folder.
	kept := func(name string) bool { return counts(name) || counts("in/"+name) }
	snap, err := g.snapshot(ctx, nil, hash, wanted{path: sub, files: kept, others: maxOthers, limit: maxKept})
	absent := g.inTree && is[*MissingPathError](err)
	if absent {
		snap = &snapshot{commit: Commit{Hash: hash.String()}, root: &node{mode: fs.ModeDir | 0o555, count: 1}}
	} else if err != nil {
		return Tree{}, err
	}
	head := treeFS{root: snap.root, when: snap.commit.When}
	tree := Tree{FS: head, Commit: snap.commit}
	if !g.inTree {
		return tree, nil
	}
	if absent && unopened != nil {
		return Tree{}, unopened
	}
	found, err := listed()
	if err != nil {
		return tree, err
	}
	var unchecked []string
	if tree.Changes, unchecked, err = g.changes(ctx, found, files, head, sub, counts); err != nil || len(tree.Changes) == 0 {
		return tree, err
	}
	tree, root, err := stands(tree)
	for _, name := range unchecked {
		if file, missing := head.lookup("open", name); err == nil && missing == nil {
			root.graft(name, file)
		}
	}
	return tree, err
}

// isBare knows a repository without work tree by what has to be in it.
func isBare(dir string) bool {
	return !slices.ContainsFunc([]string{"HEAD", "objects", "refs"}, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil
	})
}

// openBelow opens the folder sub of dir. Whoever commits may put a link in the place of
// a folder, so none is followed from dir on.
func openBelow(dir, sub string) (*os.Root, error) {
	top, err := os.OpenRoot(dir)
	if err != nil || sub == "." {
		return top, err
	}
	defer func() { _ = top.Close() }()
	at := "."
	for part := range strings.SplitSeq(sub, "/") {
		if err != nil {
			break
		}
		at = path.Join(at, part)
		var info fs.FileInfo
		switch info, err = top.Lstat(at); {
		case err != nil:
			err = cause(err)
		case strings.EqualFold(part, ".git"):
			err = fs.ErrNotExist
		case info.Mode().Type() == fs.ModeSymlink && at != sub:
			err = fs.ErrNotExist
		case info.Mode().Type() == fs.ModeSymlink:
			err = errLink
		case !info.IsDir():
			err = errNoFolder
		default:
			if _, nested := top.Lstat(path.Join(at, ".git")); nested == nil {
				err = errors.New("is a repository of its own, not read with this one")
			}
		}
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(dir, sub), Err: err}
	}
	return top.OpenRoot(sub)
}

// cause drops the name from an error about a file: we say it ourselves, below the right
// root.
func cause(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

// asItStands lists a folder on disk; its files are read when they are opened. It hides
// .git, and shows a repository inside as what a commit of it would be: a submodule.
func asItStands(root *os.Root, name string, left *int) (*node, error) {
	found, err := fs.ReadDir(root.FS(), name)
	if err != nil {
		return nil, &NotFoundError{Reason: clean(err.Error()) + "; make the folder readable"}
	}
	n := &node{mode: fs.ModeDir | 0o555, count: 1}
	for _, e := range found {
		below := path.Join(name, e.Name())
		info, err := e.Info()
		switch *left--; {
		case strings.EqualFold(e.Name(), ".git"):
			continue
		case *left < 0 || strings.Count(below, "/") > maxDepth:
			return nil, fmt.Errorf("more than %d files, or %d folders deep: %w", maxEntries, maxDepth, ErrTooLarge)
		case err != nil:
			return nil, &NotFoundError{Reason: clean(err.Error()) + "; try again, the folder changed while it was read"}
		}
		child := &node{mode: info.Mode(), size: info.Size(), count: 1}
		switch info.Mode().Type() {
		case fs.ModeDir:
			if _, err := root.Lstat(path.Join(below, ".git")); err == nil {
				child = &node{mode: fs.ModeIrregular, count: 1}
			} else if child, err = asItStands(root, below, left); err != nil {
				return nil, err
			}
		case fs.ModeSymlink:
			target, err := root.Readlink(below)
			if err != nil {
				return nil, &NotFoundError{Reason: clean(err.Error())}
			}
			child.data = []byte(target)
		case 0:
			child.read = func() ([]byte, error) {
				now, err := root.Lstat(below)
				switch {
				case err != nil || !now.Mode().IsRegular():
					return nil, cmp.Or(cause(err), errNoFile)
				case now.Size() > maxKeptFile:
					return nil, errTooBig
				}
				data, err := root.ReadFile(below)
				return data, cause(err)
			}
		}
		n.put(e.Name(), child)
	}
	return n, nil
}

// put adds an entry, or takes one's place.
func (n *node) put(name string, child *node) {
	i, found := n.find(name)
	if !found {
		n.entries = slices.Insert(n.entries, i, entry{name: name})
	}
	n.entries[i].node = child
}

// graft puts a file below n, and the folders on the way.
func (n *node) graft(name string, file *node) {
	first, rest, deeper := strings.Cut(name, "/")
	if !deeper {
		n.put(name, file)
		return
	}
	i, found := n.find(first)
	if !found || !n.entries[i].node.mode.IsDir() {
		n.put(first, &node{mode: fs.ModeDir | 0o555, count: 1})
		i, _ = n.find(first)
	}
	n.entries[i].node.graft(rest, file)
}

// listing is what git says of the files of a folder.
type listing struct{ status, flags string }

// list asks git for both at once, while its caller goes on, and for no longer than ctx.
func (g *localGit) list(ctx context.Context, sub string) func() (listing, error) {
	var out listing
	group, ctx := errgroup.WithContext(ctx)
	ask := func(into *string, args ...string) {
		group.Go(func() (err error) {
			*into, err = g.run(ctx, append(args, "--", sub)...)
			return err
		})
	}
	ask(&out.status, "status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignored=traditional", "--ignore-submodules=all", "--no-renames")
	ask(&out.flags, "ls-files", "-v", "-z", "--full-name")
	return func() (listing, error) {
		if err := group.Wait(); err != nil {
			return listing{}, g.explain(err)
		}
		return out, nil
	}
}

// changes are the files of sub that differ from HEAD, and those that git did not check out.
func (g *localGit) changes(ctx context.Context, found listing, files *os.Root, head treeFS, sub string, counts func(string) bool) (changed, unchecked []string, err error) {
	changed = []string{}
	below := strings.TrimPrefix(path.Join(g.prefix, sub)+"/", "./")
	note := func(name string, tracked bool) {
		name, inside := strings.CutPrefix(name, below)
		hidden := strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
		if name = strings.TrimSuffix(name, "/"); inside && (tracked || !hidden) && counts(name) {
			changed = append(changed, name)
		}
	}
	for _, line := range strings.Split(found.status, "\x00") {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "?", "!":
			note(rest, false)
		case "1": // XY sub mH mI mW hH hI path
			f := strings.SplitN(rest, " ", 8)
			onlyMode := f[0][1] == '.' && f[5] == f[6] && f[2][:3] == f[3][:3]
			same := false
			if f[0] == "MM" { // staged, and then changed again: back to what it was?
				if same, _, err = g.likeHead(ctx, files, head, sub, strings.TrimPrefix(f[7], below)); err != nil {
					return nil, nil, err
				}
			}
			if !onlyMode && !same {
				note(f[7], f[2] != "000000")
			}
		case "u": // XY sub m1 m2 m3 mW h1 h2 h3 path
			note(strings.SplitN(rest, " ", 10)[9], true)
		}
	}
	for _, line := range strings.Split(found.flags, "\x00") {
		flag, full, _ := strings.Cut(line, " ")
		name, inside := strings.CutPrefix(full, below)
		if !inside || name == "" || flag == "H" || flag == "M" || !counts(name) {
			continue
		}
		same, there, err := g.likeHead(ctx, files, head, sub, name)
		switch {
		case err != nil:
			return nil, nil, err
		case !there && strings.EqualFold(flag, "S"):
			unchecked = append(unchecked, name)
		case !same:
			note(full, true)
		}
	}
	slices.Sort(changed)
	return slices.Compact(changed), unchecked, nil
}

// likeHead compares a file on disk with HEAD, by the hash that git would give it.
func (g *localGit) likeHead(ctx context.Context, files *os.Root, head treeFS, sub, name string) (same, there bool, err error) {
	if files == nil {
		return false, false, nil
	}
	info, err := files.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return false, true, err
	}
	out, err := g.run(ctx, "hash-object", "--", path.Join(sub, name))
	if err != nil {
		return false, true, g.explain(err)
	}
	n, err := head.lookup("compare", name)
	return err == nil && n.hash.String() == strings.TrimSpace(out), true, nil
}
