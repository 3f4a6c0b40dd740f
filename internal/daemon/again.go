package daemon

import "time"

const (
	firstAgain = time.Minute
	lastAgain  = time.Hour
)

// again is when a run that failed is tried once more, whatever its schedule says:
// soon at first, then after twice as long each time, until one has not failed.
type again struct {
	timer *time.Timer
	after time.Duration
	at    time.Time // zero: the last run has not failed
}

func newAgain() *again {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &again{timer: t}
}

// note takes how a run ended.
func (a *again) note(failed bool) {
	a.timer.Stop()
	if !failed {
		a.after, a.at = 0, time.Time{}
		return
	}
	a.after = max(firstAgain, min(2*a.after, lastAgain))
	a.at = time.Now().Add(a.after)
	a.timer.Reset(a.after)
}

func (a *again) fires() <-chan time.Time { return a.timer.C }

func (a *again) stop() { a.timer.Stop() }

// earlier is the first of two moments that come.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
