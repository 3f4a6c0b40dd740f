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
