//go:build linux

package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// killsSampled is how many deaths of all that there are CI tries (WALK=ci). Without
// WALK it is an eighth, WALK=all tries each of them, WALK_SEED=N repeats a sample.
const killsSampled = 150

// leastScenes is how many scenes a person's walk goes through at least.
const leastScenes = 8

// walked is a scene as it went without a death: where the deaths of a walk begin
// and what they must come to.
type walked struct {
	walkScene
	before, after *walkWorld
	remembered    remembered
	effects       map[string]int
	deaths        []death
	takesLonger   bool // what is done once more after a death is done later
}

// TestKillWalk kills the real binary with kill -9 before and after every call and
// around everything it puts on disk, in every scene, and lets it start again. At
// the end Terra, what is remembered and what was done to Terra must be what they
// are without a death, and there must be nothing left to do.
func TestKillWalk(t *testing.T) {
	t.Parallel()
	program := programAt(t, t.TempDir())
	cuts, daemons := walk.Few(t, cutScenes(), 1), walk.Few(t, servedScenes(t), 1)
	needed := slices.Clone(cuts)
	for _, scene := range daemons {
		needed = append(needed, scene.after)
	}
	scenes := walkThrough(t, program, needed)
	t.Run("kills", func(t *testing.T) { kill(t, scenes) })
	t.Run("cuts", func(t *testing.T) { cut(t, program, scenes, cuts) })
	t.Run("daemon", func(t *testing.T) { killDaemon(t, scenes, daemons) })
}

// attempt is one death in one scene.
type attempt struct {
	scene *walked
	death death
}

func kill(t *testing.T, scenes []*walked) {
	var all []attempt
	for _, s := range scenes {
		for _, d := range s.deaths {
			all = append(all, attempt{s, d})
		}
	}
	chosen, seed := walk.Sample(t, all, killsSampled, func(a attempt) string {
		if walk.Large() {
			return a.scene.name
		}
		return a.death.kind
	})
	t.Logf("COUNT kill_walk_seed=%d", seed)
	t.Logf("COUNT kill_walk_points=%d", len(all))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	struck := map[string]int{}
	for _, a := range chosen {
		group.Go(func() error {
			died, err := a.scene.dies(t.TempDir(), a.death, nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("death %s %d of %q: %v", a.death.kind, a.death.n, a.scene.name, err)
			}
			if died {
				struck[a.death.kind]++
			}
			return nil
		})
	}
	_ = group.Wait()
	total := struck[beforeCall] + struck[afterCall] + struck[atPoint]
	t.Logf("COUNT kill_walk_deaths=%d", total)
	if total < len(chosen)*9/10 {
		t.Errorf("only %d of %d deaths came about", total, len(chosen))
	}
	for _, kind := range []string{beforeCall, afterCall, atPoint} {
		if struck[kind] == 0 {
			t.Errorf("no process died %s", kind)
		}
	}
}

// walkThrough goes through the scenes without a death: all of them, or where nothing more
// was asked for than a person waits for as many of the first as there are among them those
// that are needed.
func walkThrough(t *testing.T, program string, needed []string) []*walked {
	t.Helper()
	w := newWalkWorld(t, program, t.TempDir())
	var all []*walked
	actions, operations := map[string]bool{}, map[string]bool{}
	for _, scene := range walkScenes() {
		if !walk.Large() && len(all) >= leastScenes && !slices.ContainsFunc(needed, func(name string) bool {
			return !slices.ContainsFunc(all, func(s *walked) bool { return s.name == name })
		}) {
			return all
		}
		scene.set(t, w)
		s := &walked{walkScene: scene}
		var err error
		if s.before, err = w.clone(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		if err := s.before.commit(); err != nil {
			t.Fatal(err)
		}
		w.terra.ResetLog()
		_ = os.Remove(filepath.Join(w.folder, "points")) // the first scene has none before it
		walker := w.start(death{})
		did, _, err := walker.settle(s.before.repo(), s.exit)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if !s.done(w.live().Sources[s.on]) {
			t.Fatalf("%s: Terra is not as wanted: %+v", s.name, w.live().Sources[s.on])
		}
		for _, action := range did {
			actions[action] = true
		}
		for _, call := range w.terra.Log() {
			operations[call.Operation] = true
		}
		if s.remembered, err = w.remembered(); err != nil {
			t.Fatal(err)
		}
		s.effects = effects(w.terra.Effects())
		if s.after, err = w.clone(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		s.checkMarks(t)
		points, err := walker.points()
		if err != nil {
			t.Fatal(err)
		}
		s.deaths = deaths(walker.gate.calls, points)
		all = append(all, s)
	}
	for _, action := range plan.Order() {
		if !actions[string(action)] {
			t.Errorf("no scene makes the binary %s", action)
		}
	}
	checkCalled(t, operations)
	t.Logf("COUNT kill_walk_scenes=%d", len(all))
	t.Logf("COUNT kill_walk_actions=%d", len(actions))
	t.Logf("COUNT kill_walk_operations=%d", len(operations))
	return all
}

// neverCalled are the operations of the API that no run has a use for: a batch
// cannot say which of several connections it disabled, and an environment is known
// by its sources.
func neverCalled() []string {
	return []string{"batchDisableSources", "getEnvironment", "listEnvironments"}
}

// checkCalled wants every operation to be called somewhere in a walk, but for those
// that no run calls.
func checkCalled(t *testing.T, called map[string]bool) {
	t.Helper()
	for _, operation := range emulator.Operations() {
		if want := !slices.Contains(neverCalled(), operation); called[operation] != want {
			t.Errorf("%s: a scene calls it: %v, want %v", operation, called[operation], want)
		}
	}
}

// checkMarks wants the marks of Strava's keys to be for the reason of the scene.
func (s *walked) checkMarks(t *testing.T) {
	t.Helper()
	history := s.remembered.KeyHistories["strava"]
	byUsers := slices.ContainsFunc(slices.Collect(maps.Values(history.Refused)), func(r keys.Refusal) bool { return r.By == keys.Users })
	if byUsers != s.after.fell {
		t.Errorf("%s: a key is marked because of its end users: %v, want %v", s.name, byUsers, s.after.fell)
	}
}

func deaths(calls, points int) []death {
	var all []death
	for n := range calls {
		all = append(all, death{beforeCall, n + 1}, death{afterCall, n + 1})
	}
	for n := range points {
		all = append(all, death{atPoint, n + 1})
	}
	return all
}

// dies plays the scene with one death, and compares. Of a death within a system
// call takes care who traces the process; others are not traced.
func (s *walked) dies(folder string, d death, traces *tracer) (died bool, err error) {
	w, err := s.before.clone(folder)
	if err != nil {
		return false, err
	}
	walker := w.start(d)
	walker.traces = traces
	_, killed, err := walker.run(s.before.repo())
	if err != nil {
		return false, err
	}
	if err := s.keysAreThere(w.live()); err != nil {
		return killed, err
	}
	_, later, err := walker.settle(s.before.repo(), s.exit)
	if err != nil {
		return killed || later, err
	}
	return killed || later, s.compare(w)
}

// compare wants a world that a death went through to be as it is without it.
func (s *walked) compare(w *walkWorld) error {
	got, err := w.remembered()
	if err != nil {
		return err
	}
	err = s.compareTerra(w)
	if diff := cmp.Diff(s.remembered, got, s.alike()); diff != "" {
		err = errors.Join(err, errors.New("not the same is remembered (-want +got):\n"+diff))
	}
	return err
}

func (s *walked) compareTerra(w *walkWorld) (err error) {
	found := w.terra.Violations()
	if diff := cmp.Diff(s.after.live(), w.live()); diff != "" {
		found = append(found, "Terra is not as without the death (-want +got):\n"+diff)
	}
	if diff := cmp.Diff(s.effects, effects(w.terra.Effects())); diff != "" {
		found = append(found, "not the same was done to Terra (-want +got):\n"+diff)
	}
	for _, text := range found {
		err = errors.Join(err, errors.New(text))
	}
	return err
}

// keysAreThere wants every pair that was live to be live still, or the one that
// takes its place.
func (s *walked) keysAreThere(now terratest.Snapshot) error {
	before, after := s.before.live().Sources, s.after.live().Sources
	for provider, source := range now.Sources {
		old, next := before[provider].Credential, after[provider].Credential
		if !reflect.DeepEqual(source.Credential, old) && !reflect.DeepEqual(source.Credential, next) {
			return fmt.Errorf("the keys of %s are neither the old nor the new ones", provider)
		}
	}
	return nil
}

// withoutSince is a history that does not tell since when its live pair is.
func withoutSince(h keys.History) keys.History {
	if h.Live != nil {
		h.Live = &keys.Sighting{Pair: h.Live.Pair}
	}
	return h
}

// alike lets what is remembered differ where a death rightly makes a difference:
// a commit of which something is held is wholly applied only if a run saw nothing
// held, and what is approved once more is applied later.
func (s *walked) alike() cmp.Option {
	options := cmp.Options{cmpopts.EquateEmpty()}
	if s.exit != report.ExitDone {
		options = append(options, cmpopts.IgnoreFields(state.Commits{}, "Applied"))
	}
	if s.takesLonger {
		options = append(options, cmpopts.IgnoreFields(plan.Remembered{}, "UpdatedAt", "VerifiedAt", "Since", "Synced"), cmp.Comparer(func(a, b keys.History) bool {
			return withoutSince(a).Equal(withoutSince(b))
		}))
	}
	return options
}
