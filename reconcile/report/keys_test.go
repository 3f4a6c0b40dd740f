package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func TestKeysTable(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 10, 0, 0, time.UTC)
	age := func(n int) *int { return &n }
	r := New(DryRun, "c0ffee", now)
	r.Environments = []Environment{{Name: "production", Keys: []KeyStatus{
		{Connection: "production/garmin", State: KeyFine, Live: 3, Due: 3, AgeDays: age(4), Do: "key 1 is no longer needed: reconcile rotate prune production/garmin --key 1"},
		{Connection: "production/huawei", State: KeyWatched, Live: 2, Due: 2, AgeDays: age(0), MaxAgeDays: 90,
			WatchedSince: now.Add(-10 * time.Hour), WatchedUntil: now.Add(14 * time.Hour), UsersBefore: &plan.Users{Count: 4, Exact: true}, Do: "nothing to do until 2026-11-29 02:10 UTC"},
		{Connection: "production/strava", State: KeyAgeing, Live: 1, Due: 1, AgeDays: age(83), MaxAgeDays: 90,
			Do: "key 1 reaches rotation.max_age in 7 days (production/strava.yaml:20); make a new key at https://www.strava.com/settings/api, and within minutes: reconcile rotate add production/strava"},
		{Connection: "production/whoop", State: KeyFine, Live: 1, Due: 1, AgeDays: age(30), Next: 2, NextAt: time.Date(2026, 12, 24, 2, 30, 0, 0, time.UTC)},
		{Connection: "production/polar", State: KeyFine, Live: 1, Due: 1, Next: 2, NextAt: time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)},
		{Connection: "production/withings", State: KeyFine, Live: 1, Due: 1, Next: 12, NextAt: time.Date(2027, 11, 24, 2, 30, 0, 0, time.UTC)},
	}}, {Name: "staging", Keys: []KeyStatus{{Connection: "staging/a-\x1b[31mname-that-is-long", State: KeyNotKnown, Do: "sealed"}}}}
	var b strings.Builder
	if err := Keys(&b, r, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	want := `CONNECTION             LIVE   AGE   MAX   DUE    NEXT (UTC)         WATCHED
production/garmin      key 3  4 d   -     key 3  -                  -
  fine: key 1 is no longer needed: reconcile rotate prune production/garmin
  --key 1
production/huawei      key 2  0 d   90 d  key 2  -                  10h of 24h
  watched: nothing to do until 2026-11-29 02:10 UTC
production/strava      key 1  83 d  90 d  key 1  -                  -
  ageing: key 1 reaches rotation.max_age in 7 days (production/strava.yaml:20);
  make a new key at https://www.strava.com/settings/api, and within minutes:
  reconcile rotate add production/strava
production/whoop       key 1  30 d  -     key 1  key 2 24 Dec 02:30 -
production/polar       key 1  -     -     key 1  key 2 2026-12-24   -
production/withings    key 1  -     -     key 1  key 12 2027-11-24  -
staging/a-\u001B[31mname-that-is-long ?      -     -     -      -                  -
  not known: sealed
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	empty := strings.Builder{}
	if err := Keys(&empty, New(DryRun, "c", now), TextOptions{}); err != nil || empty.String() != "No connection has keys of its own.\n" {
		t.Errorf("nothing to show: got %q, %v", empty.String(), err)
	}
}
