package archtest

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// listPage has every file of Go under the heading "Files", by folder.
const listPage = "docs/architecture.md"

var (
	listedFolder = regexp.MustCompile("^\\*\\*`([^`]+)`\\*\\*$")
	listedFiles  = regexp.MustCompile("^- ((?:`[a-z0-9_]+\\.go`, )*`[a-z0-9_]+\\.go`) \\S")
	listedWord   = regexp.MustCompile("`([A-Za-z]+)`")
	listedAlike  = regexp.MustCompile("^- one file a [a-z]+: ((?:`[a-z0-9_]+`, )*`[a-z0-9_]+`)$")
)

// alike gives what a file declares that stands in its folder's list by its name alone, as
// one of several of a kind: in small letters, with NAME for the name without underscores.
func alike(dir string) string {
	switch dir {
	case "internal/cli":
		return "\nfunc newNAMEcommand("
	case "providers":
		return "\nfunc NAME() provider {"
	}
	return ""
}

// checkFileList wants each file of Go once in the list of its folder, tests and doc.go
// apart, nothing there that is no such file, and no word in backquotes that is not in the
// file. Where a doc.go lists the files of its package, both have one order.
func checkFileList(t tree) []finding {
	page, ok := t.find(listPage)
	if !ok {
		return []finding{{listPage, 0, "is not here, where the files are listed"}}
	}
	var found []finding
	folders := map[string][]string{} // what is listed of each
	dir := ""
	before, section, _ := strings.Cut(page.text, "\n## Files\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for i, line := range strings.Split(section, "\n") {
		at := strings.Count(before, "\n") + 3 + i
		if m := listedFolder.FindStringSubmatch(line); m != nil {
			dir = m[1]
			if _, twice := folders[dir]; twice {
				found = append(found, finding{listPage, at, "has " + dir + " twice"})
			} else {
				folders[dir] = nil
			}
			if !t.exists(dir) {
				found = append(found, finding{listPage, at, "lists files of " + dir + ", which is not here"})
			}
		}
		names, says := namesIn(line, alike(dir))
		if says != "" {
			found = append(found, finding{listPage, at, says})
		}
		if word := t.absentIn(dir, names, line); word != "" {
			found = append(found, finding{listPage, at, "says that " + word + " is in " + strings.Join(names, ", ") + ", where it is not"})
		}
		for _, name := range names {
			f, here := t.find(path.Join(dir, name))
			switch {
			case !here || !isListed(f):
				found = append(found, finding{listPage, at, "lists " + name + " under " + dir + ", where no such file is"})
			case slices.Contains(folders[dir], name):
				found = append(found, finding{listPage, at, "lists " + f.path + " twice"})
			case listedAlike.MatchString(line) && !declaresAlike(f):
				found = append(found, finding{listPage, at, "lists " + f.path + " as one of a kind that it is not"})
			}
			folders[dir] = append(folders[dir], name)
		}
	}
	return append(found, t.againstList(folders)...)
}

// namesIn are the files that a line of the list is about. says is what is wrong with it.
func namesIn(line, alike string) (names []string, says string) {
	end := ""
	m := listedFiles.FindStringSubmatch(line)
	if m == nil && alike != "" {
		m, end = listedAlike.FindStringSubmatch(line), ".go"
	}
	switch {
	case m != nil:
	case strings.HasPrefix(line, "- "):
		return nil, "begins with no file, or does not say what is in it: " + line
	default:
		return nil, ""
	}
	for name := range strings.SplitSeq(m[1], ", ") {
		names = append(names, strings.Trim(name, "`")+end)
	}
	return names, ""
}

// absentIn gives the first word in backquotes of a line that none of its files has, "" where
// there is none.
func (t tree) absentIn(dir string, names []string, line string) string {
	text := ""
	for _, name := range names {
		f, _ := t.find(path.Join(dir, name))
		text += f.text
	}
	if text == "" || listedAlike.MatchString(line) {
		return ""
	}
	for _, m := range listedWord.FindAllStringSubmatch(line, -1) {
		if !strings.Contains(text, m[1]) {
			return m[1]
		}
	}
	return ""
}

// isListed tells a file that the list has: of a module, no test, no doc.go.
func isListed(f file) bool {
	return strings.HasSuffix(f.path, ".go") && !f.test() && path.Base(f.path) != "doc.go" && !strings.Contains("/"+f.path, "/testdata/")
}

func declaresAlike(f file) bool {
	name := strings.ReplaceAll(strings.TrimSuffix(path.Base(f.path), ".go"), "_", "")
	return strings.Contains(strings.ToLower(f.text), strings.ReplaceAll(alike(f.dir()), "NAME", name))
}

// againstList reports the files and packages that the list lacks, and a package whose doc.go
// lists its files in another order.
func (t tree) againstList(folders map[string][]string) []finding {
	var found []finding
	for _, f := range t.files {
		if isListed(f) && !slices.Contains(folders[f.dir()], path.Base(f.path)) {
			found = append(found, finding{f.path, 0, "is not in the list of files of " + listPage})
		}
		if !f.source() || f.test() || path.Base(f.path) != "doc.go" {
			continue
		}
		list, there := folders[f.dir()]
		if !there {
			found = append(found, finding{listPage, 0, "has no " + f.dir() + " in its list of files"})
		}
		if order, _, ok := filesOf(f); ok && !slices.Equal(order, list) {
			found = append(found, finding{f.path, 0, "lists the files in another order than " + listPage})
		}
	}
	return found
}
