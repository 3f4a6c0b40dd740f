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

	"golang.org/x/time/rate"
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
		a := newClient(t, g, func(o *Options) { o.Limits, o.ReadOnly = limits, true })
		b := newClient(t, g, func(o *Options) { o.Limits, o.ReadOnly, o.BaseURL = limits, true, "https://other.test" })
		callAll(t, 100, func(ctx context.Context, i int) error {
			_, err := []*Client{a, b}[i%2].Me(ctx)
			return err
		})
	})
	if g.most.Load() != 64 || d != 2*time.Second {
		t.Errorf("at most %d at a time, 100 calls in %v; want 64 and 2 s", g.most.Load(), d)
	}
}

func TestTokensDoNotShareALimit(t *testing.T) {
	g := &gauge{delay: time.Second, answer: func(int) *http.Response { return replyJSON(meJSON) }}
	took(t, func(t *testing.T) {
		limits := NewLimits()
		a := newClient(t, g, func(o *Options) { o.Limits, o.ReadOnly = limits, true })
		b := newClient(t, g, func(o *Options) {
			o.Limits, o.ReadOnly, o.Token = limits, true, func() (string, error) { return "terra_at_other", nil }
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

// TestUnannouncedLimit meets a server that allows so many calls a second and says so
// to nobody: the client learns the pace, so fewer than one call in twenty is refused,
// and still makes good use of what is allowed.
func TestUnannouncedLimit(t *testing.T) {
	for _, test := range []struct {
		name          string
		allowed       int // a second
		latency       time.Duration
		reads, writes int // 8 at a time, each followed by a read
		most          time.Duration
		readOnly      bool
	}{
		{"first apply at 20", 20, 20 * time.Millisecond, 2, 300, 60 * time.Second, false},
		{"first apply at 20, slow", 20, 150 * time.Millisecond, 2, 300, 60 * time.Second, false},
		{"many reads at 20", 20, 50 * time.Millisecond, 2000, 0, 200 * time.Second, false},
		{"many reads of a dry run at 20", 20, 50 * time.Millisecond, 2000, 0, 200 * time.Second, true},
		{"many reads at 200", 200, 50 * time.Millisecond, 5000, 0, 120 * time.Second, false},
		{"many writes at 5", 5, 20 * time.Millisecond, 0, 200, 200 * time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var refused, sent atomic.Int64
			d := took(t, func(t *testing.T) {
				start := time.Now()
				var mu sync.Mutex
				window, used := int64(-1), 0
				c := newClient(t, &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
					_ = sleep(r.Context(), test.latency/2)
					mu.Lock()
					if now := int64(time.Since(start) / time.Second); now != window {
						window, used = now, 0
					}
					used++
					over := used > test.allowed
					mu.Unlock()
					_ = sleep(r.Context(), test.latency/2)
					sent.Add(1)
					switch {
					case over:
						refused.Add(1)
						return replyProblem(429, CodeRateLimited, "Retry-After", "1"), nil
					case r.Method == http.MethodGet:
						return replyJSON(meJSON), nil
					}
					return reply(204, "", ""), nil
				}}, func(o *Options) { o.ReadOnly = test.readOnly })
				read := func(ctx context.Context, _ int) error { _, err := c.Me(ctx); return err }
				callAll(t, test.reads, read)
				eight := make(chan struct{}, 8)
				callAll(t, test.writes, func(ctx context.Context, i int) error {
					eight <- struct{}{}
					defer func() { <-eight }()
					return errors.Join(c.DisableSource(ctx, "dev-1", fmt.Sprint("p", i), NewIdempotencyKey()), read(ctx, i))
				})
			})
			share := float64(refused.Load()) / float64(sent.Load())
			t.Logf("%d of %d calls refused (%.1f%%) in %v", refused.Load(), sent.Load(), 100*share, d)
			if share >= 0.05 || refused.Load() == 0 {
				t.Errorf("%d of %d calls were refused, want some and fewer than 5%%", refused.Load(), sent.Load())
			}
			if d > test.most {
				t.Errorf("took %v, want at most %v", d, test.most)
			}
		})
	}
}

// TestPaceWithoutALimit: where nobody asks for patience, a hundred reads of a dry run wait
// for no pace, those of a client that can write two seconds, and three hundred writes a
// second or two.
func TestPaceWithoutALimit(t *testing.T) {
	for _, test := range []struct {
		name          string
		readOnly      bool
		reads, writes int
		most          time.Duration
	}{
		{"reads of a dry run", true, 100, 0, 40 * time.Millisecond},
		{"reads", false, 100, 0, 2 * time.Second},
		{"writes", false, 0, 300, 3 * time.Second},
	} {
		d := took(t, func(t *testing.T) {
			c := newClient(t, &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
				_ = sleep(r.Context(), 20*time.Millisecond)
				if r.Method == http.MethodGet {
					return replyJSON(meJSON), nil
				}
				return reply(204, "", ""), nil
			}}, func(o *Options) { o.ReadOnly = test.readOnly })
			callAll(t, test.reads, func(ctx context.Context, _ int) error { _, err := c.Me(ctx); return err })
			callAll(t, test.writes, func(ctx context.Context, i int) error {
				return c.DisableSource(ctx, "dev-1", fmt.Sprint("p", i), NewIdempotencyKey())
			})
		})
		t.Logf("%s: %v", test.name, d)
		if d > test.most {
			t.Errorf("%s took %v, want at most %v", test.name, d, test.most)
		}
	}
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

func TestPaceFallsAndGrows(t *testing.T) {
	l := newLimiter()
	now := time.Now()
	for range 10 {
		l.succeeded()
	}
	if got := l.calls.rate.Limit(); got != rate.Inf {
		t.Errorf("before a call that may write there is a pace of %v", got)
	}
	l.begin()
	if got := l.calls.rate.Limit(); got != careful {
		t.Errorf("the first pace is %v, want %v", got, careful)
	}
	for range 1000 {
		l.succeeded()
	}
	if l.begin(); l.calls.rate.Limit() < 1000 {
		t.Errorf("a thousand answers later it is %v a second", l.calls.rate.Limit())
	}
	l.refused(now, time.Second)
	l.refused(now, time.Second) // the same burst
	if got := l.calls.rate.Limit(); got != careful || l.calls.rate.Burst() != 1 {
		t.Errorf("after the first refusals the pace is %v with bursts of %d, want %v and 1", got, l.calls.rate.Burst(), careful)
	}
	for range 100 {
		l.succeeded()
	}
	if got := l.calls.rate.Limit(); got < 2*careful-1 || got > 2*careful+1 {
		t.Errorf("a hundred successes later it is %v, want %v", got, 2*careful)
	}
	for i := range 20 {
		l.refused(now.Add(time.Duration(i+1)*time.Hour), time.Second)
	}
	if got := l.calls.rate.Limit(); got != slowest {
		t.Errorf("after many refusals it is %v, want %v", got, slowest)
	}
}

func TestWaitingForASlotEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		for range maxConcurrent {
			if err := l.acquire(t.Context(), false, false); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.acquire(ctx, true, false); !errors.Is(err, context.DeadlineExceeded) || l.mutating != 0 {
			t.Errorf("%v with %d mutations counted", err, l.mutating)
		}
	})
}

// TestNoServerStretchesARun: what Terra says about waiting, however long, ends with the
// deadline of the run.
func TestNoServerStretchesARun(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func() *http.Response
		write  bool
	}{
		{"nothing remains", func() *http.Response {
			return reply(204, "", "", "X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", fmt.Sprint(time.Now().Add(100*time.Second).Unix()))
		}, true},
		{"nothing remains for a year", func() *http.Response {
			return reply(204, "", "", "X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", fmt.Sprint(time.Now().AddDate(1, 0, 0).Unix()))
		}, true},
		{"a write has to wait", func() *http.Response { return replyProblem(429, CodeRateLimited, "Retry-After", "100") }, true},
		{"a read has to wait", func() *http.Response { return replyProblem(503, CodeServiceUnavailable, "Retry-After", "100") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newClient(t, &fakeServer{answer: func(int, *http.Request, string) (*http.Response, error) { return c.answer(), nil }})
				const deadline = 70 * time.Second
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				began := time.Now()
				var err error
				for range 3 {
					if c.write {
						err = client.DeleteDomain(ctx, "dev-1", "strava", NewIdempotencyKey())
					} else {
						_, err = client.Me(ctx)
					}
				}
				if d := time.Since(began); d > deadline || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("it ended after %v with %v", d, err)
				}
			})
		})
	}
}
