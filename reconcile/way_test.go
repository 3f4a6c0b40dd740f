package reconcile

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestWayThroughIsWhatItSays commits, letter by letter, what a refusal proposes,
// and wants the guard to let the change through.
func TestWayThroughIsWhatItSays(t *testing.T) {
	t.Parallel()
	someUsers := func(w *world, slugs ...string) {
		for _, p := range slugs {
			w.write("production/"+p+".yaml", "provider: "+p+"\n")
			w.terra.SetUsers(devID, p, 0, 0)
		}
		w.applied()
		for _, p := range slugs {
			w.terra.SetUsers(devID, p, 7, 0)
		}
	}
	for _, c := range []struct {
		guard, id string
		set       func(w *world)
	}{
		{"destructive", "strava:update-credentials", func(w *world) {
			w.strava(secretA, "")
			w.applied()
			w.own("strava", "777777", secretB, "")
		}},
		{"destructive", "polar:disable", func(w *world) {
			someUsers(w, "polar", "oura")
			w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\n")
			delete(w.files, "production/polar.yaml")
		}},
		{"adopt", "polar:pause", func(w *world) {
			w.terra.Enable(devID, "polar")
			w.terra.SetUsers(devID, "polar", 7, 0)
			w.write("production/polar.yaml", "provider: polar\nstate: paused\n")
		}},
		{"adopt", "strava:rotate-secret", (*world).foreignStrava},
		{"on-drift", "polar:resume", func(w *world) {
			someUsers(w, "polar")
			w.environment("on_drift: report\n")
			w.terra.Pause(devID, "polar")
		}},
		{"observe", "polar:enable", func(w *world) {
			w.environment("mode: observe\n")
			w.write("production/polar.yaml", "provider: polar\n")
		}},
		{"max-changes", "polar:pause", func(w *world) {
			someUsers(w, "polar", "oura", "withings")
			for _, p := range []string{"polar", "oura", "withings"} {
				w.write("production/"+p+".yaml", "provider: "+p+"\nstate: paused\n")
			}
		}},
		{"max-changes", "strava:update-credentials", func(w *world) { // which waits for a yes as well
			someUsers(w, "polar", "oura")
			w.strava(secretA, "")
			w.applied()
			w.own("strava", "777777", secretB, "")
			for _, p := range []string{"polar", "oura"} {
				w.write("production/"+p+".yaml", "provider: "+p+"\nstate: paused\n")
			}
		}},
		// What terra.yaml says for all environments is overruled in the file of this one.
		{"on-drift", "polar:resume", func(w *world) {
			someUsers(w, "polar")
			w.write("terra.yaml", string(w.files["terra.yaml"].Data)+"defaults: {on_drift: report}\n")
			w.terra.Pause(devID, "polar")
		}},
		{"observe", "polar:enable", func(w *world) {
			w.write("terra.yaml", string(w.files["terra.yaml"].Data)+"defaults: {mode: observe}\n")
			w.write("production/polar.yaml", "provider: polar\n")
		}},
		{"max-changes", "polar:pause", func(w *world) {
			someUsers(w, "polar", "oura")
			w.write("terra.yaml", string(w.files["terra.yaml"].Data)+"defaults: {policy: {max_changes: {count: 1, percent: 10}}}\n")
			for _, p := range []string{"polar", "oura"} {
				w.write("production/"+p+".yaml", "provider: "+p+"\nstate: paused\n")
			}
		}},
		{"max-rotations", "strava:rotate-secret", func(w *world) {
			w.strava(secretA, "")
			w.own("polar", "777", secretA, "")
			w.applied()
			w.write("terra.yaml", string(w.files["terra.yaml"].Data)+"defaults: {policy: {max_rotations: 1}}\n")
			w.strava(secretB, "")
			w.own("polar", "777", secretB, "")
		}},
		{"protect", "polar:pause", func(w *world) {
			someUsers(w, "polar")
			w.environment("policy: {protect: [polar]}\n")
			w.write("production/polar.yaml", "provider: polar\nstate: paused\n")
		}},
	} {
		t.Run(c.guard+" "+c.id, func(t *testing.T) {
			w := newWorld(t)
			c.set(w)
			held := w.change(w.dryRun(), c.id)
			if held.Guard != c.guard {
				t.Fatalf("held by %q (%s), want %s", held.Guard, held.GateReason, c.guard)
			}
			at := slices.IndexFunc(held.Remediations, func(r plan.Remediation) bool { return r.YAML != "" && !strings.HasPrefix(r.Text, "keep it") })
			if at < 0 {
				t.Fatalf("no lines to commit in %+v", held.Remediations)
			}
			lines := held.Remediations[at]
			w.commit(lines.File, strings.ReplaceAll(lines.YAML, `"..."`, `"agreed in the team"`)) // which a person fills in
			if now := w.change(w.apply(), c.id); now.Outcome != report.Applied || now.Gate != plan.Ready {
				t.Errorf("after committing %q to %s: %s by %q (%s) %s", lines.YAML, lines.File, now.Gate, now.Guard, now.GateReason, now.Error)
			}
		})
	}
}

// commit puts a line in the place of one that says the same field, else at the end.
func (w *world) commit(name, line string) {
	w.t.Helper()
	field := regexp.MustCompile(`(?m)^` + regexp.MustCompile(`^[a-z_]+:`).FindString(line) + ` [a-z]+$`)
	text := string(w.files[name].Data)
	if field.MatchString(text) {
		w.write(name, field.ReplaceAllLiteralString(text, line))
		return
	}
	w.write(name, text+line+"\n")
}

// foreignStrava is a connection with keys that nobody remembers.
func (w *world) foreignStrava() {
	w.strava(secretA, "")
	w.terra.Enable(devID, "strava")
	w.terra.SetUsers(devID, "strava", 7, 0)
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretB})
}

// TestKeepingWhatWouldBePruned commits the file that a held prune proposes: the connection
// stays as it is, active or paused, and nothing is left to do.
func TestKeepingWhatWouldBePruned(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"active", "paused"} {
		w := newWorld(t)
		w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\n")
		w.write("production/strava.yaml", "provider: strava\n")
		w.write("production/polar.yaml", "provider: polar\nstate: "+state+"\n")
		w.applied()
		w.terra.SetUsers(devID, "polar", 7, 0)
		delete(w.files, "production/polar.yaml")
		held := w.change(w.dryRun(), "polar:disable")
		keep := held.Remediations[0]
		if held.Cause != plan.Prune || held.Gate != plan.Approval || keep.File != "production/polar.yaml" || keep.Kind != plan.ByCommit {
			t.Fatalf("%s: %s %s, first %+v", state, held.Cause, held.Gate, keep)
		}
		w.write(keep.File, keep.YAML+"\n")
		w.terra.ResetLog()
		r := w.apply()
		if len(r.Environments[0].Changes) > 0 || r.ExitCode != report.ExitDone || len(w.terra.Writes()) > 0 || w.terra.Live(devID).Sources["polar"].State != state {
			t.Errorf("%s: exit code %d\n%s", state, r.ExitCode, w.show(r))
		}
	}
}
