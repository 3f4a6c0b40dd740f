package report

import (
	"fmt"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// totals counts over a whole run.
type totals struct {
	Summary
	ready, waiting, blocked, approval int // changes that were not tried
	skipped, notAttempted             int
	errors                            int // environments, and the run itself
	failedIn                          []string
	mayHaveWritten                    bool
}

func total(r Report) totals {
	var t totals
	if r.Error != "" {
		t.errors++
	}
	for _, e := range r.Environments {
		t.addEnvironment(e)
	}
	return t
}

func (t *totals) addEnvironment(e Environment) {
	if e.Error != "" || len(e.MayHaveWritten) > 0 {
		t.errors++
		t.failedIn = append(t.failedIn, middle(clean(e.Name), longestName))
	}
	t.mayHaveWritten = t.mayHaveWritten || len(e.MayHaveWritten) > 0
	t.Unchanged += e.Summary.Unchanged
	t.Unmanaged += len(e.Unmanaged)
	t.NotCompared += len(e.NotCompared)
	s := count(e.Changes)
	t.Changes += s.Changes
	t.Gated += s.Gated
	t.Applied += s.Applied
	t.Failed += s.Failed
	t.Unknown += s.Unknown
	for _, c := range e.Changes {
		switch c.Outcome {
		case Applied, Failed, Unknown:
			continue
		case NotAttempted:
			t.notAttempted++
			continue
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
}

// inSync reports whether everything was compared and nothing differs.
func (t totals) inSync() bool {
	return t.Changes == 0 && t.NotCompared == 0 && t.errors == 0
}

// certain reports whether the words "in sync" may stand anywhere in a rendering.
func (t totals) certain() bool { return t.NotCompared == 0 && t.errors == 0 }

// standings lists what became of the changes, the worst first.
func (t totals) standings() string {
	var parts []string
	add := func(n int, words string) {
		if n > 0 {
			parts = append(parts, number(n)+" "+words)
		}
	}
	add(t.Failed, "FAILED")
	add(t.Unknown, "UNKNOWN")
	add(t.Applied, "applied")
	add(t.ready, "ready")
	if t.approval == 1 {
		add(t.approval, "needs approval")
	} else {
		add(t.approval, "need approval")
	}
	add(t.blocked, "blocked")
	add(t.waiting, "waiting")
	add(t.skipped, "skipped")
	add(t.notAttempted, "not attempted")
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
		parts = append(parts, counted(t.Changes, "change")+" ("+t.standings()+")")
	}
	if t.NotCompared > 0 {
		parts = append(parts, number(t.NotCompared)+" not compared")
	}
	parts = append(parts, number(t.Unchanged)+" unchanged")
	if t.Unmanaged > 0 {
		parts = append(parts, number(t.Unmanaged)+" not managed")
	}
	return strings.Join(parts, ", ")
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

// environmentWords says how one environment stands.
func (t totals) environmentWords() string {
	if t.inSync() {
		return counted(t.Unchanged, "connection") + " unchanged"
	}
	t.failedIn = nil // it stands below its name
	return t.verdict()
}

// occasion says what ran, on what, and for how long.
func occasion(r Report) string {
	what := "Dry run"
	if r.Mode == Apply {
		what = "Apply"
	}
	return what + " of " + commitWords(r.Commit) + " in " + duration(r.DurationMS)
}

// effect says what a person has to know about writes; "" when it goes without
// saying.
func (t totals) effect(m Mode) string {
	switch {
	case t.mayHaveWritten:
		return " The server may have written: look at Terra before anything else."
	case m != Apply && !t.inSync():
		return " Nothing was written."
	}
	return ""
}

// closing is the last sentence of a text.
func closing(r Report) string {
	t := total(r)
	return occasion(r) + ": " + t.verdict() + "." + t.effect(r.Mode)
}
