package spec_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// TestEveryMessageHasABadFile reads the messages out of the code and demands
// that some bad repository shows each.
func TestEveryMessageHasABadFile(t *testing.T) {
	shown := shownMessages(t)
	formats := sourceMessages(t)
	if len(formats) < 80 {
		t.Fatalf("found %d messages in the code, want at least 80: does this test still read it?", len(formats))
	}
	verb := regexp.MustCompile(`%[a-zA-Z]`)
	for format, where := range formats {
		pattern := "^"
		for i, part := range verb.Split(format, -1) {
			if i > 0 {
				pattern += ".*"
			}
			pattern += regexp.QuoteMeta(part)
		}
		if !matchesAny(regexp.MustCompile(pattern+"$"), shown) {
			t.Errorf("%s: no bad file shows %q", where, format)
		}
	}
	t.Logf("%d messages", len(formats))
}

func matchesAny(pattern *regexp.Regexp, texts []string) bool {
	for _, text := range texts {
		if pattern.MatchString(text) {
			return true
		}
	}
	return false
}

func shownMessages(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	add := func(problems []spec.Problem) {
		for _, p := range problems {
			shown = append(shown, p.Message)
		}
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fsys, _ := badRepository(archive)
		_, problems := spec.Load(fsys, vocabulary())
		add(problems)
	}
	for _, s := range shapes() {
		_, problems := spec.Load(s.fsys, vocabulary())
		add(problems)
	}
	return shown
}

// sourceMessages returns the formats of all problems, with their position.
func sourceMessages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	reader, bad := filepath.Glob("../internal/yamlpos/*.go")
	if err != nil || bad != nil || len(reader) == 0 {
		t.Fatal(err, bad, reader)
	}
	names = append(names, reader...)
	found := map[string]string{}
	files := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if format := formatOf(call); format != "" {
					found[format] = files.Position(call.Pos()).String()
				}
			}
			if fn, ok := n.(*ast.FuncDecl); ok && (fn.Name.Name == "explain" || fn.Name.Name == "checkArmor") {
				for _, text := range sentences(fn) {
					found[text] = files.Position(fn.Pos()).String()
				}
			}
			return true
		})
	}
	return found
}

// formatOf returns the format of a call that reports a problem: the last
// argument that is a literal with a space in it.
func formatOf(call *ast.CallExpr) string {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	index, ok := map[string]int{"errorf": 2, "warnf": 2, "report": 4}[selector.Sel.Name]
	if receiver, isName := selector.X.(*ast.Ident); isName && receiver.Name == "p" {
		index = 3
	}
	if !ok || index >= len(call.Args) {
		return ""
	}
	literal, ok := call.Args[index].(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil || text == "%s" {
		return ""
	}
	return text
}

// sentences returns the messages that a function holds in a table or returns:
// the third literal of each row, and what is returned with spaces in it.
func sentences(fn *ast.FuncDecl) []string {
	var found []string
	literal := func(e ast.Expr) {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if text, err := strconv.Unquote(l.Value); err == nil && text != "" {
				if fn.Name.Name == "checkArmor" {
					text = "%s " + text
				}
				found = append(found, text)
			}
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if n.Type == nil && len(n.Elts) == 3 {
				literal(n.Elts[1])
			}
		case *ast.ReturnStmt:
			first := n.Results[0]
			if sum, ok := first.(*ast.BinaryExpr); ok {
				first = sum.X
				if l, ok := first.(*ast.BasicLit); ok {
					first = &ast.BasicLit{Kind: token.STRING, Value: strings.TrimSuffix(l.Value, `"`) + `%s"`}
				}
			}
			literal(first)
		}
		return true
	})
	return found
}
