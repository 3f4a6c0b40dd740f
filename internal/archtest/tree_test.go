package archtest

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const module = "github.com/terra-reconcile/terra-reconcile"

// A file is one text file of the repository.
type file struct {
	path   string    // below the root, with slashes
	text   string    // all of it
	syntax *ast.File // nil unless it is Go source outside testdata
}

func (f file) dir() string  { return path.Dir(f.path) }
func (f file) test() bool   { return strings.HasSuffix(f.path, "_test.go") }
func (f file) lines() int   { return strings.Count(strings.TrimSuffix(f.text, "\n"), "\n") + 1 }
func (f file) source() bool { return f.syntax != nil }

// A tree is all the text files of the repository, sorted by path.
type tree struct {
	files     []file
	pictures  []string // and whatever else is no text
	positions *token.FileSet
}

// A finding is one broken rule at one place; line 0 means the whole file.
type finding struct {
	path    string
	line    int
	message string
}

func (f finding) String() string {
	if f.line == 0 {
		return f.path + ": " + f.message
	}
	return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.message)
}

func (t tree) line(n ast.Node) int { return t.positions.Position(n.Pos()).Line }

func (t tree) at(n ast.Node, format string, arguments ...string) finding {
	message := format
	for _, a := range arguments {
		message = strings.Replace(message, "%", a, 1)
	}
	p := t.positions.Position(n.Pos())
	return finding{p.Filename, p.Line, message}
}

// sources are the Go files of packages; code are those that are not tests.
func (t tree) sources() []file {
	return slices.DeleteFunc(slices.Clone(t.files), func(f file) bool { return !f.source() })
}

func (t tree) code() []file {
	return slices.DeleteFunc(t.sources(), file.test)
}

func (t tree) find(name string) (file, bool) {
	i, ok := slices.BinarySearchFunc(t.files, name, func(f file, name string) int {
		return strings.Compare(f.path, name)
	})
	if !ok {
		return file{}, false
	}
	return t.files[i], true
}

// exists says whether name is a file, or a folder that holds one.
func (t tree) exists(name string) bool {
	if name == "." {
		return true
	}
	return slices.Contains(t.pictures, name) || slices.ContainsFunc(t.files, func(f file) bool {
		return f.path == name || strings.HasPrefix(f.path, name+"/")
	})
}

// ignored says which folders are not the repository's text: version control,
// build output, the fixtures of the rules and local state.
func ignored(name string) bool {
	switch name {
	case ".git", "bin", "dist", "state", "internal/archtest/testdata":
		return true
	}
	return false
}

// readTree reads every text file. A tree without a Go file is an error: then the
// walk is broken, not the repository clean.
func readTree(fsys fs.FS) (tree, error) {
	t := tree{positions: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && ignored(name):
			return fs.SkipDir
		case !d.Type().IsRegular() || ignored(name): // in a git worktree .git is a file
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 {
			t.pictures = append(t.pictures, name)
			return nil
		}
		f := file{path: name, text: string(text)}
		if strings.HasSuffix(name, ".go") && !strings.Contains("/"+name, "/testdata/") && !strings.HasPrefix(name, ".ci/") { // a tool there is a module of its own
			f.syntax, err = parser.ParseFile(t.positions, name, text, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return fmt.Errorf("parse %s: %w", name, err)
			}
		}
		t.files = append(t.files, f)
		return nil
	})
	if err != nil {
		return tree{}, err
	}
	slices.SortFunc(t.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	if len(t.sources()) == 0 {
		return tree{}, errors.New("read tree: no Go file found")
	}
	return t, nil
}

// selector returns "pkg.Name" for a selector on an imported package or variable,
// "" for any other node.
func selector(n ast.Node) string {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + s.Sel.Name
}

// imports says whether f imports the package.
func (f file) imports(name string) bool {
	return slices.ContainsFunc(f.syntax.Imports, func(s *ast.ImportSpec) bool {
		return s.Path.Value == `"`+name+`"`
	})
}
