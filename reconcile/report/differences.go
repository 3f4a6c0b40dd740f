package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

const (
	differencesShown = 40 // lines
	sealedShown      = 19 // characters of a sealed token: sha256: and 12 digits
)

// Plan gives the plan that an environment of a report is about, as far as a
// report tells of it.
func (e Environment) Plan() plan.Plan {
	p := plan.Plan{Environment: e.Name, DevID: e.DevID, NotCompared: e.NotCompared, Unmanaged: e.Unmanaged, Unchanged: e.Summary.Unchanged}
	for _, c := range e.Changes {
		p.Changes = append(p.Changes, c.Change)
	}
	return p
}

// Differences says in words, a line each, in what a plan is not the one that was
// shown. The lines are safe to print.
func Differences(list []plan.Difference) string {
	var out []string
	for i, d := range list {
		if i == differencesShown {
			out = append(out, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		out = append(out, difference(d))
	}
	return strings.Join(out, "\n")
}

func difference(d plan.Difference) string {
	what := clean(d.Connection) + " " + clean(string(d.Action))
	switch d.Kind {
	case plan.Risen:
		return fmt.Sprintf("class rose: %s is %s now, was %s: %s", what, clean(string(d.Now.Class)), clean(string(d.Shown.Class)), clean(d.Now.ClassReason))
	case plan.Freed:
		return fmt.Sprintf("not held any more: %s was shown as blocked by guard %s", what, clean(d.Shown.Guard))
	case plan.Gone:
		return "gone: " + what + step(d.Shown, false)
	case plan.Altered:
		sealed := sides(d.Shown, false) == sides(d.Now, false)
		return "altered: " + what + step(d.Now, sealed) + due(d) + ", was " + sides(d.Shown, sealed)
	case plan.Added:
	}
	return "added: " + what + step(d.Now, false) + due(d)
}

func step(s plan.Step, sealed bool) string {
	if s.Field == "" {
		return ""
	}
	return " " + clean(s.Field) + " " + sides(s, sealed)
}

func sides(s plan.Step, sealed bool) string {
	return differing(s.From, sealed) + " -> " + differing(s.To, sealed)
}

// differing is a side in words, which for a secret are the same for two that
// differ: on demand what tells them apart.
func differing(v plan.FieldValue, sealed bool) string {
	words := middle(side(v), longestValue)
	switch {
	case sealed && v.Sealed != "":
		words += fmt.Sprintf(" (sealed %s…)", clean(v.Sealed[:min(len(v.Sealed), sealedShown)]))
	case sealed && v.Compared != "":
		words += " (" + clean(string(v.Compared)) + ")"
	}
	return words
}

func due(d plan.Difference) string {
	if d.Now.Due == 0 || d.Now.Due == d.Shown.Due {
		return ""
	}
	return fmt.Sprintf(" (key %d became due since)", d.Now.Due)
}

// takeSealed moves what a change sends of secrets out of its fields, which name
// keys by their numbers, to where a plan file keeps it.
func (c Change) takeSealed() Change {
	c.Fields, c.Sealed = slices.Clone(c.Fields), nil
	for i := range c.Fields {
		f := &c.Fields[i]
		f.From.Sealed = ""
		if f.To.Key == 0 || f.To.Sealed == "" {
			continue
		}
		if c.Sealed == nil {
			c.Sealed = map[string]string{}
		}
		c.Sealed[f.Field], f.To.Sealed = f.To.Sealed, ""
	}
	return c
}

// putSealed undoes takeSealed.
func (c Change) putSealed() Change {
	for i := range c.Fields {
		if f := &c.Fields[i]; f.To.Sealed == "" {
			f.To.Sealed = c.Sealed[f.Field]
		}
	}
	c.Sealed = nil
	return c
}
