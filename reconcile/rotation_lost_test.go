package reconcile

import (
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestStateLostInTheMiddleOfASoak: what is left of the watch finds out that the new key
// died, and a person decides, since nobody remembers what was live before.
func TestStateLostInTheMiddleOfASoak(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	w.now = w.now.Add(2 * time.Hour)
	w.stateDir = t.TempDir()
	w.terra.ResetLog()
	k := w.keyStatus(w.expectExit(w.apply(), report.ExitDone))
	expectKeys(t, k, keys.Soaking, 2, 2, 0, "the soak ends 2026-12-02 02:00 UTC")
	if known := w.recalled(); !known.History.Soak.Until.Equal(k.SoakEndsAt) {
		t.Errorf("recalled %+v", known)
	}
	p.accepts = []string{secretA} // and now the new key dies
	w.heard()
	for range 20 {
		w.now = w.now.Add(2 * time.Hour)
		r := w.expectExit(w.apply(), report.ExitHeld)
		expectKeys(t, w.keyStatus(r), keys.LiveRejected, 2, 1, 0, "key 2: the provider rejects it")
		c := w.change(r, "strava:rotate-secret")
		expectGate(t, c, plan.Approval, "roll-back")
		expectText(t, c.GateReason, "nobody remembers that key 1 was ever live")
	}
	if n := len(w.terra.Effects()); n != 0 {
		t.Errorf("%d effects on what nobody remembers, want none", n)
	}
	w.expectLive(secretB)
}

// TestWatchIsTakenUpOnlyWhereItWasUnderWay by a key that the file says is new.
func TestWatchIsTakenUpOnlyWhereItWasUnderWay(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		lost  string
		until string // "" for no watch
	}{
		"in the soak":     {"2026-12-01T12:00:00Z", "2026-12-02T02:00:00Z"},
		"after the soak":  {"2026-12-02T02:00:00Z", ""},
		"months after it": {"2027-03-02T02:00:00Z", ""},
	} {
		w, _ := rotating(t)
		w.at("2026-12-01T02:10:00Z")
		w.expectExit(w.apply(), report.ExitDone)
		w.stateDir = t.TempDir()
		w.at(row.lost)
		got := ""
		if k := w.keyStatus(w.expectExit(w.apply(), report.ExitDone)); !k.SoakEndsAt.IsZero() {
			got = k.SoakEndsAt.Format(time.RFC3339)
		}
		if got != row.until {
			t.Errorf("%s: watched until %q, want %q", name, got, row.until)
		}
		if w.at("2027-04-01T00:00:00Z"); w.keyStatus(w.expectExit(w.apply(), report.ExitDone)).State != keys.OK {
			t.Errorf("%s: the watch does not end", name)
		}
	}
	w := newWorld(t)
	w.prober = &provider{accepts: []string{secretA}}
	w.keys("", key{secretA, "2026-11-23T00:00:00Z"})
	for range 2 {
		if k := w.keyStatus(w.apply()); k.State != keys.OK {
			t.Errorf("a first key that a run has set and proved: %s", k.State)
		}
	}
}
