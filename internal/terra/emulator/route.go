package emulator

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
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
	result any    // the answer's body, and what a dry run shows
	commit func() // nil for a noop
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
		get("listEnvironments", "environments", "account:read", (*Server).listEnvironments, "limit", "cursor"),
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
