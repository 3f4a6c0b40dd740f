package reconcile

import (
	"slices"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// makePlan plans all connections.
func (env *environment) makePlan() {
	env.join()
	env.setPlan(plan.Make(env.input))
}

// judge classifies and guards the plan by what was measured.
func (env *environment) judge() {
	env.join()
	env.setPlan(plan.Guard(env.input, plan.Classify(env.input, env.plan)))
}

// approve gates the plan by what a person consented to.
func (env *environment) approve(consent plan.Consent) {
	env.consent = consent
	env.setPlan(plan.Approve(env.input, env.plan, consent))
}

// join hands the plan what is known of each connection by now.
func (env *environment) join() {
	env.input.Connections = nil
	for _, c := range env.connections {
		env.input.Connections = append(env.input.Connections, c.Connection)
	}
}

// setPlan gives each connection its changes.
func (env *environment) setPlan(p plan.Plan) {
	env.plan = p
	env.out.Changes = make([]report.Change, len(p.Changes))
	for i, c := range p.Changes {
		env.out.Changes[i].Change = c
	}
	env.share()
}

// share gives each connection its part of the changes, which are sorted by connection.
func (env *environment) share() {
	all := env.out.Changes
	for _, c := range env.connections {
		first := slices.IndexFunc(all, func(change report.Change) bool { return change.Provider == c.Provider })
		if c.Changes = nil; first < 0 {
			continue
		}
		last := first
		for last < len(all) && all[last].Provider == c.Provider {
			last++
		}
		c.Changes = all[first:last:last]
	}
}
