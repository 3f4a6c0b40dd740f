package archtest

import (
	"go/ast"
	"go/token"
	"path"
	"strings"
	"testing"
)

// hostileCases are at least so many: what was once tried against the program stays
// tried.
const hostileCases = 150

// TestHostileCases counts the attacks that the tests of all packages carry out: in
// their files hostile*_test.go each is a row of a table with the field attack.
func TestHostileCases(t *testing.T) {
	cases := 0
	for _, f := range repository(t).sources() {
		if !f.test() || !strings.HasPrefix(path.Base(f.path), "hostile") {
			continue
		}
		seen := map[string]bool{}
		for _, name := range attackNames(f.syntax) {
			if seen[name] {
				t.Errorf("%s: attack %s stands there twice", f.path, name)
			}
			seen[name] = true
		}
		cases += len(seen)
	}
	if cases < hostileCases {
		t.Errorf("got %d attacks, want at least %d", cases, hostileCases)
	}
	t.Logf("COUNT hostile_cases=%d", cases)
}

// attackNames are the literals that stand for a field attack.
func attackNames(syntax *ast.File) (names []string) {
	ast.Inspect(syntax, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		key, isName := pair.Key.(*ast.Ident)
		text, isText := pair.Value.(*ast.BasicLit)
		if isName && key.Name == "attack" && isText && text.Kind == token.STRING {
			names = append(names, text.Value)
		}
		return true
	})
	return names
}
