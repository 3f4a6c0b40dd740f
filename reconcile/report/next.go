package report

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// A step is one thing that a person does next: a command to type, or lines to commit.
type step struct {
	name    string // of the connections that it is about; "" for none
	choice  string // what it comes to, where name has several to choose from: keep it
	text    string // what it does, clean
	after   string // what follows then, for where that is about several
	brief   string // the same in a few words, for beside a command
	command string // the whole line, clean; "" where nothing is typed
	file    string
	yaml    string
	whole   bool // the lines are all of a new file
	alone   bool // it approves one connection
	early   bool // without it that happens later
	records bool // its lines record what a person has done
	known   bool // the row of the connection says what text says
}

// commit is what to do with the lines of a step.
func (s step) commit() string {
	if s.whole {
		return "new file"
	}
	return "commit to"
}

// words are what a step does, and what follows.
func (s step) words() string { return strings.TrimSuffix(s.text+"; "+s.after, "; ") }

// line is a step in one line, for where no command stands apart.
func (s step) line() string {
	out := s.words()
	if s.yaml != "" {
		out = strings.TrimPrefix(out+": "+s.commit()+" "+s.file+": "+s.yaml, ": ")
	}
	if s.command != "" {
		out = strings.TrimPrefix(out+": "+s.command, ": ")
	}
	return out
}

func stepOf(text string, n plan.Remediation) step {
	if n.File != "" && n.YAML == "" { // no lines to copy: the file is named in words
		text, n.File = "commit to "+n.File+": "+text, ""
	}
	return step{text: clean(text), command: clean(n.Command.String()), file: clean(n.File), yaml: clean(n.YAML)}
}

// waysOut are all that lets a change go: what lifts its gate, and what takes it back.
func (e Environment) waysOut(c Change) []step {
	var out []step
	for _, n := range c.Remediations {
		out = append(out, e.shortly(stepOf(n.Text, n)))
	}
	if c.Cause == plan.Commit && c.Origin != "" {
		out = append(out, step{text: "leave it as it is: revert the commit of " + clean(c.Origin)})
	}
	return out
}

// shortly is a step with the hashes of an environment as a person types them to its runner.
func (e Environment) shortly(s step) step {
	all := []string{e.PlanHash}
	for _, c := range e.Connections {
		all = append(all, c.PlanHash)
	}
	for _, hash := range all {
		if hash != "" {
			s.command = strings.ReplaceAll(s.command, hash, plan.ShortHash(hash, e.Approval.Digits, all...))
		}
	}
	return s
}

// nextSteps are what a person does next about a run, most urgent first. Each is named
// once, with the connections that it is about, and those about the same stand together.
func nextSteps(r Report) []step {
	var g gathered
	for _, n := range r.Remediations {
		g.add(stepOf(n.Text, n), "")
	}
	for _, e := range r.Environments {
		for _, n := range e.Remediations {
			g.add(stepOf(n.Text, n), "")
		}
		if e.Error != "" {
			continue
		}
		list := rows(r, e)
		at := func(s step) int { // as the rows stand, then what is about several
			if i := slices.IndexFunc(list, func(w row) bool { return w.name == s.name }); i >= 0 {
				return i
			}
			return len(list)
		}
		var steps []step
		for _, w := range list {
			steps = append(steps, w.steps()...)
		}
		steps = slices.Concat(steps, approvalSteps(e, list), waitSteps(list))
		slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(at(a), at(b)) })
		for _, s := range steps {
			var then plan.Gate
			if i := at(s); i < len(list) {
				then = list[i].then
			}
			if s = e.shortly(s); s.name != "" && len(r.Environments) > 1 {
				s.name = clean(e.Name) + "/" + s.name
			}
			g.add(s, then)
		}
	}
	return g.steps()
}

// gathered are steps in the order in which they were found, each with the connections
// that it is about.
type gathered struct {
	list  []step
	about map[step][]string               // by a step without its name
	then  map[step]map[plan.Gate][]string // how these stand after it, where that is known
}

// add takes a step, and how its connection stands after it.
func (g *gathered) add(s step, then plan.Gate) {
	if s.choice != "" { // it is of one connection
		g.list = append(g.list, s)
		return
	}
	if g.about == nil {
		g.about, g.then = map[step][]string{}, map[step]map[plan.Gate][]string{}
	}
	name := s.name
	s.name = ""
	if _, known := g.about[s]; !known {
		g.list, g.about[s], g.then[s] = append(g.list, s), []string{}, map[plan.Gate][]string{}
	}
	if name != "" && !slices.Contains(g.about[s], name) {
		g.about[s] = append(g.about[s], name)
		g.then[s][then] = append(g.then[s][then], name)
	}
}

// steps are all of them, those about the same connections together.
func (g *gathered) steps() []step {
	named := slices.Clone(g.list)
	for i, s := range named {
		if s.choice != "" {
			continue
		}
		named[i].name = strings.Join(g.about[s], ", ")
		ask, ready := g.then[s][plan.Approval], g.then[s][plan.Ready]
		switch one := len(g.about[s]) == 1; {
		case len(ask)+len(ready) == 0:
		case one && len(ask) > 0:
			named[i].brief += "; then approve it"
			named[i].text += "; then it needs approval"
		case one:
			named[i].text += "; then the next run applies it"
		default:
			var then []string
			if len(ask) > 0 {
				then = append(then, strings.Join(ask, ", ")+" "+needApproval(len(ask)))
			}
			if len(ready) > 0 {
				then = append(then, "the next run applies "+strings.Join(ready, ", "))
			}
			named[i].after = "then " + strings.Join(then, "; ")
		}
	}
	var out []step
	for i, s := range named {
		same := func(o step) bool { return s.name != "" && o.name == s.name }
		if slices.ContainsFunc(named[:i], same) {
			continue
		}
		out = append(out, s)
		for _, o := range named[i+1:] {
			if same(o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// steps are what a person does about a row without approving it: the best, and where that
// is one of two ways and the other is no approval, both.
func (w row) steps() []step {
	n, ok := w.first()
	if !ok {
		return nil
	}
	s := stepOf(n.Text, n)
	s.name, s.brief = w.name, strings.TrimPrefix(s.text, "to end the pause sooner, ")
	switch way := w.choice(); {
	case way == "":
	case s.yaml != "" && way == disableIt:
		s.choice, s.whole = "keep as is", true
	default:
		s.choice, s.text = "keep it", strings.TrimPrefix(s.text, "keep it: ")
		if s.known, s.brief = s.command != "", "asks for it"; s.known {
			s.choice = "keep " + cmp.Or(w.liveSecret(), "it")
		}
	}
	if s.command != "" && slices.ContainsFunc(w.changes, func(c Change) bool { return c.Guard == plan.GuardRejected }) {
		s.brief = "type a working one, commit"
	}
	if s.yaml != "" && path.Base(s.file) != "environment.yaml" { // what the lines are about says the file
		s.text, s.brief = "", ""
	}
	out := []step{s}
	if asks := func(n plan.Remediation) bool { return n.Kind == plan.ByApproval }; s.choice != "" && !slices.ContainsFunc(w.next, asks) {
		for _, n := range w.next[1:] {
			s := stepOf(n.Text, n)
			s.name, s.choice = w.name, "or"
			out = append(out, s)
		}
	}
	return out
}

// liveSecret is what a live secret ends in that a row replaces, "" where that is unknown.
func (w row) liveSecret() string {
	for _, c := range w.changes {
		for _, f := range c.Fields {
			if f.Field == plan.FieldClientSecret && f.From.Mask != "" {
				return clean(f.From.Mask)
			}
		}
	}
	return ""
}

// grouped puts steps about the same together.
func grouped(list []step) [][]step {
	var out [][]step
	for i, s := range list {
		if i > 0 && s.name != "" && list[i-1].name == s.name {
			out[len(out)-1] = append(out[len(out)-1], s)
			continue
		}
		out = append(out, []step{s})
	}
	return out
}

// nextWords are how steps are to be read, behind the word Next: which of them are choices,
// and what an approval does. "" for one step that is none.
func nextWords(groups [][]step) string {
	has := func(is func(step) bool) bool {
		return slices.ContainsFunc(groups, func(group []step) bool { return slices.ContainsFunc(group, is) })
	}
	alone := has(func(s step) bool { return s.alone })
	unasked := has(func(s step) bool { return strings.Contains(s.command, " --approve ") })
	switch {
	case len(groups) > 1 && !has(func(s step) bool { return !s.records }):
		return ": once a step is over commit its lines; a run by hand then asks to apply it"
	case len(groups) == 1 && len(groups[0]) == 1 && !alone && !unasked:
		return ""
	case len(groups) == 1 && groups[0][0].choice == "" && !alone && !unasked:
		return ", one after the other"
	}
	words := ": nothing until you choose"
	if !has(func(s step) bool { return !s.early }) {
		words = ", if you cannot wait"
	}
	switch {
	case unasked:
		words += "; --approve applies only that, without a question"
	case alone:
		words += "; an approval is of that connection alone"
	}
	return words
}

// waitsShown is of how many connections a list says which step of a person they wait for.
const waitsShown = 3

// waitSteps are for connections that wait for a step of a person what that is, and how to
// record it; of the others where it stands.
func waitSteps(list []row) []step {
	var out []step
	var others []string
	for _, w := range list {
		i := slices.IndexFunc(w.next, func(n plan.Remediation) bool { return n.Kind == plan.ByStep && n.YAML+n.Command.String() != "" })
		switch {
		case w.rank != rankWaits || i < 0:
		case len(out) == waitsShown:
			others = append(others, w.name)
		default:
			s := stepOf(w.next[i].Text, w.next[i])
			s.name, s.records = w.name, true
			out = append(out, s)
		}
	}
	if len(others) > 0 {
		s := step{text: "what " + strings.Join(others, ", ") + " wait for", command: plan.Command{"providers"}.String()}
		s.records = true
		if len(others) == 1 {
			s.name, s.text, s.command = others[0], "what to do, and what records it", plan.Command{"providers", others[0]}.String()
		}
		out = append(out, s)
	}
	return out
}

// What approving comes to where there is another way.
const replaceIt, disableIt = "replace it", "disable it"

// choice is what approving a row comes to where a person may want the contrary as well:
// then there are two ways, and none is the right one for all.
func (w row) choice() string {
	switch {
	case slices.ContainsFunc(w.changes, losesSecret):
		return replaceIt
	case slices.ContainsFunc(w.changes, func(c Change) bool { return c.Cause == plan.Prune }):
		return disableIt
	}
	return ""
}

// first is what a person does about a row without approving it, best first: what is typed
// before what is committed. What only waits needs nobody.
func (w row) first() (plan.Remediation, bool) {
	switch {
	case w.rank != rankApproval && w.rank != rankBlocked:
		return plan.Remediation{}, false
	case w.choice() != "" && len(w.next) > 0 && w.next[0].Kind != plan.ByApproval: // the other choice is to approve
		return w.next[0], true
	}
	for _, kind := range []plan.RemediationKind{plan.ByCommand, plan.ByProbe} {
		for _, n := range w.next {
			if n.Kind == kind {
				return n, true
			}
		}
	}
	if slices.ContainsFunc(w.next, func(n plan.Remediation) bool { return n.Kind == plan.ByApproval }) {
		return plan.Remediation{}, false // the approval says so
	}
	for _, n := range w.next {
		if n.Kind != plan.ByWaiting {
			return n, true
		}
	}
	return plan.Remediation{}, false
}

// Up to fewApprovals connections are approved one by one, and nothing is said of approving
// all at once; of up to approvalsShown, those that harm most, each has its command. What
// only waits for a window needs nobody, so that is said of a few.
const fewApprovals, approvalsShown, eachEarly = 4, 8, 2

// approvalSteps are how the changes of an environment are approved: each connection by
// itself, with what that means to people, and last many together.
func approvalSteps(e Environment, list []row) []step {
	var alone, together, early []row
	for _, w := range list {
		asks := slices.ContainsFunc(w.next, func(n plan.Remediation) bool { return n.Kind == plan.ByApproval })
		switch a := w.approval(e); {
		case a.State == ApprovalNone, a.State == "" && !(asks && len(e.Connections) == 0):
		case slices.Contains(e.Approval.Leaves, w.connection):
			alone = append(alone, w)
		case w.rank == rankWaits:
			early = append(early, w)
		default:
			together = append(together, w)
		}
	}
	var out []step
	hasOwn := func(w row) bool { return len(w.approval(e).Command) > 0 && len(w.approval(e).Remediations) == 0 }
	switch ofPlan := len(e.Approval.Remediations) == 0; {
	case len(e.Connections) == 0 || e.Approval.State != ApprovalRequired || !ofPlan && !all(together, hasOwn): // there is something to say of the whole plan
		together, early = slices.Concat(together, early), nil
	default:
		alone = slices.Concat(alone, together[:min(len(together), approvalsShown)])
		if more := len(together) - approvalsShown; more > 0 {
			out = append(out, step{text: number(more) + " more can be approved alone, too: -v prints how"})
		}
		if len(together) <= fewApprovals || !ofPlan {
			together = nil
		}
	}
	for _, w := range alone {
		steps := approvalStep(w.approval(e), "approve this connection", w.approved())
		for i := range steps {
			s := &steps[i]
			s.name, s.alone, s.known = w.name, len(w.approval(e).Remediations) == 0, s.text == w.approved() && w.sendsTo() == ""
			if i == 0 {
				s.choice = w.choice()
			}
		}
		out = append(out, steps...)
	}
	if len(together) > 0 || len(e.Connections) == 0 {
		out = append(out, approvalStep(e.Approval, "approve this plan", e.covered(together, list))...)
	}
	for _, w := range early {
		if a := w.approval(e); len(early) <= eachEarly && a.State == ApprovalRequired && len(a.Command) > 0 {
			out = append(out, step{name: w.name, alone: true, early: true, text: "not to wait", command: clean(a.Command.String())})
		}
	}
	return out
}

func all(list []row, is func(row) bool) bool {
	return !slices.ContainsFunc(list, func(w row) bool { return !is(w) })
}

// covered says what an approval of a whole plan applies: some rows, and what is ready as
// well.
func (e Environment) covered(together, list []row) string {
	var names, without []string
	ready := 0
	for _, w := range list {
		switch {
		case slices.Contains(e.Approval.Leaves, w.connection):
			without = append(without, w.name)
		case w.rank == rankReady && len(w.changes) > 0:
			ready++
		}
	}
	for _, w := range together {
		names = append(names, w.name)
	}
	if n := len(names); n > fewApprovals {
		names = []string{fmt.Sprintf("all %d at once", n)}
	}
	if ready > 0 {
		names = append(names, "and what is ready ("+counted(ready, "connection")+")")
	}
	if len(without) > 0 {
		names = append(names, "without "+strings.Join(without, ", "))
	}
	return strings.TrimPrefix(strings.TrimSuffix(strings.Join(names, ", ")+": "+affectedBy(together), ": "), "and ")
}

// approval is how a row is approved apart from all others.
func (w row) approval(e Environment) Approval {
	for _, c := range e.Connections {
		if c.Name == w.connection {
			return c.Approval
		}
	}
	return Approval{}
}

// approved is what becomes of a row once it is approved.
func (w row) approved() string {
	if slices.ContainsFunc(w.changes, losesSecret) {
		if key := keyOf(w.changes[0]); key > 0 {
			return "by " + keyName(key) + " of the file"
		}
		return "by what the file has"
	}
	if host := w.sendsTo(); host != "" {
		return "end users go to " + host
	}
	if w.impact != "" && w.class == plan.Destructive {
		return w.impact
	}
	return brief(w.what, defaultWidth/2)
}

// sendsTo is the host to which a row sends end users, whole: the end of a name says whose
// it is. "" where it sends them nowhere else.
func (w row) sendsTo() string {
	for _, c := range w.changes {
		for _, f := range c.Fields {
			switch {
			case f.To.Value == nil || *f.To.Value == "":
			case f.Field == plan.FieldDomain:
				return clean(*f.To.Value)
			case f.Field == plan.FieldRedirectURL:
				if u, err := url.Parse(*f.To.Value); err == nil {
					return clean(u.Host)
				}
			}
		}
	}
	return ""
}

// approvalStep is how one approval is given. effect stands in the place of the plain
// words.
func approvalStep(a Approval, plain, effect string) []step {
	var out []step
	for _, n := range a.Remediations {
		out = append(out, stepOf(strings.TrimPrefix(a.Text+"; "+n.Text, "; "), n))
		a.Text = ""
	}
	if len(a.Command) == 0 && (a.Text == "" || len(out) > 0) {
		return out
	}
	if a.State == ApprovalRequired {
		a.Text = strings.Replace(a.Text, plain, effect, 1)
	}
	return append(out, step{text: clean(a.Text), command: clean(a.Command.String())})
}
