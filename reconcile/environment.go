package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// prepared is one environment, planned: all that applying it needs.
type prepared struct {
	env      spec.Environment
	client   *terra.Client
	book     *book
	want     []wanted
	seen     observation
	before   plan.Memory // as it was saved
	input    plan.Input
	plan     plan.Plan
	hash     string
	newer    string // the commit from which the branch went back, "" where it did not
	pending  []state.Intent
	ongoing  state.Ongoing
	lives    map[string]plan.KeyLife // by provider, as they are on disk
	warnings []string

	mu      sync.Mutex
	watched map[string]plan.Users // by provider: end users of watched keys, counted in this run
}

// environment plans one environment and, in mode apply, applies what is ready.
func (e *Engine) environment(ctx context.Context, r Run, env spec.Environment, b *book) (out report.Environment) {
	defer func() {
		if fault := caught(recover()); fault != nil {
			faulted(&out, r.Mode, fault)
		}
	}()
	out = report.Environment{
		Name: env.Name, DevID: env.DevID, Warnings: []string{}, Unmanaged: []string{},
		NotCompared: []plan.NotCompared{}, Changes: []report.Change{}, Events: []report.Event{}, Keys: []report.KeyStatus{}, MayHaveWritten: []string{}, WarningDetails: []plan.Warning{},
	}
	p, err := e.prepare(ctx, r, env, b)
	if r.Mode == report.Apply && env.DevID != "" && ctx.Err() == nil {
		if telling := e.tellRefused(r, env, err); telling != nil {
			out.Warnings = append(out.Warnings, telling.Error())
		}
	}
	if err != nil {
		out.Error = err.Error()
		var wrote *wroteError
		if errors.As(err, &wrote) {
			out.MayHaveWritten = append(out.MayHaveWritten, wrote.fields...)
		}
		return out
	}
	out.PlanHash = p.hash
	out.Unmanaged, out.NotCompared = p.plan.Unmanaged, p.plan.NotCompared
	if r.Mode == report.Apply {
		if out.Error = e.permitted(r, p); out.Error != "" {
			p.input.ApprovedAll, p.input.NowFlag = false, false // what guards hold is shown as held
			p.plan = plan.Make(p.input)
		}
	}
	for _, c := range p.plan.Changes {
		out.Changes = append(out.Changes, report.Change{Change: c})
	}
	switch {
	case r.Mode != report.Apply:
	case out.Error != "":
		if err := e.tellUnapproved(r, env, out.Error); err != nil {
			out.Warnings = append(out.Warnings, err.Error())
		}
	default:
		var wrote []string
		out.Changes, wrote, err = e.apply(ctx, r, p)
		out.MayHaveWritten = append(out.MayHaveWritten, wrote...)
		if err != nil {
			out.Error = err.Error()
		}
	}
	out.Warnings = append(out.Warnings, p.warnings...)
	sinceWhen(out.Changes, p.ongoing, p.input.Now)
	out.Keys = p.keyStatuses(out.Changes)
	out.Warn(p.plan.Warnings...)
	out.Warn(p.resetWarnings()...)
	out.Warn(keyWarnings(out.Keys, p.input.Now)...)
	out.Events = append(out.Events, report.StuckEvents(out.Changes, p.input.Now)...)
	out.Events = append(out.Events, keyEvents(out.Keys, out.Changes)...)
	out.Summary = report.Summarise(p.plan, out.Changes)
	if out.Approval, err = e.approval(p); err != nil {
		out.Warnings = append(out.Warnings, err.Error())
	}
	return out
}

// prepare resolves, observes and plans. An error means that nothing is known of
// the environment, and so nothing is changed.
func (e *Engine) prepare(ctx context.Context, r Run, env spec.Environment, b *book) (*prepared, error) {
	p := &prepared{env: env, book: b, watched: map[string]plan.Users{}}
	for _, problem := range r.Problems {
		if problem.Environment == env.Name && problem.Severity == spec.Warning {
			p.warnings = append(p.warnings, problem.Text())
		}
	}
	if first := firstError(r.Problems, env.Name); env.Invalid || first != "" {
		return nil, fmt.Errorf("load environment: %s", first)
	}
	var err error
	if p.client, err = e.o.Client(env.Account, env.DevID); err != nil {
		return nil, err
	}
	if p.input.Environment, err = environmentOf(env); err != nil {
		return nil, err
	}
	if err := e.lookBack(r, env, p); err != nil {
		return nil, err
	}
	p.input.RedirectHosts = e.redirectHosts(env)
	if p.before, err = e.o.Store.Memory(env.DevID); err != nil {
		return nil, err
	}
	p.input.Memory = recalled(p.before, b.lasting)
	if p.pending, err = e.o.Store.Pending(env.DevID); err != nil {
		return nil, err
	}
	if p.ongoing, err = e.o.Store.Ongoing(env.DevID); err != nil {
		return nil, err
	}
	if p.lives, err = e.o.Store.KeyLives(env.DevID); err != nil {
		return nil, err
	}
	p.input.Now = e.o.Now()
	for _, c := range env.Connections {
		p.want = append(p.want, resolve(env, c, b, p.input.Now, p.lives[c.Provider]))
	}
	token := e.beginToken(ctx, r, env, p.client)
	p.seen, err = e.observer(p).observe(ctx, p.want)
	token(err == nil)
	if err != nil {
		return nil, err
	}
	p.warnings = append(p.warnings, p.seen.warnings...)
	p.input.Observed, p.input.Types = p.seen.live, p.seen.types
	p.input.Memory = withIntents(p.input.Memory, p.pending, p.seen.live)
	p.consultCatalogue()
	if p.input.KillSwitches, err = e.killSwitches(env); err != nil {
		return nil, err
	}
	p.desire()
	return p, e.decide(ctx, r, p)
}

// redirectHosts gives Terra's own hosts and those that the runner lists.
func (e *Engine) redirectHosts(env spec.Environment) []string {
	hosts := providers.TerraHosts()
	if e.o.RedirectHosts != nil {
		hosts = append(hosts, e.o.RedirectHosts(env.Account)...)
	}
	return hosts
}

func (e *Engine) observer(p *prepared) *observer {
	return &observer{Engine: e, client: p.client, book: p.book, env: p.env, memory: p.input.Memory, wrote: &written{}}
}

// decide plans, counts the end users and probes the pairs on which a class
// depends, and plans again. A plan without changes depends on neither.
func (e *Engine) decide(ctx context.Context, r Run, p *prepared) error {
	p.plan = plan.Make(p.input)
	var err error
	if p.input.Users, err = e.countUsers(ctx, p, plan.NeedsUsers(p.input, p.plan)); err != nil {
		return err
	}
	if len(p.plan.Changes) > 0 || p.watches() {
		if err := e.reviewKeys(ctx, r, p); err != nil {
			return err
		}
		p.plan = plan.Make(p.input)
	}
	p.hash = plan.Hash(p.plan)
	if approved, ok := r.Approve[p.env.Name]; ok && approved == p.hash {
		p.input.ApprovedAll, p.input.NowFlag = true, r.Now
		p.plan = plan.Make(p.input)
	}
	return nil
}

// recalled is a copy of memory to plan with. Where the key of its digests is not
// at hand they say nothing, and a live secret counts as one that nobody remembers.
func recalled(m plan.Memory, digestsHold bool) plan.Memory {
	out := m
	out.Connections = map[string]plan.Remembered{}
	for provider, c := range m.Connections {
		c.Fields = maps.Clone(c.Fields)
		if !digestsHold {
			delete(c.Fields, plan.FieldClientSecret)
			delete(c.Fields, plan.FieldVerificationSecret)
		}
		out.Connections[provider] = c
	}
	return out
}

// withIntents gives connections whose enabling or pausing began, and whose answer
// or memory was lost, back to us: they were not live, or not paused, before we
// sent it.
func withIntents(m plan.Memory, pending []state.Intent, live map[string]plan.Observed) plan.Memory {
	for _, i := range pending {
		source, isLive := live[i.Provider]
		enabled, paused := i.Action == string(plan.Enable), i.Action == string(plan.Pause) && !source.Active
		if !isLive || !enabled && !paused {
			continue
		}
		remembered, had := m.Connections[i.Provider]
		remembered.Enabled, remembered.Paused = remembered.Enabled || enabled, remembered.Paused || paused
		remembered.Noted = remembered.Noted || !had
		if remembered.Fields == nil {
			remembered.Fields = map[string]string{}
		}
		m.Known = true
		m.Connections[i.Provider] = remembered
	}
	return m
}

// countUsers counts active end users. A count that cannot be had is absent,
// which the plan treats as more than zero.
func (e *Engine) countUsers(ctx context.Context, p *prepared, slugs []string) (map[string]plan.Users, error) {
	var mu sync.Mutex
	out := map[string]plan.Users{}
	var failures []string
	var group errgroup.Group
	group.SetLimit(readsAtOnce)
	for _, slug := range slugs {
		group.Go(contained(func() error {
			count, exact, err := p.client.CountUsers(ctx, p.env.DevID, slug, usersCounted)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = append(failures, err.Error())
			} else {
				out[slug] = plan.Users{Count: count, Exact: exact}
			}
			return nil
		}))
	}
	if err := group.Wait(); err != nil {
		return out, err
	}
	slices.Sort(failures)
	for _, text := range slices.Compact(failures) {
		p.warnings = append(p.warnings, "end users are not counted, so they are taken for some: "+text)
	}
	return out, ctx.Err()
}
