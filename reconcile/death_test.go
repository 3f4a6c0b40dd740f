package reconcile

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// snapshotter passes calls on, one at a time, and once the n-th has had its
// effect copies the world as a process that dies right then would leave it.
type snapshotter struct {
	inner http.RoundTripper
	world *world

	mu   sync.Mutex
	left int
	copy *world
}

func (s *snapshotter) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, err := s.inner.RoundTrip(r)
	if s.left--; s.left == 0 {
		s.copy = s.world.clone()
	}
	return answer, err
}

// TestDeathWalk lets the process die after the n-th call, for every n of every scene,
// or for some where no more was asked for: the journal is all that is left of what it
// was doing. The next run converges, nothing happens twice with an effect, and what we
// enabled is ours.
func TestDeathWalk(t *testing.T) {
	t.Parallel()
	points, step, seed := 0, 4/walk.Times(4), walk.Seed(t)
	before := newWorld(t)
	for i, s := range scenes() {
		for n := 1 + (int(seed)+i)%step; dieAt(t, before.clone(), s, n); n += step {
			points++
		}
		s.set(before)
		before.applied()
	}
	t.Logf("COUNT death_walk_points=%d", points)
	if points*step < 40 {
		t.Errorf("only %d points", points)
	}
}

func dieAt(t *testing.T, w *world, s scene, n int) bool {
	t.Helper()
	s.set(w)
	dying := &snapshotter{inner: w.terra.RoundTripper(), world: w, left: n}
	w.wrap = func(http.RoundTripper) http.RoundTripper { return dying }
	w.terra.ResetLog()
	w.apply()
	if dying.copy == nil {
		return false
	}
	after := dying.copy
	after.wrap = nil
	left := after.pending()
	where := fmt.Sprintf("death after call %d of %q", n, s.name)
	effects := map[string]bool{}
	for i, c := range w.terra.Log() {
		if i < n && c.Effect {
			effects[effectOf(c)] = true
		}
	}
	for range 3 {
		if after.apply(); after.dryRun().ExitCode == report.ExitDone {
			break
		}
	}
	if r := after.dryRun(); r.ExitCode != report.ExitDone || !s.done(after) {
		t.Fatalf("%s: does not converge\n%s", where, after.show(r))
	}
	for _, c := range after.terra.Effects() {
		if effects[effectOf(c)] {
			t.Errorf("%s: %s had an effect twice", where, effectOf(c))
		}
	}
	checkOwned(t, after, where)
	checkTold(t, after, where, left)
	return true
}

// checkTold wants a line for every write that left, also for those of which the
// dead process could say nothing any more, and none told twice.
func checkTold(t *testing.T, after *world, where string, left []state.Intent) {
	t.Helper()
	final := map[string]int{}
	for _, e := range after.history() {
		if e.Outcome != state.OutcomeUnknown {
			final[e.ID]++
		}
	}
	for id, lines := range final {
		if lines != 1 {
			t.Errorf("%s: %s is told %d times", where, id, lines)
		}
	}
	if untold := after.pending(); len(untold) > 0 {
		t.Errorf("%s: %d writes are still pending", where, len(untold))
	}
	for _, i := range left {
		if final[i.ID] != 1 {
			t.Errorf("%s: %s was under way and is not told", where, i.Change)
		}
	}
}

func effectOf(c terratest.Call) string {
	return c.Operation + " " + c.Provider + fmt.Sprint(c.Providers, c.Fields)
}

// TestForeignKeyAwaitsAYes is the smallest overwriting of a key that is not
// known to be ours: within every cap, of the repository's own client id.
func TestForeignKeyAwaitsAYes(t *testing.T) {
	t.Parallel()
	for _, users := range []int{0, 7} {
		w := newWorld(t)
		w.strava(secretA, "")
		w.terra.Enable(devID, "strava")
		w.terra.SetUsers(devID, "strava", users, 0)
		w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
		r := w.apply()
		expectGate(t, w.change(r, "strava:rotate-secret"), plan.Approval, "adopt")
		if n := len(w.terra.Effects()); n != 0 {
			t.Errorf("%d users: %d writes on a foreign key", users, n)
		}
	}
}
