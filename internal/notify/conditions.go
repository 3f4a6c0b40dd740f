package notify

import (
	"fmt"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Lasting is something that lasts now. Its key tells it from others of its source, and is
// the same as long as it is the same.
type Lasting struct {
	Key string
	state.Condition
}

// lastingIn finds what lasts in an environment after a run. known is false where the run
// does not tell: then nothing has begun, and nothing has ended. unsure are connections of
// which that is so.
func lastingIn(e report.Environment) (out []Lasting, unsure map[string]bool, known bool) {
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
		if c.Cause == plan.Drift {
			add(report.EventDrift, c.Connection, "", state.Condition{Since: c.DriftSince, Text: driftText(c), Command: commandOf(c.Remediations)})
		}
		if needsPerson(c) {
			add(report.EventHeld, c.Connection, " "+c.Guard, state.Condition{Since: c.GatedSince, Text: heldText(c), Command: howToApprove(e, c)})
		}
	}
	for _, event := range e.Events {
		if event.Kind == report.RolledBack {
			continue // the history has it, once
		}
		kind, extra := event.Kind, ""
		if i := slices.IndexFunc(e.Changes, func(c report.Change) bool { return c.ID == event.Change }); kind == report.Stuck && i >= 0 {
			extra = " " + e.Changes[i].Guard
			if e.Changes[i].Guard == plan.GuardSetup {
				kind = report.EventSetupOverdue
			}
		}
		add(kind, event.Connection, extra, state.Condition{Since: event.Since, Text: event.Text, Command: commandOf(event.Remediations)})
	}
	for _, k := range e.Keys {
		switch k.State {
		case keys.Expiring:
			add(report.EventKeyDueSoon, k.Connection, "", state.Condition{Text: k.Connection + ": " + k.Text, Command: commandOf(k.Remediations)})
		case keys.Soaking:
			add(report.EventKeySoaking, k.Connection, fmt.Sprintf(" %d", k.Live), state.Condition{Since: k.SoakStartedAt,
				Text: fmt.Sprintf("%s: key %d is live and soaks until %s", k.Connection, k.Live, k.SoakEndsAt.UTC().Format("2006-01-02 15:04 UTC"))})
		}
	}
	unsure = map[string]bool{}
	for _, n := range e.NotCompared {
		unsure[n.Connection] = true
	}
	return out, unsure, true
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
	for _, one := range e.Connections {
		if one.Name == c.Connection && c.Gate == plan.Approval && one.Approval.Command != nil {
			return one.Approval.Command.String()
		}
	}
	return commandOf(c.Remediations)
}

func commandOf(list []plan.Remediation) string {
	for _, r := range list {
		if r.Command != nil {
			return r.Command.String()
		}
	}
	return ""
}

// pieceOf is a condition as an event of a message.
func pieceOf(c state.Condition, phase Phase) piece {
	return piece{event: report.EventKind(c.Event), phase: phase, environment: c.Environment, devID: c.DevID, owner: c.Owner,
		Item: Item{Connection: c.Connection, Text: c.Text, Since: c.Since, Command: c.Command}}
}

// same tells whether two conditions are of one connection and kind: what is held by another
// guard goes on to be held.
func same(a, b state.Condition) bool {
	return a.Event == b.Event && a.Connection != "" && a.Connection == b.Connection
}
