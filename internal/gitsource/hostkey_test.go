package gitsource

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// TestKnownHosts tries what can stand in a known_hosts file. Whatever does not pin
// the key that the server shows lets nobody in, and says why.
func TestKnownHosts(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a", "1")
	host, user := newSSHKey(t), newSSHKey(t)
	address := serveSSH(t, r.dir, host, user)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	line := func(key ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) }
	name, key := xknownhosts.Normalize(address), line(host.signer.PublicKey())
	for _, c := range []struct{ what, text, says string }{
		{"a comment behind it", "# ours\n\n" + name + " " + key + " git@example\n", ""},
		{"CRLF", name + " " + key + "\r\n", ""},
		{"hashed", xknownhosts.HashHostname(name) + " " + key + "\n", ""},
		{"another of that kind beside it", name + " " + line(newSSHKey(t).signer.PublicKey()) + "\n" + name + " " + key + "\n", ""},
		{"without the port", "127.0.0.1 " + key + "\n", "is not known"},
		{"all but this one", "*,!" + name + " " + key + "\n", "is not known"},
		{"an authority, and no certificate", "@cert-authority " + name + " " + key + "\n", "has no key of a kind that is pinned for it in"},
		{"another kind", name + " " + line(other.PublicKey()) + "\n", "has no key of a kind that is pinned for it in"},
		{"revoked", "@revoked " + name + " " + key + "\n" + name + " " + key + "\n", "is revoked in"},
		{"revoked everywhere", name + " " + key + "\n@revoked * " + key + "\n", "is revoked in"},
	} {
		t.Run(c.what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "known_hosts")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, Options{URL: "ssh://" + address + "/.git", Auth: Auth{SSHKeyFile: user.file, KnownHostsFile: file}})
			if c.says == "" {
				fetch(t, s, head)
				return
			}
			_, err := s.Fetch(t.Context())
			wantError[*HostKeyError](t, err, name, c.says, file)
		})
	}
}

// TestRemoteWithOtherHashes: whoever made the repository with SHA-256 is told so, and
// not that something is damaged.
func TestRemoteWithOtherHashes(t *testing.T) {
	needGit(t)
	dir := t.TempDir()
	runGit(t, dir, "init", "-q", "--object-format=sha256", ".")
	runGit(t, dir, "commit", "-q", "--allow-empty", "-m", "first")
	host, user := newSSHKey(t), newSSHKey(t)
	address := serveSSH(t, dir, host, user)
	for url, auth := range map[string]Auth{
		serve(t, gitHTTP(t, dir)) + "/.git": {},
		"ssh://" + address + "/.git":        {SSHKeyFile: user.file, KnownHostsFile: pin(t, address, host.signer.PublicKey())},
	} {
		_, err := open(t, Options{URL: url, Auth: auth}).Fetch(t.Context())
		wantError[*UnsupportedError](t, err, "SHA-256")
	}
}
