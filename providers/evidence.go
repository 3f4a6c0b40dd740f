package providers

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// earliestZone is how far the first place to begin a day is ahead of UTC. A day
// is written without a zone, so it is to come only where it has begun nowhere.
const earliestZone = 14 * time.Hour

// done is the evidence of most steps: the day on which they were done.
func done() Evidence {
	return Evidence{Name: "done", Says: "the day it was done", Sample: "2026-08-01"}
}

// blank shows how a file records the step, for a person to fill in.
func (s Step) blank() string {
	var entries []string
	for _, e := range s.Evidence {
		switch {
		case e.Option:
		case e.Name == "done":
			entries = append(entries, "done: DATE")
		default:
			entries = append(entries, e.Name+": "+strings.ToUpper(e.Name))
		}
	}
	return s.Name + ": {" + strings.Join(entries, ", ") + "}"
}

// shown reports whether the file shows that the step was done. For a step that a
// key proves, a date alone is enough. A later step that is shown proves this one.
func (p Provider) shown(s Step, c spec.Connection, seen Seen) bool {
	wrong := len(p.wrongEvidence(s, c, seen)) > 0
	if s.Proof == ByKey && !c.Setup[s.Name].Done.IsZero() && !wrong {
		return true
	}
	if len(s.missing(c)) == 0 && !wrong {
		return true
	}
	later, ok := p.Step(s.ProvenBy)
	return ok && p.shown(later, c, seen)
}

// missing says in words which evidence is not there, or not yet what it must be.
func (s Step) missing(c spec.Connection) []string {
	var missing []string
	for _, e := range s.Evidence {
		where, got := s.where(e), evidence(c.Setup[s.Name], e.Name)
		if e.Option {
			got = strings.Join(c.Options[e.Name].Values, " ")
		}
		exact := e.Want != "" && !strings.Contains(e.Want, "{")
		switch {
		case got == "":
			missing = append(missing, where+" is missing: "+e.Says)
		case exact && got != e.Want && e.allows(got):
			missing = append(missing, where+" is "+strconv.Quote(got)+", not yet "+strconv.Quote(e.Want))
		case e.Contains != "" && !strings.Contains(strings.ToLower(got), e.Contains):
			missing = append(missing, where+" is "+strconv.Quote(got)+", which does not contain "+strconv.Quote(e.Contains))
		}
	}
	return missing
}

// allows reports whether text is one that can stand there.
func (e Evidence) allows(text string) bool {
	return len(e.Values) == 0 || slices.Contains(e.Values, text)
}

// evidence returns what a file says of one entry of a step, "" for nothing.
func evidence(s spec.SetupStep, name string) string {
	switch name {
	case "done":
		if s.Done.IsZero() {
			return ""
		}
		return s.Done.Format(time.DateOnly)
	case "value":
		return s.Value
	case "state":
		return s.State
	}
	return s.Fields[name]
}

// checkSetup tells of evidence that cannot be right, and of entries that no step
// asks for.
func (p Provider) checkSetup(c spec.Connection, seen Seen) []Finding {
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(c.Setup)) {
		if step, ok := p.Step(name); ok {
			found = append(found, p.wrongEvidence(step, c, seen)...)
			found = append(found, p.misplaced(step, c, seen)...)
			found = append(found, step.unasked(c.Setup[name])...)
		}
	}
	return found
}

// wrongEvidence tells of what is written of a step and cannot show that it was
// done: a day to come, a word that is none of those known.
func (p Provider) wrongEvidence(s Step, c spec.Connection, seen Seen) []Finding {
	written, ok := c.Setup[s.Name]
	if !ok {
		return nil
	}
	var found []Finding
	add := func(message, hint string) {
		found = append(found, Finding{Severity: spec.Warning, Field: "setup." + s.Name, Origin: written.Origin, Message: message, Hint: hint})
	}
	if written.Done.After(seen.Now.Add(earliestZone)) {
		add("setup."+s.Name+".done is "+evidence(written, "done")+", a day to come, and shows nothing", "write the day on which it was done, once it is")
	}
	for _, e := range s.Evidence {
		got := evidence(written, e.Name)
		if !e.Option && got != "" && !e.allows(got) {
			hint := "write " + strings.Join(e.Values, ", ")
			if near := spec.Nearest(got, e.Values); near != "" {
				hint = "did you mean `" + near + "`? known here: " + strings.Join(e.Values, ", ")
			}
			add(s.where(e)+" "+strconv.Quote(got)+" is not known", hint)
		}
	}
	return found
}

// misplaced tells of an address that is not the one that must stand in the
// portal, as far as the catalogue knows: Terra may show another one, so nothing
// waits for it.
func (p Provider) misplaced(s Step, c spec.Connection, seen Seen) []Finding {
	written := c.Setup[s.Name]
	var found []Finding
	for _, e := range s.Evidence {
		got, wanted := evidence(written, e.Name), p.acceptable(e.Want, c, seen.AuthRedirectURL)
		if e.Option || got == "" || len(wanted) == 0 || !strings.Contains(e.Want, "{") || slices.Contains(wanted, got) {
			continue
		}
		found = append(found, Finding{Severity: spec.Warning, Field: "setup." + s.Name, Origin: written.Origin,
			Message: "setup." + s.Name + " is " + strconv.Quote(got) + ", but " + p.Name + " must have " + strings.Join(wanted, " or "),
			Hint:    "change it in the provider's portal, then here"})
	}
	return found
}

// unasked tells of entries that the step does not have. A day may stand in each.
func (s Step) unasked(written spec.SetupStep) []Finding {
	known := []string{"done"}
	for _, e := range s.Evidence {
		if !e.Option && e.Name != "done" {
			known = append(known, e.Name)
		}
	}
	names := slices.Sorted(maps.Keys(written.Fields))
	if written.State != "" {
		names = append(names, "state")
	}
	if written.Value != "" {
		names = append(names, "value")
	}
	var found []Finding
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		hint := "known here: " + strings.Join(known, ", ")
		if near := spec.Nearest(name, known); near != "" {
			hint = "did you mean `" + near + "`?"
		}
		found = append(found, Finding{Severity: spec.Warning, Field: "setup." + s.Name, Origin: written.Origin,
			Message: "setup." + s.Name + " has no entry " + strconv.Quote(name) + ", so nobody reads it", Hint: hint})
	}
	return found
}

// messages are the findings in words, without their hints.
func messages(found []Finding) []string {
	var texts []string
	for _, f := range found {
		texts = append(texts, f.Message)
	}
	return texts
}
