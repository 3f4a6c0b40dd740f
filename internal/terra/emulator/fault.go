package emulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Kind says what a fault does.
type Kind string

// The kinds. "Carried out" says whether Terra's state may change.
const (
	Latency              Kind = "latency"                 // carried out Delay later
	Status429            Kind = "status-429"              // rate_limited with Retry-After; not carried out
	Status500            Kind = "status-500"              // internal_error; not carried out
	Status503            Kind = "status-503"              // service_unavailable; not carried out
	Problem              Kind = "problem"                 // Status and Code; not carried out
	PlainNotFound        Kind = "plain-not-found"         // 404 without a problem body; not carried out
	Empty200             Kind = "empty-200"               // 200 without a body; not carried out
	HTMLPage             Kind = "html-page"               // 200 with a web page; not carried out
	Redirect             Kind = "redirect"                // 307 to another host; not carried out
	Hang                 Kind = "hang"                    // no answer until the caller gives up; not carried out
	ConnectionReset      Kind = "connection-reset"        // dropped; not carried out
	LostAnswer           Kind = "lost-answer"             // carried out, then dropped without an answer
	BrokenJSON           Kind = "broken-json"             // carried out; the answer is cut, the connection is not
	HalfPage             Kind = "half-page"               // carried out; the connection drops in the middle of the body
	HasMoreWithoutCursor Kind = "has-more-without-cursor" // a list: half of it, has_more, no cursor
	MissingEntries       Kind = "missing-entries"         // a list: half of it, as if that were all
	IgnoreDryRun         Kind = "ignore-dry-run"          // carried out and committed although dry_run was asked for
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{
		Latency, Status429, Status500, Status503, Problem, PlainNotFound, Empty200, HTMLPage, Redirect, Hang,
		ConnectionReset, LostAnswer, BrokenJSON, HalfPage, HasMoreWithoutCursor, MissingEntries, IgnoreDryRun,
	}
}

// Always, as Times, never wears off.
const Always = -1

// Fault strikes the calls that Operation and Match let through, from the Nth of
// them on, Times times.
type Fault struct {
	Kind       Kind
	Operation  string          // operationId; empty: any
	Match      func(Call) bool // nil: any. It must not call the Server
	Nth        int             // 1 is the first; 0 is 1
	Times      int             // 0 is once; Always
	Delay      time.Duration   // of Latency
	RetryAfter time.Duration   // of Status429 and Status503; a 429 without it says one second
	Status     int             // of Problem; 0 is 409
	Code       string          // of Problem; empty is conflict
	Detail     string          // of Problem
}

// armed is a fault with what is left of it.
type armed struct {
	Fault
	seen, struck int
}

// Fault arms a fault. Of several that fit a call the one armed first strikes.
func (s *Server) Fault(f Fault) {
	if !slices.Contains(Kinds(), f.Kind) {
		misuse("Fault", "unknown kind %q", f.Kind)
	}
	if f.Operation != "" && !slices.Contains(Operations(), f.Operation) {
		misuse("Fault", "unknown operation %q", f.Operation)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &armed{Fault: f})
}

// ClearFaults disarms all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// strike returns the fault for a call. Every armed fault that fits counts the
// call, also when another one strikes.
func (s *Server) strike(c Call) *Fault {
	var hit *Fault
	for _, f := range s.faults {
		if f.Operation != "" && f.Operation != c.Operation || f.Match != nil && !f.Match(c) {
			continue
		}
		f.seen++
		if hit != nil || f.seen < f.Nth || f.Times != Always && f.struck >= max(f.Times, 1) {
			continue
		}
		f.struck++
		hit = &f.Fault
	}
	return hit
}

// forge makes the answer of a fault that keeps the call from being carried out.
func (s *Server) forge(q *request, f *Fault) (answer, bool) {
	if f == nil {
		return answer{}, false
	}
	var r *refusal
	switch f.Kind {
	case Status429:
		r = refuse(http.StatusTooManyRequests, "rate_limited", "Too many calls.")
		r.retryAfter = max(f.RetryAfter, time.Second)
	case Status500:
		r = refuse(http.StatusInternalServerError, "internal_error", "Something went wrong.")
	case Status503:
		r = refuse(http.StatusServiceUnavailable, "service_unavailable", "Terra is not available.")
		r.retryAfter = f.RetryAfter
	case Problem:
		r = refuse(f.Status, f.Code, "%s", f.Detail)
		if r.status == 0 {
			r.status = http.StatusConflict
		}
		if r.code == "" {
			r.code = "conflict"
		}
	case PlainNotFound:
		return plain(http.StatusNotFound), true
	case Empty200:
		return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, unchecked: true}, true
	case HTMLPage:
		return answer{
			status: http.StatusOK, header: http.Header{"Content-Type": {"text/html"}}, unchecked: true,
			body: []byte("<!doctype html><title>Welcome</title>"),
		}, true
	case Redirect:
		return answer{
			status: http.StatusTemporaryRedirect, header: http.Header{"Location": {"https://elsewhere.invalid/"}}, unchecked: true,
		}, true
	default:
		return answer{}, false
	}
	return r.answer(q.http.URL.Path), true
}

// spoil changes what a call that was carried out answers.
func (f *Fault) spoil(a answer) (answer, end) {
	switch f.Kind {
	case LostAnswer:
		return a, lost
	case HalfPage:
		a.unchecked = true
		return a, halfBody
	case BrokenJSON:
		a.unchecked = true
		a.body = a.body[:len(a.body)/2]
	case HasMoreWithoutCursor:
		a.unchecked = true
		a.body = halve(a.body, true)
	case MissingEntries:
		a.body = halve(a.body, false)
	}
	return a, whole
}

// halve drops the second half of a list; of a list of one, that one.
func halve(body []byte, hasMore bool) []byte {
	var p page[json.RawMessage]
	if err := json.Unmarshal(body, &p); err != nil || p.Data == nil {
		return body
	}
	p.Data, p.HasMore, p.NextCursor = p.Data[:len(p.Data)/2], hasMore, nil
	return encode(p)
}
