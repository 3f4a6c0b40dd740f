package reconcile

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestStopIsBounded: a write whose answer does not come and the reading back of another one
// share one time, and the journal knows of both.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.now, w.flows = time.Now(), true
		w.write("production/polar.yaml", "provider: polar\n")
		w.write("production/oura.yaml", "provider: oura\n")
		w.terra.Fault(terratest.Fault{Kind: terratest.Hang, Operation: "enableSource", Times: terratest.Always,
			Match: func(c terratest.Call) bool { return c.Provider == "polar" }})
		w.terra.Fault(terratest.Fault{Kind: terratest.Hang, Operation: "listSources", Nth: 3, Times: terratest.Always})
		ctx, cancel := context.WithCancel(t.Context())
		w.ctx = ctx
		began := time.Now()
		time.AfterFunc(3*time.Second, cancel)
		r := w.expectExit(w.apply(), report.ExitFailed)
		if took := time.Since(began); took < 3*time.Second+inFlightGrace || took > 3*time.Second+inFlightGrace+100*time.Millisecond {
			t.Errorf("it ended %v after the stop, want %v", took-3*time.Second, inFlightGrace)
		}
		for _, id := range []string{"polar:enable", "oura:enable"} {
			if c := w.change(r, id); c.Outcome != report.Unknown {
				t.Errorf("%s: %s %s", id, c.Outcome, c.Error)
			}
		}
		if n := len(w.pending()); n != 2 {
			t.Errorf("%d writes in the journal, want 2", n)
		}
		w.ctx = nil
		w.terra.ClearFaults()
		w.expectExit(w.apply(), report.ExitDone)
		w.inSync()
	})
}
