package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// LockOwner says who else writes the state, which decides how a plan is approved.
type LockOwner string

// The owners. The zero value is nobody: the next run takes the lock itself.
const (
	LockedByDaemon   LockOwner = "daemon"
	LockedByObserver LockOwner = "daemon-observe-only" // apply: false, so it takes no approval
	LockedByRun      LockOwner = "run"                 // one that is no daemon, and ends
	LockedByUnknown  LockOwner = "unknown"             // nobody could be asked by whom
)

// ApprovalState says where the approval of a plan stands.
type ApprovalState string

// The states. The engine sets those about an approval that it remembers, and
// [Report.Finish] the others.
const (
	ApprovalNone       ApprovalState = "none"       // there is nothing that it would release
	ApprovalRequired   ApprovalState = "required"   // and nobody gave it
	ApprovalPending    ApprovalState = "pending"    // given for this plan with the daemon, and not used yet
	ApprovalExpired    ApprovalState = "expired"    // given for this plan, and it expired unused
	ApprovalSuperseded ApprovalState = "superseded" // given for another plan, and pending
	ApprovalUsed       ApprovalState = "used"       // given for this plan before, and used
)

// Approval says what approving a plan, or one connection of it, would release, what is
// remembered of an approval, and how to give one.
type Approval struct {
	State          ApprovalState      `json:"state"`
	Text           string             `json:"text"`                  // what there is to know before approving; "" for nothing
	Command        plan.Command       `json:"command"`               // approves this very plan; "" where no one command does
	Remediations   []plan.Remediation `json:"remediations"`          // what to do beside it, or in its place
	Releases       int                `json:"releases"`              // changes that an approval releases
	ReleasesNow    int                `json:"releases_now"`          // and one with --now, which ignores windows
	Leaves         []string           `json:"leaves"`                // connections that it never covers: each is approved alone
	WindowOpens    time.Time          `json:"window_opens,omitzero"` // where that makes a difference
	Required       int                `json:"required"`              // people who must approve
	Digits         int                `json:"digits,omitzero"`       // of the hash that the runner asks for; absent: 8
	Hash           string             `json:"hash"`                  // of the approved plan
	IgnoresWindows bool               `json:"ignores_windows"`       // given with --now
	By             []string           `json:"by"`
	GivenAt        time.Time          `json:"given_at,omitzero"`
	ExpiresAt      time.Time          `json:"expires_at,omitzero"`
	UsedAt         time.Time          `json:"used_at,omitzero"` // when an approval of this very plan was last used
	UsedRun        string             `json:"used_run"`         // in which run
}

func (a Approval) complete() Approval {
	a.Remediations, a.Leaves, a.By = notNil(a.Remediations), notNil(a.Leaves), notNil(a.By)
	return a
}

// NotUsed is why a daemon does not use a commit.
type NotUsed string

// NotSigned: its signature, or that of one that came with it, does not count. NotFollowed: it
// is of another ref, folder or repository than the daemon's.
const (
	NotSigned   NotUsed = "not-signed"
	NotFollowed NotUsed = "not-followed"
)

// next is what a person does so that the commit is used.
func (n NotUsed) next() string {
	if n == NotSigned {
		return "have it signed by somebody who may, then approve what the daemon holds"
	}
	return "bring it to what the daemon follows, then approve what the daemon holds"
}

// approvals completes what is known of the approvals of an environment with their states
// and with how to give them, also beside the changes that they are about.
func (e *Environment) approvals(r Report) {
	e.Approval = e.approval(r, e.Name, e.PlanHash, e.Approval)
	commands := map[string]plan.Command{}
	for i := range e.Connections {
		c := &e.Connections[i]
		c.Approval = e.approval(r, c.Name, c.PlanHash, c.Approval)
		commands[c.Name] = c.Approval.Command
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		for j := range c.Remediations {
			if n := &c.Remediations[j]; n.Kind == plan.ByApproval {
				n.Command = commands[c.Connection]
			}
		}
	}
}

// approval completes one, of what a command calls target.
func (e *Environment) approval(r Report, target, hash string, a Approval) Approval {
	a.Text, a.Command, a.Remediations, a.Required = "", nil, []plan.Remediation{}, max(a.Required, 1)
	if hash == "" || a.ReleasesNow == 0 {
		a.State = ApprovalNone
		return a
	}
	what := "this plan"
	if target != e.Name {
		what = "this connection"
	}
	remembered := slices.Contains([]ApprovalState{ApprovalPending, ApprovalExpired, ApprovalSuperseded}, a.State)
	switch {
	case remembered:
	case !a.UsedAt.IsZero():
		a.State = ApprovalUsed
	default:
		a.State = ApprovalRequired
	}
	about := func(c Change) bool { return target == e.Name || c.Connection == target }
	elsewhere := slices.ContainsFunc(e.Changes, func(c Change) bool { return about(c) && isPromoted(c) })
	wrote := func(c Change) bool { return c.Outcome == Applied || c.Outcome == Unknown }
	look := func(kind plan.RemediationKind, text string) {
		a.Remediations = append(a.Remediations, plan.Remediation{Kind: kind, Text: text, Command: plan.Command{"--dry-run", "--env", e.Name}})
	}
	switch {
	case r.PreviewOf != "":
		a.Text = "this is a preview, so there is nothing to approve yet"
		a.Remediations = append(a.Remediations, plan.Remediation{Kind: plan.ByStep, Text: "merge it, then approve what the daemon holds"})
	case r.NotUsed != "":
		a.Text = "the daemon does not use this commit, so there is nothing to approve yet"
		a.Remediations = append(a.Remediations, plan.Remediation{Kind: plan.ByStep, Text: r.NotUsed.next()})
	case slices.ContainsFunc(e.Changes, func(c Change) bool { return wrote(c) && about(c) }):
		a.Text = "what is still held is another plan now"
		look(plan.ByCommand, "look at it, then approve it")
	case r.StateLock == LockedByObserver:
		a.Text = "the daemon that holds the state only observes, so it takes no approval"
		look(plan.ByRunner, "write apply: true into its daemon.yaml, or stop it, then look again")
	case r.StateLock == LockedByRun:
		a.Text = "a run is under way and holds the state"
		look(plan.ByWaiting, "look again when it has ended")
	case a.State == ApprovalPending:
		a.pending(r, e.Name, target, hash, elsewhere)
	case !a.UsedAt.IsZero() && !byDaemon(r.StateLock):
		a.Text = what + " was approved before, which was used " + minute(a.UsedAt) + a.rest(elsewhere)
		apply := plan.NextCommand("then apply that", "apply", "plan.json")
		if a.Releases == 0 {
			apply.Command = append(apply.Command, "--now")
		}
		again := plan.NextCommand("to do the same once more, look again", "plan", "--env", e.Name, "--out", "plan.json")
		if target != e.Name {
			again.Command = plan.Command{"plan", "--only", target, "--out", "plan.json"}
		}
		a.Remediations = append(a.Remediations, again, apply)
	default:
		a.Text, a.Command = a.former(r.StateLock, what)+a.rest(elsewhere), a.command(r.StateLock, target, hash)
		if a.Required > 1 {
			a.Text += fmt.Sprintf("; %d people must", a.Required)
		}
	}
	return a
}

// former says what is remembered, for whoever is about to approve the plan.
func (a Approval) former(l LockOwner, what string) string {
	by := strings.Join(a.By, ", ")
	switch {
	case !a.UsedAt.IsZero():
		return "approve it once more: it was approved before, which was used " + minute(a.UsedAt)
	case a.State == ApprovalExpired:
		return "approve it again: " + by + " did " + minute(a.GivenAt) + ", which expired unused " + minute(a.ExpiresAt)
	case a.State == ApprovalSuperseded:
		return "approve " + what + " instead: " + by + " approved another one " + minute(a.GivenAt) + ", which the daemon's next run refuses"
	case l == LockedByUnknown:
		return "approve " + what + ", if a daemon holds the state: whoever does does not answer"
	}
	return "approve " + what
}

// pending says how an approval of this plan that was not used yet stands.
func (a *Approval) pending(r Report, environment, target, hash string, elsewhere bool) {
	a.Text = "approved by " + strings.Join(a.By, ", ") + " " + minute(a.GivenAt)
	if missing := a.Required - len(a.By); missing > 0 {
		a.Text += "; " + counted(missing, "more person") + " must, until " + minute(a.ExpiresAt)
		a.Command = a.command(r.StateLock, target, hash)
		return
	}
	windowed := !a.IgnoresWindows && a.ReleasesNow > a.Releases
	switch {
	case windowed && a.Releases == 0 && !elsewhere && a.WindowOpens.IsZero():
		a.Text += ", waits for a window"
	case windowed && a.Releases == 0:
		a.Text += ", waits for " + a.forWhat(elsewhere)
	case r.StateLock == LockedByDaemon:
		a.Text += ", waits for the daemon's next run"
		a.Remediations = append(a.Remediations, plan.NextCommand("run at once", "now", environment))
	default:
		a.Text += ", waits for the next run of a daemon"
	}
	a.Text += "; unused it expires " + minute(a.ExpiresAt)
	if windowed && a.WindowOpens.After(a.ExpiresAt) {
		a.Text += ", before the window opens"
	}
	switch given := *a; {
	case windowed:
		given.Releases = 0 // what is left to approve needs --now
		a.Text += "; approve it with --now not to wait"
		a.Command = given.command(r.StateLock, target, hash)
	case !byDaemon(r.StateLock):
		a.Text += "; approve it here to do without a daemon"
		a.Command = a.command(r.StateLock, target, hash)
	}
}

// command approves the plan, with --now where it would release nothing without.
func (a Approval) command(l LockOwner, target, hash string) plan.Command {
	out := plan.Command{"--approve", target + "=" + hash}
	if byDaemon(l) || a.Required > 1 {
		out = plan.Command{"approve", target, hash}
	}
	if a.Releases == 0 {
		out = append(out, "--now")
	}
	return out
}

// forWhat is what --now does not wait for: a window, another environment, or both.
func (a Approval) forWhat(elsewhere bool) string {
	window := "the window"
	if !a.WindowOpens.IsZero() {
		window += " that opens " + a.WindowOpens.Format(openingForm)
	}
	switch {
	case !elsewhere:
		return window
	case a.WindowOpens.IsZero():
		return "another environment"
	}
	return "another environment and " + window
}

// rest is about what waits for a window, or for another environment.
func (a Approval) rest(elsewhere bool) string {
	what := a.forWhat(elsewhere)
	switch left := a.ReleasesNow - a.Releases; {
	case left == 0:
		return ""
	case a.Releases == 0:
		return " (--now does not wait for " + what + ")"
	case elsewhere:
		return " (" + counted(left, "change") + " more with --now, else after " + what + ")"
	default:
		return " (" + counted(left, "change") + " more with --now, else in " + what + ")"
	}
}

// isPromoted tells whether a change waits for another environment, beside whatever else
// holds it.
func isPromoted(c Change) bool {
	return c.Guard == plan.GuardPromotion || slices.ContainsFunc(c.Holds, func(h plan.Hold) bool { return h.Guard == plan.GuardPromotion })
}

// byDaemon tells whether whoever holds the state is to be asked: what may be a daemon
// counts, for a run cannot take the state from it.
func byDaemon(l LockOwner) bool { return l == LockedByDaemon || l == LockedByUnknown }

// openingForm is in the zone of the window.
const openingForm = "Mon 2 Jan 2006 15:04 MST"

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
