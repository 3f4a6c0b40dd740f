package terra

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const testToken = "terra_at_CanaryTokenQ7xw9Zk2Lm"

// server is a transport without sockets: each request gets what answer returns.
type fakeServer struct {
	answer func(n int, r *http.Request, body string) (*http.Response, error)

	mu   sync.Mutex
	seen []seen
}

// seen is one request as it left.
type seen struct {
	method, target, body string
	header               http.Header
}

func (s *fakeServer) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	s.mu.Lock()
	n := len(s.seen)
	s.seen = append(s.seen, seen{r.Method, r.URL.RequestURI(), body, r.Header.Clone()})
	s.mu.Unlock()
	response, err := s.answer(n, r, body)
	if response != nil {
		response.Request = r
	}
	return response, err
}

func (s *fakeServer) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.seen...)
}

// reply is a response with a body. Header pairs follow.
func reply(status int, media, body string, headers ...string) *http.Response {
	h := http.Header{}
	if media != "" {
		h.Set("Content-Type", media)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

func replyJSON(body string) *http.Response { return reply(200, mediaJSON, body) }

func replyProblem(status int, code string, headers ...string) *http.Response {
	return reply(status, mediaProblem,
		`{"type":"about:blank","title":"A title.","instance":"/x","code":"`+code+`"}`, headers...)
}

// always answers every request alike.
func always(status int, media, body string, headers ...string) *fakeServer {
	return &fakeServer{answer: func(int, *http.Request, string) (*http.Response, error) {
		return reply(status, media, body, headers...), nil
	}}
}

// inTurn answers the n-th request with the n-th function, and the last for ever.
func inTurn(answers ...func() (*http.Response, error)) *fakeServer {
	return &fakeServer{answer: func(n int, _ *http.Request, _ string) (*http.Response, error) {
		return answers[min(n, len(answers)-1)]()
	}}
}

func with(r *http.Response) func() (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	return func() (*http.Response, error) {
		again := *r
		again.Body = io.NopCloser(strings.NewReader(string(body)))
		return &again, nil
	}
}

func failing(err error) func() (*http.Response, error) {
	return func() (*http.Response, error) { return nil, err }
}

func newClient(t testing.TB, transport http.RoundTripper, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{
		BaseURL:   "https://terra.test/api/v3/admin",
		Token:     func() (string, error) { return testToken, nil },
		Transport: transport,
		Version:   "1.2.3",
	}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

func readOnly(o *Options) { o.ReadOnly = true }

func secret(text string) secrets.Value { return secrets.NewValue([]byte(text)) }

func ptr[T any](v T) *T { return &v }

// as reports whether err is or wraps a T.
func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// Whole documents of the contract, every field given.
const (
	meJSON = `{"token_id":"t1","kind":"admin","customer_id":"c1","scopes":["providers:read"],"dev_ids":["dev-1"],"name":"ci",` +
		`"created_via":"dashboard","expires_at":"2026-12-01T00:00:00Z","grant_anchor_at":"2026-01-01T00:00:00Z","last_used_at":null}`
	sourceTypeJSON = `{"provider":"strava","display_name":"Strava","icon":"i","auth_type":"oauth2","setup":null,"data_types":["ACTIVITY"],` +
		`"deprecated":false,"byo_supported":true,"custom_scopes_supported":true,"customer_credentials_required":true,"custom_credentials_allowed":true}`
	sourceJSON      = `{"provider":"strava","active":true,"auth_redirect_url":null,"auth_variant":"byo"}`
	credentialsJSON = `{"provider":"strava","has_credentials":true,"terra_owned":false,"credential":{"provider_client_id":"123",` +
		`"provider_client_secret_masked":"****cret","redirect_url":null,"sandbox":false,"oauth_version":"2","has_verification_secret":true,` +
		`"secret_ref":{"store":"aws","config":{},"client_secret_field":"s","client_id_field":null}}}`
	scopesJSON = `{"provider":"strava","customised":true,"scopes":[{"scope":"read","name":"Read","description":"d","required":true,"enabled":true}]}`
	domainJSON = `{"provider":"strava","hostname":"auth.acme.example","state":"ACTIVE","reason":null,"detail":null,` +
		`"dns_record":{"type":"A","name":"auth.acme.example","value":"192.0.2.1"},"resolved_ip":null,"resolved_ips":[],"serving":true,` +
		`"expires_at":null,"shared":false,"redirect_served":true}`
	webhooksJSON = `{"provider":"strava","host":"auth.acme.example","locked":false,"fingerprint":"f1","has_existing":false,"entries":[` +
		`{"app_id":"a","id":"dailiesUrl","target":"https://auth.acme.example/x","current":{"url":"","enabled":false,"on_hold":false,"upload_type":null},"action":"set"}]}`
	appliedJSON = `{"provider":"strava","applied_app_ids":["a"]}`
	userJSON    = `{"user_id":"u1","reference_id":"r1","provider":"strava","active":true,"created_at":"2026-01-01T00:00:00Z",` +
		`"last_updated_at":null,"most_recent_data_at":null}`
	dryRunJSON = `{"dry_run":true,"would":"noop","preview":{}}`
)

func list(items ...string) string {
	return `{"data":[` + strings.Join(items, ",") + `],"has_more":false,"next_cursor":null}`
}
