package archtest

import (
	"go/ast"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSamplesAreLargerInCI: a test that tries a sample for a person is one of those of
// which .ci/run tries more.
func TestSamplesAreLargerInCI(t *testing.T) {
	script, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^sampled='(.+)'$`).FindSubmatch(script)
	if line == nil {
		t.Fatal(".ci/run does not say which tests are sampled")
	}
	sampled, tests := regexp.MustCompile(string(line[1])), 0
	for _, f := range repository(t).sources() {
		if !f.test() || strings.HasPrefix(f.path, "internal/walk/") {
			continue
		}
		for _, d := range f.syntax.Decls {
			test, is := d.(*ast.FuncDecl)
			if !is || !strings.HasPrefix(test.Name.Name, "Test") || !asksWalk(test) {
				continue
			}
			if tests++; !sampled.MatchString(test.Name.Name) {
				t.Errorf("%s: %s tries a sample, and .ci/run does not try more of it", f.path, test.Name.Name)
			}
		}
	}
	if tests < 5 {
		t.Errorf("only %d tests try a sample", tests)
	}
}

// asksWalk tells whether a function calls the package that samples, for more than a seed
// or for the whole package to be quick.
func asksWalk(f *ast.FuncDecl) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		if s, is := n.(*ast.SelectorExpr); is {
			x, isName := s.X.(*ast.Ident)
			found = found || isName && x.Name == "walk" && s.Sel.Name != "Seed" && s.Sel.Name != "Quick"
		}
		return !found
	})
	return found
}
