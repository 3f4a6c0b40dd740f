package gitsource

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

const (
	infoRefs   = "/info/refs"
	uploadPack = "git-upload-pack"
)

// httpSession is one conversation with a server over http or https.
type httpSession struct {
	client         *http.Client
	proxy          func(*http.Request) (*url.URL, error)
	way            Way
	base           string // of the repository, where the server says it is
	user, password string
	signedIn       bool
	app            *App // that gave the password; nil for none
	budget         *budget
	told           *told
}

func dialHTTP(ctx context.Context, r *road, l location, auth Auth, budget *budget, told *told) (session, error) {
	transport, err := r.now()
	if err != nil {
		return nil, err
	}
	s := &httpSession{
		client: &http.Client{Transport: transport, CheckRedirect: stayHome}, proxy: transport.Proxy, way: r.way, base: l.url.String(), user: auth.Username, budget: budget, told: told,
	}
	var token string
	switch {
	case auth.App != nil:
		if token, err = auth.App.Token(ctx); err != nil {
			return nil, err
		}
		s.app = auth.App
	case auth.Token == nil:
		return s, nil
	default:
		if token, err = auth.Token(); err != nil {
			return nil, &AuthError{Reason: err.Error()}
		}
	}
	told.add(token)
	s.password, s.signedIn = token, true
	return s, nil
}

// stayHome follows redirects within one server only.
func stayHome(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Scheme == first.Scheme && req.URL.Host == first.Host && len(via) < 10 {
		return nil
	}
	to := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: strings.TrimSuffix(req.URL.Path, infoRefs)}
	return &MovedError{To: clean(to.String())}
}

// References asks for the listing, and remembers where a redirect led.
func (s *httpSession) References(ctx context.Context) (*packp.AdvRefs, error) {
	res, err := s.ask(ctx, http.MethodGet, infoRefs+"?service="+uploadPack, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || media != "application/x-git-upload-pack-advertisement" {
		return nil, &NotFoundError{Reason: "the server answered, but not as a git server does; " +
			"check the URL (a web page or a login page answers there)"}
	}
	at := *res.Request.URL
	at.RawQuery = ""
	s.base = strings.TrimSuffix(at.String(), infoRefs)
	return decodeReferences(limited{Reader: res.Body, budget: s.budget})
}

// UploadPack asks for a pack.
func (s *httpSession) UploadPack(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	var body bytes.Buffer
	if err := encodeRequest(&body, req); err != nil {
		return nil, err
	}
	res, err := s.ask(ctx, http.MethodPost, "/"+uploadPack, &body)
	if err != nil {
		return nil, err
	}
	answer := packp.NewUploadPackResponse(req)
	err = answer.Decode(struct {
		io.Reader
		io.Closer
	}{limited{Reader: res.Body, budget: s.budget}, res.Body})
	if err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return answer, nil
}

func (s *httpSession) Close() error { return nil }

// ask gives an answer with status 200.
func (s *httpSession) ask(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, body)
	if err != nil {
		return nil, &OptionError{Option: "URL", Reason: "can not be used for git over http"}
	}
	req.Header.Set("User-Agent", capability.DefaultAgent())
	if body != nil {
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		req.Header.Set("Accept", "application/x-git-upload-pack-result")
	}
	if s.signedIn {
		req.SetBasicAuth(s.user, s.password)
	}
	if proxy, _ := s.proxy(req); proxy != nil {
		password, _ := proxy.User.Password()
		s.told.add(password)
	}
	res, err := s.client.Do(req)
	if err != nil {
		proxy, _ := s.proxy(req)
		return nil, s.way.broken(req.URL, proxy, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	head, _ := io.ReadAll(io.LimitReader(res.Body, 1024)) // says no more than the status where it breaks off
	return nil, s.refusal(req, res.StatusCode, strings.ToLower(string(head)))
}

// refusal says what a status means. The body is looked at and never repeated: servers
// put into it what they were sent.
func (s *httpSession) refusal(req *http.Request, status int, body string) error {
	proxy, _ := s.proxy(req)
	switch {
	case status == http.StatusProxyAuthRequired && proxy != nil:
		return s.way.refusal(proxy, req.URL, status)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		if s.app != nil {
			s.app.Refused(s.password)
			return &AuthError{Reason: "the server refused the token of the GitHub App; check that it may read contents of the repository"}
		}
		if s.signedIn {
			return &AuthError{Reason: "the server refused the credentials; check that they are valid and may read the repository"}
		}
		return &AuthError{Reason: "the server asks for credentials; give a token file or token variable"}
	case status == http.StatusNotFound || status == http.StatusGone:
		return notFound(s.signedIn)
	case status == http.StatusBadRequest && req.URL.Scheme == "http" && strings.Contains(body, "https"):
		return &UnreachableError{Reason: "the server wants https at that port", Next: "write https:// in the URL"}
	case proxy != nil && req.URL.Scheme == "http":
		return &UnreachableError{
			Reason: fmt.Sprintf("the proxy %s, or the server behind it, answered with status %d", proxy.Host, status),
			Next:   s.way.checkProxy(req.URL),
		}
	}
	return &UnreachableError{Reason: fmt.Sprintf("the server answered with status %d", status)}
}

// broken says what kept an answer of target away, to which proxy, if any, leads. Nothing of
// it comes from the repository.
func (w Way) broken(target, proxy *url.URL, err error) error {
	var page *url.Error // repeats the URL
	for errors.As(err, &page) {
		err = page.Err
	}
	if ours(err) {
		return err
	}
	if refused := (*proxyStatusError)(nil); errors.As(err, &refused) {
		return w.refusal(refused.proxy, &url.URL{Scheme: "https", Host: refused.host}, refused.status)
	}
	var (
		issuer  x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		name    x509.HostnameError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		op      *net.OpError
	)
	host := target.Hostname()
	if proxy != nil && proxy.Scheme == "https" && strings.Contains(err.Error(), "proxyconnect") {
		host = "the proxy " + proxy.Hostname()
	}
	switch {
	case errors.As(err, &issuer):
		return &UnreachableError{Reason: "the certificate of " + host + " is signed by an issuer that this machine does not trust", Next: w.untrusted()}
	case proxy != nil && errors.As(err, &op) && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks")):
		return &UnreachableError{
			Reason: fmt.Sprintf("the proxy %s can not be used: %s", proxy.Host, clean(op.Err.Error())), Next: w.checkProxy(target),
		}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		now := time.Now()
		if now.Before(invalid.Cert.NotBefore) {
			return &UnreachableError{
				Reason: "the certificate of " + host + " is valid from " + invalid.Cert.NotBefore.UTC().Format(time.RFC3339) + " on", Next: "check this machine's clock",
			}
		}
		return &UnreachableError{
			Reason: "the certificate of " + host + " expired at " + invalid.Cert.NotAfter.UTC().Format(time.RFC3339),
			Next:   "ask the server's owner for a new one",
		}
	case errors.As(err, &name):
		return &UnreachableError{Reason: clean(name.Error()), Next: "use a name that the certificate holds"}
	case errors.As(err, &record) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return &UnreachableError{Reason: "the server does not speak TLS at that port", Next: "check the port of the URL"}
	case errors.As(err, &invalid) || errors.As(err, &alert) || strings.Contains(err.Error(), "tls: "):
		return &UnreachableError{
			Reason: "no protected connection to " + host + ": " + clean(strings.TrimPrefix(err.Error(), "tls: ")),
			Next:   "ask the server's owner",
		}
	case proxy != nil:
		return &UnreachableError{
			Reason: fmt.Sprintf("no answer through the proxy %s: %s", proxy.Host, clean(err.Error())),
			Next:   w.checkProxy(target),
		}
	case strings.Contains(err.Error(), "malformed HTTP"):
		return &UnreachableError{Reason: "the server does not speak http at that port", Next: "check the port of the URL"}
	}
	return broken(err)
}

// decodeReferences reads a listing.
func decodeReferences(r io.Reader) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	if err := adv.Decode(r); err != nil {
		if errors.Is(err, packp.ErrEmptyAdvRefs) {
			return nil, ErrEmptyRepository
		}
		return nil, err
	}
	if adv.IsEmpty() {
		return nil, ErrEmptyRepository
	}
	return adv, nil
}

// encodeRequest says what is wanted, and that nothing is there yet.
func encodeRequest(w io.Writer, req *packp.UploadPackRequest) error {
	if err := req.UploadRequest.Encode(w); err != nil {
		return fmt.Errorf("ask for the pack: %w", err)
	}
	if err := pktline.NewEncoder(w).EncodeString("done\n"); err != nil {
		return fmt.Errorf("ask for the pack: %w", err)
	}
	return nil
}
