package reconcile

import (
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
	environmentsAtOnce = 4
	readsAtOnce        = 50 // per environment; the client's limiter bounds them per token
	writesAtOnce       = 8  // connections per environment
	usersCounted       = 1000
	sourceTypesFresh   = 24 * time.Hour
)

// Options is what an Engine works with. All but Prober,
// Remember, RedirectHosts and Progress are required.
type Options struct {
	// Client gives the client for an account and a dev_id, or says why that
	// account may not touch that dev_id. For a dry run it is read-only.
	Client func(account, devID string) (*terra.Client, error)
	// Store is the memory. For a dry run it is opened read-only or is none at all.
	Store *state.Store
	// Identities loads the age identities; it is called once per run.
	Identities func() (*secrets.Identities, error)
	// Now gives the time of a run and of each write.
	Now func() time.Time
	// Prober asks the provider itself about a pair; nil asks nobody.
	Prober Prober
	// Remember keeps what a provider told a dry run, whose Store refuses to; nil: nobody
	// does. It may be called from several goroutines.
	Remember Remember
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
	Set      spec.Set
	Problems []spec.Problem
	Commit   string // hash, or "worktree"
	Author   string // of the commit, "" where there is none
	Only     []string
	Mode     report.Mode
	Approve  map[string]string    // environment -> plan hash that a person approved
	Given    time.Time            // when Approve was given; zero: nobody knows, and then each hash serves only once ever
	Shown    map[string]plan.Plan // environment -> plan that a person was shown; not nil: anything else is refused
	Now      bool                 // with an approved hash: ignore windows
	Stop     bool                 // begin nothing more after the first failure, in any environment
	Probe    bool                 // ask the providers in a dry run too
	Holder   report.Holder        // who else writes the state

	tokens  *tokens
	id      string       // of this run, in its report and in the history
	stopped *atomic.Bool // nothing more is begun, in any environment
}

// Engine runs the loop. It keeps nothing between runs but what Options hold.
type Engine struct{ o Options }

// New makes an Engine.
func New(o Options) *Engine {
	if o.Progress == nil {
		o.Progress = func(Progress) {}
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
	r.id = rand.Text()
	out := report.Report{Schema: report.Schema, RunID: r.id, Mode: r.Mode, Commit: r.Commit, StartedAt: started, Warnings: []string{}, StateHolder: r.Holder}
	err := usable(r)
	if err != nil && r.Mode == report.Apply {
		if telling := TellRefusedCommit(e.o.Store, r, "", "", err, started); telling != nil {
			out.Warnings = append(out.Warnings, telling.Error())
		}
	}
	var environments []spec.Environment
	if err == nil {
		environments, err = chosen(r)
	}
	if err != nil {
		out.Error = err.Error()
		out.Finish(e.o.Now())
		return out
	}
	out.Warnings = append(out.Warnings, wholeCommitWarnings(r.Problems)...)
	out.Warnings = append(out.Warnings, e.o.Store.TakeNotes()...)
	book, warnings, err := e.openBook(r)
	if err != nil {
		out.Error = err.Error()
		out.Finish(e.o.Now())
		return out
	}
	out.Warnings = append(out.Warnings, warnings...)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out.Environments = make([]report.Environment, len(environments))
	r.tokens, r.stopped = newTokens(), &atomic.Bool{}
	var group errgroup.Group
	group.SetLimit(environmentsAtOnce)
	for i, env := range environments {
		group.Go(func() error {
			out.Environments[i] = e.environment(ctx, r, env, book)
			if r.Stop && out.Environments[i].Error != "" {
				r.stopped.Store(true)
			}
			if len(out.Environments[i].MayHaveWritten) > 0 {
				cancel() // a server that ignores dry_run: nothing more may be asked of it
			}
			return nil
		})
	}
	_ = group.Wait()
	out.Warnings = append(out.Warnings, r.tokens.warnings()...)
	if r.Mode == report.Apply {
		if err := e.o.Store.SaveDigests(e.o.Now(), book.inUse()); err != nil {
			out.Warnings = append(out.Warnings, err.Error())
		}
	}
	out.Finish(e.o.Now())
	return out
}

// usable refuses a commit as a whole whose terra.yaml has errors, and one that
// names no environment.
func usable(r Run) error {
	if text := firstError(r.Problems, ""); text != "" {
		return fmt.Errorf("load config repository: %s", text)
	}
	if len(r.Set.Environments) == 0 {
		return errors.New("load config repository: no folder holds an environment.yaml, so nothing is desired and nothing is changed")
	}
	return nil
}

// firstError tells of the first error of an environment, or of the whole commit, and
// that there are more.
func firstError(problems []spec.Problem, environment string) string {
	var errs []string
	for _, p := range problems {
		if p.Severity == spec.Error && p.Environment == environment {
			errs = append(errs, p.Text())
		}
	}
	switch len(errs) {
	case 0:
		return ""
	case 1:
		return errs[0]
	}
	return fmt.Sprintf("%s; %d more: `reconcile validate` lists all", errs[0], len(errs)-1)
}

// chosen gives the environments to run, in order.
func chosen(r Run) ([]spec.Environment, error) {
	var names []string
	for _, env := range r.Set.Environments {
		names = append(names, env.Name)
	}
	for approved := range r.Approve {
		if !slices.Contains(names, approved) {
			return nil, fmt.Errorf("approve plan of environment %q: the repository has %s", approved, strings.Join(names, ", "))
		}
	}
	if len(r.Only) == 0 {
		return r.Set.Environments, nil
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
	for approved := range r.Approve {
		if !slices.Contains(r.Only, approved) {
			return nil, fmt.Errorf("approve plan of environment %q: it is not chosen, only %s", approved, strings.Join(r.Only, ", "))
		}
	}
	return out, nil
}

func wholeCommitWarnings(problems []spec.Problem) []string {
	var out []string
	for _, p := range problems {
		if p.Environment == "" && p.Severity == spec.Warning {
			out = append(out, p.Text())
		}
	}
	return out
}
