package reconcile

import (
	"fmt"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// elsewhere is what is known of an environment that changes wait for. Nothing is asked for
// it: what its own runs have seen counts.
type elsewhere struct {
	spec    spec.Environment
	memory  plan.Memory
	pauses  []plan.KillSwitch
	unknown string // why nothing counts
	unread  bool   // its files say nothing, either
	next    plan.Remediation
}

// lookElsewhere takes for each connection what is known of the one that its changes wait
// for.
func (env *environment) lookElsewhere() {
	found := map[string]elsewhere{}
	for _, c := range env.connections {
		after, ok := env.spec.AfterOf(c.Provider)
		if !ok {
			continue
		}
		name := after.Value.Environment
		there, looked := found[name]
		if !looked {
			there = env.elsewhere(name)
			found[name] = there
		}
		c.After = there.of(c.Provider, after, env.input.Now)
	}
}

// of is what is known there of one connection.
func (e elsewhere) of(provider string, after spec.Field[spec.After], now time.Time) *plan.After {
	out := &plan.After{Environment: after.Value.Environment, For: after.Value.For, Origin: at(after.Origin), Unknown: e.unknown, Unread: e.unread, Next: e.next,
		There: e.memory.Of(provider), Gone: e.memory.Gone[provider]}
	suspends := []*spec.Suspend{e.spec.Suspend}
	if i := slices.IndexFunc(e.spec.Connections, func(c spec.Connection) bool { return c.Provider == provider }); i >= 0 {
		wants := inTheClear(e.spec.Connections[i])
		out.Wants = &wants
		suspends = append(suspends, e.spec.Connections[i].Suspend)
	}
	for _, s := range suspends {
		if s != nil && now.Before(s.Until) && out.Unknown == "" {
			out.Unknown = fmt.Sprintf("it is suspended until %s (%s)", moment(s.Until), at(s.Origin))
		}
	}
	if pauses := plan.PausesOf(provider, e.pauses); len(pauses) > 0 && out.Unknown == "" {
		out.Unknown, out.Next = "it is paused, "+pauses.String(), pauses.Resume()[0]
	}
	return out
}

// elsewhere gathers what is known of another environment of the commit.
func (env *environment) elsewhere(name string) (out elsewhere) {
	store := env.o.Store
	unknown := func(format string, args ...any) elsewhere {
		out.unknown = fmt.Sprintf(format, args...)
		return out
	}
	i := slices.IndexFunc(env.request.Set.Environments, func(e spec.Environment) bool { return e.Name == name })
	if i < 0 {
		out.unread = true
		return unknown("the repository has no such environment")
	}
	out.spec = env.request.Set.Environments[i]
	if err := firstError(env.request.Problems, name); err != nil || out.spec.Invalid {
		out.next, out.unread = plan.NextCommand("list all errors", "validate"), true
		return unknown("its files have errors")
	}
	client, err := env.o.Client(out.spec.Account, out.spec.DevID)
	if err != nil {
		return unknown("%v", err)
	}
	id, known, err := store.Locate(client.Address(), out.spec.DevID)
	if err == nil && known {
		out.memory, err = store.Memory(id)
	}
	switch {
	case err != nil:
		return unknown("%v", err)
	case !out.memory.Known && store.Reason() != "":
		return unknown("this run has no state")
	case !out.memory.Known:
		return unknown("the state has no run of it")
	}
	refused, err := store.OpenEvents(state.Environment{DevID: out.spec.DevID})
	if err != nil {
		return unknown("%v", err)
	}
	if r := refused.Refused; r != nil {
		out.next = plan.NextCommand("see why", "history", "--env", name)
		return unknown("its runs fail since %s", moment(r.Since))
	}
	switches, err := store.KillSwitches(env.input.Now)
	if err != nil {
		return unknown("%v", err)
	}
	for _, s := range switches {
		if provider, holds := s.Holds(out.spec.Name, out.spec.DevID); holds {
			out.pauses = append(out.pauses, plan.KillSwitch{Provider: provider, Target: s.Target(), Reason: s.Reason, Owner: s.Owner, Until: s.Until})
		}
	}
	return out
}
