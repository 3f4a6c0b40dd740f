package reconcile

import (
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const foreignDomain = "domain: auth.evil.example\npolicy: {allow: [{change: set-domain, until: 2027-01-01, reason: mine}]}\n"

// TestForeignRedirectWaitsForTheRunner: a committer cannot send end users to a host of
// their own, also not where there are no end users yet. Either way through leads on.
func TestForeignRedirectWaitsForTheRunner(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"a hash", "a list"} {
		w := newWorld(t)
		w.write("production/whoop.yaml", "provider: whoop\n")
		w.applied()
		w.write("production/whoop.yaml", "provider: whoop\n"+foreignDomain)
		r := w.expectExit(w.apply(), report.ExitHeld)
		c := w.change(r, "whoop:set-domain")
		expectGate(t, c, plan.Approval, "redirect-host")
		for _, want := range []string{"domain leads to auth.evil.example", "production/whoop.yaml:2"} {
			if !strings.Contains(c.GateReason, want) {
				t.Errorf("the reason lacks %q: %s", want, c.GateReason)
			}
		}
		for _, want := range []string{"approve this connection", "under redirect_hosts of the account in daemon.yaml", "RECONCILE_REDIRECT_HOSTS"} {
			if !strings.Contains(report.Words(c.Remediations), want) {
				t.Errorf("the way through lacks %q: %s", want, report.Words(c.Remediations))
			}
		}
		if got := w.terra.Live(devID).Sources["whoop"].Domain; got != "" {
			t.Fatalf("the domain was set: %s", got)
		}
		approve := map[string]string{}
		if way == "a hash" {
			whole := map[string]string{"production": r.Environments[0].PlanHash}
			w.expectExit(w.run(Run{Mode: report.Apply, Approve: whole}), report.ExitHeld)
			approve["production/whoop"] = r.Environments[0].Connections[0].PlanHash
		} else {
			w.hosts = []string{"auth.evil.example"}
		}
		w.expectExit(w.run(Run{Mode: report.Apply, Approve: approve}), report.ExitDone)
		if got := w.terra.Live(devID).Sources["whoop"].Domain; got != "auth.evil.example" {
			t.Errorf("%s does not let it through: domain %q", way, got)
		}
	}
}

// TestLiveRedirectIsNotForeign: a runner that lists no host holds nothing of what is
// live already, or on Terra's own host, and lets it go back to Terra's default.
func TestLiveRedirectIsNotForeign(t *testing.T) {
	t.Parallel()
	w := garminReady(t)
	w.hosts = nil
	w.terra.SetWebhookRow(garminID, "dailiesUrl", terratest.WebhookRow{})
	w.applied()
	w.own("garmin", garminID, secretA, "  redirect_url: https://access.tryterra.co/api/v2/auth/garmin/oauth2\n"+garminSetup)
	w.applied()
	w.own("garmin", garminID, secretA, "  redirect_url: null\ndomain: null\n"+garminSetup)
	moveWebhooks(w)
	w.applied()
	live := w.terra.Live(devID).Sources["garmin"]
	const terraOwn = "https://access.tryterra.co/api/v2/auth/garmin/oauth2" // what null reads back as
	if live.Domain != "" || live.Credential.RedirectURL != "" && live.Credential.RedirectURL != terraOwn {
		t.Errorf("it did not go back: %+v", live)
	}
}
