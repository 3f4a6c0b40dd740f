package plan

import (
	"testing"
	"time"
)

// runs is one environment over several runs: each remembers what it did.
type runs struct {
	t      *testing.T
	memory Memory
	input  func(*facts)
}

// run plans with what is remembered, applies all that is ready and, as in Terra,
// shows the next run what was written. It wants one gate on one change, if named.
func (r *runs) run(change func(*facts), id string, gate Gate, guard string) {
	r.t.Helper()
	in := facts{
		Now: at(r.t, "2026-11-22T12:00:00Z"), Memory: r.memory, Observed: map[string]Observed{},
		Environment: Environment{Name: "production", CapCount: 99, CapPercent: 100, MaxRotations: 9, RevertDrift: true},
	}
	r.input(&in)
	change(&in)
	p, applied, found := planOf(in), map[string]bool{}, id == ""
	for _, c := range p.Changes {
		applied[c.ID] = c.Gate == Ready
		if c.ID != "production/"+id {
			continue
		}
		if found = true; c.Gate != gate || c.Guard != guard {
			r.t.Fatalf("%s: got %s by %q, want %s by %q: %+v", id, c.Gate, c.Guard, gate, guard, c)
		}
	}
	if !found {
		r.t.Fatalf("%s: no such change in %+v", id, p.Changes)
	}
	after := terraAfter(in, p, applied)
	before := r.input
	r.input = func(in *facts) { before(in); in.Observed = after }
	r.memory = rememberOf(in, p, applied)
}

func asIs(*facts) {}

func newStrava(in *facts) {
	in.Observed["oura"] = Observed{Active: true}
	in.Desired = []Desired{{Provider: "strava", Origin: "strava.yaml:1", State: Active, Credentials: true,
		ClientID: Setting[string]{Mode: Given, Value: "1"}, Scopes: Setting[[]string]{Mode: Given, Value: []string{"a"}},
		Secret: Setting[Secret]{Mode: Given, Value: Secret{Sealed: "s", Digest: "d", Key: 1}}}}
}

// TestFirstKeysStayHeld: the keys of a new connection whose end users nobody
// counted wait for a yes in every run, not only in the one that enables it.
func TestFirstKeysStayHeld(t *testing.T) {
	r := runs{t: t, input: newStrava}
	r.run(asIs, "strava:set-credentials", Approval, "adopt")
	for range 3 {
		r.run(asIs, "strava:set-credentials", Approval, "adopt")
	}
	r.run(func(in *facts) { in.ApprovedAll = true }, "strava:set-credentials", Ready, "")
	if held := r.memory.of("strava").Held; len(held) != 0 {
		t.Errorf("held after it was approved: %v", held)
	}
}

// TestLostAnswerIsNoAdoption: a source that we enabled, and of which nothing was
// remembered because the run died, is as new as it was.
func TestLostAnswerIsNoAdoption(t *testing.T) {
	r := runs{t: t, input: newStrava, memory: Memory{Known: true, Connections: map[string]Remembered{"strava": {Noted: true, Enabled: true}}}}
	for range 2 {
		r.run(func(in *facts) { in.Observed["strava"] = Observed{Active: true, Credentials: &Credentials{}} }, "strava:set-credentials", Approval, "adopt")
	}
	if !r.memory.of("strava").Enabled {
		t.Error("it is not ours any more")
	}
}

// TestNewConnectionAfterASuspend: a connection that came while all was suspended
// waits for a yes in every run after it.
func TestNewConnectionAfterASuspend(t *testing.T) {
	until := at(t, "2026-11-22T13:00:00Z")
	r := runs{t: t, memory: Memory{Known: true, Connections: map[string]Remembered{}}, input: newStrava}
	r.run(func(in *facts) { in.Environment.Suspend = &Suspend{Reason: "r", Owner: "o", Until: until} }, "strava:enable", Blocked, "suspend")
	for range 3 {
		r.run(func(in *facts) { in.Now = until.Add(time.Hour) }, "strava:enable", Approval, "after-suspend")
	}
}

// TestProtectionOfWhatIsNotAdopted outlives the line that asked for it.
func TestProtectionOfWhatIsNotAdopted(t *testing.T) {
	r := runs{t: t, input: func(in *facts) {
		in.Observed["strava"] = Observed{Active: true}
		in.Desired = []Desired{{Provider: "strava", Origin: "strava.yaml:1", State: Paused}}
	}}
	r.run(func(in *facts) { in.Desired[0].Protect = Setting[bool]{Mode: Given, Value: true} }, "strava:pause", Blocked, "protect")
	r.run(func(in *facts) { in.ApprovedAll = true }, "strava:pause", Blocked, "protect")
}

// TestShortListDoesNotAgree: that a list lacks a connection that should be
// disabled does not make the next sight of it a drift to revert.
func TestShortListDoesNotAgree(t *testing.T) {
	r := runs{t: t, input: func(in *facts) {
		in.Observed["oura"], in.Observed["strava"] = Observed{Active: true}, Observed{Active: true}
		in.Desired = []Desired{{Provider: "strava", Origin: "strava.yaml:1", State: Disabled}}
	}}
	r.run(asIs, "strava:disable", Approval, "adopt")
	r.run(func(in *facts) { delete(in.Observed, "strava") }, "", Ready, "")
	r.run(func(in *facts) { in.Observed["strava"] = Observed{Active: true} }, "strava:disable", Approval, "adopt")
}

// TestNextKeyDoesNotPassOverAHandMadeOne: a key that somebody set by hand is not
// overwritten because the next key of the file has become due meanwhile.
func TestNextKeyDoesNotPassOverAHandMadeOne(t *testing.T) {
	handMade := func(key int) func(*facts) {
		return func(in *facts) {
			in.Desired[0].Secret.Value.Key, in.Desired[0].Secret.Value.Digest = key, string(rune('0'+key))
		}
	}
	r := runs{t: t, memory: known(map[string]string{FieldState: "active", FieldClientID: "1", FieldClientSecret: "1"}), input: func(in *facts) {
		in.Observed["strava"] = Observed{Active: true, Credentials: &Credentials{Set: true, ClientID: "1", Mask: "****9999"}, Secret: Comparison{Result: Differs}}
		in.Desired = []Desired{{Provider: "strava", Origin: "strava.yaml:1", State: Active, Credentials: true,
			ClientID: Setting[string]{Mode: Given, Value: "1"}, Secret: Setting[Secret]{Mode: Given, Value: Secret{Sealed: "s"}}}}
	}}
	r.run(handMade(1), "strava:rotate-secret", Approval, "on-secret-drift")
	for range 2 {
		r.run(handMade(2), "strava:rotate-secret", Approval, "on-secret-drift")
	}
	r.run(func(in *facts) {
		handMade(2)(in)
		in.Environment.Allow = []Allow{{Provider: "strava", Change: "client_secret", Until: in.Now.Add(time.Hour)}}
	},
		"strava:rotate-secret", Ready, "")
}

// TestEmptyListIsNoNews: while Terra lists nothing and there were connections,
// every run is as careful as the first, whichever were remembered.
func TestEmptyListIsNoNews(t *testing.T) {
	r := runs{t: t, memory: Memory{Known: true, Connections: map[string]Remembered{"oura": {Enabled: true, Protected: true, Fields: map[string]string{FieldState: "active"}}}},
		input: func(in *facts) { in.Desired = []Desired{{Provider: "strava", Origin: "strava.yaml:1", State: Active}} }}
	users := func(in *facts) { in.Users = map[string]Users{"strava": {Exact: true}} }
	for range 3 {
		r.run(users, "strava:enable", Approval, "empty-list")
	}
	if !r.memory.of("oura").Protected {
		t.Error("protection is forgotten")
	}
	r.run(func(in *facts) { users(in); in.ApprovedAll = true }, "strava:enable", Ready, "")
}

// TestUnknownOfferLeavesKeysAlone: where it is not known whether users can meet
// Terra's app beside an own one, keys that have no effect now are not written.
func TestUnknownOfferLeavesKeysAlone(t *testing.T) {
	in := facts{Environment: Environment{Name: "production", CapCount: 9, CapPercent: 100}, Observed: map[string]Observed{"strava": {Active: true, Variant: "standard", Credentials: &Credentials{}}}}
	newStrava(&in)
	in.Desired[0].App = Setting[string]{Mode: Given, Value: "terra"}
	for _, c := range planOf(in).Changes {
		if has(c.Fields, FieldClientSecret) {
			t.Errorf("%s writes keys although nobody knows what Terra offers", c.ID)
		}
	}
}

// TestSuspendIsRememberedUncompared: a run after a suspend in which the secret could
// not be compared has not seen what there is to say yes to.
func TestSuspendIsRememberedUncompared(t *testing.T) {
	r := runs{t: t, memory: known(map[string]string{FieldState: "active", FieldClientID: "1", FieldClientSecret: "1"}), input: func(in *facts) {
		in.Desired = []Desired{{Provider: "strava", Origin: "strava.yaml:1", State: Active, Credentials: true, ClientID: Setting[string]{Mode: Given, Value: "1"},
			Secret: Setting[Secret]{Mode: Given, Value: Secret{Sealed: "s2", Digest: "2", Key: 2}}}}
	}}
	r.memory.Suspended = true
	compared := func(result Compared) func(*facts) {
		return func(in *facts) {
			in.Observed["strava"] = Observed{Active: true, Credentials: &Credentials{Set: true, ClientID: "1", Mask: "****1111"},
				Secret: Comparison{Result: result, Reason: "503"}}
		}
	}
	for range 2 {
		r.run(compared(Uncertain), "", Ready, "")
	}
	r.run(compared(Differs), "strava:rotate-secret", Approval, "after-suspend")
}

// TestNoOwnAppWithoutKeys: users of a live source stay on Terra's app while the
// first keys of the own one are held, by whatever holds them.
func TestNoOwnAppWithoutKeys(t *testing.T) {
	allowApp := func(in *facts) {
		in.Users, in.Memory = nil, Memory{}
		in.Environment.Allow = []Allow{{Provider: "strava", Change: FieldApp, Until: in.Now.Add(time.Hour)}}
	}
	for guard, hold := range map[string]func(*facts){
		"":               asIs,
		"probe":          func(in *facts) { in.Probes = map[string]Probe{"strava": {Verdict: Bad, Reason: "no"}} },
		"probe-required": func(in *facts) { in.Desired[0].ProbeRequired = "strava.yaml:5" },
		"adopt":          allowApp,
		"credentials":    func(in *facts) { in.Desired[0].Secret.Value = Secret{Sealed: "s", Key: 1, Closed: "no identity"} },
	} {
		in := facts{
			Now: at(t, "2026-11-22T12:00:00Z"), Users: map[string]Users{"strava": {Exact: true}}, Types: map[string]Type{"strava": {BYO: true}},
			Environment: Environment{Name: "production", CapCount: 9, CapPercent: 100, RevertDrift: true},
			Memory:      known(map[string]string{FieldState: "active"}), Observed: map[string]Observed{},
		}
		newStrava(&in)
		in.Observed["strava"] = Observed{Active: true, Variant: "standard", Credentials: &Credentials{}, Scopes: &Scopes{Enabled: []string{"a"}, Offered: []string{"a"}}}
		in.Desired[0].App = Setting[string]{Mode: Given, Value: "own"}
		hold(&in)
		found := false
		for _, c := range planOf(in).Changes {
			if c.Action != SetApp {
				continue
			}
			if found = true; c.Guard != guard || (c.Gate == Ready) != (guard == "") {
				t.Errorf("keys held by %q: set-app is %s by %q (%s)", guard, c.Gate, c.Guard, c.GateReason)
			}
		}
		if !found {
			t.Errorf("keys held by %q: no set-app", guard)
		}
	}
}

// TestWhatCannotBeEnabledCountsForNoCap: the keys of a connection that Terra does not
// offer harm nobody, so they leave the cap to what can be done.
func TestWhatCannotBeEnabledCountsForNoCap(t *testing.T) {
	in := facts{
		Now: at(t, "2026-11-22T12:00:00Z"), Environment: Environment{Name: "production", CapCount: 1, CapPercent: 100, RevertDrift: true},
		Observed: map[string]Observed{}, Types: map[string]Type{"oura": {}}, Memory: Memory{Known: true, Connections: map[string]Remembered{
			"strava": {Enabled: true, Fields: map[string]string{FieldState: "active"}}, "oura": {Fields: map[string]string{FieldState: "active"}}}},
	}
	newStrava(&in) // known, and gone
	in.Desired = append(in.Desired, Desired{Provider: "oura", Origin: "oura.yaml:1", State: Paused})
	gates := changesByID(planOf(in))
	if c := gates["production/strava:set-credentials"]; c.Gate != Blocked || c.Guard != "provider" {
		t.Errorf("%s: got %s by %q, want it blocked as its enable is", c.ID, c.Gate, c.Guard)
	}
	if c := gates["production/oura:pause"]; c.Gate != Ready {
		t.Errorf("%s: got %s by %q (%s), want ready", c.ID, c.Gate, c.Guard, c.GateReason)
	}
}

// TestWhatTerraCannotDoYetHasANextStep: what waits for its turn or for keys says what to do.
func TestWhatTerraCannotDoYetHasANextStep(t *testing.T) {
	guards := map[string]bool{}
	for _, archive := range stories(t) {
		for _, c := range planOf(inputOf(t, archive)).Changes {
			if c.Guard != "order" && c.Guard != "credentials" {
				continue
			}
			guards[c.Guard] = true
			if len(c.Remediations) == 0 {
				t.Errorf("%s is held by %s without a next step: %s", c.ID, c.Guard, c.GateReason)
			}
		}
	}
	if len(guards) != 2 {
		t.Errorf("the stories show only %v", guards)
	}
}
