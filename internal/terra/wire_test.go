package terra

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// listen serves h on loopback and returns a client for it with its own transport.
func listen(t testing.TB, h http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	transport := NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return newClient(t, transport, append([]func(*Options){func(o *Options) { o.BaseURL = server.URL }}, change...)...)
}

func answerJSON(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, body)
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var reached atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := listen(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		if _, err := c.Me(t.Context()); !as[*BadAnswerError](err) || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%d: %v", status, err)
		}
		_, err := c.UpdateCredentials(t.Context(), "dev-1", "strava", secretPatch(), "k")
		done := status == http.StatusSeeOther // says that the write was carried out
		if as[*BadAnswerError](err) == done || as[*AmbiguousError](err) != done {
			t.Errorf("%d, a write: %v", status, err)
		}
	}
	if reached.Load() {
		t.Error("a redirect was followed")
	}
}

func TestCompressedAnswer(t *testing.T) {
	c := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", mediaJSON)
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, meJSON)
		_ = z.Close()
	})
	if me, err := c.Me(t.Context()); err != nil || me.TokenID != "t1" {
		t.Errorf("%+v, %v", me, err)
	}
}

func TestCompressedBombIsBounded(t *testing.T) {
	c := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", mediaJSON)
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 20 {
			_, _ = z.Write(zeros)
		}
		_ = z.Close()
	})
	if _, err := c.Me(t.Context()); !as[*BadAnswerError](err) || !strings.Contains(err.Error(), "longer than 1 MiB") {
		t.Error(err)
	}
}

// TestCutConnections drops the connection before the answer and in the middle of
// it: reads and keyed writes are tried again, with the same key.
func TestCutConnections(t *testing.T) {
	for name, cut := range map[string]func(http.ResponseWriter){
		"before the answer": func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"in the answer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			answerJSON(w, `{"provider":`)
			panic(http.ErrAbortHandler)
		},
	} {
		var n atomic.Int64
		var keys sync.Map
		c := listen(t, func(w http.ResponseWriter, r *http.Request) {
			keys.Store(r.Header.Get("Idempotency-Key"), true)
			if n.Add(1) == 1 {
				cut(w)
			}
			answerJSON(w, sourceJSON)
		})
		if _, err := c.EnableSource(t.Context(), "dev-1", "strava", "key-1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		keys.Range(func(key, _ any) bool {
			if key != "key-1" {
				t.Errorf("%s: sent with the key %q", name, key)
			}
			return true
		})
		if n.Load() < 2 {
			t.Errorf("%s: %d requests", name, n.Load())
		}
		always := listen(t, func(w http.ResponseWriter, _ *http.Request) { cut(w) }, func(o *Options) { o.MaxAttempts = 1 })
		if _, err := always.EnableSource(t.Context(), "dev-1", "strava", "key-1"); !as[*AmbiguousError](err) {
			t.Errorf("%s, for ever: %v", name, err)
		}
		if _, err := always.Me(t.Context()); !as[*ConnectionError](err) {
			t.Errorf("%s, a read: %v", name, err)
		}
	}
}

func TestRefusedConnectionIsNotAmbiguous(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + listener.Addr().String()
	_ = listener.Close()
	c := newClient(t, NewTransport(), func(o *Options) { o.BaseURL, o.MaxAttempts = base, 2 })
	if err := c.DisableSource(t.Context(), "dev-1", "strava", "k"); !onlyConnection(err) {
		t.Error(err)
	}
}

func TestDialThatHangsIsNotAmbiguous(t *testing.T) {
	transport := NewTransport()
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	c := newClient(t, transport, func(o *Options) { o.Timeout, o.MaxAttempts = 20*time.Millisecond, 1 })
	if err := c.DisableSource(t.Context(), "dev-1", "strava", "k"); !onlyConnection(err) {
		t.Error(err)
	}
}

func TestUntrustedCertificateIsFinal(t *testing.T) {
	var reached atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := NewTransport()
	var dials atomic.Int64
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, address)
	}
	c := newClient(t, transport, func(o *Options) { o.BaseURL = server.URL })
	err := c.DisableSource(t.Context(), "dev-1", "strava", "k")
	if !onlyConnection(err) || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	if reached.Load() != 0 || dials.Load() != 1 {
		t.Errorf("%d requests, %d dials, want 0 and 1", reached.Load(), dials.Load())
	}
}

// TestConnectionsAreReused makes many calls over TLS with HTTP/1.1 and HTTP/2. The
// server answers the calls of one round together, so that a busy machine does not
// make a call dial while another one ends.
func TestConnectionsAreReused(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		var opened atomic.Int64
		var together sync.WaitGroup
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			together.Done()
			together.Wait()
			answerJSON(w, credentialsJSON)
		}))
		server.EnableHTTP2 = h2
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				opened.Add(1)
			}
		}
		server.StartTLS()
		t.Cleanup(server.Close)
		transport := NewTransport()
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
		t.Cleanup(transport.CloseIdleConnections)
		c := newClient(t, transport, func(o *Options) { o.BaseURL = server.URL })
		for range 10 {
			together.Add(50)
			callAll(t, 50, func(ctx context.Context, _ int) error {
				_, err := c.GetCredentials(ctx, "dev-1", "strava")
				return err
			})
		}
		if n := opened.Load(); n > 120 {
			t.Errorf("HTTP/2 %v: 500 calls opened %d connections", h2, n)
		}
	}
}

// instant answers at once and keeps nothing.
type instant struct{}

func (instant) RoundTrip(*http.Request) (*http.Response, error) {
	return replyJSON(credentialsJSON), nil
}

func BenchmarkGetCredentials(b *testing.B) {
	b.Run("without sockets", func(b *testing.B) {
		c := newClient(b, instant{})
		benchmarkGet(b, c)
	})
	b.Run("loopback", func(b *testing.B) {
		benchmarkGet(b, listen(b, func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, credentialsJSON) }))
	})
}

func benchmarkGet(b *testing.B, c *Client) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.GetCredentials(b.Context(), "dev-1", "strava"); err != nil {
			b.Fatal(err)
		}
	}
}
