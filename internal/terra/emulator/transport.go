package emulator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

const largestBody = 1 << 20

// RoundTripper serves calls without sockets, whatever their host: only the path
// counts. It waits on timers and contexts alone, so it works with virtual time.
func (s *Server) RoundTripper() http.RoundTripper { return inProcess{s} }

type inProcess struct{ server *Server }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := drain(r)
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	a, how := t.server.exchange(r.Context(), r, body)
	switch how {
	case never:
		return nil, r.Context().Err()
	case reset:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	case lost:
		return nil, io.ErrUnexpectedEOF
	}
	w := response(r, a)
	if how == halfBody {
		w.Body = io.NopCloser(io.MultiReader(bytes.NewReader(a.body[:len(a.body)/2]), broken{}))
	}
	return w, nil
}

// response is an answer that arrives whole.
func response(r *http.Request, a answer) *http.Response {
	return &http.Response{
		Status:     strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode: a.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        a.header,
		Body:          io.NopCloser(bytes.NewReader(a.body)),
		ContentLength: int64(len(a.body)),
		Request:       r,
	}
}

// broken is a connection that went away.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func drain(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, largestBody))
	return body, errors.Join(err, r.Body.Close())
}

// ServeHTTP serves calls below BasePath, the providers behind Terra below
// ProvidersPath and their portals below PortalPath. A call that hangs ends with
// its connection or with the base context of the http.Server around it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := drain(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if a, ok := s.behind(r, body); ok {
		write(w, a)
		return
	}
	a, how := s.exchange(r.Context(), r, body)
	switch how {
	case never, lost:
		panic(http.ErrAbortHandler)
	case reset:
		abort(w)
	}
	if how == halfBody {
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
		a.body = a.body[:len(a.body)/2]
	}
	write(w, a)
	if how == halfBody {
		_ = http.NewResponseController(w).Flush() // what follows ends the connection
		panic(http.ErrAbortHandler)
	}
}

func write(w http.ResponseWriter, a answer) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	if _, err := w.Write(a.body); err != nil && a.status != http.StatusNoContent {
		panic(http.ErrAbortHandler)
	}
}

// abort drops the connection with a reset where the server allows it.
func abort(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // without it the drop looks like an orderly end
		}
		_ = conn.Close() // it is meant to be gone
	}
	panic(http.ErrAbortHandler)
}
