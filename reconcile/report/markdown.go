package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
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
	stepsShown   = 10     // next steps; the others follow from the table
)

// Markdown writes r for a comment on a pull request: a verdict and what to do next,
// then a table an environment with its details folded away. It is at most 60,000
// characters long; what does not fit is counted and left out, and what can harm nobody
// is left out first. Text of a repository or a server can form neither markup nor a
// link, a mention or a reference.
func Markdown(w io.Writer, r Report) error {
	m := newMarkdown(r)
	m.fit()
	_, err := io.WriteString(w, m.String())
	return err
}

// markdown is a comment as pieces in the order in which they are read.
type markdown struct{ pieces []piece }

// A piece stands in a comment as a whole or not at all.
type piece struct {
	text   string
	rank   int    // the lower, the sooner it gets its room
	within int    // the piece that must be there as well, -1 for none
	end    string // closes what within opens; follows its last piece
	noun   string // what is counted where it is left out; "" for what stands for nothing
	shown  bool
}

// Ranks of pieces: the verdict, then what can harm end users, then what to do, and then
// the harmless: what failed or needs a person, what happens and what waits. The reasons
// of all these follow in the same order.
const (
	rankHead        = 0
	rankDestructive = 1
	rankDisruptive  = 2
	rankStep        = 3
	rankSafe        = 4 // and the rank of the connection
	rankOther       = 10
	rankWhy         = 10 // and the rank of the row
	rankRest        = 20
)

// rankOfRow is the rank of the piece for a row, whatever holds it: a harmless one may
// never take the room of one that is not.
func rankOfRow(w row) int {
	switch w.class {
	case plan.Destructive:
		return rankDestructive
	case plan.Disruptive:
		return rankDisruptive
	}
	return rankSafe + int(w.rank)
}

func (m *markdown) add(p piece) int {
	m.pieces = append(m.pieces, p)
	return len(m.pieces) - 1
}

// fit decides what is shown.
func (m *markdown) fit() {
	order := make([]int, len(m.pieces))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m.pieces[a].rank, m.pieces[b].rank) })
	room := maxMarkdown - markdownTail
	for _, i := range order {
		p := &m.pieces[i]
		need := utf8.RuneCountInString(p.text + p.end)
		if p.within >= 0 && !m.pieces[p.within].shown || need > room {
			continue
		}
		p.shown, room = true, room-need
	}
}

// String joins what is shown, and owns up to what is not.
func (m *markdown) String() string {
	var out strings.Builder
	var open []int // folds and tables that are begun
	omitted := map[string]int{}
	for i, p := range m.pieces {
		for len(open) > 0 && open[len(open)-1] != p.within {
			out.WriteString(m.pieces[open[len(open)-1]].end)
			open = open[:len(open)-1]
		}
		if !p.shown {
			omitted[p.noun]++
			continue
		}
		out.WriteString(p.text)
		if p.end != "" {
			open = append(open, i)
		}
	}
	for len(open) > 0 {
		out.WriteString(m.pieces[open[len(open)-1]].end)
		open = open[:len(open)-1]
	}
	delete(omitted, "")
	if len(omitted) == 0 {
		return out.String()
	}
	var list []string
	for _, noun := range slices.Sorted(mapKeys(omitted)) {
		list = append(list, counted(omitted[noun], noun))
	}
	return out.String() + "\n**Cut: this comment is too long.** Left out: " + strings.Join(list, ", ") + ". The report as text or JSON shows everything.\n"
}

func mapKeys(m map[string]int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func newMarkdown(r Report) *markdown {
	m := &markdown{}
	t := total(r)
	head := Marker + "\n### terra-reconcile: " + md(t.verdict()) + "\n\n" + md(occasion(r)+"."+t.effect(r.Mode)) + "\n"
	for _, text := range missingScopes(r) {
		head += "\n> **" + mdLong(text) + "**\n"
	}
	if r.Error != "" {
		head += "\n> **error** " + mdLong(r.Error) + "\n"
	}
	m.add(piece{text: head, within: -1})
	m.next(nextSteps(r))
	quiet := 0
	for _, e := range r.Environments {
		if isQuiet(e) {
			quiet++
			continue
		}
		m.environment(r, e)
	}
	if quiet > 0 {
		words := "unchanged"
		if t.certain() {
			words = "in sync"
		}
		m.add(piece{text: fmt.Sprintf("\n%s %s.\n", counted(quiet, "environment"), words), within: -1})
	}
	if found := notices(r); len(found) > 0 {
		at := m.fold("<details>", noticesTitle(found), -1, rankRest)
		for _, n := range found {
			text := "- " + md(n.words) + "\n"
			for _, s := range n.next {
				text += "  - " + markdownInline(s) + "\n"
			}
			m.add(piece{text: text, within: at, rank: rankRest, noun: "cause of warnings"})
		}
	}
	return m
}

// fold begins a fold.
func (m *markdown) fold(begin, title string, within, rank int) int {
	return m.add(piece{text: "\n" + begin + "<summary>" + title + "</summary>\n\n", within: within, rank: rank, end: "\n</details>\n"})
}

// next is the list of what a person does: an item for what each is about.
func (m *markdown) next(steps []step) {
	if len(steps) == 0 {
		return
	}
	groups := grouped(steps)
	head := "\n**Next**"
	if words := nextWords(groups); words != "" {
		head += md(words)
	}
	next := m.add(piece{text: head + "\n\n", within: -1, rank: rankStep})
	shown := 0
	for _, group := range groups {
		if shown >= stepsShown {
			m.add(piece{text: fmt.Sprintf("- and %d more\n", len(steps)-shown), within: next, rank: rankStep, noun: "next step"})
			return
		}
		shown += len(group)
		text := "- "
		if name := group[0].name; name != "" {
			text += "**" + md(middle(name, markdownItem)) + "**: "
		}
		for i, s := range group {
			if i > 0 {
				text += "\n  "
			}
			text += markdownStep(s)
		}
		m.add(piece{text: text, within: next, rank: rankStep, noun: "next step"})
	}
}

// markdownStep is what to do, its command and lines as blocks.
func markdownStep(s step) string {
	text := s.words()
	if s.choice != "" {
		text = strings.TrimSuffix(s.choice+": "+text, ": ")
	}
	out := md(middle(cmp.Or(text, "type"), markdownItem))
	if s.yaml != "" {
		out += ": " + s.commit() + " <code>" + references(s.file, "") + "</code>:\n" + indented(codeBlock("yaml", s.yaml))
		out = strings.TrimPrefix(out, "type: ")
	} else {
		out += "\n"
	}
	if s.command != "" {
		out += indented(codeBlock("sh", s.command))
	}
	return out
}

func indented(block string) string {
	var out strings.Builder
	for line := range strings.Lines(block) {
		out.WriteString("  " + line)
	}
	return out.String()
}

// markdownInline is a step inside a list, with its command and its lines as code, where
// a forge looks for no mention: they can be copied.
func markdownInline(s step) string {
	code := func(text string) string { return "<code>" + references(text, "") + "</code>" }
	out := md(middle(s.text, markdownItem))
	if s.yaml != "" {
		out += ": " + s.commit() + " " + code(s.file) + ": " + code(s.yaml)
	}
	if s.command != "" {
		out += ": " + code(s.command)
	}
	return strings.TrimPrefix(out, ": ")
}

func (m *markdown) environment(r Report, e Environment) {
	list := rows(r, e)
	head := "\n#### " + md(e.Name) + "\n"
	if words := headWords(e, list); words != "" {
		head += "\n" + md(words) + "\n"
	}
	if e.Error != "" {
		head += "\n> **error** " + mdLong(e.Error) + "\n"
	}
	if len(e.MayHaveWritten) > 0 {
		head += "\n> **may have written** " + md(mayHaveWritten(e)) + "\n"
	}
	rank := rankSafe
	for _, w := range list {
		rank = min(rank, rankOfRow(w))
	}
	if len(e.MayHaveWritten) > 0 {
		rank = rankHead
	}
	at := m.add(piece{text: head, within: -1, rank: rank, noun: "environment", end: "\n"})
	if len(list) > 0 {
		table := m.add(piece{text: "\n| | connection | what changes | users | stands |\n|---|---|---|---|---|\n", within: at, rank: rank, end: "\n"})
		for _, w := range list {
			noun := "connection"
			if w.class != plan.Safe {
				noun = string(w.class) + "ly changed connection"
			}
			m.add(piece{text: markdownRow(w), within: table, rank: rankOfRow(w), noun: noun})
		}
		why := m.fold("<details>", "Why, and where it is written", at, rankWhy)
		for _, w := range list {
			for _, c := range w.changes {
				m.add(piece{text: markdownDetail(e, w, c), within: why, rank: rankWhy + rankOfRow(w), noun: "detail"})
			}
		}
	}
	if n := len(e.NotCompared); n > 0 {
		fold := m.fold("<details open>", "Not compared ("+number(n)+")", at, rankOther)
		for _, n := range notCompared(e) {
			m.add(piece{text: "- " + md(middle(n.what, markdownItem)) + ": " + md(n.why) + "\n", within: fold, rank: rankOther, noun: "reason for not comparing"})
		}
	}
	if n := len(unmanaged(e)); n > 0 {
		fold := m.fold("<details>", "Not managed: live, and no file names them ("+number(n)+")", at, rankRest)
		for _, s := range unmanaged(e) {
			m.add(piece{text: "- " + mdLong(s) + "\n", within: fold, rank: rankRest, noun: "connection that is not managed"})
		}
	}
}

func markdownRow(w row) string {
	whole := func(text string) string {
		if w.class == plan.Safe {
			text = middle(text, markdownItem)
		}
		return md(text)
	}
	what := whole(w.what)
	if w.also != "" {
		what += "<br>" + whole(w.also)
	}
	impact := md(w.impact)
	if w.class == plan.Destructive && impact != "" {
		impact = "**" + impact + "**"
	}
	stands := md(cmp.Or(w.stands, string(plan.Ready)))
	if w.reason != "" {
		stands += ": " + md(brief(w.reason, 2*briefReason))
	}
	return "| " + strings.Join([]string{"`" + w.sign + "`", md(middle(w.name, markdownItem)), what, impact, stands}, " | ") + " |\n"
}

const briefReason = 60 // columns of a reason in a cell, about half of a wide one

// markdownDetail is an item with a short one below for each thing to know.
func markdownDetail(e Environment, w row, c Change) string {
	out := "- **" + md(middle(w.name, markdownItem)) + " " + md(string(c.Action)) + "**"
	if c.Origin != "" {
		out += " (" + mdLong(c.Origin) + ")"
	}
	out += "\n"
	below := func(label, text string) {
		if text = middle(clean(text), markdownItem); text != "" {
			out += "  - " + md(label) + ": " + md(text) + "\n"
		}
	}
	for _, f := range c.Fields {
		below("field", FieldText(f))
	}
	below("why", why(c))
	below(string(c.Class), c.ClassReason)
	if c.Gate != plan.Ready && c.Outcome != Applied {
		below(string(c.Gate), heldBy(c))
		for _, s := range e.waysOut(c) {
			out += "  - can: " + markdownInline(s) + "\n"
		}
	}
	below("error", c.Error)
	return out
}

func mdLong(s string) string { return md(middle(clean(s), markdownItem)) }

// md makes a clean text of any text, and of that one that Markdown, HTML and a
// forge show as it stands: everything but letters, digits and harmless signs as
// a character reference, and a zero-width space after what starts a mention or a
// reference to an issue.
func md(s string) string { return references(clean(s), "&#8203;") }

// references escapes a clean text; after what starts a mention stands apart.
func references(s, apart string) string {
	var out strings.Builder
	runes := []rune(s)
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	// What begins a reference: @name, #1, GitLab's !1 and %milestone, GitHub's GH-1.
	refers := func(i int) bool {
		switch after := at(i + 1); runes[i] {
		case '@', '#':
			return true
		case '!':
			return unicode.IsDigit(after)
		case '%':
			return inWord(after) || after == '"'
		case '-':
			return unicode.IsDigit(after) && strings.EqualFold(string([]rune{at(i - 2), at(i - 1)}), "GH") && !inWord(at(i-3))
		}
		return false
	}
	for i, r := range runes {
		switch before, after := at(i-1), at(i+1); {
		case refers(i):
			fmt.Fprintf(&out, "&#%d;%s", r, apart)
		case r == '_' && inWord(before) && inWord(after), r == ':' && after == ' ':
			out.WriteRune(r) // no emphasis, no address and no sign
		case r == '.' && (before == 'w' || before == 'W'), r < 0x80 && strings.ContainsRune("\\`*_[]<>|~&:$", r):
			fmt.Fprintf(&out, "&#%d;", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// codeBlock shows a line as it stands, for copying.
func codeBlock(language, line string) string {
	line = clean(line)
	fence := "```"
	for strings.Contains(line, fence) {
		fence += "`"
	}
	return fence + language + "\n" + line + "\n" + fence + "\n"
}
