package plan

import (
	"cmp"
	"slices"
)

// DifferenceKind says in what a plan is not the one that was shown.
type DifferenceKind string

// The kinds.
const (
	Added   DifferenceKind = "added"   // planned now, and was not shown
	Gone    DifferenceKind = "gone"    // was shown, and is not planned any more
	Altered DifferenceKind = "altered" // shown with another value on one side
	Risen   DifferenceKind = "risen"   // the same, and it can hurt more than was shown
	Freed   DifferenceKind = "freed"   // the same, and shown as held by what no approval passes
)

// Difference is one thing in which a plan is not the one that was shown.
type Difference struct {
	Kind       DifferenceKind
	Connection string
	Action     Action
	Shown, Now Step // Shown is zero for Added, Now for Gone
}

// Step is one field of a change, with what a Difference tells of the change.
type Step struct {
	FieldChange        // Field is "" for a change that shows none
	Class       Class  // of the change
	ClassReason string // why that class
	Guard       string // that holds it, "" when it is ready
	Due         int    // the number of the key that this rotates to, else 0
}

type spot struct {
	connection string
	action     Action
	field      string
}

// Compare gives everything in which now is not the plan that was shown, sorted:
// what is added, gone or altered, by what Hash is made of; and what the hash
// leaves out on purpose and a person who said yes would have wanted to know: a
// class that rose, and a change that was shown as held by a guard that no
// approval passes. A class that fell, and a gate that opened by time, are no
// difference. Plans of two dev_ids are not told apart here.
func Compare(shown, now Plan) []Difference {
	before, after := steps(shown), steps(now)
	var out []Difference
	for at, were := range before {
		was, is := unmatched(were, after[at])
		for i := range max(len(was), len(is)) {
			d := Difference{Connection: at.connection, Action: at.action}
			switch {
			case i >= len(is):
				d.Kind, d.Shown = Gone, was[i]
			case i >= len(was):
				d.Kind, d.Now = Added, is[i]
			default:
				d.Kind, d.Shown, d.Now = Altered, was[i], is[i]
			}
			out = append(out, d)
		}
	}
	for at, are := range after {
		if len(before[at]) == 0 {
			for _, s := range are {
				out = append(out, Difference{Kind: Added, Connection: at.connection, Action: at.action, Now: s})
			}
		}
	}
	out = append(out, worse(shown, now)...)
	slices.SortFunc(out, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), cmp.Compare(rank(a.Action), rank(b.Action)), cmp.Compare(a.field(), b.field()),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Shown.tokens(), b.Shown.tokens()), cmp.Compare(a.Now.tokens(), b.Now.tokens()))
	})
	return out
}

// worse compares changes as a whole. Where one place has several, the worst counts.
func worse(shown, now Plan) []Difference {
	var out []Difference
	told := map[spot]bool{}
	for _, c := range now.Changes {
		at := spot{c.Connection, c.Action, ""}
		was := worst(shown, at)
		if was == nil || told[at] {
			continue
		}
		told[at] = true
		is := worst(now, at)
		d := Difference{Connection: at.connection, Action: at.action, Shown: stepOf(*was), Now: stepOf(*is)}
		if harm(is.Class) > harm(was.Class) {
			d.Kind = Risen
			out = append(out, d)
		}
		if override, known := OverrideOf(was.Guard); was.Gate == Blocked && is.Gate == Ready && !(known && override.Hash) {
			d.Kind = Freed
			out = append(out, d)
		}
	}
	return out
}

func worst(p Plan, at spot) *Change {
	var out *Change
	for i, c := range p.Changes {
		if c.Connection == at.connection && c.Action == at.action && (out == nil || harm(c.Class) > harm(out.Class)) {
			out = &p.Changes[i]
		}
	}
	return out
}

// harm orders classes. One that is not known counts as the worst.
func harm(c Class) int {
	at := slices.Index([]Class{Safe, Disruptive, Destructive}, c)
	if at < 0 {
		return len(Destructive)
	}
	return at
}

func steps(p Plan) map[spot][]Step {
	out := map[spot][]Step{}
	for _, c := range p.Changes {
		if len(c.Fields) == 0 {
			at := spot{c.Connection, c.Action, ""}
			out[at] = append(out[at], stepOf(c))
		}
		for _, f := range c.Fields {
			at := spot{c.Connection, c.Action, f.Field}
			s := stepOf(c)
			s.FieldChange = f
			if c.Cause == Rotation && f.Field == FieldClientSecret {
				s.Due = f.To.Key
			}
			out[at] = append(out[at], s)
		}
	}
	return out
}

func stepOf(c Change) Step {
	return Step{Class: c.Class, ClassReason: c.ClassReason, Guard: c.Guard}
}

// unmatched leaves out the steps that are the same on both sides.
func unmatched(were, are []Step) (was, is []Step) {
	is = slices.Clone(are)
	for _, s := range were {
		at := slices.IndexFunc(is, func(o Step) bool { return o.tokens() == s.tokens() })
		if at < 0 {
			was = append(was, s)
			continue
		}
		is = slices.Delete(is, at, at+1)
	}
	return was, is
}

// tokens is what the hash knows of both sides.
func (s Step) tokens() string { return listToken([]string{s.From.token(), s.To.token()}) }

func (d Difference) field() string { return max(d.Shown.Field, d.Now.Field) }
