package archtest

import (
	"go/ast"
	"go/types"
	"path"
	"slices"
	"strings"
)

// checkFiles holds a package to the contents that its doc.go lists under "# Files", one
// indented line a file. What stands above the list says which way its calls go: "what
// stands below it" or "what stands above it". The packages of the loop must have one.
func checkFiles(t tree) []finding {
	var found []finding
	for _, f := range t.code() {
		if path.Base(f.path) != "doc.go" {
			continue
		}
		order, section, listed := filesOf(f)
		if !listed {
			if slices.Contains([]string{"reconcile", "reconcile/plan"}, f.dir()) {
				found = append(found, finding{f.path, 0, "lists no # Files"})
			}
			continue
		}
		if strings.Contains(section, "what stands above it") {
			slices.Reverse(order)
		} else if !strings.Contains(section, "what stands below it") {
			found = append(found, finding{f.path, 0, "does not say whether a file calls what stands below it or above it"})
		}
		found = append(found, t.againstOrder(f.dir(), order)...)
	}
	return found
}

// filesOf gives the files that a doc.go lists under "# Files", and all that stands there.
func filesOf(doc file) (order []string, section string, listed bool) {
	_, section, listed = strings.Cut(doc.syntax.Doc.Text(), "\n# Files\n")
	section, _, _ = strings.Cut(section, "\n# ")
	for line := range strings.SplitSeq(section, "\n") {
		if entry, indented := strings.CutPrefix(line, "\t"); indented {
			name, _, _ := strings.Cut(entry, " ")
			order = append(order, name+".go")
		}
	}
	return order, section, listed
}

// againstOrder reports the files of a package that stand not once in the order, and the
// uses of a function that is declared in an earlier file.
func (t tree) againstOrder(dir string, order []string) []finding {
	var found []finding
	var files []*ast.File
	declared := map[string][]int{} // the places of functions by name
	place := func(n ast.Node) int { return slices.Index(order, path.Base(t.positions.Position(n.Pos()).Filename)) }
	for _, f := range t.code() {
		name := path.Base(f.path)
		if f.dir() != dir || name == "doc.go" {
			continue
		}
		files = append(files, f.syntax)
		if place(f.syntax) < 0 {
			found = append(found, finding{f.path, 0, "is not in the list of its package's files"})
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				declared[fn.Name.Name] = append(declared[fn.Name.Name], place(f.syntax))
			}
		}
	}
	for i, name := range order {
		if _, there := t.find(path.Join(dir, name)); !there || slices.Contains(order[:i], name) {
			found = append(found, finding{path.Join(dir, "doc.go"), 0, "lists " + name + " twice, or it is not there"})
		}
	}
	// Without what it imports the package does not compile, but what is its own resolves;
	// the rest goes by name.
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: emptyImporter{}, Error: func(error) {}}
	_, _ = config.Check(dir, t.positions, files, &info)
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			var to []int
			name := ""
			switch n := n.(type) {
			case *ast.Ident:
				if fn, ok := info.Uses[n].(*types.Func); ok && fn.Pkg() != nil && fn.Pkg().Path() == dir {
					name, to = n.Name, []int{slices.Index(order, path.Base(t.positions.Position(fn.Pos()).Filename))}
				}
			case *ast.SelectorExpr:
				if info.Uses[n.Sel] == nil && !ast.IsExported(n.Sel.Name) {
					name, to = n.Sel.Name, declared[n.Sel.Name]
				}
			}
			if len(to) > 0 && slices.Max(to) < place(f) {
				found = append(found, t.at(n, "uses % of %, which stands before it", name, order[max(0, slices.Max(to))]))
			}
			return true
		})
	}
	return found
}

// emptyImporter gives packages that hold nothing.
type emptyImporter struct{}

func (emptyImporter) Import(name string) (*types.Package, error) {
	p := types.NewPackage(name, path.Base(name))
	p.MarkComplete()
	return p, nil
}
