package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// TextOptions of Text.
type TextOptions struct {
	Color    bool     // ANSI colours; every colour repeats what a word says
	Width    int      // columns; 0 means 80, less than 40 counts as 40
	Verbose  bool     // every connection with its reasons, guards, files and lines
	Explain  []string // these connections so: strava, or production/strava
	Outcomes bool     // only what became of a plan that was shown just before
	Apply    string   // the command that applies what a dry run found ready, after asking; "" to name none
	Look     string   // the command that looks again, without saying at which environment; "" for reconcile --dry-run
}

const (
	defaultWidth = 80
	leastWidth   = 40
	longestName  = 24
	longestValue = 400 // columns of one side of a field
	coveredValue = 800 // of what a person approves, so that no host is cut
	coveredLines = 50  // of it, but for those that are dangerous
	errorLines   = 6   // of an error, unless all is asked for
	eachWait     = 5   // connections that wait as before and have a line each
	eachLeft     = 3   // connections whose next steps stand below the outcomes of a run
	whatLines    = 3   // of what changes, unless all is asked for
	reasonLines  = 3   // of why it does not, likewise
)

// Text writes r for a person at a terminal: a connection a block, first what a person
// must decide, then what happens, then what waits; what to do next; and one sentence at
// the end. Environments in which nothing differs share one line.
func Text(w io.Writer, r Report, o TextOptions) error {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	o.Width = max(o.Width, leastWidth)
	t := &text{paint: painter(o.Color), o: o, r: r, certain: total(r).certain()}
	t.report()
	_, err := io.WriteString(w, t.out.String())
	return err
}

type text struct {
	out     strings.Builder
	paint   painter
	o       TextOptions
	r       Report
	certain bool
	names   int  // columns of the names of connections
	headed  bool // rows stand below what they need
}

func (t *text) report() {
	var quiet []Environment
	for _, text := range missingScopes(t.r) {
		for _, line := range wrap(text, t.o.Width) {
			t.line(t.paint.color(red, line))
		}
	}
	t.problem(0, t.r.Error)
	for _, e := range t.r.Environments {
		if isQuiet(e) {
			quiet = append(quiet, e)
			continue
		}
		t.gap()
		managed := e
		if managed.Unmanaged = nil; isQuiet(managed) && !t.o.Verbose {
			t.unmanaged(0, t.quiet([]Environment{managed})+"; ", e)
			continue
		}
		t.environment(e)
	}
	warned := notices(t.r)
	if len(quiet) > 0 && len(quiet) == len(t.r.Environments) && t.r.Error == "" {
		t.notices(warned, nil)
		words, of := t.quiet(quiet), occasion(t.r)
		if columns(words)+3+columns(of) > t.o.Width {
			of = ran(t.r)
		}
		t.line(t.paint.bold(words + " (" + lower(of) + ")"))
		return
	}
	if len(quiet) > 0 {
		t.gap()
		t.line(t.quiet(quiet))
	}
	if t.o.Outcomes {
		t.next(t.leftSteps())
	} else {
		steps := nextSteps(t.r)
		t.notices(warned, steps)
		t.next(steps)
	}
	t.gap()
	t.closing()
	if why := t.unexplained(); why != "" {
		t.command("Why, and all that can be done: ", why, t.paint.dim)
	} else if t.o.Verbose || len(t.o.Explain) > 0 {
		t.line(t.paint.dim("The words and signs: reconcile help"))
	}
}

// closing writes the last sentence, and behind it or below it the command that applies
// what is ready.
func (t *text) closing() {
	totals := total(t.r)
	if t.headed && len(t.r.Environments) == 1 && totals.ready+totals.waiting == 0 {
		totals.affected = "" // its parts stand above
	}
	all, one := "", ""
	if t.o.Apply != "" && t.r.Mode == DryRun && totals.ready > 0 {
		if all, one = "Apply (asks first): ", t.oneOf(); one != "" {
			all = "Apply all that is ready (asks first): "
		}
		if t.r.StateLock == LockedByDaemon {
			all, one = "The daemon applies it, at once with: ", ""
		}
	}
	last := totals.closing(t.r, occasion(t.r))
	for _, of := range []string{occasion(t.r), ran(t.r), "Dry run"} {
		if of == "Dry run" && (t.r.Mode != DryRun || t.r.PreviewOf != "") {
			break
		}
		sentence := totals.closing(t.r, of)
		if line := sentence + " " + all + t.o.Apply; all != "" && one == "" && columns(line) <= t.o.Width {
			t.line(t.paint.bold(line))
			return
		}
		if columns(last) > t.o.Width && columns(sentence) <= t.o.Width {
			last = sentence
		}
	}
	for _, line := range wrap(last, t.o.Width) {
		t.line(t.paint.bold(line))
	}
	if all != "" {
		t.command(all, t.o.Apply, t.paint.bold)
	}
	if one != "" {
		t.command("One alone: ", t.o.Apply+" --only "+plan.ShellWord(one), t.paint.bold)
	}
}

// command writes a label with a command, which can be copied whole: where both do not fit
// a line it has its own.
func (t *text) command(label, command string, paint func(string) string) {
	if columns(label+command) > t.o.Width {
		t.line(paint(strings.TrimSpace(label)))
		label = "  "
	}
	t.line(paint(label + command))
}

// leftSteps are what there is to do about what a run that applied something left for a
// person. Who was just shown the plan is shown that again only where it is little.
func (t *text) leftSteps() []step {
	if t.muchLeft() {
		return []step{{text: "what is left, and what it needs", command: t.look()}}
	}
	return t.everyLeftStep()
}

// muchLeft tells whether a run left more than is shown again.
func (t *text) muchLeft() bool { return len(grouped(t.everyLeftStep())) > eachLeft }

// left is what a run did not try. Whoever is asked to approve it sees what it is;
// where much is left, its name and what holds it.
func (t *text) left(e Environment, w row, much bool) {
	if !much {
		t.row(e, w)
		return
	}
	words := w.stands
	if w.rank == rankBlocked && w.guard() != "" {
		words += " (" + w.guard() + ")"
	}
	t.cells(cells{sign: w.sign, tone: w.tone(), name: w.name, what: words, right: strings.TrimPrefix(w.impact, ifReplaced), alarm: w.alarm()})
}

func (t *text) everyLeftStep() []step {
	left := t.r
	left.Environments = nil
	for _, e := range t.r.Environments {
		var changes []Change
		for _, w := range rows(t.r, e) {
			if w.rank.needs() {
				changes = append(changes, w.changes...)
			}
		}
		if e.Changes = changes; len(changes) > 0 || e.Error != "" {
			left.Environments = append(left.Environments, e)
		}
	}
	return nextSteps(left)
}

// look is the command that looks again.
func (t *text) look() string { return cmp.Or(t.o.Look, plan.Command{"--dry-run"}.String()) }

// oneOf is the first of several connections that a run applies unless it is told of which.
func (t *text) oneOf() string {
	var ready []string
	for _, e := range t.r.Environments {
		if len(e.Selected) > 0 {
			return ""
		}
		for _, w := range rows(t.r, e) {
			if w.rank == rankReady && len(w.changes) > 0 {
				ready = append(ready, w.connection)
			}
		}
	}
	if len(ready) < 2 {
		return ""
	}
	return ready[0]
}

// unexplained is the command that explains, of the connections of a dry run that need a
// person, the one that can harm most; "" where there is none, or some are explained.
func (t *text) unexplained() string {
	if t.r.Mode != DryRun || t.r.PreviewOf != "" || t.o.Verbose || t.o.Outcomes || len(t.o.Explain) > 0 {
		return ""
	}
	var worst row
	look := t.look()
	for _, e := range t.r.Environments {
		for _, w := range rows(t.r, e) {
			if e.Error != "" || len(w.changes) == 0 || !w.rank.needs() || worst.name != "" && moreHarm(worst, w) <= 0 {
				continue
			}
			worst, look = w, t.look()
			if len(t.r.Environments) > 1 && !strings.Contains(look, " --env ") {
				look += " --env " + plan.ShellWord(clean(e.Name))
			}
		}
	}
	if worst.name == "" {
		return ""
	}
	return look + " --explain " + plan.ShellWord(worst.name)
}

// quiet is the line about environments in which nothing differs.
func (t *text) quiet(environments []Environment) string {
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
	if columns(head+tail) > t.o.Width/2 && len(names) > 1 {
		head = counted(len(names), "environment")
	}
	return head + tail
}

func (t *text) environment(e Environment) {
	list := rows(t.r, e)
	head := t.paint.bold(clean(e.Name)) + "  " + t.paint.dim(clean(e.DevID))
	bare := clean(e.Name) + "  " + clean(e.DevID)
	if right := brief(headWords(e, list), max(t.o.Width-columns(bare)-2, 0)); right != "" && !strings.Contains(right, "…") && columns(bare)+2+columns(right) <= t.o.Width {
		head += strings.Repeat(" ", t.o.Width-columns(bare)-columns(right)) + right
	}
	t.line(head)
	t.problem(2, e.Error)
	if len(e.MayHaveWritten) > 0 {
		t.problem(2, "may have written "+mayHaveWritten(e))
	}
	t.names = 0
	for _, w := range list {
		t.names = max(t.names, min(columns(w.name), longestName))
	}
	if e.Error != "" && !t.o.Verbose && !slices.ContainsFunc(e.Changes, func(c Change) bool { return c.Outcome == Applied || c.Outcome == Failed || c.Outcome == Unknown }) {
		t.notTried(e, list)
		return
	}
	var asBefore []row
	headings := t.headings(list)
	much := t.o.Outcomes && t.muchLeft()
	for _, w := range list {
		if head := headings[w.rank]; head != "" {
			t.line("  " + head)
			delete(headings, w.rank)
		}
		tried := slices.ContainsFunc(w.changes, func(c Change) bool { return c.Outcome != "" && c.Outcome != Waiting && c.Outcome != Skipped })
		switch {
		case t.o.Outcomes && !tried && w.rank.needs():
			t.left(e, w, much)
		case t.o.Outcomes && !tried:
		case w.waitsAsBefore(t.r.StartedAt) && !t.explains(e, w):
			asBefore = append(asBefore, w)
		default:
			t.row(e, w)
		}
	}
	if len(asBefore) > eachWait {
		t.asBefore(asBefore)
	} else {
		for _, w := range asBefore {
			if w.guard() == plan.GuardPromotion { // what changes is as new as a commit
				t.row(e, w)
				continue
			}
			t.waits(w)
		}
	}
	if t.o.Outcomes {
		return
	}
	if text := asideWords(e); text != "" {
		for i, line := range wrap(text, t.o.Width-4) {
			t.line(strings.Repeat(" ", 2+2*min(i, 1)) + line)
		}
	}
	for _, n := range notCompared(e) {
		t.cells(cells{sign: "?", tone: yellow, name: n.what, what: "not compared, " + n.why})
	}
	if len(unmanaged(e)) > 0 {
		t.unmanaged(2, "", e)
	}
	if len(e.Changes)+len(e.NotCompared)+len(e.Events) == 0 && e.Error == "" {
		words := "unchanged"
		if t.certain {
			words = "in sync"
		}
		t.line("  " + words + ", " + counted(e.Summary.Unchanged, "connection"))
	}
}

// headings say above the rows of each rank what they have in common, where some need an
// approval and others are blocked. nil where that need not be said, or a row says it.
func (t *text) headings(list []row) map[rank]string {
	of := map[rank][]row{}
	for _, w := range list {
		of[w.rank] = append(of[w.rank], w)
	}
	if t.r.Mode != DryRun || len(of[rankApproval]) == 0 || len(of[rankBlocked]) == 0 {
		return nil
	}
	t.headed = true
	out := map[rank]string{}
	for _, h := range []struct {
		rank       rank
		words, end string
	}{{rankApproval, "Need approval", "approved"}, {rankBlocked, "Blocked", "that is lifted"}, {rankReady, "Ready", "applied"}, {rankWaits, "Waiting", "applied"}} {
		if words := affectedBy(of[h.rank]); words != "" {
			h.words += ": " + words + " if " + h.end
		}
		out[h.rank] = h.words
	}
	return out
}

// unmanaged names what is live in an environment and in no file, behind other words.
func (t *text) unmanaged(indent int, behind string, e Environment) {
	for i, line := range wrap(behind+"not managed: "+cleanList(unmanaged(e))+" (in no file)", t.o.Width-indent-2) {
		t.line(strings.Repeat(" ", indent+2*min(i, 1)) + line)
	}
}

// notTried is what an environment with an error has left.
func (t *text) notTried(e Environment, list []row) {
	if len(e.Changes) == 0 {
		return
	}
	var differ []string
	for _, w := range list {
		if len(w.changes) > 0 {
			differ = append(differ, w.name)
		}
	}
	line := "  nothing was applied of " + strings.Join(differ, ", ")
	if columns(line) > t.o.Width {
		line = "  nothing was applied of the " + counted(len(differ), "connection") + " that differ"
	}
	t.line(line)
}

// waits is one line for a connection that waits as it did in the last run.
func (t *text) waits(w row) {
	words := "waits since " + w.since().UTC().Format("2 Jan")
	if step, is := strings.CutPrefix(w.reason, "step "); is {
		words += " for " + turnWords(step)
	} else if w.reason != "" {
		words = strings.Replace(words+": "+w.reason, ": for ", " for ", 1)
	}
	room := t.o.Width - 6 - max(t.names, columns(middle(w.name, longestName)))
	t.cells(cells{sign: w.sign, tone: w.tone(), name: w.name, what: brief(words, room), right: w.impact, alarm: w.alarm(), atMost: 1})
}

// turnWords are a step with who has to take it: partner_approval: you, then Samsung.
func turnWords(step string) string { return strings.Replace(step, " by ", ": ", 1) }

// asBefore is one line for all that waits as it did in the last run.
func (t *text) asBefore(list []row) {
	names, first := []string{}, list[0].since()
	for _, w := range list {
		names = append(names, w.name)
		if at := w.since(); at.Before(first) {
			first = at
		}
	}
	head := fmt.Sprintf("  · %d wait as before, the first since %s: ", len(list), first.UTC().Format("2 Jan"))
	for i, line := range wrap(strings.TrimSpace(head)+" "+strings.Join(names, ", "), t.o.Width-4) {
		t.line(strings.Repeat(" ", 2+2*min(i, 1)) + line)
	}
}

// cells are the parts of what a row says in lines beside its name.
type cells struct {
	sign   string
	tone   colour
	name   string
	what   string
	reason string // one line below
	also   string // another
	right  string // at the right margin of the first line that has room
	alarm  colour // of right
	atMost int    // lines of what; 0: all
}

// cells writes a sign, a name, what there is to say, and at the right margin what it
// means to people.
func (t *text) cells(c cells) {
	name := middle(c.name, longestName)
	at := 4 + max(t.names, columns(name)) + 2
	room := t.o.Width - at
	list := wrap(c.what, max(room, 20))
	if c.atMost > 0 && len(list) > c.atMost {
		list = append(list[:c.atMost-1], middle(strings.Join(list[c.atMost-1:], " "), room))
	}
	last := len(list) - 1
	beside, reasonRoom := last, room
	if c.right != "" && columns(list[last])+2+columns(c.right) > room {
		beside, reasonRoom = last+1, room-columns(c.right)-2
	}
	if c.reason != "" {
		switch short := brief(c.reason, reasonRoom); {
		case !strings.Contains(short, "…"):
			list = append(list, short)
		case !strings.Contains(brief(c.reason, room), "…"):
			list = append(list, brief(c.reason, room))
			beside = max(beside, len(list))
		default:
			list = append(list, wrap(brief(c.reason, reasonLines*(room-8)), room)...)
			beside = max(beside, len(list))
		}
	}
	if c.also != "" {
		list = append(list, middle(c.also, reasonRoom))
	}
	if c.right != "" && beside >= len(list) {
		beside, list = len(list), append(list, "")
	}
	for i, line := range list {
		left := strings.Repeat(" ", at)
		if i == 0 {
			left = "  " + t.paint.color(c.tone, c.sign) + " " + t.paint.bold(name) + strings.Repeat(" ", at-4-columns(name))
		}
		used := columns(line)
		if i > last {
			line = t.paint.dim(line)
		}
		if i == beside && c.right != "" {
			line += strings.Repeat(" ", max(0, room-used-columns(c.right))) + t.paint.color(c.alarm, c.right)
		}
		t.line(left + line)
	}
}

func (t *text) explains(e Environment, w row) bool {
	return t.o.Verbose || slices.Contains(t.o.Explain, w.name) || slices.Contains(t.o.Explain, clean(e.Name)+"/"+w.name)
}

func (t *text) row(e Environment, w row) {
	line := cells{sign: w.sign, tone: w.tone(), name: w.name, what: w.what, right: w.impact, alarm: w.alarm()}
	if w.rank == rankFailed || w.stands == notTried || strings.HasPrefix(w.stands, "applied") {
		line.right = w.stands
	}
	if t.explains(e, w) {
		t.cells(line)
		t.details(e, w)
		return
	}
	line.atMost = whatLines
	line.reason, line.also = w.reason, w.also
	if t.r.Mode == Apply && (w.rank == rankApproval || w.rank == rankBlocked) { // in a dry run a heading or the end says so
		line.reason = strings.TrimSuffix(w.stands+": "+w.reason, ": ")
	}
	if w.rank == rankWaits && w.reason != "" {
		line.reason = strings.NewReplacer("waits: for ", "waits for ", "waits: until ", "waits until ").Replace("waits: " + w.reason)
		if step, is := strings.CutPrefix(w.reason, "step "); is {
			line.reason = "waits for " + turnWords(step)
		}
		if w.what == "new" {
			line.what, line.reason = "new, "+line.reason, ""
		}
	}
	t.cells(line)
}

// brief is a reason in as many columns as there are: without what stands in brackets
// and after a semicolon, which --explain shows.
func brief(reason string, room int) string {
	if columns(reason) <= room {
		return reason
	}
	var out strings.Builder
	depth := 0
	for _, r := range reason {
		switch {
		case r == '(':
			depth++
		case r == ')' && depth > 0:
			depth--
		case depth == 0:
			out.WriteRune(r)
		}
	}
	short := strings.Join(strings.Fields(strings.NewReplacer(" ;", ";", " ,", ",").Replace(out.String())), " ")
	for columns(short) > room {
		at := strings.LastIndex(short, "; ")
		if at < 0 {
			return middle(short, room)
		}
		short = short[:at]
	}
	return short
}

// details are all there is to know of the changes of a connection.
func (t *text) details(e Environment, w row) {
	for _, c := range w.changes {
		head := words(string(c.Action)) + ", " + clean(string(c.Class))
		if s := standing(c); s != "" {
			head += ", " + s
		}
		t.labelled("change", head, plain)
		for _, f := range c.Fields {
			t.labelled("field", FieldText(f), plain)
		}
		t.labelled("why", whyAndWhere(c), plain)
		if c.ClassReason != "" {
			t.labelled("risk", clean(c.ClassReason), plain)
		}
		if u := usersWords(c.ActiveUsers); u != "" {
			t.labelled("users", u+" active", plain)
		}
		if c.Gate != plan.Ready && c.Outcome != Applied {
			t.labelled("held", heldBy(c), yellow)
			for _, s := range e.waysOut(c) {
				t.step("      can       ", 16, s, false)
			}
		}
		if c.Error != "" {
			t.labelled("error", clean(c.Error), red)
		}
	}
	if len(w.changes) == 0 {
		for _, n := range w.next {
			t.step("      can       ", 16, e.shortly(stepOf(n.Text, n)), false)
		}
	}
}

func (t *text) labelled(label, s string, c colour) {
	for i, line := range lines(s, t.o.Width-16) {
		if i > 0 {
			label = ""
		}
		t.line(fmt.Sprintf("      %-8s  ", label) + t.paint.color(c, line))
	}
}

// next is the closing list of what a person does.
func (t *text) next(list []step) {
	if len(list) == 0 {
		return
	}
	t.gap()
	groups := grouped(list)
	words := nextWords(groups)
	if words == "" {
		t.step(t.paint.bold("Next")+"  ", 6, list[0], true)
		return
	}
	for i, line := range wrap("Next"+words, t.o.Width) {
		if rest, ok := strings.CutPrefix(line, "Next"); i == 0 && ok {
			line = t.paint.bold("Next") + rest
		}
		t.line(line)
	}
	names := 0
	for _, group := range groups {
		if n := columns(group[0].name); n <= longestName {
			names = max(names, n)
		}
	}
	for _, group := range groups {
		name, at := group[0].name, 4+names
		switch {
		case name == "":
			at = 2
		case columns(name) > names:
			for _, line := range wrap(name+":", t.o.Width-2) {
				t.line("  " + t.paint.bold(line))
			}
			name, at = "", 4
		}
		choices := 0
		for _, s := range group {
			choices = max(choices, columns(s.choice))
		}
		for i, s := range group {
			head := strings.Repeat(" ", at)
			if i == 0 && name != "" {
				head = "  " + t.paint.bold(name) + strings.Repeat(" ", at-2-columns(name))
			}
			if choices > 0 {
				label := strings.TrimPrefix(s.choice+":", ":")
				t.step(head+label+strings.Repeat(" ", choices+2-columns(label)), at+choices+2, s, false)
				continue
			}
			t.step(head, at, s, false)
		}
	}
}

// step is what to do, behind a head; a command stands whole, on a line of its own where
// it must. named: with the name of what it is about, unless the command has it.
func (t *text) step(head string, at int, s step, named bool) {
	room, text := t.o.Width-at, s.text
	if named && s.name != "" {
		text = strings.TrimSuffix(s.name+": "+s.text, ": ")
	}
	line := step{text: text, file: s.file, yaml: s.yaml, whole: s.whole}.line()
	bare := step{file: s.file, yaml: s.yaml, whole: s.whole}.line()
	var out []string
	switch comment := columns(s.command) + 4; {
	case s.command == "" && s.yaml != "" && columns(line) > room && columns(bare) <= room && columns(text)+2 <= room:
		out = []string{bare, t.paint.dim("# " + text)}
	case s.command == "" && s.yaml != "" && columns(line) > room: // the lines to copy apart
		out = append(wrap(strings.TrimSuffix(line, s.yaml), room), wrap(s.yaml, room)...)
	case s.command == "":
		out = wrap(line, room)
	case text == "" && columns(s.command) > room: // below its head
		out = []string{"", s.command}
	case text == "":
		out = []string{s.command}
	case s.yaml == "" && !s.known && comment+columns(text) <= room:
		out = []string{s.command + "  " + t.paint.dim("# "+text)}
	case s.yaml == "" && !s.known && strings.Contains(s.command, s.name) && comment+columns(s.text) <= room:
		out = []string{s.command + "  " + t.paint.dim("# "+s.text)}
	case s.yaml == "" && s.brief != "" && strings.Contains(s.command, s.name) && comment+columns(s.brief) <= room:
		out = []string{s.command + "  " + t.paint.dim("# "+s.brief)}
	case s.known && strings.Contains(s.command, s.name) && columns(s.command) <= room:
		out = []string{s.command}
	default:
		out = append(wrap(line+":", room), s.command)
	}
	if s.after != "" {
		out = append(out, wrap(sentence(s.after), room)...)
	}
	for i, one := range out {
		if i == 0 {
			t.line(head + one)
			continue
		}
		t.line(strings.Repeat(" ", Indent(one, at, t.o.Width)) + one)
	}
}

// notices are the warnings, one paragraph a cause, each with what to do. What a row says
// already is left out.
func (t *text) notices(list []notice, steps []step) {
	list = slices.DeleteFunc(list, func(n notice) bool {
		return slices.ContainsFunc(t.r.Environments, func(e Environment) bool {
			return e.Error == "" && slices.ContainsFunc(rows(t.r, e), func(w row) bool { return w.reason == n.cause })
		})
	})
	if len(list) == 0 {
		return
	}
	t.gap()
	for _, n := range list {
		var next step
		if len(n.next) > 0 {
			next = n.next[0]
		}
		if slices.ContainsFunc(steps, func(s step) bool { return s.command == next.command && (s.command != "" || s.text == next.text) }) {
			next = step{} // is said below
		}
		text := n.words
		if next.command == "" {
			text = strings.TrimSuffix(text+"; "+next.line(), "; ")
		}
		for i, line := range wrap(text, t.o.Width-9) {
			head := strings.Repeat(" ", 9)
			if i == 0 {
				head = t.paint.color(yellow, "Warning") + "  "
			}
			t.line(head + line)
		}
		if next.command != "" {
			next.text = strings.TrimPrefix(next.text, "see what to do")
			t.step(strings.Repeat(" ", 9), 9, next, false)
		}
	}
}

// problem is an error, which may have lines of its own.
func (t *text) problem(indent int, s string) {
	if s == "" {
		return
	}
	list := lines("error: "+s, t.o.Width-indent-2)
	if len(list) > errorLines && !t.o.Verbose {
		more := len(list) - errorLines + 1
		list = append(list[:errorLines-1], fmt.Sprintf("and %d more lines (-v shows them)", more))
	}
	for i, line := range list {
		t.line(strings.Repeat(" ", indent+2*min(i, 1)) + t.paint.color(red, line))
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

// lines wraps a text that may have lines of its own, such as several errors.
func lines(s string, room int) []string {
	var out []string
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		out = append(out, wrap(clean(line), max(room, 20))...)
	}
	return out
}

// heldBy is the reason of a gate with the guard that closed it.
func heldBy(c Change) string {
	reason := clean(c.GateReason)
	if c.Guard == "" || c.Gate == plan.Ready {
		return reason
	}
	return strings.TrimPrefix(reason+" (guard "+clean(c.Guard)+")", " ")
}

// whyAndWhere is the cause, and the line of the repository behind it.
func whyAndWhere(c Change) string {
	if c.Origin == "" {
		return why(c)
	}
	return why(c) + " (" + clean(c.Origin) + ")"
}

// tone is the colour of the sign of a row.
func (w row) tone() colour {
	switch w.rank {
	case rankFailed:
		return red
	case rankTold, rankApproval, rankBlocked:
		return yellow
	case rankWaits:
		return dim
	case rankReady:
	}
	return map[string]colour{"+": green, "-": red}[w.sign]
}

// alarm is the colour of what a row means to people.
func (w row) alarm() colour {
	switch {
	case w.rank == rankFailed || w.class == plan.Destructive:
		return red
	case w.class == plan.Disruptive:
		return yellow
	case strings.HasPrefix(w.stands, "applied"):
		return green
	}
	return plain
}

type colour string

const (
	plain  colour = ""
	red    colour = "\x1b[31m"
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	bold   colour = "\x1b[1m"
	dim    colour = "\x1b[2m"

	reset = "\x1b[0m"
)

// painter writes colours, or none when it is false.
type painter bool

func (p painter) color(c colour, s string) string {
	if !p || c == plain || s == "" {
		return s
	}
	return string(c) + s + reset
}

func (p painter) bold(s string) string { return p.color(bold, s) }

func (p painter) dim(s string) string { return p.color(dim, s) }
