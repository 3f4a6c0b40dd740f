package spec_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// shape is a repository that no text file can hold.
type shape struct {
	name string
	fsys fs.FS
	want string // problems without the last line of describe
}

// brokenFS refuses to open one name.
type brokenFS struct {
	fstest.MapFS
	refuse string
}

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == b.refuse {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("the object is missing")}
	}
	return b.MapFS.Open(name)
}

func (b brokenFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == b.refuse {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("the tree is missing")}
	}
	return b.MapFS.ReadDir(name)
}

func sound(extra map[string]*fstest.MapFile) fstest.MapFS {
	fsys := files(map[string]string{
		"terra.yaml":                  "version: 1\nsecrets: {binding: require}\n",
		"production/environment.yaml": "dev_id: prod-app-x81LmQ\nprune: never\n",
		"production/strava.yaml":      "provider: strava\n",
	})
	for name, file := range extra {
		fsys[name] = file
	}
	return fsys
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func shapes() []shape {
	one := func(name, text string) fstest.MapFS {
		return sound(map[string]*fstest.MapFile{name: {Data: []byte(text)}})
	}
	mode := func(name string, m fs.FileMode) fstest.MapFS {
		return sound(map[string]*fstest.MapFile{name: {Data: []byte("terra.yaml"), Mode: m}})
	}
	crowd := sound(nil)
	for i := range 20_000 {
		crowd[fmt.Sprintf("pages/%05d.md", i)] = text("")
	}
	const strava = "production/strava.yaml"
	shared := sound(nil)
	for i := range 11 {
		shared[fmt.Sprintf("_base/%02d.yaml", i)] = text("scopes: [" + strings.Repeat("a,", 19_000) + "b]\n")
		shared[fmt.Sprintf("production/%02d.yaml", i)] = text(fmt.Sprintf("provider: strava\nextends: ../_base/%02d.yaml\nscopes: []\n", i))
	}
	delete(shared, strava)
	manyShared := "_base/10.yaml:1:1: the files that others extend hold more than 200,000 values up to this one, let files say what is their own\n"
	for i := 1; i < 11; i++ {
		manyShared += fmt.Sprintf("production/%02d.yaml:1:11: strava is already in production/00.yaml:1:11, keep one file for each provider\n", i)
	}
	manyShared += "production/10.yaml:2:10: what this extends cannot be used: _base/10.yaml: the files that others extend hold more than 200,000 values up to this one, mend that file\n"
	return []shape{
		{"a file of very many short values", one(strava, "provider: strava\nscopes: ["+strings.Repeat("a,", 20_000)+"]\n"), strava + ":2:40003: the file holds more than 20,000 lines, commas, colons and dashes up to here, split it\n"},
		{"a file over 1 MiB", one(strava, "provider: strava\n#"+strings.Repeat("x", 1<<20)), strava + ":1:1: the file is larger than 1 MiB, split it\n"},
		{"1 MiB of brackets", one(strava, "a: "+strings.Repeat("[", 1<<20-4)), strava + ":1:104: this is nested too deeply\n"},
		{"not UTF-8", one(strava, "provider: strava\nstate: a\xffb\n"), strava + ":2:9: the file is not UTF-8, save it as UTF-8\n"},
		{"UTF-16", one(strava, "\xff\xfep\x00r\x00"), strava + ":1:1: the file is not UTF-8, save it as UTF-8\n"},
		{"NUL", one(strava, "provider: strava\n# ü\x00\n"), strava + ":2:4: the file holds a NUL character, remove it\n"},
		{"a bidirectional override in a comment", one(strava, "provider: strava # \u202eavarts\n"), strava + ":1:20: the file holds a character that changes the direction of text (U+202E), remove it\n"},
		{"an escape sequence in a comment", one(strava, "# \x1b[2J\nprovider: strava\n"), strava + ":1:3: the file holds a control character (U+001B), remove it\n"},
		{"a line break that only YAML knows", one(strava, "provider: strava\u2028state: paused\n"), strava + ":1:17: the file holds a control character (U+2028), remove it\n"},
		{"a lone carriage return", one(strava, "provider: strava\rstate: paused\n"), strava + ":1:17: the file holds a lone carriage return, save it with LF or CRLF line ends\n"},
		{"a control character in a file's name", one("production/a\x1b[2J.yaml", "provider: whoop\n"), `"production/a\x1b[2J.yaml":1:1: this name holds a control or invisible character, rename it` + "\n"},
		{"a bidirectional override in a folder's name", one("pro\u202educ/environment.yaml", "dev_id: a\nprune: never\n"), `"pro\u202educ":1:1: this name holds a control or invisible character, rename it` + "\n"},
		{"a symbolic link", mode("production/whoop.yaml", fs.ModeSymlink), "production/whoop.yaml:1:1: symbolic links are not allowed, replace it by the file itself\n"},
		{"a symbolic link in place of an environment", mode("staging", fs.ModeSymlink|fs.ModeDir), "staging:1:1: symbolic links are not allowed, replace it by the file itself\n"},
		{"a symbolic link in place of environment.yaml", mode("staging/environment.yaml", fs.ModeSymlink), "staging/environment.yaml:1:1: symbolic links are not allowed, replace it by the file itself\n"},
		{"a submodule", mode("vendor", fs.ModeIrregular|fs.ModeDir), "vendor:1:1: this is neither a file nor a folder; submodules are not followed, remove it\n"},
		{"a device", mode("production/tty", fs.ModeDevice), "production/tty:1:1: this is neither a file nor a folder; submodules are not followed, remove it\n"},
		{"more than 200,000 values that others extend", shared, manyShared},
		{"more than 20,000 files", crowd, "pages/19999.md:1:1: there are more than 20000 files, give the configuration a repository or a path of its own\n"},
		{"a file that cannot be read", brokenFS{sound(nil), strava}, strava + ":1:1: this file cannot be read: the object is missing\n"},
		{"a link that is extended", sound(map[string]*fstest.MapFile{strava: text("provider: strava\nextends: ../_base/link.yaml\n"), "_base/link.yaml": {Mode: fs.ModeSymlink}}), strava + ":2:10: what this extends is a symbolic link, or behind one, replace it by the file itself\n"},
		{"a link on the way to what is extended", sound(map[string]*fstest.MapFile{strava: text("provider: strava\nextends: ../_base/strava.yaml\n"), "_base": {Mode: fs.ModeSymlink | fs.ModeDir}, "_base/strava.yaml": text("state: paused\n")}), strava + ":2:10: what this extends is a symbolic link, or behind one, replace it by the file itself\n"},
		{"a device that is extended", sound(map[string]*fstest.MapFile{strava: text("provider: strava\nextends: ../_base/tty.yaml\n"), "_base/tty.yaml": {Mode: fs.ModeDevice}}), strava + ":2:10: what this extends is neither a file nor a folder, name a file\n"},
		{"a submodule on the way to what is extended", sound(map[string]*fstest.MapFile{strava: text("provider: strava\nextends: ../_base/strava.yaml\n"), "_base": {Mode: fs.ModeIrregular | fs.ModeDir}}), strava + ":2:10: what this extends is a folder, or below a file, name a file\n"},
		{"a folder of what is extended that cannot be read", brokenFS{sound(map[string]*fstest.MapFile{strava: text("provider: strava\nextends: ../_base/strava.yaml\n"), "_base/strava.yaml": text("state: paused\n")}), "_base"}, strava + ":2:10: the folder of what this extends cannot be read: the tree is missing\n"},
		{"a file over 1 MiB that is extended", sound(map[string]*fstest.MapFile{strava: text("provider: strava\nextends: ../_base/strava.yaml\n"), "_base/strava.yaml": text("#" + strings.Repeat("x", 1<<20))}), "_base/strava.yaml:1:1: the file is larger than 1 MiB, split it\n" +
			strava + ":2:10: what this extends cannot be used: _base/strava.yaml: the file is larger than 1 MiB, mend that file\n"},
		{"a root that cannot be read", brokenFS{sound(nil), "."}, ".: this folder cannot be read: the tree is missing\n"},
		{"a folder that cannot be read", brokenFS{sound(nil), "production"}, "production:1:1: this folder cannot be read: the tree is missing\n"},
	}
}

func TestShapes(t *testing.T) {
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			set, problems := spec.Load(s.fsys, vocabulary())
			got, _, _ := strings.Cut(describe(set, problems), "invalid:")
			if diff := cmp.Diff(s.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			for _, e := range set.Environments {
				if !e.Invalid {
					t.Errorf("%s is not invalid", e.Name)
				}
			}
		})
	}
}

// What is ignored is not even looked at.
func TestIgnoredNames(t *testing.T) {
	_, problems := spec.Load(sound(map[string]*fstest.MapFile{
		".git":                           {Mode: fs.ModeSymlink},
		".github/workflows/ci.yaml":      text("a: ["),
		"_old/environment.yaml":          text("a: ["),
		"production/_strava.yaml":        text("a: ["),
		"production/.hidden.yaml":        text("a: ["),
		"production/notes.txt":           text("\x00"),
		"production/strava.yaml.bak":     text("\x00"),
		".reconcile/recipients.lock":     text("x"),
		"docs/how-we-rotate/README.md":   text("\x00"),
		"production/runbooks/on-call.md": text("x"),
	}), vocabulary())
	for _, p := range problems {
		t.Errorf("got %s", p)
	}
}

// An environment below another is its own: nothing is taken over.
func TestNestedEnvironments(t *testing.T) {
	set, problems := spec.Load(sound(map[string]*fstest.MapFile{
		"production/eu/environment.yaml": text("dev_id: eu\nprune: never\nmode: observe\n"),
		"production/eu/WHOOP.YAML":       text("provider: whoop\n"),
	}), vocabulary())
	if len(problems) > 0 || len(set.Environments) != 2 {
		t.Fatalf("got %d environments, problems %v", len(set.Environments), problems)
	}
	outer, inner := set.Environments[0], set.Environments[1]
	if inner.Name != "production/eu" || !inner.Observe || outer.Observe || len(inner.Connections) != 1 || len(outer.Connections) != 1 {
		t.Errorf("got %+v and %+v", outer, inner)
	}
}

// One environment's errors leave the others alone; those of terra.yaml do not.
func TestIsolation(t *testing.T) {
	extra := map[string]*fstest.MapFile{
		"staging/environment.yaml": text("dev_id: s\nprune: never\n"),
		"staging/strava.yaml":      text("provider: strava\nstate: [\n"),
	}
	set, _ := spec.Load(sound(extra), vocabulary())
	if set.Environments[0].Invalid || !set.Environments[1].Invalid {
		t.Errorf("got production invalid %t, staging invalid %t; want only staging", set.Environments[0].Invalid, set.Environments[1].Invalid)
	}
	extra["terra.yaml"] = text("version: 1\ndefaults: {mode: watch}\n")
	set, problems := spec.Load(sound(extra), vocabulary())
	for _, e := range set.Environments {
		if !e.Invalid {
			t.Errorf("%s is valid under a terra.yaml that is not", e.Name)
		}
	}
	count := 0
	for _, p := range problems {
		if strings.Contains(p.Message, "mode must be") {
			count++
		}
	}
	if count != 1 {
		t.Errorf("got the error of defaults %d times, want once", count)
	}
}
