package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestDisabledIsNoUnmanaged: what a run has disabled, because no file names it, is not called
// live and unmanaged; what it could not disable is.
func TestDisabledIsNoUnmanaged(t *testing.T) {
	t.Parallel()
	const target = "/connections/production/withings"
	for outcome, want := range map[report.Outcome]standing{report.Applied: disabled, report.Failed: failed} {
		d := busy()
		e := &d.reports["production"].Environments[0]
		c := changeOf("production", "withings", plan.Disable, plan.Destructive, plan.Prune)
		c.Outcome = outcome
		e.Changes = append(e.Changes, c)
		says(t, d, target, []string{lookOf(want).Sign + " " + lookOf(want).Word, "p " + lookOf(want).Means}, []string{lookOf(unmanaged).Means, "The import command writes its file"})
	}
	says(t, busy(), target, []string{lookOf(unmanaged).Means}, []string{lookOf(disabled).Means})
}

// TestSignOutIsForWhoIsSignedIn: a page that nobody has signed in to offers no end of that.
func TestSignOutIsForWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	s := site(t, busy(), withReader)
	if w := asking(t, s, http.MethodGet, "/login", ""); strings.Contains(w.Body.String(), "Sign out") {
		t.Error("the page that signs in signs out")
	}
	cookie := asking(t, s, http.MethodPost, "/login", "token="+readToken).Result().Cookies()[0]
	if w := asking(t, s, http.MethodGet, "/", "", "Cookie", cookie.Name+"="+cookie.Value); !strings.Contains(w.Body.String(), "Sign out") {
		t.Errorf("who is signed in (%d) cannot sign out", w.Code)
	}
	if w := asking(t, s, http.MethodGet, "/", "", "Authorization", "Bearer "+readToken); strings.Contains(w.Body.String(), "Sign out") {
		t.Errorf("a program without a session (%d) is offered to sign out", w.Code)
	}
}

// TestBackticksAreNoProse: texts that the reports write for terminals and Markdown have no
// raw backtick here, and what is to be typed, or is a value, has its own.
func TestBackticksAreNoProse(t *testing.T) {
	t.Parallel()
	const text, shown, raw = "write `app: own` first", "rite “app: own” first", "rite `app: own`"
	steps := []plan.Remediation{{Kind: plan.ByCommit, Text: text, File: "production/huawei.yaml", YAML: "app: own # `kept`"}}
	d := busy()
	e := &d.reports["production"].Environments[0]
	c := &e.Changes[0]
	c.ClassReason, c.GateReason, c.Remediations = text, text, steps
	c.Fields[0].To = value("`1`")
	e.NotCompared = []plan.NotCompared{{Connection: "production/fitbit", Reason: text}}
	for i := range e.Keys {
		e.Keys[i].Text, e.Keys[i].Remediations = text, steps
	}
	for _, name := range []string{"production/huawei", "production/garmin", "production/fitbit"} {
		e.Events = append(e.Events, report.Event{Kind: report.EventHeld, Connection: name, Text: text, Remediations: steps})
		e.Warnings = append(e.Warnings, plan.Warning{Connection: name, Text: text, Remediations: steps})
	}
	for i := range e.Connections {
		e.Connections[i].Approval.State, e.Connections[i].Approval.Text = report.ApprovalUsed, text
	}
	for _, target := range []string{"/", "/environments/production", "/connections/production/huawei", "/connections/production/garmin", "/connections/production/fitbit", "/approve?environment=production", "/approve?environment=production&provider=huawei", "/pause?target=production"} {
		w := asking(t, site(t, d), http.MethodGet, target, "")
		if strings.Contains(w.Body.String(), raw) || !strings.Contains(w.Body.String(), shown) && !strings.HasPrefix(target, "/pause") {
			t.Errorf("%s (%d)\n%s", target, w.Code, w.Body)
		}
	}
	says(t, d, "/approve?environment=production&provider=huawei", []string{"pre app: own # `kept`", "→ `1`"}, nil)
	for in, want := range map[string]string{"": "", "`": "`", "a `b": "a `b", "`a` `b`": "“a” “b”", "``": "“”", "a `b` `c": "a “b” `c"} {
		if got := prose(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
