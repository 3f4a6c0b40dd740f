package emulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// route is one operation of the contract. Exactly one of read and write is set.
type route struct {
	id     string
	method string
	path   []string
	scope  string   // empty: any valid token
	query  []string // the parameters it knows
	read   func(*Server, *request) (answer, *refusal)
	write  func(*Server, *request) (change, *refusal)
}

// change is a mutation that was found valid but is not done yet.
type change struct {
	would  string // noop: nothing would change
	status int
	result any      // the answer's body, and what a dry run shows
	commit func()   // nil for a noop
	fails  *refusal // not nil: the answer all the same, once committed
}

const noop = "noop"

func routes() []route {
	const (
		unified = "environments/{dev_id}/unified-api/"
		one     = unified + "sources/{provider}"
		reads   = "providers:read"
		writes  = "providers:write"
	)
	get := func(id, path, scope string, f func(*Server, *request) (answer, *refusal), query ...string) route {
		return route{id: id, method: http.MethodGet, path: strings.Split(path, "/"), scope: scope, read: f, query: query}
	}
	change := func(id, method, path string, f func(*Server, *request) (change, *refusal)) route {
		return route{id: id, method: method, path: strings.Split(path, "/"), scope: writes, write: f, query: []string{"dry_run"}}
	}
	return []route{
		get("getMe", "me", "", (*Server).getMe),
		get("listEnvironments", "environments", "account:read", (*Server).listEnvironments),
		get("getEnvironment", "environments/{dev_id}", "account:read", (*Server).getEnvironment),
		get("listSourceTypes", unified+"source-types", reads, (*Server).listSourceTypes),
		get("listSources", unified+"sources", reads, (*Server).listSources),
		change("batchEnableSources", http.MethodPost, unified+"sources/batch-enable", (*Server).batchEnable),
		change("batchDisableSources", http.MethodPost, unified+"sources/batch-disable", (*Server).batchDisable),
		change("enableSource", http.MethodPut, one, (*Server).enableSource),
		change("updateSource", http.MethodPatch, one, (*Server).updateSource),
		change("disableSource", http.MethodDelete, one, (*Server).disableSource),
		get("getSourceCredentials", one+"/credentials", reads, (*Server).getCredentials),
		change("setSourceCredentials", http.MethodPut, one+"/credentials", (*Server).setCredentials),
		change("updateSourceCredentials", http.MethodPatch, one+"/credentials", (*Server).updateCredentials),
		get("getSourceScopes", one+"/scopes", reads, (*Server).getScopes),
		change("setSourceScopes", http.MethodPut, one+"/scopes", (*Server).setScopes),
		change("resetSourceScopes", http.MethodDelete, one+"/scopes", (*Server).resetScopes),
		get("getSourceDomain", one+"/domain", reads, (*Server).getDomain),
		change("setSourceDomain", http.MethodPut, one+"/domain", (*Server).setDomain),
		change("deleteSourceDomain", http.MethodDelete, one+"/domain", (*Server).deleteDomain),
		get("getSourceWebhookEndpoints", one+"/webhook-endpoints", reads, (*Server).getWebhooks),
		change("applySourceWebhookEndpoints", http.MethodPost, one+"/webhook-endpoints/apply", (*Server).applyWebhooks),
		get("listUsers", "environments/{dev_id}/users", "connections:read", (*Server).listUsers,
			"provider", "active", "limit", "cursor"),
	}
}

// Operations lists the operationIds of the contract.
func Operations() []string {
	var ids []string
	for _, r := range routes() {
		ids = append(ids, r.id)
	}
	return ids
}

// identify finds the operation of a request. A fixed segment (batch-enable) wins
// over a parameter because it stands first in the table.
func (s *Server) identify(r *http.Request, body []byte) *request {
	q := &request{http: r, body: body, call: &Call{
		Method:         r.Method,
		Path:           r.URL.Path,
		IdempotencyKey: r.Header.Get("Idempotency-Key"),
		UserAgent:      r.Header.Get("User-Agent"),
	}}
	segments, ok := split(r.URL)
	if !ok {
		return q
	}
	for i := range s.routes {
		route := &s.routes[i]
		if route.method != r.Method {
			continue
		}
		if devID, provider, ok := route.match(segments); ok {
			q.route, q.provider = route, strings.ToLower(provider)
			q.call.Operation, q.call.Write = route.id, route.write != nil
			q.call.DevID, q.call.Provider = devID, q.provider
			break
		}
	}
	if q.call.Write {
		q.dryRun = r.URL.Query().Get("dry_run") == "true"
		q.call.DryRun = q.dryRun
		if raw, problem := object(body); problem == "" {
			q.call.Fields = slices.Sorted(maps.Keys(raw))
		}
	}
	return q
}

// split returns the segments below BasePath. A segment with an escaped slash
// stays one segment.
func split(u *url.URL) ([]string, bool) {
	rest, ok := strings.CutPrefix(u.EscapedPath(), BasePath+"/")
	if !ok {
		return nil, false
	}
	segments := strings.Split(rest, "/")
	for i, part := range segments {
		text, err := url.PathUnescape(part)
		if err != nil || text == "" {
			return nil, false
		}
		segments[i] = text
	}
	return segments, true
}

func (r *route) match(segments []string) (devID, provider string, ok bool) {
	if len(segments) != len(r.path) {
		return "", "", false
	}
	for i, want := range r.path {
		switch want {
		case "{dev_id}":
			devID = segments[i]
		case "{provider}":
			provider = segments[i]
		case segments[i]:
		default:
			return "", "", false
		}
	}
	return devID, provider, true
}

// missed answers what is not the Admin API at all: no problem body.
func (s *Server) missed(q *request) answer {
	status := http.StatusNotFound
	if segments, ok := split(q.http.URL); ok {
		for i := range s.routes {
			if _, _, ok := s.routes[i].match(segments); ok {
				status = http.StatusMethodNotAllowed
			}
		}
	}
	return plain(status)
}

func plain(status int) answer {
	return answer{
		status: status, unchecked: true,
		header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		body:   []byte(http.StatusText(status) + "\n"),
	}
}

// window counts the calls of one token.
type window struct {
	start time.Time
	calls int
}

func unauthorized(code, detail string) *refusal {
	r := refuse(http.StatusUnauthorized, code, "%s", detail)
	r.remediation = "Create an admin token (terra_at_) in the dashboard or with `terra login`."
	return r
}

// authenticate finds the token of a call.
func (s *Server) authenticate(q *request) *refusal {
	scheme, bearer, _ := strings.Cut(q.http.Header.Get("Authorization"), " ")
	bearer = strings.TrimSpace(bearer)
	t, ok := s.account.Tokens[bearer]
	switch {
	case !strings.EqualFold(scheme, "Bearer") || bearer == "":
		return unauthorized("unauthorized", "A bearer token is missing.")
	case strings.HasPrefix(bearer, "terra_dt_") || ok && t.Kind == "data":
		return unauthorized("unauthorized", "A data token never works on the Admin API.")
	case !ok || t.Revoked:
		return unauthorized("unauthorized", "The token is not known.")
	case !t.ExpiresAt.IsZero() && !s.now().Before(t.ExpiresAt):
		return unauthorized("token_expired", "The token expired at "+t.ExpiresAt.UTC().Format(time.RFC3339)+".")
	}
	t.LastUsedAt = s.now()
	q.token, q.call.TokenID = t, t.TokenID
	return nil
}

// scopes are those in force. A token that is limited to environments holds no
// scope of the account.
func (t *Token) scopes() []string {
	list := []string{}
	for _, scope := range t.Scopes {
		if t.DevIDs == nil || !strings.HasPrefix(scope, "account:") {
			list = append(list, scope)
		}
	}
	return list
}

// authorize checks scope, audience and environment, in this order: a token
// learns nothing about an environment it may not touch.
func (s *Server) authorize(q *request) *refusal {
	if scope := q.route.scope; scope != "" && !slices.Contains(q.token.scopes(), scope) {
		r := refuse(http.StatusForbidden, "scope_missing", "The token lacks the scope %s.", scope)
		r.remediation = "Create a token that has the scope " + scope + "."
		return r
	}
	devID := q.call.DevID
	if devID == "" {
		return nil
	}
	if q.token.DevIDs != nil && !slices.Contains(q.token.DevIDs, devID) {
		r := refuse(http.StatusForbidden, "audience_restricted", "The token may not act on the environment %s.", quote(devID))
		r.remediation = "Use a token whose dev_ids include the environment."
		return r
	}
	env, ok := s.account.Environments[devID]
	if !ok {
		return refuse(http.StatusNotFound, "dev_id_not_found", "The account has no environment %s.", quote(devID))
	}
	if env.Options.Disabled {
		return refuse(http.StatusForbidden, "environment_disabled", "The environment %s is disabled.", quote(devID))
	}
	q.env = env
	return nil
}

func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most]
	}
	return strconv.Quote(s)
}

// meter counts the call against its token's limit. Mutations say where they
// stand in X-RateLimit headers.
func (s *Server) meter(q *request, header http.Header) *refusal {
	rate := s.config.RateLimit
	if rate.Calls == 0 {
		return nil
	}
	if rate.Per == 0 {
		rate.Per = time.Minute
	}
	now := s.now()
	w := s.windows[q.token.TokenID]
	if w == nil || now.Sub(w.start) >= rate.Per {
		w = &window{start: now}
		s.windows[q.token.TokenID] = w
	}
	over := w.calls >= rate.Calls
	if !over {
		w.calls++
	}
	end := w.start.Add(rate.Per)
	if (q.call.Write || over) && !s.config.QuietLimit {
		seconds := int64((end.Sub(now) + time.Second - 1) / time.Second)
		if rate.Epoch {
			seconds += now.Unix()
		}
		header.Set("X-RateLimit-Limit", strconv.Itoa(rate.Calls))
		header.Set("X-RateLimit-Remaining", strconv.Itoa(rate.Calls-w.calls))
		header.Set("X-RateLimit-Reset", strconv.FormatInt(seconds, 10))
	}
	if !over {
		return nil
	}
	r := refuse(http.StatusTooManyRequests, "rate_limited", "The token made %d calls in %v.", rate.Calls, rate.Per)
	r.retryAfter = end.Sub(now)
	return r
}

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
	s.advance()
	defer s.turn()
	if q.route == nil {
		return s.missed(q)
	}
	if r := s.authenticate(q); r != nil {
		return r.answer(q.http.URL.Path)
	}
	header := http.Header{}
	if r := s.meter(q, header); r != nil {
		return withHeader(r.answer(q.http.URL.Path), header)
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
		return r.answer(q.http.URL.Path)
	}
	if q.route.read != nil {
		a, r := q.route.read(s, q)
		if r != nil {
			return r.answer(q.http.URL.Path)
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
			return r.answer(q.http.URL.Path)
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
		return r.answer(q.http.URL.Path)
	}
	if q.dryRun {
		return reply(http.StatusOK, dryRunResult{DryRun: true, Would: c.would, Preview: c.result})
	}
	if c.commit != nil {
		c.commit()
		q.call.Effect = true
		s.revision++
	}
	if c.fails != nil {
		return c.fails.answer(q.http.URL.Path)
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
