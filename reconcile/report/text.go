package report

import (
	"io"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// TextOptions of Text.
type TextOptions struct {
	Color bool // ANSI colours; every colour repeats what a word says
	Width int  // columns; 0 means 80, less than 40 counts as 40
}

const (
	defaultWidth = 80
	leastWidth   = 40
	longestName  = 24
	longestValue = 400 // columns of one side of a field
)

// Text writes r for a person at a terminal: an environment a block, a change a
// headline with its details below, and one sentence at the end. Environments in
// which nothing differs share one line.
func Text(w io.Writer, r Report, o TextOptions) error {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	t := &text{paint: painter(o.Color), width: max(o.Width, leastWidth), certain: total(r).certain()}
	t.report(r)
	_, err := io.WriteString(w, t.out.String())
	return err
}

type text struct {
	out     strings.Builder
	paint   painter
	width   int
	certain bool
	labels  int // columns of the labels of details
}

func (t *text) report(r Report) {
	var quiet []Environment
	t.labels = len("warning")
	if r.Error != "" {
		t.paragraph("error: "+r.Error, red)
	}
	for _, e := range r.Environments {
		if isQuiet(e) {
			quiet = append(quiet, e)
			continue
		}
		t.gap()
		t.environment(e)
	}
	if len(quiet) > 0 {
		if t.out.Len() > 0 {
			t.gap()
		}
		t.quiet(quiet)
	}
	t.warnings(causes(r))
	if len(quiet) == 0 {
		t.gap()
	}
	for _, line := range wrap(closing(r), t.width) {
		t.line(t.paint.bold(line))
	}
}

// warnings follow what is going on: most of them are true every day.
func (t *text) warnings(list []cause) {
	if len(list) == 0 {
		return
	}
	t.gap()
	t.line(t.paint.bold(warningsTitle(list)))
	for _, c := range list {
		for i, line := range lines(c.line(), t.width-4) {
			if i == 0 {
				t.line("  " + t.paint.color(yellow, "!") + " " + line)
				continue
			}
			t.line(strings.Repeat(" ", Indent(line, 4, t.width)) + line)
		}
	}
	t.gap()
}

// isQuiet: nothing to say but how many connections it has, and warnings, which are
// told for all environments together.
func isQuiet(e Environment) bool {
	return e.Error == "" && len(e.Changes)+len(e.NotCompared)+len(e.Unmanaged)+len(e.MayHaveWritten)+len(told(e)) == 0
}

func (t *text) quiet(environments []Environment) {
	words := "unchanged"
	if t.certain {
		words = "in sync"
	}
	names, connections := make([]string, 0, len(environments)), 0
	for _, e := range environments {
		names = append(names, e.Name)
		connections += e.Summary.Unchanged
	}
	tail := ": " + words + ", " + counted(connections, "connection")
	head := cleanList(names)
	if columns(head+tail) > t.width {
		head = counted(len(names), "environment")
	}
	t.line(t.paint.bold(head) + tail)
}

func (t *text) environment(e Environment) {
	t.line(t.paint.bold(clean(e.Name)) + "  " + t.paint.dim(clean(e.DevID)))
	t.labels = labelWidth(e)
	if e.Error != "" {
		t.note("error", e.Error, red)
	}
	if len(e.MayHaveWritten) > 0 {
		t.note("may have written", mayHaveWritten(e), red)
	}
	shared := columnsFor(e)
	var above Change
	for _, c := range inOrder(e.Changes) {
		t.gap()
		t.change(c, above, shared)
		above = c
	}
	t.rest(e)
}

// rest is what follows the changes of an environment.
func (t *text) rest(e Environment) {
	if len(e.NotCompared) > 0 {
		t.gap()
		t.line("  " + t.paint.color(yellow, "?") + " not compared")
		for _, n := range notCompared(e) {
			t.detail(middle(n.what, longestName), n.why, plain)
		}
	}
	t.lifts(e)
	if len(told(e))+len(e.Unmanaged) > 0 {
		t.gap()
	}
	for _, event := range told(e) {
		t.note(event.label(), event.Text, yellow)
	}
	if len(e.Unmanaged) > 0 {
		t.note("not managed", cleanList(e.Unmanaged)+" (live, and no file names them)", plain)
	}
	if len(e.Changes) == 0 && len(e.NotCompared) == 0 && e.Error == "" {
		words := "unchanged"
		if t.certain {
			words = "in sync"
		}
		t.note(words, counted(e.Summary.Unchanged, "connection"), plain)
	}
}

// lifts says once for an environment what would let its held changes through.
func (t *text) lifts(e Environment) {
	first, above := true, ""
	for _, h := range holds(e) {
		if h.Way == "" {
			continue
		}
		if first {
			t.gap()
			t.line("  the way through")
			first = false
		}
		label := clean(h.Guard)
		if label == above {
			label = ""
		}
		above = clean(h.Guard)
		t.detail(label, h.Way+" ("+counted(h.Count, "change")+")", plain)
	}
	if e.ApproveNext != "" {
		t.gap()
	}
	for _, line := range lines(e.ApproveNext, t.width-2) {
		if line != "" {
			t.line("  " + line)
		}
	}
}

// gap is one empty line, unless nothing stands above it.
func (t *text) gap() {
	if t.out.Len() > 0 && !strings.HasSuffix(t.out.String(), "\n\n") {
		t.out.WriteByte('\n')
	}
}

func (t *text) line(s string) {
	t.out.WriteString(strings.TrimRight(s, " "))
	t.out.WriteByte('\n')
}

// paragraph stands at the left margin; lines after the first are indented.
func (t *text) paragraph(s string, c colour) {
	for i, line := range lines(s, t.width-2) {
		if i > 0 {
			line = "  " + line
		}
		t.line(t.paint.color(c, line))
	}
}

// note is a label with a text at the indent of an environment.
func (t *text) note(label, s string, c colour) { t.labelled(2, label, s, c) }

// detail is a label with a text at the indent of a change.
func (t *text) detail(label, s string, c colour) { t.labelled(6, label, s, c) }

func (t *text) labelled(indent int, label, s string, c colour) {
	room := max(t.labels, columns(label))
	at := indent + room + 2
	for i, line := range lines(s, t.width-at) {
		left := Indent(line, at, t.width)
		if i == 0 && left < at {
			t.line(strings.Repeat(" ", indent) + t.paint.dim(label))
		} else if i == 0 {
			t.line(strings.Repeat(" ", indent) + t.paint.dim(label) + strings.Repeat(" ", room-columns(label)+2) + t.paint.color(c, line))
			continue
		}
		t.line(strings.Repeat(" ", left) + t.paint.color(c, line))
	}
}

// lines wraps a text that may have lines of its own, such as several errors.
func lines(s string, room int) []string {
	var out []string
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		out = append(out, wrap(clean(line), max(room, 20))...)
	}
	return out
}

func labelWidth(e Environment) int {
	width := len(plan.FieldClientSecret)
	for _, h := range holds(e) {
		if h.Way != "" {
			width = max(width, columns(clean(h.Guard)))
		}
	}
	for _, c := range e.Changes {
		for _, f := range c.Fields {
			width = max(width, min(columns(clean(f.Field)), longestName))
		}
	}
	return width
}
