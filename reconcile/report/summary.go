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
	kinds := map[string]bool{}
	for _, w := range list {
		if len(w.changes) > 0 {
			changing++
		}
		if slices.ContainsFunc(w.changes, func(c Change) bool { return c.Outcome == Applied }) {
			applied++
		}
		if w.needsYou() {
			needs++
			kinds[w.stands] = true
		}
		harmless = harmless && w.class == plan.Safe
	}
	do := "need you"
	if needs == 1 {
		do = "needs you"
	}
	if applied > 0 {
		return appliedWords(e, applied, changing-applied, needs, do)
	}
	switch {
	case len(kinds) > 1:
	case kinds[needApproval(1)]:
		do = needApproval(needs)
	case kinds[string(plan.Blocked)]:
		do = string(plan.Blocked)
	}
	out := fmt.Sprintf("%d of %s differ", changing, counted(changing+e.Summary.Unchanged, "connection"))
	if changing == 1 {
		out += "s"
	}
	if needs > 0 {
		out += ", " + number(needs) + " " + do
	} else if harmless {
		out += "; no user affected"
	}
	return out
}

// appliedWords are those of an environment in which something was applied.
func appliedWords(e Environment, applied, left, needs int, do string) string {
	out := counted(applied, "connection") + " applied"
	if left > 0 {
		switch {
		case needs == left:
			out += ", " + number(needs) + " " + do
		case needs > 0:
			out += ", " + number(left) + " not (" + number(needs) + " " + do + ")"
		default:
			out += ", " + number(left) + " not"
		}
	}
	if e.Summary.Unchanged > 0 {
		out += ", " + number(e.Summary.Unchanged) + " unchanged"
	}
	return out
}

// needsYou tells whether something is held until a person decides, or takes the step for
// which it waits.
func (w row) needsYou() bool {
	return w.rank.needs() || w.rank == rankWaits && slices.ContainsFunc(w.changes, func(c Change) bool { return c.GateYours })
}

// totals counts over a whole run: connections, each by what is most urgent of it.
type totals struct {
	Summary
	applied, failed, unknown          int
	ready, waiting, blocked, approval int // that were not tried
	skipped, notAttempted             int
	sent                              bool // of any change
	errors                            int  // environments, and the run itself
	failedIn                          []string
	mayHaveWritten                    bool
	affected                          string
	harmless                          bool // of a dry run: nothing can harm end users
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
	t.harmless = r.Mode == DryRun && !slices.ContainsFunc(r.Environments, func(e Environment) bool {
		return slices.ContainsFunc(e.Changes, func(c Change) bool { return c.Class != plan.Safe })
	})
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
		t.sent = t.sent || c.Outcome == Applied || c.Outcome == Failed || c.Outcome == Unknown
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

// ReadyWords counts the connections of which a dry run found something ready.
func ReadyWords(r Report) string {
	ready := map[string]bool{}
	for _, e := range r.Environments {
		for _, c := range e.Changes {
			if e.Error == "" && c.Gate == plan.Ready {
				ready[c.Connection] = true
			}
		}
	}
	return counted(len(ready), "connection")
}

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
	add(t.approval, needApproval(t.approval))
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
	switch {
	case t.affected != "":
		out += "; " + t.affected
	case t.waiting > 0 && t.harmless && t.ready+t.approval+t.blocked == 0:
		out += "; no user affected"
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
	switch {
	case r.Mode == Apply:
		what = "Apply"
	case r.PreviewOf != "":
		what = "Preview"
	}
	return what + " of " + commitName(r.Commit)
}

// effect says what a person has to know about writes; "" when it goes without
// saying.
func (t totals) effect(m Mode) string {
	switch {
	case t.mayHaveWritten:
		return " The server may have written: look at Terra before anything else."
	case t.errors > 0 && (m != Apply && t.Changes == 0 || m == Apply && t.Changes > 0 && !t.sent):
		return " Nothing was written: for end users nothing changed."
	case m != Apply && !t.inSync(), t.Changes > 0 && !t.sent:
		return " Nothing was written."
	}
	return ""
}

// closing is the last sentence of a text, of what ran.
func (t totals) closing(r Report, of string) string {
	unused := ""
	if r.NotUsed != "" {
		unused = " The daemon does not use this commit."
	}
	return of + ": " + t.verdict() + "." + t.effect(r.Mode) + unused
}

// InBrief is the last sentence of a text without what ran, when, for how long and how many
// end users it touches: it stays the same from run to run while nothing happens. It repeats
// nothing of Terra and of a file but names of environments.
func InBrief(r Report) string {
	t := total(r)
	t.affected = ""
	return sentence(t.verdict()) + "." + t.effect(r.Mode)
}
