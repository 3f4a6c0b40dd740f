package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxFiles is how many files and folders a repository may hold, ignored
	// ones left out.
	maxFiles = 20_000
	// maxFolders is how deep folders may be nested.
	maxFolders = 8
)

// environmentName is what commands and URLs take without quoting.
var environmentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)

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
		if !environmentName.MatchString(dir) {
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
	case !isShown(e.Name(), false):
		w.report(Error, environment, file, "rename it", "this name holds a control or invisible character")
	case t&fs.ModeSymlink != 0:
		w.report(Error, environment, file, "replace it by the file itself", "symbolic links are not allowed")
	case t&fs.ModeType == fs.ModeDir && depth >= maxFolders:
		w.report(Error, environment, file, "move it up", "folders are nested deeper than %d", maxFolders)
	case t&fs.ModeType == fs.ModeDir:
		w.scan(file, environment, depth+1)
	case !t.IsRegular():
		w.report(Error, environment, file, "remove it", "this is neither a file nor a folder; submodules are not followed")
	case isYAML(e.Name()):
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
	case found != nil && file == found.main:
	case found != nil && isMain(name, "environment"):
		w.report(Error, found.name, file, "keep one", "%s is there too", printable(found.main))
	case found != nil:
		found.files = append(found.files, file)
	case dir == "." && isMain(name, "environment"):
	default:
		hint := "a folder is an environment when it holds environment.yaml"
		if near := Nearest(name, []string{"environment.yaml"}); near != "" && dir != "." {
			hint = "did you mean `environment.yaml`?"
		}
		if near := Nearest(name, []string{"terra.yaml"}); near != "" && dir == "." {
			hint = "did you mean `terra.yaml`?"
		}
		w.report(Warning, "", file, hint, "this file is not read")
	}
}

// isMain reports whether name is stem with an extension of YAML.
func isMain(name, stem string) bool {
	return name == stem+".yaml" || name == stem+".yml"
}

func isYAML(name string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(path.Ext(name)))
}

// readFile returns at most one byte more than a file may have.
func readFile(fsys fs.FS, file string) ([]byte, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
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
