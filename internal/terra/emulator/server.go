package emulator

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
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
	arrivals   int
	log        []*Call
	faults     []*armed
	windows    map[string]*window
	rng        *rand.Rand
	questions  []Question
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
	dryRun   bool // as the server takes it; the fault IgnoreDryRun clears it
	instance int
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
	finish := whole
	if fault != nil {
		a, finish = fault.spoil(a)
	}
	s.leave(q, a, finish)
	s.judge(q, a)
	return a, finish
}

// arrive names the call, logs it and looks whether a fault is meant for it.
func (s *Server) arrive(r *http.Request, body []byte) (*request, *Fault) {
	q := s.identify(r, body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrivals++
	q.instance = s.arrivals
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
