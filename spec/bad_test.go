package spec_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// planted stands in the bad files where a secret would stand.
const planted = "planted-hunter2-value"

// badRepository is what a bad file of testdata says over a repository that is
// otherwise right. A file that holds "(absent)" is taken away.
func badRepository(archive *txtar.Archive) (fsys fstest.MapFS, want string) {
	fsys = files(map[string]string{
		"terra.yaml":                  "version: 1\nsecrets: {binding: require}\n",
		"production/environment.yaml": "dev_id: prod-app-x81LmQ\nprune: never\n",
	})
	for _, f := range archive.Files {
		switch {
		case f.Name == "want":
			want = string(f.Data)
		case string(f.Data) == "(absent)\n":
			delete(fsys, f.Name)
		default:
			fsys[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return fsys, want
}

func describe(set spec.Set, problems []spec.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String())
		if p.Command != "" {
			b.WriteString(": reconcile " + p.Command)
		}
		b.WriteString("\n")
	}
	var invalid []string
	for _, e := range set.Environments {
		if e.Invalid {
			invalid = append(invalid, e.Name)
		}
	}
	b.WriteString("invalid: " + strings.Join(invalid, ", ") + "\n")
	return b.String()
}

func TestBadFiles(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(names) < 50 {
		t.Fatalf("got %d bad files (%v), want at least 50", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fsys, want := badRepository(archive)
			got := describe(spec.Load(fsys, vocabulary()))
			for i := 0; i+6 <= len(planted); i++ {
				if strings.Contains(strings.ToLower(got), planted[i:i+6]) {
					t.Errorf("a problem shows %q of a secret:\n%s", planted[i:i+6], got)
				}
			}
			if *update {
				writeWant(t, name, archive, got)
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func writeWant(t *testing.T, name string, archive *txtar.Archive, got string) {
	t.Helper()
	archive.Files = append(archive.Files[:len(archive.Files):len(archive.Files)], txtar.File{Name: "want", Data: []byte(got)})
	for i, f := range archive.Files[:len(archive.Files)-1] {
		if f.Name == "want" {
			archive.Files = append(archive.Files[:i:i], archive.Files[i+1:]...)
			break
		}
	}
	if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
