package reconcile

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// TestHostileAdvice lets a committer and a server name an address: no line that says what to
// do carries it as if it were our advice.
func TestHostileAdvice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attack string
		before func(w *world)
		says   string // that the advice was given
	}{
		{attack: "a redirect with another path than the documented one", says: "use the path ", before: func(w *world) {
			w.own("garmin", "an-id", secretA, "  redirect_url: https://evil.example/x\ndomain: evil.example\n")
		}},
		{attack: "a redirect to a host that the runner does not list", says: "redirect_hosts", before: func(w *world) {
			w.strava(secretA, "  redirect_url: https://evil.example/auth/strava\n")
		}},
		{attack: "a domain that the runner does not list", says: "redirect_hosts", before: func(w *world) {
			w.strava(secretA, "domain: evil.example\n")
		}},
		{attack: "a redirect with a host that is none", says: "https://HOST/PATH", before: func(w *world) {
			w.strava(secretA, "  redirect_url: https://evil.example.:8443/x\n")
		}},
		{attack: "a record that the server wants published", says: "the record that Terra asks for: A evil.example", before: func(w *world) {
			w.hosts = append(w.hosts, "evil.example")
			w.strava(secretA, "  redirect_url: https://evil.example/auth/strava\ndomain: evil.example\n")
			w.terra.SetDomain(devID, "strava", "evil.example")
			w.answers("/strava/domain", func(document map[string]any) { document["state"], document["serving"] = "PENDING", false })
		}},
	} {
		t.Run(c.attack, func(t *testing.T) {
			w := newWorld(t)
			c.before(w)
			r := w.dryRun()
			var advice []string
			take := func(list []plan.Remediation) {
				for _, one := range list {
					text, err := json.Marshal(one)
					if err != nil {
						t.Fatal(err)
					}
					advice = append(advice, string(text))
				}
			}
			for _, env := range r.Environments {
				take(env.Remediations)
				for _, warning := range env.Warnings {
					take(warning.Remediations)
				}
				for _, change := range env.Changes {
					take(change.Remediations)
				}
			}
			if !slices.ContainsFunc(advice, func(line string) bool { return strings.Contains(line, c.says) }) {
				t.Errorf("no %q in %q\n%s", c.says, advice, w.show(r))
			}
			for _, line := range advice {
				if strings.Contains(line, "evil.example") && !strings.Contains(line, "Terra asks for") {
					t.Errorf("advises %s", line)
				}
			}
		})
	}
}
