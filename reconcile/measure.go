package reconcile

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// measure counts the end users and asks the providers about the pairs on which a class
// depends, and plans with the answers. It gives the connections of which a key was
// rejected, or is not any more: another one is due then, which has to be looked at in
// turn.
func (env *environment) measure(ctx context.Context, which []*Connection) (turned []*Connection, err error) {
	if err := env.countUsers(ctx); err != nil {
		return nil, err
	}
	asks := slices.ContainsFunc(env.connections, func(c *Connection) bool { return c.Keys.Asks(env.input.Now) })
	if len(env.plan.Changes) == 0 && !asks { // depends on nobody's answer
		return nil, nil
	}
	for _, c := range which {
		c.doubt(env.input.Now)
	}
	env.input.Asks = env.o.Prober != nil && (env.request.Mode == report.Apply || env.request.Probe)
	env.judge()
	if !env.input.Asks {
		return nil, nil
	}
	if turned, err = env.askAbout(ctx, which); err != nil || len(turned) > 0 {
		return turned, err
	}
	env.warn(env.questions.warnings...)
	if env.request.Mode == report.Apply {
		for _, c := range env.named() { // rejections are stored before anything is written
			if err := env.saveHistory(c, c.Keys.History); err != nil {
				return nil, err
			}
		}
	}
	env.reviewKeys(which)
	env.makePlan()
	env.judge()
	return nil, ctx.Err()
}

// countUsers counts active end users: of several connections in one call, where that
// lists them all, else of each. A count that cannot be had is absent, which the plan
// treats as more than zero.
func (env *environment) countUsers(ctx context.Context) error {
	needed := plan.NeedsUsers(env.input, env.plan)
	var open []*Connection
	for _, c := range env.connections {
		if c.Users == nil && slices.Contains(needed, c.Provider) {
			open = append(open, c)
		}
	}
	if len(open) >= batchFrom {
		counts, whole, err := env.client.CountAllUsers(ctx, env.spec.DevID)
		for _, c := range open {
			if whole {
				c.Users = &plan.Users{Count: counts[c.Provider], Exact: true}
			}
		}
		if err != nil {
			env.uncounted(err.Error())
		}
		if whole || err != nil {
			return ctx.Err()
		}
	}
	var mu sync.Mutex
	var failures []string
	var group errgroup.Group
	group.SetLimit(readsAtOnce)
	for _, c := range open {
		group.Go(contained(func() error {
			count, exact, err := env.client.CountUsers(ctx, env.spec.DevID, c.Provider, usersCounted)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err.Error())
				return nil
			}
			c.Users = &plan.Users{Count: count, Exact: exact}
			return nil
		}))
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.Sort(failures)
	for _, text := range failures {
		env.uncounted(text)
	}
	return ctx.Err()
}

func (env *environment) uncounted(why string) {
	env.warn("end users are not counted, so they are taken for some: " + why)
}
