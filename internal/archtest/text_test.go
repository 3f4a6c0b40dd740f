package archtest

import (
	"path"
	"regexp"
	"strings"
)

var (
	unfinished = regexp.MustCompile(`\b(TO[D]O|FI[X]ME|X[X]X|HA[C]K)\b|\b(not (yet )?implemente[d]|placeholder implementatio[n])\b`)

	// Folders of one machine, and papers that are not part of this repository.
	elsewhere = regexp.MustCompile(`(^|[^A-Za-z0-9_.~-])/(root|work)[/]` +
		`|/tmp/(brief|gobin|bash_jobs|infra)\b` +
		`|\.\./share[d]\b|\bdesig[n]\.md\b|\bDESIG[N]\.md\b|\bDESIG[N] (section|decision|[0-9])|\banchor[s]/` +
		`|\b[Dd]ecisio[n]s? [0-9]`)

	fence = regexp.MustCompile("(?ms)^```.*?^```\\s*$")
	link  = regexp.MustCompile(`\]\(([^)\s#]+)(#[^)\s]*)?\)`)
)

func checkUnfinished(t tree) []finding {
	return t.matches(unfinished, "unfinished work: finish it or open an issue, do not write")
}

func checkPlaces(t tree) []finding {
	return t.matches(elsewhere, "names something outside this repository:")
}

func (t tree) matches(pattern *regexp.Regexp, message string) []finding {
	var found []finding
	for _, f := range t.files {
		for i, line := range strings.Split(f.text, "\n") {
			if m := pattern.FindString(line); m != "" {
				found = append(found, finding{f.path, i + 1, message + " " + strings.TrimSpace(m)})
			}
		}
	}
	return found
}

// checkLinks follows each relative link of a Markdown file.
func checkLinks(t tree) []finding {
	var found []finding
	for _, f := range t.files {
		if !strings.HasSuffix(f.path, ".md") {
			continue
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
