package report

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
)

// A key that will become due is previewed in every form, beside a change of its
// connection or alone.
func TestComingKeysAreShown(t *testing.T) {
	key := func(name string, at time.Time) keys.Status {
		return keys.Status{Connection: "production/" + name, Provider: name, Keys: 2, Live: 1, Due: 1, Next: 2, NextAt: at, NextOrigin: "production/" + name + ".yaml:9"}
	}
	alone, beside := scene(DryRun, 5), scene(DryRun, 4, newConnection("garmin")...)
	alone.Environments[0].Keys = []keys.Status{key("strava", time.Date(2026, 12, 7, 0, 0, 0, 0, time.UTC))}
	beside.Environments[0].Keys = []keys.Status{key("garmin", time.Date(2026, 12, 7, 3, 30, 0, 0, time.FixedZone("", 3600)))}
	for form, got := range everyForm(t, alone) {
		got = strings.ReplaceAll(strings.Join(strings.Fields(got), " "), "&#58;", ":")
		if want := "the first run from 7 Dec 2026 00:00 UTC sets key 2 (production/strava.yaml:9); no user has to reconnect"; !strings.Contains(got, want) || !strings.Contains(got, "strava") {
			t.Errorf("%s does not show %q:\n%s", form, want, got)
		}
	}
	for form, got := range everyForm(t, beside) {
		got = strings.ReplaceAll(strings.Join(strings.Fields(got), " "), "&#58;", ":")
		if want := "the first run from 7 Dec 2026 02:30 UTC sets key 2"; !strings.Contains(got, want) {
			t.Errorf("%s does not show %q:\n%s", form, want, got)
		}
	}
	if code := ExitCode(alone); code != ExitDone {
		t.Errorf("exit code %d, want %d: nothing is due", code, ExitDone)
	}
	golden(t, "scenes/coming.txt", everyForm(t, alone)["text"])
}
