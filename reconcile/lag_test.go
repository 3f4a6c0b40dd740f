package reconcile

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// lagging is a Terra whose reads show what was there some time ago.
type lagging struct {
	w     *world
	inner http.RoundTripper
	by    time.Duration

	mu     sync.Mutex
	before []snapshot // of each write
}

type snapshot struct {
	at    time.Time
	terra *terratest.Server // right before it
}

// lag lets reads lag behind writes from now on.
func (w *world) lag(by time.Duration) {
	l := &lagging{w: w, by: by}
	w.wrap = func(inner http.RoundTripper) http.RoundTripper { l.inner = inner; return l }
}

func (l *lagging) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.w.clock()
	if r.Method != http.MethodGet {
		if r.URL.Query().Get("dry_run") == "" {
			var saved bytes.Buffer
			old := terratest.New(terratest.Config{Clock: l.w.clock})
			if err := l.w.terra.Save(&saved); err != nil {
				return nil, err
			}
			if err := old.Load(&saved); err != nil {
				return nil, err
			}
			l.before = append(l.before, snapshot{now, old})
		}
		return l.inner.RoundTrip(r)
	}
	for _, m := range l.before {
		if now.Before(m.at.Add(l.by)) && !strings.HasSuffix(r.URL.Path, "/users") {
			return m.terra.RoundTripper().RoundTrip(r)
		}
	}
	return l.inner.RoundTrip(r)
}

// TestReadsThatLagBehindWritesAreReadAgain has every kind of write read back from what
// was there three seconds ago: each is applied all the same.
func TestReadsThatLagBehindWritesAreReadAgain(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	p.accepts = append(p.accepts, secretC)
	w.lag(3 * time.Second)
	w.write("production/polar.yaml", "provider: polar\n")
	w.own("whoop", "an-id", secretC, "")
	w.at("2026-12-01T02:10:00Z")
	r := w.expectExit(w.apply(), report.ExitDone)
	for _, id := range []string{"polar:enable", "whoop:enable", "whoop:set-credentials", "strava:rotate-secret"} {
		if c := w.change(r, id); c.Outcome != report.Applied {
			t.Errorf("%s: %s: %s", id, c.Outcome, c.Error)
		}
	}
	w.now = w.now.Add(time.Minute)
	w.inSync()
}

// TestWriteThatTerraDoesNotShowYetIsSettledByTheNextRun lets reads lag for longer than a
// run waits: that is not a failure, the connection is ours and the key soaks.
func TestWriteThatTerraDoesNotShowYetIsSettledByTheNextRun(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.lag(time.Minute)
	w.write("production/polar.yaml", "provider: polar\n")
	w.at("2026-12-01T02:10:00Z")
	r := w.expectExit(w.apply(), report.ExitFailed)
	for _, id := range []string{"polar:enable", "strava:rotate-secret"} {
		if c := w.change(r, id); c.Outcome != report.Unknown || !strings.Contains(c.Error, "accepted by Terra") {
			t.Errorf("%s: %s: %s", id, c.Outcome, c.Error)
		}
	}
	w.terra.ResetLog()
	w.now = w.now.Add(10 * time.Minute)
	r = w.expectExit(w.apply(), report.ExitDone)
	if n := len(w.terra.Writes()); n != 0 {
		t.Errorf("%d more writes", n)
	}
	if k := r.Environments[0].Keys[0]; k.State != keys.Soaking {
		t.Errorf("the new key is %s: %s", k.State, k.Text)
	}
	if told := w.told(0); strings.Count(told, "polar:enable: settled") != 1 || strings.Count(told, "strava:rotate-secret: settled") != 1 {
		t.Errorf("history:\n%s", told)
	}
	w.inState(func(s *state.Store) error {
		memory, err := s.Memory(here())
		if !memory.Connections["polar"].Enabled {
			t.Errorf("it is not ours: %+v", memory.Connections["polar"])
		}
		return err
	})
	p.accepts = []string{secretA} // the new one dies during its soak
	w.now = w.now.Add(2 * time.Hour)
	w.heard()
	w.expectLive(secretA)
}

// TestFirstApplyMakesFewCalls sets up connections with an app of their own: three calls
// for each, and the list twice, whatever their number.
func TestFirstApplyMakesFewCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slugs := []string{"strava", "whoop", "dexcom", "dexcom_eu"}
	for i, slug := range slugs {
		w.own(slug, fmt.Sprint(123456+i), secretA, "")
	}
	w.dryRun()
	looking := len(w.terra.Log())
	w.terra.ResetLog()
	w.expectExit(w.apply(), report.ExitDone)
	calls := map[string]int{}
	for _, c := range w.terra.Log() {
		calls[c.Operation]++
	}
	if calls["listSources"] != 3 { // to look, before enabling and after it
		t.Errorf("the list was read %d times", calls["listSources"])
	}
	if n := len(w.terra.Log()) - looking; n > 3*len(slugs)+3 { // the batch, and two lists
		t.Errorf("%d calls to apply %d connections: %v", n, len(slugs), calls)
	}
}
