package signature

import (
	"bytes"
	"crypto"
	"crypto/dsa" //nolint:staticcheck // what it makes is to be refused
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// TestOpenPGPThatProvesTooLittle: the key is in the keyring and has signed this very commit,
// but whoever pushes could have made as much without it.
func TestOpenPGPThatProvesTooLittle(t *testing.T) {
	t.Parallel()
	made := now().Add(-time.Hour)
	ofRSA := func(bits int) *packet.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return packet.NewRSAPrivateKey(made, key)
	}
	ofDSA := func() *packet.PrivateKey {
		key := &dsa.PrivateKey{}
		err := dsa.GenerateParameters(&key.Parameters, rand.Reader, dsa.L1024N160)
		if err = errors.Join(err, dsa.GenerateKey(key, rand.Reader)); err != nil {
			t.Fatal(err)
		}
		return packet.NewDSAPrivateKey(made, key)
	}
	strong := ofRSA(leastRSA)
	for what, c := range map[string]struct {
		key  *packet.PrivateKey
		kind packet.SignatureType
		hash crypto.Hash
		says string // "" where it is taken
	}{
		"enough":                 {strong, packet.SigTypeBinary, crypto.SHA256, ""},
		"a digest of SHA-224":    {strong, packet.SigTypeBinary, crypto.SHA224, "is made with SHA-224, which proves too little"},
		"a signature of a text":  {strong, packet.SigTypeText, crypto.SHA256, "is not one of a document"},
		"a signature of nothing": {strong, packet.SignatureType(2), crypto.SHA256, "is not one of a document"},
		"a short RSA key":        {ofRSA(1024), packet.SigTypeBinary, crypto.SHA256, "is by an RSA key of fewer than 2048 bits"},
		"a DSA key":              {ofDSA(), packet.SigTypeBinary, crypto.SHA256, "is by a DSA key"},
	} {
		e := &openpgp.Entity{PrimaryKey: &c.key.PublicKey, PrivateKey: c.key, Identities: map[string]*openpgp.Identity{}}
		config := &packet.Config{Time: func() time.Time { return made }}
		commit := Commit{Payload: []byte("tree\n"), When: now()}
		digest := c.hash.New()
		_, _ = digest.Write(commit.Payload)
		s := &packet.Signature{Version: 4, SigType: c.kind, PubKeyAlgo: c.key.PubKeyAlgo, Hash: c.hash, CreationTime: made, IssuerKeyId: &c.key.KeyId}
		var keys, armored bytes.Buffer
		out, err := armor.Encode(&armored, "PGP SIGNATURE", nil)
		err = errors.Join(err, e.AddUserId("ada", "", "ada@acme.example", config), e.Serialize(&keys), s.Sign(digest, c.key, config), s.Serialize(out), out.Close())
		file := filepath.Join(t.TempDir(), "keyring")
		if err = errors.Join(err, os.WriteFile(file, keys.Bytes(), 0o600)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		trust, err := Load(Files{Keyring: file})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		commit.Signature = armored.Bytes()
		if c.says == "" {
			wantTaken(t, what, trust, commit, now())
			continue
		}
		wantRefused(t, what, trust, commit, now(), c.says)
	}
}

// TestTrustIsBounded: a file of the trust is read at each poll, so one that is too large is
// refused, and not read to its end to find that out.
func TestTrustIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, key := b.sshKey("ed25519")
	line := "* " + key + "\n"
	exactly := line + "#" + strings.Repeat("x", maxFile-len(line)-1)
	if _, err := Load(Files{AllowedSigners: b.file("signers", exactly)}); err != nil {
		t.Errorf("%d bytes: %v", len(exactly), err)
	}
	const says = "is larger than 4 MiB; is it the right file?"
	if _, err := Load(Files{AllowedSigners: b.file("signers", exactly+"x")}); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("a byte more: %v", err)
	}
	endless := filepath.Join(t.TempDir(), "endless")
	if err := syscall.Mkfifo(endless, 0o600); err != nil {
		t.Fatal(err)
	}
	var wrote atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f, err := os.OpenFile(endless, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		n, _ := io.CopyN(f, bytes.NewReader(make([]byte, 4*maxFile)), 4*maxFile)
		wrote.Store(n)
		_ = f.Close()
	}()
	_, err := Load(Files{Keyring: endless})
	<-ended
	if err == nil || !strings.Contains(err.Error(), says) || wrote.Load() > 2*maxFile {
		t.Errorf("%v, after %d bytes", err, wrote.Load())
	}
}

// TestCommentsCostNothing: a file of comments, as large as is read, takes no work of each line.
func TestCommentsCostNothing(t *testing.T) {
	b := newBench(t)
	_, key := b.sshKey("ed25519")
	data := []byte(strings.Repeat("#\n", 100_000) + "* " + key + "\n")
	var signers []signer
	allocations := testing.AllocsPerRun(1, func() {
		var err error
		if signers, err = parseSigners("allowed_signers", data); err != nil {
			t.Fatal(err)
		}
	})
	if len(signers) != 1 || signers[0].at != "allowed_signers:100001" {
		t.Errorf("got %+v", signers)
	}
	if allocations > 1000 {
		t.Errorf("100,000 comments take %v allocations", allocations)
	}
}
