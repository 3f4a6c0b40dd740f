package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// Marker is the hidden first line of Markdown. A job that comments on a pull
// request finds its own comment by it, and updates that one.
const Marker = "<!-- terra-reconcile -->"

const (
	maxMarkdown  = 60_000 // characters; forges cut or refuse comments above 65,536
	markdownTail = 1_500  // of them kept for the last lines
	markdownItem = 300    // columns of one text inside a table or list
)

// Markdown writes r for a comment on a pull request: a verdict, then a table an
// environment with its details folded away. It is at most 60,000 characters
// long; what does not fit is counted and left out. Text of a repository or a
// server can form neither markup nor a link, a mention or a reference.
func Markdown(w io.Writer, r Report) error {
	m := &markdown{room: maxMarkdown - markdownTail}
	t := total(r)
	m.must(Marker + "\n### terra-reconcile: " + md(t.verdict()) + "\n\n")
	m.must(md(occasion(r)+"."+t.effect(r.Mode)) + "\n")
	if r.Error != "" {
		m.must("\n> **error** " + mdLong(r.Error) + "\n")
	}
	quiet := 0
	for _, e := range r.Environments {
		if isQuiet(e) {
			quiet++
			continue
		}
		m.environment(e)
	}
	if quiet > 0 {
		words := "unchanged"
		if t.certain() {
			words = "in sync"
		}
		m.must(fmt.Sprintf("\n%s %s.\n", counted(quiet, "environment"), words))
	}
	if found := causes(r); len(found) > 0 {
		items := make([]string, 0, len(found))
		for _, c := range found {
			items = append(items, "- "+mdText(c.line())+"\n")
		}
		m.fold(warningsTitle(found), items, "cause of warnings")
	}
	m.finish()
	_, err := io.WriteString(w, m.out.String())
	return err
}

type markdown struct {
	out     strings.Builder
	used    int // characters
	room    int
	omitted []string
}

// add writes a block if it fits as a whole.
func (m *markdown) add(block string) bool {
	n := utf8.RuneCountInString(block)
	if m.used+n > m.room {
		return false
	}
	m.must(block)
	return true
}

// must writes a block that is short for sure.
func (m *markdown) must(block string) {
	m.used += utf8.RuneCountInString(block)
	m.out.WriteString(block)
}

func (m *markdown) omit(n int, noun string) {
	if n > 0 {
		m.omitted = append(m.omitted, counted(n, noun))
	}
}

// finish owns up to what was left out.
func (m *markdown) finish() {
	if len(m.omitted) == 0 {
		return
	}
	const shown = 20
	list := m.omitted
	more := ""
	if len(list) > shown {
		list, more = list[:shown], fmt.Sprintf(" and %d more lists", len(m.omitted)-shown)
	}
	m.must("\n**Cut: this comment is too long.** Left out: " + strings.Join(list, ", ") + more + ". The report as text or JSON shows everything.\n")
}

func (m *markdown) environment(e Environment) {
	head := "\n#### " + md(e.Name) + "\n"
	if e.Error != "" {
		head += "\n> **error** " + mdLong(e.Error) + "\n"
	}
	if len(e.MayHaveWritten) > 0 {
		head += "\n> **may have written** " + mdLong(mayHaveWritten(e)) + "\n"
	}
	if !m.add(head) {
		m.omit(1, "environment")
		return
	}
	if len(e.Changes) > 0 {
		m.changes(e)
	}
	if n := len(e.NotCompared); n > 0 {
		m.folded("<details open>", "Not compared ("+number(n)+")", notComparedItems(e), "reason for not comparing")
	}
	if e.ApproveNext != "" && !m.add(markdownApproving(e)) {
		m.omit(1, "word about approving")
	}
	for i, event := range told(e) {
		if !m.add("\n> **" + md(event.label()) + "** " + mdText(event.Text) + "\n") {
			m.omit(len(told(e))-i, "event")
			break
		}
	}
	m.list(mdItems(e.Unmanaged), "Not managed: live, and no file names them", "connection that is not managed")
}

// markdownApproving says how the plan is approved, the command last and as a block.
func markdownApproving(e Environment) string {
	lead, found := strings.CutSuffix(e.ApproveNext, e.ApproveWay)
	if e.ApproveWay == "" || !found {
		return "\n" + mdText(sentence(e.ApproveNext)) + "\n"
	}
	return "\n" + mdText(sentence(strings.TrimSpace(lead))) + "\n\n" + codeBlock(strings.Trim(e.ApproveWay, "`"))
}

// changes writes the table of an environment, then its details in a fold.
func (m *markdown) changes(e Environment) {
	if !m.add("\n| | connection | action | class | stands | fields |\n|---|---|---|---|---|---|\n") {
		m.omit(len(e.Changes), "change")
		return
	}
	shown, changes := 0, inOrder(e.Changes)
	for _, c := range changes {
		if !m.add(markdownRow(c)) {
			break
		}
		shown++
	}
	m.omit(len(e.Changes)-shown, "change")
	var details []string
	for _, c := range changes[:shown] {
		details = append(details, markdownDetail(c))
	}
	m.fold("Why, and where it is written", details, "detail")
}

func markdownRow(c Change) string {
	fields := make([]string, 0, len(c.Fields))
	for _, f := range c.Fields {
		fields = append(fields, md(middle(clean(f.Field), longestName))+" "+mdSide(f.From)+" → "+mdSide(f.To))
	}
	stands := standing(c)
	if stands == "" {
		stands = string(plan.Ready)
	}
	cells := []string{
		"`" + symbol(c.Action) + "`", md(middle(name(c), markdownItem)), md(string(c.Action)),
		md(string(c.Class)), md(stands), strings.Join(fields, "<br>"),
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func mdSide(v plan.FieldValue) string { return md(middle(side(v), markdownItem)) }

// markdownDetail is an item with a short one below for each thing to know.
func markdownDetail(c Change) string {
	head := "- **" + md(middle(name(c), markdownItem)) + " " + md(string(c.Action)) + "**"
	if c.Origin != "" {
		head += " (" + mdLong(c.Origin) + ")"
	}
	out := head + "\n"
	below := func(label, text string) {
		room := markdownItem
		if strings.Contains(text, commandBegins) {
			room += longestCommand // a command that was cut could not be copied
		}
		if text = middle(clean(text), room); text != "" {
			out += "  - " + md(label) + ": " + mdText(text) + "\n"
		}
	}
	below("why", why(c))
	below(string(c.Class), c.ClassReason)
	below("users", users(c))
	if c.Gate != plan.Ready && c.Outcome != Applied {
		below(string(c.Gate), heldBy(c))
		below("way through", c.GateWay)
		if c.AskWay != "" {
			below("ask", askWords+c.AskWay)
		}
	}
	below("error", c.Error)
	return out
}

func notComparedItems(e Environment) []string {
	items := make([]string, 0, len(e.NotCompared))
	for _, n := range notCompared(e) {
		items = append(items, "- "+md(middle(n.what, markdownItem))+": "+mdText(n.why)+"\n")
	}
	return items
}

func mdItems(list []string) []string {
	items := make([]string, 0, len(list))
	for _, s := range list {
		items = append(items, "- "+mdLong(s)+"\n")
	}
	return items
}

func (m *markdown) list(items []string, title, noun string) {
	if len(items) == 0 {
		return
	}
	m.fold(fmt.Sprintf("%s (%s)", title, number(len(items))), items, noun)
}

// fold writes as many items as fit into a closed fold.
func (m *markdown) fold(title string, items []string, noun string) {
	m.folded("<details>", title, items, noun)
}

func (m *markdown) folded(begin, title string, items []string, noun string) {
	const end = "\n</details>\n"
	if !m.add("\n" + begin + "<summary>" + title + "</summary>\n\n") {
		m.omit(len(items), noun)
		return
	}
	shown := 0
	for _, item := range items {
		if !m.add(item) {
			break
		}
		shown++
	}
	m.omit(len(items)-shown, noun)
	m.must(end)
}
