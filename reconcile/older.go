package reconcile

import (
	"fmt"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// lookBack finds out whether the branch went back to a commit that this environment
// followed before a newer one.
func (e *Engine) lookBack(r Run, env spec.Environment, p *prepared) (err error) {
	if p.newer, err = e.o.Store.NewerThan(env.DevID, r.Commit); err != nil || p.newer == "" {
		return err
	}
	p.input.OlderCommit = fmt.Sprintf("commit %s was followed before commit %s", abbreviated(r.Commit), abbreviated(p.newer))
	p.warnings = append(p.warnings, "the repository went back: "+p.input.OlderCommit+
		"; what could hurt waits for approval, until there is a commit that is new here")
	return nil
}

// followBack tells the history when a branch went back, and when it moved on.
func (f following) followBack(before *state.Back) (after *state.Back, entries []state.Entry) {
	if f.newer != "" {
		e := f.line(state.EventWentBack)
		e.Reason = "from " + f.newer
		after = &state.Back{Since: f.now.UTC(), Commit: e.Commit, Newer: f.newer}
		if before != nil && before.Commit == after.Commit && before.Newer == after.Newer {
			return before, nil
		}
		return after, []state.Entry{e}
	}
	if before != nil {
		e := f.line(state.EventWentBackEnd)
		e.Since, e.LastedMS = before.Since, f.now.Sub(before.Since).Milliseconds()
		entries = append(entries, e)
	}
	return nil, entries
}

func abbreviated(commit string) string { return commit[:min(12, len(commit))] }
