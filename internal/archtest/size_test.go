package archtest

import (
	"go/ast"
	"testing"
)

const (
	longFile     = 500
	longFunction = 80
)

// TestSizeHints logs what may be too long to be read in one go. It never fails: a
// long file that tells one thing is better than three that have to be read together.
func TestSizeHints(t *testing.T) {
	tr := repository(t)
	for _, f := range tr.code() {
		if lines := f.lines(); lines > longFile {
			t.Logf("hint: %s has %d lines", f.path, lines)
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && tr.span(fn) > longFunction {
				t.Logf("hint: %s:%d: %s has %d lines", f.path, tr.line(fn), fn.Name.Name, tr.span(fn))
			}
		}
	}
}

func (t tree) span(n ast.Node) int {
	return t.positions.Position(n.End()).Line - t.positions.Position(n.Pos()).Line + 1
}
