package emulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// mostViolations bounds what a long run remembers.
const mostViolations = 1000

// Server is one Terra account behind its Admin API. All methods are safe for
// concurrent use. The set-up methods panic when they are called with a dev-id or
// a provider that does not exist: that is a mistake in the test.
type Server struct {
	config    Config
	routes    []route
	catalogue map[string]entry

	mu         sync.Mutex // guards everything below
	account    account
	log        []*Call
	faults     []*armed
	windows    map[string]*window
	rng        *rand.Rand
	questions  []Question
	applyFails *int // after so many Garmin apps
	revision   uint64
	violations []string
}

// New returns the emulator of an empty account: no environment, no token.
func New(c Config) *Server {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.WebhookLock == 0 {
		c.WebhookLock = 3 * time.Minute
	}
	return &Server{
		config:    c,
		routes:    routes(),
		catalogue: catalogue(),
		account:   newAccount(),
		windows:   map[string]*window{},
		rng:       rand.New(rand.NewPCG(c.Seed, 1)), //nolint:gosec // the order must repeat with the seed
	}
}

// Revision changes whenever there is something new to Save.
func (s *Server) Revision() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// request is a call on its way through the server.
type request struct {
	route    *route
	call     *Call
	http     *http.Request
	body     []byte
	token    *Token
	env      *environment
	provider string
	dryRun   bool     // as the server takes it; the fault IgnoreDryRun clears it
	outside  []string // what the contract does not describe and its schemas allow
}

// end says how a connection ends.
type end int

const (
	whole    end = iota // the answer arrives
	never               // no answer: the caller gave up
	reset               // dropped before the call was looked at
	lost                // dropped after the call was carried out
	halfBody            // dropped in the middle of the answer's body
)

// exchange carries one call from arrival to the end of its connection.
func (s *Server) exchange(ctx context.Context, r *http.Request, body []byte) (answer, end) {
	q, fault := s.arrive(r, body)
	wait := s.config.Latency
	if fault != nil && fault.Kind == Latency {
		wait += fault.Delay
	}
	if !s.pause(ctx, wait) {
		return answer{}, never
	}
	if fault != nil && fault.Kind == Hang {
		<-ctx.Done()
		return answer{}, never
	}
	if fault != nil && fault.Kind == ConnectionReset {
		return answer{}, reset
	}
	a, forged := s.forge(q, fault)
	if !forged {
		a = s.carryOut(q)
	}
	if s.config.Capitals {
		a.body = inCapitals(a.body)
	}
	finish := whole
	if fault != nil {
		a, finish = fault.spoil(a)
	}
	s.leave(q, a, finish)
	s.judge(q, a)
	return a, finish
}

// inCapitals spells the providers of an answer in capitals.
func inCapitals(body []byte) []byte {
	name := regexp.MustCompile(`"provider":"[a-z0-9_]+"`)
	return name.ReplaceAllFunc(body, func(field []byte) []byte {
		return append([]byte(`"provider":`), bytes.ToUpper(bytes.TrimPrefix(field, []byte(`"provider":`)))...)
	})
}

// arrive names the call, logs it and looks whether a fault is meant for it.
func (s *Server) arrive(r *http.Request, body []byte) (*request, *Fault) {
	q := s.identify(r, body)
	s.mu.Lock()
	defer s.mu.Unlock()
	q.call.Time = s.now()
	s.record(q.call)
	fault := s.strike(*q.call)
	if fault != nil {
		q.call.Fault = fault.Kind
		q.dryRun = q.dryRun && fault.Kind != IgnoreDryRun
	}
	return q, fault
}

// pause waits as long as a network would; false when the caller gave up.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) leave(q *request, a answer, finish end) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if finish == whole || finish == halfBody {
		q.call.Status, q.call.Code = a.status, a.code
	}
}

// judge holds the exchange against the contract. Only a call that reached the
// API is judged.
func (s *Server) judge(q *request, a answer) {
	if s.config.Contract == nil || q.route == nil {
		return
	}
	request, answered := s.config.Contract.Check(Exchange{
		Method: q.http.Method, Target: q.http.URL.RequestURI(), Header: q.http.Header, Body: q.body,
		Status: a.status, AnswerHeader: a.header, Answer: a.body,
	})
	for _, text := range q.outside {
		request = append(request, "request: "+text)
	}
	if s.config.BadRequests && a.status >= 400 {
		request = nil
	}
	if a.unchecked {
		answered = nil
	}
	if len(request)+len(answered) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range append(request, answered...) {
		if len(s.violations) < mostViolations {
			s.violations = append(s.violations, q.call.Operation+": "+text)
		}
	}
}

// shuffle reorders a list that the API does not promise an order for.
func shuffle[T any](s *Server, list []T) []T {
	out := slices.Clone(list)
	s.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// Call is one request as the emulator saw it. It holds no secret.
type Call struct {
	Time           time.Time
	Operation      string // operationId of the contract; empty when the request missed the API
	Write          bool   // the operation is a mutation, dry run or not
	Method         string
	Path           string // without query
	DevID          string
	Provider       string // lower case
	Providers      []string
	Fields         []string // names of the body's fields, sorted
	DryRun         bool     // asked for; Effect says whether it was honoured
	IdempotencyKey string
	TokenID        string
	UserAgent      string
	Fault          Kind   // the fault that struck, empty for none
	Status         int    // 0: no answer was made
	Code           string // of the problem answered, empty for none
	Replayed       bool   // a stored answer came back
	Effect         bool   // Terra's state changed
}

// Exchange is a request with its answer, for a Contract to judge.
type Exchange struct {
	Method       string
	Target       string // path and query
	Header       http.Header
	Body         []byte
	Status       int
	AnswerHeader http.Header
	Answer       []byte
}

// Log returns the calls in order of arrival.
func (s *Server) Log() []Call {
	return s.calls(func(Call) bool { return true })
}

// Effects returns the calls that changed Terra's state.
func (s *Server) Effects() []Call {
	return s.calls(func(c Call) bool { return c.Effect })
}

// Writes returns the mutations that were sent without dry_run, also those that
// were refused or changed nothing.
func (s *Server) Writes() []Call {
	return s.calls(func(c Call) bool { return c.Write && !c.DryRun })
}

// ResetLog forgets the calls so far. Idempotency keys are kept.
func (s *Server) ResetLog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

func (s *Server) calls(keep func(Call) bool) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Call
	for _, c := range s.log {
		if keep(*c) {
			list = append(list, c.copy())
		}
	}
	return list
}

func (c *Call) copy() Call {
	out := *c
	out.Providers, out.Fields = slices.Clone(c.Providers), slices.Clone(c.Fields)
	return out
}

func (s *Server) record(c *Call) {
	s.log = append(s.log, c)
	if limit := s.config.LogLimit; limit > 0 && len(s.log) > 2*limit {
		s.log = slices.Clone(s.log[len(s.log)-limit:])
	}
}

// Violations lists where an exchange broke the contract. Without a Contract in
// the Config it stays empty; after the first thousand no more are kept.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

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
	a = t.server.dated(a)
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
	a = s.dated(a)
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

// dated lets an answer tell the time of the emulator, not of the machine it runs on.
func (s *Server) dated(a answer) answer {
	if a.header = a.header.Clone(); a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set("Date", s.now().Format(http.TimeFormat))
	return a
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
