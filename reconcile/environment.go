package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// environment is one environment in one run: its connections, and what concerns all of
// them.
type environment struct {
	*Engine
	request Run
	spec    spec.Environment
	id      state.Environment // whose memory is read and written
	unsure  bool              // of the customer in id: nothing is remembered that could be another's
	cache   *secretsCache
	client  *terra.Client
	out     report.Environment

	// recall
	connections []*Connection // sorted by provider; observe adds those that only Terra knows of
	input       plan.Input    // its connections as they were planned last
	before      plan.Memory   // as it was stored
	memory      plan.Memory   // as this run plans with it
	pending     []state.Intent
	lasting     state.OpenEvents
	rewoundFrom string // the commit from which the branch went back, "" where it did not

	familiar familiar

	// observe
	sources     map[string]terra.Source
	types       map[string]plan.Type // that Terra offers; nil: unknown
	typesRead   bool                 // now, and not from memory
	typesFailed error                // why they could not be read
	wrote       written

	questions *questions // to providers, in measure
	// plan and guard
	plan      plan.Plan
	consent   plan.Consent
	planned   bool // all that a plan is made from is known
	hash      string
	hashes    map[string]string // of each connection that changes
	approvals []approval
	lacks     []string      // scopes that its token has not; set while it is read
	ahead     time.Duration // of Terra's clock, where that is too much; else 0

	// apply
	mu          sync.Mutex        // of what connections write side by side
	ended       []string          // ids of intents that end once memory is saved
	unrecorded  error             // why the history could not be written
	switches    []plan.KillSwitch // met by a write that was ready
	unconfirmed []unconfirmed
	unshown     map[string]bool // changes that Terra accepted and did not show
	proving     sync.Mutex
	proved      bool // that the server honours dry_run; guarded by proving
}

// environment runs the loop over one environment and reports it.
func (e *Engine) environment(ctx context.Context, r Run, s spec.Environment, cache *secretsCache) (out report.Environment) {
	env := e.newEnvironment(r, s, cache)
	defer func() {
		if fault := caught(recover()); fault != nil {
			faulted(&env.out, r.Mode, fault)
			out = env.out
		}
	}()
	err := env.run(ctx)
	if err != nil && !env.planned {
		env.recordRefusal(ctx, err)
	}
	env.report(err)
	return env.out
}

func (e *Engine) newEnvironment(r Run, s spec.Environment, cache *secretsCache) *environment {
	owners := map[string]string{}
	for _, c := range s.Connections {
		if c.Owner != "" {
			owners[s.Name+"/"+c.Provider] = c.Owner
		}
	}
	return &environment{Engine: e, request: r, spec: s, id: state.Environment{DevID: s.DevID}, cache: cache, out: report.Environment{
		Name: s.Name, Owner: s.Owner, Owners: owners, Account: s.Account, DevID: s.DevID, Remediations: []plan.Remediation{}, Warnings: []plan.Warning{}, Unmanaged: []string{}, NotCompared: []plan.NotCompared{}, Changes: []report.Change{},
		Selected: []string{}, Connections: []report.Connection{}, Events: []report.Event{}, Keys: []keys.Status{}, MayHaveWritten: []string{},
	}}
}

// run is the loop. Until there is a plan, an error means that nothing is known of the
// environment, and so nothing is changed.
func (env *environment) run(ctx context.Context) error {
	if err := env.recall(ctx); err != nil {
		return err
	}
	which := env.named()
	if err := together(func() error { return env.read(ctx) }, func() error { return env.resolve(which) }); err != nil {
		return err
	}
	if env.typesFailed != nil {
		env.warn("what Terra offers here is unknown: " + env.typesFailed.Error())
	}
	if env.compareClocks() {
		if err := env.resolve(which); err != nil { // which key is due may be another one
			return err
		}
	}
	for again := true; again; again = len(which) > 0 { // once more for those of which a key was rejected by now
		if err := env.observe(ctx, which); err != nil {
			return err
		}
		env.check(which)
		env.reviewKeys(which)
		env.makePlan()
		var err error
		if which, err = env.measure(ctx, which); err != nil {
			return err
		}
		if err := env.resolve(which); err != nil {
			return err
		}
	}
	if err := env.guard(ctx); err != nil || env.request.Mode != report.Apply {
		return err
	}
	if err := env.mayWrite(); err != nil {
		return err
	}
	if err := env.apply(ctx); err != nil {
		return err
	}
	return env.remember()
}

// mayWrite refuses, before the first write, a token that may make none.
func (env *environment) mayWrite() error {
	if env.plan.Ready() > 0 && slices.Contains(env.lacks, "providers:write") {
		return fmt.Errorf("apply: the token of account %s lacks the scope providers:write; create one that has it in Terra's dashboard; nothing was written", env.spec.Account)
	}
	return nil
}

// compareClocks looks how far this machine's clock is from Terra's. Where that is much,
// what time alone decides waits until both agree: keys, pauses and suspends go by the
// earlier of both, and a window must be open by both. It tells whether the time of the
// run is another one now.
func (env *environment) compareClocks() (moved bool) {
	if env.o.Skew == nil {
		return false
	}
	off, known := env.o.Skew()
	if !known || off.Abs() < terra.ClockTrusted {
		return false
	}
	env.warn(fmt.Sprintf("this machine's clock is %s from Terra's: what time alone decides waits until both agree; synchronise it (NTP)", strings.TrimSuffix(off.Abs().Round(time.Minute).String(), "0s")))
	env.input.ClockOff = off.Abs()
	if off > 0 {
		env.ahead = off
		env.input.Now = env.input.Now.Add(-off)
	}
	return off > 0
}

// recall takes what the commit and the runner say of the environment as a whole, and
// what is stored of it and of each connection.
func (env *environment) recall(ctx context.Context) error {
	for _, problem := range env.request.Problems {
		if problem.Environment == env.spec.Name && problem.Severity == spec.Warning {
			env.out.Warn(warningOf(problem))
		}
	}
	if err := firstError(env.request.Problems, env.spec.Name); env.spec.Invalid || err != nil {
		return fmt.Errorf("load environment: %w", cmp.Or(err, errors.New("it is invalid")))
	}
	var err error
	if env.client, err = env.o.Client(env.spec.Account, env.spec.DevID); err != nil {
		return err
	}
	env.client.Guard(env.cache.openFor(env.spec.Account))
	if env.input.Environment, err = policyOf(env.spec); err != nil {
		return err
	}
	env.out.API = env.client.Address()
	env.input.Environment.API = env.out.API
	env.input.Now = env.o.Now()
	env.input.RedirectHosts = providers.TerraHosts()
	if env.o.RedirectHosts != nil {
		env.input.RedirectHosts = append(env.input.RedirectHosts, env.o.RedirectHosts(env.spec.Account)...)
	}
	if err := env.keepAccount(); err != nil {
		return err
	}
	if err := env.identify(ctx); err != nil {
		return err
	}
	store := env.o.Store
	if env.rewoundFrom, err = store.RewoundFrom(env.id, env.request.Commit, env.request.Older); err != nil {
		return err
	}
	if env.rewoundFrom != "" {
		env.input.Rewound = fmt.Sprintf("the branch is rewound: commit %s was attempted before commit %s", abbreviated(env.request.Commit), abbreviated(env.rewoundFrom))
		if env.request.Older {
			env.input.Rewound = fmt.Sprintf("the release is rewound: %s is a lower version than %s, which was attempted before", released(env.request.Tag, env.request.Commit), released(env.request.Above, env.rewoundFrom))
		}
		env.warn(env.input.Rewound + "; what is disruptive or destructive waits for approval, until there is a commit that is new here")
	}
	if env.before, err = store.Memory(env.id); err != nil {
		return err
	}
	if env.pending, err = store.Pending(env.id); err != nil {
		return err
	}
	if env.lasting, err = store.OpenEvents(env.id); err != nil {
		return err
	}
	histories, err := store.KeyHistory(env.id)
	if err != nil {
		return err
	}
	env.memory = recalled(env.before, env.cache.lasting)
	env.input.Suspended, env.input.Gone = env.memory.Suspended, env.before.Gone
	env.familiar = env.familiarise()
	for i, c := range env.spec.Connections {
		env.add(c.Provider).File = &env.spec.Connections[i]
	}
	for provider := range env.memory.Connections {
		env.add(provider)
	}
	if err := env.setAside(); err != nil {
		return err
	}
	for _, c := range env.connections {
		c.Remembered, c.keysAtStart, c.Keys.History = env.memory.Of(c.Provider), histories[c.Provider], histories[c.Provider].Clone()
	}
	env.lookElsewhere()
	return nil
}

// setAside leaves alone what the run is not about. One that was selected and that
// neither a file nor the memory knows is an error.
func (env *environment) setAside() error {
	if len(env.request.Select) == 0 || slices.Contains(env.request.Select, env.spec.Name+"/*") {
		return nil
	}
	var known []string
	for _, c := range env.connections {
		known = append(known, c.Name)
		if c.Aside = !env.selects(c.Provider); !c.Aside {
			env.out.Selected = append(env.out.Selected, c.Name)
		}
	}
	env.out.NotSelected = len(known) - len(env.out.Selected)
	for _, selected := range env.request.Select {
		_, about := IsApprovalOf(selected, env.spec.Name)
		if about && selected != env.spec.Name && !slices.Contains(known, selected) {
			return fmt.Errorf("select connection %q: no file names it, and nothing is remembered of it; there is %s", selected, strings.Join(known, ", "))
		}
	}
	return nil
}

// recalled is a copy of memory to plan with. Where the key of its digests is not at
// hand they say nothing, and a live secret counts as one that nobody remembers.
func recalled(m plan.Memory, digestsHold bool) plan.Memory {
	out := m
	out.Connections = map[string]plan.Remembered{}
	for provider, c := range m.Connections {
		c = c.Clone()
		if !digestsHold {
			delete(c.Fields, plan.FieldClientSecret)
			delete(c.Fields, plan.FieldVerificationSecret)
		}
		out.Connections[provider] = c
	}
	return out
}

// report completes what is reported of the run.
func (env *environment) report(err error) {
	out := &env.out
	out.DecidedAt, out.Ahead = env.input.Now, env.ahead
	if err != nil {
		out.Error, out.Remediations = err.Error(), toDo(err)
		out.CommitAtFault = commitAtFault(err)
		if len(out.Remediations) == 0 && terra.Passes(err) {
			out.Remediations = append(out.Remediations, plan.NextCommand("look again in some minutes", "--dry-run", "--env", out.Name))
		}
		var wrote *wroteError
		if errors.As(err, &wrote) {
			out.MayHaveWritten = append(out.MayHaveWritten, wrote.fields...)
		}
	}
	if !env.planned {
		out.Changes = []report.Change{}
		return
	}
	out.PlanHash, out.Unmanaged, out.NotCompared = env.hash, env.plan.Unmanaged, env.plan.NotCompared
	sinceWhen(out.Changes, env.lasting, env.input.Now)
	out.Keys = env.keyStatuses()
	out.Warn(env.plan.Warnings...)
	out.Warn(env.resetWarnings()...)
	out.Warn(keyWarnings(out.Keys, env.input.Now)...)
	out.Events = append(out.Events, report.StuckEvents(out.Changes, env.input.Now)...)
	for _, c := range out.Changes {
		if c.Guard == plan.GuardConflict && c.Gate == plan.Approval {
			out.Events = append(out.Events, report.Event{Kind: report.Conflict, Connection: c.Connection, Change: c.ID, Since: c.GatedSince,
				Text: c.Connection + ": " + c.GateReason, Remediations: c.Remediations})
		}
	}
	out.Events = append(out.Events, keyEvents(out.Keys, out.Changes)...)
	out.Summary = report.Summarise(env.plan, out.Changes)
	if err := env.reportApprovals(); err != nil {
		env.warn(err.Error())
	}
}
