package signature

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
)

// need skips without a program, or fails where nothing may be missing.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("REQUIRE_ALL") == "1" {
				t.Fatal(program + " is not installed")
			}
			t.Skip(program + " is not installed")
		}
	}
}

// committed is when the commits of these tests are made, unless a test says when.
const committed = "2026-11-20T12:00:00Z"

// now is when they are judged.
func now() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }

// bench is a repository in which commits are signed by the real programs.
type bench struct {
	t    *testing.T
	dir  string
	gpg  string // the home of gpg
	when string
	mail string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	need(t, "git", "ssh-keygen")
	b := &bench{t: t, dir: t.TempDir(), when: committed, mail: "ada@acme.example"}
	b.run("", "git", "init", "-q", "--template=", "-b", "main")
	return b
}

func (b *bench) run(stdin, program string, args ...string) string {
	b.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdin = b.dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GNUPGHOME="+b.gpg, "TZ=UTC", "SSH_AUTH_SOCK=",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL="+b.mail, "GIT_AUTHOR_DATE="+b.when,
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL="+b.mail, "GIT_COMMITTER_DATE="+b.when)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (b *bench) file(name, content string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *bench) sshKey(kind string, more ...string) (file, public string) {
	b.t.Helper()
	file = filepath.Join(b.t.TempDir(), "key")
	b.run("", "ssh-keygen", append([]string{"-q", "-t", kind, "-N", "", "-C", "comment", "-f", file}, more...)...)
	data, err := os.ReadFile(file + ".pub")
	if err != nil {
		b.t.Fatal(err)
	}
	return file, strings.TrimSpace(string(data))
}

// sign commits with an ssh key.
func (b *bench) sign(key string) Commit {
	b.t.Helper()
	b.run("", "git", "-c", "gpg.format=ssh", "-c", "user.signingkey="+key, "commit", "-q", "-S", "--allow-empty", "-m", "signed")
	return b.head()
}

// head reads the newest commit as the program does.
func (b *bench) head() Commit {
	b.t.Helper()
	s, err := gitsource.Open(gitsource.Options{URL: b.dir})
	if err != nil {
		b.t.Fatal(err)
	}
	at, err := s.Fetch(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := s.Signed(at.Hash)
	if err != nil {
		b.t.Fatal(err)
	}
	return Commit{Payload: c.Payload, Signature: c.Signature, Committer: c.Committer, When: c.When}
}

func (b *bench) trust(signers string) Trust {
	b.t.Helper()
	t, err := Load(Files{AllowedSigners: b.file("allowed_signers", signers)})
	if err != nil {
		b.t.Fatal(err)
	}
	return t
}

// wantTaken and wantRefused look at one judgement.
func wantTaken(t *testing.T, what string, trust Trust, c Commit, now time.Time) {
	t.Helper()
	if by, err := trust.Check(c, now); err != nil || by == "" {
		t.Errorf("%s: %q, %v", what, by, err)
	}
}

func wantRefused(t *testing.T, what string, trust Trust, c Commit, now time.Time, says string) {
	t.Helper()
	_, err := trust.Check(c, now)
	if refused := (*RefusedError)(nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v, want a refusal with %q", what, err, says)
	}
}

func TestSSH(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run("", "git", "commit", "-q", "--allow-empty", "-m", "first")
	unsigned := b.head()
	file, key := b.sshKey("ed25519")
	_, other := b.sshKey("ed25519")
	signed := b.sign(file)
	trust := b.trust("# who may\n\nada@acme.example " + key + "\n")
	wantTaken(t, "signed", trust, signed, now())
	if by, _ := trust.Check(signed, now()); !strings.HasPrefix(by, "ssh key SHA256:") || !strings.HasSuffix(by, "allowed_signers:3)") {
		t.Errorf("it is signed by %q", by)
	}
	wantRefused(t, "unsigned", trust, unsigned, now(), "it is not signed")
	wantRefused(t, "nobody is trusted", Trust{}, signed, now(), "does not know")
	wantRefused(t, "another key", b.trust("ada@acme.example "+other), signed, now(), "does not know")

	moved := signed
	moved.Payload = unsigned.Payload
	wantRefused(t, "the signature of another commit", trust, moved, now(), "not of this commit")
	moved = signed
	moved.Signature = append([]byte("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"), signed.Signature...)
	wantRefused(t, "two signatures", trust, moved, now(), "cannot be read")
	moved.Signature = []byte("-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----\n")
	wantRefused(t, "X.509", trust, moved, now(), "X.509")
	moved.Signature = []byte("hello")
	wantRefused(t, "no signature at all", trust, moved, now(), "not known here")

	elsewhere := signed
	b.file("payload", string(signed.Payload))
	b.run("", "ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", file, "payload")
	data, err := os.ReadFile(filepath.Join(b.dir, "payload.sig"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Signature = data
	wantRefused(t, "a signature of a file", trust, elsewhere, now(), `made for "file"`)

	for _, c := range []struct{ line, says string }{ // "" is taken
		{`*@acme.example`, ""},
		{`"bo@acme.example,ada@*"`, ""},
		{`ad?@acme.example`, ""},
		{`bo@acme.example`, "is not about the committer ada@acme.example"},
		{`*,!ada@acme.example`, "is not about the committer"},
		{`*@acme`, "is not about the committer"},
		{`[a]da@acme.example`, "is not about the committer"},
		{`* namespaces="git"`, ""},
		{`* Namespaces="file,g*"`, ""},
		{`* namespaces="file,email"`, "other namespaces"},
		{`* namespaces="*,!git"`, "other namespaces"},
		{`* valid-before="20261231Z"`, ""},
		{`* valid-before="20261120115959Z"`, "let it sign until 2026-11-20T11:59:59Z"},
		{`* valid-before="20261120120000Z"`, "let it sign until 2026-11-20T12:00:00Z"},
		{`* valid-before="202611201201Z"`, "let it sign until 2026-11-20T12:01:00Z"}, // it was valid then, and is not any more
		{`* valid-after="20261120Z",valid-before="20261231Z"`, ""},
		{`* valid-after="20261120120001Z"`, "lets it sign from 2026-11-20T12:00:01Z on"},
		{`* valid-after="20270101Z"`, "lets it sign from"},
	} {
		trust := b.trust(c.line + " " + key)
		if c.says == "" {
			wantTaken(t, c.line, trust, signed, now())
		} else {
			wantRefused(t, c.line, trust, signed, now(), c.says)
		}
	}
	wantTaken(t, "accepted before, expired since", b.trust(`* valid-before="202611201201Z" `+key), signed, time.Time{})
	wantRefused(t, "expired when it was made", b.trust(`* valid-before="20261120Z" `+key), signed, time.Time{}, "let it sign until")
	wantTaken(t, "the second line of a key", b.trust("bo@acme.example "+key+"\nada@acme.example "+key), signed, now())
}

func TestSSHKinds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, kind := range [][]string{{"ecdsa", "-b", "384"}, {"rsa", "-b", "2048"}} {
		file, key := b.sshKey(kind[0], kind[1:]...)
		wantTaken(t, kind[0], b.trust("* "+key), b.sign(file), now())
	}
	first := b.run("", "git", "rev-parse", "HEAD")
	b.run("", "git", "checkout", "-q", "-b", "side", "HEAD~1")
	file, key := b.sshKey("ed25519")
	b.sign(file)
	b.run("", "git", "checkout", "-q", "-B", "main", first)
	b.run("", "git", "-c", "gpg.format=ssh", "-c", "user.signingkey="+file, "merge", "-q", "--no-ff", "-S", "-m", "merged", "side")
	wantTaken(t, "a merge", b.trust("* "+key), b.head(), now())
}

func TestAllowedSignersThatAreWrong(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, key := b.sshKey("ed25519")
	_, small := b.sshKey("rsa", "-b", "1024")
	blob := strings.Fields(key)[1]
	for line, says := range map[string]string{
		"* cert-authority " + key:                                        ":2: cert-authority is not known here",
		"* no-touch-required " + key:                                     `:2: the option "no-touch-required" is not known here`,
		`* namespaces="git",from="x" ` + key:                             `:2: the option "from" is not known here`,
		"* valid-before=20261231Z " + key:                                ":2: the option valid-before needs a value between quotes",
		`* valid-before="soon" ` + key:                                   ":2: valid-before is no time",
		`* valid-after="20261301Z" ` + key:                               ":2: valid-after is no time",
		`* valid-after="20270101Z",valid-before="2026` + `0101Z" ` + key: ":2: valid-before is not after valid-after",
		`* namespaces="git",namespaces="file" ` + key:                    ":2: the option namespaces stands twice",
		`* namespaces="" ` + key:                                         ":2: namespaces is no list of patterns",
		"a,,b " + key:                                                    ":2: principals is no list of patterns",
		"* ssh-ed25519":                                                  ":2: it has no key",
		"* ssh-ed25519 AAAA":                                             ":2: the key cannot be read",
		"* ssh-rsa " + blob:                                              `:2: the key is not of the kind "ssh-rsa"`,
		"* " + small:                                                     ":2: the RSA key has fewer than 2048 bits",
		"ada@acme.example":                                               ":2: ",
	} {
		_, err := Load(Files{AllowedSigners: b.file("wrong", "# one\n"+line+"\n")})
		if err == nil || !strings.Contains(err.Error(), filepath.Join(b.dir, "wrong")+says) {
			t.Errorf("%s: %v, want %q", line, err, says)
		}
	}
	for content, says := range map[string]string{"": "names nobody", "# nothing\n": "names nobody"} {
		if _, err := Load(Files{AllowedSigners: b.file("wrong", content)}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := Load(Files{AllowedSigners: filepath.Join(b.dir, "absent")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file gave %v", err)
	}
}

// startGPG gives the bench a home of gpg, whose agent ends with the test.
func (b *bench) startGPG() {
	b.t.Helper()
	need(b.t, "gpg", "gpgconf")
	home, err := os.MkdirTemp("", "gpg") // the path of a socket may not be long
	if err != nil {
		b.t.Fatal(err)
	}
	b.gpg = home
	b.t.Cleanup(func() {
		b.run("", "gpgconf", "--kill", "all")
		_ = os.RemoveAll(home)
	})
}

// at is a gpg whose clock shows another time, as git's gpg.program.
func (b *bench) at(when string, args ...string) string {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "gpg")
	script := fmt.Sprintf("#!/bin/sh\nexec gpg --batch --no-tty --quiet --faked-system-time %s %s \"$@\"\n", when, strings.Join(args, " "))
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// pgpKey makes a key and gives its fingerprint.
func (b *bench) pgpKey(gpg, name, kind, expire string) string {
	b.t.Helper()
	b.run("", gpg, "--passphrase", "", "--quick-generate-key", name, kind, "sign", expire)
	return b.fingerprints(name)[0]
}

func (b *bench) fingerprints(name string) (all []string) {
	b.t.Helper()
	for line := range strings.Lines(b.run("", "gpg", "--batch", "--with-colons", "--with-subkey-fingerprint", "--list-keys", name)) {
		if rest, found := strings.CutPrefix(line, "fpr:::::::::"); found {
			all = append(all, strings.TrimSuffix(strings.TrimSpace(rest), ":"))
		}
	}
	return all
}

// signPGP commits with a key of gpg.
func (b *bench) signPGP(gpg, key string) Commit {
	b.t.Helper()
	b.run("", "git", "-c", "gpg.program="+gpg, "commit", "-q", "-S"+key, "--allow-empty", "-m", "signed")
	return b.head()
}

func (b *bench) exported(names ...string) string {
	b.t.Helper()
	return b.run("", "gpg", append([]string{"--batch", "--armor", "--export"}, names...)...) + "\n"
}

func (b *bench) keyring(content string) Trust {
	b.t.Helper()
	t, err := Load(Files{Keyring: b.file("keyring", content)})
	if err != nil {
		b.t.Fatal(err)
	}
	return t
}

func TestOpenPGP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.startGPG()
	gpg := b.at("20261120T120000")
	ada := b.pgpKey(gpg, "Ada <ada@acme.example>", "ed25519", "5d")
	bo := b.pgpKey(gpg, "Bo <bo@acme.example>", "rsa2048", "never")
	byAda, byBo := b.signPGP(gpg, ada), b.signPGP(gpg, bo)
	both := b.keyring(b.exported("ada@acme.example") + b.exported("bo@acme.example"))
	wantTaken(t, "ed25519", both, byAda, now())
	wantTaken(t, "RSA", both, byBo, now())
	if by, _ := both.Check(byAda, now()); by != "OpenPGP key "+ada+" ("+filepath.Join(b.dir, "keyring")+")" {
		t.Errorf("it is signed by %q", by)
	}
	onlyBo := b.keyring(b.exported("bo@acme.example"))
	wantRefused(t, "a key that is not in the keyring", onlyBo, byAda, now(), "does not know")
	moved := byAda
	moved.Payload = byBo.Payload
	wantRefused(t, "the signature of another commit", both, moved, now(), "not of this commit")
	moved = byAda
	moved.Signature = append(append([]byte(nil), byAda.Signature...), byBo.Signature...)
	wantRefused(t, "two signatures", both, moved, now(), "cannot be read")

	later := now().AddDate(0, 0, 10)
	wantRefused(t, "a key that has expired since", both, byAda, later, "has expired")
	wantTaken(t, "the same, accepted before", both, byAda, time.Time{})
	wantRefused(t, "from the future", both, byBo, now().AddDate(0, 0, -2), "has not come yet")
	wantTaken(t, "a clock that is ahead", both, byBo, time.Date(2026, 11, 20, 11, 58, 0, 0, time.UTC))
	afterwards := b.at("20261130T120000", "--ignore-valid-from")
	b.run("", afterwards, "--quick-set-expire", ada, "1y")
	renewed := b.keyring(b.exported("ada@acme.example"))
	wantTaken(t, "a key that was renewed since", renewed, byAda, later)
	wantTaken(t, "the same, accepted before", renewed, byAda, time.Time{})

	b.run("", gpg, "--passphrase", "", "--quick-add-key", bo, "ed25519", "sign", "10d")
	sub := b.fingerprints("bo@acme.example")[1]
	bySub := b.signPGP(gpg, sub+"!")
	withSub := b.keyring(b.exported("bo@acme.example"))
	wantTaken(t, "a subkey", withSub, bySub, now())
	wantRefused(t, "a subkey that has expired", withSub, bySub, now().AddDate(0, 0, 20), "has expired")
	wantRefused(t, "a subkey that is not known yet", onlyBo, bySub, now(), "does not know")

	weak := b.signPGP(b.at("20261120T120000", "--digest-algo", "SHA1", "--allow-weak-digest-algos"), bo)
	wantRefused(t, "SHA-1", withSub, weak, now(), "SHA-1")

	revocation, err := os.ReadFile(filepath.Join(b.gpg, "openpgp-revocs.d", ada+".rev"))
	if err != nil {
		t.Fatal(err)
	}
	b.run(strings.ReplaceAll(string(revocation), ":-----BEGIN", "-----BEGIN"), gpg, "--import")
	revoked := b.keyring(b.exported("ada@acme.example"))
	wantRefused(t, "a revoked key", revoked, byAda, now(), "revoked key")
	wantRefused(t, "the same, accepted before", revoked, byAda, time.Time{}, "revoked key")
	wantTaken(t, "what is revoked elsewhere", both, byAda, now())
}

func TestKeyringsThatAreWrong(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.startGPG()
	gpg := b.at("20261120T120000")
	b.pgpKey(gpg, "Ada <ada@acme.example>", "ed25519", "never")
	public := b.exported("ada@acme.example")
	box, err := os.ReadFile(filepath.Join(b.gpg, "pubring.kbx"))
	if err != nil {
		t.Fatal(err)
	}
	binary := b.binary("--export", "ada@acme.example")
	if _, err := Load(Files{Keyring: b.file("ring", binary)}); err != nil {
		t.Errorf("a binary export gave %v", err)
	}
	for name, c := range map[string]struct{ content, says string }{
		"empty":              {"", "names nobody"},
		"a keybox":           {string(box), "gpg --export"},
		"a private key":      {b.binary("--passphrase", "", "--pinentry-mode", "loopback", "--export-secret-keys", "ada@acme.example"), "key 1 is a private one"},
		"cut":                {binary[:len(binary)/2], "key 1 cannot be read"},
		"text":               {"hello\n", "key 1 cannot be read"},
		"armor without end":  {public[:len(public)/2], "something else than public keys"},
		"something after":    {public + "hello\n", "something else than public keys"},
		"damaged armor":      {strings.Replace(public, "\n\n", "\n\n!!!!", 1), "cannot be read"},
		"a signature":        {"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n", "something else than public keys"},
		"good and then none": {binary + binary[:20], "cannot be read"},
	} {
		_, err := Load(Files{Keyring: b.file("ring", c.content)})
		if err == nil || !strings.HasPrefix(err.Error(), filepath.Join(b.dir, "ring")+": ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func (b *bench) binary(args ...string) string {
	b.t.Helper()
	out := filepath.Join(b.t.TempDir(), "out")
	b.run("", "gpg", append([]string{"--batch", "--output", out}, args...)...)
	data, err := os.ReadFile(out)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

func TestSame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, key := b.sshKey("ed25519")
	one, two := b.trust("* "+key), b.trust("*  "+key)
	if !one.Same(b.trust("* "+key)) || one.Same(two) || one.Same(Trust{}) {
		t.Error("trusts are not told apart by their files")
	}
}

// TestOpenPGPNamesWhoSigned: a signature may claim another key beside the one that made it,
// outside of what is signed; it is told by whom it is all the same.
func TestOpenPGPNamesWhoSigned(t *testing.T) {
	t.Parallel()
	made := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return now().Add(-time.Hour) }}
	var keys bytes.Buffer
	var all []*openpgp.Entity
	for _, name := range []string{"mallory", "ada"} {
		e, err := openpgp.NewEntity(name, "", name+"@acme.example", made)
		if err == nil {
			err = e.Serialize(&keys)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	mallory, ada := all[0].PrimaryKey, all[1].PrimaryKey
	file := filepath.Join(t.TempDir(), "keyring")
	if err := os.WriteFile(file, keys.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	trust, err := Load(Files{Keyring: file})
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte("tree\n")
	var plain bytes.Buffer
	if err := openpgp.DetachSign(&plain, all[0], bytes.NewReader(payload), made); err != nil {
		t.Fatal(err)
	}
	signed, err := packet.NewOpaqueReader(&plain).Next()
	if err != nil {
		t.Fatal(err)
	}
	// version, type, algorithm and hash; then the hashed part and the other, each with its length
	at := 6 + int(binary.BigEndian.Uint16(signed.Contents[4:]))
	end := at + 2 + int(binary.BigEndian.Uint16(signed.Contents[at:]))
	claims := append([]byte{22, 33, 4}, ada.Fingerprint...)
	claims = binary.BigEndian.AppendUint64(append(claims, 9, 16), mallory.KeyId)
	contents := binary.BigEndian.AppendUint16(bytes.Clone(signed.Contents[:at]), uint16(len(claims)))
	signed.Contents = append(append(contents, claims...), signed.Contents[end:]...)
	var armored bytes.Buffer
	out, err := armor.Encode(&armored, "PGP SIGNATURE", nil)
	if err == nil {
		err = signed.Serialize(out)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	by, err := trust.Check(Commit{Payload: payload, Signature: armored.Bytes(), When: now()}, now())
	if err != nil || !strings.Contains(by, fmt.Sprintf("%X", mallory.Fingerprint)) || strings.Contains(by, fmt.Sprintf("%X", ada.Fingerprint)) {
		t.Errorf("signed by %q, %v; want mallory's %X", by, err, mallory.Fingerprint)
	}
}

// TestOpenPGPSubkeys: a subkey signs no more when it was revoked, whatever the reason, nor
// when what it belongs to was, or has expired.
func TestOpenPGPSubkeys(t *testing.T) {
	t.Parallel()
	made := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return now().Add(-time.Hour) }}
	for what, c := range map[string]struct {
		change func(e *openpgp.Entity) error
		at     time.Time
		says   string // "" where it is taken
	}{
		"as it is": {func(*openpgp.Entity) error { return nil }, now(), ""},
		"itself": {func(e *openpgp.Entity) error {
			return e.RevokeSubkey(&e.Subkeys[len(e.Subkeys)-1], packet.KeySuperseded, "", made)
		}, now(), "revoked"},
		"itself, accepted before": {func(e *openpgp.Entity) error {
			return e.RevokeSubkey(&e.Subkeys[len(e.Subkeys)-1], packet.KeySuperseded, "", made)
		}, time.Time{}, "revoked"},
		"its key": {func(e *openpgp.Entity) error { return e.RevokeKey(packet.KeySuperseded, "", made) }, now(), "revoked"},
		"its owner": {func(e *openpgp.Entity) error {
			_, identity := e.PrimarySelfSignature()
			revoked := &packet.Signature{Version: e.PrimaryKey.Version, SigType: packet.SigTypeCertificationRevocation, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: made.Hash(), CreationTime: made.Now(), IssuerKeyId: &e.PrimaryKey.KeyId}
			identity.Signatures = append(identity.Signatures, revoked)
			return revoked.SignUserId(identity.UserId.Id, e.PrimaryKey, e.PrivateKey, made)
		}, now(), "revoked"},
		"its key ends": {func(*openpgp.Entity) error { return nil }, now().AddDate(0, 0, 20), "expired"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ends := *made
			ends.KeyLifetimeSecs = 10 * 24 * 60 * 60
			e, err := openpgp.NewEntity("ada", "", "ada@acme.example", &ends)
			if err == nil {
				err = e.AddSigningSubkey(made)
			}
			if err != nil {
				t.Fatal(err)
			}
			var armored, keys bytes.Buffer
			commit := Commit{Payload: []byte("tree\n"), When: now()}
			err = openpgp.ArmoredDetachSign(&armored, e, bytes.NewReader(commit.Payload), made)
			commit.Signature = armored.Bytes()
			file := filepath.Join(t.TempDir(), "keyring")
			if err = errors.Join(err, c.change(e), e.Serialize(&keys), os.WriteFile(file, keys.Bytes(), 0o600)); err != nil {
				t.Fatal(err)
			}
			trust, err := Load(Files{Keyring: file})
			if err != nil {
				t.Fatal(err)
			}
			if c.says == "" {
				wantTaken(t, what, trust, commit, c.at)
				return
			}
			wantRefused(t, what, trust, commit, c.at, c.says)
		})
	}
}

// TestSSHSHA1: an RSA key signs with SHA-2 alone.
func TestSSHSHA1(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, leastRSA)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	signs, can := key.(ssh.AlgorithmSigner)
	if !can {
		t.Fatal("the key signs by one algorithm only")
	}
	file := filepath.Join(t.TempDir(), "allowed_signers")
	if err := os.WriteFile(file, append([]byte("ada@acme.example "), ssh.MarshalAuthorizedKey(key.PublicKey())...), 0o600); err != nil {
		t.Fatal(err)
	}
	trust, err := Load(Files{AllowedSigners: file})
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte("tree\n")
	digest := sha512.Sum512(payload)
	signed := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Digest string }{namespace, "", "sha512", string(digest[:])})...)
	by := func(algorithm string) Commit {
		made, err := signs.SignWithAlgorithm(rand.Reader, signed, algorithm)
		if err != nil {
			t.Fatal(err)
		}
		return Commit{Payload: payload, Committer: "ada@acme.example", When: now(), Signature: sshsig.Armor(&sshsig.Signature{
			Version: 1, PublicKey: key.PublicKey(), Namespace: namespace, HashAlgorithm: sshsig.HashSHA512, Signature: made})}
	}
	wantTaken(t, "SHA-512", trust, by(ssh.KeyAlgoRSASHA512), now())
	wantRefused(t, "SHA-1", trust, by(ssh.KeyAlgoRSA), now(), "ssh signature")
}

// TestOpenPGPTimes: a signature that its key could not make at the time, one that has ended,
// and two at once are none.
func TestOpenPGPTimes(t *testing.T) {
	t.Parallel()
	at := func(when time.Time, lasts uint32) *packet.Config {
		return &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return when }, SigLifetimeSecs: lasts}
	}
	made := at(now().Add(-time.Hour), 0)
	made.KeyLifetimeSecs = 60 * 60
	e, err := openpgp.NewEntity("ada", "", "ada@acme.example", made)
	if err != nil {
		t.Fatal(err)
	}
	var keys bytes.Buffer
	file := filepath.Join(t.TempDir(), "keyring")
	if err := errors.Join(e.Serialize(&keys), os.WriteFile(file, keys.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	trust, err := Load(Files{Keyring: file})
	if err != nil {
		t.Fatal(err)
	}
	// The key itself signs, at whatever time it is told: who holds it has its own clock.
	signed := func(times ...*packet.Config) Commit {
		commit := Commit{Payload: []byte("tree\n"), When: now()}
		var armored bytes.Buffer
		out, err := armor.Encode(&armored, "PGP SIGNATURE", nil)
		for _, config := range times {
			hash := crypto.SHA256.New()
			_, _ = hash.Write(commit.Payload)
			s := &packet.Signature{Version: 4, SigType: packet.SigTypeBinary, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA256, CreationTime: config.Now(), IssuerKeyId: &e.PrimaryKey.KeyId}
			if config.SigLifetimeSecs > 0 {
				s.SigLifetimeSecs = &config.SigLifetimeSecs
			}
			err = errors.Join(err, s.Sign(hash, e.PrivateKey, config), s.Serialize(out))
		}
		if err = errors.Join(err, out.Close()); err != nil {
			t.Fatal(err)
		}
		commit.Signature = armored.Bytes()
		return commit
	}
	early := now().Add(-30 * time.Minute)
	wantTaken(t, "while the key is valid", trust, signed(at(early, 0)), early)
	wantRefused(t, "made after the end of the key, below a signed commit", trust, signed(at(now().Add(time.Minute), 0)), time.Time{}, "expired")
	wantTaken(t, "one that ends", trust, signed(at(early, 60)), early)
	wantRefused(t, "one that has ended", trust, signed(at(early, 60)), early.Add(2*time.Minute), "has expired")
	wantRefused(t, "two in one armor", trust, signed(at(early, 0), at(early, 0)), early, "more than one signature")
}
