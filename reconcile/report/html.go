package report

import (
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

//go:embed page.html
var pageTemplate string

//go:embed page.css
var pageStyle string

// HTML writes r as one page that needs nothing else: no script, no font, no
// address outside of itself. Its content security policy allows its own style
// and nothing more.
func HTML(w io.Writer, r Report) error {
	page, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("read page template: %w", err)
	}
	var out strings.Builder
	if err := page.Execute(&out, newPage(r)); err != nil {
		return fmt.Errorf("fill page template: %w", err)
	}
	_, err = io.WriteString(w, out.String())
	return err
}

type page struct {
	Policy       string
	Style        template.CSS
	Title        string
	Occasion     string
	Started      string
	Commit       string
	Error        []string
	Warnings     []pageCause
	WarningTitle string
	Environments []pageEnvironment
	Quiet        []pageQuiet
	QuietWords   string
	Several      bool // environments with something to say
}

type pageQuiet struct{ Name, DevID, Connections string }

type pageEnvironment struct {
	Name, DevID, PlanHash string
	Anchor                string
	Standing              string
	Error                 []string
	MayHaveWritten        string
	Events                []pageRow
	Changes               []pageChange
	NotCompared           []pageRow
	Unmanaged             []string
	Lifts                 []pageRow
	Approve               []span
}

type pageCause struct {
	Line  []span
	Texts []string // in full, where the line leaves something out
}

type pageChange struct {
	Symbol, Name, Action, Class, Standing, Tone string
	Brief                                       string // what becomes what, as much as fits a line
	Open                                        bool   // a person should look at it
	Fields                                      []pageField
	Rows                                        []pageRow
}

const briefValue = 60 // columns of a field in the line of its change

type pageField struct{ Field, From, To string }

type pageRow struct{ Label, Text string }

// Spans is the text with its commands apart.
func (r pageRow) Spans() []span { return spans(r.Text) }

func newPage(r Report) page {
	t := total(r)
	sum := sha256.Sum256([]byte(pageStyle))
	p := page{
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		Style:  template.CSS(pageStyle), //nolint:gosec // our own embedded file
		Title:  t.verdict(), Occasion: occasion(r) + "." + t.effect(r.Mode), Commit: clean(r.Commit),
		Started:    r.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC"),
		Error:      cleanLines(r.Error),
		QuietWords: "Unchanged",
	}
	if t.certain() {
		p.QuietWords = "In sync"
	}
	for i, e := range r.Environments {
		if isQuiet(e) {
			p.Quiet = append(p.Quiet, pageQuiet{clean(e.Name), clean(e.DevID), counted(e.Summary.Unchanged, "connection")})
			continue
		}
		p.Environments = append(p.Environments, newPageEnvironment(e, i))
	}
	p.Several = len(p.Environments) > 1
	found := causes(r)
	p.WarningTitle = warningsTitle(found)
	for _, c := range found {
		w := pageCause{Line: spans(c.line())}
		if len(c.texts) > 1 || c.texts[0] != c.line() {
			w.Texts = c.texts
		}
		p.Warnings = append(p.Warnings, w)
	}
	return p
}

func newPageEnvironment(e Environment, at int) pageEnvironment {
	var t totals
	t.addEnvironment(e)
	out := pageEnvironment{
		Name: clean(e.Name), DevID: clean(e.DevID), PlanHash: clean(e.PlanHash), Anchor: fmt.Sprintf("environment-%d", at+1),
		Standing: t.environmentWords(), Error: cleanLines(e.Error), Unmanaged: cleanAll(e.Unmanaged),
	}
	if len(e.MayHaveWritten) > 0 {
		out.MayHaveWritten = mayHaveWritten(e)
	}
	for _, event := range told(e) {
		out.Events = append(out.Events, pageRow{event.label(), clean(event.Text)})
	}
	for _, c := range inOrder(e.Changes) {
		out.Changes = append(out.Changes, newPageChange(c))
	}
	for _, n := range notCompared(e) {
		out.NotCompared = append(out.NotCompared, pageRow{n.what, n.why})
	}
	for _, h := range holds(e) {
		if h.Way != "" {
			out.Lifts = append(out.Lifts, pageRow{clean(h.Guard), h.Way})
		}
	}
	out.Approve = spans(sentence(clean(e.ApproveNext)))
	return out
}

func newPageChange(c Change) pageChange {
	out := pageChange{
		Symbol: symbol(c.Action), Name: name(c), Action: clean(string(c.Action)), Class: clean(string(c.Class)),
		Standing: standing(c), Tone: tone(c),
		Open: c.Class != plan.Safe || c.Gate == plan.Blocked || c.Gate == plan.Approval || c.Outcome == Failed || c.Outcome == Unknown,
	}
	if out.Standing == "" {
		out.Standing = string(plan.Ready)
	}
	for i, f := range c.Fields {
		if i < 2 {
			out.Brief += strings.Repeat("; ", i) + middle(clean(f.Field)+" "+side(f.From)+" → "+side(f.To), briefValue)
		}
		out.Fields = append(out.Fields, pageField{clean(f.Field), side(f.From), side(f.To)})
	}
	add := func(label, text string) {
		if text != "" {
			out.Rows = append(out.Rows, pageRow{label, text})
		}
	}
	add("why", why(c))
	add("class", strings.TrimSuffix(clean(string(c.Class))+": "+clean(c.ClassReason), ": "))
	add("users", impact(c))
	if c.Gate != plan.Ready && c.Outcome != Applied {
		add(clean(string(c.Gate)), heldBy(c))
		add("way through", clean(c.GateWay))
	}
	add("error", clean(c.Error))
	add("file", clean(c.Origin))
	return out
}

// tone picks the colour that repeats what the standing says.
func tone(c Change) string {
	switch colourOf(c) {
	case red:
		if c.Outcome == Failed || c.Outcome == Unknown {
			return "bad"
		}
	case green:
		if c.Outcome == Applied {
			return "good"
		}
	case yellow:
		if c.Gate != plan.Ready {
			return "held"
		}
	case plain, bold, dim:
	}
	return "ready"
}

func cleanAll(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, clean(s))
	}
	return out
}

// cleanLines keeps the lines of a text that has several, such as errors.
func cleanLines(s string) []string {
	if s == "" {
		return nil
	}
	return cleanAll(strings.Split(strings.TrimRight(s, "\n"), "\n"))
}
