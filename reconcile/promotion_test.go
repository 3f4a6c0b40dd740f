package reconcile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const stagingID = "stag-app-Wq72Rt"

// promoting is a world with staging, and a production whose changes wait for it.
func promoting(t *testing.T, length string) *world {
	t.Helper()
	w := newWorld(t)
	w.terra.AddEnvironment(stagingID, terratest.EnvironmentOptions{})
	w.write("staging/environment.yaml", "dev_id: "+stagingID+"\nprune: disable\n")
	w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\nafter: {environment: staging, for: "+length+"}\n")
	w.both("provider: polar\n")
	return w
}

// both writes the same connection into both environments.
func (w *world) both(text string) {
	w.write("staging/polar.yaml", text)
	w.write("production/polar.yaml", text)
}

func (w *world) only(name string) report.Report {
	w.t.Helper()
	return w.run(Run{Mode: report.Apply, Only: []string{name}})
}

func (w *world) passes(d time.Duration) { w.now = w.now.Add(d) }

// heldFor wants a change of production to wait for staging, and the reason to say why.
func (w *world) heldFor(r report.Report, id, why string) report.Change {
	w.t.Helper()
	c := w.change(r, id)
	expectGate(w.t, c, plan.Waiting, plan.GuardPromotion)
	if !strings.Contains(c.GateReason, why) {
		w.t.Errorf("%s: got %q, want %q", id, c.GateReason, why)
	}
	return c
}

// What staging applies in one run production applies a day later, and not before.
func TestPromotion(t *testing.T) {
	t.Parallel()
	w := promoting(t, "24h")
	w.now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	both := w.apply() // production knows nothing of staging yet, or that it began now
	expectGate(t, w.change(both, "polar:enable"), plan.Waiting, plan.GuardPromotion)
	w.passes(time.Hour)
	c := w.heldFor(w.only("production"), "polar:enable", "staging/polar, which has this in sync since 2026-11-23 09:00 UTC; 24h end 2026-11-24 09:00 UTC (production/environment.yaml:3)")
	if want := w.now.Add(23 * time.Hour); !c.GateEnds.Equal(want) {
		t.Errorf("it ends %v, want %v", c.GateEnds, want)
	}
	w.passes(23*time.Hour - time.Second)
	w.heldFor(w.dryRun(), "polar:enable", "24h end")
	w.passes(time.Second)
	if r := w.only("production"); r.Environments[0].Summary.Applied != 1 {
		t.Fatalf("not applied after 24h: %s", w.show(r))
	}

	// A later change begins to wait anew.
	w.both("provider: polar\nstate: paused\n")
	w.heldFor(w.only("production"), "polar:pause", "has another value in state")
	w.only("staging")
	w.heldFor(w.only("production"), "polar:pause", "in sync since 2026-11-24 09:00 UTC")

	// Somebody resumes it in staging: the time begins again once it was put back.
	w.passes(20 * time.Hour)
	w.terra.Enable(stagingID, "polar")
	w.only("staging")
	w.passes(5 * time.Hour)
	w.heldFor(w.only("production"), "polar:pause", "in sync since 2026-11-25 05:00 UTC")

	// An approval with --now does not wait, one without does.
	hash := w.dryRun().Environments[0].PlanHash
	r := w.run(Run{Mode: report.Apply, Only: []string{"production"}, Approve: map[string]string{"production": hash}})
	w.heldFor(r, "polar:pause", "in sync since")
	r = w.run(Run{Mode: report.Apply, Only: []string{"production"}, Approve: map[string]string{"production": hash}, Now: true})
	if r.Environments[0].Summary.Applied != 1 {
		t.Fatalf("not applied with --now: %s", w.show(r))
	}

	// Drift is put back whatever staging says.
	w.write("staging/polar.yaml", "provider: polar\n")
	w.terra.Enable(devID, "polar")
	if r := w.only("production"); r.Environments[0].Summary.Applied != 1 {
		t.Errorf("drift is not put back: %s", w.show(r))
	}

	// Without after nothing waits.
	w.environment("")
	w.write("production/polar.yaml", "provider: polar\n")
	if r := w.only("production"); r.Environments[0].Summary.Applied != 1 {
		t.Errorf("it waits without after: %s", w.show(r))
	}
}

// The row of docs/reuse.md is what is printed of a change that waits, also when it waited
// before.
func TestReusePageShowsWhatWaits(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/reuse.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "    $ reconcile --dry-run --env eu/production\n")
	block, _, _ = strings.Cut(block, "\n\n")
	want := strings.ReplaceAll("\n"+block, "\n    ", "\n")

	w := newWorld(t)
	w.now = time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	const production = "dev_id: prod-eu-Rt5Yk2\nprune: never\n"
	both := func(scopes string) {
		w.write("staging/strava.yaml", "provider: strava\nscopes: ["+scopes+"]\n")
		w.write("eu/production/strava.yaml", "provider: strava\nscopes: ["+scopes+"]\n")
	}
	delete(w.files, "production/environment.yaml")
	w.terra.AddEnvironment(stagingID, terratest.EnvironmentOptions{})
	w.terra.AddEnvironment("prod-eu-Rt5Yk2", terratest.EnvironmentOptions{})
	w.write("staging/environment.yaml", "dev_id: "+stagingID+"\nprune: disable\n")
	w.write("eu/production/environment.yaml", production)
	w.write("eu/production/whoop.yaml", "provider: whoop\nafter: null\n")
	both("activity:read_all")
	w.apply()
	w.apply()
	w.passes(24 * time.Hour)
	w.write("eu/production/environment.yaml", production+"after: {environment: staging, for: 24h}\n")
	both("activity:read_all, activity:write")
	w.only("staging")
	for _, look := range []string{"first", "as before"} {
		r := w.run(Run{Mode: report.DryRun, Only: []string{"eu/production"}})
		got, _, _ := strings.Cut(printed(t, r), "\n\n")
		if diff := cmp.Diff(want, "\n"+got); diff != "" {
			t.Errorf("%s (-docs/reuse.md +printed):\n%s", look, diff)
		}
		whole := strings.Join(strings.Fields(printed(t, r, "strava")), " ")
		if why := "which has this in sync since 2026-12-01 10:00 UTC; 24h end 2026-12-02 10:00 UTC (eu/production/environment.yaml:3)"; !strings.Contains(whole, why) {
			t.Errorf("%s: --explain does not say %q:\n%s", look, why, whole)
		}
		w.only("eu/production")
		w.passes(time.Hour)
	}
}

func printed(t *testing.T, r report.Report, explain ...string) string {
	t.Helper()
	var out strings.Builder
	if err := report.Text(&out, r, report.TextOptions{Explain: explain}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A connection that the other environment does not have is not to wait for it: a line in
// its own file says so, and nothing advises to wait.
func TestPromotionOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := promoting(t, "0s")
	delete(w.files, "staging/polar.yaml")
	w.heldFor(w.only("production"), "polar:enable", "which no file names") // nor does a run there end it
	w.write("staging/oura.yaml", "provider: oura\n")
	w.only("staging")
	c := w.heldFor(w.only("production"), "polar:enable", "staging/polar, which no file names (production/environment.yaml:3)")
	if len(c.Remediations) == 0 {
		t.Fatal("nothing ends it")
	}
	want := plan.Remediation{Kind: plan.ByCommit, Text: "so that this connection does not wait", File: "production/polar.yaml", YAML: "after: null"}
	if diff := cmp.Diff(want, c.Remediations[0]); diff != "" {
		t.Error(diff)
	}
	for _, r := range c.Remediations {
		if r.Kind == plan.ByWaiting {
			t.Errorf("%q does not end it", r.Text)
		}
	}
	w.write(want.File, "provider: polar\n"+want.YAML+"\n")
	if r := w.only("production"); r.Environments[0].Summary.Applied != 1 {
		t.Errorf("the line does not free it: %s", w.show(r))
	}
}

// What is not known of the other environment is an answer: the change waits, and says so.
func TestPromotionWaitsForWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(w *world)
		want string
	}{
		"no run": {func(*world) {}, "which is not known to have it: the state has no run of it"},
		"not named": {func(w *world) {
			delete(w.files, "staging/polar.yaml")
			w.write("staging/oura.yaml", "provider: oura\n")
			w.only("staging")
		}, "which no file names"},
		"invalid":          {func(w *world) { w.only("staging"); w.write("staging/x.yaml", "provider: [\n") }, "its files have errors"},
		"its file invalid": {func(w *world) { w.only("staging"); w.write("staging/polar.yaml", "provider: [\n") }, "its files have errors"},
		"suspended": {func(w *world) {
			w.only("staging")
			w.write("staging/environment.yaml", "dev_id: "+stagingID+"\nprune: disable\nsuspend: {reason: r, owner: o, until: 2027-01-01}\n")
		}, "it is suspended until 2027-01-01 00:00 UTC (staging/environment.yaml:3)"},
		"connection suspended": {func(w *world) {
			w.only("staging")
			w.write("staging/polar.yaml", "provider: polar\nsuspend: {reason: r, owner: o, until: 2027-01-01}\n")
		}, "it is suspended until 2027-01-01 00:00 UTC (staging/polar.yaml:2)"},
		"paused": {func(w *world) {
			w.only("staging")
			w.inState(func(s *state.Store) error {
				return s.SetKillSwitch(state.KillSwitch{Environment: "staging", Reason: "r", Owner: "ada", Until: w.now.AddDate(0, 0, 9)})
			})
		}, "it is paused, no changes until 2026-12-02 09:00 UTC by ada: r"},
		"failed": {func(w *world) {
			w.only("staging")
			w.terra.DisableEnvironment(stagingID)
			w.only("staging")
		}, "its runs fail since 2026-11-23 09:00 UTC"},
		"held there": {func(w *world) {
			w.write("staging/environment.yaml", "dev_id: "+stagingID+"\nprune: disable\nmode: observe\n")
			w.only("staging")
		}, "which no run has applied yet"},
		"not in sync": {func(w *world) {
			w.only("staging")
			w.write("staging/environment.yaml", "dev_id: "+stagingID+"\nprune: disable\non_drift: report\n")
			w.terra.Pause(stagingID, "polar")
			w.only("staging")
		}, "which was not in sync when it was looked at last"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := promoting(t, "0s")
			c.do(w)
			w.heldFor(w.only("production"), "polar:enable", c.want)
			w.passes(200 * time.Hour)
			if r := w.dryRun(); w.change(r, "polar:enable").Gate == plan.Ready {
				t.Error("time alone frees it")
			}
		})
	}
}

// A window that holds nothing is not named to who approves.
func TestPromotionBesideAWindow(t *testing.T) {
	t.Parallel()
	w := promoting(t, "24h")
	w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\nwindows: [{days: [sat], from: '01:00', to: '02:00'}]\nafter: {environment: staging, for: 24h}\n")
	r := w.only("production")
	w.heldFor(r, "polar:enable", "the state has no run of it")
	if a := r.Environments[0].Approval; !a.WindowOpens.IsZero() || a.ReleasesNow != 1 {
		t.Errorf("got %+v", a)
	}
}

// A run without a state knows nothing, and says so.
func TestPromotionWithoutState(t *testing.T) {
	t.Parallel()
	w := promoting(t, "0s")
	w.only("staging")
	if got := w.change(w.dryRun(), "polar:enable"); got.Gate != plan.Ready {
		t.Fatalf("%s: %s", got.Gate, got.GateReason)
	}
	w.stateDir = t.TempDir()
	w.heldFor(w.dryRun(), "polar:enable", "which is not known to have it: this run has no state")
}

// A state of before knows no times: they begin with the next run there.
func TestPromotionCountsFromTheFirstLook(t *testing.T) {
	t.Parallel()
	w := promoting(t, "24h")
	w.only("staging")
	w.inState(func(s *state.Store) error {
		id := here()
		id.DevID = stagingID
		m, err := s.Memory(id)
		if err != nil {
			return err
		}
		for provider, c := range m.Connections {
			c.Since, c.Synced = nil, time.Time{}
			m.Connections[provider] = c
		}
		return s.SaveMemory(id, m)
	})
	w.passes(100 * time.Hour)
	w.heldFor(w.only("production"), "polar:enable", "was not in sync when it was looked at last")
	w.only("staging")
	w.heldFor(w.only("production"), "polar:enable", "in sync since 2026-11-27 13:00 UTC")
}

// What staging no longer has production no longer keeps, once it was gone for as long.
func TestPromotionOfPruning(t *testing.T) {
	t.Parallel()
	w := promoting(t, "24h")
	w.write("staging/oura.yaml", "provider: oura\n")
	w.write("production/oura.yaml", "provider: oura\n")
	w.only("staging")
	w.passes(24 * time.Hour)
	w.only("production")
	allow := func(name, id, more string) {
		w.write(name+"/environment.yaml", "dev_id: "+id+"\nprune: disable\npolicy: {allow: [{connection: oura, change: prune, until: 2027-01-01, reason: r}]}\n"+more)
	}
	allow("staging", stagingID, "")
	allow("production", devID, "after: {environment: staging, for: 24h}\n")
	delete(w.files, "production/oura.yaml")
	w.heldFor(w.only("production"), "oura:disable", "which is still named there")
	delete(w.files, "staging/oura.yaml")
	w.heldFor(w.only("production"), "oura:disable", "which is not known to be gone there")
	w.only("staging")
	gone := w.now
	w.passes(time.Hour)
	w.only("staging")
	c := w.heldFor(w.only("production"), "oura:disable", "24h end")
	if want := gone.Add(24 * time.Hour); !c.GateEnds.Equal(want) {
		t.Errorf("it ends %v, want %v", c.GateEnds, want)
	}
	w.passes(23 * time.Hour)
	if r := w.only("production"); r.Environments[0].Summary.Applied != 1 {
		t.Errorf("not pruned: %s", w.show(r))
	}
}

// A machine whose clock jumps never shortens the wait: what Terra's clock says counts.
func TestPromotionAndClocks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ atStaging, atProduction time.Duration }{
		"ahead later":             {0, 48 * time.Hour},
		"behind when staging ran": {-48 * time.Hour, 0},
		"ahead when staging ran":  {48 * time.Hour, 0},
		"behind later":            {0, -48 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := promoting(t, "24h")
			w.skew = c.atStaging
			w.only("staging")
			w.passes(time.Hour)
			w.skew = c.atProduction
			expectGate(t, w.change(w.only("production"), "polar:enable"), plan.Waiting, plan.GuardPromotion)
		})
	}
}

// TestPromotionInAnyOrder lets anything happen in any order: production never applies what
// staging was not seen with for as long as `after` says.
func TestPromotionInAnyOrder(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(uint64(walk.Seed(t)), 7))
	applied, held := 0, 0
	for n := 0; n < walk.Times(40) || n < 4000 && (applied < 10 || held < 10); n++ {
		w := promoting(t, "6h")
		file := map[string]string{"staging": "active", "production": "active"}
		var seen time.Time // since when every run of staging has seen what its file asks for
		last := ""         // and what that was
		var story []string
		for range 12 {
			w.passes(time.Duration(dice.IntN(5)) * time.Hour)
			do := dice.IntN(6)
			story = append(story, fmt.Sprintf("%s: %d", w.now.Format("02 15h"), do))
			switch name := []string{"staging", "production"}[dice.IntN(2)]; do {
			case 0, 1: // a commit
				file[name] = []string{"active", "paused"}[dice.IntN(2)]
				w.write(name+"/polar.yaml", "provider: polar\nstate: "+file[name]+"\n")
			case 2: // somebody at Terra
				if _, there := w.stateOf(stagingID); there && dice.IntN(2) == 0 {
					w.terra.Enable(stagingID, "polar")
				} else if there {
					w.terra.Pause(stagingID, "polar")
				}
			case 3, 4:
				was, there := w.stateOf(stagingID)
				w.only("staging")
				now, _ := w.stateOf(stagingID)
				if !there || was != file["staging"] || last != now {
					seen = w.now
				}
				last = now
			case 5:
				before, _ := w.stateOf(devID)
				w.only("production")
				after, _ := w.stateOf(devID)
				if before == after {
					held++
					continue
				}
				if applied++; last != after || w.now.Sub(seen) < 6*time.Hour || file["staging"] != after {
					t.Fatalf("production became %q; staging %q, its file %q, since %v, now %v\n%s", after, last, file["staging"], seen, w.now, strings.Join(story, "\n"))
				}
			}
		}
	}
	t.Logf("COUNT promotions applied=%d", applied)
	t.Logf("COUNT promotions held=%d", held)
}

// stateOf is that of the connection at Terra, "" where there is none.
func (w *world) stateOf(id string) (string, bool) {
	source, there := w.terra.Live(id).Sources["polar"]
	return source.State, there
}
