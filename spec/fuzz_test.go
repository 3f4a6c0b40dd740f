package spec_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// seeds are the files of the bad repositories, which reach every message.
func seeds(f *testing.F) []string {
	f.Helper()
	names, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	var texts []string
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name != "want" {
				texts = append(texts, string(file.Data))
			}
		}
	}
	return texts
}

// FuzzLoad reads one text as each kind of file, and as one that others extend. Whatever it holds, Load
// returns, is repeatable, sorts what it says, puts it in a place, shows nothing
// that a terminal would obey, and calls an environment with an error invalid.
func FuzzLoad(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"terra.yaml", "production/environment.yaml", "production/strava.yaml", "_base/shared.yaml"} {
			extends := []byte("provider: whoop\nextends: ../_base/shared.yaml\n")
			archive := &txtar.Archive{Files: []txtar.File{{Name: name, Data: []byte(text)}}}
			if strings.HasPrefix(name, "_") {
				archive.Files = append(archive.Files, txtar.File{Name: "production/whoop.yaml", Data: extends})
			}
			fsys, _ := badRepository(archive)
			set, problems := spec.Load(fsys, vocabulary())
			again, twice := spec.Load(fsys, vocabulary())
			if describe(set, problems) != describe(again, twice) {
				t.Errorf("%s: two loads differ:\n%s\n%s", name, describe(set, problems), describe(again, twice))
			}
			checkProblems(t, fsys, set, problems)
		}
	})
}

func checkProblems(t *testing.T, fsys fstest.MapFS, set spec.Set, problems []spec.Problem) {
	t.Helper()
	sorted := slices.IsSortedFunc(problems, func(a, b spec.Problem) int {
		if c := strings.Compare(a.Origin.File, b.Origin.File); c != 0 {
			return c
		}
		return a.Origin.Line - b.Origin.Line
	})
	if !sorted {
		t.Errorf("problems are not sorted: %v", problems)
	}
	for _, p := range problems {
		if strings.ContainsFunc(p.String(), func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e }) {
			t.Errorf("a problem holds a control character: %q", p)
		}
		file, ok := fsys[p.Origin.File]
		if lines := 1; ok {
			if lines += strings.Count(string(file.Data), "\n"); p.Origin.Line > lines {
				t.Errorf("%s is beyond the %d lines of the file", p.Origin, lines)
			}
		}
		for _, e := range set.Environments {
			if p.Severity == spec.Error && (p.Environment == "" || p.Environment == e.Name) && !e.Invalid {
				t.Errorf("%s is valid in spite of: %s", e.Name, p)
			}
		}
	}
}

// FuzzSetSecret edits wild files: an edit that is not refused gives back what
// was set, and setting it again changes nothing.
func FuzzSetSecret(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text, "credentials.client_secret")
		f.Add(text, "credentials.keys.0.client_secret")
		f.Add(text, "scopes")
	}
	f.Add("\ufeff{a: {b: 'x'}, c: \"y\"}", "a.b")
	f.Add("a:\r\n  - b: |+\r\n      x\r\n\r\n    c: >-\r\n      y\r\n", "a.0.b")
	f.Fuzz(func(t *testing.T, text, dotted string) {
		path := strings.Split(dotted, ".")
		out, err := spec.SetSecret([]byte(text), path, armor)
		if err != nil {
			return
		}
		found, err := spec.Secrets(out)
		if err != nil {
			t.Fatalf("the result does not parse: %v\n%q", err, out)
		}
		if !slices.ContainsFunc(found, func(s spec.SecretAt) bool { return slices.Equal(s.Path, path) && s.Armor == armor }) {
			t.Fatalf("%q is not in %+v", path, found)
		}
		again, err := spec.SetSecret(out, path, armor)
		if err != nil || string(again) != string(out) {
			t.Errorf("a second time:\n%q\n%q\n%v", out, again, err)
		}
		if comments(text) > comments(string(out)) {
			t.Errorf("a comment is lost:\n%q\n%q", text, out)
		}
	})
}

// comments counts the lines that begin with #: none of them is in a block of
// armor.
func comments(text string) int {
	count := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			count++
		}
	}
	return count
}

// FuzzKeys adds a key to wild files and takes it away again: an edit that is not
// refused loses no secret and no comment.
func FuzzKeys(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text)
	}
	f.Add("\ufeffcredentials: {keys: [{unknown: true}, # x\n ], z: 'y'}")
	f.Add("credentials:\r\n  keys:\r\n  -\r\n    # x\r\n    client_secret: |+\r\n      x\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		before, err := spec.Secrets([]byte(text))
		if err != nil {
			return
		}
		out, err := spec.AddKey([]byte(text), newKey())
		if err != nil {
			return
		}
		after := secretsOf(t, out)
		if len(after) != len(before)+1 || comments(text) > comments(string(out)) {
			t.Fatalf("something is lost:\n%q\n%q", text, out)
		}
		for i := range 3 {
			back, err := spec.RemoveKeys(out, []int{i})
			if err == nil && comments(text) > comments(string(back))+1 {
				t.Fatalf("a comment is lost:\n%q\n%q", out, back)
			}
		}
	})
}
