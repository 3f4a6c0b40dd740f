package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

const afterField = "after"

// after reads what changes wait for in another environment. Whether that is there the
// whole repository tells.
func (o object) after(field string) Field[After] {
	one, ok := o.object(field)
	if !ok {
		return Field[After]{}
	}
	one.Require()
	environment, length := one.matching("environment"), one.span("for")
	if !environment.Given() || !length.Given() {
		return Field[After]{}
	}
	return Field[After]{Presence: Given, Origin: one.At(), Value: After{Environment: environment.Value, For: length.Value, EnvironmentOrigin: environment.Origin}}
}

// wait is one environment that waits for another.
type wait struct {
	on After
	of string
}

// promotions reports what waits for an environment that is not there, for itself, or for
// one that waits for it in turn, of whatever connection: nothing would ever change.
func (l *loader) promotions(environments []Environment) {
	var names []string
	var all []wait
	for _, e := range environments {
		names = append(names, e.Name)
		if e.After.Given() {
			all = append(all, wait{e.After.Value, e.Name})
		}
		for _, c := range e.Connections {
			if c.After.Given() {
				all = append(all, wait{c.After.Value, e.Name})
			}
		}
	}
	wrong := func(w wait, hint, message string) {
		l.problems = append(l.problems, Problem{Environment: w.of, Origin: w.on.EnvironmentOrigin, Message: message, Hint: hint})
	}
	round, near := inCircles(all), map[string]string{}
	for _, w := range all {
		_, known := slices.BinarySearch(names, w.on.Environment)
		switch {
		case w.on.Environment == w.of:
			wrong(w, "name another one", "an environment cannot wait for itself")
		case !known:
			hint, looked := near[w.on.Environment]
			if !looked {
				hint = cmp.Or(yamlpos.DidYouMean(w.on.Environment, guessed(l, names)), "write the path of its folder below the root")
				near[w.on.Environment] = hint
			}
			wrong(w, hint, "there is no environment "+yamlpos.Quoted(w.on.Environment))
		case round[w.of] && round[w.on.Environment]:
			wrong(w, "let one of them wait for none", yamlpos.Quoted(w.on.Environment)+" waits for this environment in turn")
		}
	}
}

// counterparts warns of connections that would wait for ever, since the environment that
// they wait for has no file of theirs: once for each `after`. One with errors may have it.
func (l *loader) counterparts(environments []Environment) {
	has := map[string]map[string]bool{}
	for _, e := range environments {
		if e.Invalid {
			continue
		}
		has[e.Name] = map[string]bool{}
		for _, c := range e.Connections {
			has[e.Name][c.Provider] = true
		}
	}
	for _, e := range environments {
		lacking, order := map[Origin][]string{}, []Field[After]{}
		for _, c := range e.Connections {
			after := e.After
			if c.After.Presence != Omitted {
				after = c.After
			}
			there := has[after.Value.Environment]
			if !after.Given() || e.Invalid || there == nil || there[c.Provider] {
				continue
			}
			if lacking[after.Origin] == nil {
				order = append(order, after)
			}
			lacking[after.Origin] = append(lacking[after.Origin], yamlpos.Printable(e.Name+"/"+c.Provider))
		}
		for _, after := range order {
			names, there := lacking[after.Origin], yamlpos.Printable(after.Value.Environment)
			message, hint := names[0]+" has no file in "+there+", so it would wait for ever", "give it one there, or write `after: null` in its file"
			if len(names) > 1 {
				message, hint = some(names)+" have no file in "+there+", so they would wait for ever", "give them one there, or write `after: null` in theirs"
			}
			l.problems = append(l.problems, Problem{Severity: Warning, Environment: e.Name, Origin: after.Origin, Message: message, Hint: hint})
		}
	}
}

// some are the first of several names, and how many follow.
func some(names []string) string {
	const shown = 4
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown-1], ", "), len(names)-shown+1)
}

// inCircles are the environments that wait for each other, and those between two such
// circles.
func inCircles(all []wait) map[string]bool {
	left := map[string]bool{}
	waits, awaited := map[string][]string{}, map[string][]string{}
	for _, w := range all {
		left[w.of], left[w.on.Environment] = true, true
		waits[w.of] = append(waits[w.of], w.on.Environment)
		awaited[w.on.Environment] = append(awaited[w.on.Environment], w.of)
	}
	drop := func(out, in map[string][]string) {
		count := map[string]int{}
		var free []string
		for name := range left {
			for _, other := range out[name] {
				if left[other] {
					count[name]++
				}
			}
			if count[name] == 0 {
				free = append(free, name)
			}
		}
		for len(free) > 0 {
			name := free[0]
			free = free[1:]
			delete(left, name)
			for _, other := range in[name] {
				if count[other]--; count[other] == 0 && left[other] {
					free = append(free, other)
				}
			}
		}
	}
	drop(waits, awaited)
	drop(awaited, waits)
	return left
}
