package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
)

// TestClockThatIsAheadDecidesNothing: a key that is due, and a window that is open, by
// this machine's clock alone waits until Terra's agrees, and the report says why.
func TestClockThatIsAheadDecidesNothing(t *testing.T) {
	t.Parallel()
	const off = 10 * time.Minute
	e := newExample(t, time.Date(2026, 8, 7, 9, 0, 0, 0, time.UTC)) // key 2 is due on the 8th at 02:00, within a window from 01:00 on
	ahead := time.Duration(0)
	e.terra = terratest.New(terratest.Config{Clock: func() time.Time { return e.now.Add(-ahead) }})
	e.terra.AddEnvironment(exampleProduction, terratest.EnvironmentOptions{})
	e.terra.AddEnvironment(exampleStaging, terratest.EnvironmentOptions{})
	e.vars["TERRA_BASE_URL"] = e.terra.Start(t)
	e.vars["TERRA_ADMIN_TOKEN"] = e.terra.AddToken(terratest.Token{}).Bearer
	keys := map[int]string{}
	for n, flag := range map[int]string{1: "1", 2: "2"} {
		keys[n] = strings.TrimSpace(e.run(0, "secret", "decrypt", filepath.Join(e.repository(), "production", "strava.yaml"), "--key", flag))
	}
	live := func(key int) {
		t.Helper()
		if got := e.terra.Live(exampleProduction).Sources["strava"].Credential; got == nil || got.Secret != keys[key] {
			t.Errorf("%s: key %d is not live", e.now.Format(time.RFC3339), key)
		}
	}
	run := func() string { return e.run(0, "--repo", e.repository(), "--env", "production", "--yes") }
	const warns = "this machine's clock is 10m from Terra's: what time alone decides waits until both agree"
	if out := run(); strings.Contains(flat(out), warns) {
		t.Errorf("the clocks agree:\n%s", out)
	}
	e.terra.SetUsers(exampleProduction, "strava", 40, 0)
	live(1)
	ahead, e.now = off, time.Date(2026, 8, 8, 2, 5, 0, 0, time.UTC)
	holds(t, run(), warns)
	live(1)
	// Behind, a window that has closed is not open either.
	ahead, e.now = -off, time.Date(2026, 8, 8, 3, 55, 0, 0, time.UTC)
	holds(t, run(), warns)
	live(1)
	ahead, e.now = off, time.Date(2026, 8, 8, 2, 15, 0, 0, time.UTC)
	holds(t, run(), warns)
	live(2)
}
