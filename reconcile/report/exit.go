package report

import "github.com/terra-reconcile/terra-reconcile/reconcile/plan"

// The exit codes of a run. 64, wrong usage, is the command's own.
const (
	ExitDone    = 0 // in sync, or everything that is due was applied
	ExitError   = 1 // an error, and nothing was written
	ExitChanges = 2 // a dry run found a change, or something was not compared
	ExitHeld    = 3 // a guard or an approval holds something, or something was not compared
	ExitFailed  = 4 // something failed or is unknown, or an error after a write
)

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
