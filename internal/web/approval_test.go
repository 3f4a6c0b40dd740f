package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// says looks for texts in a page.
func says(t *testing.T, d *daemonOf, target string, want, never []string) {
	t.Helper()
	w := asking(t, site(t, d), http.MethodGet, target, "")
	text := outline(t, w.Body.String())
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("%s (%d) does not say %q:\n%s", target, w.Code, s, text)
		}
	}
	for _, s := range never {
		if strings.Contains(text, s) {
			t.Errorf("%s says %q", target, s)
		}
	}
}

// fourEyes is a daemon in which so many people must approve production, and these have.
func fourEyes(required int, connection string, by ...string) *daemonOf {
	d := busy()
	e := &d.reports["production"].Environments[0]
	e.Approval.Required = required
	for i := range e.Connections {
		e.Connections[i].Approval.Required = required
	}
	if len(by) > 0 {
		left, _ := d.Left("production")
		hash := plan.Hash(left.Plan())
		if connection != "" {
			hash = plan.ConnectionHashes(left.Plan())[connection]
		}
		for i := range d.status.Environments {
			if s := &d.status.Environments[i]; s.Name == "production" {
				s.Approved = []daemon.Approved{{Connection: connection, Hash: hash, By: by, Missing: max(0, required-len(by)), Until: noon().Add(24 * time.Hour)}}
			}
		}
	}
	return d
}

// TestFourEyesOnThePage: nothing is said to be applied before all have approved who must, and
// who has is named wherever the plan says that nobody has.
func TestFourEyesOnThePage(t *testing.T) {
	t.Parallel()
	const (
		form, connection, environment = "/approve?environment=production&provider=huawei", "/connections/production/huawei", "/environments/production"
		name, at                      = "production/huawei", " until 2 Dec 12:00 UTC: "
		kept, begins                  = "Your approval is kept. 1 more person must approve the same; nothing is applied before.", "A run begins now"
	)
	one, both := fourEyes(2, name, "jo"), fourEyes(2, name, "jo", "kim")
	says(t, one, connection+"?done=approve", []string{kept, "dt waiting approval", "dd by jo" + at + "1 more person must approve the same", "2 people must give it; approved by jo" + at}, []string{begins})
	says(t, both, connection+"?done=approve", []string{begins, "dd by jo, kim" + at + "the next run may apply it"}, []string{"is kept"})
	says(t, fourEyes(1, ""), connection+"?done=approve", []string{begins}, []string{"is kept", "waiting approval"})
	says(t, one, environment, []string{"dd by jo" + at}, []string{begins})
	says(t, fourEyes(2, "", "jo"), environment+"?done=approve", []string{kept, "must give it; approved by jo" + at, "dd by jo" + at}, []string{begins})
	says(t, fourEyes(3, ""), form, []string{"nothing is applied before 2 more people approve the same"}, []string{"dd a run begins at once"})
	says(t, one, form, []string{"dt so far", "dd jo", "dd by jo" + at, "dd a run begins at once, unless you are one of those who have approved it already"}, nil)
	says(t, fourEyes(1, ""), form, []string{"dd a run begins at once; unused"}, []string{"dt so far"})

	other := fourEyes(2, name, "jo")
	for i := range other.status.Environments {
		for j := range other.status.Environments[i].Approved {
			other.status.Environments[i].Approved[j].Hash = "sha256:0000"
		}
	}
	says(t, other, connection, nil, []string{"waiting approval", "approved by jo"})
}

// TestApprovalThatEndsBeforeItsWindow: an approval lasts a day; where the window opens later the
// form says that it is in vain, and offers not to wait. Where it opens before, nothing warns.
func TestApprovalThatEndsBeforeItsWindow(t *testing.T) {
	t.Parallel()
	const form, connection = "/approve?environment=production&provider=huawei", "/connections/production/huawei"
	waits := func(opens time.Time, releases, releasesNow int) *daemonOf {
		d := fourEyes(1, "production/huawei", "web")
		e := &d.reports["production"].Environments[0]
		for i := range e.Connections {
			a := &e.Connections[i].Approval
			a.Releases, a.ReleasesNow, a.WindowOpens = releases, releasesNow, opens
		}
		return d
	}
	late, soon := noon().Add(25*time.Hour), noon().Add(24*time.Hour)
	offer, warning := "input type=checkbox name=now value=yes", "An approval ends in a day, before the window that opens Wed 2 Dec 13:00 UTC. Unless you choose not to wait, "
	says(t, waits(late, 0, 1), form, []string{offer, warning + "nothing can be applied by it.", "all of it waits for the window"}, nil)
	says(t, waits(late, 1, 3), form, []string{offer, warning + "by it 2 changes of 3 cannot be applied.", "part of it waits for the window"}, nil)
	says(t, waits(soon, 0, 1), form, []string{offer, "Do not wait for the window that opens Wed 2 Dec 12:00 UTC"}, []string{"ends in a day, before"})
	says(t, waits(late, 1, 1), form, nil, []string{offer, "ends in a day, before"})
	says(t, waits(late, 0, 1), connection+"?done=approve", []string{"The approval ends before the window that opens Wed 2 Dec 13:00 UTC: nothing can be applied by it. Approve it again"}, []string{"A run begins now"})
	says(t, waits(soon, 0, 1), connection+"?done=approve", []string{"The approval waits for the window that opens Wed 2 Dec 12:00 UTC", "unused it ends 2 Dec 12:00 UTC"}, []string{"A run begins now"})

	now := waits(late, 0, 1)
	for i := range now.status.Environments {
		for j := range now.status.Environments[i].Approved {
			now.status.Environments[i].Approved[j].Now = true
		}
	}
	says(t, now, connection+"?done=approve", []string{"A run begins now"}, []string{"ends before"})
}

// TestApprovalOfWhatIsPaused: nobody is told that a run applies what a pause holds.
func TestApprovalOfWhatIsPaused(t *testing.T) {
	t.Parallel()
	const connection, begins, later = "/connections/production/huawei?done=approve", "A run begins now", "once no pause holds it; unused the approval ends 2 Dec 12:00 UTC."
	for target, holds := range map[string]bool{"": true, "production": true, "production/huawei": true, "production/strava": false, "staging": false} {
		d := fourEyes(1, "production/huawei", "jo")
		d.status.Paused = []daemon.Pause{{Target: target, Reason: "moving", Owner: "kim", Since: noon(), Until: noon().Add(time.Hour)}}
		if holds {
			says(t, d, connection, []string{later}, []string{begins})
		} else {
			says(t, d, connection, []string{begins}, []string{later})
		}
	}
}
