package archtest

import (
	"path"
	"slices"
	"strings"
)

// checkPackageDoc wants one package comment a package, in its doc.go, that names
// the package (or, for a command, its folder) and says more than one line.
func checkPackageDoc(t tree) []finding {
	var found []finding
	seen := map[string]bool{}
	for _, f := range t.sources() {
		isDoc := path.Base(f.path) == "doc.go"
		if !f.test() && !seen[f.dir()] {
			seen[f.dir()] = true
			if _, ok := t.find(path.Join(f.dir(), "doc.go")); !ok {
				found = append(found, finding{path.Join(f.dir(), "doc.go"), 0, "missing: every package has a doc.go with its package comment"})
			}
		}
		comment := f.syntax.Doc.Text()
		if f.syntax.Doc != nil && comment == "" {
			comment = "//go: directive only"
		}
		switch {
		case !isDoc && f.syntax.Doc != nil:
			found = append(found, t.at(f.syntax.Doc, "a package comment outside doc.go"))
		case isDoc && f.syntax.Doc == nil:
			found = append(found, finding{f.path, 0, "has no package comment"})
		case isDoc:
			want := "Package " + f.syntax.Name.Name + " "
			if f.syntax.Name.Name == "main" {
				want = "Command " + path.Base(f.dir()) + " "
			}
			if !strings.HasPrefix(comment, want) {
				found = append(found, t.at(f.syntax.Doc, "the package comment does not start with \"%\"", want))
			}
			if strings.Count(comment, "\n") < 3 {
				found = append(found, t.at(f.syntax.Doc, "say what it is for, what it refuses to do and who may call it"))
			}
		}
	}
	return found
}

// checkNames refuses package names that say nothing.
func checkNames(t tree) []finding {
	empty := []string{"util", "utils", "common", "helper", "helpers", "manager", "base", "types", "misc", "shared", "core", "lib", "pkg"}
	var found []finding
	for _, f := range t.sources() {
		name := strings.TrimSuffix(f.syntax.Name.Name, "_test")
		if slices.Contains(empty, name) || slices.Contains(empty, path.Base(f.dir())) {
			found = append(found, t.at(f.syntax.Name, "a package named % says nothing about what it holds", name))
		}
		stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc"}, stem) {
			found = append(found, finding{f.path, 0, "name the file for what it holds"})
		}
	}
	return found
}
