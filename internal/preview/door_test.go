package preview

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const testKey = "0123456789abcdef0123456789abcdef"

// newDoor makes a Door that plans nothing, at once.
func newDoor(t *testing.T, change ...func(*Options)) *Door {
	t.Helper()
	o := Options{
		Key: func() (string, error) { return testKey, nil }, Stay: func(http.ResponseWriter) {}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Plan: func(_ context.Context, r Request, tell func(Progress)) Result {
			tell(Progress{"production", 1, 2})
			return Result{Commit: strings.Repeat("a", 40), ExitCode: 2, Document: "plan of " + r.Ref}
		},
	}
	for _, f := range change {
		f(&o)
	}
	d := NewDoor(o)
	t.Cleanup(d.Stop)
	return d
}

func bodyOf(t *testing.T, r Request) []byte {
	t.Helper()
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func ofBranch(name string) Request { return Request{Ref: "refs/heads/" + name, Format: "text"} }

// ask sends a request as it is.
func ask(t *testing.T, d *Door, method string, s string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, Path, bytes.NewReader(body))
	if s != "" {
		r.Header.Set("Authorization", s)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// nonce is one of its own for each number.
func nonce(n int) string { return fmt.Sprintf("nonce-of-a-test-%010d", n) }

// signed sends a request as a client does that signs at a time.
func signed(t *testing.T, d *Door, n int, at time.Time, r Request) *httptest.ResponseRecorder {
	t.Helper()
	body := bodyOf(t, r)
	return ask(t, d, http.MethodPost, sign(testKey, http.MethodPost, at, nonce(n), body).String(), body)
}

func TestDoorAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stays := 0
		w := signed(t, newDoor(t, func(o *Options) { o.Stay = func(http.ResponseWriter) { stays++ } }), 1, time.Now(), ofBranch("topic"))
		lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
		want := `{"result":{"schema":"terra-reconcile/preview/v1","commit":"` + strings.Repeat("a", 40) + `","exit_code":2,"document":"plan of refs/heads/topic"}}`
		if w.Code != http.StatusOK || lines[len(lines)-1] != want || stays != 1 {
			t.Errorf("%d, %d stay:\n%s", w.Code, stays, w.Body)
		}
	})
}

// TestDoorClock: a request is fresh for five minutes, by either clock, and the answer says
// what both show.
func TestDoorClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		time.Sleep(time.Hour)
		for i, c := range []struct {
			off  time.Duration
			code int
		}{{0, 200}, {maxSkew, 200}, {-maxSkew, 200}, {maxSkew + time.Second, 403}, {-maxSkew - time.Second, 403}, {24 * time.Hour, 403}} {
			w := signed(t, d, i, time.Now().Add(c.off), ofBranch("topic"))
			if w.Code != c.code || c.code == 403 && (!strings.Contains(w.Body.String(), time.Now().UTC().Format("15:04:05")) || !strings.Contains(w.Body.String(), time.Now().Add(c.off).UTC().Format("15:04:05"))) {
				t.Errorf("%v off: %d %s", c.off, w.Code, w.Body)
			}
			time.Sleep(time.Minute)
		}
	})
}

// TestDoorTakesARequestOnce: also when the daemon has started again.
func TestDoorTakesARequestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		time.Sleep(time.Hour)
		made := time.Now().Add(maxSkew)
		if w := signed(t, d, 1, made, ofBranch("topic")); w.Code != http.StatusOK {
			t.Fatalf("the first got %d", w.Code)
		}
		for passed := time.Duration(0); passed < 2*maxSkew; passed += time.Minute {
			if w := signed(t, d, 1, made, ofBranch("topic")); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "answered before") {
				t.Errorf("a replay after %v got %d %s", passed, w.Code, w.Body)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Minute)
		if w := signed(t, d, 2, time.Now(), ofBranch("topic")); w.Code != http.StatusOK || len(d.seen) != 1 {
			t.Errorf("%d, and %d nonces are kept", w.Code, len(d.seen))
		}
		made = time.Now()
		time.Sleep(time.Second)
		if w := signed(t, newDoor(t), 2, made, ofBranch("topic")); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "2" {
			t.Errorf("a replay after a start got %d %s", w.Code, w.Body)
		}
	})
}

// TestDoorRate: a few come at once, then one in ten seconds; who cannot sign, and who sends
// a request again, use up none of that.
func TestDoorRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		time.Sleep(time.Hour)
		replayed := time.Now()
		for i := range atOnce {
			for range 10 {
				ask(t, d, http.MethodPost, sign("another key, which is a guess...", http.MethodPost, time.Now(), nonce(100+i), nil).String(), nil)
				signed(t, d, 0, replayed, ofBranch("topic"))
			}
			if w := signed(t, d, i+1, time.Now(), ofBranch("topic")); i > 0 && w.Code != http.StatusOK && i < atOnce-1 {
				t.Fatalf("number %d got %d", i, w.Code)
			}
		}
		w := signed(t, d, 90, time.Now(), ofBranch("topic"))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "11" {
			t.Errorf("one more got %d, to wait %q", w.Code, w.Header().Get("Retry-After"))
		}
		taken := 0
		for i := range 600 {
			if signed(t, d, 1000+i, time.Now(), ofBranch("topic")).Code == http.StatusOK {
				taken++
			}
			time.Sleep(time.Second)
		}
		if taken != 59 {
			t.Errorf("%d in ten minutes, want 59", taken)
		}
	})
}

// TestDoorQueue: one is planned at a time, a few wait and hear so, one more is refused, and
// who goes away gives up the place.
func TestDoorQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		end := make(chan struct{})
		d := newDoor(t, func(o *Options) {
			o.Plan = func(ctx context.Context, _ Request, _ func(Progress)) Result {
				most.Store(max(most.Load(), under.Add(1)))
				defer under.Add(-1)
				select {
				case <-end:
				case <-ctx.Done():
				}
				return Result{}
			}
		})
		d.rate.SetBurst(100)
		time.Sleep(time.Hour)
		var wg sync.WaitGroup
		answers := make([]*httptest.ResponseRecorder, maxWaiting+2)
		ctx, goAway := context.WithCancel(t.Context())
		for i := range answers {
			wg.Go(func() {
				body := bodyOf(t, ofBranch("topic"))
				c := t.Context()
				if i == 0 {
					c = ctx
				}
				r := httptest.NewRequestWithContext(c, http.MethodPost, Path, bytes.NewReader(body))
				r.Header.Set("Authorization", sign(testKey, http.MethodPost, time.Now(), nonce(i), body).String())
				answers[i] = httptest.NewRecorder()
				d.ServeHTTP(answers[i], r)
			})
			synctest.Wait()
		}
		if answers[maxWaiting+1].Code != http.StatusTooManyRequests || answers[maxWaiting+1].Header().Get("Retry-After") == "" {
			t.Errorf("one more got %d", answers[maxWaiting+1].Code)
		}
		time.Sleep(2 * tellEvery)
		synctest.Wait()
		if said := answers[1].Body.String(); strings.Count(said, `{"before":`) < 2 {
			t.Errorf("who waits heard %q", said)
		}
		if len(d.queue) != maxWaiting+1 {
			t.Errorf("%d places are taken", len(d.queue))
		}
		goAway()
		synctest.Wait()
		if len(d.queue) != maxWaiting || under.Load() != 1 {
			t.Errorf("after one went away %d places are taken, %d planned", len(d.queue), under.Load())
		}
		close(end)
		wg.Wait()
		if most.Load() != 1 || len(d.queue) != 0 || len(d.turn) != 0 {
			t.Errorf("%d were planned at a time; %d places are kept", most.Load(), len(d.queue)+len(d.turn))
		}
	})
}

// TestDoorDeadline: a preview that hangs ends, a fault is one of its own, a document that is
// too large is not sent, and Stop ends what is under way.
func TestDoorDeadline(t *testing.T) {
	hang := func(o *Options) {
		o.Plan = func(ctx context.Context, _ Request, _ func(Progress)) Result {
			<-ctx.Done()
			return Result{ExitCode: 1, Error: "ended"}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := signed(t, newDoor(t, hang), 1, time.Now(), ofBranch("topic"))
		if time.Since(began) != within || strings.Count(w.Body.String(), "\n") < int(within/tellEvery) {
			t.Errorf("took %v and said %d lines", time.Since(began), strings.Count(w.Body.String(), "\n"))
		}
		d := newDoor(t, hang)
		began = time.Now()
		time.AfterFunc(time.Minute, d.Stop)
		if signed(t, d, 1, time.Now(), ofBranch("topic")); time.Since(began) != time.Minute {
			t.Errorf("was stopped after %v", time.Since(began))
		}
		if w := signed(t, d, 2, time.Now(), ofBranch("topic")); w.Code != http.StatusServiceUnavailable {
			t.Errorf("after the stop: %d", w.Code)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		fault := newDoor(t, func(o *Options) {
			o.Plan = func(context.Context, Request, func(Progress)) Result { panic("planted") }
		})
		w := signed(t, fault, 1, time.Now(), ofBranch("topic"))
		synctest.Wait() // its place is given back behind the answer
		if !strings.Contains(w.Body.String(), "a fault of this program") || strings.Contains(w.Body.String(), "planted") || len(fault.turn)+len(fault.queue) != 0 {
			t.Errorf("a fault: %s", w.Body)
		}
	})
	large := newDoor(t, func(o *Options) {
		o.Plan = func(context.Context, Request, func(Progress)) Result {
			return Result{Document: strings.Repeat("x", maxDocument+1)}
		}
	})
	if w := signed(t, large, 1, time.Now(), ofBranch("topic")); w.Body.Len() > 1<<10 || !strings.Contains(w.Body.String(), `"exit_code":1`) {
		t.Errorf("a large document: %d bytes", w.Body.Len())
	}
}

// unread is the answer of a client that takes nothing but the first line.
type unread struct {
	*httptest.ResponseRecorder
	lines    int
	deadline chan time.Time
}

func (u *unread) SetWriteDeadline(at time.Time) error {
	select {
	case <-u.deadline:
	default:
	}
	u.deadline <- at
	return nil
}

func (u *unread) Write(p []byte) (int, error) {
	if u.lines++; u.lines == 1 {
		return u.ResponseRecorder.Write(p)
	}
	var late <-chan time.Time
	for {
		select {
		case at := <-u.deadline:
			late = time.After(time.Until(at))
		case <-late:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// TestDoorStopsBesideWhoReadsNothing: a client that does not take its answer is waited for
// while nothing else is to be done, and hardly when the daemon ends.
func TestDoorStopsBesideWhoReadsNothing(t *testing.T) {
	for _, stops := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(t)
			began := time.Now()
			if stops {
				time.AfterFunc(time.Second, d.Stop)
			}
			body := bodyOf(t, ofBranch("topic"))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path, bytes.NewReader(body))
			r.Header.Set("Authorization", sign(testKey, http.MethodPost, time.Now(), nonce(1), body).String())
			d.ServeHTTP(&unread{httptest.NewRecorder(), 0, make(chan time.Time, 1)}, r)
			want := 2 * writeIn // of a line on the way, and of the result
			if stops {
				want = time.Second + 2*endIn
			}
			if took := time.Since(began); took > want {
				t.Errorf("stopped: %v, took %v, want at most %v", stops, took, want)
			}
		})
	}
}

// TestDoorOutlivesTheDeadlinesOfAPage: a server gives pages little time; a preview takes
// more, and its client may still go away.
func TestDoorOutlivesTheDeadlinesOfAPage(t *testing.T) {
	gone, going := make(chan struct{}), make(chan struct{})
	d := newDoor(t, func(o *Options) {
		o.Plan = func(ctx context.Context, r Request, _ func(Progress)) Result {
			if r.Ref == "refs/heads/gone" {
				close(going)
				<-ctx.Done()
				close(gone)
				return Result{}
			}
			timer := time.NewTimer(300 * time.Millisecond)
			defer timer.Stop()
			select {
			case <-timer.C:
				return Result{Document: "late"}
			case <-ctx.Done():
				return Result{Error: "ended"}
			}
		}
	})
	server := httptest.NewUnstartedServer(d)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	server.Start()
	defer server.Close()
	c, err := NewClient(server.URL, "", testKey, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	result, err := c.Preview(t.Context(), ofBranch("topic"), func(Progress) {})
	if err != nil || result.Document != "late" {
		t.Errorf("got %+v, %v", result, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-going
		cancel()
	}()
	if _, err := c.Preview(ctx, ofBranch("gone"), func(Progress) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the preview of a client that went away was not ended")
	}
}

func TestFullRef(t *testing.T) {
	for text, want := range map[string]string{
		"main": "refs/heads/main", "feature/x-1_ü": "refs/heads/feature/x-1_ü", "refs/heads/a": "refs/heads/a", "HEAD": "refs/heads/HEAD",
		"refs/pull/7/head": "refs/pull/7/head", "refs/pull/7/merge": "refs/pull/7/merge", "refs/merge-requests/7/head": "refs/merge-requests/7/head",
		"refs/heads/refs/pull/7/head": "refs/heads/refs/pull/7/head",
		"":                            "", "refs/tags/v1": "", "refs/keep-around/x": "", "refs/pull/x/head": "", "refs/pull/7/head/x": "", "refs/pull-requests/7/from": "", "refs/notes/commits": "",
		"main~3": "", "main^{tree}": "", "main:terra.yaml": "", "main@{1}": "", "a..b": "", "a b": "", "a\nb": "", "a\u202eb": "", "-x": "", "a/-x": "", ".a": "", "a/": "", "a//b": "", "a.lock": "", "a.": "", "*": "", "a\\b": "", "@": "", "refs/heads/": "",
		strings.Repeat("x", 300): "", "a\xff": "",
	} {
		got, err := FullRef(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
}

// TestClientRefuses: what would give the plan away is not asked.
func TestClientRefuses(t *testing.T) {
	for _, address := range []string{"", "daemon", "http://daemon.example", "https://me:secret@daemon.example", "https://daemon.example/?x=1", "https://daemon.example/#x", "ftp://127.0.0.1", "http://127.0.0.1.example:80"} {
		if _, err := NewClient(address, "", testKey, nil, time.Now); err == nil || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{"https://daemon.example/terra/", "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1"} {
		if _, err := NewClient(address, "", testKey, nil, time.Now); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := NewClient("https://daemon.example", "", testKey, []byte("no certificate"), time.Now); err == nil {
		t.Error("a file without certificate was trusted")
	}
}

// TestClientAsksABusyDaemonAgain: after as long as the daemon says, each time signed anew,
// and not for ever.
func TestClientAsksABusyDaemonAgain(t *testing.T) {
	for name, c := range map[string]struct {
		busy   int    // answers before it has time
		after  string // what it says then
		asked  int
		result bool
	}{
		"at once":      {0, "7", 1, true},
		"a while":      {askedAgain, "7", askedAgain + 1, true},
		"for too long": {askedAgain + 1, "7", askedAgain + 1, false},
		"much later":   {1, "3600", 1, false},
		"nobody knows": {1, "soon", 1, false},
	} {
		var signatures []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slices.Contains(signatures, r.Header.Get("Authorization")) {
				t.Errorf("%s: a signature is used twice", name)
			}
			if signatures = append(signatures, r.Header.Get("Authorization")); len(signatures) <= c.busy {
				w.Header().Set("Retry-After", c.after)
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			_, _ = io.WriteString(w, `{"result":{"commit":"abc"}}`+"\n")
		}))
		client, err := NewClient(server.URL, "", testKey, nil, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		var paused time.Duration
		client.pause = func(_ context.Context, d time.Duration) { paused += d }
		result, err := client.Preview(t.Context(), ofBranch("topic"), func(Progress) {})
		server.Close()
		if (err == nil) != c.result || c.result && result.Commit != "abc" || len(signatures) != c.asked {
			t.Errorf("%s: asked %d times, %v, %v", name, len(signatures), result, err)
		}
		if want := time.Duration(c.asked-1) * 7 * time.Second; paused != want {
			t.Errorf("%s: paused for %s, want %s", name, paused, want)
		}
	}
}

// TestClientSaysWhy: each answer that is none says what to do.
func TestClientSaysWhy(t *testing.T) {
	answer := func(code int, text string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, text)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		says    string
	}{
		"another token":   {answer(401, `{"error":"no"}`), "it does not know this token"},
		"no previews":     {answer(404, "404 page not found"), "there are no previews"},
		"a redirect":      {answer(302, "", "Location", "https://evil.example/"), "redirect, which is not followed"},
		"too often":       {answer(429, `{"error":"too often; try again"}`, "Retry-After", "11"), "too often; try again, in 11 seconds"},
		"refused":         {answer(403, `{"error":"anybody may open it\u001b[2J"}`), `anybody may open it\u001B[2J`},
		"another server":  {answer(200, "<html>"), "is no preview"},
		"a broken answer": {answer(200, `{"before":1}`+"\n"), "broke off"},
		"an endless line": {answer(200, strings.Repeat("x", maxAnswer+1)), "broke off"},
	} {
		server := httptest.NewServer(c.handler)
		client, err := NewClient(server.URL, "", testKey, nil, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		client.pause = func(context.Context, time.Duration) {}
		if _, err := client.Preview(t.Context(), ofBranch("topic"), func(Progress) {}); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), testKey) {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
		if _, err := client.Preview(t.Context(), ofBranch("topic"), func(Progress) {}); err == nil || !strings.Contains(err.Error(), "no daemon answers there") {
			t.Errorf("nobody there: %v", err)
		}
	}
	secure := httptest.NewUnstartedServer(answer(401, ""))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	defer secure.Close()
	client, err := NewClient(secure.URL, "", testKey, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Preview(t.Context(), ofBranch("topic"), func(Progress) {}); err == nil || !strings.Contains(err.Error(), "--ca-file") {
		t.Errorf("an unknown issuer: %v", err)
	}
}

// TestClientShowsNothingThatActs: whoever answers writes to no terminal.
func TestClientShowsNothingThatActs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"progress":{"environment":"a\u001b[2J","done":1,"total":2}}`+"\n"+`{"result":{"document":"a\u001b[2Jb\n","error":"c\u001b[2J"}}`+"\n")
	}))
	defer server.Close()
	client, err := NewClient(server.URL, "", testKey, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	result, err := client.Preview(t.Context(), ofBranch("topic"), func(p Progress) { told += p.Environment })
	if all := fmt.Sprint(result, told); err != nil || strings.Contains(all, "\x1b") || !strings.Contains(all, "a[2Jb\n") {
		t.Errorf("%q, %v", all, err)
	}
}

// TestClientReadsNoMore: an answer that does not end is left.
func TestClientReadsNoMore(t *testing.T) {
	var sent atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		lines := []byte(strings.Repeat(`{"before":1}`+"\n", 1<<13))
		for sent.Load() < 8*maxAnswer {
			n, err := w.Write(lines)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	client, err := NewClient(server.URL, "", testKey, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Preview(t.Context(), ofBranch("topic"), func(Progress) {}); err == nil || sent.Load() > 4*maxAnswer {
		t.Errorf("%v after %d bytes", err, sent.Load())
	}
}
