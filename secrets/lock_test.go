package secrets

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLockRemembersAndPrunes(t *testing.T) {
	_, one := keyPair(t, false)
	_, two := keyPair(t, false)
	_, ssh := sshKeyFile(t, ed25519Key(t), "")
	r := recipientsOf(t, nil, two, ssh, one)
	a, b := seal(t, place(), r), seal(t, place(), recipientsOf(t, nil, one))
	var lock Lock
	lock.Record(a, r)
	lock.Record(b, recipientsOf(t, nil, one))
	lock.Record(Sealed{}, r)
	lock.Record(a, r)
	if len(lock.entries) != 2 {
		t.Fatalf("got %d entries, want 2", len(lock.entries))
	}
	read, err := ParseLock(lock.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(r.Strings()))
	if got, known := read.Recipients(a); !known || !slices.Equal(got, want) {
		t.Errorf("got %q, %t, want %q", got, known, want)
	}
	if got, known := read.Recipients(seal(t, place(), r)); known || len(got) != 0 {
		t.Errorf("got %q for a secret that was never recorded, want nothing", got)
	}
	if got := read.Prune([]Sealed{b}); got != 1 || len(read.entries) != 1 {
		t.Errorf("pruned %d, %d are left, want 1 and 1", got, len(read.entries))
	}
	if _, known := read.Recipients(b); !known {
		t.Error("the secret that is present was forgotten")
	}
	var zero Lock
	if got := zero.Prune(nil); got != 0 || !strings.HasPrefix(string(zero.Bytes()), "# Who") {
		t.Errorf("the empty lock pruned %d, wrote %q", got, zero.Bytes())
	}
}

func TestLockMergesByLines(t *testing.T) {
	x, y := "sha256:"+strings.Repeat("0a", 32), "sha256:"+strings.Repeat("ff", 32)
	merged := "# ours\r\n" + y + " age1b,age1a\r\n\r\n" + x + " ssh-ed25519 AAAA,age1a\n" + y + " age1a,age1b\n"
	lock, err := ParseLock([]byte(merged))
	if err != nil {
		t.Fatal(err)
	}
	want := lockHeader + x + " age1a,ssh-ed25519 AAAA\n" + y + " age1a,age1b\n"
	if diff := cmp.Diff(want, string(lock.Bytes())); diff != "" {
		t.Errorf("sorted, once each and with one header (-want +got):\n%s", diff)
	}
}

func TestLockRefusals(t *testing.T) {
	token := "sha256:" + strings.Repeat("0a", 32)
	for name, c := range map[string]struct{ text, want string }{
		"no recipients":       {token + "\n", "1: not `sha256:"},
		"empty list":          {token + " \n", "1: a recipient is empty"},
		"empty recipient":     {token + " a,,b\n", "1: a recipient is empty"},
		"space after comma":   {token + " a, b\n", "1: a recipient is empty or has white space"},
		"escape sequence":     {token + " a\x1b[2Jb\n", "1: a recipient holds a control"},
		"right to left":       {token + " a\u202eb\n", "1: a recipient holds a control"},
		"not UTF-8":           {token + " a\xffb\n", "1: a recipient holds a control"},
		"short digest":        {"# x\nsha256:0a a\n", "2: not `sha256:"},
		"upper case digest":   {strings.ToUpper(token) + " a\n", "1: not"},
		"upper case hex":      {"sha256:" + strings.Repeat("0A", 32) + " a\n", "1: not"},
		"other digest":        {"md5:00 a\n", "1: not"},
		"conflict":            {token + " a\n<<<<<<< HEAD\n", "2: a merge conflict"},
		"conflict middle":     {"=======\n", "1: a merge conflict"},
		"contradicting lists": {token + " a\n" + token + " a,b\n", "2: the same secret has another list"},
	} {
		lock, err := ParseLock([]byte(c.text))
		if err == nil || len(lock.entries) != 0 || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func FuzzLock(f *testing.F) {
	token := "sha256:" + strings.Repeat("0a", 32)
	for _, s := range []string{"", lockHeader, token + " a,b\n", token + " ssh-rsa AAAA\r\n", token, "<<<<<<<", token + " a\n" + token + " b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lock, err := ParseLock(text)
		if err != nil {
			if len(lock.entries) != 0 {
				t.Fatal("an error came with a Lock")
			}
			return
		}
		again, err := ParseLock(lock.Bytes())
		if err != nil || string(again.Bytes()) != string(lock.Bytes()) || len(again.entries) != len(lock.entries) {
			t.Fatalf("the written lock reads as another: %v\n%q", err, lock.Bytes())
		}
	})
}
