package emulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// stored is what an idempotency key remembers.
type stored struct {
	Digest string      `json:"digest"` // of method, target and body
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
	Code   string      `json:"code"`
}

type dryRunResult struct {
	DryRun  bool   `json:"dry_run"`
	Would   string `json:"would"`
	Preview any    `json:"preview"`
}

// carryOut answers a call as Terra would, under the lock.
func (s *Server) carryOut(q *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	defer s.turn()
	if q.route == nil {
		return s.missed(q)
	}
	if r := s.authenticate(q); r != nil {
		return r.answer(q.instance)
	}
	header := http.Header{}
	if r := s.meter(q, header); r != nil {
		return withHeader(r.answer(q.instance), header)
	}
	a := s.perform(q)
	for _, text := range s.account.Notices[q.route.id] {
		header.Add("Terra-Notice", text)
	}
	return withHeader(a, header)
}

func withHeader(a answer, extra http.Header) answer {
	a.header = a.header.Clone()
	for name, values := range extra {
		a.header[name] = append(slices.Clone(a.header[name]), values...)
	}
	return a
}

func (s *Server) perform(q *request) answer {
	r := s.authorize(q)
	if r == nil {
		r = s.checkQuery(q)
	}
	if r != nil {
		return r.answer(q.instance)
	}
	if q.route.read != nil {
		a, r := q.route.read(s, q)
		if r != nil {
			return r.answer(q.instance)
		}
		return a
	}
	key := q.call.IdempotencyKey
	if key == "" || q.dryRun {
		return s.mutate(q)
	}
	return s.once(q, q.token.TokenID+" "+key)
}

// once carries a mutation out unless its key was used before. What the operation
// itself answered is kept, refusals too; a 5xx is not, so that it can be retried.
func (s *Server) once(q *request, key string) answer {
	digest := q.digest()
	if kept, ok := s.account.Answers[key]; ok {
		if kept.Digest != digest {
			r := refuse(http.StatusConflict, "idempotency_key_reuse", "This Idempotency-Key was used for another request.")
			r.remediation = "Use a fresh key for each intended change."
			return r.answer(q.instance)
		}
		q.call.Replayed = true
		return answer{status: kept.Status, header: kept.Header.Clone(), body: bytes.Clone(kept.Body), code: kept.Code}
	}
	a := s.mutate(q)
	if a.status < http.StatusInternalServerError {
		s.account.Answers[key] = &stored{Digest: digest, Status: a.status, Header: a.header.Clone(), Body: a.body, Code: a.code}
		s.revision++
	}
	return a
}

// digest tells one request from another: a key is good for one method, target
// and body, byte for byte.
func (q *request) digest() string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(q.http.Method), []byte(q.http.URL.RequestURI()), q.body} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// mutate checks a mutation and, unless it is a dry run, commits it. Both share
// every check: only the commit differs.
func (s *Server) mutate(q *request) answer {
	c, r := q.route.write(s, q)
	if r != nil {
		return r.answer(q.instance)
	}
	if q.dryRun {
		return reply(http.StatusOK, dryRunResult{DryRun: true, Would: c.would, Preview: c.result})
	}
	if c.commit != nil {
		c.commit()
		q.call.Effect = true
		s.revision++
	}
	return reply(c.status, c.result)
}

// checkQuery refuses parameters the operation does not know, parameters given
// twice, a dry_run that is not a boolean and a body where none belongs.
func (s *Server) checkQuery(q *request) *refusal {
	var errs []string
	query, err := url.ParseQuery(q.http.URL.RawQuery)
	if err != nil { // half of it would be missing, perhaps the dry_run
		errs = append(errs, "query: cannot be read")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(q.route.query, name):
			errs = append(errs, "query: unknown parameter")
		case len(values) > 1:
			errs = append(errs, name+": given twice")
		}
	}
	if v := query.Get("dry_run"); query.Has("dry_run") && v != "true" && v != "false" {
		errs = append(errs, "dry_run: must be true or false")
	}
	bodyless := q.route.read != nil || q.http.Method == http.MethodDelete || q.route.id == "enableSource"
	if bodyless && len(q.body) > 0 {
		errs = append(errs, "body: this operation takes none")
	}
	if len(errs) > 0 {
		slices.Sort(errs)
		q.outside = errs
		return invalid(errs...)
	}
	return nil
}

// target resolves the provider in the path: unknown is 400.
func (s *Server) target(q *request) (SourceType, *refusal) {
	t, ok := s.sourceType(q.env, q.provider)
	if !ok {
		return SourceType{}, invalid("provider: unknown provider " + strings.ToValidUTF8(quote(q.provider), "?"))
	}
	return t, nil
}

// listed is target for what works on an enabled source only: else 404.
func (s *Server) listed(q *request) (SourceType, *source, *refusal) {
	t, r := s.target(q)
	if r != nil {
		return t, nil, r
	}
	src, ok := q.env.enabled(q.provider)
	if !ok {
		return t, nil, notEnabled(q.provider)
	}
	return t, src, nil
}
