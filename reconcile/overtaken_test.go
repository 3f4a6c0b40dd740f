package reconcile

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestOvertakenRunFinishesWhatItBegan: from the moment at which a newer commit is there no
// other connection is begun, and none that was begun stays half done.
func TestOvertakenRunFinishesWhatItBegan(t *testing.T) {
	t.Parallel()
	const why = "commit 1a2b3c4d5e6f arrived"
	for _, after := range []string{"listSourceTypes", "batchEnableSources", "setSourceCredentials"} {
		w := newWorld(t)
		w.environment("policy: {max_changes: {count: 1000, percent: 100}}\n")
		if after == "setSourceCredentials" { // more than are written side by side, each in two steps
			for i := range 20 {
				slug := fmt.Sprintf("made_up_%02d", i)
				w.terra.SetSourceType("", terratest.SourceType{Provider: slug, DisplayName: slug, Icon: "i", AuthType: "oauth2", DataTypes: []string{}, BYOSupported: true, CustomCredentialsAllowed: true})
				w.terra.Enable(devID, slug)
				w.own(slug, "an-id", secretC, "state: paused\n")
			}
		} else {
			w.own("whoop", "an-id", secretC, "")
			w.write("production/polar.yaml", "provider: polar\nstate: paused\n")
			w.write("production/oura.yaml", "provider: oura\nscopes: null\n")
		}
		var overtaken atomic.Bool
		w.terra.Fault(terratest.Fault{Kind: terratest.Latency, Operation: after, Times: terratest.Always, Match: func(terratest.Call) bool {
			overtaken.Store(true)
			return false
		}})
		var writes []string
		r := w.run(Run{Mode: report.Apply, Writes: func(c []string) { writes = c }, Overtaken: func() string {
			if overtaken.Load() {
				return why
			}
			return ""
		}})
		done := map[string]map[report.Outcome]int{}
		for _, c := range r.Environments[0].Changes {
			if done[c.Connection] == nil {
				done[c.Connection] = map[report.Outcome]int{}
			}
			done[c.Connection][c.Outcome]++
			if c.Outcome == report.NotAttempted && c.Error != "the run ended before: "+why && !strings.HasSuffix(c.Error, "comes first") {
				t.Errorf("%s: %q", c.ID, c.Error)
			}
		}
		for connection, outcomes := range done {
			if len(outcomes) != 1 {
				t.Errorf("overtaken in %s: %s is half done: %v", after, connection, outcomes)
			}
		}
		if len(writes) != len(done) || len(done) < 3 {
			t.Errorf("told of %v, changed %v", writes, done)
		}
		left := after != "batchEnableSources" // by then all are begun
		if (r.EndedEarly == why) != left || !left && r.EndedEarly != "" || after == "listSourceTypes" && len(w.terra.Effects()) > 0 {
			t.Errorf("overtaken in %s: ended early %q, %v", after, r.EndedEarly, done)
		}
		w.expectExit(w.apply(), report.ExitDone)
		w.inSync()
	}
}

// TestRunThatIsEndedEarlySaysSo in the place of what its calls say of it, and nothing of it
// stands in the history.
func TestRunThatIsEndedEarlySaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/polar.yaml", "provider: polar\n")
	ctx, end := context.WithCancelCause(t.Context())
	w.ctx = ctx
	w.terra.Fault(terratest.Fault{Kind: terratest.Hang, Operation: "listSources", Match: func(terratest.Call) bool {
		end(&report.EndedEarlyError{Why: "commit 1a2b3c4d5e6f arrived"})
		return true
	}})
	r := w.apply()
	if r.EndedEarly != "commit 1a2b3c4d5e6f arrived" || r.Environments[0].Error != "ended early: commit 1a2b3c4d5e6f arrived" || len(r.Environments[0].Remediations) > 0 {
		t.Errorf("%q, %q", r.EndedEarly, r.Environments[0].Error)
	}
	if told := w.history(); len(told) > 0 {
		t.Errorf("the history has %+v", told)
	}
}
