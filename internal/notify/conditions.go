package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Lasting is something that lasts now. Its key tells it from others of its source, and is
// the same as long as it is the same.
type Lasting struct {
	Key string
	// GoesOn says that it lasts where people know of it, and that else another condition tells
	// of it: it does not begin.
	GoesOn bool
	state.Condition
}

// faultIn finds that nothing of an environment is done because of what its commit asks for.
// known is false where the run does not tell.
func faultIn(e report.Environment, next string) (out []Lasting, known bool) {
	if !e.CommitAtFault {
		return nil, e.Error == "" && e.PlanHash != ""
	}
	return []Lasting{{Key: "commit", Condition: state.Condition{Event: string(report.EventEnvironmentInvalid), Environment: e.Name, DevID: e.DevID,
		Text: e.Name + ": " + e.Error, Command: cmp.Or(commandOf(e.Remediations), next)}}}, true
}

// lastingIn finds what lasts in an environment after a run, before which some conditions
// lasted. known is false where the run does not tell: then nothing has begun, and nothing
// has ended. unsure are connections of which that is so.
func lastingIn(e report.Environment, before map[string]state.Condition) (out []Lasting, unsure map[string]bool, known bool) {
	if e.Error != "" || e.PlanHash == "" {
		return nil, nil, false
	}
	add := func(event report.EventKind, connection, extra string, c state.Condition) {
		c.Event, c.Environment, c.DevID, c.Connection = string(event), e.Name, e.DevID, connection
		out = append(out, Lasting{Key: string(event) + " " + connection + extra, Condition: c})
	}
	for _, c := range e.Changes {
		if c.Outcome == report.Applied {
			continue
		}
		if leavesForeign(e, c, before) {
			text, command := foreignText(e, c)
			add(report.KeyOutOfBandEvent, c.Connection, "", state.Condition{Change: c.ID, Since: c.GatedSince, Text: text, Command: command})
			continue // that is all there is to say of this change
		}
		if c.Cause == plan.Drift {
			add(report.EventDrift, c.Connection, "", state.Condition{Change: c.ID, Since: c.DriftSince, Text: driftText(c), Command: commandOf(c.Remediations)})
		}
		if needsPerson(c) {
			add(report.EventHeld, c.Connection, " "+c.Guard, state.Condition{Change: c.ID, About: fmt.Sprintf("%s, guard %s", c.Action, c.Guard), Since: c.GatedSince, Text: heldText(c), Command: howToApprove(e, c)})
		}
	}
	for _, event := range e.Events {
		if event.Kind == report.RolledBack {
			continue // the history has it, once
		}
		kind, extra := event.Kind, ""
		i := slices.IndexFunc(e.Changes, func(c report.Change) bool { return c.ID == event.Change })
		if kind == report.Stuck && i >= 0 {
			extra = " " + e.Changes[i].Guard
			if e.Changes[i].Guard == plan.GuardSetup {
				kind = report.EventSetupOverdue
			}
		}
		text, command := event.Text, commandOf(event.Remediations)
		if kind == report.Conflict && i >= 0 {
			text, command = heldText(e.Changes[i]), howToApprove(e, e.Changes[i])
		}
		add(kind, event.Connection, extra, state.Condition{Change: event.Change, Since: event.Since, Text: text, Command: command})
	}
	out = append(out, stillHeld(e, before, out)...)
	out = slices.DeleteFunc(slices.Clone(out), func(f Lasting) bool {
		return slices.ContainsFunc(out, func(o Lasting) bool { return replaces(o.Condition, f.Condition) })
	})
	for _, k := range e.Keys {
		switch k.State {
		case keys.Expiring:
			add(report.EventKeyDueSoon, k.Connection, "", state.Condition{Text: k.Connection + ": " + k.Text, Command: commandOf(k.Remediations)})
		case keys.Soaking:
			add(report.EventKeySoaking, k.Connection, fmt.Sprintf(" %d", k.Live), state.Condition{About: fmt.Sprintf("key %d", k.Live), Since: k.SoakStartedAt,
				Text: fmt.Sprintf("%s: key %d is live and soaks until %s", k.Connection, k.Live, k.SoakEndsAt.UTC().Format("2006-01-02 15:04 UTC"))})
		}
	}
	unsure = map[string]bool{}
	for _, n := range e.NotCompared {
		unsure[n.Connection] = true
	}
	return out, unsure, true
}

// leavesForeign tells whether a change that is not applied would replace keys that somebody
// set out of band, and so whether these are live. That is what a run saw at Terra: neither an
// approval nor a window that it waits for makes them those of the file.
func leavesForeign(e report.Environment, c report.Change, before map[string]state.Condition) bool {
	isForeign := false
	for _, f := range c.Fields {
		isForeign = isForeign || f.Field == plan.FieldClientID && c.Cause == plan.Drift ||
			f.Field == plan.FieldClientSecret && (c.Cause == plan.Drift || f.From.Key == 0)
	}
	if !isForeign || c.Action == plan.SetCredentials || c.ShowsRejected() {
		return false
	}
	isHeld := func(h plan.Hold) bool { return h.Guard == plan.GuardSecretDrift }
	isSaid := func(event report.Event) bool {
		return event.Kind == report.KeyOutOfBandEvent && event.Connection == c.Connection
	}
	_, wasForeign := before[string(report.KeyOutOfBandEvent)+" "+c.Connection]
	return wasForeign || c.Guard == plan.GuardSecretDrift || slices.ContainsFunc(c.Holds, isHeld) || slices.ContainsFunc(e.Events, isSaid)
}

// foreignText says of keys that were set out of band how to keep them and how to replace
// them, and gives the command that keeps them, "" where no one command does.
func foreignText(e report.Environment, c report.Change) (text, command string) {
	var ways []plan.Remediation
	for _, h := range c.Holds {
		if keepsKeys(h.Guard) {
			ways = h.Remediations
		}
	}
	if keepsKeys(c.Guard) {
		ways = c.Remediations
	}
	text = folded(c.Connection + ": somebody set keys out of band, perhaps in an emergency, and they are live")
	because, keep, replace := "", "", ""
	switch {
	case c.Gate == plan.Ready:
		because = "; the change that replaces them is let go, and not applied yet"
	case c.Guard != plan.GuardSecretDrift:
		because = folded(fmt.Sprintf("; the change that replaces them is held by guard %s: %s", c.Guard, c.GateReason))
	}
	if len(ways) > 0 {
		keep = folded("; " + keepWords(ways[0]))
		command = commandOf(ways[:1])
	}
	if by := approvalOf(e, c.Connection); by != "" {
		replace = folded("; or replace them by those of the file: " + by)
	}
	size := func(s string) int { return len([]rune(s)) }
	if size(text+keep+replace) > longestText { // no command is cut: the last is left out whole
		replace = ""
	}
	if size(text+keep) > longestText {
		keep = ""
	}
	return text + cut(because, longestText-size(text+keep+replace)) + keep + replace, command
}

// keepsKeys tells whether the first way that a guard names for keys that were set out of band
// is to keep them.
func keepsKeys(guard string) bool {
	return guard == plan.GuardSecretDrift || guard == plan.GuardConflict
}

// keepWords is a way to keep what is live.
func keepWords(r plan.Remediation) string {
	words := report.Words([]plan.Remediation{r})
	if strings.HasPrefix(words, "keep ") {
		return words
	}
	return "keep them: " + words
}

// stillHeld finds what was held before, by a conflict too, is neither applied nor gone, and
// waits for no person any more: somebody approved it, and it waits for a window, or for the next run.
func stillHeld(e report.Environment, before map[string]state.Condition, now []Lasting) (out []Lasting) {
	for _, key := range slices.Sorted(maps.Keys(before)) {
		was := before[key]
		if was.Event != string(report.EventHeld) && was.Event != string(report.Conflict) || slices.ContainsFunc(now, func(f Lasting) bool { return same(f.Condition, was) || replaces(f.Condition, was) }) {
			continue
		}
		i := slices.IndexFunc(e.Changes, func(c report.Change) bool {
			ends := c.Outcome == report.Applied || c.Gate == plan.Ready && c.Outcome == "" // nothing holds it, and nobody was to apply it
			return c.Connection == was.Connection && (was.Change == "" || c.ID == was.Change) && !ends && !c.ShowsRejected()
		})
		if i >= 0 {
			was.Text, was.Command = stillText(e.Changes[i]), ""
			out = append(out, Lasting{Key: key, Condition: was})
		}
	}
	return out
}

// replaces tells whether a condition says all that another one of the same change did.
func replaces(a, b state.Condition) bool {
	order := []report.EventKind{report.EventDrift, report.EventHeld, report.Conflict, report.KeyOutOfBandEvent}
	more, less := slices.Index(order, report.EventKind(a.Event)), slices.Index(order, report.EventKind(b.Event))
	says := less >= 0 && more > less && more >= slices.Index(order, report.Conflict)
	return says && a.Connection == b.Connection && (b.Change == "" || a.Change == b.Change)
}

func stillText(c report.Change) string {
	if c.Gate == plan.Ready {
		return fmt.Sprintf("%s: %s is let go, and not applied yet", c.Connection, c.Action)
	}
	return fmt.Sprintf("%s: %s is not applied yet, guard %s: %s", c.Connection, c.Action, c.Guard, c.GateReason)
}

// needsPerson tells whether a change is held until a person does something about it. Who
// pauses or suspends has said so already.
func needsPerson(c report.Change) bool {
	held := c.Gate == plan.Approval || c.Gate == plan.Blocked
	return held && c.Guard != plan.GuardPause && c.Guard != plan.GuardSuspend && !c.ShowsRejected()
}

func heldText(c report.Change) string {
	return fmt.Sprintf("%s: %s is held, guard %s: %s", c.Connection, c.Action, c.Guard, c.GateReason)
}

func driftText(c report.Change) string {
	return fmt.Sprintf("%s: %s", c.Connection, c.Reason)
}

// howToApprove is the command that approves a change, or another one that it waits for.
func howToApprove(e report.Environment, c report.Change) string {
	if command := approvalOf(e, c.Connection); command != "" && c.Gate == plan.Approval {
		return command
	}
	return commandOf(c.Remediations)
}

// approvalOf is the command that approves a connection, "" where none does.
func approvalOf(e report.Environment, connection string) string {
	for _, one := range e.Connections {
		if one.Name == connection && one.Approval.Command != nil {
			return one.Approval.Command.String()
		}
	}
	return ""
}

func commandOf(list []plan.Remediation) string {
	for _, r := range list {
		if r.Command != nil {
			return r.Command.String()
		}
	}
	return ""
}

// howEnded says why something does not last any more after a run, "" where that is not known.
func howEnded(e report.Environment, was state.Condition) string {
	wasApplied := func(c report.Change) bool {
		return c.Outcome == report.Applied && c.Connection == was.Connection && c.ID == was.Change
	}
	if was.Change != "" && slices.ContainsFunc(e.Changes, wasApplied) {
		return "the change was applied"
	}
	i := slices.IndexFunc(e.Keys, func(k keys.Status) bool { return k.Connection == was.Connection })
	switch kind := report.EventKind(was.Event); {
	case (kind == report.EventHeld || kind == report.Conflict) && was.Change != "" && !slices.ContainsFunc(e.Changes, func(c report.Change) bool { return c.ID == was.Change }):
		return "the change is not in the plan any more"
	case i < 0 || e.Keys[i].Live == 0:
		return ""
	case kind == report.KeyOutOfBandEvent:
		return fmt.Sprintf("key %d of the file is live", e.Keys[i].Live)
	case kind == report.EventKeySoaking && was.About == fmt.Sprintf("key %d", e.Keys[i].Live):
		if e.Keys[i].SoakEndsAt.IsZero() {
			return was.About + " is live, and its soak is over"
		}
		return was.About + " is live, and its state is " + string(e.Keys[i].State)
	case kind == report.EventKeySoaking && was.About != "":
		return fmt.Sprintf("key %d is live in its place", e.Keys[i].Live)
	}
	return ""
}

// pieceOf is a condition that lasts as an event of a message.
func pieceOf(c state.Condition, phase Phase) piece {
	return piece{event: report.EventKind(c.Event), phase: phase, environment: c.Environment, devID: c.DevID, owner: c.Owner,
		Item: Item{Connection: c.Connection, Text: c.Text, Since: c.Since, Command: c.Command}}
}

// messageOf is what routes choose a condition by.
func messageOf(c state.Condition) Message {
	kind, _ := report.KindOf(report.EventKind(c.Event))
	return Message{Event: kind.Name, Severity: kind.Severity, Environment: clean(c.Environment), Owner: clean(c.Owner)}
}

// knowing are the receivers that were told that a condition lasts, nil where that is not known.
func knowing(c state.Condition) []string {
	if c.Receivers == nil {
		return nil
	}
	all := slices.AppendSeq(slices.Clone(c.Receivers), maps.Keys(c.Reminded))
	slices.Sort(all)
	return slices.Compact(all)
}

// endOf is a condition that has ended as an event of a message: what it was about, and how it
// ended where that is known, for those who know of it. What was said while it lasted is not true
// any more.
func endOf(c state.Condition, how string) piece {
	p := pieceOf(c, Ended)
	kind, _ := report.KindOf(p.event)
	p.Text, p.Command, p.among = cmp.Or(kind.Words, c.Event), "", knowing(c)
	if where := cmp.Or(c.Connection, c.Environment); where != "" {
		p.Text = where + ": " + p.Text
	}
	if c.About != "" {
		p.Text += " (" + c.About + ")"
	}
	if p.Text += "; this has ended"; how != "" {
		p.Text += ": " + how
	}
	return p
}

// goneOf is a condition of which nobody looks any more whether it lasts, and why.
func goneOf(c state.Condition, why string) piece {
	p := endOf(c, "")
	p.phase, p.Text = Gone, strings.TrimSuffix(p.Text, "; this has ended")+"; "+why
	return p
}

// same tells whether two conditions are of one kind, and of one connection or both of the
// newest commit: what is held by another guard goes on to be held, and a commit is refused
// after another one was.
func same(a, b state.Condition) bool {
	ofOne := a.Connection != "" && a.Connection == b.Connection || a.Event == string(report.EventCommitRefused)
	return a.Event == b.Event && ofOne
}
