package terra

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// took runs f in a bubble of virtual time and returns how long it lasted.
func took(t *testing.T, f func(t *testing.T)) (d time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f(t)
		d = time.Since(start)
	})
	return d
}

func lostAnswer() error { return &net.OpError{Op: "read", Err: io.ErrUnexpectedEOF} }

func noRoute() error { return &net.OpError{Op: "dial", Err: errors.New("connection refused")} }

func TestRetries(t *testing.T) {
	ok, gone := with(replyJSON(meJSON)), with(reply(204, "", ""))
	status := func(code int) func() (*http.Response, error) { return with(reply(code, "text/html", "<p>")) }
	problem := func(code int, name string, headers ...string) func() (*http.Response, error) {
		return with(replyProblem(code, name, headers...))
	}
	for _, test := range []struct {
		name     string
		write    bool
		answers  []func() (*http.Response, error)
		requests int
		check    func(error) bool // nil: no error
		min, max time.Duration
	}{
		{"read: lost, 500, 502, 503 then ok", false, answers(failing(lostAnswer()), status(500), status(502), status(503), ok), 5, nil, 0, 4 * time.Second},
		{"read: five faults", false, answers(status(500)), 5, as[*Problem], 0, 4 * time.Second},
		{"read: 400 is final", false, answers(problem(400, CodeValidationFailed)), 1, as[*Problem], 0, 0},
		{"read: 404 is final", false, answers(problem(404, CodeNotFound)), 1, IsNotFound, 0, 0},
		{"read: no route", false, answers(failing(noRoute())), 5, as[*ConnectionError], 0, 4 * time.Second},
		{"read: 503 with Retry-After", false, answers(problem(503, CodeServiceUnavailable, "Retry-After", "7"), ok), 2, nil, 7 * time.Second, 8 * time.Second},
		{"read: 429 with seconds", false, answers(problem(429, CodeRateLimited, "Retry-After", "30"), ok), 2, nil, 30 * time.Second, 31 * time.Second},
		{"read: 429 with a date", false, answers(problem(429, CodeRateLimited, "Retry-After", "Sat, 01 Jan 2000 00:00:45 GMT"), ok), 2, nil, 44 * time.Second, 46 * time.Second},
		{"read: 429 with too long a wait", false, answers(problem(429, CodeRateLimited, "Retry-After", "121")), 1, as[*Problem], 0, 0},
		{"read: 503 with too long a wait", false, answers(problem(503, CodeServiceUnavailable, "Retry-After", "3600")), 1, as[*Problem], 0, 0},
		{"read: 429 without end", false, answers(problem(429, CodeRateLimited, "Retry-After", "25")), 5, as[*Problem], 75 * time.Second, 125 * time.Second},
		{"read: seven 429 do not count as attempts", false, repeat(7, problem(429, CodeRateLimited, "Retry-After", "1"), ok), 8, nil, 7 * time.Second, 60 * time.Second},
		{"write: lost then done", true, answers(failing(lostAnswer()), gone), 2, nil, 0, time.Second},
		{"write: lost for ever", true, answers(failing(lostAnswer())), 5, as[*AmbiguousError], 0, 4 * time.Second},
		{"write: lost then refused", true, answers(failing(lostAnswer()), problem(404, CodeNotFound)), 2, ambiguousNotFound, 0, time.Second},
		{"write: never left", true, answers(failing(noRoute())), 5, onlyConnection, 0, 4 * time.Second},
		{"write: 500", true, answers(problem(500, CodeInternalError)), 5, as[*AmbiguousError], 0, 4 * time.Second},
		{"write: 502 of a gateway", true, answers(status(502)), 5, as[*AmbiguousError], 0, 4 * time.Second},
		{"write: 503 explained", true, answers(problem(503, CodeDependencyFailed)), 5, onlyProblem, 0, 4 * time.Second},
		{"write: 503 of a gateway", true, answers(status(503)), 5, as[*AmbiguousError], 0, 4 * time.Second},
		{"write: 429 then done", true, answers(problem(429, CodeRateLimited, "Retry-After", "2"), gone), 2, nil, 2 * time.Second, 3 * time.Second},
		{"write: 409 is final", true, answers(problem(409, CodeConflict)), 1, onlyProblem, 0, 0},
		{"write: 204 missing", true, answers(with(replyJSON("{}"))), 1, as[*AmbiguousError], 0, 0},
		{"write: taken for a dry run", true, answers(with(replyJSON(dryRunJSON))), 1, takenForDryRun, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := inTurn(test.answers...)
			var err error
			d := took(t, func(t *testing.T) {
				c := newClient(t, server)
				if test.write {
					err = c.DisableSource(t.Context(), "dev-1", "strava", "key-1")
				} else {
					_, err = c.Me(t.Context())
				}
			})
			if test.check == nil && err != nil || test.check != nil && !test.check(err) {
				t.Errorf("error %v", err)
			}
			if got := len(server.requests()); got != test.requests {
				t.Errorf("%d requests, want %d", got, test.requests)
			}
			if d < test.min || d > test.max {
				t.Errorf("took %v, want %v to %v", d, test.min, test.max)
			}
			for _, s := range server.requests() {
				if test.write && s.header.Get("Idempotency-Key") != "key-1" {
					t.Errorf("sent with the key %q", s.header.Get("Idempotency-Key"))
				}
			}
		})
	}
}

func answers(list ...func() (*http.Response, error)) []func() (*http.Response, error) { return list }

func repeat(n int, first, last func() (*http.Response, error)) []func() (*http.Response, error) {
	var list []func() (*http.Response, error)
	for range n {
		list = append(list, first)
	}
	return append(list, last)
}

func onlyProblem(err error) bool { return as[*Problem](err) && !as[*AmbiguousError](err) }

func onlyConnection(err error) bool { return as[*ConnectionError](err) && !as[*AmbiguousError](err) }

func takenForDryRun(err error) bool {
	return as[*AmbiguousError](err) && strings.Contains(err.Error(), tookForDryRun)
}

// ambiguousNotFound: a 404 after a lost answer must not read as "does not exist".
func ambiguousNotFound(err error) bool { return as[*AmbiguousError](err) && !IsNotFound(err) }

func TestHangingServer(t *testing.T) {
	server := &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}}
	var err error
	d := took(t, func(t *testing.T) { _, err = newClient(t, server).Me(t.Context()) })
	var connection *ConnectionError
	if !errors.As(err, &connection) || !connection.Timeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a ConnectionError with Timeout", err)
	}
	if want := "read the token's own record: no answer: nothing came back within 30 s; check the base URL, the network and the proxy, or run again later"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if len(server.requests()) != 3 || d < 90*time.Second || d > 93*time.Second {
		t.Errorf("%d requests in %v, want 3 in 90 s", len(server.requests()), d)
	}
	d = took(t, func(t *testing.T) { _, err = newClient(t, server).GetWebhookEndpoints(t.Context(), "dev-1", "garmin") })
	if d != 90*time.Second {
		t.Errorf("a webhook review took %v, want once 90 s", d)
	}
}

// TestGarminIsGivenAMinute: Terra asks Garmin about every change of a connection, and
// about its preview, which can take a minute; reads and other providers get 30 s.
func TestGarminIsGivenAMinute(t *testing.T) {
	slow := &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
		if err := sleep(r.Context(), 60*time.Second); err != nil {
			return nil, err
		}
		if strings.Contains(r.URL.RawQuery, "dry_run") {
			return replyJSON(dryRunJSON), nil
		}
		return replyJSON(strings.Replace(credentialsJSON, "strava", "garmin", 1)), nil
	}}
	patch := CredentialPatch{ClientID: ptr("123")}
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, slow)
		if _, err := c.UpdateCredentials(t.Context(), "dev-1", "Garmin", patch, "k1"); err != nil {
			t.Errorf("a change: %v", err)
		}
		s := Source{Provider: "garmin", Active: true}
		if err := c.ProveDryRun(t.Context(), "dev-1", s); err != nil {
			t.Errorf("the proof: %v", err)
		}
		if _, err := c.CompareCredentials(t.Context(), "dev-1", "garmin", "42", patch); err != nil {
			t.Errorf("a preview: %v", err)
		}
		if _, err := c.GetCredentials(t.Context(), "dev-1", "garmin"); err == nil {
			t.Error("a read waited for a minute")
		}
	})
}

func TestBodyThatHangsIsBounded(t *testing.T) {
	server := &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
		response := reply(200, mediaJSON, "")
		response.Body = hangingBody{r.Context()}
		return response, nil
	}}
	var err error
	d := took(t, func(t *testing.T) { _, err = newClient(t, server).Me(t.Context()) })
	if !errors.Is(err, context.DeadlineExceeded) || d > 93*time.Second {
		t.Errorf("%v after %v", err, d)
	}
}

type hangingBody struct{ ctx context.Context }

func (h hangingBody) Read([]byte) (int, error) { <-h.ctx.Done(); return 0, h.ctx.Err() }
func (h hangingBody) Close() error             { return nil }

func TestCancelReturnsPromptly(t *testing.T) {
	for name, answer := range map[string]func(r *http.Request) (*http.Response, error){
		"in flight": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"in back-off": func(*http.Request) (*http.Response, error) {
			return replyProblem(429, CodeRateLimited, "Retry-After", "100"), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, write := range []bool{false, true} {
				var err error
				server := &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) { return answer(r) }}
				d := took(t, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(3*time.Second, cancel)
					if write {
						err = newClient(t, server).DisableSource(ctx, "dev-1", "strava", "key-1")
					} else {
						_, err = newClient(t, server).Me(ctx)
					}
				})
				if d != 3*time.Second || !errors.Is(err, context.Canceled) || len(server.requests()) != 1 {
					t.Errorf("write %v: %v after %v and %d requests", write, err, d, len(server.requests()))
				}
				if got, want := as[*AmbiguousError](err), write && name == "in flight"; got != want {
					t.Errorf("write %v: ambiguous %v, want %v: %v", write, got, want, err)
				}
			}
		})
	}
}

func TestCancelledBeforeSendingIsNotAmbiguous(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	server := always(204, "", "")
	err := newClient(t, server).DisableSource(ctx, "dev-1", "strava", "key-1")
	if as[*AmbiguousError](err) || !errors.Is(err, context.Canceled) || len(server.requests()) != 0 {
		t.Errorf("%v after %d requests", err, len(server.requests()))
	}
}

func TestBackoffIsCappedAndJittered(t *testing.T) {
	for tries, most := range map[int]time.Duration{0: 250 * time.Millisecond, 1: 500 * time.Millisecond, 4: 4 * time.Second, 7: 20 * time.Second, 1000: 20 * time.Second} {
		var low, high time.Duration = most, 0
		for range 2000 {
			d := backoff(tries)
			low, high = min(low, d), max(high, d)
		}
		if low > most/10 || high < most*9/10 || high >= most {
			t.Errorf("backoff(%d) ranged from %v to %v, want 0 to %v", tries, low, high, most)
		}
	}
}

func TestRetryAfterAndHints(t *testing.T) {
	now := time.Unix(1_900_000_000, 0).UTC()
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, " 5 ": 5 * time.Second, "-5": 0, "x": 0, "1.5": 0,
		"9223372036854775807":                              366 * 24 * time.Hour,
		now.Add(90 * time.Second).Format(http.TimeFormat):  90 * time.Second,
		now.Add(-90 * time.Second).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("Retry-After %q: %v, want %v", value, got, want)
		}
	}
	// What is longer than a run waits for is said.
	long := &Problem{Status: 429, Code: CodeRateLimited, Title: "Too many calls", RetryAfter: 10 * time.Minute}
	if text := long.Error(); !strings.Contains(text, "Terra asks to wait 10m0s, longer than a run does") {
		t.Errorf("the error says %q", text)
	}
	// A date is on the server's clock, which may differ from ours.
	ahead := now.Add(3 * time.Hour)
	for after, want := range map[time.Duration]time.Duration{30 * time.Second: 30 * time.Second, -time.Second: 0} {
		h := http.Header{"Date": {ahead.Format(http.TimeFormat)}, "Retry-After": {ahead.Add(after).Format(http.TimeFormat)}}
		if got := retryAfter(h, now); got != want {
			t.Errorf("Retry-After %v after a Date three hours ahead: %v, want %v", after, got, want)
		}
	}
	h := http.Header{
		"Date":                  {ahead.Format(http.TimeFormat)},
		"X-Ratelimit-Remaining": {"3"}, "X-Ratelimit-Reset": {fmt.Sprint(ahead.Add(20 * time.Second).Unix())},
	}
	if got := readRateHint(h, now); got.reset != 20*time.Second {
		t.Errorf("a reset 20 s after a Date three hours ahead: %+v", got)
	}
	for _, test := range []struct {
		remaining, reset string
		want             rateHint
	}{
		{"3", "60", rateHint{known: true, remaining: 3, reset: time.Minute}},
		{"0", "1900000010", rateHint{known: true, remaining: 0, reset: 10 * time.Second}},
		{"3", "86400", rateHint{known: true, remaining: 3, reset: 24 * time.Hour}},
		{"3", "86401", rateHint{}}, // epoch seconds of 1970
		{"3", "", rateHint{}},
		{"", "60", rateHint{}},
		{"-1", "60", rateHint{}},
		{"3", "soon", rateHint{}},
		{strings.Repeat("9", 40), "60", rateHint{}},
	} {
		h := http.Header{"X-Ratelimit-Remaining": {test.remaining}, "X-Ratelimit-Reset": {test.reset}}
		if got := readRateHint(h, now); got != test.want {
			t.Errorf("remaining %q, reset %q: %+v, want %+v", test.remaining, test.reset, got, test.want)
		}
	}
}
