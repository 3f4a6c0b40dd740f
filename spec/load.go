package spec

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// What one load is worth: a commit must not keep everybody busy, or fill the memory,
// for as long as its author likes.
const (
	// maxSearches is for how many broken files the exact line is looked for.
	maxSearches = 8
	// maxBytes is how large all files may be together: git stores equal ones once.
	maxBytes = 256 << 20
	// maxListed is how many problems of one file are listed.
	maxListed = 200
	// maxOfEnvironment is after how many problems no further file of an environment
	// is read, and maxProblems after how many none of the commit.
	maxOfEnvironment = 2_000
	maxProblems      = 100_000
)

// Load reads the whole repository below the root of fsys. It returns the
// problems of every file at once, sorted by file, line and column: all of them,
// but for a file with more than 200, of which the others are counted. One of a file
// as a whole stands at 1:1.
//
// After 2,000 problems of an environment no further file of it is read; after
// 100,000 in all, or 256 MiB, none of the commit is. Each is an Error about what
// was not read.
//
// With any Error the set is for display only: an environment with Invalid true
// must not be planned, and an Error with Environment "" is about the commit
// (terra.yaml, the shape of the repository) and makes every environment
// invalid. A repository without an environment is an Error too: nothing is
// never what somebody asked for.
//
// A folder is an environment when it holds environment.yaml, and only the
// files directly in it are its own. A folder below it can be an environment by
// itself and takes nothing over.
//
// Load does not panic on any input that fsys can hand out, and does not keep
// fsys.
func Load(fsys fs.FS, vocabulary Vocabulary) (Set, []Problem) {
	w := &walker{fsys: fsys}
	w.scan(".", "", 0)
	l := &loader{fsys: fsys, words: map[string]Words{}, problems: w.problems}
	for _, words := range vocabulary.Providers {
		l.words[words.Slug] = words
		l.names = append(l.names, words.Slug)
	}
	slices.Sort(l.names)
	set := Set{Root: l.root(w)}
	if len(w.folders) == 0 && !w.partial {
		l.problems = append(l.problems, Problem{
			Message: "there is no environment",
			Hint:    "make a folder with an environment.yaml that says `dev_id` and `prune`",
		})
	}
	for _, f := range w.folders {
		set.Environments = append(set.Environments, l.environment(f))
	}
	slices.SortFunc(set.Environments, func(a, b Environment) int { return strings.Compare(a.Name, b.Name) })
	l.sameDevID(set.Environments)
	l.markInvalid(set.Environments)
	l.atTheBeginning()
	slices.SortStableFunc(l.problems, compareProblems)
	return set, slices.Compact(l.problems)
}

// loader reads the files that a walker found.
type loader struct {
	fsys     fs.FS
	words    map[string]Words
	names    []string
	terra    string
	defaults *node
	rotation *node
	searches int
	bytes    int
	stopped  bool
	problems []Problem
}

// parse reads and parses one file; what is wrong with it goes to s.
func (l *loader) parse(s *sink, file string) *node {
	if l.stopped {
		return nil
	}
	src, err := readFile(l.fsys, file)
	if err != nil {
		s.errorf(Origin{File: file}, "", "this file cannot be read: %v", reason(err))
		return nil
	}
	switch l.bytes += len(src); {
	case l.bytes > maxBytes:
		l.stop(file, "give the configuration a repository or a path of its own", "the files up to this one hold more than 256 MiB")
		return nil
	case len(l.problems) > maxProblems:
		l.stop(file, "mend the others first", "this file and what follows was not read, because there are too many problems")
		return nil
	}
	n, problems := parse(file, src, l.searches < maxSearches)
	if len(problems) > 0 {
		l.searches++
	}
	s.take(problems)
	return n
}

// stop gives the commit up at a file.
func (l *loader) stop(file, hint, message string) {
	l.stopped = true
	l.problems = append(l.problems, Problem{Origin: Origin{File: file}, Message: message, Hint: hint})
}

// shorten keeps the first problems that a file added from an index on, errors before
// warnings, and counts the others.
func (s *sink) shorten(from int, file string) {
	found := s.problems[from:]
	if len(found) <= maxListed {
		return
	}
	slices.SortStableFunc(found, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), compareProblems(a, b))
	})
	s.problems = slices.Clone(s.problems[:from+maxListed])
	s.add(found[0].Severity, Origin{File: file}, "mend these first", fmt.Sprintf("%d more problems are not listed", len(found)-maxListed))
}

func (l *loader) reader(environment string) *reader {
	return &reader{sink: &sink{environment: environment}, words: l.words, names: l.names}
}

// root reads terra.yaml and keeps its defaults if there is no error in it.
func (l *loader) root(w *walker) Root {
	r := l.reader("")
	file := w.terra
	defer func() {
		r.shorten(0, file)
		l.problems = append(l.problems, r.problems...)
	}()
	switch {
	case file == "" && w.partial:
		return Root{}
	case file == "":
		r.errorf(Origin{File: "terra.yaml"}, "make one that says `version: 1`", "this file is missing")
		return Root{}
	}
	l.terra = file
	n := l.parse(r.sink, file)
	if n == nil {
		return Root{}
	}
	root, defaults := r.root(n)
	if defaults != nil && !r.failed() {
		l.rotation = defaults.get("rotation")
		shared := *defaults
		shared.members = slices.DeleteFunc(slices.Clone(defaults.members), func(m member) bool { return m.name == "rotation" })
		l.defaults = &shared
	}
	return root
}

func (l *loader) environment(f folder) Environment {
	r := l.reader(f.name)
	e := Environment{}
	if n := l.parse(r.sink, f.main); n != nil {
		e = r.environment(merge(l.defaults, n, ""))
	}
	r.shorten(0, f.main)
	e.Name = f.name
	if e.Origin.File == "" {
		e.Origin = Origin{File: f.main}
	}
	seen := map[string]Origin{}
	for _, file := range f.files {
		before := len(r.problems)
		if before > maxOfEnvironment {
			r.add(Error, Origin{File: file}, "mend the others first", "this file and what follows in its folder was not read, because there are too many problems")
			break
		}
		n := l.parse(r.sink, file)
		c := Connection{}
		if n != nil {
			c = r.connection(n, l.rotation)
		}
		if r.shorten(before, file); c.Provider == "" {
			continue
		}
		if first, twice := seen[c.Provider]; twice {
			r.errorf(c.Origin, "keep one file for each provider", "%s is already in %s", c.Provider, first)
			continue
		}
		seen[c.Provider] = c.Origin
		e.Connections = append(e.Connections, c)
	}
	slices.SortFunc(e.Connections, func(a, b Connection) int { return strings.Compare(a.Provider, b.Provider) })
	for _, p := range r.problems {
		// What is wrong with defaults was said once, for the commit.
		if p.Origin.File != l.terra {
			l.problems = append(l.problems, p)
		}
	}
	return e
}

// sameDevID reports a dev-id that two environments claim, in both. Letter case
// does not make two dev-ids.
func (l *loader) sameDevID(environments []Environment) {
	owners := map[string][]Environment{}
	for _, e := range environments {
		if e.DevID != "" {
			key := strings.ToLower(e.DevID)
			owners[key] = append(owners[key], e)
		}
	}
	for _, same := range owners {
		for i, e := range same {
			if len(same) < 2 {
				break
			}
			other := same[(i+1)%len(same)]
			l.problems = append(l.problems, Problem{
				Environment: e.Name, Origin: e.DevIDOrigin,
				Message: "the environment " + printable(other.Name) + " has the same dev_id",
				Hint:    "one dev-id belongs to one folder",
			})
		}
	}
}

func (l *loader) markInvalid(environments []Environment) {
	invalid := map[string]bool{}
	for _, p := range l.problems {
		if p.Severity == Error {
			invalid[p.Environment] = true
		}
	}
	for i, e := range environments {
		environments[i].Invalid = invalid[""] || invalid[e.Name]
	}
}

// atTheBeginning gives what is wrong with a file as a whole a line and a column too,
// so that one pattern finds every problem. The root has none.
func (l *loader) atTheBeginning() {
	for i := range l.problems {
		if at := &l.problems[i].Origin; at.Line == 0 && at.File != "" && at.File != "." {
			at.Line, at.Column = 1, 1
		}
	}
}

func compareProblems(a, b Problem) int {
	return cmp.Or(
		strings.Compare(a.Origin.File, b.Origin.File),
		cmp.Compare(a.Origin.Line, b.Origin.Line),
		cmp.Compare(a.Origin.Column, b.Origin.Column),
		strings.Compare(a.Message, b.Message),
	)
}
