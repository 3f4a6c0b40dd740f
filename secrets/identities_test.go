package secrets

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age/plugin"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoadIdentityRefusals(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	private, public := keyPair(t, false)
	hybrid, _ := keyPair(t, true)
	locked, _ := sshKeyFile(t, ed25519Key(t), "a passphrase")
	weak, _ := sshKeyFile(t, rsaKey(t, 1024), "")
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaFile, _ := sshKeyFile(t, curve, "")
	good, _ := sshKeyFile(t, ed25519Key(t), "")
	pem, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	yubikey := plugin.EncodeIdentity("yubikey", []byte(planted))
	for _, c := range []struct{ name, file, want string }{
		{"missing", filepath.Join(t.TempDir(), "gone"), "gone: no such file"},
		{"folder", t.TempDir(), "is a directory"},
		{"empty", writeFile(t, ""), "holds no identity"},
		{"comments only", writeFile(t, "# none\n\n"), "holds no identity"},
		{"cut", writeFile(t, "# one\n"+private[:60]), ":2: the identity (AGE-SECRET-KEY-1…) is cut or misspelt"},
		{"cut hybrid", writeFile(t, hybrid[:60]), ":1: the post-quantum identity"},
		{"recipient", writeFile(t, private+"\n"+public), ":2: this is a recipient"},
		{"ssh recipient", writeFile(t, "ssh-ed25519 AAAA"), ":1: this is a recipient"},
		{"something else", writeFile(t, planted), ":1: not an age identity"},
		{"encrypted", writeFile(t, "-----BEGIN AGE ENCRYPTED FILE-----\n"+planted), "itself encrypted"},
		{"encrypted, not armored", writeFile(t, "age-encryption.org/v1\n-> scrypt"), "itself encrypted"},
		{"ssh with passphrase", locked, "has a passphrase"},
		{"weak ssh-rsa", weak, "2048 bits or more"},
		{"ecdsa", ecdsaFile, "ssh-ed25519 and ssh-rsa"},
		{"damaged ssh", writeFile(t, "-----BEGIN OPENSSH PRIVATE KEY-----\n"+planted), "damaged or not alone"},
		{"two ssh keys", writeFile(t, string(pem)+string(pem)), "one key a file"},
		{"plugin not allowed", writeFile(t, yubikey), `:1: age plugin "yubikey" is not allowed`},
		{"damaged plugin", writeFile(t, yubikey[:30]), ":1: the plugin identity"},
		{"huge", writeFile(t, strings.Repeat("#\n", maxIdentityFile)), "larger than 1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ids, err := LoadIdentities(Source{Files: []string{c.file}, AllowPlugins: []string{"tpm"}})
			if err == nil || ids.HasAny() || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			if !strings.Contains(err.Error(), c.file) {
				t.Errorf("got %q, want the file named", err)
			}
			for _, private := range []string{planted, private, hybrid[:60], yubikey[:30]} {
				if piece := leaks(err.Error(), strings.TrimPrefix(private, "AGE-SECRET-KEY-")); piece != "" && !strings.HasPrefix(piece, "AGE-") && !strings.Contains("AGE-PLUGIN-YUBIKEY-", piece) && !strings.Contains("PQ-1", piece) {
					t.Errorf("the error %q shows %q", err, piece)
				}
			}
		})
	}
	_, err = LoadIdentities(Source{Inline: "\n" + planted})
	if err == nil || !strings.HasPrefix(err.Error(), "RECONCILE_AGE_KEY:2: ") || leaks(err.Error(), planted) != "" {
		t.Errorf("got %v, want the variable and the line named and nothing of it shown", err)
	}
}

func TestNoIdentities(t *testing.T) {
	none, err := LoadIdentities(Source{Inline: " \n"})
	if err != nil {
		t.Fatal(err)
	}
	for name, ids := range map[string]*Identities{"empty source": none, "nil": nil, "zero": {}} {
		if ids.HasAny() || len(ids.Recipients()) != 0 {
			t.Errorf("%s: got identities, want none", name)
		}
		if _, err := SealKey(GenerateKey(), ids.Recipients()); err == nil {
			t.Errorf("%s: a key was sealed for nobody", name)
		}
	}
}

func TestIdentitiesAreReadAnewAndNeverPrinted(t *testing.T) {
	first, _ := keyPair(t, false)
	second, public := keyPair(t, false)
	file := writeFile(t, first)
	src := Source{Files: []string{file}}
	s := seal(t, place(), recipientsOf(t, nil, public))
	old, err := LoadIdentities(src)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh, err := LoadIdentities(src)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := old.Open(s, place(), false); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("before the file changed: got %v, want ErrNoIdentity", err)
	}
	if _, _, err := fresh.Open(s, place(), false); err != nil {
		t.Errorf("after the file changed: got %v, want it open", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		if piece := leaks(fmt.Sprintf(verb+verb, fresh, *fresh), strings.TrimPrefix(second, "AGE-SECRET-KEY-1")); piece != "" {
			t.Errorf("%s shows %q of an identity", verb, piece)
		}
	}
}

// Identity files as editors and PowerShell write them.
func TestIdentityFilesOfWindows(t *testing.T) {
	private, public := keyPair(t, false)
	s := seal(t, place(), recipientsOf(t, nil, public))
	text := "# created: 2026-11-20\r\n# public key: " + public + "\r\n" + private + "\r\n"
	wide := func(high int) string {
		out := map[int]string{0: "\xfe\xff", 1: "\xff\xfe"}[high]
		for _, b := range []byte(text) {
			out += map[int]string{0: "\x00" + string(rune(b)), 1: string(rune(b)) + "\x00"}[high]
		}
		return out
	}
	for name, written := range map[string]string{
		"CRLF": text, "BOM": "\xef\xbb\xbf" + text, "UTF-16 LE": wide(1), "UTF-16 BE": wide(0), "no end of line": "\xef\xbb\xbf" + private,
	} {
		for _, src := range []Source{{Files: []string{writeFile(t, written)}}, {Inline: written}} {
			ids, err := LoadIdentities(src)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if _, _, err := ids.Open(s, place(), false); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestMixedIdentitiesSealForPostQuantumOnly(t *testing.T) {
	classicKey, _ := keyPair(t, false)
	hybridKey, _ := keyPair(t, true)
	key := GenerateKey()
	sealedKey, err := SealKey(key, identitiesOf(t, nil, classicKey, hybridKey).Recipients())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identitiesOf(t, nil, classicKey).OpenKey(sealedKey); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("with the classic identity: got %v, want ErrNoIdentity", err)
	}
	if got, err := identitiesOf(t, nil, hybridKey).OpenKey(sealedKey); err != nil || got != key {
		t.Errorf("with the post-quantum identity: error %v, same key %t", err, got == key)
	}
}

func TestPlugins(t *testing.T) {
	installPlugin(t, "good", "talks", "asks", "fails", "hangs")
	private, public := keyPair(t, false)
	other, _ := keyPair(t, false)
	all := []string{"good", "talks", "asks", "fails", "hangs", "absent"}
	key := func(name, private string) string { return plugin.EncodeIdentity(name, []byte(private)) }
	r := recipientsOf(t, all, plugin.EncodeRecipient("good", []byte(public)))
	s := seal(t, place(), r)
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"opens", []string{key("good", private)}, ""},
		{"may say something", []string{key("talks", private)}, ""},
		{"a native identity suffices", []string{key("fails", private), private}, ""},
		{"another plugin helps", []string{key("fails", private), key("absent", private), key("asks", private), key("good", private)}, ""},
		{"does not match", []string{key("good", other)}, "no identity opens it: it is sealed for 1 recipient (X25519), and 1 identity at hand did not match"},
		{"asks", []string{key("asks", private)}, `age plugin "asks": it asks for a PIN or a confirmation, and a daemon cannot type`},
		{"absent", []string{key("absent", private)}, `age plugin "absent": age-plugin-absent is not in PATH; install it there`},
		{"fails", []string{key("fails", private)}, `age plugin "fails": `},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, _, err := identitiesOf(t, all, c.lines...).Open(s, place(), false)
			if c.want == "" {
				if err != nil || v.Reveal() != planted {
					t.Fatalf("got %v, want it open", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), key("fails", private)) || strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("got %q, want it without the identity and without control characters", err)
			}
			failed := (*PluginError)(nil)
			if errors.As(err, &failed) == errors.Is(err, ErrNoIdentity) {
				t.Errorf("got %v, want either a PluginError or ErrNoIdentity", err)
			}
		})
	}
}

func TestPluginThatHangsIsLeftBehindOnce(t *testing.T) {
	installPlugin(t, "hangs")
	private, public := keyPair(t, false)
	s := seal(t, place(), recipientsOf(t, nil, public))
	ids := identitiesOf(t, []string{"hangs"}, plugin.EncodeIdentity("hangs", []byte(private)))
	ids.list()[0].plugin.wait = 50 * time.Millisecond
	for i, want := range []string{"no answer within 50ms", "not asked again"} {
		if _, _, err := ids.Open(s, place(), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("try %d: got %v, want %q", i+1, err, want)
		}
	}
}

func TestPluginIsNotStartedWhereItsTrafficIsPrinted(t *testing.T) {
	installPlugin(t, "good")
	t.Setenv("AGEDEBUG", "plugin")
	private, public := keyPair(t, false)
	s := seal(t, place(), recipientsOf(t, nil, public))
	ids := identitiesOf(t, []string{"good"}, plugin.EncodeIdentity("good", []byte(private)))
	if _, _, err := ids.Open(s, place(), false); err == nil || !strings.Contains(err.Error(), "AGEDEBUG=plugin would print keys") {
		t.Errorf("got %v, want the plugin not started", err)
	}
}

func TestPluginNotAllowedIsNotStarted(t *testing.T) {
	installPlugin(t, "good")
	private, public := keyPair(t, false)
	if _, err := LoadIdentities(Source{Inline: plugin.EncodeIdentity("good", []byte(private)), AllowPlugins: []string{"goo", "GOOD"}}); err == nil {
		t.Error("an identity of a plugin that is not allowed was loaded")
	}
	if _, err := ParseRecipients([]string{plugin.EncodeRecipient("good", []byte(public))}, []string{"goo"}); err == nil {
		t.Error("a recipient of a plugin that is not allowed was accepted")
	}
}
