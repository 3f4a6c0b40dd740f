package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// width is how wide text for people is.
const width = 80

// a note is a text for a person, and what to type for it.
type note struct {
	text       string
	command    plan.Command // nil for nothing
	repository string       // of a daemon.yaml that has several, that the command is about; "" for none
}

func tell(text string, command ...string) note { return note{text: text, command: command} }

// say prints notes for a person.
func say(proc *Process, notes ...note) error {
	p := newPage(proc)
	for _, n := range notes {
		p.note("", 0, n)
	}
	return p.print(proc.Stdout)
}

// page is text for a person, in lines of at most 80 columns unless it says otherwise. The
// commands in it are completed, and neither they nor hashes are broken over two lines.
type page struct {
	out   strings.Builder
	asked invocation
	wide  int // columns of a line at most, where they are others
}

// anyWidth is that of text that goes to another program, which is not broken.
const anyWidth = 1 << 20

func (p *page) columns() int { return cmp.Or(p.wide, width) }

func newPage(proc *Process) *page { return &page{asked: proc.asked} }

// add puts text of ours at the end as it is.
func (p *page) add(text string) { p.out.WriteString(text) }

// note puts a text behind a head, and its command, completed and whole, beside it where
// that fits, else below.
func (p *page) note(head string, at int, n note) {
	command := p.asked.of(n.repository).command(n.command).String()
	switch {
	case command == "":
		p.beside(head, at, n.text)
	case n.text == "":
		p.add(head + command + "\n")
	case !strings.Contains(n.text, "\n") && at+utf8.RuneCountInString(n.text+": "+command) <= p.columns():
		p.add(head + visible.Text(n.text) + ": " + command + "\n")
	default:
		p.beside(head, at, strings.TrimSpace(n.text)+":")
		p.add(strings.Repeat(" ", max(at, 2)) + command + "\n")
	}
}

// paragraph stands at the left margin.
func (p *page) paragraph(text string) { p.beside("", 0, text) }

// labelled puts a text beside a label.
func (p *page) labelled(label, text string, command ...string) {
	const labels = 11
	p.note(fmt.Sprintf("  %-*s", labels, label), labels+2, note{text: text, command: command})
}

// folded puts a text behind a head.
func (p *page) folded(head, text string, command ...string) {
	p.note(head, utf8.RuneCountInString(head), note{text: text, command: command})
}

// beside puts a text of anybody behind a head of ours. What is too long to stand
// there stands below.
func (p *page) beside(head string, at int, text string) {
	for i, line := range report.Lines(text, p.columns()-at) {
		left := at
		if at > 0 {
			left = report.Indent(line, at, p.columns())
		}
		switch {
		case i == 0 && left < at:
			p.add(strings.TrimRight(head, " ") + "\n" + strings.Repeat(" ", left) + line + "\n")
		case i == 0:
			p.add(strings.TrimRight(head+line, " ") + "\n")
		default:
			p.add(strings.Repeat(" ", left) + line + "\n")
		}
	}
}

func (p *page) print(w io.Writer) error {
	_, err := io.WriteString(w, p.out.String())
	return err
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func ago(at, now time.Time) string { return max(0, now.Sub(at)).Round(time.Second).String() }

func short(commit string) string { return commit[:min(12, len(commit))] }

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func targetWords(target string) string {
	if target == "" {
		return "everything"
	}
	return target
}
