package archtest

import (
	"bytes"
	"flag"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the wanted findings of the fixtures")

// A rule reads a tree and says where it is broken. Its name is its folder in
// testdata; its reason is printed with every finding.
type rule struct {
	name, reason string
	check        func(tree) []finding
}

func rules() []rule {
	return []rule{
		{"imports", "the import law keeps the middle pure and the hops few", checkImports},
		{"testonly", "test libraries do not belong into people's binaries", checkTestOnly},
		{"pure", "a package without clock and I/O gives the same answer twice", checkPure},
		{"packagedoc", "doc.go is where a reader starts", checkPackageDoc},
		{"files", "a stage that is read from top to bottom is read once", checkFiles},
		{"filelist", "who knows one page only finds every file", checkFileList},
		{"names", "a package is named for what it is about", checkNames},
		{"noinit", "nothing runs before main says so", checkNoInit},
		{"globals", "state that anyone can change is no state at all", checkGlobals},
		{"noany", "the compiler guards what passes between our packages", checkNoAny},
		{"reveal", "a secret is opened where it leaves, and nowhere else", checkReveal},
		{"nosleep", "tests wait for events or turn a clock, they do not hope", checkNoSleep},
		{"noexit", "only main ends the process, after everything closed", checkNoExit},
		{"noskip", "a test that skips in CI proves nothing", checkNoSkip},
		{"links", "a link that leads nowhere costs a reader's trust", checkLinks},
		{"testclock", "no release can be told a wrong time", checkTestClock},
		{"dockerfile", "the image is one static file run by nobody special", checkDockerfile},
		{"counts", "what is claimed to be proved is counted", checkCounts},
	}
}

func repository(t *testing.T) tree {
	t.Helper()
	tr, err := readTree(os.DirFS(filepath.Join("..", "..")))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestRepository(t *testing.T) {
	tr := repository(t)
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range r.check(tr) {
				t.Errorf("%v\n\t(%s)", f, r.reason)
			}
		})
	}
	t.Logf("COUNT archtest_rules=%d", len(rules()))
	t.Logf("COUNT archtest_files=%d", len(tr.files))
}

// TestRulesTurnRed runs each rule over the small trees in testdata/RULE. Each
// archive ends with a file "want" that lists the findings. A rule needs a tree
// that turns it red and one that leaves it green.
func TestRulesTurnRed(t *testing.T) {
	known := map[string]bool{}
	cases := 0
	for _, r := range rules() {
		known[r.name] = true
		archives, err := filepath.Glob(filepath.Join("testdata", r.name, "*.txtar"))
		if err != nil {
			t.Fatal(err)
		}
		red, green := 0, 0
		for _, name := range archives {
			t.Run(r.name+"/"+strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
				isRed := checkFixture(t, r, name) > 0
				if isRed {
					red++
				} else {
					green++
				}
				if isRed != strings.HasPrefix(filepath.Base(name), "red") {
					t.Errorf("%s: its name says otherwise than its findings", name)
				}
			})
		}
		if red == 0 || green == 0 {
			t.Errorf("testdata/%s: %d red and %d green trees, want at least one of each", r.name, red, green)
		}
		cases += len(archives)
	}
	folders, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range folders {
		if !known[d.Name()] {
			t.Errorf("testdata/%s: no rule of that name", d.Name())
		}
	}
	t.Logf("COUNT archtest_fixtures=%d", cases)
}

// checkFixture compares the findings of one tree with those it wants, and
// returns how many it wants.
func checkFixture(t *testing.T, r rule, name string) int {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	fsys, want := fstest.MapFS{}, ""
	for _, f := range archive.Files {
		// A dot in the middle keeps a word that the rules forbid out of the fixture.
		f.Data = bytes.ReplaceAll(f.Data, []byte("·"), nil)
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	fsys["internal/archtest/doc.go"] = &fstest.MapFile{Data: []byte("// Package archtest guards.\n//\n// It has no API.\n// Nobody imports it.\npackage archtest\n")}
	tr, err := readTree(fsys)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{}
	for _, f := range r.check(tr) {
		lines = append(lines, f.String()+"\n")
	}
	slices.Sort(lines)
	got := strings.Join(lines, "")
	if *update {
		archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
		archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(got)})
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return len(lines)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("findings of %s (-want +got):\n%s", path.Base(name), d)
	}
	return strings.Count(want, "\n")
}

// A walk that finds nothing must not look like a clean repository.
func TestEmptyTreeIsAnError(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"empty":      {},
		"no Go file": {"README.md": {Data: []byte("hello\n")}},
		"all hidden": {".git/main.go": {Data: []byte("package main\n")}},
	} {
		if _, err := readTree(fsys); err == nil {
			t.Errorf("readTree of a tree that is %s: got no error", name)
		}
	}
}
