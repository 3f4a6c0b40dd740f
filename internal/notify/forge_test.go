package notify

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	planted = "forge_tok_Zq81mPw7Yx3K"
	commit  = "6f1d3a9c0b7e4d2a8c5f1e0b9a7d6c4e3f2a1b0c"
)

// forge is a server of which a test knows what it was asked.
type forge struct {
	*httptest.Server
	mu       sync.Mutex
	requests []asked
}

type asked struct {
	Line   string
	Header map[string]string
	Body   map[string]string
}

// newForge serves a forge that answers as the test says.
func newForge(t *testing.T, answer http.HandlerFunc) *forge {
	t.Helper()
	f := &forge{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := asked{Line: r.Method + " " + r.RequestURI, Header: map[string]string{}, Body: map[string]string{}}
		for name := range r.Header {
			a.Header[name] = r.Header.Get(name)
		}
		if err := json.NewDecoder(r.Body).Decode(&a.Body); err != nil {
			a.Body["unreadable"] = err.Error()
		}
		f.mu.Lock()
		f.requests = append(f.requests, a)
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *forge) asked() []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]asked{}, f.requests...)
}

func created(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"id": 1}`)
}

// at is a Forge of a kind at an address, whose token is the planted one.
func at(t *testing.T, kind, address, project string) *Forge {
	t.Helper()
	f, err := New(Options{Kind: kind, URL: address, Project: project, Context: "terra-reconcile", Version: "v0.0.0",
		Token: func() (string, error) { return planted, nil }, Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestForges: each forge is asked by its own path, header and names.
func TestForges(t *testing.T) {
	t.Parallel()
	s := Status{Environment: "eu/production", Commit: commit, State: Error, Description: "1 error (eu/production)."}
	common := map[string]string{"Content-Type": "application/json", "User-Agent": "terra-reconcile/v0.0.0"}
	for _, c := range []struct {
		kind, project string
		want          asked
	}{
		{"github", "acme/terra-config", asked{
			Line:   "POST /repos/acme/terra-config/statuses/" + commit,
			Header: map[string]string{"Authorization": "Bearer " + planted, "Accept": "application/vnd.github+json", "X-Github-Api-Version": "2022-11-28"},
			Body:   map[string]string{"state": "error", "context": "terra-reconcile/eu/production", "description": s.Description},
		}},
		{"gitlab", "acme/platform/terra-config", asked{
			Line:   "POST /api/v4/projects/acme%2Fplatform%2Fterra-config/statuses/" + commit,
			Header: map[string]string{"Private-Token": planted},
			Body:   map[string]string{"state": "failed", "name": "terra-reconcile/eu/production", "description": s.Description},
		}},
		{"gitea", "acme/terra-config", asked{
			Line:   "POST /api/v1/repos/acme/terra-config/statuses/" + commit,
			Header: map[string]string{"Authorization": "token " + planted},
			Body:   map[string]string{"state": "error", "context": "terra-reconcile/eu/production", "description": s.Description},
		}},
	} {
		f := newForge(t, created)
		if err := at(t, c.kind, f.URL, c.project).Post(t.Context(), s); err != nil {
			t.Errorf("%s: %v", c.kind, err)
		}
		for name, value := range common {
			c.want.Header[name] = value
		}
		got := f.asked()
		for _, name := range []string{"Accept-Encoding", "Connection", "Content-Length"} {
			delete(got[0].Header, name)
		}
		if diff := cmp.Diff([]asked{c.want}, got); diff != "" {
			t.Errorf("%s was asked otherwise (-want +got):\n%s", c.kind, diff)
		}
	}
}

// TestStatesOfForges: GitLab has one word for what did not succeed.
func TestStatesOfForges(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"github": "success pending failure error", "gitea": "success pending failure error", "gitlab": "success pending failed failed",
	} {
		f := newForge(t, created)
		for _, state := range []State{Success, Pending, Failure, Error} {
			if err := at(t, kind, f.URL, "a/b").Post(t.Context(), Status{Commit: commit, State: state}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, a := range f.asked() {
			got = append(got, a.Body["state"])
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: got %s, want %s", kind, text, want)
		}
	}
}

// TestRefusals: what a forge answers is told, judged by whether it can pass, and never
// repeats the token.
func TestRefusals(t *testing.T) {
	t.Parallel()
	quoted := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name    string
		answer  http.HandlerFunc
		passing bool
		says    string
	}{
		{"a bad token", quoted(401, `{"message":"Bad credentials","documentation_url":"x"}`), true, "answered 401, the token is not valid: Bad credentials"},
		{"no right", quoted(403, `{"message":"Resource not accessible by personal access token"}`), true, "answered 403, the token may not post statuses, or posts too many: Resource not"},
		{"no project", quoted(404, `{"message":"404 Project Not Found"}`), false, "answered 404, it has no such project or commit, or the token may not see it: 404 Project"},
		{"no commit", quoted(422, `{"message":"Validation Failed","errors":[{"message":"No commit found for SHA"}]}`), false, "answered 422: Validation Failed; No commit found for SHA"},
		{"too many", quoted(429, `Slow down`), true, "answered 429"},
		{"its own fault", quoted(500, `<html>`), true, "answered 500"},
		{"GitLab's form", quoted(400, `{"message":{"name":["is too long"]}}`), false, `answered 400: {"name":["is too long"]}`},
		{"moved", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, false, "answered 307, a redirect, which is not followed"},
		{"something else than created", quoted(204, ""), false, "answered 204"},
		{"two lines", quoted(400, `{"message":"a\nb\u001b[31mred"}`), false, `answered 400: a\u000Ab\u001B[31mred`},
		{"a flood", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			for range 1024 {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1024))
			}
			_, _ = io.WriteString(w, `{"message":"late"}`)
		}, false, "answered 400"},
		{"the token", quoted(400, `{"message":"bad token `+planted+`"}`), false, "its words are left out: they repeat the token"},
		{"the token in hex", quoted(500, `{"message":"`+hex.EncodeToString([]byte(planted))+`"}`), true, "its words are left out: they repeat the token"},
		{"the token in base64", quoted(401, `{"message":"`+base64.StdEncoding.EncodeToString([]byte(planted))+`"}`), true, "its words are left out: they repeat the token"},
		{"the token instead of HTTP", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 "+planted+" OK\r\n\r\n")
				_ = conn.Close()
			}
		}, true, "its words are left out: they repeat the token"},
	} {
		f := newForge(t, c.answer)
		err := at(t, "github", f.URL, "a/b").Post(t.Context(), Status{Environment: "production", Commit: commit, State: Success})
		refusal := (*RefusedError)(nil)
		if !errors.As(err, &refusal) {
			t.Errorf("%s: got %v", c.name, err)
			continue
		}
		if refusal.Passing != c.passing || !strings.Contains(refusal.Reason, c.says) || strings.ContainsAny(refusal.Reason, "\n\x1b") {
			t.Errorf("%s: passing %t, want %t: %q, want %q", c.name, refusal.Passing, c.passing, refusal.Reason, c.says)
		}
		if strings.Contains(refusal.Reason, planted) || strings.Contains(refusal.Reason, "late") || len(refusal.Reason) > 500 {
			t.Errorf("%s: %q", c.name, refusal.Reason)
		}
		if n := len(f.asked()); n != 1 {
			t.Errorf("%s: %d requests, want 1: no redirect is followed", c.name, n)
		}
	}
}

// TestDescriptionHoldsNoToken: not even by chance.
func TestDescriptionHoldsNoToken(t *testing.T) {
	t.Parallel()
	f := newForge(t, created)
	s := Refused("production", commit, "its files have errors: config.yaml:3:1: "+planted+" is no state")
	if err := at(t, "gitea", f.URL, "a/b").Post(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if got := f.asked()[0].Body["description"]; got != "See the report." {
		t.Errorf("got %q", got)
	}
}

// TestNotAHash: what is no hash never becomes a part of an address.
func TestNotAHash(t *testing.T) {
	t.Parallel()
	f := newForge(t, created)
	for _, text := range []string{"", "worktree", "main", commit[:12], "../../../user", strings.ToUpper(commit), commit + "/x"} {
		if err := at(t, "github", f.URL, "a/b").Post(t.Context(), Status{Commit: text}); err == nil {
			t.Errorf("%q was posted", text)
		}
	}
	if n := len(f.asked()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestGitLabSaysSoAlready: from pending to pending GitLab knows no way.
func TestGitLabSaysSoAlready(t *testing.T) {
	t.Parallel()
	f := newForge(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"message":"Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}`)
	})
	for _, c := range []struct {
		kind  string
		state State
		taken bool
	}{{"gitlab", Pending, true}, {"gitlab", Success, false}, {"github", Pending, false}} {
		err := at(t, c.kind, f.URL, "a/b").Post(t.Context(), Status{Commit: commit, State: c.state})
		if (err == nil) != c.taken {
			t.Errorf("%s %s: %v", c.kind, c.state, err)
		}
	}
}

// silence never answers, or never ends its answer.
type silence struct{ body bool }

func (s silence) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.body {
		return &http.Response{StatusCode: http.StatusCreated, Header: http.Header{}, Body: endless{r.Context()}}, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}
func (endless) Close() error { return nil }

// TestSilence: a forge that hangs is waited for as long as the deadline, on a clock of its own.
func TestSilence(t *testing.T) {
	t.Parallel()
	for _, body := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := at(t, "gitlab", "https://git.acme.example", "a/b")
			f.o.Transport = silence{body}
			began := time.Now()
			err := f.Post(t.Context(), Status{Commit: commit})
			refusal := (*RefusedError)(nil)
			if !errors.As(err, &refusal) || !refusal.Passing || !strings.Contains(refusal.Reason, "no answer within 30s") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took != deadline {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// scripted posts as a list says, and remembers when it was asked for what.
type scripted struct {
	began   time.Time
	during  func() // each request
	results []error
	asked   []string
}

func (s *scripted) post(_ context.Context, status Status) error {
	s.asked = append(s.asked, fmt.Sprintf("%s %s %s", time.Since(s.began), status.Environment, status.State))
	if s.during != nil {
		s.during()
	}
	if len(s.results) == 0 {
		return nil
	}
	err := s.results[0]
	s.results = s.results[1:]
	return err
}

// step offers statuses, and waits.
type step struct {
	offers []Status
	then   time.Duration
}

// queued runs a queue on a clock of its own, with a poster that is scripted.
func queued(t *testing.T, results []error, steps ...step) (asked []string, log string) {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{began: time.Now(), results: results}
		q := NewQueue(&Forge{}, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})))
		q.post = s.post
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			q.Run(ctx)
		}()
		for _, step := range steps {
			q.Offer(step.offers...)
			time.Sleep(step.then)
			synctest.Wait()
		}
		stop()
		<-ended
		asked = s.asked
	})
	return asked, out.String()
}

func of(environment string, state State) Status {
	return Status{Environment: environment, Commit: commit, State: state}
}

// TestQueueSaysWhatIsNew: the same is not posted twice, another outcome is.
func TestQueueSaysWhatIsNew(t *testing.T) {
	t.Parallel()
	var steps []step
	for _, s := range []Status{of("production", Success), of("production", Success), of("staging", Success), of("production", Pending), of("production", Success), {Commit: "worktree"}} {
		steps = append(steps, step{offers: []Status{s}})
	}
	got, _ := queued(t, nil, steps...)
	want := []string{"0s production success", "0s staging success", "0s production pending", "0s production success"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("posted (-want +got):\n%s", diff)
	}
}

// TestQueueTriesAgain: pauses grow to ten minutes, the forge may ask for longer ones, the
// newest status counts, and the log says it once an outage.
func TestQueueTriesAgain(t *testing.T) {
	t.Parallel()
	down := &RefusedError{Reason: "it is down", Passing: true}
	results := []error{down, down, down, &RefusedError{Reason: "slow", Passing: true, After: time.Minute}}
	for range 9 {
		results = append(results, down)
	}
	results = append(results, nil, down)
	got, log := queued(t, results,
		step{[]Status{of("production", Pending)}, 30 * time.Second},
		step{[]Status{of("production", Failure), of("production", Success)}, 10 * time.Hour},
		step{[]Status{of("staging", Success)}, time.Hour})
	want := []string{
		"0s production pending", "1s production pending", "3s production pending", "7s production pending",
		"1m7s production success", "1m23s production success", "1m55s production success", "2m59s production success", "5m7s production success",
		"9m23s production success", "17m55s production success", "27m55s production success", "37m55s production success", "47m55s production success",
		"10h0m30s staging success", "10h0m31s staging success",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("posted (-want +got):\n%s", diff)
	}
	if said, again := strings.Count(log, "was not posted"), strings.Count(log, "posted again"); said != 2 || again != 2 {
		t.Errorf("two outages are said %d times, their ends %d times:\n%s", said, again, log)
	}
}

// TestQueueKeepsTheNewest: a status that came while the one before it was refused counts.
func TestQueueKeepsTheNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{began: time.Now(), results: []error{&RefusedError{Passing: true}}}
		q := NewQueue(&Forge{}, slog.New(slog.DiscardHandler))
		q.post, s.during = s.post, func() { q.Offer(of("production", Success)) }
		q.Offer(of("production", Pending))
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		q.Run(ctx)
		if diff := cmp.Diff([]string{"0s production pending", "1s production success"}, s.asked); diff != "" {
			t.Errorf("posted (-want +got):\n%s", diff)
		}
	})
}

// TestQueueStops: at once, also in the middle of a pause.
func TestQueueStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(&Forge{}, slog.New(slog.DiscardHandler))
		q.post = func(context.Context, Status) error { return &RefusedError{Passing: true, After: maxPause} }
		q.Offer(of("production", Pending))
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		began := time.Now()
		q.Run(ctx)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it went on for %s", took)
		}
	})
}

// TestQueueGoesOn: what a forge never takes is dropped and said once, and keeps nothing else
// waiting.
func TestQueueGoesOn(t *testing.T) {
	t.Parallel()
	never := &RefusedError{Reason: "no such commit"}
	both := []Status{of("production", Success), of("staging", Success)}
	got, log := queued(t, []error{never, nil, never}, step{offers: both}, step{both, time.Hour})
	want := []string{"0s production success", "0s staging success", "0s production success"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("posted (-want +got):\n%s", diff)
	}
	if said := strings.Count(log, "no such commit"); said != 1 {
		t.Errorf("said %d times:\n%s", said, log)
	}
}

// TestQueueIsBounded: offering never waits, and the oldest gives way.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	q := NewQueue(&Forge{}, slog.New(slog.DiscardHandler))
	for i := range 10 * maxWaiting { // nobody posts
		q.Offer(of(fmt.Sprint(i), Success))
	}
	if len(q.waiting) != maxWaiting || q.waiting[maxWaiting-1].Environment != fmt.Sprint(10*maxWaiting-1) {
		t.Errorf("%d wait, the last is %v", len(q.waiting), q.waiting[len(q.waiting)-1])
	}
	for i := range 2 * maxRemembered {
		q.note(of(fmt.Sprint(i), Success), nil)
	}
	if n := len(q.posted); n > maxRemembered+1 {
		t.Errorf("%d are remembered", n)
	}
}

// TestPatiently: a command tries so many times and no more, and not what never passes.
func TestPatiently(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]int{500: 3, 404: 1, 201: 1} {
		synctest.Test(t, func(t *testing.T) {
			f, sent := at(t, "gitea", "https://git.acme.example", "a/b"), 0
			f.o.Transport = answering(func() int { sent++; return code })
			began := time.Now()
			if err := f.PostPatiently(t.Context(), of("production", Success), 3); (err == nil) != (code == 201) {
				t.Errorf("%d: %v", code, err)
			}
			if sent != want || time.Since(began) > 3*time.Second {
				t.Errorf("%d: tried %d times in %s, want %d", code, sent, time.Since(began), want)
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			f.o.Transport = answering(func() int { return 503 })
			began = time.Now()
			if err := f.PostPatiently(ctx, of("production", Success), 100); err == nil || time.Since(began) > time.Second {
				t.Errorf("it went on for %s: %v", time.Since(began), err)
			}
		})
	}
}

// answering is a forge that answers with a code.
type answering func() int

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a(), Header: http.Header{}, Body: http.NoBody}, nil
}
