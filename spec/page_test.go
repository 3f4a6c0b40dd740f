package spec_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// page returns docs/files.md by heading of the second and third level.
func page(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/files.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, section := range regexp.MustCompile(`(?m)^###? `).Split(string(text), -1)[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		sections[heading] = body
	}
	return sections
}

// docs/files.md has the declared fields of every file; -update writes them there.
func TestPageHasEveryField(t *testing.T) {
	sections := page(t)
	table := regexp.MustCompile(`(?m)^\| field \|.*\n(\|.*\n)+`)
	for file, want := range spec.Tables() {
		got := table.FindString(sections[file])
		if *update && got != "" {
			text, err := os.ReadFile("../docs/files.md")
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.Replace(text, []byte(got), []byte(want), 1)
			if err := os.WriteFile("../docs/files.md", text, 0o644); err != nil {
				t.Fatal(err)
			}
			got = want
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-declared +on the page); make generate writes it:\n%s", file, diff)
		}
	}
	var words []string
	for _, line := range strings.Split(sections["Words of an approval"], "\n") {
		if strings.HasPrefix(line, "| ") {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
				words = append(words, m[1])
			}
		}
	}
	if diff := cmp.Diff(spec.Approvable(), words); diff != "" {
		t.Errorf("words of an approval (-known +on the page):\n%s", diff)
	}
}

// The examples of docs/files.md are one repository, in which nothing is wrong.
func TestPageExamplesLoad(t *testing.T) {
	fsys := fstest.MapFS{}
	for _, text := range page(t) {
		for _, m := range regexp.MustCompile("(?ms)^```yaml\n# (\\S+)\n.*?^```").FindAllStringSubmatch(text, -1) {
			body := strings.TrimSuffix(strings.TrimPrefix(m[0], "```yaml\n"), "```")
			body = strings.ReplaceAll(body, "…\n", "YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n")
			fsys[m[1]] = &fstest.MapFile{Data: []byte(body)}
		}
	}
	set, problems := spec.Load(fsys, providers.Vocabulary())
	for _, p := range problems {
		t.Error(p)
	}
	if len(fsys) != 3 || len(set.Environments) != 1 || len(set.Environments[0].Connections) != 1 {
		t.Errorf("got %d files and %+v, want one of each kind", len(fsys), set.Environments)
	}
}

// The examples of docs/reuse.md are one repository, in which nothing is wrong.
func TestReusePageExamplesLoad(t *testing.T) {
	text, err := os.ReadFile("../docs/reuse.md")
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"terra.yaml": {Data: []byte("version: 1\nsecrets: {binding: require}\n")}}
	for _, m := range regexp.MustCompile("(?ms)^```yaml\n# (\\S+)\n.*?^```").FindAllStringSubmatch(string(text), -1) {
		fsys[m[1]] = &fstest.MapFile{Data: []byte(strings.TrimSuffix(strings.TrimPrefix(m[0], "```yaml\n"), "```"))}
	}
	if blocks := strings.Count(string(text), "```yaml"); blocks < 6 || len(fsys) != blocks+1 {
		t.Errorf("%d blocks of YAML, %d files with a name", blocks, len(fsys)-1)
	}
	set, problems := spec.Load(fsys, providers.Vocabulary())
	for _, p := range problems {
		t.Error(p)
	}
	if len(set.Environments) != 3 || len(set.Environments[2].Connections) != 1 || !set.Environments[2].Connections[0].Domain.Null() {
		t.Errorf("got %+v", set.Environments)
	}
}

// What is declared as the default of a field is what an omitted one means.
func TestDefaultsAreWhatOmittedMeans(t *testing.T) {
	load := func(file, more string) spec.Set {
		texts := map[string]string{"terra.yaml": "version: 1\nsecrets: {binding: require}\n", "e/environment.yaml": "dev_id: e\nprune: never\n", "e/connection.yaml": "provider: strava\n"}
		texts["e/"+file] += more
		set, problems := spec.Load(files(texts), vocabulary())
		if len(problems) > 0 {
			t.Fatalf("%s: %v", more, problems)
		}
		return set
	}
	anywhere := cmp.Comparer(func(spec.Origin, spec.Origin) bool { return true })
	tried := 0
	for file, defaults := range spec.Defaults() {
		for path, value := range defaults {
			around := ""
			if window, ok := strings.CutPrefix(path, "windows."); ok {
				path, around = "windows", `{days: [sat], from: "02:00", to: "05:00"`
				value = around + ", " + window + ": " + value + "}"
				value, around = "["+value+"]", "windows: ["+around+"}]\n"
			}
			words := strings.Split(path, ".")
			said := strings.Join(words, ": {") + ": " + value + strings.Repeat("}", len(words)-1) + "\n"
			if diff := cmp.Diff(load(file, around), load(file, said), anywhere); diff != "" {
				t.Errorf("%s: omitted is not %s (-omitted +said):\n%s", file, strings.TrimSpace(said), diff)
			}
			tried++
		}
	}
	if tried < 12 {
		t.Errorf("only %d defaults: are these all?", tried)
	}
}
