package web

import (
	"slices"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// A standing says in one word how a connection is.
type standing string

// The standings. [standings] has them in the order in which a person has to see to them.
const (
	failed      standing = "failed"
	approval    standing = "approval"
	drift       standing = "drift"
	blocked     standing = "blocked"
	key         standing = "key"
	waiting     standing = "waiting"
	pending     standing = "pending"
	notCompared standing = "not-compared"
	unknown     standing = "unknown"
	soaking     standing = "soaking"
	inSync      standing = "in-sync"
	disabled    standing = "disabled"
	unmanaged   standing = "unmanaged"
)

// look is how a standing is shown: by a sign, a word and a tone, never by one of them alone.
type look struct {
	Standing          standing
	Sign, Word, Means string
	Tone              string // bad, held, soft or good
	one, many         string // for a headline; "" where it is no news
}

// standings are all there are, the most urgent first.
func standings() []look {
	return []look{
		{failed, "✗", "failed", "a change failed, or may have been written", "bad", "1 failed", " failed"},
		{approval, "!", "needs approval", "a person has to decide about a change", "held", "1 needs approval", " need approval"},
		{drift, "≠", "drift", "somebody changed it at Terra", "held", "1 drifted", " drifted"},
		{blocked, "■", "blocked", "a guard holds a change; something else has to change first", "held", "1 blocked", " blocked"},
		{key, "◆", "key", "somebody has to see to its key", "held", "1 key to see to", " keys to see to"},
		{waiting, "…", "waiting", "a change waits for a time, a step or another environment", "soft", "1 waiting", " waiting"},
		{pending, "+", "to apply", "a change is ready, and not applied yet", "soft", "1 to apply", " to apply"},
		{notCompared, "?", "not compared", "part of it could not be compared, so nobody knows", "held", "1 not compared", " not compared"},
		{unknown, "○", "not known", "no run has looked at it, or the last one ended with an error", "soft", "1 not known", " not known"},
		{soaking, "◔", "soaking", "a new key is watched; it can be rolled back", "good", "", ""},
		{inSync, "✓", "in sync", "Terra has what its file asks for", "good", "", ""},
		{disabled, "□", "disabled", "the last run disabled it, because no file names it", "soft", "", ""},
		{unmanaged, "–", "not managed", "Terra has it, and no file names it", "soft", "", ""},
	}
}

func lookOf(s standing) look {
	all := standings()
	return all[slices.IndexFunc(all, func(l look) bool { return l.Standing == s })]
}

func urgency(s standing) int {
	return slices.IndexFunc(standings(), func(l look) bool { return l.Standing == s })
}

// environmentOf is what a report says of its one environment; known is false where that says
// nothing about connections.
func environmentOf(r report.Report, ran bool, name string) (e report.Environment, known bool) {
	i := slices.IndexFunc(r.Environments, func(e report.Environment) bool { return e.Name == name })
	if !ran || i < 0 {
		return report.Environment{}, false
	}
	return r.Environments[i], r.Error == "" && r.Environments[i].Error == ""
}

// standingOf judges one connection by what the last run of its environment said.
func standingOf(e report.Environment, known bool, connection, provider string) standing {
	if !known {
		return unknown
	}
	worst := inSync
	take := func(s standing) {
		if urgency(s) < urgency(worst) {
			worst = s
		}
	}
	for _, c := range e.Changes {
		if c.Connection != connection || c.Outcome == report.Applied {
			continue
		}
		switch {
		case c.Outcome == report.Failed || c.Outcome == report.Unknown:
			take(failed)
		case c.ShowsRejected():
			take(key)
		case c.Gate == plan.Approval:
			take(approval)
		case c.Cause == plan.Drift:
			take(drift)
		case c.Gate == plan.Blocked:
			take(blocked)
		case c.Gate == plan.Waiting:
			take(waiting)
		default:
			take(pending)
		}
	}
	for _, n := range e.NotCompared {
		if n.Connection == connection || n.Connection == "" {
			take(notCompared)
		}
	}
	for _, k := range e.Keys {
		switch {
		case k.Connection != connection:
		case k.Needs():
			take(key)
		case k.State == keys.Soaking:
			take(soaking)
		}
	}
	if worst == inSync && slices.Contains(e.Unmanaged, provider) {
		if slices.ContainsFunc(e.Changes, func(c report.Change) bool {
			return c.Connection == connection && c.Action == plan.Disable && c.Outcome == report.Applied
		}) {
			return disabled
		}
		return unmanaged
	}
	return worst
}

// headline says in a few words each what there is to see to, the most urgent first.
func headline(count map[standing]int) (parts []string) {
	for _, l := range standings() {
		switch n := count[l.Standing]; {
		case n == 0 || l.one == "":
		case n == 1:
			parts = append(parts, l.one)
		default:
			parts = append(parts, number(n)+l.many)
		}
	}
	return parts
}
