package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// sshSession runs git-upload-pack on the server. Everything it does ends when
// its context ends, also a handshake with a silent peer.
type sshSession struct {
	client  *ssh.Client
	stop    func() bool // lets go of the context
	command *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	said    *firstBytes
	asked   bool // whether a pack was asked for
}

func dialSSH(ctx context.Context, l location, auth Auth, budget *budget) (session, error) {
	config, failure, err := sshConfig(l, auth)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.host)
	if err != nil {
		return nil, &UnreachableError{Reason: clean(err.Error())}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	handshake, channels, requests, err := ssh.NewClientConn(conn, l.host, config)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, failure.explain(err)
	}
	s := &sshSession{client: ssh.NewClient(handshake, channels, requests), stop: stop, said: &firstBytes{limit: 4096}}
	if err := s.start(l.path, budget); err != nil {
		_ = s.Close()
		return nil, &UnreachableError{Reason: "the server does not run git-upload-pack: " + clean(err.Error())}
	}
	return s, nil
}

// sshConfig reads the key and the pinned hosts. It knows no agent, no
// ~/.ssh and no password.
func sshConfig(l location, auth Auth) (*ssh.ClientConfig, *handshakeFailure, error) {
	refuse := func(what, file string, err error) error {
		return &AuthError{Reason: fmt.Sprintf("read %s %s: %s", what, file, clean(err.Error()))}
	}
	pem, err := os.ReadFile(auth.SSHKeyFile)
	if err != nil {
		return nil, nil, &AuthError{Reason: "read ssh key: " + clean(err.Error())}
	}
	pem = visible.Decode(pem)
	signer, err := ssh.ParsePrivateKey(pem)
	if is[*ssh.PassphraseMissingError](err) {
		err = errors.New("it has a passphrase, and nobody is there to type it; use a key without one")
	}
	switch head := strings.TrimSpace(string(pem)); {
	case err == nil:
	case strings.HasPrefix(head, "ssh-"), strings.HasPrefix(head, "ecdsa-"), strings.HasPrefix(head, "sk-"), strings.HasPrefix(head, "---- BEGIN SSH2 PUBLIC"):
		err = errors.New("it is a public key; name the file of the private one")
	case strings.HasPrefix(head, "PuTTY-User-Key-File"):
		err = errors.New("it is a key of PuTTY; convert it: puttygen KEY -O private-openssh -o NEW")
	}
	if err != nil {
		return nil, nil, refuse("ssh key", auth.SSHKeyFile, err)
	}
	pinned, err := pinnedHosts(auth.KnownHostsFile)
	if err != nil {
		return nil, nil, refuse("known hosts", auth.KnownHostsFile, err)
	}
	failure := &handshakeFailure{host: knownhosts.Normalize(l.host), file: auth.KnownHostsFile}
	check := pinned.HostKeyCallback()
	return &ssh.ClientConfig{
		User: l.user,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(waysToSign(signer)...)},
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			err := check(host, remote, key)
			if err != nil {
				failure.hostKey = &HostKeyError{
					Host: knownhosts.Normalize(host), Fingerprint: ssh.FingerprintSHA256(key),
					Changed: !knownhosts.IsHostUnknown(err), Revoked: is[*xknownhosts.RevokedError](err), File: auth.KnownHostsFile,
				}
			}
			return err
		},
		HostKeyAlgorithms: pinned.HostKeyAlgorithms(l.host),
	}, failure, nil
}

// waysToSign offers an RSA key once for each kind of signature: what a server says it
// takes (server-sig-algs) may be more than it is set to take.
func waysToSign(signer ssh.Signer) []ssh.Signer {
	rsa, ok := signer.(ssh.AlgorithmSigner)
	if !ok || signer.PublicKey().Type() != ssh.KeyAlgoRSA {
		return []ssh.Signer{signer}
	}
	var ways []ssh.Signer
	for _, algorithm := range []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA} {
		if way, err := ssh.NewSignerWithAlgorithms(rsa, []string{algorithm}); err == nil {
			ways = append(ways, way)
		}
	}
	return ways
}

// pinnedHosts reads a known_hosts file as ssh does: a line that can not be read pins
// nothing, and the others do. One that revokes a key has to be readable.
func pinnedHosts(file string) (*knownhosts.HostKeyDB, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	text := string(visible.Decode(raw))
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "@revoked") {
			continue // the library passes over what it can not read
		}
		if _, err := readHosts(file, line); err != nil {
			return nil, fmt.Errorf("line %d revokes a key and can not be read; correct it: %w", i+1, err)
		}
	}
	if text == string(raw) {
		return knownhosts.NewDB(file)
	}
	return readHosts(file, text)
}

// readHosts reads lines of the known_hosts file of that name. The library takes them from
// a file only.
func readHosts(name, text string) (*knownhosts.HostKeyDB, error) {
	file, err := os.CreateTemp("", "known_hosts")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	db, err := knownhosts.NewDB(file.Name())
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), file.Name(), name))
	}
	return db, nil
}

// handshakeFailure remembers what the ssh library only tells as text.
type handshakeFailure struct {
	hostKey    *HostKeyError
	host, file string
}

func (f *handshakeFailure) explain(err error) error {
	switch {
	case f.hostKey != nil:
		return f.hostKey
	case strings.Contains(err.Error(), "no common algorithm for host key"):
		return &HostKeyError{Host: f.host, Changed: true, File: f.file}
	case strings.Contains(err.Error(), "unable to authenticate"):
		return &AuthError{Reason: "the server refused the ssh key; add its public half there with the right to read"}
	}
	return &UnreachableError{Reason: clean(err.Error())}
}

func (s *sshSession) start(path string, budget *budget) error {
	command, err := s.client.NewSession()
	if err != nil {
		return err
	}
	s.command = command
	if s.in, err = command.StdinPipe(); err != nil {
		return err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	s.out = limited{Reader: out, budget: budget}
	command.Stderr = s.said
	return command.Start("git-upload-pack " + shellQuote(path))
}

// References reads the listing, which comes unasked.
func (s *sshSession) References(context.Context) (*packp.AdvRefs, error) {
	adv, err := decodeReferences(s.out)
	if errors.Is(err, packp.ErrEmptyInput) {
		// Some servers wait for our end before they end.
		_ = s.in.Close()
		_ = s.command.Wait()
		return nil, explainSilence(s.said.String())
	}
	return adv, err
}

// explainSilence reads what a server said on standard error in place of a listing.
func explainSilence(said string) error {
	lower := strings.ToLower(said)
	for _, sign := range []string{"not found", "does not exist", "not appear to be a git repository", "no such", "could not be found"} {
		if strings.Contains(lower, sign) {
			return notFound(true)
		}
	}
	for _, sign := range []string{"denied", "unauthorized", "not authorized", "forbidden"} {
		if strings.Contains(lower, sign) {
			return &AuthError{Reason: fmt.Sprintf("the server said %q; give the ssh key the right to read the repository", clean(said))}
		}
	}
	return &UnreachableError{Reason: fmt.Sprintf("the server ended the conversation and said %q", clean(said))}
}

// UploadPack asks for the pack.
func (s *sshSession) UploadPack(_ context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	s.asked = true
	err := encodeRequest(s.in, req)
	answer := packp.NewUploadPackResponse(req)
	said := answer.Decode(io.NopCloser(s.out)) // also of a server that hung up while it was asked: it says why
	switch {
	case err != nil && (said == nil || errors.Is(said, io.EOF) || errors.Is(said, io.ErrUnexpectedEOF)):
		return nil, err
	case said != nil:
		return nil, fmt.Errorf("read the answer: %w", said)
	}
	return answer, nil
}

// Close ends the conversation. A server that was asked for nothing is told so,
// to keep its log quiet.
func (s *sshSession) Close() error {
	if s.in != nil && !s.asked {
		_, _ = s.in.Write(pktline.FlushPkt)
	}
	s.stop()
	return s.client.Close()
}

// shellQuote makes path one word of a shell and of git-shell.
func shellQuote(path string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(path) + "'"
}
