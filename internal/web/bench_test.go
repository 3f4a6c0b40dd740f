package web

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// hundred is a daemon of 100 environments with ten connections each; in every tenth there
// is something to see to.
func hundred() *daemonOf {
	d := empty()
	providers := []string{"coros", "dexcom", "fitbit", "garmin", "huawei", "oura", "polar", "strava", "suunto", "whoop"}
	for i := range 100 {
		name := fmt.Sprintf("customer-%03d/production", i)
		e := report.Environment{}
		var files []File
		for j, provider := range providers {
			files = append(files, fileOf(name, provider))
			e.Keys = append(e.Keys, keyOf(name+"/"+provider, (i*7+j*13)%89, keys.OK))
		}
		if i%10 == 0 {
			c := changeOf(name, "strava", plan.UpdateCredentials, plan.Destructive, plan.Commit, plan.FieldChange{Field: plan.FieldClientID, From: value("104512345"), To: value("104599999")})
			c = gated(c, plan.Approval, "destructive", "destructive, and nobody has approved it", plan.Remediation{Kind: plan.ByApproval, Text: "approve this connection"})
			c.ActiveUsers = exactly(37)
			e.Changes = append(e.Changes, c)
		}
		d.add(name, 10-len(e.Changes), e, files...)
		d.entries = append(d.entries, state.Entry{Sequence: int64(i + 1), At: noon().Add(time.Duration(i-100) * time.Minute), Event: state.EventWrite, Environment: name, Connection: name + "/strava", Provider: "strava", Outcome: "applied"})
	}
	return d
}

// pageOf is the overview of a daemon.
func pageOf(t testing.TB, s *Site) []byte {
	w := asking(t, s, http.MethodGet, "/", "")
	if w.Code != http.StatusOK {
		t.Fatal(w.Code)
	}
	return w.Body.Bytes()
}

// TestSizeOfThePage: a page of 1,000 connections is one that a telephone loads at once.
func TestSizeOfThePage(t *testing.T) {
	t.Parallel()
	page := pageOf(t, site(t, hundred()))
	t.Logf("COUNT bytes of the page of 1000 connections=%d", len(page))
	if most := 300 << 10; len(page) > most {
		t.Errorf("the page has %d bytes, want at most %d", len(page), most)
	}
}

// BenchmarkPage makes the overview of 100 environments with 1,000 connections.
func BenchmarkPage(b *testing.B) {
	s := site(b, hundred(), func(o *Options) { o.Now = nextMinute() })
	size := 0
	for b.Loop() {
		size = len(pageOf(b, s))
	}
	took := float64(b.Elapsed()) / float64(b.N) / float64(time.Millisecond)
	b.ReportMetric(took, "ms/page")
	b.ReportMetric(float64(size)/1024, "KiB/page")
	if took > 50 {
		b.Errorf("a page takes %.1f ms, want at most 50", took)
	}
}
