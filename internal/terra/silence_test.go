package terra

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hanging answers nothing until the caller gives up.
func hanging(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestSilentServerIsWaitedForOnce calls a server that takes every call and answers
// none, and then one that answers again.
func TestSilentServerIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := false
		server := &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
			if answers {
				return replyJSON(meJSON), nil
			}
			return hanging(r)
		}}
		c := newClient(t, server)
		took := func(call func() error, want string) time.Duration {
			t.Helper()
			began := time.Now()
			if err := call(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q in it", err, want)
			}
			return time.Since(began)
		}
		read := func() error { _, err := c.Me(t.Context()); return err }
		write := func() error { return c.DeleteDomain(t.Context(), "dev-1", "strava", NewIdempotencyKey()) }
		if d := took(read, "within 30 s"); d < 90*time.Second || d > 92*time.Second {
			t.Errorf("the first read waited %v, want three times 30 s", d)
		}
		for range 3 {
			if d := took(read, "within 10 s"); d != silentWait {
				t.Errorf("a later read waited %v, want %v", d, silentWait)
			}
		}
		sent := len(server.requests())
		if d := took(write, "not sent"); d != 0 || len(server.requests()) != sent {
			t.Errorf("a write was sent, or waited %v", d)
		}
		answers = true
		if err := read(); err != nil {
			t.Errorf("it answers again: %v", err)
		}
		answers = false
		if d := took(write, "whether it happened is unknown"); d < 90*time.Second {
			t.Errorf("a write after an answer waited %v", d)
		}
		time.Sleep(silenceLasts)
		if d := took(read, "within 30 s"); d < 90*time.Second {
			t.Errorf("a read after the silence lasted waited %v", d)
		}
	})
}

// trickle is the body of a server that sends one byte a second.
type trickle struct {
	ctx  context.Context
	text string
}

func (b *trickle) Read(p []byte) (int, error) {
	if err := sleep(b.ctx, time.Second); err != nil {
		return 0, err
	}
	if b.text == "" {
		return 0, io.EOF
	}
	p[0], b.text = b.text[0], b.text[1:]
	return 1, nil
}

func (*trickle) Close() error { return nil }

// TestAnAnswerIsHeardWhenItIsWhole: a server that sends one byte a second has
// answered nothing, however soon its headers came. It does not keep a run.
func TestAnAnswerIsHeardWhenItIsWhole(t *testing.T) {
	server := &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
		response := reply(200, mediaJSON, "")
		response.Body = &trickle{r.Context(), meJSON}
		return response, nil
	}}
	d := took(t, func(t *testing.T) {
		c := newClient(t, server)
		for range 20 {
			if _, err := c.Me(t.Context()); err == nil || !strings.Contains(err.Error(), "no whole answer came back within") {
				t.Errorf("error %v", err)
			}
		}
		err := c.DeleteDomain(t.Context(), "dev-1", "strava", NewIdempotencyKey())
		if err == nil || !strings.Contains(err.Error(), "not sent") {
			t.Errorf("a write: %v", err)
		}
	})
	if d > 6*time.Minute {
		t.Errorf("twenty reads took %v", d)
	}
}

// TestOneSlowOperationIsNoSilence lets one operation hang while others answer.
func TestOneSlowOperationIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
			if r.Method == http.MethodDelete {
				return hanging(r)
			}
			return replyJSON(meJSON), nil
		}}
		c := newClient(t, server)
		go func() {
			time.Sleep(time.Minute)
			if _, err := c.Me(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		for range 2 {
			if err := c.DeleteDomain(t.Context(), "dev-1", "strava", NewIdempotencyKey()); err == nil || !as[*AmbiguousError](err) {
				t.Errorf("error %v, want that it is unknown", err)
			}
		}
		if n := len(server.requests()); n != 7 {
			t.Errorf("%d requests, want each write three times and the read", n)
		}
	})
}

// TestPatienceIsSpentOnce calls a server that asks every call for patience.
func TestPatienceIsSpentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := true
		server := &fakeServer{answer: func(int, *http.Request, string) (*http.Response, error) {
			if busy {
				return replyProblem(429, CodeRateLimited, "Retry-After", "1"), nil
			}
			return replyJSON(meJSON), nil
		}}
		c := newClient(t, server)
		took := func() time.Duration {
			began := time.Now()
			if _, err := c.Me(t.Context()); err == nil {
				t.Error("no error, want the refusal")
			}
			return time.Since(began)
		}
		if d := took(); d < maxPause/2 {
			t.Errorf("the first call gave up after %v", d)
		}
		for range 3 {
			if d := took(); d > backoffCap {
				t.Errorf("a later call was patient for %v", d)
			}
		}
		busy = false
		if _, err := c.Me(t.Context()); err != nil {
			t.Errorf("it answers again: %v", err)
		}
		busy = true
		if d := took(); d < maxPause/2 {
			t.Errorf("a call after an answer gave up after %v", d)
		}
	})
}
