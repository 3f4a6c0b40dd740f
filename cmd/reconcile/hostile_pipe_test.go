package main

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
			synctest.Test(t, func(t *testing.T) {
				ctx, tell := context.WithCancel(t.Context())
				defer tell()
				var ended atomic.Bool
				endLate(ctx, time.Second, func() { ended.Store(true) })
				if c.told {
					tell()
				}
				time.Sleep(time.Second - time.Nanosecond)
				if synctest.Wait(); ended.Load() {
					t.Error("ended before its time")
				}
				time.Sleep(time.Hour)
				if got := ended.Load(); got != c.want {
					t.Errorf("ended: %t", got)
				}
			})
		})
	}
}
