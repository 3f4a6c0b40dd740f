package providers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const plantedSecret = "pl4nted-S3cret-0f-a-probe"

func planted() secrets.Value { return secrets.NewValue([]byte(plantedSecret)) }

// recorded are the answers that each provider is known to give, and some that
// are almost those: they stand beside what else is tested of the provider.
func recorded() []replay {
	return slices.Concat(stravaAnswers(), huaweiAnswers(), whoopAnswers(), polarAnswers())
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
	t.Logf("COUNT probe_answers=%d", len(answers))
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

// TestProbeWhoseSecretTravelsInTheQuery takes a provider that knows no other way,
// and lets everything go wrong on the road: no reason may hold the address.
func TestProbeWhoseSecretTravelsInTheQuery(t *testing.T) {
	inQuery := madeUp()
	inQuery.Probe.Method, inQuery.Probe.URL = "GET", "https://api.example/subscriptions"
	asked := ""
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked = q.URL.Query().Get("client_secret")
		http.Redirect(w, q, "https://elsewhere.example/?"+q.URL.RawQuery, http.StatusFound)
	}))
	address := server.URL + "/subscriptions"
	roads := map[string]http.RoundTripper{
		"redirected": server.Client().Transport,
		"untrusted":  nil,
		"broken":     transport(func(q *http.Request) (*http.Response, error) { return nil, errors.New("GET " + q.URL.String()) }),
		"no such name": transport(func(q *http.Request) (*http.Response, error) {
			return nil, &net.DNSError{Err: "no such host", Name: q.URL.String()}
		}),
		"cut off": transport(func(q *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(failing{q.URL.String()}), Request: q}, nil
		}),
	}
	for name, road := range roads {
		t.Run(name, func(t *testing.T) {
			got := NewProber(road, map[string]string{"madeup": address}).ask(t.Context(), inQuery, "1", planted())
			if got.Verdict != Unknown {
				t.Errorf("verdict = %v, want unknown", got.Verdict)
			}
			checkReason(t, got)
		})
	}
	if asked != plantedSecret {
		t.Error("the pair did not travel in the query")
	}
	server.Close()
	checkReason(t, NewProber(nil, map[string]string{"madeup": address}).ask(t.Context(), inQuery, "1", planted()))
}

// failing is a body whose error holds the address.
type failing struct{ address string }

func (f failing) Read([]byte) (int, error) { return 0, errors.New("read " + f.address) }

// TestProvidersThatCannotBeAskedAreNot gives every provider without a probe a
// prober that nobody may use.
func TestProvidersThatCannotBeAskedAreNot(t *testing.T) {
	never := NewProber(transport(func(q *http.Request) (*http.Response, error) {
		t.Errorf("asked %s", q.URL.Host)
		return nil, errors.New("refused")
	}), nil)
	silent := 0
	for _, p := range All() {
		if p.Probe != nil {
			continue
		}
		silent++
		got := never.Probe(t.Context(), p.Slug, "1", planted())
		if want := "cannot be proved: " + p.Unproved; got != unknown(want) {
			t.Errorf("%s: %v, want unknown: %s", p.Slug, got, want)
		}
	}
	if silent == 0 {
		t.Fatal("every provider has a probe: this test proves nothing")
	}
}
