package spec

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// What one load is worth: a commit must not keep everybody busy, or fill the memory,
// for as long as its author likes.
const (
	// maxSearches is for how many broken files the exact line is looked for.
	maxSearches = 8
	// maxCompared is how many names wrong ones are compared with, to guess what was meant.
	maxCompared = 100_000
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
	l := &loader{fsys: fsys, words: map[string]Words{}, near: map[string]string{}, fields: declared(), problems: w.problems,
		bases: map[baseName]*base{}, extended: map[string]bool{}, listed: map[string][]fs.DirEntry{}, secrets: []string{"keys", "verification_secret"}}
	for _, words := range vocabulary.Providers {
		l.words[words.Slug] = words
		l.names = append(l.names, words.Slug)
		l.secrets = append(l.secrets, nativeNames(words, "client_secret")...)
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
	set.Extended = slices.Sorted(maps.Keys(l.extended))
	l.sameDevID(set.Environments)
	l.promotions(set.Environments)
	l.markInvalid(set.Environments)
	l.counterparts(set.Environments)
	l.atTheBeginning()
	slices.SortStableFunc(l.problems, compareProblems)
	return set, slices.Compact(l.problems) // what several files extend is wrong in each of them
}

// loader reads the files that a walker found.
type loader struct {
	fsys     fs.FS
	words    map[string]Words
	names    []string
	near     map[string]string
	fields   declarations
	terra    string
	defaults *yamlpos.Node
	rotation *yamlpos.Node
	searches int
	compared int // names
	bytes    int
	stopped  bool
	problems []Problem

	bases    map[baseName]*base // that were read
	shared   int                // values in them
	extended map[string]bool
	listed   map[string][]fs.DirEntry
	secrets  []string // the fields of credentials that hold secrets, of any provider
}

// parse reads and parses one file; what is wrong with it goes to s.
func (l *loader) parse(s *sink, file string) *yamlpos.Node {
	if l.stopped {
		return nil
	}
	if info, err := fs.Stat(l.fsys, file); err == nil && info.Size() > yamlpos.MaxFile { // of a commit, nothing of it is kept
		s.errorf(Origin{File: file}, "split it", "the file is larger than 1 MiB")
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
	return &reader{sink: &sink{environment: environment}, words: l.words, names: l.names, near: l.near, fields: l.fields}
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
		l.rotation = defaults.Get("rotation")
		shared := *defaults
		shared.Members = slices.DeleteFunc(slices.Clone(defaults.Members), func(m yamlpos.Member) bool { return m.Name == "rotation" })
		l.defaults = &shared
	}
	return root
}

func (l *loader) environment(f folder) Environment {
	r := l.reader(f.name)
	e := Environment{}
	if n := l.parse(r.sink, f.main); n != nil {
		n, whole := l.extend(r.sink, n, environmentFile)
		e = r.environment(merge(l.defaults, n, ""), whole)
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
			n, whole := l.extend(r.sink, n, connectionFile)
			c = r.connection(n, l.rotation, whole)
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
				Message: "the environment " + yamlpos.Printable(other.Name) + " has the same dev_id",
				Hint:    "one dev-id belongs to one folder", Contested: true,
			})
		}
	}
}

// KeepOwners lets the environment that had a dev_id before keep it where others claim it
// too, so that who may write one folder cannot stop another: only theirs stay invalid. Where
// had tells so of none of them, or of several, all do.
func (s *Set) KeepOwners(problems []Problem, had func(Environment) bool) []Problem {
	for i, e := range s.Environments {
		rivals := slices.DeleteFunc(slices.Clone(s.Environments), func(o Environment) bool {
			return o.Name == e.Name || e.DevID == "" || !strings.EqualFold(o.DevID, e.DevID)
		})
		if len(rivals) == 0 || !had(e) || slices.ContainsFunc(rivals, had) {
			continue
		}
		problems = slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return p.Contested && p.Environment == e.Name })
		s.Environments[i].Invalid = slices.ContainsFunc(problems, func(p Problem) bool {
			return p.Severity == Error && (p.Environment == "" || p.Environment == e.Name)
		})
	}
	return problems
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

const (
	// maxFiles is how many files and folders a repository may hold, ignored
	// ones left out.
	maxFiles = 20_000
	// maxFolders is how deep folders may be nested.
	maxFolders = 8
)

// IsEnvironment tells whether a name can be that of an environment: of its folder below
// the root, with slashes between folders.
func IsEnvironment(name string) bool {
	return fs.ValidPath(name) && environmentName().MatchString(name)
}

// IsDevID tells whether a text can be a dev_id.
func IsDevID(text string) bool { return plainName().MatchString(text) }

// environmentName is what commands and URLs take without quoting.
var environmentName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)
})

// folder is one environment before its files are read.
type folder struct {
	name  string
	main  string   // environment.yaml
	files []string // the other YAML files, sorted
}

// walker finds the files of a repository by name and kind, without reading
// them.
type walker struct {
	fsys     fs.FS
	count    int
	full     bool
	partial  bool // something was not looked at, so absence says nothing
	terra    string
	folders  []folder
	problems []Problem
}

func (w *walker) report(severity Severity, environment, file, hint, format string, args ...any) {
	w.problems = append(w.problems, Problem{
		Severity: severity, Environment: environment, Origin: Origin{File: file}, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// scan reads one folder; environment is the nearest one around it, "" outside.
func (w *walker) scan(dir, environment string, depth int) {
	entries, err := fs.ReadDir(w.fsys, dir)
	if err != nil {
		w.partial = true
		w.report(Error, environment, dir, "", "this folder cannot be read: %v", reason(err))
		return
	}
	var main []string
	for _, e := range entries {
		if isMain(e.Name(), "environment") && e.Type().IsRegular() {
			main = append(main, path.Join(dir, e.Name()))
		}
	}
	if len(main) > 0 && dir == "." {
		w.report(Error, "", main[0], "move it into a folder, such as production/", "an environment is a folder, and this is the root")
	}
	var found *folder
	if len(main) > 0 && dir != "." {
		environment = dir
		found = &folder{name: dir, main: main[0]}
		if !environmentName().MatchString(dir) {
			w.report(Error, environment, main[0], "rename the folder with letters, digits, `.`, `_` and `-`", "the name of this environment is not valid")
		}
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_") {
			continue
		}
		w.entry(dir, environment, depth, e, found)
	}
	if found != nil {
		w.folders = append(w.folders, *found)
	}
}

func (w *walker) entry(dir, environment string, depth int, e fs.DirEntry, found *folder) {
	file := path.Join(dir, e.Name())
	if w.count++; w.count > maxFiles {
		if !w.full {
			w.report(Error, "", file, "give the configuration a repository or a path of its own", "there are more than %d files", maxFiles)
		}
		w.full, w.partial = true, true
		return
	}
	switch t := e.Type(); {
	case !yamlpos.IsShown(e.Name(), false):
		w.report(Error, environment, file, "rename it", "this name holds a control or invisible character")
	case visible.Key(e.Name()) != "":
		w.report(Error, environment, dir, "rename it, and make a new one", "the name of a file in this folder is %s", visible.Key(e.Name()))
	case t&fs.ModeSymlink != 0:
		w.report(Error, environment, file, "replace it by the file itself", "symbolic links are not allowed")
	case t&fs.ModeType == fs.ModeDir && depth >= maxFolders:
		w.report(Error, environment, file, "move it up", "folders are nested deeper than %d", maxFolders)
	case t&fs.ModeType == fs.ModeDir:
		w.scan(file, environment, depth+1)
	case !t.IsRegular():
		w.report(Error, environment, file, "remove it", "this is neither a file nor a folder; submodules are not followed")
	case slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(path.Ext(file))):
		w.yaml(dir, file, found)
	}
}

// yaml files a YAML file under what it is.
func (w *walker) yaml(dir, file string, found *folder) {
	name := path.Base(file)
	switch {
	case dir == "." && isMain(name, "terra") && w.terra != "":
		w.report(Error, "", file, "keep one", "%s is there too", w.terra)
	case dir == "." && isMain(name, "terra"):
		w.terra = file
	case dir != "." && IsRoot(name):
		w.report(Error, "", file, "remove it", "%s stands at the root and nowhere else: it says who can read secrets", RootFile)
	case found != nil && file == found.main:
	case found != nil && isMain(name, "environment"):
		w.report(Error, found.name, file, "keep one", "%s is there too", yamlpos.Printable(found.main))
	case found != nil:
		found.files = append(found.files, file)
	case dir == "." && isMain(name, "environment"):
	default:
		hint := "a folder is an environment when it holds environment.yaml"
		wanted := "environment.yaml"
		if dir == "." {
			wanted = "terra.yaml"
		}
		w.report(Warning, "", file, cmp.Or(yamlpos.DidYouMean(name, []string{wanted}), hint), "this file is not read")
	}
}

// RootFile is the usual name of the file at the root of a config repository.
const RootFile = "terra.yaml"

// RootFiles are the names that it may have.
func RootFiles() []string { return []string{RootFile, "terra.yml"} }

// IsRoot reports whether a file is named as the one at the root, in whatever letters:
// some file systems tell no case.
func IsRoot(name string) bool { return slices.Contains(RootFiles(), strings.ToLower(name)) }

// HasRoot reports whether a folder holds a file of such a name.
func HasRoot(folder fs.FS) bool {
	return slices.ContainsFunc(RootFiles(), func(name string) bool {
		_, err := fs.Lstat(folder, name)
		return err == nil
	})
}

// isMain reports whether name is stem with an extension of YAML.
func isMain(name, stem string) bool {
	return name == stem+".yaml" || name == stem+".yml"
}

// readFile returns at most one byte more than a file may have.
func readFile(fsys fs.FS, file string) ([]byte, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.LimitReader(f, yamlpos.MaxFile+1))
	if closing := f.Close(); err == nil {
		err = closing
	}
	return src, err
}

// reason is the cause of a file error without the path, which the position of
// the problem already names.
func reason(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
