package providers

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// Verdict is what a probe found out about a pair of client id and secret.
type Verdict int

// The verdicts. Only an explicit refusal of the pair by the provider is Bad;
// whatever is not understood is Unknown.
const (
	Unknown Verdict = iota
	Good
	Bad
)

// String returns the word used in output.
func (v Verdict) String() string {
	return [...]string{"unknown", "good", "bad"}[v]
}

// ProbeResult is a verdict with its reason in our own words, never in the
// provider's, which might repeat what it was sent.
type ProbeResult struct {
	Verdict Verdict
	Reason  string
}

// Probe is a question to a provider that reads and changes nothing and needs no
// end user. In the values of Form, {client_id} and {client_secret} stand for the
// pair.
type Probe struct {
	Method, URL string
	Basic       bool   // the pair travels as HTTP Basic authentication
	Form        []Pair // the body of a POST, the query of a GET
	Asks        string // completes "to …"
	Proves      string
	Limits      string
	Judge       func(Answer) ProbeResult
}

// Pair is a name and its value.
type Pair struct{ Name, Value string }

// Answer is what the provider answered: a status below 300 or of 400 and above,
// but never 429 or 5xx, which are Unknown for every provider.
type Answer struct {
	Status int
	Body   []byte
}

func good(reason string) ProbeResult    { return ProbeResult{Good, reason} }
func bad(reason string) ProbeResult     { return ProbeResult{Bad, reason} }
func unknown(reason string) ProbeResult { return ProbeResult{Unknown, reason} }

// unclear is the verdict on an answer that no source describes.
func (a Answer) unclear() ProbeResult {
	return unknown("the answer (HTTP " + strconv.Itoa(a.Status) + ") is not one we know")
}

// decode reads a JSON object into target and reports whether it is one.
func (a Answer) decode(target any) bool {
	return a.json() && json.Unmarshal(a.Body, target) == nil
}

// json reports whether the body is one JSON object. White space that JSON does not
// know makes it none.
func (a Answer) json() bool {
	return json.Valid(a.Body) && bytes.HasPrefix(bytes.TrimLeft(a.Body, " \t\r\n"), []byte("{"))
}

// code is an error code that a provider writes as a number or as a text.
type code string

// UnmarshalJSON takes both spellings.
func (c *code) UnmarshalJSON(b []byte) error {
	*c = code(bytes.Trim(b, `"`))
	return nil
}

const (
	probeDeadline  = 10 * time.Second
	probeBodyLimit = 64 << 10 // bytes
)

// Prober asks providers whether a pair of client id and secret is theirs. It is
// safe for concurrent use. It keeps no memory: how often a pair may be probed is
// the caller's business.
type Prober struct {
	client    *http.Client
	overrides map[string]string
}

// NewProber makes a Prober. A nil transport is http.DefaultTransport. Overrides
// map a slug to the whole address to ask instead of the catalogue's; they come
// from the runner's own configuration, never from the repository, and must be
// https or loopback: any other is never asked.
func NewProber(transport http.RoundTripper, overrides map[string]string) *Prober {
	p := &Prober{overrides: make(map[string]string, len(overrides))}
	for slug, address := range overrides {
		p.overrides[strings.ToLower(slug)] = address
	}
	p.client = &http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	return p
}

// Probe asks the provider of that slug about the pair, within 10 seconds and
// without following redirects. It always answers: what goes wrong on the way is
// Unknown with a reason. No reason holds the id, the secret, an address's query
// or a word of the answer.
func (p *Prober) Probe(ctx context.Context, slug, clientID string, secret secrets.Value) ProbeResult {
	provider, ok := Lookup(slug)
	if !ok {
		return unknown("our catalogue does not hold this provider")
	}
	return p.ask(ctx, provider, clientID, secret)
}

func (p *Prober) ask(ctx context.Context, provider Provider, clientID string, secret secrets.Value) ProbeResult {
	probe := provider.Probe
	if probe == nil {
		return unknown("cannot be proved: " + provider.Unproved)
	}
	if clientID == "" || secret.IsZero() {
		return unknown("a pair needs both a client id and a client secret")
	}
	address, problem := p.address(provider)
	if problem != "" {
		return unknown(problem)
	}
	ctx, cancel := context.WithTimeout(ctx, probeDeadline)
	defer cancel()
	request, err := probe.request(ctx, address, clientID, secret.Reveal())
	if err != nil {
		return unknown("the question could not be built")
	}
	response, err := p.client.Do(request)
	if err != nil {
		return unknown(lost(ctx, err, request.URL.Hostname()))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, probeBodyLimit))
	if err != nil {
		return unknown(lost(ctx, err, request.URL.Hostname()))
	}
	return judge(probe, Answer{Status: response.StatusCode, Body: body})
}

// judge takes out the answers that say nothing of the pair at any provider.
func judge(probe *Probe, a Answer) ProbeResult {
	status := "HTTP " + strconv.Itoa(a.Status)
	switch {
	case a.Status == http.StatusTooManyRequests:
		return unknown("the provider's quota is used up (" + status + ")")
	case a.Status >= 500:
		return unknown("the provider is unavailable (" + status + ")")
	case a.Status >= 300 && a.Status < 400:
		return unknown("the provider redirects (" + status + "), which is not followed")
	}
	return probe.Judge(a)
}

// address returns the runner's address, else the catalogue's.
func (p *Prober) address(provider Provider) (address, problem string) {
	address, ok := p.overrides[provider.Slug]
	if !ok {
		return provider.Probe.URL, ""
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname()))) {
		return "", "the runner's probe address for " + provider.Slug + " is neither https nor loopback"
	}
	return address, ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// request builds the question. The pair travels in the body, in the
// Authorization header or, where a provider knows no other way, in the query of
// a GET: nothing that is told of an address therefore has more than its host.
func (p *Probe) request(ctx context.Context, address, id, secret string) (*http.Request, error) {
	form := url.Values{}
	for _, f := range p.Form {
		switch f.Value {
		case "{client_id}":
			form.Set(f.Name, id)
		case "{client_secret}":
			form.Set(f.Name, secret)
		default:
			form.Set(f.Name, f.Value)
		}
	}
	var body io.Reader
	inBody := len(p.Form) > 0 && p.Method != http.MethodGet
	if inBody {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(ctx, p.Method, address, body)
	if err != nil {
		return nil, err
	}
	if inBody {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		request.URL.RawQuery = form.Encode()
	}
	if p.Basic {
		request.SetBasicAuth(id, secret)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "terra-reconcile")
	return request, nil
}

// lost says why no answer came, without a word of the error itself: errors of
// HTTP clients repeat addresses.
func lost(ctx context.Context, err error, host string) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return host + " did not answer within " + probeDeadline.String()
	case ctx.Err() != nil:
		return "the probe was stopped"
	case errors.As(err, &dns):
		return "the name " + host + " could not be looked up"
	case errors.As(err, &certificate):
		return "the certificate of " + host + " is not trusted"
	}
	return "no connection to " + host
}
