package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// inOrder gives the changes of an environment as a person reads them: connections of
// which something failed, then those of which something happens or is ready, then
// those that are only held. Those of one connection stay together, and as they follow.
func inOrder(changes []Change) []Change {
	rank := map[string]int{}
	for _, c := range changes {
		n := 1
		switch {
		case c.Outcome == Failed || c.Outcome == Unknown:
			n = 0
		case c.Gate != plan.Ready && c.Outcome != Applied:
			n = 2
		}
		if before, known := rank[c.Connection]; !known || n < before {
			rank[c.Connection] = n
		}
	}
	out := slices.Clone(changes)
	slices.SortStableFunc(out, func(a, b Change) int { return cmp.Compare(rank[a.Connection], rank[b.Connection]) })
	return out
}

// heldBy is the reason of a gate with the guard that closed it.
func heldBy(c Change) string {
	reason := clean(c.GateReason)
	if c.Guard == "" || c.Gate == plan.Ready {
		return reason
	}
	if reason == "" {
		return "guard " + clean(c.Guard)
	}
	return reason + " (guard " + clean(c.Guard) + ")"
}

// skipped is what was not compared for one reason, and why.
type skipped struct{ what, why string }

// notCompared tells once of all that was not compared for the same reason.
func notCompared(e Environment) []skipped {
	at := map[plan.NotCompared]int{} // by field and reason
	var names [][]string
	var out []skipped
	for _, n := range e.NotCompared {
		name, field := short(n.Connection, e.Name), clean(n.Field)
		n.Connection = ""
		i, known := at[n]
		if !known {
			i = len(out)
			at[n], names = i, append(names, nil)
			why := clean(n.Reason)
			if field != "" {
				why = field + ": " + why
			}
			out = append(out, skipped{name, why})
		}
		names[i] = append(names[i], name)
	}
	for i, list := range names {
		if len(list) > 1 {
			out[i].what = counted(len(list), "connection")
			out[i].why += ": " + strings.Join(list, ", ")
		}
	}
	return out
}

// hold is a guard that holds changes of an environment, and the way through.
type hold struct {
	Guard string
	Count int
	Way   string
}

// askWords lead up to the command that asks a provider about a pair.
const askWords = "see whether the provider accepts the pair, which is then not held: "

func holds(e Environment) []hold {
	var out []hold
	add := func(guard, way string) {
		at := slices.IndexFunc(out, func(h hold) bool { return h.Guard == guard && h.Way == way })
		if at < 0 {
			out = append(out, hold{Guard: guard, Way: way})
			at = len(out) - 1
		}
		out[at].Count++
	}
	for _, c := range inOrder(e.Changes) {
		if c.Gate != plan.Ready && c.Guard != "" && c.Outcome != Applied {
			add(c.Guard, clean(c.GateWay))
		}
	}
	for _, c := range e.Changes {
		if c.AskWay != "" && c.Outcome != Applied {
			add("ask", askWords+clean(c.AskWay))
		}
	}
	return out
}
