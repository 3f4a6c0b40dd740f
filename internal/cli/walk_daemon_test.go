//go:build linux

package cli

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// daemonsSampled is how many deaths of all that there are of the daemon CI tries.
const daemonsSampled = 18

const stravaFile = "production/strava.yaml"

// servedScene is what people do with a running daemon. It has to come out the same
// when the daemon dies on the way, and they do again what was not confirmed.
type servedScene struct {
	name  string
	after string // the scene of the kill walk in whose world it begins
	exit  int    // of a run that has nothing left to do
	file  func(w *walkWorld)
	play  func(d *served, file string) error
}

func servedScenes(t *testing.T) []servedScene {
	return []servedScene{
		{
			"a pause holds a commit until it is lifted", "rotate a secret that nobody is asked about", report.ExitDone,
			func(w *walkWorld) { w.own(t, "strava", "123456", walkKeyB, "scopes: [activity:read_all]\n") },
			func(d *served, file string) error {
				approved := "" // what a pause held takes a yes
				set, lift := d.pause()
				return d.do(d.begins, set, d.commits(file), d.held, d.runs, d.held, lift, d.approve(&approved))
			},
		},
		{
			"an approval serves once", "rotate a secret that nobody is asked about", report.ExitHeld,
			func(w *walkWorld) { w.own(t, "strava", "777777", walkKeyA, "") },
			func(d *served, file string) error {
				approved := ""
				approve, byHand := d.approve(&approved), d.happens(func() {
					d.terra.SetCredential(walkDevID, "strava", terratest.Credential{ClientID: "123456", Secret: walkKeyB})
				})
				d.whenDead = func() error { // by hand at once, once it was done: the approval may not bring it back
					if d.meddled = len(d.terra.Effects()) > 0; d.meddled {
						return byHand()
					}
					return nil
				}
				served := d.servedOnce(&approved)
				return d.do(d.begins, d.commits(file), approve, d.runs, byHand, d.runs, served, d.ends, d.begins, served)
			},
		},
		{
			"a key's time comes, and its people fall away", "a fourth key, and people", report.ExitHeld,
			func(w *walkWorld) {
				w.keys(t, "777777", [2]string{walkKeyD, "2027-05-01T02:00:00Z"}, [2]string{walkKeyE, "2027-06-01T02:00:00Z"})
			},
			func(d *served, file string) error {
				known := d.happens(func() { d.terra.AcceptPair("strava", "777777", walkKeyE) })
				due := d.happens(func() { d.at("2027-06-01T02:10:00Z") })
				fall := d.happens(func() { d.breakKey(walkKeyE, "2027-06-01T03:00:00Z", "2027-06-01T05:00:00Z") })
				later := d.happens(func() { d.at("2027-06-01T05:06:00Z") })
				return d.do(d.begins, known, d.commits(file), d.live(walkKeyD), due, d.rests(report.ExitDone), d.live(walkKeyE),
					fall, d.rests(report.ExitDone), later, d.rests(report.ExitHeld), d.live(walkKeyE))
			},
		},
	}
}

// servedDeath is one death of the daemon in one scene.
type servedDeath struct {
	servedScene
	walked *walked
	sealed string // what file writes, the same each time
	death  death
}

// killDaemon kills the real daemon as the kill walk kills a single run, while
// people pause and approve by its socket, commit, and let time go by.
func killDaemon(t *testing.T, scenes []*walked, some []servedScene) {
	var all []servedDeath
	for _, scene := range some {
		all = append(all, scene.through(t, scenes)...)
	}
	chosen, seed := walk.Sample(t, all, daemonsSampled, func(d servedDeath) string { return d.name + d.death.kind })
	t.Logf("COUNT daemon_walk_seed=%d", seed)
	t.Logf("COUNT daemon_walk_points=%d", len(all))
	t.Logf("COUNT daemon_walk_scenes=%d", len(servedScenes(t)))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	total := 0
	for _, one := range chosen {
		group.Go(func() error {
			d, err := one.plays(t)
			switch {
			case err == nil && d.meddled:
				err = one.walked.compareTerra(d.walkWorld)
			case err == nil:
				err = one.walked.compare(d.walkWorld)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("death %s %d of %q: %v", one.death.kind, one.death.n, one.name, err)
			}
			total += d.deaths
			return nil
		})
	}
	_ = group.Wait()
	t.Logf("COUNT daemon_walk_deaths=%d", total)
	if total < len(chosen)*9/10 {
		t.Errorf("only %d of %d deaths came about", total, len(chosen))
	}
}

// through plays a scene without a death, and gives all there can be.
func (scene servedScene) through(t *testing.T, scenes []*walked) (all []servedDeath) {
	t.Helper()
	i := slices.IndexFunc(scenes, func(s *walked) bool { return s.name == scene.after })
	before, err := scenes[i].after.clone(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other := *before
	other.files = map[string]string{}
	scene.file(&other)
	one := servedDeath{servedScene: scene, sealed: other.files[stravaFile]}
	one.walked = &walked{walkScene: walkScene{name: scene.name, exit: scene.exit}, before: before, takesLonger: true}
	d, err := one.plays(t)
	if err != nil {
		t.Fatalf("%s: %v", scene.name, err)
	}
	one.walked.after, one.walked.effects = d.walkWorld, effects(d.terra.Effects())
	if one.walked.remembered, err = d.remembered(); err != nil {
		t.Fatal(err)
	}
	points, err := d.points()
	if err != nil {
		t.Fatal(err)
	}
	for _, death := range deaths(d.gate.calls, points) {
		one.death = death
		all = append(all, one)
	}
	return all
}

// plays a scene with a daemon that dies once, or never.
func (one servedDeath) plays(t *testing.T) (*served, error) {
	w, err := one.walked.before.clone(t.TempDir())
	d := newServed(t, w, one.death)
	if err == nil {
		err = w.commit()
	}
	if err != nil {
		return d, err
	}
	if err := one.play(d, one.sealed); err != nil {
		return d, err
	}
	return d, d.do(d.rests(one.exit), d.ends)
}

// pause sets a kill switch and lifts it. What was confirmed holds, whoever dies.
func (d *served) pause() (set, lift func() error) {
	isSet, isLifted := false, false
	set = func() error {
		s, _, err := d.status()
		switch {
		case err != nil || len(s.Paused) > 0:
			return err
		case isSet:
			return d.problem("a pause that was confirmed is gone")
		}
		_, err = d.ask.Pause(d.t.Context(), daemon.PauseRequest{Target: "production", Reason: "walk", Seconds: 3600})
		isSet = err == nil
		return err
	}
	lift = func() error {
		s, _, err := d.status()
		switch {
		case err != nil || len(s.Paused) == 0:
			return err
		case isLifted:
			return d.problem("a pause that was lifted is back")
		}
		_, err = d.ask.Resume(d.t.Context(), daemon.ResumeRequest{Target: "production"})
		isLifted = err == nil
		return err
	}
	return set, lift
}

// held wants nothing to happen.
func (d *served) held() error {
	s, _, err := d.status()
	switch {
	case err != nil:
		return err
	case len(s.Paused) != 1 || d.last.Gated == 0:
		return d.problem("%d pauses are on and %d changes are held", len(s.Paused), d.last.Gated)
	case len(d.terra.Writes()) > 0:
		return d.problem("a write left while it was paused")
	}
	return nil
}

// approve says yes to what the last run shows until it is applied: an approval
// that a death has used up serves nobody, and takes another look.
func (d *served) approve(approved *string) func() error {
	return func() error {
		for range 4 {
			_, e, err := d.status()
			if err != nil || len(d.terra.Effects()) > 0 {
				return err
			}
			run := d.runs
			if len(e.Approved) == 0 {
				*approved = e.LastRun.PlanHash
				if err := d.happens(func() { d.now = d.now.Add(time.Minute) })(); err != nil {
					return err
				}
				if _, err := d.ask.Approve(d.t.Context(), daemon.Approval{Environment: "production", Hash: *approved}); err != nil {
					return err
				}
				run = d.ran // an approval starts it: one more would be taken for that of the next step
			}
			if err := run(); err != nil {
				return err
			}
		}
		return d.problem("what was approved is not applied")
	}
}

// servedOnce wants the plan that was approved to be due again, and to be held.
func (d *served) servedOnce(approved *string) func() error {
	return func() error {
		_, e, err := d.status()
		switch {
		case err != nil:
			return err
		case d.last.PlanHash != *approved || d.last.Gated == 0:
			return d.problem("the plan is %s with %d held, want %s", d.last.PlanHash, d.last.Gated, *approved)
		case len(d.terra.Effects()) != 1 || len(e.Approved) > 0:
			return d.problem("the approval had %d effects, and one waits: %v", len(d.terra.Effects()), len(e.Approved) > 0)
		}
		return nil
	}
}

// live wants Strava to have a secret.
func (d *served) live(secret string) func() error {
	return func() error {
		if got := d.walkWorld.live().Sources["strava"].Credential.Secret; got != secret {
			return d.problem("live is the secret that ends in %s, want %s", got[len(got)-4:], secret[len(secret)-4:])
		}
		return nil
	}
}
