package report

import (
	"cmp"
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

//go:embed parts.html
var partsTemplate string

//go:embed page.css
var pageStyle string

// Style is the style sheet of the page, which other pages of this program share.
func Style() string { return pageStyle }

// Parts are the templates "step" of a [Step] and "change" of a [RowChange], which other
// pages of this program share.
func Parts() string { return partsTemplate }

// HTML writes r as one page that needs nothing else: no script, no font, no
// address outside of itself. Its content security policy allows its own style
// and nothing more.
func HTML(w io.Writer, r Report) error {
	page, err := template.New("page").Parse(partsTemplate + pageTemplate)
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
	Lacks        []string
	Error        []string
	Next         []pageNext
	NextWords    string
	Warnings     []pageNotice
	WarningTitle string
	Environments []pageEnvironment
	Quiet        []pageQuiet
	QuietWords   string
}

// pageNext is what there is to do about one connection.
type pageNext struct {
	Name  string
	Steps []Step
}

// Step is one thing that a person does next, in words that are safe to show: a command to
// type, or lines to commit to a file.
type Step struct{ Choice, Text, Command, Commit, File, YAML string }

// Steps are remediations as what a person does next.
func Steps(list []plan.Remediation) []Step {
	var out []Step
	for _, n := range list {
		s := stepOf(n.Text, n)
		s.text = sentence(s.text)
		out = append(out, shownStep(s))
	}
	return out
}

func shownStep(s step) Step {
	return Step{s.choice, s.words(), s.command, s.commit(), s.file, s.yaml}
}

type pageQuiet struct{ Name, DevID, Connections string }

type pageEnvironment struct {
	Name, DevID, PlanHash string
	PlanShort             string
	Anchor                string
	Standing              string
	Error                 []string
	MayHaveWritten        string
	Rows                  []Row
	NotCompared           []Note
	Unmanaged             []string
}

type pageNotice struct {
	Words string
	Next  []Step
	Texts []string // in full, where Words leaves something out
}

// Row is one connection of an environment as every form of a report tells it, in words that
// are safe to show: what becomes of it, whom that touches, and why it does not happen now.
type Row struct {
	Connection                                     string // production/strava; "" where the row is about no change
	Sign, Name, What, Also, Impact, Stands, Reason string
	Tone                                           string // of how it stands: bad, held, soft or good
	Danger                                         bool   // destructive
	Changes                                        []RowChange
}

// Rows are what there is to say of an environment of a report, in the order in which a
// person has to read it.
func Rows(r Report, e Environment) []Row {
	var out []Row
	for _, w := range rows(r, e) {
		out = append(out, newRow(e, w))
	}
	return out
}

// RowChange is one change of a row.
type RowChange struct {
	Head   string
	Fields []RowField
	Notes  []Note
	Next   []Step
}

// RowField is what a change makes of a field.
type RowField struct{ Field, From, To string }

// Note is a text with what it is about.
type Note struct{ Label, Text string }

func newPage(r Report) page {
	t := total(r)
	sum := sha256.Sum256([]byte(pageStyle))
	p := page{
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		Style:  template.CSS(pageStyle), //nolint:gosec // our own embedded file
		Title:  t.verdict(), Occasion: occasion(r) + "." + t.effect(r.Mode), Commit: clean(r.Commit),
		Started:    r.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC"),
		Lacks:      missingScopes(r),
		Error:      cleanLines(r.Error),
		QuietWords: "Unchanged",
	}
	if t.certain() {
		p.QuietWords = "In sync"
	}
	if groups := grouped(nextSteps(r)); len(groups) > 0 {
		p.NextWords = strings.TrimLeft(nextWords(groups), ":, ")
		for _, group := range groups {
			next := pageNext{Name: group[0].name}
			for _, s := range group {
				next.Steps = append(next.Steps, shownStep(s))
			}
			p.Next = append(p.Next, next)
		}
	}
	for i, e := range r.Environments {
		if isQuiet(e) {
			p.Quiet = append(p.Quiet, pageQuiet{clean(e.Name), clean(e.DevID), counted(e.Summary.Unchanged, "connection")})
			continue
		}
		p.Environments = append(p.Environments, newPageEnvironment(r, e, i))
	}
	found := notices(r)
	p.WarningTitle = noticesTitle(found)
	for _, n := range found {
		w := pageNotice{Words: n.words}
		for _, s := range n.next {
			w.Next = append(w.Next, shownStep(s))
		}
		if len(n.texts) > 1 {
			w.Texts = n.texts
		}
		p.Warnings = append(p.Warnings, w)
	}
	return p
}

func newPageEnvironment(r Report, e Environment, at int) pageEnvironment {
	list := rows(r, e)
	out := pageEnvironment{
		Name: clean(e.Name), DevID: clean(e.DevID), PlanHash: clean(e.PlanHash), PlanShort: clean(plan.ShortHash(e.PlanHash, e.Approval.Digits)), Anchor: fmt.Sprintf("environment-%d", at+1),
		Standing: headWords(e, list), Error: cleanLines(e.Error), Unmanaged: cleanAll(unmanaged(e)),
	}
	if len(e.MayHaveWritten) > 0 {
		out.MayHaveWritten = mayHaveWritten(e)
	}
	for _, w := range list {
		out.Rows = append(out.Rows, newRow(e, w))
	}
	for _, n := range notCompared(e) {
		out.NotCompared = append(out.NotCompared, Note{n.what, n.why})
	}
	return out
}

func newRow(e Environment, w row) Row {
	out := Row{
		Connection: w.connection,
		Sign:       w.sign, Name: w.name, What: w.what, Also: w.also, Impact: w.impact, Reason: w.reason,
		Stands: cmp.Or(w.stands, string(plan.Ready)), Danger: w.class == plan.Destructive,
		Tone: map[rank]string{rankFailed: "bad", rankTold: "held", rankApproval: "held", rankBlocked: "held", rankWaits: "soft", rankReady: "good"}[w.rank],
	}
	for _, c := range w.changes {
		change := RowChange{Head: strings.Trim(words(string(c.Action))+", "+words(string(c.Class))+", "+cmp.Or(standing(c), string(plan.Ready)), ", ")}
		for _, f := range c.Fields {
			change.Fields = append(change.Fields, RowField{clean(f.Field), side(f.From), side(f.To)})
		}
		add := func(label, text string) {
			if text != "" {
				change.Notes = append(change.Notes, Note{label, text})
			}
		}
		add("why", why(c))
		add("risk", clean(c.ClassReason))
		if u := usersWords(c.ActiveUsers); u != "" {
			add("users", u+" active")
		}
		if c.Gate != plan.Ready && c.Outcome != Applied {
			add("held", heldBy(c))
			for _, s := range e.waysOut(c) {
				s.text = sentence(s.text)
				change.Next = append(change.Next, shownStep(s))
			}
		}
		add("error", clean(c.Error))
		add("file", clean(c.Origin))
		out.Changes = append(out.Changes, change)
	}
	return out
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
