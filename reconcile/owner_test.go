package reconcile

import "testing"

// TestOwnerIsNoPartOfAPlan: whom something concerns stands in the report, and whoever changes
// that voids no approval.
func TestOwnerIsNoPartOfAPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	before := w.dryRun().Environments[0]
	environment := string(w.files["production/environment.yaml"].Data)
	w.write("production/environment.yaml", environment+"owner: Team Production\n")
	w.write("production/strava.yaml", string(w.files["production/strava.yaml"].Data)+"\nowner: Team Strava\n")
	after := w.dryRun().Environments[0]
	if after.Owner != "Team Production" || after.Owners["production/strava"] != "Team Strava" {
		t.Errorf("owners: %q and %v", after.Owner, after.Owners)
	}
	if before.PlanHash == "" || after.PlanHash != before.PlanHash || before.Owner != "" || len(before.Owners) > 0 {
		t.Errorf("the plan was %s and is %s, of %q", before.PlanHash, after.PlanHash, before.Owner)
	}
}
