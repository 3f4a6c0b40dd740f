package report

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// A row is one connection of an environment as a person reads it in every form: what
// becomes of it, whom that touches, and why it does not happen now. Its texts are clean.
type row struct {
	connection string // production/strava
	name       string // in its environment
	rank       rank
	sign       string
	what       string // what changes, as far as it is in the same state as the first
	also       string // what is in another state
	impact     string // on end users; "" for none
	reason     string // why it is held, or what went wrong
	stands     string // ready, needs approval, applied in 0.4 s, …
	class      plan.Class
	changes    []Change
	next       []plan.Remediation // the choices that a person has
}

// rank says how urgently a person should read a row.
type rank int

const (
	rankFailed rank = iota
	rankNeeds       // a person must decide
	rankReady       // it happens, or happened
	rankWaits       // for a time or a step
)

// rows gives the connections of an environment of which there is something to say, in
// the order in which a person has to read them.
func rows(r Report, e Environment) []row {
	var out []row
	at := map[string]int{}
	for _, c := range e.Changes {
		i, known := at[c.Connection]
		if !known {
			i = len(out)
			at[c.Connection] = i
			out = append(out, row{connection: c.Connection, name: nameOf(c, e)})
		}
		out[i].changes = append(out[i].changes, c)
	}
	for i := range out {
		out[i].fill()
	}
	for _, event := range e.Events {
		if _, told := at[event.Connection]; told && event.Kind != Stuck {
			continue // its change says so
		}
		if i, ok := at[event.Connection]; ok {
			out[i].reason = strings.TrimPrefix(out[i].reason+"; held for "+days(r.StartedAt.Sub(event.Since)), "; ")
			continue
		}
		text := strings.TrimPrefix(clean(event.Text), clean(event.Connection)+": ")
		out = append(out, row{name: short(event.Connection, e.Name), rank: rankNeeds, sign: "!", what: strings.ReplaceAll(string(event.Kind), "-", " ") + ": " + text,
			stands: string(event.Kind), class: plan.Safe, next: event.Remediations})
	}
	for _, k := range e.Keys {
		if k.Next == 0 {
			continue
		}
		coming := keyName(k.Next) + " is set by itself, in the first run from " + k.NextAt.UTC().Format("2 Jan 2006 15:04 UTC")
		if i := slices.IndexFunc(out, func(w row) bool { return w.name == short(k.Connection, e.Name) }); i >= 0 {
			out[i].also = strings.TrimPrefix(out[i].also+"; "+coming, "; ")
			continue
		}
		out = append(out, row{name: short(k.Connection, e.Name), rank: rankWaits, sign: "·", what: coming, stands: string(plan.Waiting), class: plan.Safe})
	}
	slices.SortStableFunc(out, func(a, b row) int { return cmp.Compare(a.rank, b.rank) })
	return out
}

func nameOf(c Change, e Environment) string {
	if c.Provider != "" {
		return clean(c.Provider)
	}
	return short(c.Connection, e.Name)
}

// rankOf is the rank of one change.
func rankOf(c Change) rank {
	switch {
	case c.Outcome == Failed || c.Outcome == Unknown:
		return rankFailed
	case c.Outcome == Applied:
		return rankReady
	case c.Gate == plan.Blocked || c.Gate == plan.Approval:
		return rankNeeds
	case c.Gate == plan.Waiting || c.Outcome == Waiting:
		return rankWaits
	}
	return rankReady
}

// fill says of the changes of one connection what there is to say. The first in rank
// speaks for it; what is in another state follows.
func (w *row) fill() {
	lead := slices.MinFunc(w.changes, func(a, b Change) int { return cmp.Compare(rankOf(a), rankOf(b)) })
	w.rank, w.stands, w.class = rankOf(lead), standing(lead), plan.Safe
	var same, others []Change
	for _, c := range w.changes {
		if standing(c) == w.stands {
			same = append(same, c)
		} else {
			others = append(others, c)
		}
		if c.Class == plan.Destructive || w.class == plan.Safe {
			w.class = c.Class
		}
		if rankOf(c) == w.rank {
			for _, n := range c.Remediations {
				if !slices.ContainsFunc(w.next, func(m plan.Remediation) bool { return same1(n, m) }) {
					w.next = append(w.next, n)
				}
			}
		}
	}
	if slices.ContainsFunc(w.changes, isNew) { // it is one thing, whatever its steps wait for
		same, others = w.changes, nil
	}
	w.what, w.impact = what(same), impact(same)
	if len(others) > 0 {
		stands := standing(others[0])
		w.also = cmp.Or(stands, string(plan.Ready)) + ": " + what(slices.DeleteFunc(slices.Clone(others), func(c Change) bool { return standing(c) != stands }))
		if w.impact == "" {
			w.impact = impact(others)
		}
	}
	for _, c := range w.changes {
		if rankOf(c) == w.rank {
			w.reason = cmp.Or(w.reason, reasonOf(c))
		}
	}
	w.sign = map[rank]string{rankFailed: "x", rankNeeds: "!", rankWaits: "·"}[w.rank]
	if w.sign == "" {
		w.sign = symbol(lead.Action)
	}
}

// followsEnable is the reason of what only waits with its enable, which says why.
const followsEnable = "enabling comes first"

func same1(a, b plan.Remediation) bool {
	return a.Kind == b.Kind && a.Text == b.Text && a.File == b.File && a.YAML == b.YAML && slices.Equal(a.Command, b.Command)
}

// what says in one sentence what becomes of a connection.
func what(changes []Change) string {
	if slices.ContainsFunc(changes, isNew) {
		return strings.TrimSuffix("new: "+strings.Join(newParts(changes), ", "), ": ")
	}
	var parts []string
	for _, c := range changes {
		parts = append(parts, phrase(c))
	}
	return strings.Join(slices.Compact(parts), "; ")
}

// isNew tells whether a change begins a connection.
func isNew(c Change) bool {
	return c.Action == plan.Enable && c.Cause.IsFirst()
}

// newParts are what a new connection gets.
func newParts(changes []Change) []string {
	var parts []string
	for _, c := range changes {
		for _, f := range c.Fields {
			to := clean(middle(side(f.To), longestValue))
			switch {
			case f.Field == plan.FieldState:
				if to != "active" {
					parts = append(parts, to)
				}
			case f.Field == plan.FieldClientID:
				parts = append([]string{"own app " + to}, parts...)
			case f.Field == plan.FieldClientSecret:
				parts = append(parts, to)
			case f.Field == plan.FieldScopes && len(f.To.List) > 2:
				parts = append(parts, counted(len(f.To.List), "scope"))
			case f.Field == plan.FieldDomain:
				parts = append(parts, to)
			case f.Field == plan.FieldApp && to == "own":
			default:
				parts = append(parts, clean(f.Field)+" "+to)
			}
		}
	}
	return parts
}

// phrase is what one change changes.
func phrase(c Change) string {
	if c.Guard == plan.GuardRejected {
		stays, _, _ := strings.Cut(clean(c.GateReason), "; ")
		return fmt.Sprintf("key %d is rejected; %s", keyOf(c), stays)
	}
	if len(c.Fields) == 0 {
		return words(string(c.Action))
	}
	if setOutOfBand(c) && len(c.Fields) == 1 {
		out := "client secret set out of band (" + side(c.Fields[0].From) + ")"
		if key := keyOf(c); key > 0 {
			out += " -> " + keyName(key)
		}
		return out
	}
	var parts []string
	for _, f := range c.Fields {
		from, to := side(f.From), side(f.To)
		switch {
		case f.Field == plan.FieldState && c.Cause == plan.Drift:
			from += " out of band"
		case f.Field == plan.FieldState && c.Cause == plan.Prune:
			to += ", no file names it"
		case c.Cause == plan.Drift:
			from += " (set out of band)"
		}
		text := middle(address(clean(from)), longestValue) + " -> " + middle(address(clean(to)), longestValue)
		if len(f.From.List) > 0 && len(f.To.List) > 0 {
			text = middle(listChange(f), longestValue)
		}
		if f.Field != plan.FieldState {
			text = clean(f.Field) + " " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// setOutOfBand tells whether a change waits for somebody to say which keys are right.
func setOutOfBand(c Change) bool { return c.Guard == plan.GuardSecretDrift }

// losesSecret tells whether a change waits for somebody to keep a live secret of which
// there is no copy, or to let it be replaced.
func losesSecret(c Change) bool { return setOutOfBand(c) || c.Guard == plan.GuardNoWayBack }

// reasonOf is why a change is held, where the row does not say so anyway.
func reasonOf(c Change) string {
	switch {
	case c.Error != "":
		return clean(c.Error)
	case c.Outcome == Unknown:
		return "sent, and nobody could read back whether it took effect"
	case c.Gate == plan.Ready || c.Outcome == Applied || c.GateReason == followsEnable || c.Guard == "destructive":
		return ""
	case c.Guard == plan.GuardWindow:
		_, opens, known := strings.Cut(clean(c.GateReason), "; the next one opens ")
		opens, _, _ = strings.Cut(opens, ";")
		if known {
			return "for the window that opens " + opens
		}
	case setOutOfBand(c):
		return "keep it or replace it?"
	case c.Guard == plan.GuardRejected: // the rest is what the row says
		if _, refusal, ok := strings.Cut(clean(c.GateReason), "; "); ok {
			return refusal
		}
	case c.Guard == plan.GuardSetup:
		reason, _, _ := strings.Cut(clean(c.GateReason), ": ")
		return reason
	}
	return clean(c.GateReason)
}

// keyOf is the number of the key that a change writes or shows.
func keyOf(c Change) int {
	for _, f := range c.Fields {
		if f.To.Key > 0 {
			return f.To.Key
		} else if f.From.Key > 0 {
			return f.From.Key
		}
	}
	return 0
}

func words(kebab string) string { return strings.ReplaceAll(clean(kebab), "-", " ") }

// worstOf is the change that means most to end users.
func worstOf(changes []Change) Change {
	worst := changes[0]
	for _, c := range changes {
		if classRank(c.Class) > classRank(worst.Class) || c.Class == worst.Class && worst.ActiveUsers == nil {
			worst = c
		}
	}
	return worst
}

// affected says how many end users the changes of a run touch that are not safe: in a dry
// run if all of it is applied, else what was written. "" for none.
func affected(r Report) string {
	users := plan.Users{Exact: true}
	counts := false
	for _, e := range r.Environments {
		of := map[string][]Change{}
		for _, c := range e.Changes {
			if written := c.Outcome == Applied || c.Outcome == Failed || c.Outcome == Unknown; c.Class != plan.Safe && (written || r.Mode == DryRun) {
				of[c.Connection] = append(of[c.Connection], c)
			}
		}
		for _, changes := range of {
			counts = true
			if u := worstOf(changes).ActiveUsers; u == nil {
				users.Exact = false
			} else {
				users.Count, users.Exact = users.Count+u.Count, users.Exact && u.Exact
			}
		}
	}
	words := usersWords(&users) + " affected"
	switch {
	case !counts || users.Count == 0 && users.Exact:
		return ""
	case users.Count == 0:
		words = "an unknown number of users affected"
	}
	if r.Mode == DryRun {
		words += " if applied"
	}
	return words
}

// impact says what the worst of some changes means to how many end users. Nobody counts
// them where it can harm none.
func impact(changes []Change) string {
	worst := worstOf(changes)
	users := usersWords(worst.ActiveUsers)
	switch {
	case worst.ActiveUsers != nil && worst.ActiveUsers.Exact && worst.ActiveUsers.Count == 0:
		if worst.Class == plan.Safe {
			return ""
		}
		return "no active users"
	case worst.Class == plan.Safe:
		return users
	case users == "":
		return "users unknown"
	}
	switch {
	case worst.Action == plan.Disable:
		return users + " cut off"
	case worst.Class == plan.Destructive:
		return users + " must reconnect"
	case worst.Action == plan.Pause:
		return users + ", no new sign-ins"
	}
	return users + " may stop syncing"
}

func classRank(c plan.Class) int {
	return slices.Index([]plan.Class{plan.Safe, plan.Disruptive, plan.Destructive}, c)
}

// waitsAsBefore tells whether nothing about a row is new since the last run, and it only
// waits.
func (w row) waitsAsBefore(started time.Time) bool {
	return w.rank == rankWaits && len(w.changes) > 0 && !slices.ContainsFunc(w.changes, func(c Change) bool {
		return c.GatedSince.IsZero() || !c.GatedSince.Before(started.Add(-time.Second))
	})
}

// since is when the first change of a row was first held.
func (w row) since() time.Time {
	var first time.Time
	for _, c := range w.changes {
		if first.IsZero() || c.GatedSince.Before(first) {
			first = c.GatedSince
		}
	}
	return first
}

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

// moreHarm puts the row first that can harm more end users. What nobody counted may harm
// any number.
func moreHarm(a, b row) int {
	users := func(w row) int {
		if len(w.changes) == 0 {
			return 0
		}
		if u := worstOf(w.changes).ActiveUsers; u != nil {
			return u.Count
		}
		return math.MaxInt
	}
	return cmp.Or(cmp.Compare(classRank(b.class), classRank(a.class)), cmp.Compare(users(b), users(a)))
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

// A notice is all warnings of a run that say the same of different connections.
type notice struct {
	words string   // with all that it is about
	texts []string // each of them in full
	next  []step
}

const aboutShown = 20 // connections that a notice names

// notices takes the warnings of a run together by their cause, those of the whole run
// first.
func notices(r Report) []notice {
	type place struct{ environment, connection, detail string }
	var causes []string
	texts, places, next := map[string][]string{}, map[string][]place{}, map[string][]step{}
	add := func(environment string, w plan.Warning) {
		cause := cmp.Or(w.Cause, w.Text)
		if _, known := texts[cause]; !known {
			causes = append(causes, cause)
		}
		texts[cause] = append(texts[cause], clean(w.Text))
		if w.Connection != "" || environment != "" && !strings.HasPrefix(w.Text, environment+"/") {
			places[cause] = append(places[cause], place{environment, short(w.Connection, environment), clean(w.Detail)})
		}
		for _, n := range w.Remediations {
			if s := stepOf(n.Text, n); !slices.Contains(next[cause], s) {
				next[cause] = append(next[cause], s)
			}
		}
	}
	for _, w := range r.Warnings {
		add("", w)
	}
	for _, e := range r.Environments {
		for _, w := range e.Warnings {
			add(e.Name, w)
		}
	}
	var out []notice
	for _, cause := range causes {
		n := notice{words: clean(cause), texts: texts[cause], next: next[cause]}
		list := places[cause]
		shared := len(list) > 0 && list[0].detail != "" && !slices.ContainsFunc(list, func(p place) bool { return p.detail != list[0].detail })
		if shared {
			n.words += " " + list[0].detail
		}
		var names []string
		for _, p := range list {
			name := strings.Trim(clean(p.environment)+"/"+p.connection, "/")
			if !shared && p.detail != "" {
				name += " " + p.detail
			}
			names = append(names, name)
		}
		switch {
		case len(names) == 1:
			n.words = names[0] + ": " + n.words
		case len(names) > aboutShown:
			n.words += fmt.Sprintf(" (%s and %d more)", strings.Join(names[:aboutShown], ", "), len(names)-aboutShown)
		case len(names) > 1:
			n.words += " (" + strings.Join(names, ", ") + ")"
		}
		if len(n.next) > 1 && len(n.texts) > 1 {
			n.next = n.next[:1] // one of them shows how
		}
		out = append(out, n)
	}
	return out
}

// noticesTitle counts warnings, and causes where they are fewer.
func noticesTitle(list []notice) string {
	n := 0
	for _, c := range list {
		n += len(c.texts)
	}
	if n == len(list) {
		return counted(n, "warning")
	}
	return fmt.Sprintf("%s of %s", counted(n, "warning"), counted(len(list), "cause"))
}

// uncompared is what was not compared for one reason, and why.
type uncompared struct{ what, why string }

// notCompared shows once what was not compared for the same reason.
func notCompared(e Environment) []uncompared {
	at := map[plan.NotCompared]int{} // by field and reason
	var names [][]string
	var out []uncompared
	for _, n := range e.NotCompared {
		name, field := short(n.Connection, e.Name), clean(n.Field)
		n.Connection = ""
		i, known := at[n]
		if !known {
			i = len(out)
			at[n], names = i, append(names, nil)
			why := clean(n.Reason)
			if field != "" {
				why = field + ": " + why
			}
			out = append(out, uncompared{name, why})
		}
		names[i] = append(names[i], name)
	}
	for i, list := range names {
		if len(list) > 1 {
			out[i].what = counted(len(list), "connection")
			out[i].why += ": " + strings.Join(list, ", ")
		}
	}
	return out
}

// unmanaged are the connections that are live and in no file, but for those of which a
// row says so: they are to be pruned.
func unmanaged(e Environment) []string {
	return slices.DeleteFunc(slices.Clone(e.Unmanaged), func(provider string) bool {
		return slices.ContainsFunc(e.Changes, func(c Change) bool { return c.Provider == provider })
	})
}

// asideWords say what a run was not about, "" where it was about everything.
func asideWords(e Environment) string {
	if len(e.Selected) == 0 {
		return ""
	}
	var names []string
	for _, c := range e.Selected {
		names = append(names, short(c, e.Name))
	}
	are := " are not looked at"
	if e.NotSelected == 1 {
		are = " is not looked at"
	}
	return "only " + strings.Join(names, ", ") + ": " + counted(e.NotSelected, "other connection") + are
}

// isQuiet: nothing to say but how many connections it has, and warnings, which are
// shown for all environments together. A key that will become due is something.
func isQuiet(e Environment) bool {
	comes := func(k keys.Status) bool { return k.Next > 0 }
	return e.Error == "" && !slices.ContainsFunc(e.Keys, comes) && len(e.Selected)+len(e.Changes)+len(e.NotCompared)+len(e.Unmanaged)+len(e.MayHaveWritten)+len(e.Events) == 0
}

// headWords say how many connections of an environment change, and how many need a
// person.
func headWords(e Environment, list []row) string {
	if len(e.Changes) == 0 {
		return ""
	}
	changing, applied, needs, harmless := 0, 0, 0, true
	for _, w := range list {
		if len(w.changes) > 0 {
			changing++
		}
		if slices.ContainsFunc(w.changes, func(c Change) bool { return c.Outcome == Applied }) {
			applied++
		}
		if w.needsYou() {
			needs++
		}
		harmless = harmless && w.class == plan.Safe
	}
	of := counted(changing+e.Summary.Unchanged, "connection")
	var out string
	switch left := changing - applied; {
	case applied > 0 && left > 0:
		out = fmt.Sprintf("%d of %s applied, %d not", applied, of, left)
	case applied > 0:
		out = fmt.Sprintf("%d of %s applied", applied, of)
	case changing == 1:
		out = "1 of " + of + " differs"
	default:
		out = fmt.Sprintf("%d of %s differ", changing, of)
	}
	switch {
	case needs == 1:
		out += ", 1 needs you"
	case needs > 1:
		out += fmt.Sprintf(", %d need you", needs)
	case harmless && applied == 0:
		out += "; no user affected"
	}
	return out
}

// needsYou tells whether something is held until a person decides, or takes the step for
// which it waits.
func (w row) needsYou() bool {
	return w.rank <= rankNeeds || w.rank == rankWaits && slices.ContainsFunc(w.changes, func(c Change) bool {
		return c.Guard == plan.GuardSetup && strings.Contains(c.GateReason, ", your turn")
	})
}

// missingScopes says what a run cannot do at all, for want of a right: it is read first.
func missingScopes(r Report) []string {
	means := map[string]string{
		"providers:read":   "nothing can be compared",
		"providers:write":  "nothing can be applied",
		"connections:read": "end users are not counted, so they are taken for some",
	}
	var out []string
	for _, e := range r.Environments {
		for _, scope := range e.MissingScopes {
			text := "The token of account " + clean(e.Account) + " lacks the scope " + clean(scope)
			if means[scope] != "" {
				text += ": " + means[scope]
			}
			out = append(out, text+".")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// totals counts over a whole run: connections, each by what is most urgent of it.
type totals struct {
	Summary
	applied, failed, unknown          int
	ready, waiting, blocked, approval int // that were not tried
	skipped, notAttempted             int
	tried                             bool
	errors                            int // environments, and the run itself
	failedIn                          []string
	mayHaveWritten                    bool
	affected                          string
}

func total(r Report) totals {
	var t totals
	if r.Error != "" {
		t.errors++
	}
	for _, e := range r.Environments {
		t.addEnvironment(e)
	}
	t.affected = affected(r)
	return t
}

func (t *totals) addEnvironment(e Environment) {
	if e.Error != "" || len(e.MayHaveWritten) > 0 {
		t.errors++
		t.failedIn = append(t.failedIn, middle(clean(e.Name), longestName))
	}
	t.mayHaveWritten = t.mayHaveWritten || len(e.MayHaveWritten) > 0
	t.Unchanged += e.Summary.Unchanged
	t.Unmanaged += len(unmanaged(e))
	t.NotCompared += len(e.NotCompared)
	lead := map[string]Change{}
	applied := map[string]bool{}
	for _, c := range e.Changes {
		t.Changes++
		t.tried = t.tried || c.Outcome != NotAttempted
		applied[c.Connection] = applied[c.Connection] || c.Outcome == Applied
		if first, ok := lead[c.Connection]; !ok || rankOf(c) < rankOf(first) {
			lead[c.Connection] = c
		}
	}
	for connection, c := range lead {
		if applied[connection] {
			t.applied++
		}
		t.count(c)
	}
}

// count adds a connection of which a change is the most urgent.
func (t *totals) count(c Change) {
	switch c.Outcome {
	case Applied:
		return // is counted beside what is left
	case Failed:
		t.failed++
		return
	case Unknown:
		t.unknown++
		return
	case NotAttempted:
		t.notAttempted++
		return
	case Waiting, Skipped:
	}
	switch {
	case c.Gate == plan.Blocked:
		t.blocked++
	case c.Gate == plan.Approval:
		t.approval++
	case c.Gate == plan.Waiting, c.Outcome == Waiting:
		t.waiting++
	case c.Outcome == Skipped:
		t.skipped++
	default:
		t.ready++
	}
}

// inSync reports whether everything was compared and nothing differs.
func (t totals) inSync() bool {
	return t.Changes == 0 && t.NotCompared == 0 && t.errors == 0
}

// certain reports whether the words "in sync" may stand anywhere in a rendering.
func (t totals) certain() bool { return t.NotCompared == 0 && t.errors == 0 }

// standings lists how many connections stand how, the worst first.
func (t totals) standings() string {
	var parts []string
	add := func(n int, words string) {
		switch {
		case n == 0:
		case len(parts) == 0:
			parts = append(parts, counted(n, "connection")+" "+words)
		default:
			parts = append(parts, number(n)+" "+words)
		}
	}
	add(t.failed, "FAILED")
	add(t.unknown, "UNKNOWN")
	add(t.applied, "applied")
	add(t.ready, "ready")
	if t.approval == 1 {
		add(t.approval, "needs approval")
	} else {
		add(t.approval, "need approval")
	}
	add(t.blocked, "blocked")
	add(t.waiting, "waiting")
	add(t.skipped, "skipped")
	add(t.notAttempted, notTried)
	return strings.Join(parts, ", ")
}

// verdict says in one line how a run ended, without what and when.
func (t totals) verdict() string {
	if t.inSync() {
		return "nothing to change, " + counted(t.Unchanged, "connection") + " in sync"
	}
	var parts []string
	if t.errors > 0 {
		parts = append(parts, counted(t.errors, "error")+t.where())
	}
	if t.Changes > 0 {
		parts = append(parts, t.standings())
	}
	if t.NotCompared > 0 {
		parts = append(parts, number(t.NotCompared)+" not compared")
	}
	if t.Unchanged > 0 && t.Changes == 0 {
		parts = append(parts, number(t.Unchanged)+" unchanged")
	}
	if t.Unmanaged > 0 {
		parts = append(parts, number(t.Unmanaged)+" not managed")
	}
	out := strings.Join(parts, ", ")
	if t.affected != "" {
		out += "; " + t.affected
	}
	return out
}

// where names the environments with errors, as many as a line has room for.
func (t totals) where() string {
	const shown = 3
	list := t.failedIn
	if len(list) > 0 && len(list) < t.errors {
		list = append([]string{"the run"}, list...)
	}
	switch {
	case len(list) == 0:
		return ""
	case len(list) > shown:
		return fmt.Sprintf(" (%s and %d more)", strings.Join(list[:shown], ", "), len(list)-shown)
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// occasion says what ran, on what, and for how long.
func occasion(r Report) string { return ran(r) + " in " + duration(r.DurationMS) }

// ran says what ran, and on what.
func ran(r Report) string {
	what := "Dry run"
	if r.Mode == Apply {
		what = "Apply"
	}
	return what + " of " + commitName(r.Commit)
}

// effect says what a person has to know about writes; "" when it goes without
// saying.
func (t totals) effect(m Mode) string {
	switch {
	case t.mayHaveWritten:
		return " The server may have written: look at Terra before anything else."
	case m != Apply && t.errors > 0 && t.Changes == 0:
		return " Nothing was written: for end users nothing changed."
	case m != Apply && !t.inSync(), t.Changes > 0 && !t.tried:
		return " Nothing was written."
	}
	return ""
}

// closing is the last sentence of a text, of what ran.
func closing(r Report, of string) string {
	t := total(r)
	return of + ": " + t.verdict() + "." + t.effect(r.Mode)
}
