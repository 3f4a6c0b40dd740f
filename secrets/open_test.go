package secrets

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
)

// sshKeyFile writes key as an OpenSSH private key file and returns its name and
// the public line.
func sshKeyFile(t *testing.T, key crypto.Signer, passphrase string) (file, public string) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "a comment")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "a comment", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return file, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " ops, second laptop\n"
}

func ed25519Key(t *testing.T) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestEveryKindOfIdentityOpens(t *testing.T) {
	ed, edPub := sshKeyFile(t, ed25519Key(t), "")
	rsaFile, rsaPub := sshKeyFile(t, rsaKey(t, 2048), "")
	classicKey, classicPub := keyPair(t, false)
	hybridKey, hybridPub := keyPair(t, true)
	wrong, _ := keyPair(t, false)
	for _, c := range []struct {
		name, recipient, kind string
		src                   Source
	}{
		{"x25519", classicPub, "X25519", Source{Inline: "# mine\r\n\r\n" + classicKey + "\r\n"}},
		{"hybrid", hybridPub, "mlkem768x25519", Source{Inline: hybridKey}},
		{"ssh-ed25519", edPub, "ssh-ed25519", Source{Files: []string{ed}}},
		{"ssh-rsa", rsaPub, "ssh-rsa", Source{Files: []string{rsaFile}}},
		{"second of several", rsaPub, "ssh-rsa", Source{Files: []string{ed, rsaFile}, Inline: wrong + "\n" + hybridKey}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := seal(t, place(), recipientsOf(t, nil, c.recipient))
			ids, err := LoadIdentities(c.src)
			if err != nil {
				t.Fatal(err)
			}
			v, opened, err := ids.Open(s, place(), false)
			if err != nil || v.Reveal() != planted || opened.Plain || opened.Binding != place() {
				t.Fatalf("got %+v, error %v, text as sealed %t", opened, err, v.Reveal() == planted)
			}
			kinds, err := s.Kinds()
			if err != nil || len(kinds) != 1 || kinds[0] != c.kind {
				t.Errorf("got kinds %q, %v, want one %s", kinds, err, c.kind)
			}
			key := GenerateKey()
			sealedKey, err := SealKey(key, ids.Recipients())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ids.OpenKey(sealedKey); err != nil || got != key {
				t.Errorf("the digest key sealed to the runner itself came back as another, error %v", err)
			}
		})
	}
}

func TestOpenRefusals(t *testing.T) {
	mine, public := keyPair(t, false)
	theirs, theirPublic := keyPair(t, false)
	ids, r := identitiesOf(t, nil, mine), recipientsOf(t, nil, public)
	key := r.keys()[0]
	phrase, err := age.NewScryptRecipient("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	phrase.SetWorkFactor(2)
	elsewhere := place()
	elsewhere.DevID = "staging-app"
	otherAccount := place()
	otherAccount.Account = "sandbox"
	bound := envelopeHeader + place().String() + "\n"
	for _, c := range []struct {
		name   string
		ids    *Identities
		sealed Sealed
		is     error
		want   string
	}{
		{"no identities", nil, seal(t, place(), r), ErrNoIdentity, "none was given; it is sealed for 1 recipient (X25519)"},
		{"another identity", identitiesOf(t, nil, theirs), seal(t, place(), r), ErrNoIdentity, "1 identity at hand did not match"},
		{"two recipients", nil, seal(t, place(), recipientsOf(t, nil, public, theirPublic)), ErrNoIdentity, "2 recipients (X25519, X25519)"},
		{"passphrase", ids, sealRaw(t, planted, phrase), ErrPassphrase, "passphrase"},
		{"unbound", ids, sealRaw(t, planted, key), ErrUnbound, "secret encrypt FILE"},
		{"bound elsewhere", ids, seal(t, elsewhere, r), nil, "sealed for staging-app/strava/client_secret, found at prod-app-x81LmQ/strava/client_secret; if it was moved on purpose, bind it to its new place: secret rekey --rebind FILE"},
		{"bound to another account", ids, seal(t, otherAccount, r), nil, "sealed for sandbox/prod-app-x81LmQ/strava/client_secret, found at prod-app-x81LmQ/strava/client_secret"},
		{"header that writes the default account", ids, sealRaw(t, "terra-reconcile/1 default/prod-app-x81LmQ/strava/client_secret\n"+planted, key), nil, "damaged"},
		{"newer envelope", ids, sealRaw(t, "terra-reconcile/2 x\n"+planted, key), nil, "newer reconcile"},
		{"header alone", ids, sealRaw(t, strings.TrimSuffix(bound, "\n"), key), nil, "damaged"},
		{"header of two parts", ids, sealRaw(t, "terra-reconcile/1 a/b\n"+planted, key), nil, "damaged"},
		{"terminal tricks in the header", ids, sealRaw(t, "terra-reconcile/1 a/b/c\x1b[2J\n"+planted, key), nil, "damaged"},
		{"huge header", ids, sealRaw(t, "terra-reconcile/1 a/b/"+strings.Repeat("c", 1000)+"\n"+planted, key), nil, "damaged"},
		{"bound and empty", ids, sealRaw(t, bound, key), nil, "empty"},
		{"bound with a line ending", ids, sealRaw(t, bound+planted+"\n", key), nil, "white space"},
		{"control character", ids, sealRaw(t, bound+planted+"\x00x", key), nil, "control"},
		{"mask", ids, sealRaw(t, bound+"****7777", key), ErrMasked, "secret encrypt FILE"},
		{"too large", ids, sealRaw(t, bound+strings.Repeat("z", maxContents), key), nil, "larger than 16 KiB"},
		{"tampered", ids, tampered(t, seal(t, place(), r)), nil, "damaged"},
		{"zero", ids, Sealed{}, nil, "no sealed secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, _, err := c.ids.Open(c.sealed, place(), false)
			if err == nil || !v.IsZero() {
				t.Fatalf("it opened, want an error with %q", c.want)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %v", err, c.is)
			}
			said := err.Error()
			for _, a := range advice.All(err) {
				said += "; " + a.Text + ": " + strings.Join(a.Command, " ")
			}
			if !strings.Contains(said, c.want) {
				t.Errorf("got %q, want %q in it", said, c.want)
			}
			if piece := leaks(fmt.Sprintf("%+v %#v", err, err), planted); piece != "" {
				t.Errorf("the error shows %q", piece)
			}
		})
	}
	misbound := (*MisboundError)(nil)
	if _, _, err := ids.Open(seal(t, elsewhere, r), place(), true); !errors.As(err, &misbound) || misbound.Have != elsewhere || misbound.Want != place() {
		t.Errorf("got %v, want a MisboundError with both places, also where plain secrets are allowed", err)
	}
	if v, opened, err := ids.OpenAnywhere(seal(t, elsewhere, r)); err != nil || opened.Binding != elsewhere || v.Reveal() != planted {
		t.Errorf("OpenAnywhere: got %+v, %v", opened, err)
	}
}

// tampered flips the last byte of the file's contents.
func tampered(t *testing.T, s Sealed) Sealed {
	t.Helper()
	raw, err := s.bytes()
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	out, err := armorBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPlainSecretsOpenWhereAllowed(t *testing.T) {
	private, public := keyPair(t, false)
	ids, key := identitiesOf(t, nil, private), recipientsOf(t, nil, public).keys()[0]
	for contents, want := range map[string]string{
		"plain-secret": "plain-secret", "plain-secret\n": "plain-secret", "plain-secret\r\n": "plain-secret",
		"plain-secret\n\n": "", "plain-secret \n": "", "\n": "", "": "", "plain\r": "", "terra-reconcile": "terra-reconcile",
	} {
		v, opened, err := ids.Open(sealRaw(t, contents, key), place(), true)
		if v.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%q: got an opened secret %t and error %v, want %q", contents, !v.IsZero(), err, want)
		}
		if err == nil && (!opened.Plain || opened.Binding != Binding{}) {
			t.Errorf("%q: got %+v, want plain", contents, opened)
		}
	}
}

func TestSealRefusals(t *testing.T) {
	_, public := keyPair(t, false)
	r := recipientsOf(t, nil, public)
	many := make([]string, 0, 40)
	for range 40 {
		_, p := keyPair(t, true)
		many = append(many, p)
	}
	without := func(change func(*Binding)) Binding {
		b := place()
		change(&b)
		return b
	}
	for _, c := range []struct {
		name, text string
		at         Binding
		to         Recipients
		want       string
	}{
		{"empty", "", place(), r, "empty"},
		{"space before", " " + planted, place(), r, "white space"},
		{"line ending", planted + "\n", place(), r, "white space"},
		{"no-break space", planted + "\u00a0", place(), r, "white space"},
		{"line in the middle", planted + "\n" + planted, place(), r, "control"},
		{"zero width space", planted + "\u200b" + planted, place(), r, "invisible"},
		{"byte order mark", "\ufeff" + planted, place(), r, "invisible"},
		{"no-break space inside", planted + "\u00a0" + planted, place(), r, "invisible"},
		{"filler", planted + "\u3164", place(), r, "invisible"},
		{"blank pattern", planted + "\u2800", place(), r, "invisible"},
		{"variation selector", planted + "\ufe0f", place(), r, "invisible"},
		{"private use", planted + "\ue000" + planted, place(), r, "invisible"},
		{"typographic dash", planted + "\u2013" + planted, place(), r, "no provider issues"},
		{"typographic quote", "a\u2019b" + planted, place(), r, "no provider issues"},
		{"letter of another alphabet", "\u0410" + planted, place(), r, "no provider issues"},
		{"full-width digits", planted + "\uff11", place(), r, "no provider issues"},
		{"three dots in one", planted + "\u2026", place(), r, "no provider issues"},
		{"mask of Terra", "****7777", place(), r, "secret is a mask"},
		{"stars alone", "********", place(), r, "secret is a mask"},
		{"a mask in a portal", "GOCSPX-****...86a1", place(), r, "secret is a mask"},
		{"not UTF-8", planted + "\xff", place(), r, "UTF-8"},
		{"too large", strings.Repeat("a", maxContents), place(), r, "16 KiB"},
		{"no recipients", planted, place(), Recipients{}, "no recipients"},
		{"too many recipients", planted, place(), recipientsOf(t, nil, many...), "fewer recipients"},
		{"no dev_id", planted, without(func(b *Binding) { b.DevID = "" }), r, "dev_id is empty"},
		{"slash in provider", planted, without(func(b *Binding) { b.Provider = "a/b" }), r, "provider holds a slash"},
		{"line ending in field", planted, without(func(b *Binding) { b.Field = "f\n" }), r, "field holds"},
		{"endless field", planted, without(func(b *Binding) { b.Field = strings.Repeat("f", 300) }), r, "field is longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Seal(NewValue([]byte(c.text)), c.at, c.to)
			if err == nil || !s.IsZero() || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			if piece := leaks(err.Error(), planted); piece != "" {
				t.Errorf("the error shows %q", piece)
			}
		})
	}
}

// TestSecretsWithStarsAreNoMasks: a made password may hold some.
func TestSecretsWithStarsAreNoMasks(t *testing.T) {
	for _, text := range []string{"*Zq7f!x9", "a*b*c*d*", "Zq7f***x9Lm", "0123456789abcdefghijkl****mnop", "12345678*"} {
		if err := Check(NewValue([]byte(text))); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, kind := range []string{"classic", "hybrid"} {
		private, public := keyPair(b, kind == "hybrid")
		ids, s := identitiesOf(b, nil, private), seal(b, place(), recipientsOf(b, nil, public))
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := ids.Open(s, place(), false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
