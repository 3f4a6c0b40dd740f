package reconcile

import (
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestHostileApprovals commits, after a person approved a new secret, that it is proved or
// watched less: the approval is not for that.
func TestHostileApprovals(t *testing.T) {
	t.Parallel()
	const shown = "rotation: {probe: require, soak: 36h, max_user_drop: 5}\n"
	for _, c := range []struct {
		attack, then string
	}{
		{attack: "nobody is asked", then: "rotation: {probe: \"off\", soak: 36h, max_user_drop: 5}\n"},
		{attack: "an unclear answer is enough", then: "rotation: {probe: prefer, soak: 36h, max_user_drop: 5}\n"},
		{attack: "it soaks for a shorter time", then: "rotation: {probe: require, soak: 35h, max_user_drop: 5}\n"},
		{attack: "more users may fall away", then: "rotation: {probe: require, soak: 36h, max_user_drop: 6}\n"},
		{attack: "what was strict is not said any more", then: ""},
	} {
		t.Run(c.attack, func(t *testing.T) {
			for name, approve := range map[string]func(w *world, r report.Report) Run{
				"of the plan": func(_ *world, r report.Report) Run {
					return Run{Approve: map[string]string{"production": r.Environments[0].PlanHash}}
				},
				"of the connection": func(_ *world, r report.Report) Run {
					return Run{Approve: map[string]string{"production/strava": r.Environments[0].Connections[0].PlanHash}}
				},
				"that waits": func(w *world, r report.Report) Run {
					w.inState(func(s *state.Store) error {
						return s.SaveApproval(here(), state.Approval{Hash: r.Environments[0].PlanHash, At: w.now, Until: w.now.Add(time.Hour), By: []string{"jo"}})
					})
					return Run{Waiting: true}
				},
			} {
				w, accepted := newWorld(t), &provider{accepts: []string{secretA, secretB}}
				w.prober = accepted
				w.strava(secretA, shown)
				w.applied()
				w.terra.SetUsers(devID, "strava", 7, 0)
				w.strava(secretB, shown)
				file := string(w.files["production/strava.yaml"].Data)
				r := w.dryRun()
				w.write("production/strava.yaml", file[:len(file)-len(shown)]+c.then)
				run := approve(w, r)
				run.Mode = report.Apply
				w.terra.ResetLog()
				w.refused(w.run(run), "is not for ")
				w.write("production/strava.yaml", file)
				run = approve(w, r)
				run.Mode = report.Apply
				if r := w.run(run); w.change(r, "strava:rotate-secret").Outcome != report.Applied {
					t.Errorf("an approval %s, and nothing else changed: exit %d\n%s", name, r.ExitCode, w.show(r))
				}
			}
		})
	}
}

// TestStricterProofKeepsAPlanFile: a plan that is proved and watched more than was shown
// may be applied.
func TestStricterProofKeepsAPlanFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.strava(secretB, "")
	file := w.planFile()
	w.write("production/strava.yaml", string(w.files["production/strava.yaml"].Data)+"rotation: {soak: 48h, max_user_drop: 5}\n")
	if r := w.applyFile(file); w.change(r, "strava:rotate-secret").Outcome != report.Applied {
		t.Errorf("exit %d\n%s", r.ExitCode, w.show(r))
	}
}
