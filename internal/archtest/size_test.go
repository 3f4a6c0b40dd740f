package archtest

import (
	"fmt"
	"go/ast"
	"strings"
)

const (
	maxCodeLines     = 300
	maxTestLines     = 500
	maxFunctionLines = 60
)

// longer lists the files and functions ("file: function") that may exceed the
// limits, each with its reason.
func longer() map[string]string {
	return map[string]string{}
}

// checkLength limits files and functions. Physical lines count, comments too.
// Lines of a literal that holds data only (a table, a fixture, a text) do not
// count against the function around it: they are read as data. So are the tables
// of a test, whose cases may be functions; each of those has the same limit.
func checkLength(t tree) []finding {
	var found []finding
	excused := longer()
	used := map[string]bool{}
	report := func(key string, line, got, limit int) {
		if got <= limit {
			return
		}
		if _, ok := excused[key]; ok {
			used[key] = true
			return
		}
		name, what, isFunction := strings.Cut(key, ": ")
		if !isFunction {
			what = "the file"
		}
		found = append(found, finding{name, line, fmt.Sprintf("%s has %d lines, at most %d", what, got, limit)})
	}
	for _, f := range t.sources() {
		if ast.IsGenerated(f.syntax) {
			continue
		}
		limit := maxCodeLines
		if f.test() {
			limit = maxTestLines
		}
		report(f.path, 0, f.lines(), limit)
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				lines, cases := t.dataLines(fn.Body, f.test())
				report(f.path+": "+fn.Name.Name, t.line(fn), t.span(fn)-lines, maxFunctionLines)
				for _, c := range cases {
					report(f.path+": a case of "+fn.Name.Name, t.line(c), t.span(c), maxFunctionLines)
				}
			}
		}
	}
	for key := range excused {
		if !used[key] {
			found = append(found, finding{"internal/archtest/size_test.go", 0, "the exception for " + key + " is not needed any more"})
		}
	}
	return found
}

func (t tree) span(n ast.Node) int {
	return t.positions.Position(n.End()).Line - t.positions.Position(n.Pos()).Line + 1
}

// dataLines counts the lines inside outermost literals that hold no function or
// are a test's table, and returns the functions inside those tables.
func (t tree) dataLines(body ast.Node, test bool) (lines int, cases []*ast.FuncLit) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			functions := functionsIn(n)
			if len(functions) > 0 && !(test && isTable(n)) {
				return true
			}
			lines += t.span(n) - 1
			cases = append(cases, functions...)
			return false
		case *ast.BasicLit:
			lines += t.span(n) - 1
		}
		return true
	})
	return lines, cases
}

func isTable(n *ast.CompositeLit) bool {
	switch n.Type.(type) {
	case *ast.ArrayType, *ast.MapType:
		return true
	}
	return false
}

func functionsIn(n ast.Node) []*ast.FuncLit {
	var found []*ast.FuncLit
	ast.Inspect(n, func(n ast.Node) bool {
		fn, ok := n.(*ast.FuncLit)
		if ok {
			found = append(found, fn)
		}
		return !ok
	})
	return found
}
