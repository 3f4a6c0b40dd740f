package reconcile

import (
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// wentBack is a world that followed two commits, gave Strava a second key by the
// newer one, and stands on the files of the older one again.
func wentBack(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.strava(secretA, "")
	before := string(w.files["production/strava.yaml"].Data)
	w.expectExit(w.from("commit-a"), report.ExitDone)
	w.strava(secretB, "")
	w.expectExit(w.from("commit-b"), report.ExitDone)
	w.write("production/strava.yaml", before)
	return w
}

func (w *world) from(commit string) report.Report {
	return w.run(Run{Mode: report.Apply, Commit: commit})
}

// TestOldCommitBringsNoOldKeyBack: a branch that goes back says so, and writes no keys
// until a person approves it or there is a commit that is new here.
func TestOldCommitBringsNoOldKeyBack(t *testing.T) {
	t.Parallel()
	w := wentBack(t)
	for range 2 {
		r := w.expectExit(w.from("commit-a"), report.ExitHeld)
		c := w.change(r, "strava:rotate-secret")
		expectGate(t, c, plan.Approval, "rewound")
		const want = "the branch is rewound: commit commit-a was attempted before commit commit-b"
		if warned := warned(r.Environments[0].Warnings); !strings.Contains(c.GateReason, want) || !strings.Contains(warned, want) {
			t.Errorf("%q is not said:\n%s\n%s", want, c.GateReason, warned)
		}
	}
	if w.liveSecret() != secretB {
		t.Fatal("the old key is live again")
	}
	expectGate(t, w.change(w.run(Run{Mode: report.DryRun, Commit: "commit-a"}), "strava:rotate-secret"), plan.Approval, "rewound")
	w.expectExit(w.from("commit-c"), report.ExitDone) // the same files, as after a git revert
	if w.liveSecret() != secretA {
		t.Error("a new commit does not pass")
	}
	if got, want := w.events(t), []string{state.EventRewound, state.EventRewoundResolved}; !slices.Equal(got, want) {
		t.Errorf("history tells %q, want %q", got, want)
	}
}

// events are those of the history that are about a branch that went back.
func (w *world) events(t *testing.T) (out []string) {
	t.Helper()
	for _, e := range w.history() {
		if strings.HasPrefix(e.Event, state.EventRewound) {
			out = append(out, e.Event)
		}
	}
	return out
}

// TestOldCommitByApproval: the hash of the connection lifts the guard, once; that of the
// whole plan, as a plan file gives it, does not.
func TestOldCommitByApproval(t *testing.T) {
	t.Parallel()
	w := wentBack(t)
	r := w.expectExit(w.from("commit-a"), report.ExitHeld)
	whole := map[string]string{"production": r.Environments[0].PlanHash}
	w.expectExit(w.run(Run{Mode: report.Apply, Commit: "commit-a", Approve: whole}), report.ExitHeld)
	if w.liveSecret() != secretB {
		t.Fatal("an approval of the whole plan passes")
	}
	alone := map[string]string{"production/strava": r.Environments[0].Connections[0].PlanHash}
	w.expectExit(w.run(Run{Mode: report.Apply, Commit: "commit-a", Approve: alone}), report.ExitDone)
	if w.liveSecret() != secretA {
		t.Error("the approval does not pass")
	}
}

// TestBackOnTheNewestCommit: a branch that was moved back by mistake and moved forward
// again is as if it never was.
func TestBackOnTheNewestCommit(t *testing.T) {
	t.Parallel()
	w := wentBack(t)
	w.expectExit(w.from("commit-a"), report.ExitHeld)
	w.strava(secretB, "")
	w.expectExit(w.from("commit-b"), report.ExitDone)
	w.strava(secretA, "")
	w.run(Run{Mode: report.DryRun, Commit: "commit-d"}) // looking follows nothing
	w.strava(secretB, "")
	w.expectExit(w.from("commit-b"), report.ExitDone)
	if got, want := w.events(t), []string{state.EventRewound, state.EventRewoundResolved}; !slices.Equal(got, want) {
		t.Errorf("history tells %q, want %q", got, want)
	}
}
