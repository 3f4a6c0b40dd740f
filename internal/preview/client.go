package preview

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

const (
	reachIn = 15 * time.Second
	quietIn = time.Minute // a daemon says something sooner
	patient = within + time.Minute

	// askedAgain is how often a daemon that is busy is asked again, and longestPause for how
	// long it may put that off.
	askedAgain   = 5
	longestPause = time.Minute
)

// Client asks one daemon.
type Client struct {
	address, key string
	now          func() time.Time
	pause        func(context.Context, time.Duration)
	http         http.Client
}

// NewClient makes a Client for the daemon at an address, https or http on this machine. key
// is the token that both know, issuers the PEM of certificates to trust in the place of the
// system's, nil for those. repository names one of several that the daemon follows, "" the only
// one. It connects to nothing yet.
func NewClient(address, repository, key string, issuers []byte, now func() time.Time) (*Client, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, errors.New("is not a URL; it should look like https://daemon.example:8443")
	case u.User != nil:
		return nil, errors.New("holds a user or password; take it out, the token has its own place")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("ends in ? or #; it should look like https://daemon.example:8443")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("would show the plan to whoever is in between; use https:// (http:// only on this machine)")
	}
	protected := &tls.Config{MinVersion: tls.VersionTLS12}
	if issuers != nil {
		if protected.RootCAs = x509.NewCertPool(); !protected.RootCAs.AppendCertsFromPEM(issuers) {
			return nil, errors.New("is trusted by a file that holds no certificate as PEM")
		}
	}
	return &Client{address: strings.TrimRight(u.String(), "/") + PathOf(repository), key: key, now: now, pause: pause, http: http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: protected, TLSHandshakeTimeout: reachIn, DisableKeepAlives: true,
			DialContext: (&net.Dialer{Timeout: reachIn}).DialContext, MaxResponseHeaderBytes: maxRequest},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Preview asks for a plan and waits for it, and asks again when the daemon says that it is
// busy and when it will not be. tell hears how far the daemon is. The error says why there is
// none; a Result may have one of its own.
func (c *Client) Preview(ctx context.Context, r Request, tell func(Progress)) (Result, error) {
	if err := r.Check(); err != nil {
		return Result{}, err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return Result{}, err
	}
	if len(body) > maxRequest {
		return Result{}, fmt.Errorf("a request has at most %d KiB; name fewer environments", maxRequest>>10)
	}
	asking, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	for attempt := 0; ; attempt++ {
		result, err := c.once(asking, body, tell)
		var busy *busyError
		switch {
		case err == nil:
			return result, nil
		case ctx.Err() != nil:
			return result, ctx.Err()
		case !errors.As(err, &busy), busy.after > longestPause, attempt == askedAgain:
			return result, err
		}
		c.pause(asking, busy.after)
	}
}

// once asks one time. A daemon that says nothing for too long is not heard any more.
func (c *Client) once(ctx context.Context, body []byte, tell func(Progress)) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address, bytes.NewReader(body))
	if err != nil {
		return Result{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", sign(c.key, http.MethodPost, c.now(), rand.Text(), body).String())
	quiet := time.AfterFunc(quietIn, cancel)
	defer quiet.Stop()
	result, err := c.ask(request, func(p Progress) { quiet.Reset(quietIn); tell(p) })
	if err != nil && ctx.Err() != nil {
		return result, fmt.Errorf("%s says nothing any more; look into the daemon's log", c.address)
	}
	return result, err
}

func (c *Client) ask(request *http.Request, tell func(Progress)) (Result, error) {
	answer, err := c.http.Do(request)
	if err != nil {
		return Result{}, c.unreached(err)
	}
	defer answer.Body.Close()
	body := io.LimitReader(answer.Body, maxAnswer)
	if answer.StatusCode != http.StatusOK {
		return Result{}, c.refused(answer, body)
	}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return Result{}, fmt.Errorf("what %s answers is no preview; is it the daemon's own address?", c.address)
		}
		if l.Result != nil {
			l.Result.Error = visible.Lines(l.Result.Error)
			l.Result.Document = shown(l.Result.Document)
			return *l.Result, nil
		}
		p := Progress{}
		if l.Progress != nil {
			p = Progress{visible.Text(l.Progress.Environment), l.Progress.Done, l.Progress.Total}
		}
		tell(p)
	}
	return Result{}, fmt.Errorf("the answer of %s broke off; the daemon may have been stopped: try again", c.address)
}

// shown is a document in which nothing acts on a terminal, whoever answered.
func shown(document string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, document)
}

// unreached says why there was no answer.
func (c *Client) unreached(err error) error {
	var authority x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var failed *url.Error
	switch {
	case errors.As(err, &authority):
		return fmt.Errorf("ask %s: its certificate is of an issuer that is not known here; name the issuer's certificate with --ca-file", c.address)
	case errors.As(err, &certificate):
		return fmt.Errorf("ask %s: its certificate is not trusted: %s", c.address, visible.Text(certificate.Err.Error()))
	case errors.As(err, &record):
		return fmt.Errorf("ask %s: it does not speak TLS; set `tls` in the daemon's configuration, or what stands before it", c.address)
	case errors.As(err, &failed):
		err = failed.Err
	}
	return fmt.Errorf("ask %s: no daemon answers there: %s; check --url and the network", c.address, visible.Text(err.Error()))
}

// busyError is the answer of a daemon that will plan later.
type busyError struct {
	text  string
	after time.Duration
}

func (e *busyError) Error() string { return e.text }

// refused says why there is no preview.
func (c *Client) refused(answer *http.Response, body io.Reader) error {
	var p problem
	said := "it says nothing more"
	if text, err := io.ReadAll(io.LimitReader(body, maxRequest)); err == nil && json.Unmarshal(text, &p) == nil && p.Error != "" {
		said = visible.Text(p.Error)
	}
	switch code := answer.StatusCode; {
	case code == http.StatusUnauthorized:
		return fmt.Errorf("ask %s: it does not know this token; it has to be the one of `preview` in the daemon's configuration", c.address)
	case code == http.StatusNotFound:
		return fmt.Errorf("ask %s: there are no previews; set `preview` in the daemon's configuration, and check --url, and --repo where it follows several repositories", c.address)
	case code >= 300 && code < 400:
		return fmt.Errorf("ask %s: it answers with a redirect, which is not followed; name the daemon itself with --url", c.address)
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil || seconds < 0 {
			return fmt.Errorf("ask %s: %s", c.address, said)
		}
		return &busyError{fmt.Sprintf("ask %s: %s, in %d seconds", c.address, said, seconds), time.Duration(seconds) * time.Second}
	default:
		return fmt.Errorf("ask %s: refused (%d): %s", c.address, code, said)
	}
}
