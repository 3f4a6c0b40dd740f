package plan

import (
	"testing"
	"time"
)

// TestSinceWhenInSync: what a run writes begins with it, what it sees equal goes on, what
// it sees differ or is to leave alone has no time.
func TestSinceWhenInSync(t *testing.T) {
	first := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	in := facts{
		Environment: Environment{Name: "staging", RevertDrift: true, CapCount: 9, CapPercent: 100}, Now: first,
		Desired:  []Desired{{Provider: "polar", State: Active, Scopes: Setting[[]string]{Mode: Given, Value: []string{"a"}}}},
		Observed: map[string]Observed{"polar": {Active: true, Variant: "standard", Scopes: &Scopes{Customised: true, Enabled: []string{"a"}, Offered: []string{"a", "b"}}}},
		Types:    map[string]Type{"polar": {CustomScopes: true}},
	}
	run := func(apply bool) Remembered {
		t.Helper()
		p, applied := planOf(in), map[string]bool{}
		for _, c := range p.Changes {
			applied[c.ID] = apply
		}
		in.Memory = rememberOf(in, p, applied)
		in.Now = in.Now.Add(time.Hour)
		return in.Memory.Connections["polar"]
	}
	expect := func(what string, m Remembered, synced, state, scopes time.Duration) {
		t.Helper()
		for name, at := range map[string]struct {
			got  time.Time
			want time.Duration
		}{"synced": {m.Synced, synced}, "state": {m.Since[FieldState], state}, "scopes": {m.Since[FieldScopes], scopes}} {
			want := first.Add(at.want)
			if at.want < 0 {
				want = time.Time{}
			}
			if !at.got.Equal(want) {
				t.Errorf("%s: %s since %v, want %v", what, name, at.got, want)
			}
		}
	}
	const none = -time.Second
	see := func(scopes ...string) {
		in.Observed = map[string]Observed{"polar": {Active: true, Variant: "standard", Scopes: &Scopes{Customised: true, Enabled: scopes, Offered: []string{"a", "b"}}}}
	}
	expect("found equal", run(true), 0, 0, 0)
	expect("still equal", run(true), 0, 0, 0)
	see("a", "b")
	expect("drift that is held", run(false), none, 0, none)
	expect("drift that is put back", run(true), 3*time.Hour, 0, 3*time.Hour)
	see("a")
	expect("equal again", run(true), 3*time.Hour, 0, 3*time.Hour)
	in.Observed = map[string]Observed{"polar": {Failed: "503"}}
	expect("not read", run(true), none, 0, 3*time.Hour)
	see("a")
	expect("read again", run(true), 6*time.Hour, 0, 3*time.Hour)
	see("a", "b")
	expect("put back at once", run(true), 7*time.Hour, 0, 7*time.Hour)
	see("a", "b")
	in.Desired[0].Scopes.Value = []string{"a", "b"}
	expect("another value, which is there already", run(true), 8*time.Hour, 0, 8*time.Hour)
	m := in.Memory.Connections["polar"]
	m.Synced, m.Since[FieldState] = first.AddDate(1, 0, 0), first.AddDate(1, 0, 0)
	in.Memory.Connections["polar"] = m
	expect("a clock was ahead", run(true), 9*time.Hour, 9*time.Hour, 8*time.Hour)
	in.Desired[0].Ignore = []string{FieldScopes}
	expect("left alone", run(true), 9*time.Hour, 9*time.Hour, none)
}

// TestSinceIsTheLatestOfAllFields: one field that changed late holds the others with it,
// and one that the other side leaves alone counts since that is in sync.
func TestSinceIsTheLatestOfAllFields(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	early, late := now.Add(-48*time.Hour), now.Add(-time.Hour)
	for _, row := range []struct {
		name                 string
		id, redirect, synced time.Time
		manages              bool
		want                 time.Time
	}{
		{"the first is later", late, early, early, true, late},
		{"the second is later", early, late, early, true, late},
		{"left alone there", early, time.Time{}, late, false, late},
	} {
		there := Remembered{Fields: map[string]string{FieldClientID: "1"}, Since: map[string]time.Time{FieldClientID: row.id}, Synced: row.synced}
		if row.manages {
			there.Fields[FieldRedirectURL], there.Since[FieldRedirectURL] = "https://b.example/x", row.redirect
		}
		after := After{Environment: "staging", Wants: &Desired{}, There: &there}
		begins, lacks := after.since(Connection{Provider: "polar"}, Change{Cause: Commit, Fields: []FieldChange{{Field: FieldClientID}, {Field: FieldRedirectURL}}})
		if !begins.Equal(row.want) || lacks != "" {
			t.Errorf("%s: since %v, %q, want %v", row.name, begins, lacks, row.want)
		}
	}
	bare := After{Environment: "staging", Wants: &Desired{}, There: &Remembered{Synced: late}}
	if begins, _ := bare.since(Connection{Provider: "polar"}, Change{Cause: Commit}); !begins.Equal(late) {
		t.Errorf("without fields since %v, want %v", begins, late)
	}
	disabled := Remembered{Fields: map[string]string{FieldState: string(Disabled)}, Since: map[string]time.Time{FieldState: early}, Synced: early}
	gone := After{Environment: "staging", Wants: &Desired{State: Disabled}, There: &disabled}
	if begins, lacks := gone.since(Connection{Provider: "polar"}, Change{Cause: Prune}); !begins.Equal(early) || lacks != "" {
		t.Errorf("disabled since %v, %q", begins, lacks)
	}
	disabled.Synced = time.Time{}
	if _, lacks := gone.since(Connection{Provider: "polar"}, Change{Cause: Prune}); lacks != "is still named there" {
		t.Errorf("disabled and not in sync: %q", lacks)
	}
}

// TestGoneIsNotBelievedOfADoubtfulList: a list that lacks everything proves nothing.
func TestGoneIsNotBelievedOfADoubtfulList(t *testing.T) {
	k := Connection{Provider: "polar", Remembered: &Remembered{Enabled: true, Fields: map[string]string{FieldState: "active"}}}
	for _, doubtful := range []bool{false, true} {
		in := Input{Now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Connections: []Connection{k}}
		if !doubtful {
			in.Connections = append(in.Connections, Connection{Provider: "strava", Observed: &Observed{Active: true}})
		}
		if gone := goneAfter(in, Plan{}, nil); (len(gone) == 0) != doubtful {
			t.Errorf("doubtful %v: gone %v", doubtful, gone)
		}
	}
	early := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	k.Aside = true
	in := Input{Now: early.Add(time.Hour), Gone: map[string]time.Time{"polar": early}, Connections: []Connection{k}}
	if gone := goneAfter(in, Plan{}, nil); !gone["polar"].Equal(early) {
		t.Errorf("a run that is not about it: gone %v", gone)
	}
}

// TestLostKeysWaitForNoOtherEnvironment: keys that Terra has lost are set again although the
// secret was changed meanwhile; another app is not.
func TestLostKeysWaitForNoOtherEnvironment(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	want := Desired{Provider: "strava", State: Active, Credentials: true, ClientID: Setting[string]{Mode: Given, Value: "one"},
		Secret: Setting[Secret]{Mode: Given, Value: Secret{Sealed: "sha256:a", Digest: "a", Key: 1}}, Keys: 1}
	in := facts{
		Environment: Environment{Name: "production", CapCount: 9, CapPercent: 100}, Now: now, Desired: []Desired{want},
		Observed: map[string]Observed{"strava": {Active: true, Variant: "byo", Credentials: &Credentials{Set: true, ClientID: "one"}, Secret: Comparison{Result: Equal}}},
		Types:    map[string]Type{"strava": {BYO: true, CustomCredentials: true}},
		After:    map[string]After{"strava": {Environment: "staging", For: time.Hour, Wants: &want}},
	}
	in.Memory = rememberOf(in, planOf(in), nil)
	gone := in.Memory.Connections["strava"]
	gone.KeysGone = now.Add(-time.Hour)
	in.Memory.Connections["strava"] = gone
	in.Observed = map[string]Observed{"strava": {Active: true, Variant: "byo", Credentials: &Credentials{}}}
	guard := func() string {
		t.Helper()
		p := planOf(in)
		if len(p.Changes) != 1 || p.Changes[0].Action != SetCredentials {
			t.Fatalf("got %v, want one set-credentials", p.Changes)
		}
		return p.Changes[0].Guard
	}
	in.Desired[0].Secret.Value = Secret{Sealed: "sha256:b", Digest: "b", Key: 1}
	if got := guard(); got == GuardPromotion {
		t.Error("another secret of the same app waits")
	}
	in.Desired[0].ClientID.Value = "two"
	if got := guard(); got != GuardPromotion {
		t.Errorf("another app is held by %q, want %s", got, GuardPromotion)
	}
}
