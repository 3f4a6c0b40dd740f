package secrets

import (
	"errors"
	"strings"
	"testing"
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
