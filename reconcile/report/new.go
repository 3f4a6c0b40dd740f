package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// New starts the report of one run. commit is a hash, or "worktree" for files
// as they stand.
func New(mode Mode, commit string, started time.Time) Report {
	return Report{
		Schema: Schema, Mode: mode, Commit: commit, StartedAt: started.UTC(),
		Warnings: []string{}, Environments: []Environment{},
	}
}

// NewEnvironment reports a plan of which nothing has been applied yet. hash is
// the plan's own.
func NewEnvironment(p plan.Plan, hash string) Environment {
	changes := make([]Change, 0, len(p.Changes))
	for _, c := range p.Changes {
		changes = append(changes, Change{Change: c})
	}
	out := complete(Environment{
		Name: p.Environment, DevID: p.DevID, PlanHash: hash, Unmanaged: slices.Clone(p.Unmanaged),
		Summary: Summarise(p, changes), NotCompared: slices.Clone(p.NotCompared), Changes: changes,
	})
	out.Warn(p.Warnings...)
	return out
}

// FailedEnvironment reports an environment of which no plan could be made.
func FailedEnvironment(name, devID, problem string) Environment {
	return complete(Environment{Name: name, DevID: devID, Error: problem})
}

// Summarise counts what a plan found and what became of its changes.
func Summarise(p plan.Plan, changes []Change) Summary {
	s := count(changes)
	s.Unchanged, s.Unmanaged, s.NotCompared = p.Unchanged, len(p.Unmanaged), len(p.NotCompared)
	return s
}

func count(changes []Change) Summary {
	s := Summary{Changes: len(changes)}
	for _, c := range changes {
		if c.Gate != plan.Ready && c.Outcome != Applied {
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

// Finish sorts the environments by name, counts outcomes again, says how each plan
// is approved, and sets the duration and the exit code.
func (r *Report) Finish(ended time.Time) {
	r.DurationMS = max(0, ended.Sub(r.StartedAt).Milliseconds())
	slices.SortFunc(r.Environments, func(a, b Environment) int { return cmp.Compare(a.Name, b.Name) })
	for i := range r.Environments {
		e := &r.Environments[i]
		s := count(e.Changes)
		s.Unchanged, s.Unmanaged, s.NotCompared = e.Summary.Unchanged, len(e.Unmanaged), len(e.NotCompared)
		e.Summary = s
		e.ApproveWay, e.ApproveNext = approving(*r, *e)
	}
	r.ExitCode = ExitCode(*r)
}

// complete turns lists that are nil into empty ones, which JSON shows as [].
func complete(e Environment) Environment {
	e.Warnings = notNil(e.Warnings)
	e.WarningDetails = notNil(e.WarningDetails)
	e.Unmanaged = notNil(e.Unmanaged)
	e.NotCompared = notNil(e.NotCompared)
	e.MayHaveWritten = notNil(e.MayHaveWritten)
	e.Events = notNil(e.Events)
	e.Keys = notNil(e.Keys)
	e.Changes = slices.Clone(notNil(e.Changes))
	for i := range e.Changes {
		e.Changes[i].Fields = notNil(e.Changes[i].Fields)
	}
	return e
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
