package archtest

import (
	"go/ast"
	"go/build/constraint"
	"slices"
	"strings"
)

const (
	clockTag  = "testclock"
	testWords = "RECONCILE_TES" + "T_" // how the variables begin that only a binary for tests reads
)

// checkTestClock proves that only a binary built for tests can be told the time:
// each file under the tag has, in its folder, a file that takes its place without
// the tag and declares nothing that the other lacks, no other file knows the
// variables that such a binary reads, and nothing that builds a release mentions
// the tag.
func checkTestClock(t tree) []finding {
	var found []finding
	for _, f := range t.sources() {
		with, without := clockConstraint(f)
		if without && !f.test() && strings.Contains(f.text, testWords) {
			found = append(found, finding{f.path, 1, "a release knows of " + testWords + "*, which is for tests"})
		}
		if !with || without {
			continue
		}
		i := slices.IndexFunc(t.files, func(g file) bool {
			with, without := clockConstraint(g)
			return g.dir() == f.dir() && !with && without && subset(declared(g), declared(f))
		})
		if i < 0 {
			found = append(found, finding{f.path, 1, "has no twin for a build without " + clockTag})
		}
	}
	for _, f := range t.files {
		if f.path != "Dockerfile" && f.path != "Makefile" && !strings.HasPrefix(f.path, ".github/") && f.dir() != ".ci" {
			continue
		}
		for i, line := range strings.Split(f.text, "\n") {
			if strings.Contains(line, clockTag) && (f.dir() != ".ci" || strings.Contains(line, "go build")) {
				found = append(found, finding{f.path, i + 1, "a release is built with the tag " + clockTag})
			}
		}
	}
	return found
}

// clockConstraint says whether f is part of a build with and without the tag,
// every other tag being set. Both are true for a file that does not mention it.
func clockConstraint(f file) (with, without bool) {
	if !f.source() {
		return true, true
	}
	for _, group := range f.syntax.Comments {
		for _, c := range group.List {
			if c.Pos() > f.syntax.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			expr, err := constraint.Parse(c.Text)
			if err != nil {
				return true, false
			}
			eval := func(set bool) bool {
				return expr.Eval(func(tag string) bool { return tag != clockTag || set })
			}
			return eval(true), eval(false)
		}
	}
	return true, true
}

// declared lists the names at package level; methods carry their receiver's.
func declared(f file) []string {
	var names []string
	for _, d := range f.syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, receiverName(d)+d.Name.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

func receiverName(fn *ast.FuncDecl) string {
	name := ""
	if fn.Recv != nil {
		ast.Inspect(fn.Recv.List[0].Type, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && name == "" {
				name = id.Name + "."
			}
			return true
		})
	}
	return name
}

func subset(small, large []string) bool {
	return !slices.ContainsFunc(small, func(s string) bool { return !slices.Contains(large, s) })
}
