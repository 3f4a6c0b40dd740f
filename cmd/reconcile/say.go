package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// width is how wide text for people is.
const width = 80

// say prints paragraphs for a person.
func say(env *environment, paragraphs ...string) error {
	p := newPage(env)
	for _, text := range paragraphs {
		p.paragraph(text)
	}
	return p.print(env.Stdout)
}

// page is text for a person, in lines of at most 80 columns. The commands in it
// are completed, and neither they nor hashes are broken over two lines.
type page struct {
	out   strings.Builder
	asked invocation
}

func newPage(env *environment) *page { return &page{asked: env.asked} }

// add puts text of ours at the end as it is.
func (p *page) add(text string) { p.out.WriteString(text) }

// paragraph stands at the left margin.
func (p *page) paragraph(text string) { p.beside("", 0, text) }

// labelled puts a text beside a label.
func (p *page) labelled(label, text string) {
	const labels = 11
	p.beside(fmt.Sprintf("  %-*s", labels, label), labels+2, text)
}

// folded puts a text behind a head.
func (p *page) folded(head, text string) { p.beside(head, utf8.RuneCountInString(head), text) }

// beside puts a text of anybody behind a head of ours. What is too long to stand
// there stands below.
func (p *page) beside(head string, at int, text string) {
	for i, line := range report.Lines(p.asked.complete(text), width-at) {
		left := at
		if at > 0 {
			left = report.Indent(line, at, width)
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
