package providers

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Prerequisite is a human step that holds a connection back.
type Prerequisite struct {
	Step   string // its name under `setup`
	Reason string // what is missing, and where to write it
	Yours  bool   // it is your turn, as far as the file tells
	By     string // who else has to do something for it, then or now: Samsung; "" nobody
	Do     string // what there is to do, in sentences
	Once   string // when it is over: Once Samsung has confirmed
	Record string // the lines of the connection's file that say that it was done
	Blanks string // what stands in capitals in Record: what each is, with an example
	OwnApp bool   // it concerns the connection's own keys, not the provider as such
}

// Unrecorded is what a file does not show of human steps, and holds nothing back.
type Unrecorded struct {
	Cause string // the same words for every connection of which it is so
	Text  string // which steps, and what to write
}

// Prerequisites says which human steps are not shown to be done. The gates hold
// `enable` of this connection and nothing else, so a connection that is live is
// never held; where Prerequisite.OwnApp is set they concern its keys as well. The
// warnings are at most one text for steps that a working key would prove, and
// one for regions of which only some must wait. With requireSetup every missing
// step is a gate. Evidence that cannot be right, such as a day to come, shows
// nothing; where it holds nothing back, [Provider.Check] warns of it. A
// connection that is to be disabled waits for nothing.
func (p Provider) Prerequisites(c spec.Connection, seen Seen, requireSetup bool) (gates []Prerequisite, warnings []Unrecorded) {
	if c.State == spec.Disabled {
		return nil, nil
	}
	var unrecorded, write []string
	var partly, unsure []Step
	for _, s := range p.Steps {
		reach := s.reach(c, p.Keys)
		if s.Proof == Advice || reach == reachNone || p.shown(s, c, seen) {
			continue
		}
		wrong := p.wrongEvidence(s, c, seen)
		switch {
		case requireSetup || (s.Proof == ByEvidence && reach == reachAll):
			reason := strings.Join(append(messages(wrong), s.missing(c)...), "; ")
			if s.Until != "" {
				reason += "; until then " + s.Until
			}
			gates = append(gates, Prerequisite{Step: s.Name, Reason: reason, Yours: s.yours(c.Setup[s.Name]), By: s.By, Do: p.briefly(s), Once: s.once(), Record: s.record(c), Blanks: s.blanks(c), OwnApp: s.OwnApp})
		case s.Proof == ByEvidence && reach == reachUnsure:
			unsure = append(unsure, s)
		case s.Proof == ByEvidence:
			partly = append(partly, s)
		case len(wrong) == 0:
			unrecorded, write = append(unrecorded, s.Name), append(write, s.blank())
		}
	}
	if len(partly) > 0 {
		warnings = append(warnings, p.partlyOpen(partly, c, seen))
	}
	if len(unsure) > 0 {
		_, perhaps, _ := unsure[0].When.split(c)
		text := perhaps + " may need " + strings.Join(stepNames(unsure), ", ") + " too, which is not confirmed: ask Terra support"
		warnings = append(warnings, Unrecorded{text, text})
	}
	if len(unrecorded) > 0 {
		warnings = append(warnings, Unrecorded{"steps not recorded under setup", "not recorded under setup: " + strings.Join(unrecorded, ", ") +
			"; write `setup: {" + strings.Join(write, ", ") + "}` once done"})
	}
	return gates, warnings
}

// Mark says how far a step is, as a connection's file shows it.
type Mark int

// The marks.
const (
	StepOpen Mark = iota
	StepDone
	StepNotNeeded
)

// Marks says of every step, by name, how far it is.
func (p Provider) Marks(c spec.Connection, seen Seen) map[string]Mark {
	marks := map[string]Mark{}
	for _, s := range p.Steps {
		switch {
		case s.reach(c, p.Keys) == reachNone:
			marks[s.Name] = StepNotNeeded
		case p.shown(s, c, seen) && len(p.misplaced(s, c, seen)) == 0:
			marks[s.Name] = StepDone
		default:
			marks[s.Name] = StepOpen
		}
	}
	return marks
}

// AwaitsAnswer reports whether the connection, or some of its regions, waits
// for the answer to a ticket.
func (p Provider) AwaitsAnswer(c spec.Connection, seen Seen) bool {
	marks := p.Marks(c, seen)
	return len(p.TicketTemplates) > 0 && slices.ContainsFunc(p.Steps, func(s Step) bool {
		return s.Proof == ByEvidence && marks[s.Name] == StepOpen
	})
}

// partlyOpen says which values of an option wait for the steps, and which do not.
func (p Provider) partlyOpen(steps []Step, c spec.Connection, seen Seen) Unrecorded {
	var missing []string
	for _, s := range steps {
		missing = append(missing, messages(p.wrongEvidence(s, c, seen))...)
		missing = append(missing, s.missing(c)...)
	}
	waiting, perhaps, open := steps[0].When.split(c)
	if perhaps != "" {
		open = strings.TrimPrefix(open+", "+perhaps+" (may need them too, which is not confirmed)", ", ")
	}
	waits := waiting + " must wait for " + strings.Join(stepNames(steps), ", ")
	return Unrecorded{waits + "; open: " + open, waits + " (" + strings.Join(missing, "; ") + "); open: " + open}
}

// reach is how much of a connection a step concerns.
type reach int

const (
	reachNone   reach = iota
	reachUnsure       // values of an option of which it is not confirmed
	reachSome         // some values of an option that may have several
	reachAll
)

func (s Step) reach(c spec.Connection, keys Keys) reach {
	own := c.Credentials.Present || (c.App.Given() && c.App.Value == "own")
	if s.OwnApp && !own && keys != KeysRequired {
		return reachNone
	}
	if s.When.Option == "" {
		return reachAll
	}
	in, unsure, out := s.When.split(c)
	switch {
	case in == "" && unsure == "":
		return reachNone
	case in == "":
		return reachUnsure
	case unsure == "" && out == "":
		return reachAll
	}
	return reachSome
}

// split lists the values of the option that the step concerns, those of which that is not
// confirmed, and the others.
func (w When) split(c spec.Connection) (in, unsure, out string) {
	has := func(list []string, value string) bool {
		return slices.ContainsFunc(list, func(v string) bool { return strings.EqualFold(v, value) })
	}
	var held, doubtful, free []string
	for _, v := range c.Options[w.Option].Values {
		switch code := strings.ToUpper(v); {
		case has(w.Values, v):
			held = append(held, code)
		case has(w.Unsure, v):
			doubtful = append(doubtful, code)
		default:
			free = append(free, code)
		}
	}
	return strings.Join(held, ", "), strings.Join(doubtful, ", "), strings.Join(free, ", ")
}

func stepNames(steps []Step) []string {
	var names []string
	for _, s := range steps {
		names = append(names, s.Name)
	}
	return names
}

// earliestZone is how far the first place to begin a day is ahead of UTC. A day
// is written without a zone, so it is to come only where it has begun nowhere.
const earliestZone = 14 * time.Hour

// done is the evidence of most steps: the day on which they were done.
func done() Evidence {
	return Evidence{Name: "done", Says: "the day it was done", Sample: "2026-08-01"}
}

// yours tells whether you have to do it: others do once the file says that they were asked.
func (s Step) yours(written spec.SetupStep) bool {
	asked := slices.ContainsFunc(s.Evidence, func(e Evidence) bool {
		got := evidence(written, e.Name)
		return len(e.Values) > 0 && got != "" && got != e.Want && e.allows(got)
	})
	return s.By == "" || !asked
}

// briefly is what to do in about two lines: where it is longer, its first sentence. An
// address that a file chose is no advice of ours, so a step with one is only named.
func (p Provider) briefly(s Step) string {
	const most = 180 // characters
	if strings.Contains(s.Do, "{") {
		return "Do what `reconcile providers " + p.Slug + "` says of it."
	}
	if first, _, ok := strings.Cut(s.Do, ". "); ok && len(s.Do) > most {
		return first + "."
	}
	return s.Do
}

// record is what a file says once the step is done: what it says already, and blanks for
// a person to fill in.
func (s Step) record(c spec.Connection) string {
	for _, e := range s.Evidence {
		if e.Option {
			return "options: {" + e.Name + ": " + strings.ToUpper(e.Name) + "}"
		}
	}
	return "setup: {" + s.entries(c.Setup[s.Name]) + "}"
}

// once is when a step is over, so that it can be recorded.
func (s Step) once() string {
	if s.By == "" {
		return "Once done"
	}
	return "Once " + s.By + " has confirmed"
}

// blanks says of each thing that a person fills in what it is, with an example.
func (s Step) blanks(c spec.Connection) string {
	record := s.record(c)
	var examples []string
	for _, e := range s.Evidence {
		blank, is := strings.ToUpper(e.Name), e.Says
		if e.Name == "done" {
			blank, is = "DATE", "that day"
		}
		if strings.Contains(record, ": "+blank) && e.Sample != "" {
			examples = append(examples, blank+": "+is+", as "+e.Sample)
		}
	}
	return strings.Join(examples, "; ")
}

// blank shows how a file records the step, for a person to fill in.
func (s Step) blank() string { return s.entries(spec.SetupStep{}) }

func (s Step) entries(written spec.SetupStep) string {
	var entries []string
	for _, e := range s.Evidence {
		switch got := evidence(written, e.Name); {
		case e.Option:
		case got != "" && e.Want == "" && e.allows(got):
			if e.Name != "done" {
				got = strconv.Quote(got)
			}
			entries = append(entries, e.Name+": "+got)
		case e.Name == "done":
			entries = append(entries, "done: DATE")
		case e.Want != "" && !strings.Contains(e.Want, "{"):
			entries = append(entries, e.Name+": "+e.Want)
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

// checkSetup reports evidence that cannot be right, and of entries that no step
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

// wrongEvidence reports what is written of a step and cannot show that it was
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

// misplaced reports an address that is not the one that must stand in the
// portal, as far as the catalogue knows: Terra may show another one, so nothing
// waits for it.
func (p Provider) misplaced(s Step, c spec.Connection, seen Seen) []Finding {
	written := c.Setup[s.Name]
	var found []Finding
	for _, e := range s.Evidence {
		got, wanted := evidence(written, e.Name), p.acceptable(e.Want, c, seen.AuthRedirectURL)
		for _, or := range p.acceptable(e.Or, c, seen.AuthRedirectURL) {
			if !slices.Contains(wanted, or) {
				wanted = append(wanted, or)
			}
		}
		if e.Option || got == "" || len(wanted) == 0 || !strings.Contains(e.Want, "{") || slices.Contains(wanted, got) {
			continue
		}
		found = append(found, Finding{Severity: spec.Warning, Field: "setup." + s.Name, Origin: written.Origin,
			Message: "setup." + s.Name + " is " + strconv.Quote(got) + ", but " + p.Name + " must have " + strings.Join(wanted, " or "),
			Hint:    "change it in the provider's portal, then here"})
	}
	return found
}

// unasked reports entries that the step does not have. A day may stand in each.
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
