package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

const aboutShown = 20 // connections of one environment that a cause names

// Warn adds warnings to those of an environment.
func (e *Environment) Warn(list ...plan.Warning) {
	for _, w := range list {
		e.Warnings = append(e.Warnings, w.Text)
		if w.Cause != "" {
			e.WarningDetails = append(e.WarningDetails, w)
		}
	}
}

// cause is all warnings of a run that say the same of different connections.
type cause struct {
	words  string // clean
	next   string // clean: what to do
	detail string // of the last one
	texts  []string
	found  []aboutOne
}

// aboutOne is one environment with the connections that a cause is about.
type aboutOne struct {
	environment string
	list        []string
}

// causes takes the warnings of a run together, those of the whole run first.
func causes(r Report) []cause {
	var out []cause
	at := map[string]int{}
	for _, text := range r.Warnings {
		out = append(out, cause{words: clean(text), texts: []string{clean(text)}})
	}
	for _, e := range r.Environments {
		for _, text := range e.Warnings {
			w := e.detailOf(text)
			i, known := at[w.Cause]
			if !known {
				i = len(out)
				at[w.Cause] = i
				out = append(out, cause{words: clean(w.Cause), next: clean(w.Next)})
			}
			out[i].add(clean(e.Name), w)
			out[i].detail = w.Detail
		}
	}
	for i := range out {
		out[i] = out[i].shared(out[i].detail)
	}
	return out
}

// detailOf gives a warning apart. One of which no more than its text is known is its
// own cause.
func (e Environment) detailOf(text string) plan.Warning {
	i := slices.IndexFunc(e.WarningDetails, func(w plan.Warning) bool { return w.Text == text })
	if i < 0 {
		return plan.Warning{Cause: text, Text: text}
	}
	return e.WarningDetails[i]
}

func (c *cause) add(environment string, w plan.Warning) {
	c.texts = append(c.texts, clean(w.Text))
	if next := clean(w.Next); next != c.next && !strings.HasPrefix(c.next, "for one, ") {
		c.next = "for one, " + c.next
	}
	if w.About == "" && strings.HasPrefix(w.Text, environment+"/") {
		return // it begins with its place
	}
	i := slices.IndexFunc(c.found, func(a aboutOne) bool { return a.environment == environment })
	if i < 0 {
		i = len(c.found)
		c.found = append(c.found, aboutOne{environment: environment})
	}
	if w.About != "" {
		c.found[i].list = append(c.found[i].list, strings.TrimRight(short(w.About, environment)+" "+clean(w.Detail), " "))
	}
}

// shared takes the detail that all have in common out of the lists, if there is one.
func (c cause) shared(detail string) cause {
	if detail == "" {
		return c
	}
	tail := " " + clean(detail)
	for _, a := range c.found {
		if slices.ContainsFunc(a.list, func(s string) bool { return !strings.HasSuffix(s, tail) }) {
			return c
		}
	}
	c.words += tail
	for _, a := range c.found {
		for i := range a.list {
			a.list[i] = strings.TrimSuffix(a.list[i], tail)
		}
	}
	return c
}

// where names the connections. Environments with the same ones share their list.
func (c cause) where() string {
	var out []string
	told := make([]bool, len(c.found))
	for i, a := range c.found {
		if told[i] {
			continue
		}
		names := []string{a.environment}
		for j := i + 1; j < len(c.found); j++ {
			if slices.Equal(a.list, c.found[j].list) {
				told[j] = true
				names = append(names, c.found[j].environment)
			}
		}
		out = append(out, aboutWords(strings.Join(names, ", "), a.list))
	}
	return strings.Join(out, "; ")
}

func aboutWords(environments string, list []string) string {
	switch {
	case len(list) == 0:
		return environments
	case len(list) == 1 && !strings.Contains(environments, ", "):
		return environments + "/" + list[0]
	case len(list) > aboutShown:
		return fmt.Sprintf("%s: %s and %d more", environments, strings.Join(list[:aboutShown], ", "), len(list)-aboutShown)
	}
	return environments + ": " + strings.Join(list, ", ")
}

// line is the cause in as few words as tell where it is so and what to do.
func (c cause) line() string {
	out := c.words
	if where := c.where(); where != "" && len(c.texts) == 1 {
		out = where + ": " + out
	} else if where != "" {
		out += " (" + where + ")"
	}
	if c.next != "" {
		out += "; " + c.next
	}
	return out
}

// warningsTitle counts warnings, and causes where they are fewer.
func warningsTitle(list []cause) string {
	n := 0
	for _, c := range list {
		n += len(c.texts)
	}
	if n == len(list) {
		return counted(n, "warning")
	}
	return fmt.Sprintf("%s of %s", counted(n, "warning"), counted(len(list), "cause"))
}

// span is a piece of a clean text: a command in it, or words.
type span struct {
	Code bool
	Text string
}

// commandIn is a command in a text. Other backticks are no more than signs: text of
// others has them too.
var commandIn = regexp.MustCompile("`reconcile [^`]+`")

// spans parts a clean text at its commands.
func spans(s string) []span {
	var out []span
	add := func(code bool, text string) {
		if text != "" {
			out = append(out, span{code, text})
		}
	}
	end := 0
	for _, at := range commandIn.FindAllStringIndex(s, -1) {
		add(false, s[end:at[0]])
		add(true, s[at[0]+1:at[1]-1])
		end = at[1]
	}
	add(false, s[end:])
	return out
}
