package reconcile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestImpactOfWhatHurts plans what is disruptive or destructive, whether or not
// its class depends on end users, and wants their number beside it in every form:
// exact up to a thousand, "at least" beyond, and unknown, never none, where the
// token may not count. What is safe for everybody costs no call.
func TestImpactOfWhatHurts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		users int
		may   bool
		want  *plan.Users
		words string
	}{
		{"some", 12, true, &plan.Users{Count: 12, Exact: true}, "12 users"},
		{"as many as are counted", 1000, true, &plan.Users{Count: 1000, Exact: true}, "1,000 users"},
		{"more than are counted", 1001, true, &plan.Users{Count: 1000}, "at least 1,000 users"},
		{"not allowed to count", 12, false, nil, "users unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.environment("policy: {max_changes: {count: 20, percent: 100}}\n")
			for _, p := range []string{"polar", "oura", "withings"} {
				w.write("production/"+p+".yaml", "provider: "+p+"\n")
			}
			w.strava(secretA, "")
			w.applied()
			for _, p := range []string{"polar", "oura", "strava"} {
				w.terra.SetUsers(devID, p, c.users, 0)
			}
			if !c.may {
				w.token = w.terra.AddToken(terratest.Token{Scopes: []string{"providers:read", "providers:write"}}).Bearer
			}
			w.write("production/polar.yaml", "provider: polar\nstate: disabled\n") // destructive whoever is linked
			w.write("production/oura.yaml", "provider: oura\nstate: paused\n")     // disruptive
			w.strava(secretB, "scopes: []\n")                                      // two disruptive rows of one connection
			w.terra.ResetLog()
			r := w.dryRun()
			hurt := 0
			for _, got := range r.Environments[0].Changes {
				if got.Class == plan.Safe {
					t.Errorf("%s is safe", got.ID)
				}
				hurt++
				if (got.ActiveUsers == nil) != (c.want == nil) || c.want != nil && *got.ActiveUsers != *c.want {
					t.Errorf("%s touches %+v, want %+v", got.ID, got.ActiveUsers, c.want)
				}
			}
			if hurt < 4 {
				t.Errorf("%d changes, want 4\n%s", hurt, w.show(r))
			}
			checkCounting(t, w, c.may, r)
			checkForms(t, r, c.words)
		})
	}
}

func checkCounting(t *testing.T, w *world, may bool, r report.Report) {
	t.Helper()
	counted := map[string]int{}
	for _, call := range w.terra.Log() {
		if call.Operation == "listUsers" {
			counted[call.Provider]++
		}
	}
	if counted["withings"] > 0 {
		t.Error("end users are counted where nothing is to be done")
	}
	if may {
		return
	}
	if text := warned(r.Environments[0].Warnings); !strings.Contains(text, "connections:read") {
		t.Errorf("warnings %q, want the scope that is missing", text)
	}
}

func checkForms(t *testing.T, r report.Report, words string) {
	t.Helper()
	var text, markdown, page bytes.Buffer
	for _, form := range []struct {
		name string
		out  *bytes.Buffer
		err  error
	}{
		{"text", &text, report.Text(&text, r, report.TextOptions{})},
		{"markdown", &markdown, report.Markdown(&markdown, r)},
		{"page", &page, report.HTML(&page, r)},
	} {
		if form.err != nil {
			t.Fatal(form.err)
		}
		if !strings.Contains(form.out.String(), words) {
			t.Errorf("%s does not say %q:\n%s", form.name, words, form.out)
		}
	}
}
