package emulator

import (
	"net/http"
	"slices"
	"time"
)

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
