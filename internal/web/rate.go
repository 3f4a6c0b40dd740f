package web

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates bound how often something happens: by one address, and at all.
type rates struct {
	every rate.Limit
	burst int
	all   *rate.Limiter

	mu    sync.Mutex
	each  map[string]*rate.Limiter
	swept time.Time // when those who ask no more were last forgotten
}

// maxAddresses is how many are told apart; those of all the others count together.
const maxAddresses = 1024

func newRates(each float64, eachBurst int, all float64, allBurst int) *rates {
	return &rates{every: rate.Limit(each), burst: eachBurst, all: rate.NewLimiter(rate.Limit(all), allBurst), each: map[string]*rate.Limiter{}}
}

func (l *rates) of(who string, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one, known := l.each[who]; known {
		return one
	}
	if len(l.each) >= maxAddresses && now.Sub(l.swept) >= time.Second {
		l.swept = now
		for other, one := range l.each {
			if one.TokensAt(now) >= float64(l.burst) {
				delete(l.each, other)
			}
		}
	}
	if len(l.each) >= maxAddresses {
		who = ""
		if one, known := l.each[who]; known {
			return one
		}
	}
	one := rate.NewLimiter(l.every, l.burst)
	l.each[who] = one
	return one
}

// own counts what something costs against one address.
func (l *rates) own(who string, cost int, now time.Time) bool {
	return l.of(who, now).AllowN(now, cost)
}

// shared counts what something costs against all addresses together.
func (l *rates) shared(cost int, now time.Time) bool { return l.all.AllowN(now, cost) }

// count counts one against both.
func (l *rates) count(who string, now time.Time) {
	if l.own(who, 1, now) {
		l.shared(1, now)
	}
}

// left tells whether one more would be let pass, and counts nothing. What others do keeps
// nobody out who did nothing lately: else whoever has many addresses could keep out all.
func (l *rates) left(who string, now time.Time) bool {
	own := l.of(who, now).TokensAt(now)
	return own >= 1 && l.all.TokensAt(now) >= 1 || own >= float64(l.burst)
}
