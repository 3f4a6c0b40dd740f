package plan

import "testing"

// TestTwoApprovalsNeverAddUp: the approval of the plan lifts the window and not the key
// that was set out of band, that of the connection the key and not the window. Nobody
// approved that key outside the window.
func TestTwoApprovalsNeverAddUp(t *testing.T) {
	const x = "production/strava"
	held := Plan{Changes: []Change{{Connection: x, Provider: "strava", Action: RotateSecret, Class: Disruptive, Holds: []Hold{
		{Gate: Approval, Guard: "on-secret-drift", Lifts: Lifts{Alone: true}},
		{Gate: Waiting, Guard: "window", Lifts: Lifts{Now: true}},
	}}}}
	for name, row := range map[string]struct {
		consent Consent
		ready   bool
	}{
		"the plan, now":                               {Consent{Plan: true, Now: true}, false},
		"the connection":                              {Consent{Alone: map[string]bool{x: false}}, false},
		"the plan, now, and the connection":           {Consent{Plan: true, Now: true, Alone: map[string]bool{x: false}}, false},
		"the connection, now":                         {Consent{Alone: map[string]bool{x: true}}, true},
		"the plan, and the connection, which is now":  {Consent{Plan: true, Alone: map[string]bool{x: true}}, true},
		"the plan, now, and another connection's own": {Consent{Plan: true, Now: true, Alone: map[string]bool{"production/polar": true}}, false},
	} {
		if got := Approve(Input{}, held, row.consent).Changes[0]; (got.Gate == Ready) != row.ready {
			t.Errorf("%s: got %s by %q, want ready %t", name, got.Gate, got.Guard, row.ready)
		}
	}
}

// TestApprovedConnectionNamesWhatStillHoldsIt: what its approval lifted is not named as
// what to approve once more, where something that no approval lifts comes behind it.
func TestApprovedConnectionNamesWhatStillHoldsIt(t *testing.T) {
	const x = "production/strava"
	held := Plan{Changes: []Change{{Connection: x, Provider: "strava", Action: UpdateCredentials, Class: Destructive, Holds: []Hold{
		{Gate: Approval, Guard: "inconsistent", Lifts: Lifts{Hash: true}},
		{Gate: Blocked, Guard: "probe"},
	}}}}
	for name, consent := range map[string]Consent{
		"the connection": {Alone: map[string]bool{x: false}},
		"both":           {Plan: true, Alone: map[string]bool{x: false}},
	} {
		if got := Approve(Input{}, held, consent).Changes[0]; got.Gate != Blocked || got.Guard != "probe" {
			t.Errorf("%s: got %s by %q, want blocked by probe", name, got.Gate, got.Guard)
		}
	}
}

// TestReleasesBesideAnotherApproval: what an approval of one connection has let go does not
// take away from what one of another would.
func TestReleasesBesideAnotherApproval(t *testing.T) {
	const strava, oura = "production/strava", "production/oura"
	hold := []Hold{{Gate: Approval, Guard: "after-suspend", Lifts: Lifts{Hash: true}}}
	held := Plan{Changes: []Change{{Connection: strava, Provider: "strava", Holds: hold}, {Connection: oura, Provider: "oura", Holds: hold}}}
	of := func(connection string) Consent { return Consent{Alone: map[string]bool{connection: false}} }
	if got := Releases(Input{}, Approve(Input{}, held, of(strava)), of(oura)); got != 1 {
		t.Errorf("an approval of the second connection releases %d changes, want 1", got)
	}
}
