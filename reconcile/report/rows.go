package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

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
	then       plan.Gate // its gate once the pause or suspend that holds it is over; "" for no such
	changes    []Change
	next       []plan.Remediation // the choices that a person has
}

// rank says how urgently a person should read a row.
type rank int

const (
	rankFailed   rank = iota
	rankTold          // an event that a person should hear of
	rankApproval      // a person must decide
	rankBlocked       // something else has to change first
	rankReady         // it happens, or happened
	rankWaits         // for a time or a step
)

// needs tells whether rows of this rank need a person.
func (k rank) needs() bool { return k <= rankBlocked }

// rows gives the connections of an environment of which there is something to say, in
// the order in which a person has to read them: by rank, and within it the one first that
// harms most.
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
		out = append(out, row{name: short(event.Connection, e.Name), rank: rankTold, sign: "!", what: strings.ReplaceAll(string(event.Kind), "-", " ") + ": " + text,
			stands: string(event.Kind), class: plan.Safe, next: event.Remediations})
	}
	for _, k := range e.Keys {
		if k.Next == 0 {
			continue
		}
		coming := "the first run from " + k.NextAt.UTC().Format("2 Jan 2006 15:04 UTC") + " sets " + keyName(k.Next)
		if i := slices.IndexFunc(out, func(w row) bool { return w.name == short(k.Connection, e.Name) }); i >= 0 {
			out[i].also = strings.TrimPrefix(out[i].also+"; "+coming, "; ")
			continue
		}
		if k.NextOrigin != "" {
			coming += " (" + clean(k.NextOrigin) + ")"
		}
		coming += "; no user has to reconnect"
		out = append(out, row{name: short(k.Connection, e.Name), rank: rankWaits, sign: "·", what: coming, stands: string(plan.Waiting), class: plan.Safe})
	}
	slices.SortStableFunc(out, func(a, b row) int { return cmp.Or(cmp.Compare(a.rank, b.rank), moreHarm(a, b)) })
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
	case c.Gate == plan.Approval:
		return rankApproval
	case c.Gate == plan.Blocked:
		return rankBlocked
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
	if lead.Guard == plan.GuardPause || lead.Guard == plan.GuardSuspend {
		gates := []plan.Gate{plan.Ready, plan.Waiting, plan.Approval, plan.Blocked}
		most := 0
		for _, c := range w.changes {
			most = max(most, slices.Index(gates, c.Then))
		}
		w.then = gates[most]
	}
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
				if !slices.ContainsFunc(w.next, func(m plan.Remediation) bool { return sameRemediation(n, m) }) {
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
	if w.impact != "" && slices.ContainsFunc(same, losesSecret) {
		w.impact = ifReplaced + w.impact
	}
	for _, c := range w.changes {
		if rankOf(c) == w.rank {
			w.reason = cmp.Or(w.reason, reasonOf(c))
		}
	}
	w.sign = map[rank]string{rankFailed: "x", rankApproval: "!", rankBlocked: "!", rankWaits: "·"}[w.rank]
	if w.sign == "" {
		w.sign = symbol(lead.Action)
	}
}

// ifReplaced stands before what is no harm where the live secret is kept.
const ifReplaced = "if replaced, "

// guard is what holds a row, "" for nothing.
func (w row) guard() string {
	for _, c := range w.changes {
		if rankOf(c) == w.rank && c.Guard != "" {
			return clean(c.Guard)
		}
	}
	return ""
}

func sameRemediation(a, b plan.Remediation) bool {
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
		stays, _, _ := strings.Cut(clean(c.GateReason), "; "+clean(c.GateBrief))
		return fmt.Sprintf("key %d is rejected; %s", keyOf(c), stays)
	}
	if len(c.Fields) == 0 {
		return words(string(c.Action))
	}
	if setOutOfBand(c) && len(c.Fields) == 1 {
		out := "client secret " + side(c.Fields[0].From) + " (set out of band)"
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
func losesSecret(c Change) bool {
	return setOutOfBand(c) || c.Guard == plan.GuardNoWayBack || c.Guard == plan.GuardConflict && c.Action != plan.SetCredentials && slices.ContainsFunc(c.Fields, ofPair)
}

// ofPair tells whether a field is the client id or secret.
func ofPair(f plan.FieldChange) bool {
	return f.Field == plan.FieldClientID || f.Field == plan.FieldClientSecret
}

// reasonOf is why a change is held, where the row does not say so anyway.
func reasonOf(c Change) string {
	switch {
	case c.Error != "":
		return clean(c.Error)
	case c.Outcome == Unknown:
		return "sent, and nobody could read back whether it took effect"
	case c.Gate == plan.Ready || c.Outcome == Applied || c.GateReason == plan.EnableFirst || c.Guard == "destructive" || setOutOfBand(c):
		return ""
	}
	return clean(cmp.Or(c.GateBrief, c.GateReason))
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
	var list []row
	for _, e := range r.Environments {
		for _, w := range rows(r, e) {
			w.changes = slices.DeleteFunc(slices.Clone(w.changes), func(c Change) bool {
				written := c.Outcome == Applied || c.Outcome == Failed || c.Outcome == Unknown
				return !written && r.Mode != DryRun
			})
			list = append(list, w)
		}
	}
	words := affectedBy(list)
	if words != "" && r.Mode == DryRun {
		words += " if applied"
	}
	return words
}

// affectedBy says how many end users some rows touch by what is not safe, "" for none.
func affectedBy(list []row) string {
	users, harms := plan.Users{Exact: true}, false
	for _, w := range list {
		harmful := slices.DeleteFunc(slices.Clone(w.changes), func(c Change) bool { return c.Class == plan.Safe })
		if len(harmful) == 0 {
			continue
		}
		harms = true
		if u := worstOf(harmful).ActiveUsers; u == nil {
			users.Exact = false
		} else {
			users.Count, users.Exact = users.Count+u.Count, users.Exact && u.Exact
		}
	}
	switch {
	case !harms || users.Count == 0 && users.Exact:
		return ""
	case users.Count == 0:
		return "an unknown number of users affected"
	}
	return usersWords(&users) + " affected"
}

// NoUsers is the impact of what could harm end users, where there are none.
const NoUsers = "no active users"

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
		return NoUsers
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

// moreHarm puts the row first that can harm more end users. What nobody counted may harm
// any number, unless it can harm none.
func moreHarm(a, b row) int {
	users := func(w row) int {
		if w.class == plan.Safe {
			return 0
		}
		if u := worstOf(w.changes).ActiveUsers; u != nil {
			return u.Count
		}
		return math.MaxInt
	}
	return cmp.Or(cmp.Compare(classRank(b.class), classRank(a.class)), cmp.Compare(users(b), users(a)))
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
