package reconcile

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// read asks Terra at once what depends on no other answer: the list of sources, what
// it offers, how the token stands, and what the files manage of connections that were
// live before. A failed list is an error, as is one that holds a source twice; the
// client refuses that.
func (env *environment) read(ctx context.Context) error {
	token := env.beginToken(ctx)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	group.Go(contained(func() (err error) {
		env.sources, err = env.liveSources(groupCtx)
		return err
	}))
	group.Go(contained(func() error {
		env.readTypes(groupCtx)
		return nil
	}))
	for _, c := range env.named() {
		if c.wasLive() && c.isCompared() {
			group.Go(contained(func() error { return env.readConnection(groupCtx, c) }))
		}
	}
	err := group.Wait()
	token(err == nil)
	if err == nil {
		err = env.settleAccount(ctx)
	}
	env.questions = env.newQuestions()
	return err
}

// observe joins what Terra answered with each connection, reads those that are live and
// were not read so far, and compares their secrets. A failed read of one connection marks only
// it; only an answer that may have been a write, or the end of the context, is an error.
func (env *environment) observe(ctx context.Context, which []*Connection) error {
	for slug, s := range env.sources {
		if c := env.add(slug); c.Observed == nil {
			c.source, c.Observed = s, &plan.Observed{Active: s.Active, Variant: s.AuthVariant}
		}
	}
	if env.types != nil {
		for _, c := range env.connections {
			t, offered := env.types[c.Provider]
			t.NotOffered = !offered
			c.Type = &t
		}
	}
	var done atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for _, c := range which {
		group.Go(contained(func() error {
			env.readDomain(groupCtx, c)
			err := env.compare(groupCtx, c)
			env.o.Progress(Progress{Environment: env.spec.Name, Done: int(done.Add(1)), Total: len(env.spec.Connections)})
			return err
		}))
	}
	if err := group.Wait(); err != nil {
		return env.wrote.orElse(err)
	}
	if err := env.refuseShown(); err != nil {
		return err
	}
	env.claim()
	var err error
	env.input.KillSwitches, err = env.killSwitches()
	return err
}

// claim gives connections whose enabling or pausing began, and whose answer or memory
// was lost, back to us: they were not live, or not paused, before we sent it.
func (env *environment) claim() {
	for _, i := range env.pending {
		c := env.add(i.Provider)
		enabled, paused := i.Action == plan.Enable, i.Action == plan.Pause && !c.live().Active
		if c.Observed == nil || !enabled && !paused {
			continue
		}
		remembered, had := env.memory.Connections[i.Provider]
		remembered.Enabled, remembered.Paused = remembered.Enabled || enabled, remembered.Paused || paused
		remembered.Noted = remembered.Noted || !had
		if remembered.Fields == nil {
			remembered.Fields = map[string]string{}
		}
		env.memory.Known = true
		env.memory.Connections[i.Provider] = remembered
	}
	for _, c := range env.connections {
		c.Remembered = env.memory.Of(c.Provider)
	}
}
