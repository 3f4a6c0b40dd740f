package archtest

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

const maxDecisionLines = 90

var decisionName = regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)

// checkDecisions wants docs/adr numbered without a gap, each record one page with
// the same parts.
func checkDecisions(t tree) []finding {
	var found []finding
	number := 0
	for _, f := range t.files {
		if f.dir() != "docs/adr" {
			continue
		}
		number++
		m := decisionName.FindStringSubmatch(path.Base(f.path))
		if m == nil || m[1] != fmt.Sprintf("%04d", number) {
			found = append(found, finding{f.path, 0, fmt.Sprintf("is not named %04d-title.md", number)})
		}
		if !strings.HasPrefix(f.text, fmt.Sprintf("# %d. ", number)) {
			found = append(found, finding{f.path, 1, fmt.Sprintf("does not start with \"# %d. \"", number)})
		}
		for _, part := range []string{"\nStatus: ", "\n## Context\n", "\n## Decision\n", "\n## Consequences\n"} {
			if !strings.Contains(f.text, part) {
				found = append(found, finding{f.path, 0, "lacks \"" + strings.TrimSpace(part) + "\""})
			}
		}
		if f.lines() > maxDecisionLines {
			found = append(found, finding{f.path, 0, fmt.Sprintf("has %d lines, at most %d", f.lines(), maxDecisionLines)})
		}
	}
	if number == 0 {
		return []finding{{"docs/adr", 0, "holds no record"}}
	}
	return found
}

// checkDependencies compares the direct requirements of go.mod with the table in
// the record about dependencies: the same modules, the same versions, a reason.
func checkDependencies(t tree) []finding {
	mod, ok := t.find("go.mod")
	if !ok {
		return []finding{{"go.mod", 0, "missing"}}
	}
	i := slices.IndexFunc(t.files, func(f file) bool {
		return f.dir() == "docs/adr" && strings.HasSuffix(f.path, "-dependencies.md")
	})
	if i < 0 {
		return []finding{{"docs/adr", 0, "holds no record about dependencies"}}
	}
	record := t.files[i]
	required, rows := requirements(mod.text), table(record.text, "")
	var found []finding
	for _, name := range slices.Sorted(maps.Keys(required)) {
		row, ok := rows[name]
		switch {
		case !ok:
			found = append(found, finding{record.path, 0, "lacks a row for " + name})
		case len(row.cells) < 3 || row.cells[2] == "":
			found = append(found, finding{record.path, row.line, "gives no reason for " + name})
		case row.cells[1] != required[name]:
			found = append(found, finding{record.path, row.line, "says " + row.cells[1] + " for " + name + ", go.mod " + required[name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if _, ok := required[name]; !ok {
			found = append(found, finding{record.path, rows[name].line, "lists " + name + ", which go.mod does not require"})
		}
	}
	return found
}

var requirement = regexp.MustCompile(`(?m)^(?:require)?\s+(\S+\.\S+/?\S*) (v\S+)(.*)$`)

func requirements(mod string) map[string]string {
	direct := map[string]string{}
	for _, m := range requirement.FindAllStringSubmatch(mod, -1) {
		if !strings.Contains(m[3], "// indirect") {
			direct[m[1]] = m[2]
		}
	}
	return direct
}

// checkPackageTable compares the table under "## Packages" of the architecture
// page with the import law, row by row.
func checkPackageTable(t tree) []finding {
	const page = "docs/architecture.md"
	f, ok := t.find(page)
	if !ok {
		return []finding{{page, 0, "missing"}}
	}
	rows := table(f.text, "## Packages")
	var found []finding
	for _, r := range law() {
		want := strings.Join(r.may, ", ")
		if r.anything {
			want = "anything"
		}
		if want == "" {
			want = "nothing of ours"
		}
		row, ok := rows[r.name]
		switch {
		case !ok:
			found = append(found, finding{page, 0, "lacks a row for " + r.name})
		case len(row.cells) < 3 || strings.ReplaceAll(row.cells[2], "`", "") != want:
			found = append(found, finding{page, row.line, r.name + " may import " + want + ", the page says otherwise"})
		}
		delete(rows, r.name)
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		found = append(found, finding{page, rows[name].line, "lists " + name + ", which the import law does not know"})
	}
	return found
}

type tableRow struct {
	line  int
	cells []string
}

// table reads the Markdown rows whose first cell is one word in backquotes, from
// the heading to the next one of its level, or all of text without a heading.
func table(text, heading string) map[string]tableRow {
	rows := map[string]tableRow{}
	inside := heading == ""
	for i, line := range strings.Split(text, "\n") {
		if heading != "" && strings.HasPrefix(line, "## ") {
			inside = line == heading
		}
		if !inside || !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		rows[strings.Trim(cells[0], "`")] = tableRow{i + 1, cells}
	}
	return rows
}
