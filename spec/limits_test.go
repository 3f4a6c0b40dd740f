package spec_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// manyFiles is an environment with n files that hold text, beside another that is
// right.
func manyFiles(n int, text string) fstest.MapFS {
	fsys := files(map[string]string{
		"terra.yaml":               "version: 1\nsecrets: {binding: require}\n",
		"many/environment.yaml":    "dev_id: many-x\nprune: never\n",
		"staging/environment.yaml": "dev_id: staging-x\nprune: never\n",
	})
	data := []byte(text)
	for i := range n {
		fsys[fmt.Sprintf("many/%04d.yaml", i)] = &fstest.MapFile{Data: data}
	}
	return fsys
}

// oddFile has more problems than are listed.
func oddFile() string { return strings.Repeat("odd: 1\n", 300) }

// invalid names the environments that must not be planned.
func invalid(set spec.Set) string {
	var names []string
	for _, e := range set.Environments {
		if e.Invalid {
			names = append(names, e.Name)
		}
	}
	return strings.Join(names, " ")
}

func TestProblemsOfOneFileAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		text, last string
		want       int
	}{
		"as many as are listed": {"provider: strava\n" + strings.Repeat("odd: 1\n", 200), ":201:1: this field is already on line 2, keep one", 200},
		"one more":              {"provider: strava\nodder: 1\n" + strings.Repeat("odd: 1\n", 200), "many/0000.yaml:201:1: this field is already on line 3, keep one", 201},
		"fifteen thousand":      {"provider: strava\nscopes: [" + strings.Repeat("a,", 15_000) + "]\n", "`a` stands twice in scopes, keep one", 201},
	} {
		set, problems := spec.Load(manyFiles(1, c.text), vocabulary())
		if len(problems) != c.want || !strings.HasSuffix(problems[len(problems)-1].String(), c.last) || invalid(set) != "many" {
			t.Errorf("%s: got %d problems, want %d, the last is %s; invalid: %s", name, len(problems), c.want, problems[len(problems)-1], invalid(set))
		}
		if first := problems[0].String(); c.want > 200 && (!strings.HasPrefix(first, "many/0000.yaml:1:1: ") || !strings.HasSuffix(first, " more problems are not listed, mend these first")) {
			t.Errorf("%s: the first is %s", name, first)
		}
	}
}

// TestErrorsAreListedBeforeWarnings: what is left out must not be what makes the
// environment invalid.
func TestErrorsAreListedBeforeWarnings(t *testing.T) {
	var warnings strings.Builder
	for n := range 70 {
		fmt.Fprintf(&warnings, "    - {connection: acme%d, change: disable, until: 2030-01-01, reason: tried}\n", n)
	}
	warnings.WriteString("  protect:\n")
	for n := range 180 {
		fmt.Fprintf(&warnings, "    - acme%d\n", n)
	}
	fsys := manyFiles(0, "")
	for text, want := range map[string]string{"": "", "zebra: 1\n": "many"} {
		fsys["many/environment.yaml"] = &fstest.MapFile{Data: []byte("dev_id: many-x\nprune: never\npolicy:\n  allow:\n" + warnings.String() + text)}
		set, problems := spec.Load(fsys, vocabulary())
		if len(problems) != 201 || invalid(set) != want {
			t.Errorf("%q: got %d problems, invalid %q, want %q; the first is %s", text, len(problems), invalid(set), want, problems[0])
		}
	}
}

// listed is n entries of a list, each with its number.
func listed(n int, entry string) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(strings.ReplaceAll(entry, "#", strconv.Itoa(i)))
	}
	return "[" + strings.TrimSuffix(out.String(), ",") + "]"
}

// A list that is read for every environment, or for every file, is bounded: by itself
// and with what defaults add.
func TestListsOfEveryFileAreBounded(t *testing.T) {
	key := strings.Repeat("q", 58)
	for name, c := range map[string]struct{ terra, environment, want, invalid string }{
		"protected as many as may be": {environment: "policy: {protect: " + listed(200, "p#,") + "}\n"},
		"one more": {
			environment: "policy: {protect: " + listed(201, "p#,") + "}\n",
			want:        "many/environment.yaml:3:910: policy.protect has 201 entries; it may have 200, remove what has no connection file",
			invalid:     "many",
		},
		"of defaults": {
			terra:   "defaults: {policy: {protect: " + listed(201, "p#,") + "}}\n",
			want:    "terra.yaml:3:921: policy.protect has 201 entries; it may have 200, remove what has no connection file",
			invalid: "many staging",
		},
		"of both, each not too many": {
			terra: "defaults: {policy: {protect: " + listed(150, "q#,") + "}}\n", environment: "policy: {protect: " + listed(150, "p#,") + "}\n",
			want:    "many/environment.yaml:3:19: policy.protect has 300 entries with those of defaults; it may have 200, remove what has no connection file",
			invalid: "many",
		},
		"the same in both": {
			terra: "defaults: {policy: {protect: " + listed(150, "p#,") + "}}\n", environment: "policy: {protect: " + listed(150, "p#,") + "}\n",
		},
		"rules": {
			terra:   "recipients: " + listed(201, "{paths: [\"#/*\"], age: [age1"+key+"]},") + "\n",
			want:    "terra.yaml:3:17904: recipients has 201 entries; it may have 200, let one entry name several paths",
			invalid: "many staging",
		},
		"paths of a rule": {
			terra:   "recipients: [{age: [age1" + key + "], paths: " + listed(51, "\"#/*\",") + "}]\n",
			want:    "terra.yaml:3:434: recipients[1].paths has 51 entries; it may have 50, cover several with `**`",
			invalid: "many staging",
		},
		"recipients of a rule": {
			terra:   "recipients: [{paths: [\"**\"], age: " + listed(101, "age1#"+key[:57]+",") + "}]\n",
			want:    "terra.yaml:3:6426: recipients[1].age has 101 entries; it may have 100, share one key",
			invalid: "many staging",
		},
	} {
		fsys := manyFiles(0, "")
		fsys["terra.yaml"] = &fstest.MapFile{Data: append(fsys["terra.yaml"].Data, c.terra...)}
		fsys["many/environment.yaml"] = &fstest.MapFile{Data: append(fsys["many/environment.yaml"].Data, c.environment...)}
		set, problems := spec.Load(fsys, vocabulary())
		var got []string
		for _, p := range problems {
			if p.Severity == spec.Error {
				got = append(got, p.String())
			}
		}
		if all := strings.Join(got, "\n"); all != c.want || invalid(set) != c.invalid {
			t.Errorf("%s: invalid %q, got\n%s\nwant\n%s", name, invalid(set), all, c.want)
		}
	}
}

// One environment that is not worth the time is not read to its end, and holds up no
// other one.
func TestLoadGivesUpAnEnvironment(t *testing.T) {
	set, problems := spec.Load(manyFiles(20, oddFile()), vocabulary())
	last := problems[len(problems)-1].String()
	if want := "many/0010.yaml:1:1: this file and what follows in its folder was not read, because there are too many problems, mend the others first"; last != want {
		t.Errorf("the last is %s, want %s", last, want)
	}
	if len(problems) != 10*201+1 || invalid(set) != "many" {
		t.Errorf("got %d problems; invalid: %s", len(problems), invalid(set))
	}
}

// A commit that is not worth the time is refused as a whole: what was not read says
// nothing.
func TestLoadGivesUpACommit(t *testing.T) {
	environments := manyFiles(0, "")
	for e := range 60 {
		dir := fmt.Sprintf("env-%02d/", e)
		environments[dir+"environment.yaml"] = &fstest.MapFile{Data: []byte(fmt.Sprintf("dev_id: x-%d\nprune: never\n", e))}
		for i := range 9 {
			environments[fmt.Sprintf("%s%d.yaml", dir, i)] = &fstest.MapFile{Data: []byte(oddFile())}
		}
	}
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"too many problems": {environments, "env-56/environment.yaml:1:1: this file and what follows was not read, because there are too many problems, mend the others first"},
		"too many bytes": {
			manyFiles(257, strings.Repeat("\x00", 1<<20)),
			"many/0255.yaml:1:1: the files up to this one hold more than 256 MiB, give the configuration a repository or a path of its own",
		},
	} {
		set, problems := spec.Load(c.files, vocabulary())
		found := 0
		for _, p := range problems {
			if p.Environment == "" {
				found++
				if p.String() != c.want {
					t.Errorf("%s: got %s, want %s", name, p, c.want)
				}
			}
		}
		if found != 1 || len(problems) > 105_000 || len(strings.Fields(invalid(set))) != len(set.Environments) {
			t.Errorf("%s: it is said %d times, %d problems; invalid: %s", name, found, len(problems), invalid(set))
		}
	}
}

// TestHostileValues fills files with as many values as they may hold: what is kept of them
// is a few times their text, and so bounded by what a commit may hold.
func TestHostileValues(t *testing.T) {
	fsys, size := manyFiles(0, ""), 0
	for i := range 4 {
		var text strings.Builder
		fmt.Fprintf(&text, "provider: own_%04d\nscopes: [", i)
		for n := range 19_900 {
			fmt.Fprintf(&text, "s%d.%s,", n, strings.Repeat("x", 40))
		}
		text.WriteString("a]\n")
		size += text.Len()
		fsys[fmt.Sprintf("many/%04d.yaml", i)] = &fstest.MapFile{Data: []byte(text.String())}
	}
	held := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := held()
	set, problems := spec.Load(fsys, vocabulary())
	kept := held() - before
	if len(set.Environments) != 2 || len(set.Environments[0].Connections) != 4 || invalid(set) != "" {
		t.Fatalf("got %v", problems)
	}
	if t.Logf("%d bytes are kept of %d", kept, size); kept > 2*size {
		t.Errorf("%d bytes are kept of %d", kept, size)
	}
	runtime.KeepAlive(set)
}
