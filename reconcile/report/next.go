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
	command string // the whole line, clean; "" where nothing is typed
	file    string
	yaml    string
	alone   bool // it approves one connection
	several bool // it approves more than one
	records bool // its lines record what a person has done
	known   bool // the row of the connection says what text says
}

// line is a step in one line, for where no command stands apart.
func (s step) line() string {
	out := s.text
	if s.yaml != "" {
		out = strings.TrimPrefix(out+": commit to "+s.file+": "+s.yaml, ": ")
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
	var out []step
	about := map[step][]string{}
	add := func(s step) {
		name := s.name
		s.name = ""
		if _, known := about[s]; !known || s.choice != "" {
			out = append(out, s)
		}
		if s.choice != "" { // a choice is of one connection
			out[len(out)-1].name = name
			return
		}
		if about[s] == nil {
			about[s] = []string{}
		}
		if name != "" && !slices.Contains(about[s], name) {
			about[s] = append(about[s], name)
		}
	}
	for _, n := range r.Remediations {
		add(stepOf(n.Text, n))
	}
	for _, e := range r.Environments {
		for _, n := range e.Remediations {
			add(stepOf(n.Text, n))
		}
		if e.Error != "" {
			continue
		}
		list := rows(r, e)
		var steps []step
		for _, w := range list {
			if n, ok := w.first(); ok {
				s := stepOf(n.Text, n)
				s.name = w.name
				if w.choice() != "" {
					s.choice, s.text = "keep it", strings.TrimPrefix(s.text, "keep it: ")
					if s.command != "" && slices.ContainsFunc(w.changes, losesSecret) {
						s.choice, s.known = "keep the live one", true
					}
				}
				if s.yaml != "" && path.Base(s.file) != "environment.yaml" { // what the lines are about says the file
					s.text = ""
				}
				steps = append(steps, s)
				if asks := func(n plan.Remediation) bool { return n.Kind == plan.ByApproval }; s.choice != "" && !slices.ContainsFunc(w.next, asks) {
					for _, n := range w.next[1:] { // no approval is the other way
						s := stepOf(n.Text, n)
						s.name, s.choice = w.name, "or"
						steps = append(steps, s)
					}
				}
			}
		}
		steps = slices.Concat(steps, approvalSteps(e, list), waitSteps(list))
		place := func(s step) int { // as the rows stand, then what is about several
			if i := slices.IndexFunc(list, func(w row) bool { return w.name == s.name }); i >= 0 {
				return i
			}
			return len(list)
		}
		slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(place(a), place(b)) })
		for _, s := range steps {
			if s = e.shortly(s); s.name != "" && len(r.Environments) > 1 {
				s.name = clean(e.Name) + "/" + s.name
			}
			add(s)
		}
	}
	for i, s := range out {
		if s.choice == "" {
			out[i].name = strings.Join(about[s], ", ")
		}
	}
	var sorted []step
	for i, s := range out {
		same := func(o step) bool { return s.name != "" && o.name == s.name }
		if slices.ContainsFunc(out[:i], same) {
			continue
		}
		sorted = append(sorted, s)
		for _, o := range out[i+1:] {
			if same(o) {
				sorted = append(sorted, o)
			}
		}
	}
	return sorted
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
	all := func(is func(step) bool) bool { return !has(func(s step) bool { return !is(s) }) }
	alone := has(func(s step) bool { return s.alone })
	switch {
	case len(groups) > 1 && all(func(s step) bool { return s.records }):
		return ": each waits until its lines are committed"
	case len(groups) == 1 && len(groups[0]) == 1 && !alone:
		return ""
	case len(groups) == 1 && groups[0][0].choice == "" && !alone:
		return ", one after the other"
	}
	words := ": nothing until you choose"
	switch unasked := has(func(s step) bool { return strings.Contains(s.command, " --approve ") }); {
	case unasked && alone:
		words += "; --approve applies that one at once, unasked"
	case alone:
		words += "; an approval is of that one alone"
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

// choice is what approving a row comes to where a person may want the contrary as well:
// then there are two ways, and none is the right one for all.
func (w row) choice() string {
	switch {
	case slices.ContainsFunc(w.changes, losesSecret):
		return "replace it"
	case slices.ContainsFunc(w.changes, func(c Change) bool { return c.Cause == plan.Prune }):
		return "disable it"
	}
	return ""
}

// first is what a person does about a row without approving it, best first: what is typed
// before what is committed. What only waits needs nobody.
func (w row) first() (plan.Remediation, bool) {
	switch {
	case w.rank != rankNeeds:
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

// Up to how many connections are approved one by one: more are approved with their
// environment, but for those that must be approved alone. What only waits for a window
// needs nobody, so that is said of a few.
const eachAlone, eachEarly = 4, 2

// approvalSteps are how the changes of an environment are approved: the few each by
// itself, with what that means to people, and many together.
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
	if e.Approval.State != ApprovalRequired || len(e.Approval.Remediations) > 0 || len(e.Connections) == 0 { // there is something to say of the whole plan
		together, early = slices.Concat(together, early), nil
	} else if len(together) <= eachAlone {
		alone, together = slices.Concat(alone, together), nil
	}
	var out []step
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
		for _, s := range approvalStep(e.Approval, "approve this plan", applies(together, list, slices.Contains(e.Approval.Command, "--approve"))) {
			s.several = len(together) > 1 && s.command != ""
			out = append(out, s)
		}
	}
	for _, w := range early {
		if a := w.approval(e); len(early) <= eachEarly && a.State == ApprovalRequired && len(a.Command) > 0 {
			out = append(out, step{name: w.name, alone: true, text: "not to wait", command: clean(a.Command.String())})
		}
	}
	return out
}

// applies says what approving a whole plan comes to: it applies what is ready as well.
func applies(together, list []row, unasked bool) string {
	const most = 4
	var names []string
	for _, w := range slices.SortedStableFunc(slices.Values(together), moreHarm) {
		names = append(names, w.name)
	}
	out := "applies"
	if n := len(names); n > most {
		names = append(names[:most-1], fmt.Sprintf("%d more", n-most+1))
		out += fmt.Sprintf(" all %d", n)
	}
	if unasked {
		out += " at once, unasked"
	}
	ready := 0
	for _, w := range list {
		if w.rank == rankReady && len(w.changes) > 0 {
			ready++
		}
	}
	if ready > 0 {
		names = append(names, "and what is ready ("+counted(ready, "connection")+")")
	}
	return strings.TrimSuffix(out+": "+strings.Join(names, ", "), ": ")
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
