package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestRest: what runs took is given back when the last one under way has ended, and not
// before.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: time.Second, running: map[string]int{}, began: time.Now()}
		s.set(nil, Environment{Name: "production", Revision: "a"}, Environment{Name: "staging", Revision: "a", Schedule: "1 0 1 1 *"})
		rested := 0
		d, err := New(Options{Sources: []Source{{Poller: s, Runner: s, Poll: time.Hour}}, Log: discard(), Deadline: 10 * time.Minute, AtOnce: 2, UnreadyAfter: 15 * time.Minute, Rest: func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			rested++
			for name, n := range s.running {
				if n > 0 {
					t.Errorf("it rests while %s runs", name)
				}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = d.Run(ctx) }()
		for _, next := range []string{"staging", "production"} { // one after the other, and each beside the other
			after(500 * time.Millisecond)
			if _, err := d.RunNow(next); err != nil {
				t.Fatal(err)
			}
			after(500 * time.Millisecond)
		}
		after(5 * time.Second)
		if rested == 0 {
			t.Error("it never rests")
		}
		cancel()
		synctest.Wait()
	})
}
