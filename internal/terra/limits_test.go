package terra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// gauge answers after a delay and notes how many requests ran at a time.
type gauge struct {
	delay  time.Duration
	answer func(n int) *http.Response

	now, most, count atomic.Int64
}

func (g *gauge) RoundTrip(r *http.Request) (*http.Response, error) {
	n := g.count.Add(1)
	now := g.now.Add(1)
	defer g.now.Add(-1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	if err := sleep(r.Context(), g.delay); err != nil {
		return nil, err
	}
	return g.answer(int(n)), nil
}

func TestFiftyCallsOfATokenAtATime(t *testing.T) {
	g := &gauge{delay: time.Second, answer: func(int) *http.Response { return replyJSON(meJSON) }}
	d := took(t, func(t *testing.T) {
		limits := NewLimits()
		a := newClient(t, g, func(o *Options) { o.Limits = limits })
		b := newClient(t, g, func(o *Options) { o.Limits, o.ReadOnly, o.BaseURL = limits, true, "https://other.test" })
		callAll(t, 100, func(ctx context.Context, i int) error {
			_, err := []*Client{a, b}[i%2].Me(ctx)
			return err
		})
	})
	if g.most.Load() != 50 || d != 2*time.Second {
		t.Errorf("at most %d at a time, 100 calls in %v; want 50 and 2 s", g.most.Load(), d)
	}
}

func TestTokensDoNotShareALimit(t *testing.T) {
	g := &gauge{delay: time.Second, answer: func(int) *http.Response { return replyJSON(meJSON) }}
	took(t, func(t *testing.T) {
		limits := NewLimits()
		a := newClient(t, g, func(o *Options) { o.Limits = limits })
		b := newClient(t, g, func(o *Options) {
			o.Limits, o.Token = limits, func() (string, error) { return "terra_at_other", nil }
		})
		callAll(t, 100, func(ctx context.Context, i int) error { _, err := []*Client{a, b}[i%2].Me(ctx); return err })
	})
	if g.most.Load() != 100 {
		t.Errorf("at most %d at a time, want 100", g.most.Load())
	}
}

func callAll(t *testing.T, n int, call func(context.Context, int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := call(t.Context(), i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestRefusalPausesTheToken: while one call waits for Retry-After, others do not
// even start.
func TestRefusalPausesTheToken(t *testing.T) {
	var times []time.Duration
	var mu sync.Mutex
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		server := &fakeServer{answer: func(n int, _ *http.Request, _ string) (*http.Response, error) {
			mu.Lock()
			times = append(times, time.Since(start))
			mu.Unlock()
			if n == 0 {
				return replyProblem(429, CodeRateLimited, "Retry-After", "10"), nil
			}
			return replyJSON(meJSON), nil
		}}
		c := newClient(t, server)
		callAll(t, 6, func(ctx context.Context, i int) error {
			time.Sleep(time.Duration(i) * time.Second)
			_, err := c.Me(ctx)
			return err
		})
	})
	for i, at := range times[1:] {
		if at < 10*time.Second || at > 11*time.Second {
			t.Errorf("request %d left after %v, want 10 s to 11 s", i+1, at)
		}
	}
	if len(times) != 7 {
		t.Errorf("%d requests, want 7", len(times))
	}
}

// TestRateLimitedServer runs 200 calls against a server that allows ten a second:
// all end well, and the client learns to send few in vain.
func TestRateLimitedServer(t *testing.T) {
	var refused atomic.Int64
	var d time.Duration
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		window, used := int64(-1), 0
		g := &gauge{delay: 50 * time.Millisecond, answer: func(int) *http.Response {
			mu.Lock()
			defer mu.Unlock()
			if now := int64(time.Since(start) / time.Second); now != window {
				window, used = now, 0
			}
			if used++; used > 10 {
				refused.Add(1)
				return replyProblem(429, CodeRateLimited, "Retry-After", "1")
			}
			return replyJSON(meJSON)
		}}
		c := newClient(t, g)
		callAll(t, 200, func(ctx context.Context, _ int) error { _, err := c.Me(ctx); return err })
		d = time.Since(start)
	})
	if refused.Load() > 200 {
		t.Errorf("%d requests were refused for 200 calls", refused.Load())
	}
	if d > 90*time.Second {
		t.Errorf("200 calls at ten a second took %v", d)
	}
	t.Logf("%d refused, %v", refused.Load(), d)
}

// TestMutationsRespectTheAnnouncedRest: a server that says how many mutations are
// left is never asked for more, and reads go on meanwhile.
func TestMutationsRespectTheAnnouncedRest(t *testing.T) {
	var refused, sent atomic.Int64
	var readTook, all time.Duration
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		window, used := int64(-1), 0
		server := &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
			time.Sleep(10 * time.Millisecond)
			if r.Method == http.MethodGet {
				return replyJSON(meJSON), nil
			}
			mu.Lock()
			defer mu.Unlock()
			sent.Add(1)
			since := time.Since(start)
			if now := int64(since / time.Minute); now != window {
				window, used = now, 0
			}
			used++
			reset := fmt.Sprint(int64((time.Minute - since%time.Minute + time.Second - 1) / time.Second))
			if used > 20 {
				refused.Add(1)
				return replyProblem(429, CodeRateLimited, "Retry-After", reset), nil
			}
			return reply(204, "", "", "X-RateLimit-Limit", "20", "X-RateLimit-Remaining", fmt.Sprint(20-used), "X-RateLimit-Reset", reset), nil
		}}
		c := newClient(t, server)
		disable := func(ctx context.Context, i int) error {
			return c.DisableSource(ctx, "dev-1", fmt.Sprint("p", i), NewIdempotencyKey())
		}
		if err := disable(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { callAll(t, 80, disable) })
		time.Sleep(5 * time.Second)
		before := time.Now()
		if _, err := c.Me(t.Context()); err != nil {
			t.Error(err)
		}
		readTook = time.Since(before)
		wg.Wait()
		all = time.Since(start)
	})
	if refused.Load() != 0 || sent.Load() != 81 {
		t.Errorf("%d of %d mutations were refused, want 0 of 81", refused.Load(), sent.Load())
	}
	if readTook > time.Second {
		t.Errorf("a read waited %v behind mutations", readTook)
	}
	if all > 5*time.Minute {
		t.Errorf("81 mutations at 20 a minute took %v", all)
	}
}

func TestLimiterShrinksAndGrows(t *testing.T) {
	l := newLimiter()
	now := time.Now()
	for i := range 10 {
		now = now.Add(time.Hour)
		l.refused(now, time.Second)
		l.refused(now, time.Second) // the same burst
		if i == 0 && l.debt != maxConcurrent/2 {
			t.Errorf("one burst of refusals takes %d slots, want %d", l.debt, maxConcurrent/2)
		}
		for l.debt > 0 {
			if err := l.acquireNow(t); err != nil {
				t.Fatal(err)
			}
			l.release(false)
		}
	}
	if open := maxConcurrent - l.retired; open != 1 {
		t.Errorf("after ten refusals %d may run at a time, want 1", open)
	}
	for range 50 * 51 {
		l.succeeded()
	}
	if l.retired != 0 || len(l.slots) != 0 {
		t.Errorf("after many successes %d slots are retired and %d taken", l.retired, len(l.slots))
	}
}

// acquireNow takes a slot without regard to a pause.
func (l *limiter) acquireNow(t *testing.T) error {
	t.Helper()
	l.mu.Lock()
	l.until = time.Time{}
	l.mu.Unlock()
	return l.acquire(t.Context(), false)
}

func TestWaitingForASlotEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		for range maxConcurrent {
			if err := l.acquire(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.acquire(ctx, true); !errors.Is(err, context.DeadlineExceeded) || l.mutating != 0 {
			t.Errorf("%v with %d mutations counted", err, l.mutating)
		}
	})
}
