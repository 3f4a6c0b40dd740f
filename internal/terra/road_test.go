package terra

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// road is a way to a server on which something goes wrong.
type road struct {
	name  string
	build func(t *testing.T, transport *http.Transport) (base string)
	says  string
	next  string
}

func roads() []road {
	return []road{
		{"nobody listens", nobody, "connection refused", "check the base URL, the network and the proxy, or run again later"},
		{"no such name", func(_ *testing.T, transport *http.Transport) string {
			transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "terra.invalid", IsNotFound: true}}
			}
			return "https://terra.invalid"
		}, "lookup terra.invalid: no such host", "check the base URL and this machine's name server, or set HTTPS_PROXY"},
		{"unknown issuer", func(t *testing.T, _ *http.Transport) string {
			return overTLS(t).URL
		}, "certificate signed by unknown authority", "check the base URL and the proxy, or let SSL_CERT_FILE name the issuer that the runner trusts"},
		{"certificate of another host", func(t *testing.T, transport *http.Transport) string {
			server := overTLS(t)
			transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
			return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
		}, "certificate is valid for", "check the base URL, the proxy and this machine's clock"},
		{"no TLS", func(t *testing.T, _ *http.Transport) string {
			server := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(server.Close)
			return strings.Replace(server.URL, "http:", "https:", 1)
		}, "does not look like a TLS handshake", "check the base URL and the proxy: what answers there speaks no TLS"},
		{"proxy is down", func(t *testing.T, transport *http.Transport) string {
			through(t, transport, nobody(t, transport))
			return "https://terra.invalid"
		}, "proxyconnect tcp: dial tcp", "check HTTPS_PROXY and NO_PROXY"},
		{"proxy refuses", func(t *testing.T, transport *http.Transport) string {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "HTTP/1.1 407 HushedProxyPassword\r\nContent-Length: 0\r\n\r\n")
			}))
			t.Cleanup(server.Close)
			through(t, transport, server.URL)
			return "https://terra.invalid"
		}, " answered 407", "check HTTPS_PROXY and NO_PROXY"},
		{"proxy speaks no HTTP", func(t *testing.T, transport *http.Transport) string {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "HushedProxyPassword\r\n")
			}))
			t.Cleanup(server.Close)
			through(t, transport, server.URL)
			return "https://terra.invalid"
		}, withheld, "check the base URL, the network and the proxy, or run again later"},
	}
}

func nobody(t *testing.T, _ *http.Transport) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return "http://" + listener.Addr().String()
}

func overTLS(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// through sends everything by way of a proxy whose address holds a password.
func through(t *testing.T, transport *http.Transport, proxy string) {
	t.Helper()
	u, err := url.Parse(strings.Replace(proxy, "http://", "http://user:HushedProxyPassword@", 1))
	if err != nil {
		t.Fatal(err)
	}
	transport.Proxy = http.ProxyURL(u)
}

// TestRoadsThatFail shows that each way of getting no answer says what to do, that
// a write is known not to have left, and that a proxy's password stays hidden.
func TestRoadsThatFail(t *testing.T) {
	list := roads()
	for _, r := range list {
		t.Run(r.name, func(t *testing.T) {
			transport := NewTransport()
			t.Cleanup(transport.CloseIdleConnections)
			base := r.build(t, transport)
			c := newClient(t, transport, func(o *Options) { o.BaseURL, o.MaxAttempts = base, 1 })
			err := c.DisableSource(t.Context(), "dev-1", "strava", "k")
			if !onlyConnection(err) {
				t.Fatalf("got %v, want a ConnectionError", err)
			}
			if text := err.Error(); !strings.Contains(text, r.says) || !strings.HasSuffix(text, "; "+r.next) || strings.Contains(text, "Hushed") {
				t.Errorf("got\n  %s\nwant %q and then\n  %s", text, r.says, r.next)
			}
		})
	}
	t.Logf("COUNT failing_roads=%d", len(list))
}
