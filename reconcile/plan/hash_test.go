package plan

import (
	"strings"
	"testing"
)

// TestHashIsPinned keeps approvals and saved plans valid over releases. A change
// here needs a new format number, and makes every approval in flight worthless.
func TestHashIsPinned(t *testing.T) {
	p := Plan{Environment: "production", DevID: "prod-app-x81LmQ", Changes: []Change{
		{Connection: "production/whoop", Action: SetScopes, Fields: []FieldChange{{Field: FieldScopes, From: FieldValue{List: []string{}}, To: list([]string{"b", "a"})}}},
		{Connection: "production/strava", Action: UpdateCredentials, Gate: Blocked, Class: Safe, Fields: []FieldChange{
			{Field: FieldRedirectURL, From: text("https://old.example"), To: FieldValue{Default: true}},
			{Field: FieldClientSecret, From: FieldValue{Mask: "****1111", Key: 1, Compared: Differs}, To: FieldValue{Key: 2, Sealed: "sealed"}},
		}},
	}}
	const want = "sha256:4817b92419a641c33afce1246cea43918c3419ab4b125d495403218e97f6be20"
	if got := Hash(p); got != want {
		t.Errorf("hash: got %s, want %s", got, want)
	}
	p.Changes[1].Proof = &Proof{Probe: "prefer", SoakHours: 24, MaxUserDrop: 10}
	const proved = "sha256:bb498fdba7161894d4e71cad6f191b73d16a62bd4d5db3131a753614f0f924cc"
	if got := Hash(p); got != proved {
		t.Errorf("hash with a proof: got %s, want %s", got, proved)
	}
	const empty = "sha256:3438db7b1a6833056603b2eb784f380d102abf877ecad1e1dc4b353eb2362bc4"
	if got := Hash(Plan{DevID: "prod-app-x81LmQ"}); got != empty {
		t.Errorf("hash of no change: got %s, want %s", got, empty)
	}
}

// TestConnectionHashes: a change elsewhere leaves the hash of a connection as it is, and
// the hash of the plan is none of theirs.
func TestConnectionHashes(t *testing.T) {
	change := func(connection, to string) Change {
		return Change{Connection: connection, Action: Pause, Fields: []FieldChange{{Field: FieldState, To: text(to)}}}
	}
	one := Plan{DevID: "prod", Changes: []Change{change("production/strava", "paused"), change("production/whoop", "paused")}}
	other := Plan{DevID: "prod", Changes: []Change{change("production/strava", "paused"), change("production/whoop", "active")}}
	a, b := ConnectionHashes(one), ConnectionHashes(other)
	if a["production/strava"] != b["production/strava"] || a["production/whoop"] == b["production/whoop"] || Hash(one) == Hash(other) || len(a) != 2 {
		t.Errorf("got %v and %v, plans %s and %s", a, b, Hash(one), Hash(other))
	}
	other.DevID = "staging"
	if c := ConnectionHashes(other); c["production/strava"] == a["production/strava"] {
		t.Error("another dev_id has the same hash")
	}
}

func TestShortHashes(t *testing.T) {
	digits := strings.Repeat("5e2c497c", 8)
	whole, twin := "sha256:"+digits, "sha256:5e2c497c00"+digits[10:]
	for _, row := range []struct {
		given  string
		others []string
		is     bool
		ok     bool
	}{
		{whole, nil, true, true}, {"5e2c497c", nil, true, true}, {"sha256:5e2c497c", []string{whole}, true, true},
		{"5e2c497c", []string{twin}, false, true}, {"5e2c497c5e", []string{twin}, true, true}, {"5e2c497", nil, false, false},
		{"5e2c497d", nil, false, true}, {"5E2C497C", nil, false, false}, {"", nil, false, false}, {"sha256:", nil, false, false}, {digits + "0", nil, false, false},
	} {
		if is, ok := SameHash(row.given, whole, row.others...), IsHash(row.given); is != row.is || ok != row.ok {
			t.Errorf("%q beside %v: got %v, %v", row.given, row.others, is, ok)
		}
	}
	if got := ShortHash(whole, 0, whole, twin); got != "5e2c497c5" {
		t.Errorf("beside its twin: %s", got)
	}
	if got := ShortHash(whole, 0); got != "5e2c497c" {
		t.Errorf("alone: %s", got)
	}
	for given, ok := range map[string]bool{whole: true, digits[:32]: true, "sha256:" + digits[:32]: true, digits[:31]: false, "sha256:" + digits[:31]: false} {
		if err := LongEnough(given, 32); (err == nil) != ok {
			t.Errorf("%s where 32 digits are asked for: %v", given, err)
		}
	}
	if got := ShortHash(whole, 32, twin); got != digits[:32] {
		t.Errorf("of 32 digits: %s", got)
	}
	if got := ShortHash(whole, 64); got != whole {
		t.Errorf("of 64 digits: %s", got)
	}
}

// TestHashIsOfOneAccount: what was approved for one account, or one server, is not
// approved for another.
func TestHashIsOfOneAccount(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range []Plan{{DevID: "d"}, {DevID: "d", Account: "other"}, {DevID: "d", API: "127.0.0.1/api"}, {DevID: "e"}, {Account: "d"}, {API: "d"}} {
		seen[Hash(p)] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d hashes of 6 plans", len(seen))
	}
}
