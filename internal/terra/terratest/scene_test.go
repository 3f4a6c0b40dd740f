package terratest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	devID   = "dev-1"
	bearer  = "terra_at_test"
	sources = "/environments/dev-1/unified-api/sources"
)

// scene is an account with one environment and a token that may do everything.
func scene(t *testing.T, c Config) *Server {
	t.Helper()
	c.BadRequests = true
	s := New(c)
	s.Watch(t)
	s.AddEnvironment(devID, EnvironmentOptions{Name: "Test", UserLimit: 100})
	s.AddToken(Token{Bearer: bearer})
	return s
}

// sent is one request; the zero values are a GET with the test's token.
type sent struct {
	method, path, body string
	bearer, key        string
	header             http.Header
}

// got is its answer.
type got struct {
	status int
	header http.Header
	body   string

	Code     string            `json:"code"`
	Detail   string            `json:"detail"`
	Errors   []string          `json:"errors"`
	DryRun   bool              `json:"dry_run"`
	Would    string            `json:"would"`
	Preview  json.RawMessage   `json:"preview"`
	Data     []json.RawMessage `json:"data"`
	HasMore  bool              `json:"has_more"`
	Next     *string           `json:"next_cursor"`
	Customer string            `json:"customer_id"`
}

func (r sent) request(t *testing.T, base string) *http.Request {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	out, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.bearer == "" {
		r.bearer = bearer
	}
	if r.bearer != "none" {
		out.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	if r.key != "" {
		out.Header.Set("Idempotency-Key", r.key)
	}
	if r.body == "" {
		out.Body, out.GetBody, out.ContentLength = nil, nil, 0
	} else {
		out.Header.Set("Content-Type", "application/json")
	}
	for name, values := range r.header {
		out.Header[name] = values
	}
	return out
}

func do(t *testing.T, s *Server, r sent) got {
	t.Helper()
	return send(t, s.RoundTripper(), BaseURL, r)
}

func send(t *testing.T, transport http.RoundTripper, base string, r sent) got {
	t.Helper()
	w, err := transport.RoundTrip(r.request(t, base))
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatalf("%s %s: read answer: %v", r.method, r.path, err)
	}
	g := got{status: w.StatusCode, header: w.Header, body: string(b)}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &g); err != nil {
			t.Fatalf("%s %s: answer is not JSON: %q", r.method, r.path, b)
		}
	}
	return g
}

func (g got) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.body), v); err != nil {
		t.Fatalf("answer %q: %v", g.body, err)
	}
}

func wantStatus(t *testing.T, g got, status int, code string) {
	t.Helper()
	if g.status != status || g.Code != code {
		t.Errorf("got %d %s (%s %q), want %d %s", g.status, g.Code, g.Detail, g.Errors, status, code)
	}
}

// mutation is a row of a table: one request against a prepared source. It is sent
// as a dry run first, which must check the same and change nothing.
type mutation struct {
	name   string
	set    func(*Server) // before the request
	method string
	path   string // below sources
	body   string
	header http.Header

	status int
	code   string   // of a refusal
	errors []string // of a refusal, exact
	would  string   // of a success
}

func runMutations(t *testing.T, table []mutation) {
	t.Helper()
	for _, m := range table {
		t.Run(m.name, func(t *testing.T) {
			s := scene(t, Config{Clock: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }})
			if m.set != nil {
				m.set(s)
			}
			before := s.Live(devID)
			dry := do(t, s, sent{method: m.method, path: sources + m.path + "?dry_run=true", body: m.body, header: m.header})
			if d := cmp.Diff(before, s.Live(devID)); d != "" {
				t.Errorf("the dry run changed the state (-before +after):\n%s", d)
			}
			sure := do(t, s, sent{method: m.method, path: sources + m.path, body: m.body, header: m.header, key: "key"})
			wantStatus(t, sure, m.status, m.code)
			if d := cmp.Diff(m.errors, sure.Errors); d != "" {
				t.Errorf("errors (-want +got):\n%s", d)
			}
			if m.code != "" {
				wantStatus(t, dry, m.status, m.code)
			} else if dry.status != http.StatusOK || !dry.DryRun || dry.Would != m.would || string(dry.Preview) == "null" {
				t.Errorf("dry run: got %d %s, want would %q", dry.status, dry.body, m.would)
			}
			calls := s.Log()
			if calls[0].Effect || len(s.Writes()) != 1 {
				t.Errorf("log: got effect %v of the dry run, %d writes", calls[0].Effect, len(s.Writes()))
			}
			changes := m.code == "" && m.would != "noop"
			if calls[1].Effect != changes {
				t.Errorf("effect: got %v, want %v", calls[1].Effect, changes)
			}
			if same := cmp.Equal(before, s.Live(devID)); same == changes {
				t.Errorf("state changed: got %v, want %v", !same, changes)
			}
			if m.code != "" || m.status == http.StatusNoContent {
				return
			}
			if string(dry.Preview) != sure.body {
				t.Errorf("preview of the dry run:\ngot  %s\nwant %s", dry.Preview, sure.body)
			}
		})
	}
}
