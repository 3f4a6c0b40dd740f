package terra

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// DefaultBaseURL is where Terra serves the Admin API.
const DefaultBaseURL = "https://access.tryterra.co/api/v3/admin"

const (
	defaultTimeout     = 30 * time.Second
	defaultMaxAttempts = 5
)

// Options configures a Client. BaseURL, Token and Version are required.
type Options struct {
	// BaseURL is https, or http on loopback. It holds no user, query or fragment.
	BaseURL string
	// Token reads the admin token. It is called before the first call of the
	// client, and again when Terra answers 401, so that a token that was
	// replaced meanwhile is picked up. Make one client per run. Space around
	// the token is ignored. A token that does not start with terra_at_ is never
	// sent. May be called by several goroutines, one at a time.
	Token func() (string, error)
	// Transport carries the requests; nil is a new [NewTransport]. Callers that
	// make many clients share one, and with it its connections.
	Transport http.RoundTripper
	// Version stands in the User-Agent: terra-reconcile/VERSION.
	Version string
	// ReadOnly refuses every write with a *ReadOnlyError before the network.
	ReadOnly bool
	// Limits is shared by all clients of a process; nil is a new one.
	Limits *Limits
	// Notice gets each different Terra-Notice of the server once, cleaned to one
	// plain line, with the id of the operation that brought it. It is called
	// one call at a time and must not use the client. May be nil.
	Notice func(operation, text string)
	// Attempted is told of each attempt when it has ended, by several goroutines at once; it
	// returns soon and must not use the client. May be nil.
	Attempted func(Attempt)
	// Timeout is the deadline of one attempt, from the moment it may leave until
	// its answer is read whole; 0 is 30 s. Operations on webhook endpoints get
	// at least 90 s. Waiting for a rate limit does not count: bound that, and
	// the retries, with the context.
	Timeout time.Duration
	// MaxAttempts is how often a call is tried; 0 is 5. An attempt that ran into
	// Timeout counts twice. Answers 429 do not count: a call gives up on those
	// when it would wait more than 120 s for them in all. Once a call has given up
	// on either, and nothing better was answered since, the others do so at once
	// or after 10 s, so that a run ends soon.
	MaxAttempts int
}

// Client makes typed calls. It is safe for concurrent use.
type Client struct {
	base        string
	transport   http.RoundTripper
	userAgent   string
	readOnly    bool
	limits      *Limits
	timeout     time.Duration
	maxAttempts int
	tokens      *tokenReader
	notices     *notices
	told        *told
	attempted   func(Attempt)               // nil: nobody wants to know
	hold        func(provider string) error // nil never does
}

// Holding is the same client for one run whose writes can still be held: hold is
// asked right before each attempt of a write leaves, after every wait, and its
// error ends the call. provider is "" for a write about several at once. hold may
// be called by several goroutines.
func (c *Client) Holding(hold func(provider string) error) *Client {
	held := *c
	held.hold = hold
	return &held
}

// Guard says which secrets are open for a dev_id, or for any if it is "", beside those
// that the client sends: no error or notice repeats them either. Six characters count in
// what the server says of that dev_id, and elsewhere as many as nobody guesses.
func (c *Client) Guard(opened func(devID string) []secrets.Value) {
	c.told.mu.Lock()
	defer c.told.mu.Unlock()
	c.told.opened = opened
}

// AsReadOnly is the same client for somebody who must change nothing: c itself
// when it is read-only already.
func (c *Client) AsReadOnly() *Client {
	if c.readOnly {
		return c
	}
	quiet := *c
	quiet.readOnly = true
	return &quiet
}

// New makes a client. It does not touch the network and reads no token.
func New(o Options) (*Client, error) {
	base, err := parseBaseURL(o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("configure admin API client: %w", err)
	}
	switch {
	case o.Token == nil:
		return nil, errors.New("configure admin API client: no token function")
	case strings.ContainsFunc(o.Version, func(r rune) bool { return r <= ' ' || r > '~' }) || o.Version == "":
		return nil, fmt.Errorf("configure admin API client: version %q cannot stand in a User-Agent", o.Version)
	case o.Timeout < 0 || o.MaxAttempts < 0:
		return nil, errors.New("configure admin API client: a timeout or a number of attempts is negative")
	}
	c := &Client{
		base:        base,
		transport:   o.Transport,
		userAgent:   "terra-reconcile/" + o.Version,
		readOnly:    o.ReadOnly,
		limits:      o.Limits,
		timeout:     o.Timeout,
		maxAttempts: o.MaxAttempts,
		tokens:      &tokenReader{read: o.Token},
		notices:     &notices{report: o.Notice},
		attempted:   o.Attempted,
		told: &told{sent: map[place][]secrets.Value{}, places: map[string][]place{}, public: map[place][]string{}, openly: map[string]*secrets.Openly{},
			opened: func(string) []secrets.Value { return nil }},
	}
	if c.transport == nil {
		c.transport = NewTransport()
	}
	if c.limits == nil {
		c.limits = NewLimits()
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.maxAttempts == 0 {
		c.maxAttempts = defaultMaxAttempts
	}
	return c, nil
}

// parseBaseURL returns the base URL without a trailing slash. Its errors never
// repeat the URL, which may hold a password.
func parseBaseURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "", errors.New("no base URL")
	case err != nil:
		return "", errors.New("the base URL cannot be parsed")
	case u.User != nil:
		return "", errors.New("the base URL holds a user or a password")
	case u.Host == "" || u.Hostname() == "":
		return "", errors.New("the base URL has no host: want " + DefaultBaseURL)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("the base URL holds a query or a fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", fmt.Errorf("the base URL is http on %s: only https, or http on loopback", u.Hostname())
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("the base URL has the scheme %.20q: only https, or http on loopback", u.Scheme)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Address names the API that a base URL leads to, in one form: lower case, without a
// port that goes without saying. Servers on this machine, whose ports come and go, are
// all one address.
func Address(baseURL string) (string, error) {
	text, err := parseBaseURL(baseURL)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case isLoopback(host):
		return "loopback" + u.Path, nil
	case u.Port() != "" && u.Port() != "443":
		host = net.JoinHostPort(host, u.Port())
	}
	return u.Scheme + "://" + host + u.Path, nil
}

// Address is that of the API that the client speaks to.
func (c *Client) Address() string {
	address, err := Address(c.base)
	if err != nil {
		return c.base // New has parsed it
	}
	return address
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// tokenPrefix is how every admin token starts.
const tokenPrefix = "terra_at_"

// tokenReader holds the token of one run.
type tokenReader struct {
	mu    sync.Mutex
	read  func() (string, error)
	token string
}

// current returns the token, reading it the first time.
func (t *tokenReader) current() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == "" {
		token, err := readToken(t.read)
		if err != nil {
			return "", err
		}
		t.token = token
	}
	return t.token, nil
}

// TokenFingerprint stands for the client's token without giving it away: the hex
// SHA-256 of a text that nobody can guess. It is empty when the token cannot be
// read or is none. It makes no call.
func (c *Client) TokenFingerprint() string {
	token, err := c.tokens.current()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// newer reads the token again after Terra refused old, and reports whether there
// is another one to try.
func (t *tokenReader) newer(old string) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == old {
		token, err := readToken(t.read)
		if err != nil {
			return "", false
		}
		t.token = token
	}
	return t.token, t.token != old
}

func readToken(read func() (string, error)) (string, error) {
	token, err := read()
	if err != nil {
		return "", &TokenError{Reason: err.Error(), err: err}
	}
	token = strings.TrimSpace(token)
	switch {
	case token == "":
		return "", &TokenError{Reason: "it is empty: set TERRA_ADMIN_TOKEN or the account's token file"}
	case !strings.HasPrefix(token, tokenPrefix):
		return "", &TokenError{Reason: "it does not start with " + tokenPrefix + ", so it is not an admin token and is not sent; make one in Terra's dashboard"}
	case len(token) == len(tokenPrefix):
		return "", &TokenError{Reason: "nothing follows " + tokenPrefix + "; give the whole token"}
	case strings.Contains(token, "…"), strings.HasSuffix(token, "..."):
		return "", &TokenError{Reason: "it is a placeholder, as examples have it; put your own there"}
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", &TokenError{Reason: "it holds a space or a character that no token has; copy it again"}
	}
	return token, nil
}
