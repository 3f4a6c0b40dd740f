package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// What those who ask may take. A connection is for one question, so that nobody waits for
// those who keep theirs.
const (
	maxConnections = 64
	maxHeader      = 16 << 10 // bytes
	headerWithin   = 5 * time.Second
	pageWithin     = 10 * time.Second
	answerStill    = 500 * time.Millisecond // what is being answered at the stop
)

// Listen serves pages to whoever can reach the address, until stop: by TLS where
// certificate is not nil.
func Listen(ctx context.Context, address string, certificate *Certificate, handler http.Handler, log *slog.Logger) (at net.Addr, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	guests := &crowd{Listener: listener, most: maxConnections}
	staying := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(answer{w, func() { guests.stay(r.RemoteAddr) }}, r)
	})
	server := &http.Server{Handler: staying, ReadHeaderTimeout: headerWithin, ReadTimeout: pageWithin, WriteTimeout: pageWithin,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(&handshakes{Handler: log.Handler()}, slog.LevelWarn)}
	server.SetKeepAlivesEnabled(false)
	serve := server.Serve
	if certificate != nil {
		server.TLSConfig, server.Protocols = certificate.Config(), &http.Protocols{}
		server.Protocols.SetHTTP1(true) // one question a connection
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	log.Info("serving", "address", listener.Addr().String(), "tls", certificate != nil)
	go func() {
		if err := serve(guests); !errors.Is(err, http.ErrServerClosed) {
			log.Error("HTTP server ended", "error", err.Error())
		}
	}()
	return listener.Addr(), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerStill)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // nobody waits for a client that is slow to ask
		}
	}, nil
}

// handshakes passes on one line a minute about handshakes that failed, and all others: else
// anybody could fill the log, who need not even ask a question.
type handshakes struct {
	slog.Handler

	mu   sync.Mutex
	said time.Time
}

// Handle implements slog.Handler.
func (h *handshakes) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "http: TLS handshake error") {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.said.IsZero() && r.Time.Sub(h.said) < time.Minute {
			return nil
		}
		h.said = r.Time
	}
	return h.Handler.Handle(ctx, r)
}

// crowd is a listener of whose connections so many are open at a time. One more takes the
// place of the oldest: who asks at once is answered, however many others say nothing, and
// all of them together never take the descriptors that runs need.
type crowd struct {
	net.Listener
	most int

	mu   sync.Mutex
	open []*guest // oldest first
}

type guest struct {
	net.Conn
	leave func()
	stays bool // guarded by the crowd's mu
}

// answer is a request's, whose connection can be told to stay.
type answer struct {
	http.ResponseWriter
	stay func()
}

// Unwrap lets a handler reach the deadlines of the connection.
func (a answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Stay keeps the connection of an answer that is under way from being ended for one more
// caller. It is for a few who are known, and bounded otherwise.
func Stay(w http.ResponseWriter) {
	if a, ok := w.(answer); ok {
		a.stay()
	}
}

func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}

func (c *crowd) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g := &guest{Conn: conn}
	g.leave = func() { c.remove(g) }
	c.mu.Lock()
	c.open = append(c.open, g)
	var oldest *guest
	if i := slices.IndexFunc(c.open, func(g *guest) bool { return !g.stays }); len(c.open) > c.most && i >= 0 {
		oldest = c.open[i]
	}
	c.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close() // it is in the way
	}
	return g, nil
}

// stay lets the guest at an address stay for as long as it likes.
func (c *crowd) stay(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.open {
		g.stays = g.stays || g.RemoteAddr().String() == address
	}
}

func (c *crowd) remove(g *guest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.open {
		if other == g {
			c.open = append(c.open[:i], c.open[i+1:]...)
			return
		}
	}
}
