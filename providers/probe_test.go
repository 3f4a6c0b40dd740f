package providers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const plantedSecret = "pl4nted-S3cret-0f-a-probe"

func planted() secrets.Value { return secrets.NewValue([]byte(plantedSecret)) }

// recorded are the answers that each provider is known to give, and those that
// every provider may give.
func recorded() []replay {
	const (
		stravaID    = `{"message":"Bad Request","errors":[{"resource":"Application","field":"client_id","code":"invalid"}]}`
		stravaPair  = `{"message":"Authorization Error","errors":[{"resource":"Application","field":"","code":"invalid"}]}`
		stravaCode  = `{"message":"Bad Request","errors":[{"resource":"AuthorizationCode","field":"code","code":"invalid"}]}`
		stravaOld   = `{"message":"Bad Request","errors":[{"resource":"RequestToken","field":"code","code":"invalid"}]}`
		stravaState = `{"message":"Forbidden","errors":[{"resource":"Application","field":"Status","code":"Inactive"}]}`
		huaweiToken = `{"access_token":"CQBA","expires_in":3600,"token_type":"Bearer"}`
	)
	sub := func(n string) string {
		return `{"error":1101,"sub_error":` + n + `,"error_description":"invalid client_secret"}`
	}
	return []replay{
		{"strava", 400, stravaID, Bad}, {"strava", 401, stravaID, Bad},
		{"strava", 401, stravaPair, Bad}, {"strava", 400, stravaPair, Bad},
		{"strava", 400, stravaCode, Good}, {"strava", 400, stravaOld, Good},
		{"strava", 403, stravaState, Unknown}, {"strava", 403, stravaPair, Unknown},
		{"strava", 200, stravaCode, Unknown}, {"strava", 404, stravaPair, Unknown},
		{"strava", 400, `{"message":"Bad Request","errors":[]}`, Unknown},
		{"strava", 400, `{"message":"Bad Request","errors":[{"resource":"Application","field":"redirect_uri","code":"invalid"}]}`, Unknown},
		{"huawei", 200, huaweiToken, Good}, {"huawei", 200, `{}`, Unknown},
		{"huawei", 400, sub("12304"), Bad}, {"huawei", 400, sub(`"12304"`), Bad},
		{"huawei", 400, sub("20002"), Bad}, {"huawei", 400, sub("20003"), Bad},
		{"huawei", 400, sub("20171"), Bad}, {"huawei", 400, sub("20172"), Bad},
		{"huawei", 400, sub("99999"), Unknown}, {"huawei", 400, `{"error":1101}`, Unknown},
		{"huawei", 401, sub("12304"), Unknown}, {"huawei", 400, `{"sub_error":null}`, Unknown},
		{"whoop", 401, `{"error":"invalid_client","error_description":"Client authentication failed (e.g., unknown client)."}`, Bad},
		{"whoop", 400, `{"error":"invalid_client"}`, Bad},
		{"whoop", 400, `{"error":"invalid_grant","error_description":"The provided authorization grant is invalid, expired, revoked or does not match."}`, Good},
		{"whoop", 401, `{"error":"invalid_grant"}`, Unknown}, {"whoop", 400, `{"error":"invalid_request"}`, Unknown},
		{"whoop", 200, `{"error":"invalid_client"}`, Unknown},
		{"strava", 401, stravaCode, Unknown},
		{"polar", 200, `null`, Unknown}, {"polar", 200, `[]`, Unknown},
		{"polar", 200, `{"data":[]}`, Good}, {"polar", 200, `<html>`, Unknown},
		{"polar", 401, ``, Unknown}, {"polar", 204, ``, Unknown}, {"polar", 403, `{}`, Unknown},
	}
}

type replay struct {
	slug   string
	status int
	body   string
	want   Verdict
}

// everywhere are answers that say nothing of the pair at any provider.
func everywhere(slug string) []replay {
	worst := `{"error":"invalid_client","sub_error":12304,"errors":[{"resource":"Application","field":"","code":"invalid"}]}`
	var all []replay
	for _, status := range []int{301, 302, 307, 429, 500, 502, 503, 504} {
		all = append(all, replay{slug, status, worst, Unknown})
	}
	for _, body := range []string{"", "null", "[]", "invalid_client", `{"error":`, `{"error":{"a":1},"errors":7,"sub_error":[]}`,
		"<html>invalid_client</html>", strings.Repeat("{", 1<<17), `{"x":"` + strings.Repeat("x", 1<<17) + `"}`} {
		all = append(all, replay{slug, 400, body, Unknown})
	}
	return all
}

func TestProbeReplaysEveryAnswer(t *testing.T) {
	answers, probed := recorded(), map[string]bool{}
	for _, r := range answers {
		probed[r.slug] = true
	}
	for _, p := range All() {
		if p.Probe == nil {
			continue
		}
		if !probed[p.Slug] {
			t.Errorf("%s has a probe, but no answer is replayed for it", p.Slug)
		}
		answers = append(answers, everywhere(p.Slug)...)
	}
	for i, r := range answers {
		t.Run(fmt.Sprintf("%s/%d/%d", r.slug, r.status, i), func(t *testing.T) {
			p, _ := Lookup(r.slug)
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				asked++
				checkQuestion(t, p, q)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(r.status)
				_, _ = io.WriteString(w, r.body)
			}))
			defer server.Close()
			prober := NewProber(server.Client().Transport, map[string]string{r.slug: server.URL + pathOf(p.Probe.URL)})
			got := prober.Probe(t.Context(), r.slug, "123456", planted())
			if got.Verdict != r.want {
				t.Errorf("verdict = %v (%s), want %v", got.Verdict, got.Reason, r.want)
			}
			if asked != 1 {
				t.Errorf("asked %d times, want once: redirects are not followed and nothing is retried", asked)
			}
			checkReason(t, got)
		})
	}
	fmt.Printf("COUNT probe_answers=%d\n", len(answers))
}

// checkQuestion proves that the pair arrives, and that it is not in the address.
func checkQuestion(t *testing.T, p Provider, q *http.Request) {
	t.Helper()
	if q.URL.Path != pathOf(p.Probe.URL) || q.Method != p.Probe.Method {
		t.Errorf("asked %s %s, want %s %s", q.Method, q.URL.Path, p.Probe.Method, pathOf(p.Probe.URL))
	}
	if q.URL.RawQuery != "" {
		t.Error("the address has a query")
	}
	id, secret, _ := q.BasicAuth()
	if !p.Probe.Basic {
		id, secret = q.PostFormValue("client_id"), q.PostFormValue("client_secret")
		for _, f := range p.Probe.Form {
			if !strings.HasPrefix(f.Value, "{") && q.PostFormValue(f.Name) != f.Value {
				t.Errorf("%s = %q, want %q", f.Name, q.PostFormValue(f.Name), f.Value)
			}
		}
	}
	if id != "123456" || secret != plantedSecret {
		t.Error("the pair did not arrive")
	}
}

func checkReason(t *testing.T, r ProbeResult) {
	t.Helper()
	if r.Reason == "" {
		t.Error("no reason")
	}
	for i := 0; i+6 <= len(plantedSecret); i++ {
		if strings.Contains(r.Reason, plantedSecret[i:i+6]) {
			t.Fatal("the reason holds a piece of the secret")
		}
	}
	if strings.Contains(r.Reason, "?") {
		t.Error("the reason holds the query of an address")
	}
}

// transport answers without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func hang(q *http.Request) (*http.Response, error) {
	<-q.Context().Done()
	return nil, q.Context().Err()
}

// endless is a body that never ends and never comes.
type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) { <-e.ctx.Done(); return 0, e.ctx.Err() }
func (endless) Close() error               { return nil }

func TestProbeGivesUpAfterTenSeconds(t *testing.T) {
	silent := map[string]transport{
		"no answer": hang,
		"no body": func(q *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: endless{q.Context()}, Request: q}, nil
		},
	}
	for name, f := range silent {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				got := NewProber(f, nil).Probe(t.Context(), "strava", "1", planted())
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("took %v, want 10s", took)
				}
				if want := "www.strava.com did not answer within 10s"; got != unknown(want) {
					t.Errorf("got %v, want unknown: %s", got, want)
				}
			})
		})
	}
}

func TestProbeStopsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		time.AfterFunc(time.Second, cancel)
		if got, want := NewProber(transport(hang), nil).Probe(ctx, "strava", "1", planted()), unknown("the probe was stopped"); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestProbeKeepsErrorsToItself(t *testing.T) {
	causes := map[string]error{
		"refused": errors.New("dial tcp: " + plantedSecret),
		"dns":     &net.DNSError{Err: plantedSecret, Name: "www.strava.com?client_secret=" + plantedSecret},
	}
	for name, cause := range causes {
		t.Run(name, func(t *testing.T) {
			got := NewProber(transport(func(*http.Request) (*http.Response, error) { return nil, cause }), nil).
				Probe(t.Context(), "strava", "1", planted())
			if got.Verdict != Unknown {
				t.Errorf("verdict = %v, want unknown", got.Verdict)
			}
			checkReason(t, got)
		})
	}
}

func TestProbeAsksNobodyWhere(t *testing.T) {
	nobody := transport(func(q *http.Request) (*http.Response, error) {
		t.Errorf("asked %s", q.URL.Host)
		return nil, errors.New("refused")
	})
	tests := map[string]struct {
		slug, id string
		secret   secrets.Value
		override string
		want     string
	}{
		"unlisted":        {slug: "peloton", id: "1", secret: planted(), want: "does not hold"},
		"no probe":        {slug: "virtuagym", id: "1", secret: planted(), want: "cannot be proved: Virtuagym"},
		"no id":           {slug: "strava", secret: planted(), want: "both"},
		"no secret":       {slug: "strava", id: "1", want: "both"},
		"plain http":      {slug: "strava", id: "1", secret: planted(), override: "http://proxy.example/token", want: "neither https nor loopback"},
		"other scheme":    {slug: "strava", id: "1", secret: planted(), override: "ftp://127.0.0.1/", want: "neither https nor loopback"},
		"no address":      {slug: "strava", id: "1", secret: planted(), override: "strava", want: "neither https nor loopback"},
		"almost loopback": {slug: "strava", id: "1", secret: planted(), override: "http://127.0.0.1.example/", want: "neither https nor loopback"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			overrides := map[string]string{}
			if test.override != "" {
				overrides["STRAVA"] = test.override
			}
			got := NewProber(nobody, overrides).Probe(t.Context(), test.slug, test.id, test.secret)
			if got.Verdict != Unknown || !strings.Contains(got.Reason, test.want) {
				t.Errorf("got %v %q, want unknown with %q", got.Verdict, got.Reason, test.want)
			}
			checkReason(t, got)
		})
	}
}

// TestProbeTakesSomeAnswersForNobody asks with a judge that would call
// everything bad: it must not be asked where an answer cannot be about the pair.
func TestProbeTakesSomeAnswersForNobody(t *testing.T) {
	harsh := madeUp()
	harsh.Probe.Judge = func(Answer) ProbeResult { return bad("everything is bad") }
	tests := map[int]string{301: "redirects", 308: "redirects", 429: "quota", 500: "unavailable", 503: "unavailable", 400: "everything", 200: "everything"}
	for status, want := range tests {
		prober := NewProber(transport(func(q *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: http.NoBody, Request: q}, nil
		}), nil)
		got := prober.ask(t.Context(), harsh, "1", planted())
		if !strings.Contains(got.Reason, want) || (got.Verdict == Bad) != (want == "everything") {
			t.Errorf("HTTP %d: %v, want %q", status, got, want)
		}
	}
}

// flood is a body of 4 MiB that comes at once.
type flood struct{ sent int }

func (f *flood) Read(b []byte) (int, error) {
	if f.sent >= 4<<20 {
		return 0, io.EOF
	}
	f.sent += len(b)
	return len(b), nil
}

func (*flood) Close() error { return nil }

func TestProbeReadsNoMoreThanItNeeds(t *testing.T) {
	body := &flood{}
	prober := NewProber(transport(func(q *http.Request) (*http.Response, error) {
		if body.sent > 0 {
			t.Error("asked twice")
		}
		return &http.Response{StatusCode: 400, Body: body, Request: q}, nil
	}), nil)
	if got := prober.Probe(t.Context(), "strava", "1", planted()); got.Verdict != Unknown {
		t.Errorf("verdict = %v, want unknown", got.Verdict)
	}
	if body.sent > probeBodyLimit {
		t.Errorf("read %d bytes, want at most %d", body.sent, probeBodyLimit)
	}
}

func TestProbeOfAnInactiveStravaApp(t *testing.T) {
	got := judgeStrava(Answer{Status: 403, Body: []byte(`{"message":"Forbidden","errors":[{"resource":"Application","field":"Status","code":"Inactive"}]}`)})
	if got.Verdict != Unknown || !strings.Contains(got.Reason, "no active Strava subscription") {
		t.Errorf("got %v, want unknown and what the owner must do", got)
	}
}

// TestProbeOfAMadeUpProvider shows that a new probe needs no code but its value.
func TestProbeOfAMadeUpProvider(t *testing.T) {
	var host string
	prober := NewProber(transport(func(q *http.Request) (*http.Response, error) {
		host = q.URL.Host
		return &http.Response{StatusCode: 418, Body: http.NoBody, Request: q}, nil
	}), nil)
	got := prober.ask(t.Context(), madeUp(), "1", planted())
	if want := unknown("the answer (HTTP 418) is not one we know"); got != want || host != "api.example" {
		t.Errorf("got %v from %q, want %v from api.example", got, host, want)
	}
}
