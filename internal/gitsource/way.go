package gitsource

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// Way is how one remote is reached over http and https. The zero value goes by the
// certificates of the system and by HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
type Way struct {
	// CAFile holds certificates, as PEM, of issuers that are trusted for this remote beside
	// those of the system. It is read anew for each Fetch; "" for none.
	CAFile string
	// Proxy gives the proxy through which this remote is reached, whatever the environment
	// variables say and wherever the remote is: http, https, socks5 or socks5h, with its user
	// and password. It is called anew for each Fetch; nil goes by the variables.
	Proxy func() (*url.URL, error)
	// Settings says where a person sets these, for messages; empty names are left out.
	Settings WaySettings
}

// WaySettings are the names of fields.
type WaySettings struct{ CAFile, Proxy string }

// Issuers reads certificates as PEM, and refuses a file that holds anything else, or nothing.
func Issuers(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	n := 0
	for rest := data; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("read CA certificates %s: it holds more than certificates: %s; keep only certificates there", file, clean(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("read CA certificates %s: number %d of them can not be read: %s", file, n+1, clean(err.Error()))
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("read CA certificates %s: it holds none as PEM (-----BEGIN CERTIFICATE-----)", file)
	}
	return data, nil
}

// road is a transport that follows what a Way says by now.
type road struct {
	way Way

	mu        sync.Mutex
	transport *http.Transport
	issuers   []byte
	proxy     string // as it was when transport was made
}

func newRoad(w Way) *road { return &road{way: w, transport: newTransport()} }

// now is the transport by what the files say now.
func (r *road) now() (*http.Transport, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var issuers []byte
	var err error
	if r.way.CAFile != "" {
		if issuers, err = Issuers(r.way.CAFile); err != nil {
			return nil, &OptionError{Option: "ca file", Reason: err.Error()}
		}
	}
	var proxy *url.URL
	text := ""
	if r.way.Proxy != nil {
		if proxy, err = r.way.Proxy(); err != nil {
			return nil, &AuthError{Reason: err.Error()}
		}
		text = proxy.String()
	}
	if bytes.Equal(issuers, r.issuers) && text == r.proxy {
		return r.transport, nil
	}
	next := newTransport()
	if issuers != nil {
		roots, err := x509.SystemCertPool()
		if err != nil { // there are none
			roots = x509.NewCertPool()
		}
		roots.AppendCertsFromPEM(issuers)
		next.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	if proxy != nil {
		next.Proxy = http.ProxyURL(proxy)
	}
	r.transport.CloseIdleConnections()
	r.transport, r.issuers, r.proxy = next, issuers, text
	return next, nil
}

// NewTransport reaches by http and https whatever it is asked for, by a Way.
func NewTransport(w Way) http.RoundTripper { return newRoad(w) }

// RoundTrip implements http.RoundTripper.
func (r *road) RoundTrip(req *http.Request) (*http.Response, error) {
	transport, err := r.now()
	if err != nil {
		return nil, err
	}
	return transport.RoundTrip(req)
}

// newTransport is http.DefaultTransport's settings in a transport of our own: nobody
// else's registrations reach it.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	return &http.Transport{
		Proxy:                  proxyOf(http.ProxyFromEnvironment),
		OnProxyConnectResponse: proxyAnswered,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           2,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// untrusted is what to do about an issuer that is not known.
func (w Way) untrusted() string {
	if w.CAFile != "" {
		return "if the issuer is known to you, add its certificate to " + w.CAFile + w.Settings.in(w.Settings.CAFile)
	}
	return "if the issuer is known to you, let SSL_CERT_FILE, or repo.tls.ca_file of daemon.yaml, name its certificate"
}

// checkProxy is what to do about a proxy on the way to target.
func (w Way) checkProxy(target *url.URL) string {
	if w.Proxy != nil {
		return "check " + w.proxyName()
	}
	return "check " + proxyVariable(target) + ", or list the host in NO_PROXY"
}

func (w Way) proxyName() string {
	if w.Settings.Proxy != "" {
		return w.Settings.Proxy
	}
	return "the address of the proxy"
}

func (s WaySettings) in(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

// proxyOf hides what an unreadable address of a proxy holds: often a password.
func proxyOf(find func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		proxy, err := find(req)
		if err != nil {
			return nil, &UnreachableError{Reason: "the address of the proxy in " + proxyVariable(req.URL) + " can not be read", Next: "write it like http://proxy.example:3128"}
		}
		return proxy, nil
	}
}

func proxyVariable(target *url.URL) string { return strings.ToUpper(target.Scheme) + "_PROXY" }

// proxyStatusError is the answer of a proxy that does not connect us.
type proxyStatusError struct {
	proxy  *url.URL
	host   string
	status int
}

func (e *proxyStatusError) Error() string { return fmt.Sprintf("status %d", e.status) }

// proxyAnswered hears whether a proxy connects us.
func proxyAnswered(_ context.Context, proxy *url.URL, ask *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyStatusError{proxy: proxy, host: ask.Host, status: answer.StatusCode}
}

// refusal says what the answer of a proxy means.
func (w Way) refusal(proxy, target *url.URL, status int) error {
	next := "ask the proxy's owner to let " + clean(target.Hostname()) + " through"
	if w.Proxy == nil {
		next += ", or list it in NO_PROXY"
	}
	if status == http.StatusProxyAuthRequired {
		at := proxyVariable(target)
		if w.Proxy != nil {
			at = w.proxyName()
		}
		if proxy.User != nil {
			return &UnreachableError{Reason: fmt.Sprintf("the proxy %s refused the user and password that were given, with status %d", proxy.Host, status), Next: "correct them in " + at}
		}
		next = "put its user and password into " + at
	}
	return &UnreachableError{Reason: fmt.Sprintf("the proxy %s refused the connection with status %d", proxy.Host, status), Next: next}
}
