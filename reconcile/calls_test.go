package reconcile

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestCallsOfAFirstApply: a new connection takes three calls (a look, the keys, reading
// them back), and all of them together two lists, one batch and one count of end users.
// Where there are one or two, each is enabled by a call of its own. Every write is read back.
func TestCallsOfAFirstApply(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 6} {
		w := newWorld(t)
		w.environment("policy: {max_changes: {count: 20, percent: 100}}\n")
		slugs := []string{"strava", "whoop", "huawei", "polar", "withings", "dexcom"}[:n]
		for _, p := range slugs {
			w.own(p, "123456", secretA, "")
		}
		w.expectExit(w.apply(), report.ExitDone)
		got := map[string]int{}
		for _, c := range w.terra.Log() {
			got[c.Operation]++
		}
		want := map[string]int{"getMe": 1, "listSourceTypes": 1, "listSources": 1 + 2, "listUsers": 1, "batchEnableSources": 1,
			"getSourceCredentials": 2 * n, "setSourceCredentials": n}
		if n < batchFrom {
			delete(want, "batchEnableSources")
			want["enableSource"], want["listUsers"] = n, n
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d new connections: %v, want %v", n, got, want)
		}
		w.inSync()
	}
}

// TestUsersAreCountedOneByOneWhereTheyAreMany: one call that does not list them all counts
// nobody.
func TestUsersAreCountedOneByOneWhereTheyAreMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, p := range []string{"polar", "withings", "oura"} {
		w.terra.Enable(devID, p)
		w.terra.SetUsers(devID, p, 90+i, 5)
		w.write("production/"+p+".yaml", "provider: "+p+"\nstate: paused\n")
	}
	r := w.dryRun()
	for i, p := range []string{"polar", "withings", "oura"} {
		if u := w.change(r, p+":pause").ActiveUsers; u == nil || u.Count != 90+i || !u.Exact {
			t.Errorf("%s: %+v", p, u)
		}
	}
	if n := countCalls(w, "listUsers"); n != 4 {
		t.Errorf("%d lists of users, want one and three", n)
	}
	w.terra.SetUsers(devID, "oura", 9, 0)
	w.terra.ResetLog()
	if u := w.change(w.dryRun(), "oura:pause").ActiveUsers; u == nil || u.Count != 9 || countCalls(w, "listUsers") != 1 {
		t.Errorf("%+v in %d lists", u, countCalls(w, "listUsers"))
	}
}

func countCalls(w *world, operation string) int {
	n := 0
	for _, c := range w.terra.Log() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// TestDomainComesBeforeTheEnable: it needs no enabled source, so that keys go live on a
// redirect that works.
func TestDomainComesBeforeTheEnable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own("garmin", garminID, secretA, garminFile+garminSetup)
	w.apply()
	var order []string
	for _, c := range w.terra.Effects() {
		order = append(order, c.Operation)
	}
	if want := []string{"setSourceDomain", "enableSource", "setSourceCredentials"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
}

// TestFirstApplyAtAnUnannouncedLimit applies new connections beside others that are live
// already, at a Terra that allows 20 calls a second and says so to nobody: fewer than one
// call in twenty is refused.
func TestFirstApplyAtAnUnannouncedLimit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ live, fresh int }{{0, 60}, {60, 0}, {40, 40}} {
		t.Run(fmt.Sprintf("%d live and %d new", row.live, row.fresh), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldOf(t, terratest.Config{RateLimit: terratest.Rate{Calls: 20, Per: time.Second}, Latency: 50 * time.Millisecond, QuietLimit: true})
				w.now = time.Now()
				start := time.Now()
				w.flows = true
				w.options.Limits = terra.NewLimits()
				w.environment("policy: {max_changes: {count: 100, percent: 100}}\n")
				for i := range row.live + row.fresh {
					p := fmt.Sprintf("watch_%02d", i)
					w.terra.SetSourceType("", terratest.SourceType{Provider: p, DisplayName: p, AuthType: "oauth2", DataTypes: []string{},
						CustomCredentialsAllowed: true, CustomerCredentialsRequired: true})
					w.own(p, "123456", secretA, "")
					if i < row.live {
						w.terra.Enable(devID, p)
						w.terra.SetCredential(devID, p, terratest.Credential{ClientID: "123456", Secret: secretA})
					}
				}
				w.expectExit(w.apply(), report.ExitDone)
				refused := 0
				for _, c := range w.terra.Log() {
					if c.Status == http.StatusTooManyRequests {
						refused++
					}
				}
				sent := len(w.terra.Log())
				t.Logf("%d of %d calls refused in %v", refused, sent, time.Since(start))
				if least := 2*row.live + 3*row.fresh; sent < least || float64(refused) >= 0.05*float64(sent) {
					t.Errorf("%d of %d calls were refused, want fewer than 5%% of %d or more", refused, sent, least)
				}
			})
		})
	}
}
