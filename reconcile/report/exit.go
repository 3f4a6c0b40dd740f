package report

import (
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// Exit codes of a run.
const (
	ExitInSync  = 0  // in sync, or everything due was applied; waiting for time counts as that
	ExitError   = 1  // an error, and nothing was written
	ExitPending = 2  // a dry run found a change, or something it could not compare
	ExitHeld    = 3  // a guard or an approval holds something, or an apply could not compare something; nothing failed
	ExitFailed  = 4  // something failed or is unknown after a write
	ExitUsage   = 64 // the command line was not understood
)

// Finish closes a report at a time: duration and exit code.
func (r *Report) Finish(now time.Time) {
	r.DurationMS = now.Sub(r.StartedAt).Milliseconds()
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
	if r.Environments == nil {
		r.Environments = []Environment{}
	}
	r.ExitCode = ExitCode(*r)
}

// Summarise counts a plan and its changes.
func Summarise(p plan.Plan, changes []Change) Summary {
	s := Summary{Unchanged: p.Unchanged, Changes: len(changes), Unmanaged: len(p.Unmanaged), NotCompared: len(p.NotCompared)}
	for _, c := range changes {
		if c.Gate != plan.Ready {
			s.Gated++
		}
		switch c.Outcome {
		case Applied:
			s.Applied++
		case Failed:
			s.Failed++
		case Unknown:
			s.Unknown++
		case Waiting, Skipped, NotAttempted:
		}
	}
	return s
}

// ExitCode is the exit code of a run, from what the report says.
func ExitCode(r Report) int {
	var failedRead, wrote, failed, held, pending bool
	failedRead = r.Error != ""
	for _, env := range r.Environments {
		failedRead = failedRead || env.Error != ""
		wrote = wrote || len(env.MayHaveWritten) > 0
		pending = pending || len(env.Changes)+len(env.NotCompared) > 0
		held = held || len(env.NotCompared) > 0
		for _, c := range env.Changes {
			held = held || c.Gate == plan.Blocked || c.Gate == plan.Approval
			wrote = wrote || c.Outcome == Applied || c.Outcome == Failed || c.Outcome == Unknown
			failed = failed || c.Outcome == Failed || c.Outcome == Unknown || c.Outcome == NotAttempted
		}
		failed = failed || len(env.MayHaveWritten) > 0
	}
	switch {
	case failed || failedRead && wrote:
		return ExitFailed
	case failedRead:
		return ExitError
	case r.Mode == DryRun && pending:
		return ExitPending
	case r.Mode == Apply && held:
		return ExitHeld
	default:
		return ExitInSync
	}
}

// Simple is the exit code for scripts that take any code but 0 for a failure:
// pending changes of a dry run are 0.
func Simple(code int) int {
	if code == ExitPending {
		return ExitInSync
	}
	return code
}
