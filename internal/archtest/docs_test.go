package archtest

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	fence      = regexp.MustCompile("(?ms)^```.*?^```\\s*$")
	packageRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

	link = regexp.MustCompile(`\]\(([^)\s#]+)(#[^)\s]*)?\)`)
	code = regexp.MustCompile(`(?:^|[\s` + "`" + `])((?:[a-z_]+/)+[a-z_]+\.go)\b`)
)

// checkLinks follows each relative link of a Markdown file, and each path of a Go file
// from the root on. Decisions may name what was there when they were made.
func checkLinks(t tree) []finding {
	var found []finding
	for _, f := range t.files {
		if !strings.HasSuffix(f.path, ".md") {
			continue
		}
		if !strings.HasPrefix(f.path, "docs/adr/") {
			for i, line := range strings.Split(f.text, "\n") {
				for _, m := range code.FindAllStringSubmatch(line, -1) {
					if !t.exists(m[1]) {
						found = append(found, finding{f.path, i + 1, "names " + m[1] + ", which is not here"})
					}
				}
			}
		}
		text := fence.ReplaceAllStringFunc(f.text, func(block string) string {
			return strings.Repeat("\n", strings.Count(block, "\n"))
		})
		for i, line := range strings.Split(text, "\n") {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				target := m[1]
				if strings.Contains(target, ":") {
					continue
				}
				if to := path.Join(f.dir(), target); !t.exists(to) {
					found = append(found, finding{f.path, i + 1, "links to " + target + ", which is not here"})
				}
			}
		}
	}
	return found
}

// TestArchitecturePageNamesEveryPackage holds the map to the land: one row a package
// of the import law, none for what is not there.
func TestArchitecturePageNamesEveryPackage(t *testing.T) {
	const page = "docs/architecture.md"
	f, ok := repository(t).find(page)
	if !ok {
		t.Fatalf("no %s", page)
	}
	var want, got []string
	for _, r := range law() {
		want = append(want, r.name)
	}
	_, section, _ := strings.Cut(f.text, "\n## Packages\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range packageRow.FindAllStringSubmatch(section, -1) {
		got = append(got, m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("packages of the import law (-) and of %s (+):\n%s", page, d)
	}
}

// TestSecurityPageNamesTests holds who can do what, and the figures of the security page, to
// tests that exist.
func TestSecurityPageNamesTests(t *testing.T) {
	const page = "docs/security.md"
	tr := repository(t)
	f, ok := tr.find(page)
	if !ok {
		t.Fatalf("no %s", page)
	}
	rows := 0
	for _, line := range strings.Split(f.text, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasSuffix(line, "| held by |") || strings.HasPrefix(line, "| a reviewer |") {
			continue
		}
		rows++
		names := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(line, -1)
		if len(names) == 0 {
			t.Errorf("no test holds this row: %s", line)
		}
		for _, name := range names {
			if !slices.ContainsFunc(tr.files, func(f file) bool { return f.test() && strings.Contains(f.text, "func "+name[1]+"(t *testing.T)") }) {
				t.Errorf("%s names %s, which does not exist", page, name[1])
			}
		}
	}
	if rows < 15 {
		t.Errorf("%s has %d rows", page, rows)
	}
}
