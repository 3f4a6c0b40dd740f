package report

import (
	"fmt"
	"slices"
	"time"
)

// Holder says who else writes the state, which decides how a plan is approved.
type Holder string

// The holders. The zero value is nobody: the next run takes the state itself.
const (
	DaemonHolds  Holder = "daemon"
	LookerHolds  Holder = "daemon-only-looks" // apply: false, so it takes no approval
	RunHolds     Holder = "run"               // one that is no daemon, and ends
	UnknownHolds Holder = "unknown"           // the state is held, and nobody could be asked by whom
)

// ApprovalStanding says how a yes stands that somebody left with the daemon.
type ApprovalStanding string

// The standings. The zero value is that there is none.
const (
	ApprovalWaits   ApprovalStanding = "waits"    // given for this plan, and not used yet
	ApprovalEnded   ApprovalStanding = "ended"    // given for this plan, and ended unused
	ApprovalOfOther ApprovalStanding = "of-other" // given for another plan, and waits
)

// Approval says what a yes to a plan would let through, and what is remembered of one.
type Approval struct {
	Frees    int              `json:"frees"`                 // changes that an approval lets through
	FreesNow int              `json:"frees_now"`             // and one with --now, which waits for no window
	Opens    time.Time        `json:"window_opens,omitzero"` // where that makes a difference
	Standing ApprovalStanding `json:"standing"`              // of the yes that the following are about
	Hash     string           `json:"hash"`                  // of its plan
	Now      bool             `json:"now"`                   // it waits for no window
	Owner    string           `json:"owner"`
	At       time.Time        `json:"at,omitzero"`
	Until    time.Time        `json:"until,omitzero"`
	UsedAt   time.Time        `json:"used_at,omitzero"` // when an approval of this very plan last served
	UsedRun  string           `json:"used_run"`         // in which run
}

// approving says how the plan of an environment is approved: in one command, "" where
// there is none, and in words. Both are "" where an approval lets nothing through.
func approving(r Report, e Environment) (way, next string) {
	a := e.Approval
	if e.PlanHash == "" || a.FreesNow == 0 {
		return "", ""
	}
	wrote := func(c Change) bool { return c.Outcome == Applied || c.Outcome == Unknown }
	look := "`reconcile --dry-run --env " + e.Name + "`"
	switch {
	case slices.ContainsFunc(e.Changes, wrote):
		return "", "what is still held is another plan now; look at it, then approve it: " + look
	case r.StateHolder == LookerHolds:
		return "", "the daemon that holds the state only looks, so it takes no approval: write `apply: true` into its daemon.yaml, or stop it, then look again: " + look
	case r.StateHolder == RunHolds:
		return "", "a run is under way and holds the state; look again when it has ended: " + look
	case a.Standing == ApprovalWaits:
		return a.waiting(r, e)
	case !a.UsedAt.IsZero() && !byDaemon(r.StateHolder):
		return "", fmt.Sprintf("this plan was approved before, and that was used at %s; to do the same once more takes a new look%s: "+
			"`reconcile plan --env %s --out plan.json`, then `reconcile apply plan.json%s`", minute(a.UsedAt), a.rest(), e.Name, a.nowFlag())
	}
	way = a.command(r.StateHolder, e)
	return way, a.former(r.StateHolder) + a.rest() + ": " + way
}

// former says what is remembered, and leads up to the command that approves the plan.
func (a Approval) former(h Holder) string {
	switch {
	case !a.UsedAt.IsZero():
		return "this plan was approved before, and that was used at " + minute(a.UsedAt) + "; to approve it once more"
	case a.Standing == ApprovalEnded:
		return "this plan was approved by " + a.Owner + " at " + minute(a.At) + ", and that ended unused at " + minute(a.Until) + "; to approve it again"
	case a.Standing == ApprovalOfOther:
		return "another plan was approved by " + a.Owner + " at " + minute(a.At) + ", which the daemon's next run refuses; to approve this one instead"
	case h == UnknownHolds:
		return "the state is held, and who holds it does not answer; if that is a daemon, this approves this very plan"
	}
	return "to approve this very plan"
}

// waiting tells of a yes to this plan that has not served yet.
func (a Approval) waiting(r Report, e Environment) (way, next string) {
	next = "approved by " + a.Owner + " at " + minute(a.At)
	windowed := !a.Now && a.FreesNow > a.Frees
	switch {
	case windowed && a.Frees == 0 && a.Opens.IsZero():
		next += ", waits for a window"
	case windowed && a.Frees == 0:
		next += ", waits for the window that opens " + a.Opens.Format(openingForm)
	case r.StateHolder == DaemonHolds:
		next += ", waits for the daemon's next run; `reconcile now " + e.Name + "` makes it run at once"
	default:
		next += ", waits for the next run of a daemon"
	}
	next += "; unused it ends " + minute(a.Until)
	if windowed && a.Opens.After(a.Until) {
		next += ", before the window opens"
	}
	switch {
	case windowed:
		a.Frees = 0 // what is left to approve needs --now
		way = a.command(r.StateHolder, e)
		next += "; not to wait for the window: " + way
	case !byDaemon(r.StateHolder):
		way = a.command(r.StateHolder, e)
		next += "; without a daemon: " + way
	}
	return way, next
}

// command approves the plan, with --now where it would let nothing through without.
func (a Approval) command(h Holder, e Environment) string {
	if byDaemon(h) {
		return "`reconcile approve " + e.Name + " " + e.PlanHash + a.nowFlag() + "`"
	}
	return "`reconcile --approve " + e.Name + "=" + e.PlanHash + a.nowFlag() + "`"
}

func (a Approval) nowFlag() string {
	if a.Frees == 0 {
		return " --now"
	}
	return ""
}

// rest is about what waits for a window.
func (a Approval) rest() string {
	window := ""
	if !a.Opens.IsZero() {
		window = " that opens " + a.Opens.Format(openingForm)
	}
	switch left := a.FreesNow - a.Frees; {
	case left == 0:
		return ""
	case a.Frees == 0:
		return " (--now does not wait for the window" + window + ")"
	default:
		return " (" + counted(left, "change") + " more with --now, else in the window" + window + ")"
	}
}

// byDaemon tells whether the holder of the state is to be told: what may be a daemon
// counts, for a run cannot take the state from it.
func byDaemon(h Holder) bool { return h == DaemonHolds || h == UnknownHolds }

// openingForm is in the zone of the window.
const openingForm = "Mon 2 Jan 2006 15:04 MST"

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
