package reconcile

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// scene is a state of the repository or of Terra in a walk.
type scene struct {
	name string
	set  func(w *world)
	done func(w *world) bool // the state of Terra that the scene must end in
}

// scenes go from an empty environment through every kind of change.
func scenes() []scene {
	live := func(w *world, p string) terratest.LiveSource { return w.terra.Live(devID).Sources[p] }
	return []scene{
		{"enable and set", func(w *world) {
			w.environment("policy: {max_changes: {count: 20, percent: 100}}\n")
			w.strava(secretA, "")
		}, func(w *world) bool {
			s := live(w, "strava")
			return s.State == "active" && s.Credential != nil && s.Credential.Secret == secretA
		}},
		{"rotate", func(w *world) {
			w.terra.SetUsers(devID, "strava", 12, 3)
			w.strava(secretB, "")
		},
			func(w *world) bool { return live(w, "strava").Credential.Secret == secretB }},
		{"scopes", func(w *world) { w.strava(secretB, "scopes: [activity:read_all]\n") },
			func(w *world) bool { return len(live(w, "strava").Scopes) == 1 }},
		{"default scopes", func(w *world) { w.strava(secretB, "scopes: null\n") },
			func(w *world) bool { return live(w, "strava").Scopes == nil }},
		{"pause", func(w *world) { w.strava(secretB, "state: paused\n") },
			func(w *world) bool { return live(w, "strava").State == "paused" }},
		{"resume", func(w *world) { w.strava(secretB, "") },
			func(w *world) bool { return live(w, "strava").State == "active" }},
		{"new client_id", func(w *world) {
			w.write("production/strava.yaml", "provider: strava\ncredentials:\n  client_id: \"777777\"\n  client_secret: "+
				w.seal("strava", "client_secret", secretA, "    ")+
				"policy: {allow: [{change: client_id, to: \"777777\", until: 2027-01-01, reason: test}]}\n")
		}, func(w *world) bool {
			c := live(w, "strava").Credential
			return c.ClientID == "777777" && c.Secret == secretA
		}},
		{"three more", func(w *world) {
			for _, p := range []string{"polar", "withings", "freestylelibre"} {
				w.write("production/"+p+".yaml", "provider: "+p+"\n")
			}
		}, func(w *world) bool {
			return live(w, "withings").State == "active" && live(w, "polar").State == "active"
		}},
		{"own app of a provider that has Terra's", func(w *world) {
			w.write("production/polar.yaml", "provider: polar\ncredentials:\n  client_id: polar-app-1\n  client_secret: "+
				w.seal("polar", "client_secret", secretB, "    "))
		}, func(w *world) bool {
			p := live(w, "polar")
			return p.AuthVariant == "byo" && p.Credential.Secret == secretB
		}},
		{"back to Terra's app", func(w *world) { w.write("production/polar.yaml", "provider: polar\napp: terra\n") },
			func(w *world) bool { return live(w, "polar").AuthVariant == "standard" }},
		{"disable", func(w *world) { w.write("production/polar.yaml", "provider: polar\nstate: disabled\n") },
			func(w *world) bool { return live(w, "polar").State == "disabled" }},
		{"prune", func(w *world) {
			w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\npolicy:\n  max_changes: {count: 20, percent: 100}\n"+
				"  allow: [{connection: withings, change: prune, until: 2027-01-01, reason: test}]\n")
			delete(w.files, "production/withings.yaml")
		}, func(w *world) bool { return live(w, "withings").State == "disabled" }},
	}
}

func TestStateWalk(t *testing.T) {
	w := newWorld(t)
	for _, s := range scenes() {
		s.set(w)
		r := w.applied()
		if !s.done(w) {
			t.Fatalf("%s: Terra is not as wanted\n%s", s.name, w.show(r))
		}
	}
}

// TestCrashWalk loses the answer of the n-th call, for every n of every scene,
// and demands that the next runs converge, that nothing happened twice with an
// effect, and that what we enabled stays ours.
func TestCrashWalk(t *testing.T) {
	points := 0
	before := newWorld(t)
	for _, s := range scenes() {
		for _, kind := range []terratest.Kind{terratest.LostAnswer, terratest.ConnectionReset, terratest.Status500} {
			for n := 1; crashAt(t, before.clone(), kind, s, n); n++ {
				points++
			}
		}
		s.set(before)
		before.applied()
	}
	t.Logf("COUNT crash_walk_points=%d", points)
	if points < 100 {
		t.Errorf("only %d points", points)
	}
}

// clone copies a world: its repository, its memory and its Terra.
func (w *world) clone() *world {
	w.t.Helper()
	c := *w
	c.files, c.stateDir = maps.Clone(w.files), w.t.TempDir()
	if err := os.CopyFS(c.stateDir, os.DirFS(w.stateDir)); err != nil {
		w.t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := w.terra.Save(&saved); err != nil {
		w.t.Fatal(err)
	}
	c.terra = terratest.New(terratest.Config{Clock: func() time.Time { return c.now }})
	c.terra.Watch(w.t)
	if err := c.terra.Load(&saved); err != nil {
		w.t.Fatal(err)
	}
	return &c
}

func crashAt(t *testing.T, w *world, kind terratest.Kind, s scene, n int) (struck bool) {
	t.Helper()
	s.set(w)
	w.options.MaxAttempts = 1
	w.terra.ResetLog()
	w.terra.Fault(terratest.Fault{Kind: kind, Nth: n, Times: 1})
	first := w.apply()
	if len(w.terra.Log()) < n {
		return false
	}
	w.terra.ClearFaults()
	where := fmt.Sprintf("%s at call %d of %q", kind, n, s.name)
	for range 3 {
		if w.apply(); w.dryRun().ExitCode == report.ExitDone {
			break
		}
	}
	if r := w.dryRun(); r.ExitCode != report.ExitDone || !s.done(w) {
		t.Fatalf("%s: does not converge\nfirst %s\nthen %s", where, w.show(first), w.show(r))
	}
	seen := map[string]bool{}
	for _, c := range w.terra.Effects() {
		key := c.Operation + " " + c.Provider + fmt.Sprint(c.Providers, c.Fields)
		if seen[key] {
			t.Errorf("%s: %s had an effect twice", where, key)
		}
		seen[key] = true
	}
	checkOwned(t, w, where)
	return true
}

// checkOwned removes every file and asks what would be pruned.
func checkOwned(t *testing.T, w *world, where string) {
	t.Helper()
	w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\n")
	for name := range w.files {
		if name != "terra.yaml" && name != "production/environment.yaml" {
			delete(w.files, name)
		}
	}
	r := w.dryRun()
	pruned := map[string]bool{}
	for _, c := range r.Environments[0].Changes {
		pruned[c.Provider] = c.Cause == plan.Prune
	}
	for provider, s := range w.terra.Live(devID).Sources {
		if s.State != "disabled" && !pruned[provider] {
			t.Errorf("%s: %s is not ours any more", where, provider)
		}
	}
}
