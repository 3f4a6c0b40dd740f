package main

import (
	"context"
	"testing"
	"time"
)

// TestHostilePipe: what keeps a process from ending by itself does not keep it.
func TestHostilePipe(t *testing.T) {
	for _, c := range []struct {
		attack string
		told   bool
		want   bool
	}{
		{attack: "a pipe that nobody writes to, and a process that is told to end", told: true, want: true},
		{attack: "a pipe that is only slow", told: false, want: false},
	} {
		t.Run(c.attack, func(t *testing.T) {
			ctx, tell := context.WithCancel(t.Context())
			defer tell()
			ended := make(chan struct{})
			endLate(ctx, 10*time.Millisecond, func() { close(ended) })
			if c.told {
				tell()
			}
			wait := 100 * time.Millisecond
			if c.want {
				wait = 10 * time.Second
			}
			got := false
			select {
			case <-ended:
				got = true
			case <-time.After(wait):
			}
			if got != c.want {
				t.Errorf("ended: %t", got)
			}
		})
	}
}
