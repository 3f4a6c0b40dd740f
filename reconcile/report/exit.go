package report

import "github.com/terra-reconcile/terra-reconcile/reconcile/plan"

// The exit codes of a run. [Exits] says what they mean.
const (
	ExitDone    = 0
	ExitError   = 1
	ExitChanges = 2
	ExitHeld    = 3
	ExitFailed  = 4
	ExitUsage   = 64 // the command's own: nothing ran
	ExitFault   = 70 // the command's own: the program is at fault
)

// Exit is an exit code of a run, and what it says in help and documents.
type Exit struct {
	Code int
	Says string
}

// Exits lists the exit codes of a run in the words of every text about them.
func Exits() []Exit {
	return []Exit{
		{ExitDone, "in sync, or everything due was applied (what waits for a time or a step is not due)"},
		{ExitError, "an error, and nothing was written"},
		{ExitChanges, "a dry run found a change, or could not compare something (`--exit-code simple`: 0)"},
		{ExitHeld, "nothing failed, but a guard or an approval holds something, or an apply left something for the next run or could not compare it"},
		{ExitFailed, "something failed, or is unknown after a write"},
		{ExitUsage, "wrong usage, and nothing was done"},
		{ExitFault, "a fault of this program; the history says what was written"},
	}
}

// ExitCode says with which code a run ends:
//
//	a change failed, or its outcome is unknown            4
//	a comparison may have written                         4
//	an error, or a due change that was never tried        4 when anything was written, else 1
//	dry run: any change, held or not, or not compared     2
//	apply: a change is blocked or needs approval          3
//	apply: a due change is left for the next run          3
//	apply: something was not compared                     3
//	otherwise, waiting for time included                  0
func ExitCode(r Report) int {
	var seen evidence
	seen.failed = r.Error != ""
	for _, e := range r.Environments {
		seen.add(r.Mode, e)
	}
	switch {
	case seen.broken, seen.failed && seen.wrote:
		return ExitFailed
	case seen.failed:
		return ExitError
	case r.Mode != Apply && (seen.changes || seen.notCompared):
		return ExitChanges
	case r.Mode == Apply && (seen.held || seen.notCompared):
		return ExitHeld
	}
	return ExitDone
}

// Simple is ExitCode for scripts that take any other code than 0 for a failure:
// a dry run that found changes is 0 as well.
func Simple(code int) int {
	if code == ExitChanges {
		return ExitDone
	}
	return code
}

type evidence struct {
	broken      bool // a change failed or its outcome is unknown
	failed      bool // an error, or a due change that was never tried
	wrote       bool
	changes     bool
	held        bool
	notCompared bool
}

func (v *evidence) add(mode Mode, e Environment) {
	v.failed = v.failed || e.Error != ""
	v.broken = v.broken || len(e.MayHaveWritten) > 0
	v.changes = v.changes || len(e.Changes) > 0
	v.notCompared = v.notCompared || len(e.NotCompared) > 0
	behind := map[string]bool{} // connections with a step that waits
	for _, c := range e.Changes {
		switch c.Outcome {
		case Applied:
			v.wrote = true
			continue
		case Failed, Unknown:
			v.broken = true
			continue
		case Waiting, Skipped, NotAttempted:
		}
		switch c.Gate {
		case plan.Blocked, plan.Approval:
			v.held = true
		case plan.Ready:
			behind[c.Connection] = behind[c.Connection] || c.Outcome == Waiting
			untried := c.Outcome == NotAttempted || c.Outcome == ""
			v.held = v.held || behind[c.Connection]
			v.failed = v.failed || mode == Apply && untried && !behind[c.Connection]
		case plan.Waiting:
		}
	}
}
