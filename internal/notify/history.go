package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// sourceHistory is where conditions are from that the history begins and ends.
const sourceHistory = "history"

// learn takes lines of the history: what happened is told, what lasts begins or ends.
func (s *telling) learn(lines []state.Entry) {
	for _, e := range lines {
		p := piece{phase: Happened, environment: e.Environment, devID: e.DevID, commit: e.Commit, run: e.Run,
			Item: Item{Connection: e.Connection}}
		switch e.Event {
		case state.EventWrite:
			p.event, p.Text = writeEvent(e), writeText(e)
			if wentBack(e) {
				s.tell(p)
				p.event, p.Text = report.RolledBack, e.Connection+": "+e.Reason
			}
		case state.EventApproved:
			p.event, p.Text = report.EventApproved, cmp.Or(e.Connection, e.Environment)+": approved by "+strings.Join(e.ApprovedBy, ", ")
		case state.EventForgotten:
			p.event, p.Text = report.EventForgotten, e.Connection+": its memory was forgotten by "+e.Owner
		case state.EventForcedPush:
			p.event, p.Text = report.EventForcedPush, "the branch was forced, "+e.Reason
		case state.EventKeyDead:
			p.event, p.Text = report.EventKeyDead, e.Connection+": "+e.Reason
		case state.EventEnvironmentRefused:
			if e.Approval == "" {
				continue // what lasts is heard of from polls and runs
			}
			p.event, p.Text = report.EventApprovalRefused, cmp.Or(e.Connection, e.Environment)+": "+e.Error
		case state.EventDriftResolved:
			if s.drifts(e) {
				continue // it ends when the run is heard, or goes on in another field
			}
			p.event, p.phase, p.Since = report.EventDrift, Ended, e.Since
			p.Text = fmt.Sprintf("%s: %s was changed outside the repository; %s", e.Connection, fieldOf(e), endWords(e.Outcome))
		case state.EventRewound, state.EventRewoundResolved:
			c := state.Condition{Event: string(report.EventRewound), Environment: e.Environment, DevID: e.DevID, Since: e.At,
				Text: e.Environment + ": the branch was rewound, " + e.Reason}
			if e.Event == state.EventRewoundResolved {
				c.Text = "the branch moved on"
			}
			s.last(e.Event == state.EventRewound, "rewound "+e.DevID, c)
			continue
		case state.EventPause, state.EventResume:
			c := pauseOf(e)
			c.Command = s.command(plan.KillSwitch{Target: targetOf(e)}.Resume().Command...)
			s.last(e.Event == state.EventPause, "paused "+targetOf(e), c)
			continue
		default:
			continue
		}
		s.tell(p)
	}
}

// drifts tells whether people know that the connection of a line drifts.
func (s *telling) drifts(e state.Entry) bool {
	for _, conditions := range s.lasting {
		for _, c := range conditions {
			if c.Event == string(report.EventDrift) && c.Environment == e.Environment && c.Connection == e.Connection {
				return true
			}
		}
	}
	return false
}

// last begins or ends a condition of the history; the text of an end says how it ended. One
// that begins anew is another one.
func (s *telling) last(begins bool, key string, c state.Condition) {
	was, known := s.of(sourceHistory)[key]
	switch {
	case begins:
		s.begin(sourceHistory, key, c)
	case known:
		s.put(sourceHistory, key, nil)
		s.tell(endOf(was, c.Text))
	}
}

func targetOf(e state.Entry) string {
	return cmp.Or(e.Connection, strings.Trim(e.Environment+"/"+e.Provider, "/"))
}

func pauseOf(e state.Entry) state.Condition {
	target := cmp.Or(targetOf(e), "everything")
	c := state.Condition{Event: string(report.EventPaused), Environment: e.Environment, DevID: e.DevID, Connection: e.Connection, Since: e.At, Until: e.Until,
		Text: fmt.Sprintf("no change of %s until %s, by %s: %s", target, e.Until.UTC().Format("2006-01-02 15:04 UTC"), e.Owner, e.Reason)}
	if e.Event == state.EventResume {
		c.Text = fmt.Sprintf("changes of %s are let go by %s", target, e.Owner)
	}
	return c
}

func writeEvent(e state.Entry) report.EventKind {
	switch report.Outcome(e.Outcome) {
	case report.Applied:
		return report.EventApplied
	case report.Failed:
		return report.EventFailed
	case report.Unknown:
		return report.EventUnknown
	case report.Waiting, report.Skipped, report.NotAttempted:
	}
	return report.EventSettled
}

func writeText(e state.Entry) string {
	text := fmt.Sprintf("%s: %s %s", e.Connection, e.Action, e.Outcome)
	if e.Cause != "" {
		text += ", " + string(e.Cause)
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Error != "" {
		text += "; " + e.Error
	}
	return text
}

// wentBack tells whether a write put an older key in the place of a newer one.
func wentBack(e state.Entry) bool {
	return e.Outcome == string(report.Applied) && e.Action == plan.RotateSecret && slices.ContainsFunc(e.Fields, func(f plan.FieldChange) bool {
		return f.Field == plan.FieldClientSecret && f.To.Key > 0 && f.From.Key > f.To.Key
	})
}

func fieldOf(e state.Entry) string {
	if len(e.Fields) == 0 {
		return "a field"
	}
	return e.Fields[0].Field
}

func endWords(outcome string) string {
	switch outcome {
	case "reverted":
		return "it was put back"
	case "no-longer-differs":
		return "it agrees again"
	case "asked-otherwise":
		return "the repository asks for something new"
	}
	return outcome
}
