package reconcile

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writers are the fields of Connection that each file writes, which is a stage of
// environment.run or what stages share.
func writers() map[string]string {
	return map[string]string{
		"connection.go":  "Aside Provider", // one that is new
		"environment.go": "Aside File Keys Remembered keysAtStart",
		"resolve.go":     "Keys catalogue checked due found listed resolved sealed tokenLifetime verification waits",
		"observe.go":     "Observed Remembered Type source",
		"read.go":        "Domain answers",
		"promotion.go":   "After",
		"compare.go":     "Observed",
		"shown.go":       "Observed",
		"measure.go":     "Users",
		"review.go":      "Desired Keys Probe begun dead keysAtStart soakUsers warnings",
		"plan.go":        "Changes",
		"keys.go":        "Changes", // only points to one, to show its key
		"apply.go":       "Changes",
		"write.go":       "control defaultRedirect refusal sharedDomain",
	}
}

// TestFilesWriteTheFieldsOfTheirStage holds every assignment of the package to a field
// of a connection against the table, where TestStagesWriteTheirOwnFields sees those of
// one scene. It sees c.field = …, &c.field, and the pointer methods of our own types.
func TestFilesWriteTheFieldsOfTheirStage(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	config := types.Config{Importer: nothing{}, Error: func(error) {}} // what is imported stays unknown
	_, _ = config.Check("reconcile", set, files, &info)

	written := map[string]map[string]bool{}
	note := func(e ast.Expr) {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
				continue
			case *ast.SelectorExpr:
				if t := info.TypeOf(x.X); t == nil || strings.TrimPrefix(t.String(), "*") != "reconcile.Connection" {
					e = x.X
					continue
				}
				file := set.Position(x.Pos()).Filename
				if written[file] == nil {
					written[file] = map[string]bool{}
				}
				written[file][x.Sel.Name] = true
			}
			return
		}
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					note(e)
				}
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					note(n.X)
				}
			case *ast.CallExpr:
				if method, ok := n.Fun.(*ast.SelectorExpr); ok && info.Selections[method] != nil {
					if f, ok := info.Selections[method].Obj().(*types.Func); ok && strings.HasPrefix(f.Signature().Recv().Type().String(), "*") {
						note(method.X)
					}
				}
			}
			return true
		})
	}
	got := map[string]string{}
	for file, fields := range written {
		got[file] = strings.Join(slices.Sorted(maps.Keys(fields)), " ")
	}
	if d := cmp.Diff(writers(), got); d != "" {
		t.Errorf("fields of Connection by the file that writes them (-want +got):\n%s", d)
	}
	all := strings.Fields(strings.Join(slices.Collect(maps.Values(got)), " ") + " Connection Name")
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Connection]()) {
		if !slices.Contains(all, f.Name) {
			t.Errorf("no file writes %s", f.Name)
		}
	}
}

type nothing struct{}

func (nothing) Import(name string) (*types.Package, error) {
	p := types.NewPackage(name, filepath.Base(name))
	p.MarkComplete()
	return p, nil
}
