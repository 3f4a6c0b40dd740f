package reconcile

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

const (
	environmentsAtOnce = 4  // of an account
	readsAtOnce        = 64 // per environment; the client's limiter bounds them per token
	writesAtOnce       = 8  // connections per environment
	usersCounted       = 1000
	sourceTypesFresh   = 24 * time.Hour
)

// Options is what an Engine works with. All but Assigns, Wait, Prober, RedirectHosts
// and Progress are required.
type Options struct {
	// Client gives the client for an account and a dev_id, or says why that
	// account may not touch that dev_id. For a dry run it is read-only.
	Client func(account, devID string) (*terra.Client, error)
	// Assigns tells whether the runner's own configuration says, for no other account as
	// well, that a dev_id belongs to an account; nil says it of none.
	Assigns func(account, devID string) bool
	// Store is the memory. For a dry run it is opened read-only or is none at all.
	Store *state.Store
	// Identities loads the age identities; it is called once per run.
	Identities func() (*secrets.Identities, error)
	// Now gives the time of a run and of each write.
	Now func() time.Time
	// Began is when the program did; zero is not known.
	Began time.Time
	// Wait lets time pass before a read is tried again; nil waits on a timer.
	Wait func(context.Context, time.Duration) error
	// Applies says that the runner is meant to change Terra, if not in this run.
	Applies bool
	// Approvers is the runner's rule about how many people approve.
	Approvers Approvers
	// Skew is how far the clock of Now is ahead of Terra's, behind where it is negative, as
	// far as an answer has told the time; nil is not known.
	Skew func() (off time.Duration, known bool)
	// Prober asks the provider itself about a pair; nil asks nobody.
	Prober Prober
	// RedirectHosts gives the hosts, beside Terra's own, to which the runner lets an
	// account's environments send end users; nil gives none.
	RedirectHosts func(account string) []string
	// Progress is told about reading, from several goroutines, one at a time.
	Progress func(Progress)
}

// Progress says how far reading one environment has come.
type Progress struct {
	Environment string
	Done, Total int // connections
}

// Run is one request: a commit, and what to do about it.
type Run struct {
	Set       spec.Set
	Problems  []spec.Problem
	Commit    string   // hash, or "worktree"
	Older     bool     // the commit is of a lower version than one that was followed before
	Tag       string   // that named the commit, where tags are followed; "" else
	Above     string   // the tag of that higher version, "" where it is not known
	Author    string   // of the commit, "" where there is none
	SignedBy  string   // whose signature of the commit counts, "" where none is asked for
	Only      []string // environments; none is all
	Select    []string // connections: strava, production/strava or production/*; none is all
	Mode      report.Mode
	Approved  bool                 // only what Approve is about
	Approve   map[string]string    // environment, or production/strava -> hash that a person approved, or its first digits
	By        string               // who gave Approve
	Given     time.Time            // when Approve was given; zero: nobody knows, and then each hash serves only once ever
	Waiting   bool                 // approvals that wait in the state count, too
	Shown     map[string]plan.Plan // environment -> plan that a person was shown; not nil: anything else is refused
	Now       bool                 // with Approve: ignore windows
	Stop      bool                 // begin nothing more after the first failure, in any environment
	Probe     bool                 // ask the providers in a dry run too
	LockOwner report.LockOwner     // who else writes the state
	ID        string               // of this run, in its report and in the history; "" makes one
	PreviewOf string               // full name of the ref of a commit that is not followed; "" for none
	NotUsed   report.NotUsed       // why the daemon that holds the state does not use the commit; "" for nothing
	// Overtaken is why no other connection is begun any more, "" where the run goes on; nil is
	// never. What was begun is finished.
	Overtaken func() string
	// Writes is told of which connections the run writes, before it does; nil is not told.
	Writes func(connections []string)

	tokens  *tokens
	stopped *atomic.Bool  // nothing more is begun, in any environment
	left    *atomic.Value // of string: why something was not begun, because the run is overtaken
	// inFlight is for what is not left half done: it lasts a little longer than the run may.
	inFlight func() context.Context
}

// Engine runs the loop. It keeps nothing between runs but what Options hold.
type Engine struct{ o Options }

// New makes an Engine.
func New(o Options) *Engine {
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	var mu sync.Mutex
	tell, now := o.Progress, o.Now
	o.Progress = func(p Progress) { mu.Lock(); defer mu.Unlock(); tell(p) }
	o.Now = func() time.Time { return now().UTC() }
	return &Engine{o: o}
}

// readOnly is the engine of a dry run: what it is given cannot write, whatever it
// was before.
func (e *Engine) readOnly() *Engine {
	o, client := e.o, e.o.Client
	o.Store = o.Store.ReadOnly()
	o.Client = func(account, devID string) (*terra.Client, error) {
		c, err := client(account, devID)
		if err != nil {
			return nil, err
		}
		return c.AsReadOnly(), nil
	}
	return &Engine{o: o}
}

// Run plans the chosen environments and, in mode apply, applies what is ready.
// It always returns a report; what went wrong stands in it. A cancelled context
// ends it at the next step, with what was not begun marked so.
func (e *Engine) Run(ctx context.Context, r Run) report.Report {
	if r.Mode != report.Apply {
		e = e.readOnly()
	}
	started := e.o.Now()
	r.ID = cmp.Or(r.ID, rand.Text())
	out := report.Report{Schema: report.Schema, RunID: r.ID, Mode: r.Mode, Commit: r.Commit, StartedAt: started, Warnings: []plan.Warning{}, Remediations: []plan.Remediation{}, StateLock: r.LockOwner, PreviewOf: r.PreviewOf, NotUsed: r.NotUsed}
	err := usable(r)
	if err != nil && r.Mode == report.Apply {
		if err := RecordRefusedCommit(e.o.Store, r, "", "", "", err, started); err != nil {
			out.Warn(plan.Warning{Text: err.Error()})
		}
	}
	var environments []spec.Environment
	if err == nil {
		r = narrowed(r)
		environments, err = chosen(r)
	}
	if err != nil {
		out.Error, out.Remediations = err.Error(), toDo(err)
		out.Finish(e.o.Now())
		return out
	}
	out.Warn(wholeCommitWarnings(r.Problems)...)
	out.Warn(plan.Warnings(e.o.Store.TakeNotes()...)...)
	cache, warnings, err := e.openCache(r)
	if err != nil {
		out.Error, out.Remediations = err.Error(), toDo(err)
		out.Finish(e.o.Now())
		return out
	}
	defer cache.identities.Forget()
	out.Warn(plan.Warnings(warnings...)...)
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	grace, endGrace := graceful(ctx)
	defer endGrace()
	out.Environments = make([]report.Environment, len(environments))
	r.tokens, r.stopped, r.left = newTokens(), &atomic.Bool{}, &atomic.Value{}
	r.inFlight = func() context.Context { return grace }
	eachAccount(environments, func(i int) {
		out.Environments[i] = e.environment(ctx, r, environments[i], cache)
		if r.Stop && out.Environments[i].Error != "" {
			r.stopped.Store(true)
		}
		if len(out.Environments[i].MayHaveWritten) > 0 {
			cancel() // a server that ignores dry_run: nothing more may be asked of it
		}
	})
	out.Warn(plan.Warnings(r.tokens.warnings()...)...)
	if r.Mode == report.Apply {
		if err := e.o.Store.SaveDigests(e.o.Now(), cache.inUse()); err != nil {
			out.Warn(plan.Warning{Text: err.Error()})
		}
	}
	endedEarly(outer, r, &out)
	out.Finish(e.o.Now())
	return out
}

// endedEarly says of a run whether it was ended early, and why, in the place of errors that
// tell of nothing else.
func endedEarly(ctx context.Context, r Run, out *report.Report) {
	why, _ := r.left.Load().(string)
	var early *report.EndedEarlyError
	if errors.As(context.Cause(ctx), &early) {
		why = early.Why
		for i := range out.Environments {
			if env := &out.Environments[i]; env.Error != "" {
				env.Error, env.Remediations = early.Error(), []plan.Remediation{}
			}
		}
	}
	out.EndedEarly = why
}

// eachAccount does something for each environment, in order but a few side by side. Each
// account has its own room, so that one whose Terra hangs delays no other.
func eachAccount(environments []spec.Environment, do func(i int)) {
	rooms := map[string]*errgroup.Group{}
	var accounts sync.WaitGroup
	for _, env := range environments {
		if rooms[env.Account] != nil {
			continue
		}
		room := &errgroup.Group{}
		room.SetLimit(environmentsAtOnce)
		rooms[env.Account] = room
		accounts.Go(func() {
			for i := range environments {
				if environments[i].Account == env.Account {
					room.Go(func() error { do(i); return nil })
				}
			}
			_ = room.Wait()
		})
	}
	accounts.Wait()
}

// usable refuses a commit as a whole whose terra.yaml has errors, and one that
// names no environment.
func usable(r Run) error {
	if err := firstError(r.Problems, ""); err != nil {
		return fmt.Errorf("load config repository: %w", err)
	}
	if len(r.Set.Environments) == 0 {
		return errors.New("load config repository: no folder holds an environment.yaml, so nothing is desired and nothing is changed")
	}
	return nil
}

// narrowed leaves of a run what its approvals are about, where nothing else is to be run
// and no flag has narrowed it already.
func narrowed(r Run) Run {
	if !r.Approved {
		return r
	}
	var only, selected []string
	one := false
	for _, env := range r.Set.Environments {
		if len(r.Only) > 0 && !slices.Contains(r.Only, env.Name) {
			continue
		}
		for target := range r.Approve {
			connection, about := IsApprovalOf(target, env.Name)
			if other := slices.ContainsFunc(r.Set.Environments, func(e spec.Environment) bool { return e.Name == target }); connection != "" && other {
				about = slices.ContainsFunc(env.Connections, func(c spec.Connection) bool { return env.Name+"/"+c.Provider == target })
			}
			if about {
				only, selected, one = append(only, env.Name), append(selected, cmp.Or(connection, env.Name+"/*")), one || connection != ""
			}
		}
	}
	if len(r.Only) == 0 {
		r.Only = only
	}
	if len(r.Select) == 0 && one {
		r.Select = selected
	}
	return r
}

// chosen gives the environments to run, in order.
func chosen(r Run) ([]spec.Environment, error) {
	var names []string
	for _, env := range r.Set.Environments {
		names = append(names, env.Name)
	}
	isAbout := func(target string) func(name string) bool {
		return func(name string) bool { _, about := IsApprovalOf(target, name); return about }
	}
	for target := range r.Approve {
		if !slices.ContainsFunc(names, isAbout(target)) {
			return nil, fmt.Errorf("approve plan of environment %q: the repository has %s", target, strings.Join(names, ", "))
		}
	}
	if len(r.Only) == 0 {
		return selectedIn(r, r.Set.Environments)
	}
	var out []spec.Environment
	for _, only := range r.Only {
		i := slices.Index(names, only)
		if i < 0 {
			return nil, fmt.Errorf("choose environment %q: the repository has %s", only, strings.Join(names, ", "))
		}
		if slices.ContainsFunc(out, func(env spec.Environment) bool { return env.Name == only }) {
			continue // two runs beside each other would write twice
		}
		out = append(out, r.Set.Environments[i])
	}
	for target := range r.Approve {
		if !slices.ContainsFunc(r.Only, isAbout(target)) {
			return nil, fmt.Errorf("approve plan of environment %q: it is not chosen, only %s", target, strings.Join(r.Only, ", "))
		}
	}
	return selectedIn(r, out)
}

// selectedIn gives the environments of which a connection is selected. A name that no
// environment can be about is an error: nothing would be done, and nobody would notice.
func selectedIn(r Run, all []spec.Environment) ([]spec.Environment, error) {
	if len(r.Select) == 0 {
		return all, nil
	}
	var names []string
	for _, env := range all {
		for _, c := range env.Connections {
			names = append(names, env.Name+"/"+c.Provider)
		}
	}
	var out []spec.Environment
	for _, selected := range r.Select {
		found := false
		for _, env := range all {
			_, about := IsApprovalOf(selected, env.Name)
			about = about && selected != env.Name || slices.Contains(names, env.Name+"/"+selected)
			if found = found || about; about && !slices.ContainsFunc(out, func(e spec.Environment) bool { return e.Name == env.Name }) {
				out = append(out, env)
			}
		}
		if !found {
			return nil, fmt.Errorf("select connection %q: the repository has %s", selected, strings.Join(names, ", "))
		}
	}
	return out, nil
}

func wholeCommitWarnings(problems []spec.Problem) []plan.Warning {
	var out []plan.Warning
	for _, p := range problems {
		if p.Environment == "" && p.Severity == spec.Warning {
			out = append(out, warningOf(p))
		}
	}
	return out
}

// wait lets time pass, unless the context ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
