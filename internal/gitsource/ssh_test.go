package gitsource

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestSSHTrust(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a", "1")
	host, user, other := newSSHKey(t), newSSHKey(t), newSSHKey(t)
	address := serveSSH(t, r.dir, host, user)
	nobody := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(nobody, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	url := "ssh://" + address + "/.git"
	settings := Settings{SSHKeyFile: "THE_KEY_FILE", KnownHostsFile: "THE_HOSTS_FILE"}
	const sets = "; the ssh key and the known hosts are set by THE_KEY_FILE and THE_HOSTS_FILE"
	with := func(key, known string) error {
		_, err := open(t, Options{URL: url, Auth: Auth{SSHKeyFile: key, KnownHostsFile: known, Settings: settings}}).Fetch(t.Context())
		return err
	}
	good := pin(t, address, host.signer.PublicKey())
	if err := with(user.file, good); err != nil {
		t.Fatal(err)
	}
	fetch(t, open(t, Options{URL: "git@" + address[:strings.Index(address, ":")] + ":x", Auth: Auth{SSHKeyFile: user.file, KnownHostsFile: good}}).at(address, "/.git"), head)

	fingerprint := ssh.FingerprintSHA256(host.signer.PublicKey())
	unknown := wantError[*HostKeyError](t, with(user.file, nobody), fingerprint, "is not known", nobody, sets)
	if unknown.Changed || unknown.Fingerprint != fingerprint || !strings.Contains(unknown.Host, "127.0.0.1") {
		t.Errorf("the error is %+v", unknown)
	}
	changed := wantError[*HostKeyError](t, with(user.file, pin(t, address, other.signer.PublicKey())), fingerprint, "not the one pinned", sets)
	if !changed.Changed {
		t.Errorf("the error is %+v", changed)
	}
	wantError[*AuthError](t, with(other.file, good), "refused the ssh key", sets)
	wantError[*AuthError](t, with(user.file+".none", good), "read ssh key", sets)
	wantError[*AuthError](t, with(good, good), "read ssh key")
	wantError[*AuthError](t, with(user.file, good+".none"), "read known hosts", sets)
	_, err := Open(Options{URL: url, Auth: Auth{Settings: settings}})
	wantError[*OptionError](t, err, "ssh needs a private key file", sets)
}

// at points a source elsewhere: scp-like URLs know no port.
func (s *Source) at(address, path string) *Source {
	s.location.host, s.location.path = address, path
	return s
}

func TestSSHKeyWithPassphraseIsRefused(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, Options{URL: "ssh://127.0.0.1:1/x", Auth: Auth{SSHKeyFile: file, KnownHostsFile: file}}).Fetch(t.Context())
	wantError[*AuthError](t, err, "has a passphrase", file)
}

// A server with keys of several kinds shows the one that is pinned.
func TestSSHServerWithSeveralKeys(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a", "1")
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	host, user := newSSHKey(t), newSSHKey(t)
	address := serveSSH(t, r.dir, host, user, second)
	for _, pinned := range []ssh.PublicKey{host.signer.PublicKey(), second.PublicKey()} {
		fetch(t, open(t, Options{URL: "ssh://" + address + "/.git", Auth: Auth{SSHKeyFile: user.file, KnownHostsFile: pin(t, address, pinned)}}), head)
	}
}

// A peer that accepts and never speaks holds up nothing for longer than the
// timeout, whether it is silent before or after the handshake began.
func TestSSHSilentPeer(t *testing.T) {
	for name, greeting := range map[string]string{"from the start": "", "after its version": "SSH-2.0-slow\r\n"} {
		t.Run(name, func(t *testing.T) {
			address := accept(t, func(conn net.Conn) {
				t.Cleanup(func() { _ = conn.Close() })
				_, _ = conn.Write([]byte(greeting))
			})
			key := newSSHKey(t)
			s := open(t, Options{
				URL: "ssh://" + address + "/x", Timeout: 200 * time.Millisecond,
				Auth: Auth{SSHKeyFile: key.file, KnownHostsFile: pin(t, "h:1", key.signer.PublicKey())},
			})
			_, err := s.Fetch(t.Context()) // which would wait for ever
			wantError[*TimeoutError](t, err, "200ms")
		})
	}
}

func TestSSHServerRefuses(t *testing.T) {
	for said, check := range map[string]func(testing.TB, error){
		"ERROR: Repository not found.\n":                func(t testing.TB, err error) { t.Helper(); wantError[*NotFoundError](t, err) },
		"fatal: '/x' does not appear to be a git repo…": func(t testing.TB, err error) { t.Helper(); wantError[*UnreachableError](t, err) },
		"ERROR: Permission to a/b denied.\x1b[2J\nmore": func(t testing.TB, err error) { t.Helper(); wantError[*AuthError](t, err, "denied") },
		"": func(t testing.TB, err error) { t.Helper(); wantError[*UnreachableError](t, err) },
	} {
		err := explainSilence(said)
		check(t, err)
		if strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%q holds control characters", err)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for path, want := range map[string]string{
		"/a b.git": `'/a b.git'`, "it's": `'it'\''s'`, "a!b": `'a'\!'b'`, "$(id)`id`": "'$(id)`id`'",
	} {
		if got := shellQuote(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
