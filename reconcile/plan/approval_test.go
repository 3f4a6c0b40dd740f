package plan

import (
	"testing"
	"time"
)

func known(fields map[string]string) Memory {
	return Memory{Known: true, Connections: map[string]Remembered{"strava": {Enabled: true, Fields: fields}}}
}

// newApp is a plan with a new client_id, its secret, and a live sandbox.
func newApp(t *testing.T, sandbox bool, allow ...Allow) Change {
	t.Helper()
	in := facts{
		Now: at(t, "2026-11-22T12:00:00Z"), Environment: Environment{Name: "production", CapCount: 9, CapPercent: 100, RevertDrift: true, Allow: allow},
		Observed: map[string]Observed{"strava": {Active: true, Credentials: &Credentials{Set: true, ClientID: "1", Mask: "****1111"}}},
		Desired: []Desired{{Provider: "strava", Origin: "strava.yaml:1", State: Active, Credentials: true, ClientID: Setting[string]{Mode: Given, Value: "2"},
			Secret: Setting[Secret]{Mode: Given, Value: Secret{Sealed: "s", Digest: "d", Key: 1}}}},
		Memory: known(map[string]string{FieldState: "active", FieldClientID: "1", FieldClientSecret: "old", FieldSandbox: "false"}),
	}
	if sandbox {
		in.Desired[0].Sandbox = Setting[bool]{Mode: Given, Value: true}
	}
	p := planOf(in)
	if len(p.Changes) != 1 {
		t.Fatalf("changes: got %d, want 1: %+v", len(p.Changes), p.Changes)
	}
	return p.Changes[0]
}

func TestAllowIsBoundToItsTarget(t *testing.T) {
	now := at(t, "2026-11-22T12:00:00Z")
	later := now.Add(time.Second)
	for _, c := range []struct {
		name    string
		sandbox bool
		allow   []Allow
		want    Gate
	}{
		{"none", false, nil, Approval},
		{"this very client_id; its secret travels with it", false, []Allow{{Provider: "strava", Change: "client_id", To: "2", Until: later}}, Ready},
		{"the case of the slug does not matter", false, []Allow{{Provider: "Strava", Change: "client_id", To: "2", Until: later}}, Ready},
		{"another client_id", false, []Allow{{Provider: "strava", Change: "client_id", To: "3", Until: later}}, Approval},
		{"no client_id named", false, []Allow{{Provider: "strava", Change: "client_id", Until: later}}, Approval},
		{"another connection", false, []Allow{{Provider: "whoop", Change: "client_id", To: "2", Until: later}}, Approval},
		{"until is exclusive", false, []Allow{{Provider: "strava", Change: "client_id", To: "2", Until: now}}, Approval},
		{"ended", false, []Allow{{Provider: "strava", Change: "client_id", To: "2", Until: now.Add(-time.Hour)}}, Approval},
		{"the secret alone", false, []Allow{{Provider: "strava", Change: "client_secret", Until: later}}, Approval},
		{"the action, which names no client_id", false, []Allow{{Provider: "strava", Change: "update-credentials", Until: later}}, Approval},
		{"adopt", false, []Allow{{Provider: "strava", Change: "adopt", Until: later}}, Approval},
		{"prune", false, []Allow{{Provider: "strava", Change: "prune", Until: later}}, Approval},
		{"not the sandbox beside it", true, []Allow{{Provider: "strava", Change: "client_id", To: "2", Until: later}}, Approval},
		{"both", true, []Allow{{Provider: "strava", Change: "client_id", To: "2", Until: later}, {Provider: "strava", Change: "sandbox", To: "true", Until: later}}, Ready},
		{"the sandbox the other way", true, []Allow{{Provider: "strava", Change: "client_id", To: "2", Until: later}, {Provider: "strava", Change: "sandbox", To: "false", Until: later}}, Approval},
		{"client_id and the action", true, []Allow{{Provider: "strava", Change: "client_id", To: "2", Until: later}, {Provider: "strava", Change: "update-credentials", Until: later}}, Ready},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := newApp(t, c.sandbox, c.allow...)
			if got.Gate != c.want {
				t.Errorf("gate: got %s (%s), want %s", got.Gate, got.GateReason, c.want)
			}
		})
	}
}

// pausing is a plan that pauses one live connection with end users.
func pausing(t *testing.T, change func(*facts)) (facts, Plan) {
	t.Helper()
	in := facts{
		Now: at(t, "2026-11-22T12:00:00Z"), Environment: Environment{Name: "production", CapCount: 9, CapPercent: 100, RevertDrift: true},
		Observed: map[string]Observed{"strava": {Active: true}},
		Desired:  []Desired{{Provider: "strava", Origin: "strava.yaml:1", State: Paused}},
		Memory:   known(map[string]string{FieldState: "active"}),
	}
	change(&in)
	p := planOf(in)
	if len(p.Changes) != 1 {
		t.Fatalf("changes: got %d, want 1: %+v", len(p.Changes), p.Changes)
	}
	return in, p
}

// TestSuspendEndsCarefully walks over the end of a suspend: to the last moment
// nothing runs, and then what disturbs users waits for a yes in every run, not
// only in the first, until a run finds nothing left.
func TestSuspendEndsCarefully(t *testing.T) {
	until := at(t, "2026-11-22T13:00:00Z")
	for name, suspend := range map[string]func(*facts){
		"environment": func(in *facts) { in.Environment.Suspend = &Suspend{Reason: "r", Owner: "o", Until: until} },
		"connection":  func(in *facts) { in.Desired[0].Suspend = &Suspend{Reason: "r", Owner: "o", Until: until} },
	} {
		t.Run(name, func(t *testing.T) {
			memory := known(map[string]string{FieldState: "active"})
			run := func(now time.Time, approved bool, gate Gate, guard string) {
				t.Helper()
				in, p := pausing(t, func(in *facts) {
					suspend(in)
					in.Now, in.Memory, in.ApprovedAll = now, memory, approved
				})
				c := p.Changes[0]
				if c.Gate != gate || c.Guard != guard {
					t.Fatalf("at %s: got %s by %q, want %s by %q", now, c.Gate, c.Guard, gate, guard)
				}
				memory = rememberOf(in, p, map[string]bool{c.ID: c.Gate == Ready})
			}
			run(until.Add(-time.Nanosecond), true, Blocked, "suspend")
			run(until, false, Approval, "after-suspend")
			run(until.Add(time.Hour), false, Approval, "after-suspend")
			run(until.Add(2*time.Hour), true, Ready, "")
			run(until.Add(3*time.Hour), false, Ready, "")
		})
	}
}

// TestCapBoundaries counts connections, with a percentage that is rounded up and
// at least one.
func TestCapBoundaries(t *testing.T) {
	for _, c := range []struct {
		live, hurt, count, percent int
		ready                      bool
	}{
		{10, 3, 5, 30, true}, {10, 4, 5, 30, false}, {11, 4, 5, 30, true}, {1, 1, 5, 1, true}, {2, 2, 5, 1, false},
		{100, 5, 5, 100, true}, {100, 6, 5, 100, false}, {10, 1, 0, 100, false}, {3, 3, 3, 100, true}, {3, 2, 3, 34, true}, {3, 2, 3, 33, false},
		{10, 1, 5, 0, true}, {10, 2, 5, 0, false},
	} {
		in := facts{Environment: Environment{Name: "e", CapCount: c.count, CapPercent: c.percent, RevertDrift: true}, Observed: map[string]Observed{}, Memory: Memory{Known: true, Connections: map[string]Remembered{}}}
		for i := range c.live {
			provider := string(rune('a'+i/26)) + string(rune('a'+i%26))
			in.Observed[provider] = Observed{Active: true}
			in.Memory.Connections[provider] = Remembered{}
			if i < c.hurt {
				in.Desired = append(in.Desired, Desired{Provider: provider, Origin: "x:1", State: Paused})
			}
		}
		for _, change := range planOf(in).Changes {
			if (change.Gate == Ready) != c.ready || change.Gate != Ready && change.Guard != "max-changes" {
				t.Errorf("%d of %d live, count %d, percent %d: got %s by %q, want ready %t", c.hurt, c.live, c.count, c.percent, change.Gate, change.Guard, c.ready)
			}
		}
	}
}

// TestNeedsUsersNamesWhereItDecides keeps the least calls: nobody is counted
// where the class is safe whoever is linked.
func TestNeedsUsersNamesWhereItDecides(t *testing.T) {
	for _, r := range Classes() {
		in := facts{}
		c := Change{Provider: "strava", Action: r.Action, Fields: []FieldChange{{Field: "x"}}}
		got := len(NeedsUsers(in.input(), Plan{Changes: []Change{c, c}}))
		want := 1
		if rule := ruleFor(in.input().of(c.Provider), c); rule.With == Safe && rule.WithNone == Safe {
			want = 0
		}
		if got != want {
			t.Errorf("%s: got %d names, want %d", r.Action, got, want)
		}
	}
	if c := (Change{Action: "explode"}); ruleFor(Connection{}, c).WithNone != Destructive {
		t.Error("an action that no row names: got a class below destructive")
	}
}

// TestCapOfAHundredPercentCannotBlock: what is made live counts as live, so that however
// few connections there are, all of them are at most all of them.
func TestCapOfAHundredPercentCannotBlock(t *testing.T) {
	for _, c := range []struct {
		live, made, percent int
		ready               bool
	}{{0, 4, 100, true}, {1, 4, 100, true}, {3, 3, 50, true}, {2, 4, 50, false}, {1, 4, 30, false}} {
		in := facts{Environment: Environment{Name: "e", Origin: "e/environment.yaml:1", CapCount: 9, CapPercent: c.percent, RevertDrift: true}, Observed: map[string]Observed{},
			Users: map[string]Users{}, Memory: Memory{Known: true, Connections: map[string]Remembered{}}}
		for i := range c.live + c.made {
			provider := string(rune('a' + i))
			if i < c.live {
				in.Observed[provider] = Observed{Active: true}
			} else { // enabled, it meets the users it had
				in.Desired = append(in.Desired, Desired{Provider: provider, Origin: "x:1", State: Active})
				in.Users[provider] = Users{Count: 9, Exact: true}
			}
		}
		n := 0
		for _, change := range planOf(in).Changes {
			if change.Class == Safe {
				t.Fatalf("%s is safe, and counts for no cap", change.ID)
			}
			if n++; (change.Gate == Ready) != c.ready || change.Gate != Ready && change.Guard != "max-changes" {
				t.Errorf("%d made live beside %d, %d%%: got %s by %q (%s), want ready %t", c.made, c.live, c.percent, change.Gate, change.Guard, change.GateReason, c.ready)
			}
		}
		if n != c.made {
			t.Errorf("%d changes, want %d", n, c.made)
		}
	}
}
