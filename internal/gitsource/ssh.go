package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
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
	s := &sshSession{client: ssh.NewClient(handshake, channels, requests), stop: stop, said: new(firstBytes)}
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
	signer, err := ssh.ParsePrivateKey(pem)
	if is[*ssh.PassphraseMissingError](err) {
		err = errors.New("it has a passphrase, and nobody is there to type it; use a key without one")
	}
	if err != nil {
		return nil, nil, refuse("ssh key", auth.SSHKeyFile, err)
	}
	pinned, err := knownhosts.NewDB(auth.KnownHostsFile)
	if err != nil {
		return nil, nil, refuse("known hosts", auth.KnownHostsFile, err)
	}
	failure := &handshakeFailure{host: knownhosts.Normalize(l.host), file: auth.KnownHostsFile}
	check := pinned.HostKeyCallback()
	return &ssh.ClientConfig{
		User: l.user,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
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

// AdvertisedReferencesContext reads the listing, which comes unasked.
func (s *sshSession) AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	err := adv.Decode(s.out)
	switch {
	case errors.Is(err, packp.ErrEmptyAdvRefs):
		return nil, ErrEmptyRepository
	case errors.Is(err, packp.ErrEmptyInput):
		// Some servers wait for our end before they end.
		_ = s.in.Close()
		_ = s.command.Wait()
		return nil, explainSilence(s.said.String())
	case err != nil:
		return nil, err
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	return adv, nil
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
func (s *sshSession) UploadPack(_ context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	s.asked = true
	err := req.UploadRequest.Encode(s.in)
	if err == nil {
		err = req.UploadHaves.Encode(s.in, true)
	}
	if err == nil {
		err = pktline.NewEncoder(s.in).EncodeString("done\n")
	}
	answer := packp.NewUploadPackResponse(req)
	said := answer.Decode(io.NopCloser(s.out)) // also of a server that hung up while it was asked: it says why
	switch {
	case err != nil && (said == nil || errors.Is(said, io.EOF) || errors.Is(said, io.ErrUnexpectedEOF)):
		return nil, fmt.Errorf("ask for the pack: %w", err)
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

// firstBytes keeps the first 4 KiB written to it, whatever else comes.
type firstBytes struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

func (f *firstBytes) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if room := 4096 - f.kept.Len(); room > 0 {
		f.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (f *firstBytes) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept.String()
}
