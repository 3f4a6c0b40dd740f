package spec_test

import (
	"os"
	"regexp"
	"slices"
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

// docs/files.md has a row for every field of every file, and for no other.
func TestPageHasEveryField(t *testing.T) {
	sections := page(t)
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	for file, want := range spec.Fields() {
		var got []string
		for _, m := range row.FindAllStringSubmatch(sections[file], -1) {
			got = append(got, m[1])
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-known +on the page):\n%s", file, diff)
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
