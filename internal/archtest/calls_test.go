package archtest

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// calls reports each use of a function named "pkg.Name", also without a call.
// Its format takes the package's folder and the function.
func (t tree) calls(f file, names []string, format string) []finding {
	var found []finding
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if n == nil {
			return true
		}
		if name := selector(n); slices.Contains(names, name) {
			found = append(found, t.at(n, format, f.dir(), name))
		}
		return true
	})
	return found
}

// revealers are the files, as path.Match patterns, that may turn a secret into
// text: request bodies and the authorization header, probes, the rules for what a
// provider's secret looks like, and the commands whose purpose is to show or seal.
func revealers() []string {
	return []string{
		"secrets/*.go",
		"internal/terra/*.go",
		"providers/probe*.go",
		"providers/check.go",
		"internal/cli/secret*.go",
		"internal/cli/demo*.go", // the throw-away identity of the demo
	}
}

// checkReveal finds every mention of a method Reveal, called or passed on.
func checkReveal(t tree) []finding {
	var found []finding
	for _, f := range t.code() {
		if slices.ContainsFunc(revealers(), func(pattern string) bool {
			ok, err := path.Match(pattern, f.path)
			return ok || err != nil
		}) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" {
				found = append(found, t.at(s.Sel, "Reveal outside the files that may open a secret"))
			}
			return true
		})
	}
	return found
}

// checkNoSleep refuses time.Sleep everywhere but in a function that opens a
// synctest bubble, where it turns a virtual clock. Product code waits on a timer
// and its context.
func checkNoSleep(t tree) []finding {
	var found []finding
	for _, f := range t.sources() {
		for _, d := range f.syntax.Decls {
			var sleeps []finding
			bubble := false
			ast.Inspect(d, func(n ast.Node) bool {
				switch {
				case n == nil:
				case selector(n) == "synctest.Test":
					bubble = true
				case selector(n) == "time.Sleep":
					sleeps = append(sleeps, t.at(n, "time.Sleep without synctest.Test: wait for the event, or inject a clock"))
				}
				return true
			})
			if !bubble {
				found = append(found, sleeps...)
			}
		}
	}
	return found
}

// checkNoExit lets only a command's main.go end the process, and the test file
// with TestMain, which plays a main: a test may re-run its binary as a child.
func checkNoExit(t tree) []finding {
	ends := []string{"os.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln", "log.Panic", "log.Panicf", "syscall.Exit"}
	var found []finding
	for _, f := range t.sources() {
		ok, err := path.Match("cmd/*/main.go", f.path)
		if ok || err != nil || f.test() && slices.Contains(declared(f), "TestMain") {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if n != nil && slices.Contains(ends, selector(n)) {
				found = append(found, t.at(n, "% outside main.go: return an error", selector(n)))
			}
			return true
		})
	}
	return found
}

// checkNoSkip lets a test skip only inside a function that reads REQUIRE_ALL and
// fails when CI set it. Scripts never skip.
func checkNoSkip(t tree) []finding {
	var found []finding
	for _, f := range t.files {
		if strings.Contains("/"+f.path, "/testdata/script/") {
			found = append(found, skippingScript(f)...)
		}
		if !f.source() || !f.test() && !f.imports("testing") {
			continue
		}
		for _, d := range f.syntax.Decls {
			if mentions(d, "REQUIRE_ALL") {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				s, ok := call.Fun.(*ast.SelectorExpr)
				if ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow", "Short"}, s.Sel.Name) {
					found = append(found, t.at(s.Sel, "% in a function that does not fail under REQUIRE_ALL=1", s.Sel.Name))
				}
				return true
			})
		}
	}
	return found
}

func skippingScript(f file) []finding {
	var found []finding
	for i, line := range strings.Split(f.text, "\n") {
		words := strings.Fields(line)
		if len(words) > 0 && strings.HasPrefix(words[0], "[") {
			words = words[1:]
		}
		if len(words) > 0 && words[0] == "skip" {
			found = append(found, finding{f.path, i + 1, "a script that skips proves nothing"})
		}
	}
	return found
}

func mentions(n ast.Node, text string) bool {
	yes := false
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok {
			value, err := strconv.Unquote(lit.Value)
			yes = yes || err == nil && value == text
		}
		return !yes
	})
	return yes
}
