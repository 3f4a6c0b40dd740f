package web

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/openapi"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// TestAPIIsAsDescribed: every operation that the description has is answered as it says,
// well and badly, and nothing else is.
func TestAPIIsAsDescribed(t *testing.T) {
	t.Parallel()
	judge, err := openapi.Parse(description)
	if err != nil {
		t.Fatal(err)
	}
	d := busy()
	d.status.Unready = []daemon.Unready{{What: "environment", Environment: "us/production", Since: noon(), Cause: "503"}}
	d.status.Environments[1].Approved = []daemon.Approved{{Connection: "production/huawei", Hash: "sha256:1", By: []string{"jo"}, Missing: 1, Until: noon()}}
	s := site(t, d, withReader, func(o *Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = fmt.Fprintln(w, "reconcile_up 1")
		})
	})
	left, _ := d.Left("production")
	hash := plan.ConnectionHashes(left.Plan())["production/huawei"]
	asked := map[string]bool{}
	for _, c := range []struct {
		method, path, body, token string
		status                    int
		says                      string
	}{
		{path: "/status", status: 200, says: `"us/production"`},
		{path: "/reports", status: 200, says: `"production/huawei:update-credentials"`},
		{path: "/reports?environment=eu/production", status: 200, says: `"next": ""`},
		{path: "/reports?limit=1", status: 200, says: `"next": "eu/production"`},
		{path: "/reports?limit=1&after=eu/production", status: 200, says: `"next": "production"`},
		{path: "/reports?limit=0", status: 400, says: "limit is a number from 1 to 100"},
		{path: "/reports?environment=nowhere", status: 404},
		{path: "/plans", status: 200, says: hash},
		{path: "/plans?environment=us/production", status: 200, says: `"known": false`},
		{path: "/plans?environment=nowhere", status: 404},
		{path: "/approvals", status: 200, says: `"missing": 1`},
		{path: "/history", status: 200, says: `"seq": 107`},
		{path: "/history?limit=2", status: 200, says: `"before": 106`},
		{path: "/history?q=REYES&connection=staging/oura", status: 200, says: "409 conflict"},
		{path: "/history?since=yesterday", status: 400, says: "since is a time"},
		{path: "/metrics", status: 200, says: "reconcile_up 1"},
		{path: "/openapi.yaml", status: 200, says: "openapi: 3.1.0"},
		{path: "/nothing", status: 404, says: "there is no such page"},
		{path: "/status", token: "wrong", status: 401},
		{path: "/status", token: approveToken, status: 401},
		{method: "DELETE", path: "/status", status: 404},

		{method: "POST", path: "/approvals", token: approveToken, body: fmt.Sprintf(`{"environment":"production","connection":"production/huawei","hash":%q}`, hash), status: 200, says: `"web"`},
		{method: "POST", path: "/approvals", token: approveToken, body: `{"environment":"production","hash":"sha256:00000000"}`, status: 409, says: "left another plan"},
		{method: "POST", path: "/approvals", token: readToken, body: `{"environment":"production","hash":"sha256:00000000"}`, status: 403, says: "this token approves nothing"},
		{method: "POST", path: "/approvals", body: `{"environment":"production","hash":"sha256:00000000"}`, status: 401},
		{method: "POST", path: "/approvals", token: approveToken, body: `{"environment":"production","hash":"x","owner":"root"}`, status: 400, says: "unknown field"},
		{method: "POST", path: "/approvals", token: approveToken, body: `{"environment":"production","hash":"x"}{}`, status: 400, says: "something stands behind"},
		{method: "POST", path: "/approvals", token: approveToken, body: `{"environment":"` + strings.Repeat("x", maxBody) + `","hash":"x"}`, status: 400},
		{method: "POST", path: "/pauses", token: approveToken, body: `{"target":"production","reason":"incident","seconds":60}`, status: 200, says: `"owner": "web"`},
		{method: "POST", path: "/pauses", token: approveToken, body: `{"target":"production","reason":"","seconds":60}`, status: 409},
		{method: "POST", path: "/pauses", token: readToken, body: `{"target":"production","reason":"x","seconds":60}`, status: 403},
		{method: "POST", path: "/pauses", token: approveToken, body: `{"reason":"x","seconds":60}`, status: 400, says: "name an environment"},
		{method: "POST", path: "/resumes", token: approveToken, body: `{"target":""}`, status: 400, says: "name an environment"},
		{method: "POST", path: "/pauses", token: approveToken, body: `{"target":"/","reason":"x","seconds":60}`, status: 400, says: "name an environment"},
		{method: "POST", path: "/resumes", token: approveToken, body: `{"target":"//"}`, status: 400, says: "name an environment"},
		{method: "POST", path: "/resumes", token: approveToken, body: `{"target":"staging"}`, status: 200, says: `"still": []`},
		{method: "POST", path: "/runs", token: approveToken, body: `{"environment":"staging"}`, status: 200, says: `"staging"`},
		{method: "POST", path: "/runs", token: readToken, body: `{"environment":"staging"}`, status: 403},
	} {
		if c.method == "" {
			c.method = http.MethodGet
			if c.token == "" {
				c.token = readToken
			}
		}
		r := httptest.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1:8080/api/v1"+c.path, strings.NewReader(c.body))
		r.RemoteAddr = "127.0.0.1:1"
		if c.body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		what := fmt.Sprintf("%s %s (%s)", c.method, c.path, c.says)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d, want %d\n%s", what, w.Code, c.status, w.Body)
			continue
		}
		path, _, _ := strings.Cut(c.path, "?")
		if asked[c.method+" "+path] = true; c.method == http.MethodDelete || path == "/nothing" || c.status == 200 && (path == "/metrics" || path == "/openapi.yaml") {
			continue // no JSON, or not described
		}
		request, answer := judge.Check(openapi.Exchange{Method: c.method, Target: "/api/v1" + c.path, Header: r.Header, Body: []byte(c.body), Status: w.Code, AnswerHeader: w.Header(), Answer: w.Body.Bytes()})
		if len(answer) > 0 {
			t.Errorf("%s: %v\n%s", what, answer, w.Body)
		}
		if c.status == http.StatusOK && len(request) > 0 {
			t.Errorf("%s: %v", what, request)
		}
	}
	var described struct {
		Paths map[string]map[string]yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(description, &described); err != nil || len(described.Paths) == 0 {
		t.Fatal(err)
	}
	for path, methods := range described.Paths {
		for method := range methods {
			if !asked[strings.ToUpper(method)+" "+path] {
				t.Errorf("%s %s is described and not asked for", method, path)
			}
		}
	}
	for _, did := range d.did {
		if strings.Contains(did, "root") || slices.Contains([]string{"", "run "}, did) {
			t.Errorf("done: %s", did)
		}
	}
}

// TestDescriptionNamesEveryField: what documents have is described, so that a field that is
// added is described, too.
func TestDescriptionNamesEveryField(t *testing.T) {
	t.Parallel()
	var whole struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]yaml.Node `yaml:"properties"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(description, &whole); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(busy().status)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || len(fields) < 10 {
		t.Fatal(err, len(fields))
	}
	for name := range fields {
		if _, ok := whole.Components.Schemas["Status"].Properties[name]; !ok {
			t.Errorf("the status has %s, which is not described", name)
		}
	}
}

// TestReaderIsReadAnew: another token counts from the next request on, and ends sessions.
func TestReaderIsReadAnew(t *testing.T) {
	t.Parallel()
	token := readToken
	s := site(t, busy(), func(o *Options) {
		o.Reader = func() ([sha256.Size]byte, error) { return sha256.Sum256([]byte(token)), nil }
	})
	w := asking(t, s, http.MethodPost, "/login", "token="+readToken)
	cookie := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || len(cookie) != 1 {
		t.Fatalf("login: %d", w.Code)
	}
	if w := asking(t, s, http.MethodGet, "/", "", "Cookie", cookie[0].Name+"="+cookie[0].Value); w.Code != http.StatusOK {
		t.Errorf("with a session: %d", w.Code)
	}
	token = approveToken
	if w := asking(t, s, http.MethodGet, "/", "", "Cookie", cookie[0].Name+"="+cookie[0].Value); w.Code != http.StatusSeeOther {
		t.Errorf("with a session of a former token: %d", w.Code)
	}
	if w := asking(t, s, http.MethodGet, "/api/v1/status", "", "Authorization", "Bearer "+readToken); w.Code != http.StatusUnauthorized {
		t.Errorf("with a former token: %d", w.Code)
	}
}
