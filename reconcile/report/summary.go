package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// isQuiet: nothing to say but how many connections it has, and warnings, which are
// shown for all environments together. A key that will become due is something.
func isQuiet(e Environment) bool {
	comes := func(k keys.Status) bool { return k.Next > 0 }
	return e.Error == "" && !slices.ContainsFunc(e.Keys, comes) && len(e.Selected)+len(e.Changes)+len(e.NotCompared)+len(e.Unmanaged)+len(e.MayHaveWritten)+len(e.Events) == 0
}

// headWords say how many connections of an environment change, and how many need a
// person.
func headWords(e Environment, list []row) string {
	if len(e.Changes) == 0 {
		return ""
	}
	changing, applied, needs, harmless := 0, 0, 0, true
	for _, w := range list {
		if len(w.changes) > 0 {
			changing++
		}
		if slices.ContainsFunc(w.changes, func(c Change) bool { return c.Outcome == Applied }) {
			applied++
		}
		if w.needsYou() {
			needs++
		}
		harmless = harmless && w.class == plan.Safe
	}
	of := counted(changing+e.Summary.Unchanged, "connection")
	var out string
	switch left := changing - applied; {
	case applied > 0 && left > 0:
		out = fmt.Sprintf("%d of %s applied, %d not", applied, of, left)
	case applied > 0:
		out = fmt.Sprintf("%d of %s applied", applied, of)
	case changing == 1:
		out = "1 of " + of + " differs"
	default:
		out = fmt.Sprintf("%d of %s differ", changing, of)
	}
	switch {
	case needs == 1:
		out += ", 1 needs you"
	case needs > 1:
		out += fmt.Sprintf(", %d need you", needs)
	case harmless && applied == 0:
		out += "; no user affected"
	}
	return out
}

// needsYou tells whether something is held until a person decides, or takes the step for
// which it waits.
func (w row) needsYou() bool {
	return w.rank <= rankNeeds || w.rank == rankWaits && slices.ContainsFunc(w.changes, func(c Change) bool {
		return c.Guard == plan.GuardSetup && strings.Contains(c.GateReason, ", your turn")
	})
}

// totals counts over a whole run: connections, each by what is most urgent of it.
type totals struct {
	Summary
	applied, failed, unknown          int
	ready, waiting, blocked, approval int // that were not tried
	skipped, notAttempted             int
	tried                             bool
	errors                            int // environments, and the run itself
	failedIn                          []string
	mayHaveWritten                    bool
	affected                          string
}

func total(r Report) totals {
	var t totals
	if r.Error != "" {
		t.errors++
	}
	for _, e := range r.Environments {
		t.addEnvironment(e)
	}
	t.affected = affected(r)
	return t
}

func (t *totals) addEnvironment(e Environment) {
	if e.Error != "" || len(e.MayHaveWritten) > 0 {
		t.errors++
		t.failedIn = append(t.failedIn, middle(clean(e.Name), longestName))
	}
	t.mayHaveWritten = t.mayHaveWritten || len(e.MayHaveWritten) > 0
	t.Unchanged += e.Summary.Unchanged
	t.Unmanaged += len(unmanaged(e))
	t.NotCompared += len(e.NotCompared)
	lead := map[string]Change{}
	applied := map[string]bool{}
	for _, c := range e.Changes {
		t.Changes++
		t.tried = t.tried || c.Outcome != NotAttempted
		applied[c.Connection] = applied[c.Connection] || c.Outcome == Applied
		if first, ok := lead[c.Connection]; !ok || rankOf(c) < rankOf(first) {
			lead[c.Connection] = c
		}
	}
	for connection, c := range lead {
		if applied[connection] {
			t.applied++
		}
		t.count(c)
	}
}

// count adds a connection of which a change is the most urgent.
func (t *totals) count(c Change) {
	switch c.Outcome {
	case Applied:
		return // is counted beside what is left
	case Failed:
		t.failed++
		return
	case Unknown:
		t.unknown++
		return
	case NotAttempted:
		t.notAttempted++
		return
	case Waiting, Skipped:
	}
	switch {
	case c.Gate == plan.Blocked:
		t.blocked++
	case c.Gate == plan.Approval:
		t.approval++
	case c.Gate == plan.Waiting, c.Outcome == Waiting:
		t.waiting++
	case c.Outcome == Skipped:
		t.skipped++
	default:
		t.ready++
	}
}

// inSync reports whether everything was compared and nothing differs.
func (t totals) inSync() bool {
	return t.Changes == 0 && t.NotCompared == 0 && t.errors == 0
}

// certain reports whether the words "in sync" may stand anywhere in a rendering.
func (t totals) certain() bool { return t.NotCompared == 0 && t.errors == 0 }

// standings lists how many connections stand how, the worst first.
func (t totals) standings() string {
	var parts []string
	add := func(n int, words string) {
		switch {
		case n == 0:
		case len(parts) == 0:
			parts = append(parts, counted(n, "connection")+" "+words)
		default:
			parts = append(parts, number(n)+" "+words)
		}
	}
	add(t.failed, "FAILED")
	add(t.unknown, "UNKNOWN")
	add(t.applied, "applied")
	add(t.ready, "ready")
	if t.approval == 1 {
		add(t.approval, "needs approval")
	} else {
		add(t.approval, "need approval")
	}
	add(t.blocked, "blocked")
	add(t.waiting, "waiting")
	add(t.skipped, "skipped")
	add(t.notAttempted, notTried)
	return strings.Join(parts, ", ")
}

// verdict says in one line how a run ended, without what and when.
func (t totals) verdict() string {
	if t.inSync() {
		return "nothing to change, " + counted(t.Unchanged, "connection") + " in sync"
	}
	var parts []string
	if t.errors > 0 {
		parts = append(parts, counted(t.errors, "error")+t.where())
	}
	if t.Changes > 0 {
		parts = append(parts, t.standings())
	}
	if t.NotCompared > 0 {
		parts = append(parts, number(t.NotCompared)+" not compared")
	}
	if t.Unchanged > 0 && t.Changes == 0 {
		parts = append(parts, number(t.Unchanged)+" unchanged")
	}
	if t.Unmanaged > 0 {
		parts = append(parts, number(t.Unmanaged)+" not managed")
	}
	out := strings.Join(parts, ", ")
	if t.affected != "" {
		out += "; " + t.affected
	}
	return out
}

// where names the environments with errors, as many as a line has room for.
func (t totals) where() string {
	const shown = 3
	list := t.failedIn
	if len(list) > 0 && len(list) < t.errors {
		list = append([]string{"the run"}, list...)
	}
	switch {
	case len(list) == 0:
		return ""
	case len(list) > shown:
		return fmt.Sprintf(" (%s and %d more)", strings.Join(list[:shown], ", "), len(list)-shown)
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// occasion says what ran, on what, and for how long.
func occasion(r Report) string { return ran(r) + " in " + duration(r.DurationMS) }

// ran says what ran, and on what.
func ran(r Report) string {
	what := "Dry run"
	if r.Mode == Apply {
		what = "Apply"
	}
	return what + " of " + commitName(r.Commit)
}

// effect says what a person has to know about writes; "" when it goes without
// saying.
func (t totals) effect(m Mode) string {
	switch {
	case t.mayHaveWritten:
		return " The server may have written: look at Terra before anything else."
	case m != Apply && t.errors > 0 && t.Changes == 0:
		return " Nothing was written: for end users nothing changed."
	case m != Apply && !t.inSync(), t.Changes > 0 && !t.tried:
		return " Nothing was written."
	}
	return ""
}

// closing is the last sentence of a text, of what ran.
func closing(r Report, of string) string {
	t := total(r)
	return of + ": " + t.verdict() + "." + t.effect(r.Mode)
}
