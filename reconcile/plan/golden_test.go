package plan

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the goldens and docs/safety.md")

// stories gives the archives of testdata by file name.
func stories(t testing.TB) map[string]*txtar.Archive {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("goldens: got %d files and error %v, want some", len(names), err)
	}
	out := map[string]*txtar.Archive{}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = archive
	}
	return out
}

func inputOf(t testing.TB, archive *txtar.Archive) facts {
	t.Helper()
	if len(archive.Files) == 0 || archive.Files[0].Name != "input.json" {
		t.Fatal("the first file is not input.json")
	}
	in, err := readStory(archive.Files[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestGoldens plans every story, and says what is remembered once all that is
// ready has been applied.
func TestGoldens(t *testing.T) {
	for name, archive := range stories(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			in := inputOf(t, archive)
			got := render(in, planOf(in))
			for _, problem := range broken(in, planOf(in)) {
				t.Error(problem)
			}
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "plan.txt", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want := ""
			if len(archive.Files) > 1 {
				want = string(archive.Files[1].Data)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("plan (-want +got), rewrite with -update:\n%s", diff)
			}
		})
	}
}

// TestGoldensShowEveryRow reads the tables and wants each row, and each word of
// a plan, shown by a story.
func TestGoldensShowEveryRow(t *testing.T) {
	want, shown := map[string]bool{}, map[string]bool{}
	for _, r := range Classes() {
		want[fmt.Sprintf("class %s, %s: %s", r.Action, r.When, r.With)] = true
		want[fmt.Sprintf("class %s, %s: %s", r.Action, r.When, r.WithNone)] = true
	}
	for _, o := range Guards() {
		want["guard "+o.Name] = true
	}
	for _, a := range Order() {
		want["action "+string(a)] = true
	}
	for _, c := range []Cause{Create, Adopt, Commit, Rotation, Drift, Prune} {
		want["cause "+string(c)] = true
	}
	for _, g := range []Gate{Ready, Waiting, Blocked, Approval} {
		want["gate "+string(g)] = true
	}
	for _, archive := range stories(t) {
		in := inputOf(t, archive)
		for _, c := range planOf(in).Changes {
			shown[fmt.Sprintf("class %s, %s: %s", c.Action, ruleFor(in.input().of(c.Provider), c).When, c.Class)] = true
			shown["guard "+c.Guard], shown["action "+string(c.Action)] = true, true
			shown["cause "+string(c.Cause)], shown["gate "+string(c.Gate)] = true, true
		}
	}
	delete(shown, "guard ")
	for _, row := range slices.Sorted(maps.Keys(want)) {
		if !shown[row] {
			t.Errorf("no story shows: %s", row)
		}
	}
	for _, row := range slices.Sorted(maps.Keys(shown)) {
		if !want[row] {
			t.Errorf("a story shows what no table has: %s", row)
		}
	}
	t.Logf("COUNT plan_stories=%d", len(stories(t)))
	t.Logf("COUNT plan_rows_shown=%d", len(want))
}

// render is a plan as a person reads it in a golden.
func render(in facts, p Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "live %d, unchanged %d, hash %s\n", p.Live, p.Unchanged, Hash(p))
	applied := map[string]bool{}
	for _, c := range p.Changes {
		applied[c.ID] = c.Gate == Ready
		fmt.Fprintf(&b, "\n%s (%s)\n", c.ID, c.Origin)
		for _, f := range c.Fields {
			fmt.Fprintf(&b, "  %s: %s -> %s\n", f.Field, side(f.From), side(f.To))
		}
		users := ""
		if c.ActiveUsers != nil {
			users = fmt.Sprintf(" [%d users, exact %t]", c.ActiveUsers.Count, c.ActiveUsers.Exact)
		}
		fmt.Fprintf(&b, "  %s: %s\n  %s: %s%s\n", c.Cause, c.Reason, c.Class, c.ClassReason, users)
		if c.Gate == Ready {
			fmt.Fprintf(&b, "  ready\n")
		} else {
			fmt.Fprintf(&b, "  %s by %s: %s\n", c.Gate, c.Guard, c.GateReason)
			if c.Then != "" {
				fmt.Fprintf(&b, "  then %s\n", c.Then)
			}
			for _, r := range c.Remediations {
				parts := slices.DeleteFunc([]string{r.Text, r.Command.String(), r.File, r.YAML}, func(s string) bool { return s == "" })
				fmt.Fprintf(&b, "  - %s: %s\n", r.Kind, strings.Join(parts, " | "))
			}
		}
	}
	b.WriteString("\n")
	for _, n := range p.NotCompared {
		fmt.Fprintf(&b, "not compared %s %q: %s\n", n.Connection, n.Field, n.Reason)
	}
	for _, u := range p.Unmanaged {
		fmt.Fprintf(&b, "unmanaged %s\n", u)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning %s\n", w.Text)
		for _, r := range w.Remediations {
			fmt.Fprintf(&b, "  %s: %s: %s\n", r.Kind, r.Text, r.Command)
		}
	}
	after := rememberOf(in, p, applied)
	for _, provider := range slices.Sorted(maps.Keys(after.Connections)) {
		m := after.Connections[provider]
		fmt.Fprintf(&b, "remember %s:%s %s\n", provider, flags(m), strings.TrimPrefix(fmt.Sprint(m.Fields), "map"))
	}
	return b.String()
}

func flags(m Remembered) string {
	out := ""
	for _, f := range []struct {
		name string
		on   bool
	}{{"noted", m.Noted}, {"enabled", m.Enabled}, {"protected", m.Protected}, {"paused", m.Paused}, {"suspended", m.Suspended}} {
		if f.on {
			out += " " + f.name
		}
	}
	for _, field := range slices.Sorted(maps.Keys(m.Held)) {
		out += fmt.Sprintf(" held(%s %s)", field, m.Held[field])
	}
	return out
}

func side(v FieldValue) string {
	out := ""
	if v.Value != nil {
		out += fmt.Sprintf(" %q", *v.Value)
	}
	if v.List != nil {
		out += fmt.Sprintf(" %q", v.List)
	}
	if v.Default {
		out += " default"
	}
	for _, s := range []string{v.Mask, string(v.Compared), v.Sealed} {
		if s != "" {
			out += " " + s
		}
	}
	if v.Key != 0 {
		out += fmt.Sprintf(" key %d", v.Key)
	}
	if out == "" {
		return "nothing"
	}
	return out[1:]
}
