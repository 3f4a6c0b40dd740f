package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
)

// Listen serves pages to whoever can reach the address, until stop.
func Listen(ctx context.Context, address string, handler http.Handler, log *slog.Logger) (at net.Addr, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerWithin, ReadTimeout: pageWithin, WriteTimeout: pageWithin,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	server.SetKeepAlivesEnabled(false)
	log.Info("serving", "address", listener.Addr().String())
	go func() {
		if err := server.Serve(&crowd{Listener: listener, most: maxConnections}); !errors.Is(err, http.ErrServerClosed) {
			log.Error("HTTP server ended", "error", err.Error())
		}
	}()
	return listener.Addr(), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // nobody waits for a client that is slow to ask
		}
	}, nil
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
	if len(c.open) > c.most {
		oldest = c.open[0]
	}
	c.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close() // it is in the way
	}
	return g, nil
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
