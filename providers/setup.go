package providers

import (
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Wait is a human step that holds a connection back.
type Wait struct {
	Step   string // its name under `setup`
	Reason string // what is missing, and where to write it
	OwnApp bool   // it concerns the connection's own keys, not the provider as such
}

// Unshown is what a file does not show of human steps, and holds nothing back.
type Unshown struct {
	Cause string // the same words for every connection of which it is so
	Text  string // which steps, and what to write
}

// Waits tells which human steps are not shown to be done. The gates hold
// `enable` of this connection and nothing else, so a connection that is live is
// never held; where Wait.OwnApp is set they concern its keys as well. The
// warnings are at most one text for steps that a working key would prove, and
// one for regions of which only some must wait. With requireSetup every missing
// step is a gate. Evidence that cannot be right, such as a day to come, shows
// nothing; where it holds nothing back, [Provider.Check] warns of it. A
// connection that is to be disabled waits for nothing.
func (p Provider) Waits(c spec.Connection, seen Seen, requireSetup bool) (gates []Wait, warnings []Unshown) {
	if c.State == spec.Disabled {
		return nil, nil
	}
	var unrecorded, write []string
	var partly []Step
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
			gates = append(gates, Wait{Step: s.Name, Reason: reason, OwnApp: s.OwnApp})
		case s.Proof == ByEvidence:
			partly = append(partly, s)
		case len(wrong) == 0:
			unrecorded, write = append(unrecorded, s.Name), append(write, s.blank())
		}
	}
	if len(partly) > 0 {
		warnings = append(warnings, p.partlyOpen(partly, c, seen))
	}
	if len(unrecorded) > 0 {
		warnings = append(warnings, Unshown{"steps not recorded under setup", "not recorded under setup: " + strings.Join(unrecorded, ", ") +
			"; write `setup: {" + strings.Join(write, ", ") + "}` once done (what: `reconcile providers " + p.Slug + "`)"})
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

// Marks tells of every step, by name, how far it is.
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

// WaitsForAnswer reports whether the connection, or some of its regions, waits
// for the answer to a letter.
func (p Provider) WaitsForAnswer(c spec.Connection, seen Seen) bool {
	marks := p.Marks(c, seen)
	return len(p.Letters) > 0 && slices.ContainsFunc(p.Steps, func(s Step) bool {
		return s.Proof == ByEvidence && marks[s.Name] == StepOpen
	})
}

// partlyOpen says which values of an option wait for the steps, and which do not.
func (p Provider) partlyOpen(steps []Step, c spec.Connection, seen Seen) Unshown {
	var names, missing []string
	for _, s := range steps {
		names = append(names, s.Name)
		missing = append(missing, messages(p.wrongEvidence(s, c, seen))...)
		missing = append(missing, s.missing(c)...)
	}
	waiting, open := steps[0].When.split(c)
	waits := waiting + " must wait for " + strings.Join(names, ", ")
	return Unshown{waits + "; open: " + open, waits + " (" + strings.Join(missing, "; ") + "); open: " + open}
}

// reach is how much of a connection a step concerns.
type reach int

const (
	reachNone reach = iota
	reachSome       // some values of an option that may have several
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
	hit, all := 0, c.Options[s.When.Option].Values
	for _, v := range all {
		if s.When.holds(v) {
			hit++
		}
	}
	switch hit {
	case 0:
		return reachNone
	case len(all):
		return reachAll
	}
	return reachSome
}

func (w When) holds(value string) bool {
	return slices.ContainsFunc(w.Values, func(v string) bool { return strings.EqualFold(v, value) })
}

// split lists the values of the option that the step concerns, and the others.
func (w When) split(c spec.Connection) (in, out string) {
	var held, free []string
	for _, v := range c.Options[w.Option].Values {
		if w.holds(v) {
			held = append(held, strings.ToUpper(v))
		} else {
			free = append(free, strings.ToUpper(v))
		}
	}
	return strings.Join(held, ", "), strings.Join(free, ", ")
}
