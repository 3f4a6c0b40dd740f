package report

import (
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// headline is the room of each column of the headlines of one environment.
type headline struct{ name, action int }

func columnsFor(e Environment) headline {
	var h headline
	for _, c := range e.Changes {
		h.name = max(h.name, min(columns(name(c)), longestName))
		h.action = max(h.action, columns(clean(string(c.Action))))
	}
	return h
}

func (t *text) change(c, above Change, h headline) {
	connection := middle(name(c), longestName)
	action, class := clean(string(c.Action)), clean(string(c.Class))
	head := "  " + t.paint.color(colourOf(c), symbol(c.Action)) + " " +
		t.paint.bold(connection) + pad(connection, h.name) + "  " +
		action + pad(action, h.action) + "  " +
		t.paint.color(classColour(c.Class), class)
	if s := standing(c); s != "" {
		head += pad(class, len(plan.Destructive)) + "  " + t.paint.color(colourOf(c), s)
	}
	t.line(head)
	for _, f := range c.Fields {
		t.field(f)
	}
	t.detail("why", whyAndWhere(c), plain)
	switch {
	case c.Class != plan.Safe && c.ClassReason != "":
		t.detail("risk", clean(c.ClassReason), plain)
	case c.ClassReason == plan.Proved:
		t.detail("proof", clean(c.ClassReason), plain)
	}
	if u := users(c); u != "" {
		t.detail("users", u, plain)
	}
	if c.Gate != plan.Ready && c.Outcome != Applied {
		reason := heldBy(c)
		if c.Connection == above.Connection && c.Gate == above.Gate && reason == heldBy(above) {
			reason = "as above"
		}
		t.detail(string(c.Gate), reason, yellow)
	}
	if c.Outcome == Unknown {
		t.detail("unknown", "it was sent, and nobody could read back whether it took effect", red)
	}
	if c.Error != "" {
		t.detail("error", c.Error, red)
	}
}

// users is the impact where nothing else tells it: a class that depends on end users
// names their number in its reason, and that there is none needs no line of its own.
func users(c Change) string {
	none := c.ActiveUsers != nil && !someUsers(c.ActiveUsers)
	if none || c.Class != plan.Safe && strings.Contains(c.ClassReason, "end users") {
		return ""
	}
	return impact(c)
}

// whyAndWhere is the cause, and the line of the repository behind it.
func whyAndWhere(c Change) string {
	if c.Origin == "" {
		return why(c)
	}
	return why(c) + " (" + clean(c.Origin) + ")"
}

func someUsers(u *plan.Users) bool { return u != nil && (u.Count > 0 || !u.Exact) }

// field is one line with from and to where that fits, else as many as it needs.
func (t *text) field(f plan.FieldChange) {
	label := middle(clean(f.Field), longestName)
	room := t.width - 6 - max(t.labels, columns(label)) - 2
	from, to := middle(side(f.From), longestValue), middle(side(f.To), longestValue)
	if one := from + " -> " + to; columns(one) <= room {
		t.detail(label, one, plain)
		return
	}
	if len(f.From.List) > 0 && len(f.To.List) > 0 {
		t.detail(label, listChange(f), plain)
		return
	}
	t.detail(label, from, plain)
	t.detail("", "-> "+to, plain)
}

func pad(s string, room int) string { return strings.Repeat(" ", max(0, room-columns(s))) }

type colour string

const (
	plain  colour = ""
	red    colour = "\x1b[31m"
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	bold   colour = "\x1b[1m"
	dim    colour = "\x1b[2m"
	reset         = "\x1b[0m"
)

// painter colours text when it is true.
type painter bool

func (p painter) color(c colour, s string) string {
	if !p || c == plain || s == "" {
		return s
	}
	return string(c) + s + reset
}

func (p painter) bold(s string) string { return p.color(bold, s) }

func (p painter) dim(s string) string { return p.color(dim, s) }

func colourOf(c Change) colour {
	switch c.Outcome {
	case Failed, Unknown:
		return red
	case Applied:
		return green
	case Waiting, Skipped, NotAttempted:
	}
	if c.Gate != plan.Ready {
		return yellow
	}
	switch symbol(c.Action) {
	case "+":
		return green
	case "-":
		return red
	}
	return yellow
}

func classColour(c plan.Class) colour {
	switch c {
	case plan.Destructive:
		return red
	case plan.Disruptive:
		return yellow
	case plan.Safe:
	}
	return plain
}
