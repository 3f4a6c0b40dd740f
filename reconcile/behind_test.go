package reconcile

import (
	"context"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// catalogueProber asks with the catalogue's own probes.
type catalogueProber struct{ *providers.Prober }

func (p catalogueProber) Probe(ctx context.Context, slug, clientID string, secret secrets.Value) (good, bad bool, reason string) {
	r := p.Prober.Probe(ctx, slug, clientID, secret)
	return r.Verdict == providers.Good, r.Verdict == providers.Bad, r.Reason
}

// behind is a world in which the emulated Strava stands behind Terra: it knows
// secret A of 40 end users, answers the catalogue's probe, and lets people fall
// away while the live secret is wrong. It is 1 December, 02:00.
func behind(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.prober = catalogueProber{providers.NewProber(w.terra.ProviderRoundTripper(), nil)}
	w.terra.AcceptPair("strava", "123456", secretA)
	w.keys("", key{secretA, ""})
	w.applied()
	w.terra.SetUsers(devID, "strava", 40, 0)
	w.at("2026-12-01T02:00:00Z")
	w.expectExit(w.apply(), report.ExitDone)
	return w
}

// reset is what a person does in Strava's portal.
func (w *world) reset(secret string, overlap time.Duration) {
	w.terra.ResetSecret("strava", "123456", secret, overlap)
}

// runs applies every quarter of an hour and returns the last report.
func (w *world) runs(d time.Duration) report.Report {
	w.t.Helper()
	var r report.Report
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(15 * time.Minute)
		r = w.apply()
	}
	return r
}

func (w *world) expectUsers(most, least int) {
	w.t.Helper()
	if n := w.terra.Live(devID).Sources["strava"].ActiveUsers; n < least || n > most {
		w.t.Errorf("%d end users are left, want %d to %d", n, least, most)
	}
}

func TestOverlapLosesNobody(t *testing.T) {
	t.Parallel()
	w := behind(t)
	w.reset(secretB, 24*time.Hour)
	w.keys("", key{secretA, ""}, key{secretB, "2026-12-01T12:00:00Z"})
	w.expectExit(w.runs(3*24*time.Hour), report.ExitDone)
	w.expectLive(secretB)
	w.expectUsers(40, 40)
}

// The key comes two hours after the reset: those whose token ran out meanwhile
// are lost, nobody after that, and their fall is not taken for the new key's.
func TestLateKeyStopsTheFall(t *testing.T) {
	t.Parallel()
	w := behind(t)
	w.reset(secretB, 0)
	w.expectExit(w.runs(2*time.Hour), report.ExitDone)
	w.expectUsers(27, 27)
	w.keys("", key{secretA, ""}, key{secretB, ""})
	w.expectExit(w.runs(30*time.Hour), report.ExitDone)
	w.expectLive(secretB)
	w.expectUsers(27, 25)
}

// The reset killed the old secret and the new one was copied wrong: nothing is
// written until the right one comes.
func TestWrongCopyWaitsForTheRightOne(t *testing.T) {
	t.Parallel()
	w := behind(t)
	w.reset(secretB, 0)
	w.keys("", key{secretA, ""}, key{secretC, ""})
	r := w.expectExit(w.runs(time.Hour), report.ExitHeld)
	c := w.change(r, "strava:rotate-secret")
	expectText(t, c.GateReason, "and every other pair too, as where it is out of order")
	expectKeys(t, w.keyStatus(r), keys.LiveRejected, 1, 2, 0, "seal the right one, or make a new key at https://www.strava.com/settings/api, and within minutes: `reconcile rotate add production/strava`")
	w.expectLive(secretA)
	w.keys("", key{secretA, ""}, key{secretC, ""}, key{secretB, ""})
	w.expectExit(w.runs(30*time.Hour), report.ExitDone)
	w.expectLive(secretB)
	w.expectUsers(34, 30)
}

// The new key is refused in its soak while the old one still works.
func TestNewKeyDiesInItsSoak(t *testing.T) {
	t.Parallel()
	w := behind(t)
	w.reset(secretB, 30*24*time.Hour)
	w.keys("", key{secretA, ""}, key{secretB, ""})
	w.expectExit(w.runs(3*time.Hour), report.ExitDone)
	w.expectLive(secretB)
	w.terra.RejectPair("strava", "123456", secretB)
	w.runs(30 * time.Minute)
	w.expectLive(secretB) // it was refused twice
	w.runs(15 * time.Minute)
	w.expectLive(secretA)
	w.expectExit(w.runs(24*time.Hour), report.ExitHeld)
	w.expectLive(secretA)
	w.expectUsers(40, 34)
}

// Strava's quota is used up, so a wrong key is set unproved; people fall away,
// and once Strava is asked again and vouches for the old key, that one is back.
func TestUnprovedWrongKeyGoesBack(t *testing.T) {
	t.Parallel()
	w := behind(t)
	w.terra.SetQuotaUsed("strava", true)
	w.keys("", key{secretA, ""}, key{secretC, ""})
	w.runs(3 * time.Hour)
	w.expectLive(secretC)
	w.expectUsers(25, 15)
	w.terra.SetQuotaUsed("strava", false)
	w.runs(askAgain)
	w.expectLive(secretA)
	w.runs(30 * time.Hour)
	w.expectLive(secretA)
	w.expectUsers(25, 15)
}
