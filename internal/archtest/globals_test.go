package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// variables lists the package variables ("file: name") that may stand, each with
// its reason, beside error sentinels, compiled regexps and embedded files.
func variables() map[string]string {
	return map[string]string{
		"cmd/reconcile/main.go: version":      "the linker writes it (-X main.version)",
		"cmd/terra-emulator/main.go: version": "the linker writes it (-X main.version)",

		"internal/terra/terratest/contract.go: sharedContract": "a constant that takes a tenth of a second to make",
	}
}

func checkNoInit(t tree) []finding {
	var found []finding
	for _, f := range t.sources() {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, t.at(fn, "func init: call it from where it is needed"))
			}
		}
	}
	return found
}

func checkGlobals(t tree) []finding {
	var found []finding
	for _, f := range t.sources() {
		for _, d := range f.syntax.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				v, ok := s.(*ast.ValueSpec)
				if !ok || embedded(g, v) {
					continue
				}
				for i, name := range v.Names {
					_, listed := variables()[f.path+": "+name.Name]
					if !listed && !constantInSpirit(f, v, name.Name, i) {
						found = append(found, t.at(name, "package variable %: pass it, or return it from a function", name.Name))
					}
				}
			}
		}
	}
	return found
}

func embedded(g *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, group := range []*ast.CommentGroup{g.Doc, v.Doc} {
		if group == nil {
			continue
		}
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

var sentinel = regexp.MustCompile(`^[eE]rr[A-Z]`)

// constantInSpirit accepts what nobody assigns to: assertions that a type fits an
// interface, error sentinels, compiled regexps, and the flags of a test.
func constantInSpirit(f file, v *ast.ValueSpec, name string, i int) bool {
	if name == "_" {
		return true
	}
	if i >= len(v.Values) {
		return false
	}
	call, ok := v.Values[i].(*ast.CallExpr)
	if !ok {
		return false
	}
	switch selector(call.Fun) {
	case "errors.New", "fmt.Errorf":
		return sentinel.MatchString(name)
	case "regexp.MustCompile":
		return true
	case "sync.OnceValue":
		return lazyRegexp(call)
	case "flag.Bool", "flag.Int", "flag.String", "flag.Duration":
		return f.test()
	}
	return false
}

// lazyRegexp accepts a regexp that is compiled when it is first used:
// sync.OnceValue(func() *regexp.Regexp { … }).
func lazyRegexp(call *ast.CallExpr) bool {
	f, ok := call.Args[0].(*ast.FuncLit)
	if !ok || f.Type.Results == nil || len(f.Type.Results.List) != 1 {
		return false
	}
	result, ok := f.Type.Results.List[0].Type.(*ast.StarExpr)
	return ok && selector(result.X) == "regexp.Regexp"
}
