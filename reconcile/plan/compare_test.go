package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCompareStories compares each story's plan with what is left of it after one
// thing was changed, and keeps what it says in a golden.
func TestCompareStories(t *testing.T) {
	var b strings.Builder
	all := stories(t)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	compared := 0
	for _, name := range names {
		shown := planOf(inputOf(t, all[name]))
		if d := Compare(shown, shown); len(d) != 0 {
			t.Errorf("%s: differs from itself: %+v", name, d)
		}
		if len(shown.Changes) == 0 {
			continue
		}
		now := shown
		now.Changes = slices.Clone(shown.Changes[1:])
		for i := range now.Changes {
			c := &now.Changes[i]
			c.Class, c.Gate, c.Guard = Destructive, Ready, ""
			c.Fields = slices.Clone(c.Fields)
			c.Fields[0].From = FieldValue{Mask: "****0000", Compared: Differs}
		}
		fmt.Fprintf(&b, "%s\n%s%s", filepath.Base(name), told(Compare(shown, now)), told(Compare(now, shown)))
		compared++
	}
	t.Logf("COUNT plan_comparisons=%d", compared)
	const golden = "testdata/compare.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got), rewrite with -update:\n%s", golden, diff)
	}
}

func told(list []Difference) string {
	var b strings.Builder
	for _, d := range list {
		fmt.Fprintf(&b, "  %s %s %s %s", d.Kind, d.Connection, d.Action, d.field())
		switch d.Kind {
		case Risen:
			fmt.Fprintf(&b, ": %s -> %s", d.Shown.Class, d.Now.Class)
		case Released:
			fmt.Fprintf(&b, ": %s", d.Shown.Guard)
		case Gone:
			fmt.Fprintf(&b, ": %s -> %s", side(d.Shown.From), side(d.Shown.To))
		case Added, Altered:
			fmt.Fprintf(&b, ": %s -> %s, was %s -> %s, due %d", side(d.Now.From), side(d.Now.To), side(d.Shown.From), side(d.Shown.To), d.Now.Due)
		}
		b.WriteString("\n")
	}
	return b.String() + "\n"
}

func one(action Action, class Class, gate Gate, guard string, fields ...FieldChange) Change {
	return Change{Connection: "e/strava", Action: action, Class: class, Gate: gate, Guard: guard, Fields: fields}
}

func secretOf(key int, sealed string) FieldChange {
	return FieldChange{Field: FieldClientSecret, From: FieldValue{Mask: "****1", Compared: Differs}, To: FieldValue{Key: key, Sealed: sealed}}
}

func TestCompare(t *testing.T) {
	rotation := one(RotateSecret, Safe, Ready, "", secretOf(2, "b"))
	rotation.Cause = Rotation
	proved := func(p Proof) []Change {
		c := one(RotateSecret, Safe, Ready, "", secretOf(1, "a"))
		c.Proof = &p
		return []Change{c}
	}
	usual := Proof{"prefer", 24, 10}
	for name, c := range map[string]struct {
		shown, now []Change
		want       string
	}{
		"nobody is asked any more":        {proved(usual), proved(Proof{"off", 24, 10}), "laxer"},
		"an unclear answer is enough":     {proved(Proof{"require", 24, 10}), proved(usual), "laxer"},
		"it soaks shorter":                {proved(usual), proved(Proof{"prefer", 23, 10}), "laxer"},
		"more users may fall away":        {proved(usual), proved(Proof{"prefer", 24, 11}), "laxer"},
		"all of it laxer":                 {proved(usual), proved(Proof{"off", 0, 100}), "laxer, laxer, laxer"},
		"all of it stricter":              {proved(usual), proved(Proof{"require", 25, 9}), ""},
		"a proof that was not told":       {[]Change{one(RotateSecret, Safe, Ready, "", secretOf(1, "a"))}, proved(usual), ""},
		"nothing":                         {nil, nil, ""},
		"the same in another order":       {[]Change{one(Pause, Safe, Ready, ""), one(Enable, Safe, Ready, "")}, []Change{one(Enable, Safe, Ready, ""), one(Pause, Safe, Ready, "")}, ""},
		"a change without fields":         {nil, []Change{one(ApplyWebhooks, Safe, Ready, "")}, "added"},
		"another seal, the same number":   {[]Change{one(RotateSecret, Safe, Ready, "", secretOf(1, "a"))}, []Change{one(RotateSecret, Safe, Ready, "", secretOf(1, "b"))}, "altered"},
		"another number of the same seal": {[]Change{one(RotateSecret, Safe, Ready, "", secretOf(1, "a"))}, []Change{one(RotateSecret, Safe, Ready, "", secretOf(2, "a"))}, ""},
		"a key that became due":           {[]Change{one(RotateSecret, Safe, Ready, "", secretOf(1, "a"))}, []Change{rotation}, "altered due 2"},
		"one that nobody was shown":       {nil, []Change{rotation}, "added due 2"},
		"another action":                  {[]Change{one(UpdateCredentials, Safe, Ready, "", secretOf(1, "a"))}, []Change{one(RotateSecret, Safe, Ready, "", secretOf(1, "a"))}, "gone, added"},
		"the same twice, then once":       {[]Change{one(Pause, Safe, Ready, ""), one(Pause, Safe, Ready, "")}, []Change{one(Pause, Safe, Ready, "")}, "gone"},
		"a class that rose":               {[]Change{one(Pause, Safe, Ready, "")}, []Change{one(Pause, Disruptive, Ready, "")}, "risen"},
		"a class nobody knows":            {[]Change{one(Pause, Destructive, Ready, "")}, []Change{one(Pause, "deadly", Ready, "")}, "risen"},
		"a class that fell":               {[]Change{one(Pause, Destructive, Ready, "")}, []Change{one(Pause, Safe, Ready, "")}, ""},
		"both altered and worse":          {[]Change{one(RotateSecret, Safe, Ready, "", secretOf(1, "a"))}, []Change{one(RotateSecret, Disruptive, Ready, "", secretOf(1, "b"))}, "risen, altered"},
		"what no approval passes is gone": {[]Change{one(Pause, Disruptive, Blocked, "suspend")}, []Change{one(Pause, Disruptive, Ready, "")}, "released"},
		"a guard nobody knows":            {[]Change{one(Pause, Disruptive, Blocked, "new")}, []Change{one(Pause, Disruptive, Ready, "")}, "released"},
		"what an approval passes":         {[]Change{one(Pause, Disruptive, Blocked, "max-changes")}, []Change{one(Pause, Disruptive, Ready, "")}, ""},
		"what it waited for":              {[]Change{one(Pause, Disruptive, Waiting, "window")}, []Change{one(Pause, Disruptive, Ready, "")}, ""},
		"another guard holds it":          {[]Change{one(Pause, Disruptive, Blocked, "suspend")}, []Change{one(Pause, Disruptive, Blocked, "protect")}, ""},
	} {
		var got []string
		for _, d := range Compare(Plan{Changes: c.shown}, Plan{Changes: c.now}) {
			words := string(d.Kind)
			if d.Now.Due != 0 {
				words += fmt.Sprintf(" due %d", d.Now.Due)
			}
			got = append(got, words)
		}
		if words := strings.Join(got, ", "); words != c.want {
			t.Errorf("%s: got %q, want %q", name, words, c.want)
		}
	}
}

// TestCompareSeesWhatTheHashSees over all plans of the stories and all that
// lack one change: equal hashes if and only if
// nothing is added, gone or altered.
func TestCompareSeesWhatTheHashSees(t *testing.T) {
	all, pairs, same := []Plan{}, 0, 0
	for _, archive := range stories(t) {
		in := inputOf(t, archive)
		p := planOf(in)
		p.DevID = "the same"
		all = append(all, p)
		for i := range p.Changes {
			less := p
			less.Changes = slices.Delete(slices.Clone(p.Changes), i, i+1)
			all = append(all, less)
		}
	}
	var hashes []string
	for _, p := range all {
		hashes = append(hashes, Hash(p))
	}
	for i, a := range all {
		for j, b := range all {
			if j != i && (i+j)%8 != 0 {
				continue // one in eight says it as well
			}
			differs := slices.ContainsFunc(Compare(a, b), func(d Difference) bool { return d.Kind != Risen && d.Kind != Released })
			if equal := hashes[i] == hashes[j]; equal == differs {
				t.Fatalf("the hashes are equal: %t, and the comparison says %+v", equal, Compare(a, b))
			} else if equal {
				same++
			}
			pairs++
		}
	}
	t.Logf("COUNT plan_pairs_compared=%d", pairs)
	if pairs < 1000 || same < len(all) {
		t.Errorf("%d pairs, %d of them the same: too few to say anything", pairs, same)
	}
}
