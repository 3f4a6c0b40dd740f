package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// A notice is all warnings of a run that say the same of different connections.
type notice struct {
	cause string
	words string   // with all that it is about
	texts []string // each of them in full
	next  []step
}

const aboutShown = 20 // connections that a notice names

// notices takes the warnings of a run together by their cause, those of the whole run
// first.
func notices(r Report) []notice {
	type place struct{ environment, connection, detail string }
	var causes []string
	texts, places, next := map[string][]string{}, map[string][]place{}, map[string][]step{}
	add := func(environment string, w plan.Warning) {
		cause := cmp.Or(w.Cause, w.Text)
		if _, known := texts[cause]; !known {
			causes = append(causes, cause)
		}
		texts[cause] = append(texts[cause], clean(w.Text))
		if w.Connection != "" || environment != "" && !strings.HasPrefix(w.Text, environment+"/") {
			places[cause] = append(places[cause], place{environment, short(w.Connection, environment), clean(w.Detail)})
		}
		for _, n := range w.Remediations {
			if s := stepOf(n.Text, n); !slices.Contains(next[cause], s) {
				next[cause] = append(next[cause], s)
			}
		}
	}
	for _, w := range r.Warnings {
		add("", w)
	}
	for _, e := range r.Environments {
		for _, w := range e.Warnings {
			add(e.Name, w)
		}
	}
	var out []notice
	for _, cause := range causes {
		n := notice{cause: clean(cause), words: clean(cause), texts: texts[cause], next: next[cause]}
		list := places[cause]
		shared := len(list) > 0 && list[0].detail != "" && !slices.ContainsFunc(list, func(p place) bool { return p.detail != list[0].detail })
		if shared {
			n.words += " " + list[0].detail
		}
		var names []string
		for _, p := range list {
			name := strings.Trim(clean(p.environment)+"/"+p.connection, "/")
			if !shared && p.detail != "" {
				name += " " + p.detail
			}
			names = append(names, name)
		}
		switch {
		case len(names) == 1:
			n.words = names[0] + ": " + n.words
		case len(names) > aboutShown:
			n.words += fmt.Sprintf(" (%s and %d more)", strings.Join(names[:aboutShown], ", "), len(names)-aboutShown)
		case len(names) > 1:
			n.words += " (" + strings.Join(names, ", ") + ")"
		}
		if len(n.next) > 1 && len(n.texts) > 1 {
			n.next = n.next[:1] // one of them shows how
		}
		out = append(out, n)
	}
	return out
}

// noticesTitle counts warnings, and causes where they are fewer.
func noticesTitle(list []notice) string {
	n := 0
	for _, c := range list {
		n += len(c.texts)
	}
	if n == len(list) {
		return counted(n, "warning")
	}
	return fmt.Sprintf("%s of %s", counted(n, "warning"), counted(len(list), "cause"))
}

// uncompared is what was not compared for one reason, and why.
type uncompared struct{ what, why string }

// notCompared shows once what was not compared for the same reason.
func notCompared(e Environment) []uncompared {
	at := map[plan.NotCompared]int{} // by field and reason
	var names [][]string
	var out []uncompared
	for _, n := range e.NotCompared {
		name, field := short(n.Connection, e.Name), clean(n.Field)
		n.Connection = ""
		i, known := at[n]
		if !known {
			i = len(out)
			at[n], names = i, append(names, nil)
			why := clean(n.Reason)
			if field != "" {
				why = field + ": " + why
			}
			out = append(out, uncompared{name, why})
		}
		names[i] = append(names[i], name)
	}
	for i, list := range names {
		if len(list) > 1 {
			out[i].what = counted(len(list), "connection")
			out[i].why += ": " + strings.Join(list, ", ")
		}
	}
	return out
}

// unmanaged are the connections that are live and in no file, but for those of which a
// row says so: they are to be pruned.
func unmanaged(e Environment) []string {
	return slices.DeleteFunc(slices.Clone(e.Unmanaged), func(provider string) bool {
		return slices.ContainsFunc(e.Changes, func(c Change) bool { return c.Provider == provider })
	})
}

// asideWords say what a run was not about, "" where it was about everything.
func asideWords(e Environment) string {
	if len(e.Selected) == 0 {
		return ""
	}
	var names []string
	for _, c := range e.Selected {
		names = append(names, short(c, e.Name))
	}
	are := " are not looked at"
	if e.NotSelected == 1 {
		are = " is not looked at"
	}
	return "only " + strings.Join(names, ", ") + ": " + counted(e.NotSelected, "other connection") + are
}

// missingScopes says what a run cannot do at all, for want of a right: it is read first.
func missingScopes(r Report) []string {
	means := map[string]string{
		"providers:read":   "nothing can be compared",
		"providers:write":  "nothing can be applied",
		"connections:read": "end users are not counted, so they are taken for some",
	}
	var out []string
	for _, e := range r.Environments {
		for _, scope := range e.MissingScopes {
			text := "The token of account " + clean(e.Account) + " lacks the scope " + clean(scope)
			if means[scope] != "" {
				text += ": " + means[scope]
			}
			out = append(out, text+".")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
