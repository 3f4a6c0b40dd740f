package plan

import "testing"

// TestApprovedBy names where a yes stands, and agrees with the guards on what is one.
func TestApprovedBy(t *testing.T) {
	now := at(t, "2026-11-22T12:00:00Z")
	id := "2"
	change := Change{Provider: "strava", Action: UpdateCredentials, Cause: Commit, Fields: []FieldChange{{Field: FieldClientID, To: FieldValue{Value: &id}}}}
	pause := Change{Provider: "strava", Action: Pause, Cause: Adopt, Fields: []FieldChange{{Field: FieldState, To: text("paused")}}}
	allow := func(what, to string, hours int) facts {
		return facts{Now: now, Environment: Environment{Allow: []Allow{
			{Provider: "garmin", Change: what, To: to, Until: now.AddDate(1, 0, 0), Origin: "garmin.yaml:1"},
			{Provider: "Strava", Change: what, To: to, Until: now.AddDate(0, 0, hours), Origin: "strava.yaml:7"},
		}}}
	}
	for _, row := range []struct {
		name   string
		in     facts
		change Change
		want   string
	}{
		{"nobody", facts{Now: now}, change, ""},
		{"the hash", facts{Now: now, ApprovedAll: true}, change, "hash"},
		{"its target", allow("client_id", "2", 1), change, "strava.yaml:7"},
		{"another target", allow("client_id", "3", 1), change, ""},
		{"a client_id without target", allow("client_id", "", 1), change, ""},
		{"it has ended", allow("client_id", "2", 0), change, ""},
		{"the action", allow("pause", "", 1), pause, "strava.yaml:7"},
		{"the adoption", allow("adopt", "", 1), pause, "strava.yaml:7"},
		{"the field", allow("state", "", 1), pause, "strava.yaml:7"},
	} {
		if got := ApprovedBy(row.in.input(), row.in.consent(), row.change); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
		if row.name != "the adoption" && (ApprovedBy(row.in.input(), row.in.consent(), row.change) != "") != isApproved(row.in, row.change) {
			t.Errorf("%s: the guards say %v", row.name, isApproved(row.in, row.change))
		}
	}
}
