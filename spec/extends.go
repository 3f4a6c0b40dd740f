package spec

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

const (
	// maxExtends is how many files one may take over, one after the other.
	maxExtends = 5
	// maxShared is how many values the files hold together that others extend. They are
	// kept while a commit is read.
	maxShared = 200_000
)

const extendsField = "extends"

// kind is what a file is read as, which decides what may stand in one that it extends.
type kind int

const (
	environmentFile kind = iota
	connectionFile
)

// baseName is a file that others extend. The same text is another one for each kind.
type baseName struct {
	file string
	kind kind
}

// base is a file that others extend, over what it extends itself.
type base struct {
	node     *yamlpos.Node // nil: nothing of it can be told
	up       *base         // what it extends
	whole    bool          // nothing is missing of what it says
	files    int           // it, and what it takes over, one after the other
	size     int           // their bytes
	problems []Problem     // of this file alone; of no environment
	reading  bool
}

// extend lays a file over what it extends. It is not whole where something of that could
// not be read, which s was told of.
func (l *loader) extend(s *sink, n *yamlpos.Node, k kind) (merged *yamlpos.Node, whole bool) {
	if n.Kind != yamlpos.Mapping {
		return n, true
	}
	up, whole := l.parent(s, n, k)
	n = n.Without(extendsField)
	if up == nil {
		return n, whole
	}
	for b := up; b != nil; b = b.up {
		for _, p := range b.problems {
			p.Environment = s.environment
			s.problems = append(s.problems, p)
		}
	}
	l.bytes += up.size // as if it were written here
	return merge(up.node, n, ""), up.whole
}

// parent is what a file extends, nil for nothing. It is not whole where the file names
// something else than a file that can be extended.
func (l *loader) parent(s *sink, n *yamlpos.Node, k kind) (up *base, whole bool) {
	o := object{yamlpos.Object{Reporter: s, Node: n}, s}
	if !o.Has(extendsField) {
		return nil, true
	}
	f := o.Text(extendsField)
	if !f.Given() {
		return nil, false
	}
	file, found := l.locate(s, f)
	if !found {
		return nil, false
	}
	up = l.base(baseName{file, k})
	switch {
	case up.reading:
		s.errorf(f.Origin, "take the line out", "this file is extended by %s, so it cannot extend it", yamlpos.Quoted(file))
		return nil, false
	case up.files > maxExtends:
		s.errorf(f.Origin, "merge some of them", "this takes over more than %d files, one after the other", maxExtends)
		return nil, false
	case up.node == nil:
		s.errorf(f.Origin, "mend that file", "what this extends cannot be used: %s", up.problems[0].What())
	}
	return up, true
}

// base reads a file that others extend, once.
func (l *loader) base(name baseName) *base {
	if b := l.bases[name]; b != nil {
		return b
	}
	b := &base{reading: true, files: 1}
	l.bases[name] = b
	s, before := &sink{}, l.bytes
	n := l.parse(s, name.file)
	b.size = l.bytes - before
	switch {
	case n == nil:
	case n.Kind != yamlpos.Mapping || n.Tagged:
		if !n.Bad {
			s.errorf(n.Origin, "", "the file must be a mapping")
		}
		n = nil
	default:
		n = l.share(s, n, name.kind)
		if l.shared > maxShared {
			s.errorf(Origin{File: name.file}, "let files say what is their own", "the files that others extend hold more than 200,000 values up to this one")
			n = nil
		}
	}
	if n != nil {
		b.up, b.whole = l.parent(s, n, name.kind)
		b.node = n.Without(extendsField)
	}
	if up := b.up; up != nil {
		b.node, b.whole, b.files, b.size = merge(up.node, b.node, ""), up.whole, up.files+1, b.size+up.size
	}
	s.shorten(0, name.file)
	b.problems, b.reading = s.problems, false
	return b
}

// share reports what may not stand in a file that others extend, and returns the rest.
func (l *loader) share(s *sink, n *yamlpos.Node, k kind) *yamlpos.Node {
	own := "the connection's own file"
	if k == environmentFile {
		own = "environment.yaml"
	}
	const where, secret = "may not stand in a file that others extend", "a secret belongs to one environment"
	var keep func(n *yamlpos.Node, path string) *yamlpos.Node
	keep = func(n *yamlpos.Node, path string) *yamlpos.Node {
		kept := *n
		kept.Raw, kept.Members, kept.Items = nil, nil, nil
		l.shared++
		for _, m := range n.Members {
			at := yamlpos.Below(path, m.Name)
			block, _, _ := strings.Cut(at, ".")
			switch {
			case k == environmentFile && (at == "dev_id" || at == "prune"):
				s.errorf(m.Origin, "write it in "+own, "%s %s: each environment says it itself", at, where)
			case at == "policy.allow":
				s.errorf(m.Origin, "write it in "+own, "an approval %s: it is for one environment", where)
			case path == "credentials" && slices.Contains(l.secrets, m.Name), m.Value.Tagged && block == "credentials":
				s.errorf(m.Origin, "write it in "+own, "%s %s: %s", path+"."+m.Name, where, secret)
			case m.Value.Tagged:
				s.errorf(m.Value.Origin, "write it in "+own, "a sealed value %s: %s", where, secret)
			default:
				m.Key, m.Value = nil, keep(m.Value, at)
				kept.Members = append(kept.Members, m)
			}
		}
		for _, item := range n.Items {
			if item.Tagged {
				s.errorf(item.Origin, "write it in "+own, "a sealed value %s: %s", where, secret)
				continue
			}
			kept.Items = append(kept.Items, keep(item, path))
		}
		return &kept
	}
	return keep(n, "")
}

// locate finds the file that a path means, from the folder of the file it stands in.
func (l *loader) locate(s *sink, f Field[string]) (file string, ok bool) {
	written := strings.TrimPrefix(f.Value, "./")
	file = path.Join(path.Dir(f.Origin.File), written)
	names := strings.Split(file, "/")
	begins := func(with string) func(string) bool {
		return func(name string) bool { return strings.HasPrefix(name, with) }
	}
	const like = "write it like `../_base/strava.yaml`, from the folder of this file"
	switch {
	case strings.Contains(f.Value, `\`):
		s.errorf(f.Origin, like, "extends holds a backslash")
	case path.IsAbs(f.Value), strings.Contains(f.Value, ":"):
		s.errorf(f.Origin, like, "extends must be a path in this repository")
	case names[0] == "..":
		s.errorf(f.Origin, like, "extends leads out of the repository")
	case !slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(path.Ext(file))):
		s.errorf(f.Origin, like, "extends must name a file that ends in .yaml or .yml")
	case path.Clean(written) != written:
		s.errorf(f.Origin, "write `"+path.Clean(written)+"`", "extends takes a roundabout way")
	case slices.ContainsFunc(names, begins(".")):
		s.errorf(f.Origin, like, "extends leads to a name that begins with `.`, which is not read")
	case !slices.ContainsFunc(names, begins("_")):
		s.errorf(f.Origin, "put what is shared into a file such as `_base/"+path.Base(file)+"`",
			"extends must name a file that is no connection or environment itself: its name, or a folder, begins with `_`")
	default:
		l.extended[file] = true
		return file, l.exists(s, f.Origin, strings.Split(written, "/"), names)
	}
	return "", false
}

// exists looks for a file, name by name, so that it is the one in every file system and
// no link leads to it. written is its path as it stands in a file.
func (l *loader) exists(s *sink, at Origin, written, names []string) bool {
	for i, name := range names {
		dir, last := path.Join(append([]string{"."}, names[:i]...)...), i == len(names)-1
		entries, err := l.list(dir)
		if err != nil {
			s.errorf(at, "", "the folder of what this extends cannot be read: %v", reason(err))
			return false
		}
		found, there := slices.BinarySearchFunc(entries, name, func(e fs.DirEntry, name string) int { return cmp.Compare(e.Name(), name) })
		if !there {
			var others []string
			for _, e := range guessed(l, entries) {
				if e.IsDir() != last && yamlpos.IsShown(e.Name(), false) {
					others = append(others, e.Name())
				}
			}
			hint := ""
			if near := Nearest(name, others); near != "" {
				like := slices.Clone(written)
				like[len(like)-(len(names)-i)] = near
				hint = "did you mean `" + strings.Join(like, "/") + "`?"
			}
			s.errorf(at, cmp.Or(hint, "write the path of a file that is there, from the folder of this file"), "what this extends is not there: %s", yamlpos.Quoted(path.Join(dir, name)))
			return false
		}
		switch t := entries[found].Type(); {
		case t&fs.ModeSymlink != 0:
			s.errorf(at, "replace it by the file itself", "what this extends is a symbolic link, or behind one")
			return false
		case last && t.IsDir(), !last && t&fs.ModeType != fs.ModeDir:
			s.errorf(at, "name a file", "what this extends is a folder, or below a file")
			return false
		case last && !t.IsRegular():
			s.errorf(at, "name a file", "what this extends is neither a file nor a folder")
			return false
		}
	}
	return true
}

// guessed are the names that a wrong one is compared with; none, where that was done for
// too many.
func guessed[T any](l *loader, names []T) []T {
	if l.compared += len(names); l.compared > maxCompared {
		return nil
	}
	return names
}

func (l *loader) list(dir string) ([]fs.DirEntry, error) {
	if entries, done := l.listed[dir]; done {
		return entries, nil
	}
	entries, err := fs.ReadDir(l.fsys, dir)
	if err == nil {
		l.listed[dir] = entries
	}
	return entries, err
}
