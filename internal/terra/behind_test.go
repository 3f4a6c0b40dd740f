package terra

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestCallsBehindOthers: calls that go behind others take few places, and none of the
// others waits for more than one of them.
func TestCallsBehindOthers(t *testing.T) {
	g := &gauge{delay: time.Second, answer: func(int) *http.Response { return replyJSON(meJSON) }}
	d := took(t, func(t *testing.T) {
		limits := NewLimits()
		behind := newClient(t, g, func(o *Options) { o.Limits, o.ReadOnly = limits.Behind(), true })
		callAll(t, 20, func(ctx context.Context, _ int) error { _, err := behind.Me(ctx); return err })
	})
	if g.most.Load() != maxBehind || d != 3*time.Second {
		t.Errorf("at most %d at a time, 20 calls in %v; want %d and 3 s", g.most.Load(), d, maxBehind)
	}

	const live = 100
	alone := func(t *testing.T, limits *Limits) time.Duration {
		c := newClient(t, &gauge{delay: 10 * time.Millisecond, answer: func(int) *http.Response { return replyJSON(meJSON) }}, func(o *Options) { o.Limits = limits })
		began := time.Now()
		callAll(t, live, func(ctx context.Context, _ int) error { _, err := c.Me(ctx); return err })
		return time.Since(began)
	}
	var quiet, beside time.Duration
	var overtaken int64
	synctest.Test(t, func(t *testing.T) { quiet = alone(t, NewLimits()) })
	synctest.Test(t, func(t *testing.T) {
		limits := NewLimits()
		g := &gauge{delay: 10 * time.Millisecond, answer: func(int) *http.Response { return replyJSON(meJSON) }}
		behind := newClient(t, g, func(o *Options) { o.Limits, o.ReadOnly = limits.Behind(), true })
		newClient(t, g, func(o *Options) { o.Limits = limits }).limits.limiter(testToken).begin()
		var wg sync.WaitGroup
		wg.Go(func() {
			callAll(t, 300, func(ctx context.Context, _ int) error { _, err := behind.Me(ctx); return err })
		})
		time.Sleep(2 * time.Second)
		before := g.count.Load()
		beside = alone(t, limits)
		overtaken = g.count.Load() - before
		wg.Wait()
	})
	if overtaken > 2 || beside > quiet+time.Second {
		t.Errorf("%d calls behind others began before them, which took %v instead of %v", overtaken, beside, quiet)
	}
}

// TestCallsBehindOthersLeaveMutations: half of what a server allows is for those in front.
func TestCallsBehindOthersLeaveMutations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := NewLimits()
		behind, l := limits.Behind(), limits.limiter(testToken)
		l.allowed = allowance{left: 20, limit: 20, length: time.Minute, refill: time.Now().Add(time.Minute)}
		began := time.Now()
		for range 10 {
			if err := behind.start(t.Context(), l, true, true); err != nil {
				t.Fatal(err)
			}
			behind.end(l, true)
		}
		if time.Since(began) != 0 {
			t.Errorf("the first ten took %v", time.Since(began))
		}
		for range 10 {
			if err := limits.start(t.Context(), l, true, false); err != nil {
				t.Fatal(err)
			}
			if limits.end(l, true); time.Since(began) != 0 {
				t.Fatalf("a call in front waited for %v", time.Since(began))
			}
			l.allowed.left++ // as if it were the eleventh again
		}
		if err := behind.start(t.Context(), l, true, true); err != nil || time.Since(began) != time.Minute {
			t.Errorf("the eleventh came after %v, %v; want a minute", time.Since(began), err)
		}
		behind.end(l, true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l.count(+1)
		if err := behind.start(ctx, l, false, false); err == nil {
			t.Error("a call behind others went before one that waits")
		}
		if len(l.spare) != 0 || len(l.behind) != 0 {
			t.Error("a place was kept")
		}
	})
}
