package archtest

import (
	"regexp"
	"strings"
)

const countPage = "docs/reliability.md"

var (
	countName = regexp.MustCompile("`([a-z]+(?:_[a-z]+)+)`")
	testName  = regexp.MustCompile("`(Test[A-Za-z0-9_]+)")
)

// checkCounts holds the page that says what is proved to tests that exist and counts
// that they print: each name in backticks with an underline is a count, down to where
// the page goes on with what was never checked.
func checkCounts(t tree) []finding {
	page, ok := t.find(countPage)
	if !ok {
		return []finding{{countPage, 0, "missing"}}
	}
	var found []finding
	names := 0
	proved, _, _ := strings.Cut(page.text, "\n## Never checked")
	for i, line := range strings.Split(proved, "\n") {
		for _, m := range countName.FindAllStringSubmatch(line, -1) {
			names++
			if !t.prints(m[1]) {
				found = append(found, finding{countPage, i + 1, "no test prints COUNT " + m[1]})
			}
		}
		for _, m := range testName.FindAllStringSubmatch(line, -1) {
			if !t.tests(m[1]) {
				found = append(found, finding{countPage, i + 1, "there is no " + m[1]})
			}
		}
	}
	if names == 0 {
		found = append(found, finding{countPage, 0, "names no count"})
	}
	return found
}

func (t tree) tests(name string) bool {
	for _, f := range t.files {
		if f.test() && strings.Contains(f.text, "func "+name+"(") {
			return true
		}
	}
	return false
}

func (t tree) prints(count string) bool {
	for _, f := range t.files {
		if (f.test() || f.dir() == ".ci") && strings.Contains(f.text, "COUNT "+count+"=") {
			return true
		}
	}
	return false
}
