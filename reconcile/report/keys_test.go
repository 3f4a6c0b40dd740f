package report

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func TestKeysTable(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 10, 0, 0, time.UTC)
	age := func(n int) *int { return &n }
	r := New(DryRun, "c0ffee", now)
	r.Environments = []Environment{{Name: "production", Keys: []keys.Status{
		{Connection: "production/garmin", State: keys.OK, Live: 3, Due: 3, AgeDays: age(4), Text: "key 1 is no longer needed",
			Remediations: []plan.Remediation{plan.NextCommand("take it out of the file", "rotate", "prune", "production/garmin", "--key", "1")}},
		{Connection: "production/huawei", State: keys.Soaking, Live: 2, Due: 2, AgeDays: age(0), MaxAgeDays: 90,
			SoakStartedAt: now.Add(-10 * time.Hour), SoakEndsAt: now.Add(14 * time.Hour), UsersBefore: &plan.Users{Count: 4, Exact: true}, Text: "nothing to do until 2026-11-29 02:10 UTC"},
		{Connection: "production/strava", State: keys.Expiring, Live: 1, Due: 1, AgeDays: age(83), MaxAgeDays: 90,
			Text:         "key 1 reaches rotation.max_age in 7 days (production/strava.yaml:20)",
			Remediations: []plan.Remediation{plan.NextCommand("make a new key at https://www.strava.com/settings/api, and within minutes", "rotate", "add", "production/strava")}},
		{Connection: "production/suunto", State: keys.Overdue, Also: []keys.State{keys.Rejected}, Live: 1, Due: 1, AgeDays: age(98), MaxAgeDays: 90,
			Text: "key 1 is 98 days old, rotation.max_age is 90 days; key 2: the provider rejects it"},
		{Connection: "production/whoop", State: keys.OK, Live: 1, Due: 1, AgeDays: age(30), Next: 2, NextAt: time.Date(2026, 12, 24, 2, 30, 0, 0, time.UTC)},
		{Connection: "production/polar", State: keys.OK, Live: 1, Due: 1, Next: 2, NextAt: time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)},
		{Connection: "production/withings", State: keys.OK, Live: 1, Due: 1, Next: 12, NextAt: time.Date(2027, 11, 24, 2, 30, 0, 0, time.UTC)},
	}}, {Name: "staging", Keys: []keys.Status{{Connection: "staging/a-\x1b[31mname-that-is-long", State: keys.Unknown, Text: "sealed"}}}}
	var b strings.Builder
	if err := Keys(&b, r, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "keys.txt", b.String())
	empty := strings.Builder{}
	if err := Keys(&empty, New(DryRun, "c", now), TextOptions{}); err != nil || empty.String() != "No connection has keys of its own.\n" {
		t.Errorf("nothing to show: got %q, %v", empty.String(), err)
	}
}
