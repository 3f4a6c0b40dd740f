package reconcile

import (
	"bytes"
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// scene is a state of the repository or of Terra in a walk.
type scene struct {
	name string
	set  func(w *world)
	done func(w *world) bool // the state of Terra that the scene must end in
}

// acceptsAll is a data provider that knows every pair.
type acceptsAll struct{}

func (acceptsAll) Probe(context.Context, string, string, secrets.Value) (good, bad bool, reason string) {
	return true, false, "the provider knows the pair"
}

// scenes go from an empty environment through every kind of change.
func scenes() []scene {
	live := func(w *world, p string) terratest.LiveSource { return w.terra.Live(devID).Sources[p] }
	meetsOwn := func(p string) func(*world) bool { return func(w *world) bool { return live(w, p).OwnApp } }
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
		{"a key that is due and proved", func(w *world) {
			w.prober = acceptsAll{}
			w.keys("", key{secretB, ""}, key{secretC, "2026-11-23T08:00:00Z"})
		}, func(w *world) bool { return live(w, "strava").Credential.Secret == secretC }},
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
			return p.AuthVariant == "standard" && p.Credential.Secret == secretB // nobody said whose app in words
		}},
		{"app: terra", func(w *world) { w.own("polar", "polar-app-1", secretB, "app: terra\n") },
			func(w *world) bool { return live(w, "polar").AuthVariant == "standard" && !meetsOwn("polar")(w) }},
		{"app: own", func(w *world) { w.own("polar", "polar-app-1", secretB, "app: own\n") }, meetsOwn("polar")},
		{"disable", func(w *world) { w.write("production/polar.yaml", "provider: polar\nstate: disabled\n") },
			func(w *world) bool { return live(w, "polar").State == "disabled" }},
		{"prune", func(w *world) {
			w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\npolicy:\n  max_changes: {count: 20, percent: 100}\n"+
				"  allow: [{connection: withings, change: prune, until: 2027-01-01, reason: test}]\n")
			delete(w.files, "production/withings.yaml")
		}, func(w *world) bool { return live(w, "withings").State == "disabled" }},
		{"a domain of our own", func(w *world) { w.own("garmin", garminID, secretA, "domain: "+garminDomain+"\n"+garminSetup) },
			func(w *world) bool { return live(w, "garmin").Domain == garminDomain }},
		{"it serves: a redirect on it", func(w *world) {
			w.terra.PublishDNS(garminDomain)
			w.terra.Serve(garminDomain)
			w.own("garmin", garminID, secretA, "  redirect_url: "+garminRedirect+"\ndomain: "+garminDomain+"\n"+garminSetup)
		}, func(w *world) bool { return live(w, "garmin").Credential.RedirectURL == garminRedirect }},
		{"webhooks", func(w *world) { w.own("garmin", garminID, secretA, garminFile+garminSetup) },
			func(w *world) bool { return len(live(w, "garmin").Webhooks) == 10 }},
		{"release the domain", func(w *world) {
			moveWebhooks(w)
			w.own("garmin", garminID, secretA, "  redirect_url: null\ndomain: null\n"+garminSetup)
		}, func(w *world) bool { g := live(w, "garmin"); return g.Domain == "" && g.State == "active" }},
	}
}

// TestStateWalk walks through all scenes, in each way in which the contract can be read
// where it is silent.
func TestStateWalk(t *testing.T) {
	t.Parallel()
	t.Run("as usual", func(t *testing.T) { t.Parallel(); walkThrough(t, terratest.Reading{}) })
	for _, s := range terratest.Switches() {
		var reading terratest.Reading
		s.Set(&reading)
		t.Run(s.Name, func(t *testing.T) { t.Parallel(); walkThrough(t, reading) })
	}
	t.Logf("COUNT readings_of_the_contract=%d", 1+len(terratest.Switches()))
}

func walkThrough(t *testing.T, reading terratest.Reading) {
	t.Helper()
	w := newWorldOf(t, terratest.Config{Reading: reading})
	for _, s := range scenes() {
		if reading.ByoNowhere && strings.HasPrefix(s.name, "app: ") {
			continue
		}
		s.set(w)
		r := w.applied()
		if !s.done(w) {
			t.Fatalf("%s: Terra is not as wanted\n%s", s.name, w.show(r))
		}
	}
}

// clone copies a world: its repository, its memory and its Terra.
func (w *world) clone() *world {
	w.t.Helper()
	c := *w
	c.files, c.stateDir, c.planted = maps.Clone(w.files), w.t.TempDir(), slices.Clone(w.planted)
	if err := os.CopyFS(c.stateDir, os.DirFS(w.stateDir)); err != nil {
		w.t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := w.terra.Save(&saved); err != nil {
		w.t.Fatal(err)
	}
	c.waited = &atomic.Int64{}
	c.waited.Store(w.waited.Load())
	c.newTerra()
	if err := c.terra.Load(&saved); err != nil {
		w.t.Fatal(err)
	}
	return &c
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
