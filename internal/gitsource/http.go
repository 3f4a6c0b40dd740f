package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

const infoRefs = "/info/refs"

// newTransport is http.DefaultTransport's settings in a transport of our own:
// nobody else's registrations reach it.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          2,
		IdleConnTimeout:       90 * time.Second,
	}
}

func dialHTTP(base *http.Transport, l location, auth Auth, budget *budget) (session, error) {
	endpoint, err := transport.NewEndpoint(l.url.String())
	if err != nil {
		return nil, &OptionError{Option: "URL", Reason: "can not be used for git over http"}
	}
	var method transport.AuthMethod
	if auth.Token != nil {
		token, err := auth.Token()
		if err != nil {
			return nil, &AuthError{Reason: err.Error()}
		}
		method = &githttp.BasicAuth{Username: auth.Username, Password: token}
	}
	client := &http.Client{Transport: guard{base: base, budget: budget}, CheckRedirect: stayHome}
	return githttp.NewClient(client).NewUploadPackSession(endpoint, method)
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

// guard looks at answers before the git library does: it bounds them, and
// refuses a listing that is no git listing, such as a login page.
type guard struct {
	base   http.RoundTripper
	budget *budget
}

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := g.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK && strings.HasSuffix(req.URL.Path, infoRefs) {
		media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
		if err != nil || media != "application/x-git-upload-pack-advertisement" {
			_ = res.Body.Close()
			return nil, &NotFoundError{Reason: "the server answered, but not as a git server does; " +
				"check the URL (a web page or a login page answers there)"}
		}
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{limited{Reader: res.Body, budget: g.budget}, res.Body}
	return res, nil
}

// bare takes off the wrapping of the git and http libraries: the former hides
// the cause from errors.As, the latter repeats the URL.
func bare(err error) error {
	var unexpected *plumbing.UnexpectedError
	var page *url.Error
	switch {
	case errors.As(err, &unexpected):
		return bare(unexpected.Err)
	case errors.As(err, &page):
		return bare(page.Err)
	}
	return err
}

// classifyTransport tells trouble on the way from an answer that makes no sense.
func classifyTransport(err error) error {
	var status *githttp.Err
	if errors.As(err, &status) {
		return &UnreachableError{Reason: fmt.Sprintf("the server answered with status %d", status.StatusCode())}
	}
	var network net.Error
	if errors.As(err, &network) || isBroken(err) {
		return &UnreachableError{Reason: clean(err.Error())}
	}
	var refused *pktline.ErrorLine
	if errors.As(err, &refused) {
		return &UnreachableError{Reason: fmt.Sprintf("the server said %q", clean(refused.Text))}
	}
	if strings.Contains(err.Error(), "object-format=sha256") { // among the capabilities of a listing that cannot be read
		return &UnsupportedError{What: "SHA-256"}
	}
	return &CorruptError{Reason: "the answer makes no sense: " + clean(err.Error())}
}

// isBroken reports whether err is how a cut connection looks.
func isBroken(err error) bool {
	for _, sign := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED,
		context.DeadlineExceeded, packp.ErrEmptyInput, transport.ErrEmptyUploadPackRequest,
	} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return strings.Contains(err.Error(), "EOF")
}
