package terra

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// NewTransport returns a transport for clients of this package: TLS 1.2 or
// newer, HTTP/2 where the server has it, up to 64 idle connections per host.
//
// A proxy is used when HTTPS_PROXY names one and NO_PROXY does not exclude the
// host, as in every Go program; it sees the host name, never the content, and
// loopback addresses are never proxied. No cookies, no credentials of the
// environment.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: refusedByProxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// toProxy is how net/http calls what goes wrong between us and a proxy.
const toProxy = "proxyconnect"

// refusedByProxy names who refused: net/http itself says only "Forbidden". The words
// beside the status are the proxy's, which was sent a password.
func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &net.OpError{Op: toProxy, Net: "tcp", Err: fmt.Errorf("the proxy %s answered %d", proxy.Host, answer.StatusCode)}
}

// proxyPassword is what a proxy is sent to let a request through; zero for none.
func proxyPassword(transport http.RoundTripper, request *http.Request) secrets.Value {
	t, ok := transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return secrets.Value{}
	}
	proxy, err := t.Proxy(request)
	if err != nil || proxy == nil {
		return secrets.Value{}
	}
	password, _ := proxy.User.Password()
	return secrets.NewValue([]byte(password))
}

// nextStep is what a person does about a road to the server that failed.
func nextStep(err error) string {
	var certificate *tls.CertificateVerificationError
	var issuer x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var name *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == toProxy:
		return "check HTTPS_PROXY and NO_PROXY"
	case errors.As(err, &issuer):
		return "check the base URL and the proxy, or let SSL_CERT_FILE name the issuer that the runner trusts"
	case errors.As(err, &certificate):
		return "check the base URL, the proxy and this machine's clock"
	case errors.As(err, &record):
		return "check the base URL and the proxy: what answers there speaks no TLS"
	case errors.As(err, &name):
		return "check the base URL and this machine's name server, or set HTTPS_PROXY"
	}
	return "check the base URL, the network and the proxy, or run again later"
}

// reach learns from the transport how far a request got.
type reach struct {
	asked, connected atomic.Bool
}

func (r *reach) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { r.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { r.connected.Store(true) },
	}
}

// sent reports whether the request may have reached the server. A transport that
// reports nothing is taken to have sent it.
func (r *reach) sent(err error) bool {
	if r.connected.Load() {
		return true
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return false
	}
	return !r.asked.Load()
}
