package daemon

import (
	"testing"
	"time"
)

// TestPollsAreSpread: a tenth around what is asked for, never more, and health waits for it.
func TestPollsAreSpread(t *testing.T) {
	t.Parallel()
	for spread, want := range map[float64]time.Duration{0: 9 * time.Hour, 0.5: 10 * time.Hour, 1: 11 * time.Hour, -7: 9 * time.Hour, 7: 11 * time.Hour} {
		d := &Daemon{o: Options{Poll: 10 * time.Hour, Spread: func() float64 { return spread }}}
		if got := d.untilPoll(); got != want {
			t.Errorf("%v gave %s, want %s", spread, got, want)
		}
	}
	if got := (&Daemon{o: Options{Poll: time.Hour}}).untilPoll(); got != time.Hour {
		t.Errorf("without a spread it is %s", got)
	}
}
