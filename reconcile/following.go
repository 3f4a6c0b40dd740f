package reconcile

import (
	"maps"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Why something ended that lasted.
const (
	noLongerWanted  = "no-longer-wanted"  // neither the repository nor Terra asks for the change any more
	noLongerHeld    = "no-longer-held"    // the change may be made
	reverted        = "reverted"          // written as the repository has it
	noLongerDrifts  = "no-longer-differs" // Terra and the repository agree again
	askedOtherwise  = "asked-otherwise"   // the repository asks for something new there
	appliedAfterAll = string(report.Applied)
)

// following is what one run saw of one environment.
type following struct {
	line        func(event string) state.Entry // a new line of history
	environment string
	devID       string
	now         time.Time
	changes     []report.Change // with their outcomes
	notCompared []plan.NotCompared
	newer       string // the commit from which the branch went back
}

func isHeld(c report.Change) bool { return c.Gate != plan.Ready && c.Outcome != report.Applied }

// unclear tells whether a connection was not wholly compared: what is not known
// has not ended.
func (f following) unclear(provider string) bool {
	return slices.ContainsFunc(f.notCompared, func(n plan.NotCompared) bool { return n.Connection == f.environment+"/"+provider })
}

func (f following) find(id string) (report.Change, bool) {
	i := slices.IndexFunc(f.changes, func(c report.Change) bool { return c.ID == id })
	if i < 0 {
		return report.Change{}, false
	}
	return f.changes[i], true
}

// follow says what lasts after this run, and what began, changed or ended in it.
func (f following) follow(before state.Ongoing) (state.Ongoing, []state.Entry) {
	after := state.Ongoing{Held: map[string]state.Hold{}, Drifts: map[string]state.Drift{}}
	var entries []state.Entry
	after.Back, entries = f.followBack(before.Back)
	entries = append(entries, f.followHolds(before.Held, after.Held)...)
	return after, append(entries, f.followDrifts(before.Drifts, after.Drifts)...)
}

func (f following) followHolds(before, after map[string]state.Hold) (entries []state.Entry) {
	for _, c := range f.changes {
		if !isHeld(c) {
			continue
		}
		hold := state.Hold{Since: f.now.UTC(), Provider: c.Provider, Action: string(c.Action), Gate: string(c.Gate), Guard: c.Guard,
			Content: plan.Hash(plan.Plan{DevID: f.devID, Changes: []plan.Change{c.Change}})}
		old, known := before[c.ID]
		if known {
			hold.Since = old.Since
		}
		after[c.ID] = hold
		if hold == old {
			continue
		}
		e := about(f.line(state.EventHeld), c.Change)
		if known {
			e.Event, e.Since = state.EventHeldChanged, old.Since
		}
		e.Gate, e.Guard, e.GateReason = c.Gate, c.Guard, c.GateReason
		entries = append(entries, e)
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		old := before[id]
		c, planned := f.find(id)
		switch _, goes := after[id]; {
		case goes:
			continue
		case !planned && f.unclear(old.Provider):
			after[id] = old
			continue
		}
		e := f.line(state.EventHeldEnded)
		e.Change, e.Provider, e.Connection, e.Action = id, old.Provider, f.environment+"/"+old.Provider, plan.Action(old.Action)
		e.Outcome = noLongerWanted
		if planned {
			e = about(e, c.Change)
			e.Outcome = noLongerHeld
		}
		if c.Outcome == report.Applied {
			e.Outcome = appliedAfterAll
		}
		e.Guard = old.Guard
		entries = append(entries, f.ended(e, old.Since))
	}
	return entries
}

func (f following) followDrifts(before, after map[string]state.Drift) (entries []state.Entry) {
	ended := map[string]state.Entry{}
	for _, c := range f.changes {
		for _, field := range c.Fields {
			key := c.Provider + "/" + field.Field
			old, known := before[key]
			if c.Cause != plan.Drift && !known {
				continue
			}
			d := state.Drift{Since: f.now.UTC(), Provider: c.Provider, Field: field.Field}
			if known {
				d.Since = old.Since
			}
			e := about(f.line(state.EventDriftEnded), c.Change)
			e.Fields = []plan.FieldChange{field}
			switch {
			case c.Outcome == report.Applied:
				e.Outcome = reverted
			case c.Cause != plan.Drift:
				e.Outcome = askedOtherwise
			default:
				after[key] = d
				continue
			}
			ended[key] = f.ended(e, d.Since)
		}
	}
	for key, old := range before {
		_, goes := after[key]
		_, told := ended[key]
		switch {
		case goes || told:
		case f.unclear(old.Provider):
			after[key] = old
		default:
			e := f.line(state.EventDriftEnded)
			e.Provider, e.Connection, e.Outcome = old.Provider, f.environment+"/"+old.Provider, noLongerDrifts
			e.Fields = []plan.FieldChange{{Field: old.Field}}
			ended[key] = f.ended(e, old.Since)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(ended)) {
		entries = append(entries, ended[key])
	}
	return entries
}

func (f following) ended(e state.Entry, since time.Time) state.Entry {
	e.Since, e.LastedMS = since, f.now.Sub(since).Milliseconds()
	return e
}
