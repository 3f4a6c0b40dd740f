package secrets

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDigestsAreKeyedStableAndApart(t *testing.T) {
	key := [32]byte{1, 2, 3}
	d, other := NewDigester(key), NewDigester([32]byte{9})
	v := NewValue([]byte("abc"))
	all := map[string]string{
		"value": d.Digest(v), "mask": d.MaskDigest("abc"), "bytes": d.Bytes("", []byte("abc")),
		"label": d.Bytes("a", []byte("bc")), "label longer": d.Bytes("ab", []byte("c")), "label other": d.Bytes("x", []byte("abc")),
		"no bytes": d.Bytes("", nil), "other key": other.Digest(v), "other value": d.Digest(NewValue([]byte("abd"))),
	}
	seen := map[string]string{}
	for name, digest := range all {
		hex, ok := strings.CutPrefix(digest, "hmac-sha256:")
		if !ok || len(hex) != 64 {
			t.Errorf("%s: got %q, want hmac-sha256: and 64 hex digits", name, digest)
		}
		if twin, twice := seen[digest]; twice {
			t.Errorf("%s and %s have the same digest", name, twin)
		}
		seen[digest] = name
	}
	const pinned = "hmac-sha256:a32c71e6b1606e678cfa6b3d95272d400dd5087f5a9c8c480adb5c861da93e98"
	if got := d.Digest(v); got != pinned {
		t.Errorf("got %s, want %s: digests in existing state would no longer agree", got, pinned)
	}
	if !DigestsAgree(d.Digest(v), NewDigester(key).Digest(NewValue([]byte("abc")))) || DigestsAgree(d.Digest(v), other.Digest(v)) {
		t.Error("digests agree exactly when key and value do")
	}
}

func TestDigestsWithoutKeyOrValueNeverAgree(t *testing.T) {
	var none Digester
	v := NewValue([]byte(planted))
	d := NewDigester(GenerateKey())
	for name, digest := range map[string]string{
		"no key": none.Digest(v), "no key, mask": none.MaskDigest("****abcd"), "no key, bytes": none.Bytes("l", []byte("b")),
		"no value": d.Digest(Value{}), "no mask": d.MaskDigest(""),
	} {
		if digest != "" || DigestsAgree(digest, digest) {
			t.Errorf("%s: got %q, want none, agreeing with nothing", name, digest)
		}
	}
	if !none.IsZero() || d.IsZero() {
		t.Error("only a Digester without a key is zero")
	}
	if a, b := GenerateKey(), GenerateKey(); a == b {
		t.Error("two generated keys are equal")
	}
}

func TestOpenKeyRefusesOtherFiles(t *testing.T) {
	private, public := keyPair(t, false)
	ids := identitiesOf(t, nil, private)
	r := ids.Recipients()
	good, err := SealKey(GenerateKey(), r)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := seal(t, place(), recipientsOf(t, nil, public)).bytes()
	if err != nil {
		t.Fatal(err)
	}
	short, err := encrypt([]byte(sealedKeyHeader+"short"), r)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := encrypt([]byte("a secret that is 32 bytes long.."), r)
	if err != nil {
		t.Fatal(err)
	}
	for name, sealedKey := range map[string][]byte{
		"32 bytes of something else": bare,
		"empty":                      nil, "garbage": []byte(planted), "a secret": secret, "a short key": short,
		"cut": good[:len(good)-1], "huge": make([]byte, maxArmored+1),
	} {
		key, err := ids.OpenKey(sealedKey)
		if err == nil || key != [32]byte{} || leaks(err.Error(), planted) != "" {
			t.Errorf("%s: got %v, want an error that shows nothing", name, err)
		}
	}
	if _, err := (*Identities)(nil).OpenKey(good); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("without identity: got %v, want ErrNoIdentity", err)
	}
}

func TestMaskAgrees(t *testing.T) {
	for _, c := range []struct {
		secret, mask  string
		agrees, known bool
	}{
		{"abcdefgh", "****efgh", true, true},
		{"abcdefgh", "****efgH", false, true},
		{"abcdefgh", "****abcd", false, true},
		{"пароль-é世界", "****-é世界", true, true},
		{"abcdefg", "****defg", false, false},
		{"", "****", false, false},
		{"abcdefgh", "", false, false},
		{"abcdefgh", "****", false, false},
		{"abcdefgh", "*****efgh", false, false},
		{"abcdefgh", "efgh", false, false},
		{"abcdefgh", "***efgh", false, false},
		{"abcdefgh", "[hidden]", false, false},
	} {
		agrees, known := MaskAgrees(NewValue([]byte(c.secret)), c.mask)
		if agrees != c.agrees || known != c.known {
			t.Errorf("secret %q, mask %q: got agrees %t known %t, want %t %t", c.secret, c.mask, agrees, known, c.agrees, c.known)
		}
	}
	if got := Mask(NewValue([]byte("short"))); got != "" {
		t.Errorf("got mask %q for a short secret, want none", got)
	}
}

func TestDue(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 11, day, 2, 0, 0, 0, time.UTC) }
	always, five, nine := Schedule{}, Schedule{NotBefore: at(5)}, Schedule{NotBefore: at(9)}
	bad := Schedule{NotBefore: at(5), Rejected: true}
	for _, c := range []struct {
		name      string
		now       time.Time
		keys      []Schedule
		due       int
		next      int
		nextAtDay int
	}{
		{"no keys", at(1), nil, -1, -1, 0},
		{"always", at(1), []Schedule{always}, 0, -1, 0},
		{"one instant early", at(5).Add(-1), []Schedule{always, five}, 0, 1, 5},
		{"at its moment", at(5), []Schedule{always, five}, 1, -1, 0},
		{"other time zone", at(5).In(time.FixedZone("", 3600)), []Schedule{always, five}, 1, -1, 0},
		{"none yet", at(1), []Schedule{five, nine}, -1, 0, 5},
		{"unknown first", at(1), []Schedule{{Unknown: true}, five}, 0, 1, 5},
		{"rejected", at(6), []Schedule{always, bad}, 0, -1, 0},
		{"rejected, then a good one", at(6), []Schedule{always, bad, nine}, 0, 2, 9},
		{"all rejected", at(6), []Schedule{bad}, -1, -1, 0},
		{"the last one is earlier than the one before", at(1), []Schedule{always, nine, five}, 0, 2, 5},
		{"and hides it for good", at(6), []Schedule{always, nine, five}, 2, -1, 0},
	} {
		if got := Due(c.now, c.keys); got != c.due {
			t.Errorf("%s: got %d due, want %d", c.name, got, c.due)
		}
		when, next, ok := Next(c.now, c.keys)
		if next != c.next || ok != (c.next >= 0) || (ok && !when.Equal(at(c.nextAtDay))) {
			t.Errorf("%s: got next %d at %s, want %d on day %d", c.name, next, when, c.next, c.nextAtDay)
		}
	}
}

func TestUnneeded(t *testing.T) {
	key, unknown, bad := Schedule{}, Schedule{Unknown: true}, Schedule{Rejected: true}
	for _, c := range []struct {
		name      string
		keys      []Schedule
		live, due int
		want      []int
	}{
		{"no keys", nil, 0, 0, nil},
		{"nothing live", []Schedule{key, key, key}, -1, 2, nil},
		{"live is beyond the list", []Schedule{key, key, bad}, 3, 1, nil},
		{"due is beyond the list", []Schedule{key, key, bad}, 1, 3, nil},
		{"a number that is none", []Schedule{bad, bad}, -2, -1, nil},
		{"the oldest is live", []Schedule{key, key}, 0, 0, nil},
		{"the one before is kept", []Schedule{key, key}, 1, 1, nil},
		{"older ones are not", []Schedule{key, key, key, key}, 3, 3, []int{0, 1}},
		{"later ones are", []Schedule{key, key, key, key, key}, 2, 2, []int{0}},
		{"nobody goes back to an unknown one", []Schedule{unknown, key, key}, 1, 1, []int{0}},
		{"nor to a rejected one", []Schedule{key, key, bad, key}, 3, 3, []int{0, 2}},
		{"all older ones are bad", []Schedule{unknown, bad, key}, 2, 2, []int{0, 1}},
		{"a rejected one that is newer", []Schedule{key, key, key, bad, key}, 2, 2, []int{0, 3}},
		{"not the live one, rejected or not", []Schedule{key, key, bad}, 2, 1, nil},
		{"none is live, and one was rejected", []Schedule{unknown, bad, key}, -1, 0, []int{1}},
		{"an older one is still live", []Schedule{key, key, key, key}, 1, 3, nil},
		{"a later one is live before its time", []Schedule{key, key, key, key}, 3, 1, nil},
		{"none is due", []Schedule{key, bad, key}, 0, -1, []int{1}},
		{"what should be live, whatever is said of it", []Schedule{key, key, bad}, 1, 2, nil},
	} {
		if got := Unneeded(c.keys, c.live, c.due); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestDueNeverFalls walks random schedules through time: the index never
// falls, changes exactly at the moments Next names, and does not depend on the
// walk.
func TestDueNeverFalls(t *testing.T) {
	const schedules = 10_000
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	t.Logf("COUNT due_random_schedules=%d", schedules)
	random := rand.New(rand.NewPCG(seed, 2))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range schedules {
		keys := make([]Schedule, random.IntN(6))
		for i := range keys {
			keys[i] = Schedule{Unknown: random.IntN(4) == 0, Rejected: random.IntN(4) == 0}
			if random.IntN(5) > 0 {
				keys[i].NotBefore = start.Add(time.Duration(random.IntN(40)) * time.Hour)
			}
		}
		before := slices.Clone(keys)
		last, promised := -1, start
		for hour := -1; hour < 45; hour++ {
			now := start.Add(time.Duration(hour) * time.Hour)
			due := Due(now, keys)
			if due < last {
				t.Fatalf("at %s the due key fell from %d to %d: %+v", now, last, due, keys)
			}
			if hour >= 0 && due != last && !promised.Equal(now) {
				t.Fatalf("at %s the due key became %d, but Next promised %s: %+v", now, due, promised, keys)
			}
			at, next, ok := Next(now, keys)
			if ok && (!at.After(now) || next <= due) {
				t.Fatalf("at %s Next says %s and %d while %d is due: %+v", now, at, next, due, keys)
			}
			last, promised = due, at
		}
		if !slices.Equal(before, keys) {
			t.Fatal("the keys were changed")
		}
	}
}
