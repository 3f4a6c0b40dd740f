package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const (
	// faultsSampled is how many faults of all that there are CI tries. WALK=all
	// tries each of them, WALK_SEED=N repeats a sample.
	faultsSampled = 400
	// longestRun is how long a run may take, whatever Terra does: one call waits for
	// a server that is silent or asks for patience, the others hardly.
	longestRun = 3 * time.Minute
)

// fault is what befalls one call of a scene, or with lasting also every call that
// follows.
type fault struct {
	scene     int
	kind      terratest.Kind
	call      int
	operation string // that it strikes first
	lasting   bool
}

// faultKinds are those of the emulator that a client can notice. Of the others,
// latency changes nothing here, a problem is what 429 and 500 are, and a list that
// lacks entries as if that were all looks like the truth.
func faultKinds() []terratest.Kind {
	return slices.DeleteFunc(emulator.Kinds(), func(k terratest.Kind) bool {
		return slices.Contains([]terratest.Kind{terratest.Latency, terratest.Problem, terratest.MissingEntries}, k)
	})
}

// faultScene is a scene of the state walk, or one that ends with a key held.
type faultScene struct {
	scene
	held bool
}

// faultScenes are those of the state walk, and among them a key that its provider
// rejects once it is live.
func faultScenes() (all []faultScene) {
	for _, s := range scenes() {
		all = append(all, faultScene{scene: s})
		if s.name == "a key that is due and proved" {
			all = append(all, faultScene{held: true, scene: scene{"its provider rejects it: back", func(w *world) {
				w.prober = acceptsOnly(secretB)
				for _, minute := range []int{54, 56} { // and is heard for the third time
					w.now = time.Date(2026, 11, 23, 10, minute, 0, 0, time.UTC)
					w.apply()
				}
				w.now = time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
			}, func(w *world) bool { return w.liveSecret() == secretB }}})
		}
	}
	return all
}

// acceptsOnly is a data provider that knows one secret.
type acceptsOnly string

func (a acceptsOnly) Probe(_ context.Context, _, _ string, secret secrets.Value) (good, bad bool, reason string) {
	return secret.Reveal() == string(a), secret.Reveal() != string(a), "the provider says so"
}

// atRest tells whether nothing is left to do: a key may be kept out, where it is.
func (s faultScene) atRest(r report.Report) bool {
	if !s.held {
		return r.ExitCode == report.ExitDone
	}
	return r.ExitCode == report.ExitChanges && !slices.ContainsFunc(r.Environments[0].Changes, func(c report.Change) bool {
		return c.Guard != plan.GuardRejected
	})
}

// neverCalled are the operations of the API that no run has a use for: a batch
// cannot say which of several connections it disabled, and an environment is known
// by its sources.
func neverCalled() []string {
	return []string{"batchDisableSources", "getEnvironment", "listEnvironments"}
}

// TestFaultWalk answers each call of each scene by each fault, once without a
// second attempt and once for good. Nothing that was not planned may happen,
// whatever happened has to be reported, the exit code must not claim success, the
// run has to end, and without the fault the next runs converge: nothing happens
// twice with an effect, and what we enabled stays ours.
func TestFaultWalk(t *testing.T) {
	t.Parallel()
	kinds, operations := faultKinds(), map[string]bool{}
	var before []*world
	var all []fault
	w := newWorld(t)
	for i, s := range faultScenes() {
		before = append(before, w.clone())
		s.set(w)
		w.terra.ResetLog()
		w.apply()
		calls := w.terra.Log()
		if r := w.dryRun(); !s.atRest(r) || !s.done(w) {
			t.Fatalf("%s: it does not come to rest\n%s", s.name, w.show(r))
		}
		if s.held {
			w.prober = acceptsAll{}
		}
		for n, call := range calls {
			operations[call.Operation] = true
			for _, kind := range kinds {
				f := fault{i, kind, n + 1, call.Operation, false}
				all = append(all, f)
				f.lasting = true
				all = append(all, f)
			}
		}
	}
	for _, operation := range emulator.Operations() {
		if want := !slices.Contains(neverCalled(), operation); operations[operation] != want {
			t.Errorf("%s: a scene calls it: %v, want %v", operation, operations[operation], want)
		}
	}
	chosen, seed := walk.Sample(t, all, faultsSampled, func(f fault) string {
		if walk.Large() {
			return f.operation + " " + string(f.kind)
		}
		return string(f.kind)
	})
	t.Logf("COUNT fault_walk_seed=%d", seed)
	t.Logf("COUNT fault_walk_points=%d", len(all))
	var struck atomic.Int64
	t.Run("kinds", func(t *testing.T) {
		for _, kind := range kinds {
			t.Run(string(kind), func(t *testing.T) {
				t.Parallel()
				for _, f := range chosen {
					if f.kind == kind {
						synctest.Test(t, func(t *testing.T) {
							if f.strike(t, before[f.scene].cloneFor(t)) {
								struck.Add(1)
							}
						})
					}
				}
			})
		}
	})
	t.Logf("COUNT fault_walk_struck=%d", struck.Load())
	t.Logf("COUNT fault_walk_kinds=%d", len(kinds))
	t.Logf("COUNT fault_walk_operations=%d", len(operations))
	if struck.Load() < int64(len(chosen)*9/10) {
		t.Errorf("only %d of %d faults struck", struck.Load(), len(chosen))
	}
}

func (w *world) cloneFor(t *testing.T) *world {
	t.Helper()
	c := *w
	c.t = t
	return c.clone()
}

func (f fault) strike(t *testing.T, w *world) (struck bool) {
	t.Helper()
	s := faultScenes()[f.scene]
	where := fmt.Sprintf("%s at call %d (%s) of %q, lasting %v", f.kind, f.call, f.operation, s.name, f.lasting)
	s.set(w)
	w.terra.ResetLog()
	w.options.MaxAttempts, w.ctx = 1, t.Context()
	armed := terratest.Fault{Kind: f.kind, Nth: f.call, Times: 1}
	if f.lasting {
		w.options.MaxAttempts, armed.Times = 0, terratest.Always
	}
	w.terra.Fault(armed)
	began := time.Now()
	r := w.apply()
	if took := time.Since(began); took > longestRun {
		t.Errorf("%s: the run took %v", where, took)
	}
	struck = slices.ContainsFunc(w.terra.Log(), func(c terratest.Call) bool { return c.Fault == f.kind })
	checkReported(t, w, s.scene, r, where)
	text := w.show(r)
	for _, body := range w.stored() {
		text += body
	}
	scanAll(t, where, text, w.planted)
	w.terra.ClearFaults()
	w.options.MaxAttempts = 0
	for range 3 {
		if w.apply(); s.atRest(w.dryRun()) {
			break
		}
	}
	if again := w.dryRun(); !s.atRest(again) || !s.done(w) {
		t.Fatalf("%s: does not converge\nfirst %s\nthen %s", where, w.show(r), w.show(again))
	}
	checkOnce(t, w, where)
	checkOwned(t, w, where)
	return struck
}

// checkOnce tells of each effect on Terra that came twice.
func checkOnce(t *testing.T, w *world, where string) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range w.terra.Effects() {
		if seen[effectOf(c)] {
			t.Errorf("%s: %s had an effect twice", where, effectOf(c))
		}
		seen[effectOf(c)] = true
	}
}

// checkReported holds a report against what was done to Terra.
func checkReported(t *testing.T, w *world, s scene, r report.Report, where string) {
	t.Helper()
	tried := map[string]bool{}
	for _, c := range r.Environments[0].Changes {
		switch c.Outcome {
		case report.Failed, report.Unknown:
			if r.ExitCode != report.ExitFailed {
				t.Errorf("%s: %s is %s, exit %d", where, c.ID, c.Outcome, r.ExitCode)
			}
			fallthrough
		case report.Applied:
			tried[c.Provider] = true
		}
	}
	for _, name := range r.Environments[0].MayHaveWritten {
		if r.ExitCode != report.ExitFailed {
			t.Errorf("%s: %s may have been written, exit %d", where, name, r.ExitCode)
		}
	}
	for _, c := range w.terra.Effects() {
		for _, provider := range append(c.Providers, c.Provider) {
			if provider != "" && !tried[provider] && len(r.Environments[0].MayHaveWritten) == 0 {
				t.Errorf("%s: %s of %s happened and nobody is told\n%s", where, c.Operation, provider, w.show(r))
			}
		}
	}
	waits := slices.ContainsFunc(r.Environments[0].Changes, func(c report.Change) bool { return c.Gate == plan.Waiting || c.Outcome == report.Waiting })
	switch {
	case !slices.Contains([]int{report.ExitDone, report.ExitError, report.ExitHeld, report.ExitFailed}, r.ExitCode):
		t.Errorf("%s: exit %d", where, r.ExitCode)
	case r.ExitCode == report.ExitDone && !s.done(w) && !waits:
		t.Errorf("%s: exit 0, and Terra is not as wanted", where)
	case r.ExitCode == report.ExitError && r.Error == "" && r.Environments[0].Error == "":
		t.Errorf("%s: exit 1, and no word why", where)
	}
}
