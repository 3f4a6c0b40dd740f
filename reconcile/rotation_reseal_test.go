package reconcile

import (
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// A key that is sealed anew for another recipient in the middle of its watch is the
// same key: the watch goes on, and goes back where it must.
func TestWatchOutlivesASealForOthers(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.at("2026-12-01T02:10:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	began := w.keyStatus(w.dryRun()).SoakStartedAt
	w.now = w.now.Add(2 * time.Hour)
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T02:00:00Z"}) // sealed anew
	for range 2 {
		k := w.keyStatus(w.apply())
		if k.State != keys.Soaking || !k.SoakStartedAt.Equal(began) || k.SoakEndsAt.Sub(began) != 24*time.Hour {
			t.Fatalf("state %q, watched since %s until %s, want since %s", k.State, k.SoakStartedAt, k.SoakEndsAt, began)
		}
		w.now = w.now.Add(time.Hour)
	}
	p.accepts = []string{secretA}
	w.heard()
	w.expectLive(secretA)
}

// Another time, another client id or another secret is another key.
func TestWatchEndsWithItsKey(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]string{"another time": "2026-12-01T02:00:01Z", "another secret": "2026-12-01T02:00:00Z"} {
		w, p := rotating(t)
		w.at("2026-12-01T02:10:00Z")
		w.expectExit(w.apply(), report.ExitDone)
		secret := secretB
		if name == "another secret" {
			secret = secretC
			p.accepts = append(p.accepts, secretC)
		}
		w.keys("", key{secretA, ""}, key{secret, from})
		w.now = w.now.Add(2 * time.Hour)
		k := w.keyStatus(w.apply())
		if watched := !k.SoakEndsAt.IsZero(); watched != (secret == secretC) || watched && !k.SoakStartedAt.Equal(w.now) {
			t.Errorf("%s: watched since %s until %s at %s", name, k.SoakStartedAt, k.SoakEndsAt, w.now)
		}
	}
}
