package report

import (
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func at(hour int) time.Time { return time.Date(2026, 11, 27, hour, 0, 0, 0, time.UTC) }

// What is printed as the next step is what is possible: whoever holds the state, and
// whatever was approved before.
func TestApproving(t *testing.T) {
	const (
		here, there = "`reconcile --approve production=sha256:1`", "`reconcile approve production sha256:1`"
		look        = "`reconcile --dry-run --env production`"
	)
	waits := func(now bool, frees int) Approval {
		return Approval{Frees: frees, FreesNow: 2, Standing: ApprovalWaits, Hash: "sha256:1", Now: now, Owner: "jo", At: at(8), Until: at(8).AddDate(0, 0, 1)}
	}
	windowed, late := waits(false, 0), waits(false, 0)
	windowed.Opens, late.Opens = at(20), at(8).AddDate(0, 0, 2)
	used := Approval{Frees: 2, FreesNow: 2, UsedAt: at(9), UsedRun: "run"}
	usedNow := Approval{FreesNow: 2, UsedAt: at(9), Standing: ApprovalOfOther, Owner: "jo", At: at(8)}
	for _, row := range []struct {
		name      string
		holder    Holder
		approval  Approval
		outcome   Outcome
		way, next string
	}{
		{"lets nothing through", "", Approval{}, "", "", ""},
		{"nobody holds the state", "", Approval{Frees: 2, FreesNow: 2}, "", here, "to approve this very plan: " + here},
		{"a daemon does", DaemonHolds, Approval{Frees: 2, FreesNow: 2}, "", there, "to approve this very plan: " + there},
		{"only with --now", "", Approval{FreesNow: 2}, "", "`reconcile --approve production=sha256:1 --now`", "to approve this very plan (--now does not wait for the window): `reconcile --approve production=sha256:1 --now`"},
		{"only with --now, by the daemon", DaemonHolds, Approval{FreesNow: 2, Opens: at(20)}, "", "`reconcile approve production sha256:1 --now`", "to approve this very plan (--now does not wait for the window that opens Fri 27 Nov 2026 20:00 UTC): `reconcile approve production sha256:1 --now`"},
		{"some with --now", "", Approval{Frees: 1, FreesNow: 2}, "", here, "to approve this very plan (1 change more with --now, else in the window): " + here},
		{"a daemon that only looks", LookerHolds, used, "", "", "the daemon that holds the state only looks, so it takes no approval: write `apply: true` into its daemon.yaml, or stop it, then look again: " + look},
		{"a run is under way", RunHolds, used, "", "", "a run is under way and holds the state; look again when it has ended: " + look},
		{"held, and nobody answers", UnknownHolds, Approval{Frees: 2, FreesNow: 2}, "", there, "the state is held, and who holds it does not answer; if that is a daemon, this approves this very plan: " + there},
		{"used", "", used, "", "", "this plan was approved before, and that was used at 2026-11-27 09:00 UTC; to do the same once more takes a new look: `reconcile plan --env production --out plan.json`, then `reconcile apply plan.json`"},
		{"used, another waits, and a window", "", usedNow, "", "", "this plan was approved before, and that was used at 2026-11-27 09:00 UTC; to do the same once more takes a new look (--now does not wait for the window): `reconcile plan --env production --out plan.json`, then `reconcile apply plan.json --now`"},
		{"used, by a daemon", DaemonHolds, used, "", there, "this plan was approved before, and that was used at 2026-11-27 09:00 UTC; to approve it once more: " + there},
		{"waits for the daemon", DaemonHolds, waits(false, 2), "", "", "approved by jo at 2026-11-27 08:00 UTC, waits for the daemon's next run; `reconcile now production` makes it run at once; unused it ends 2026-11-28 08:00 UTC"},
		{"waits for a daemon that is not there", "", waits(false, 2), "", here, "approved by jo at 2026-11-27 08:00 UTC, waits for the next run of a daemon; unused it ends 2026-11-28 08:00 UTC; without a daemon: " + here},
		{"waits for the window", DaemonHolds, windowed, "", "`reconcile approve production sha256:1 --now`", "approved by jo at 2026-11-27 08:00 UTC, waits for the window that opens Fri 27 Nov 2026 20:00 UTC; unused it ends 2026-11-28 08:00 UTC; not to wait for the window: `reconcile approve production sha256:1 --now`"},
		{"ends before the window", DaemonHolds, late, "", "`reconcile approve production sha256:1 --now`", "approved by jo at 2026-11-27 08:00 UTC, waits for the window that opens Sun 29 Nov 2026 08:00 UTC; unused it ends 2026-11-28 08:00 UTC, before the window opens; not to wait for the window: `reconcile approve production sha256:1 --now`"},
		{"waits, with --now", DaemonHolds, waits(true, 0), "", "", "approved by jo at 2026-11-27 08:00 UTC, waits for the daemon's next run; `reconcile now production` makes it run at once; unused it ends 2026-11-28 08:00 UTC"},
		{"ended", DaemonHolds, Approval{Frees: 2, FreesNow: 2, Standing: ApprovalEnded, Owner: "jo", At: at(8), Until: at(9)}, "", there, "this plan was approved by jo at 2026-11-27 08:00 UTC, and that ended unused at 2026-11-27 09:00 UTC; to approve it again: " + there},
		{"another plan is approved", DaemonHolds, Approval{Frees: 2, FreesNow: 2, Standing: ApprovalOfOther, Owner: "jo", At: at(8)}, "", there, "another plan was approved by jo at 2026-11-27 08:00 UTC, which the daemon's next run refuses; to approve this one instead: " + there},
		{"something was written", "", used, Applied, "", "what is still held is another plan now; look at it, then approve it: " + look},
		{"something may be written", "", used, Unknown, "", "what is still held is another plan now; look at it, then approve it: " + look},
		{"a write failed", "", Approval{Frees: 2, FreesNow: 2}, Failed, here, "to approve this very plan: " + here},
	} {
		e := Environment{Name: "production", PlanHash: "sha256:1", Approval: row.approval, Changes: []Change{
			{Change: plan.Change{Gate: plan.Ready}, Outcome: row.outcome}, {Change: plan.Change{Gate: plan.Approval, Guard: "adopt"}},
		}}
		r := Report{StateHolder: row.holder, Environments: []Environment{e}}
		r.Finish(r.StartedAt)
		if got := r.Environments[0]; got.ApproveWay != row.way || got.ApproveNext != row.next {
			t.Errorf("%s:\ngot  %s\n     %s\nwant %s\n     %s", row.name, got.ApproveWay, got.ApproveNext, row.way, row.next)
		}
	}
}
