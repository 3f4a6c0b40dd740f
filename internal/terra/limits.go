package terra

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	maxConcurrent = 50                // calls of one token at a time
	maxPause      = 120 * time.Second // the longest wait a server can ask for
)

// Limits is what all clients of a process share: one limiter per token, however
// many clients and base URLs use it, and which servers proved that they honour
// dry_run. It keeps fingerprints of tokens, never tokens.
type Limits struct {
	mu       sync.Mutex
	limiters map[fingerprint]*limiter
	proofs   map[server]*proof
}

// fingerprint stands for a token.
type fingerprint [sha256.Size]byte

// server is a base URL as one token sees it.
type server struct {
	base  string
	token fingerprint
}

// NewLimits returns an empty registry.
func NewLimits() *Limits {
	return &Limits{limiters: map[fingerprint]*limiter{}, proofs: map[server]*proof{}}
}

func (l *Limits) limiter(token string) *limiter {
	f := fingerprint(sha256.Sum256([]byte(token)))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limiters[f] == nil {
		l.limiters[f] = newLimiter()
	}
	return l.limiters[f]
}

func (l *Limits) proof(base, token string) *proof {
	s := server{base: base, token: sha256.Sum256([]byte(token))}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.proofs[s] == nil {
		l.proofs[s] = &proof{turn: make(chan struct{}, 1)}
	}
	return l.proofs[s]
}

// limiter holds back the calls of one token. It starts with no rate and 50 calls
// at a time, and learns: a 429 pauses every call of the token and halves how
// many run at a time, each success afterwards gives a little back; a server that
// announces how many mutations are left is not asked for more.
type limiter struct {
	slots   chan struct{} // one element per call that runs, and per retired slot
	silence silence

	mu        sync.Mutex
	until     time.Time // no call starts before
	spent     time.Time // until then no call is patient: one has been for as long as it may
	retired   int       // slots that are taken out of use
	debt      int       // slots to retire as soon as their calls end
	successes int       // since a slot was last given back
	mutating  int       // mutations that run now
	allowed   allowance // what the server announced about mutations
}

// allowance is what the X-RateLimit headers taught. While length is 0 they taught
// nothing and nothing is held back.
type allowance struct {
	left   int           // mutations that may still start before refill
	refill time.Time     // when left becomes limit again
	limit  int           // the most that a window was seen to allow
	length time.Duration // the longest window that was seen
}

func newLimiter() *limiter {
	return &limiter{slots: make(chan struct{}, maxConcurrent)}
}

// acquire waits until a call may start. Unless it errs, the caller must release.
// A mutation waits for its allowance before it takes a slot, so that mutations
// that wait never hold up reads.
func (l *limiter) acquire(ctx context.Context, mutation bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for mutation {
		wait := l.takeMutation(time.Now())
		if wait <= 0 {
			break
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		l.returnMutation(mutation, true)
		return ctx.Err()
	}
	for wait := l.paused(); wait > 0; wait = l.paused() {
		if err := sleep(ctx, wait); err != nil {
			l.returnMutation(mutation, true)
			l.freeSlot()
			return err
		}
	}
	return nil
}

// release ends a call that acquire let start.
func (l *limiter) release(mutation bool) {
	l.returnMutation(mutation, false)
	l.freeSlot()
}

func (l *limiter) paused() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}

// takeMutation counts a mutation in and returns 0, or returns how long to wait.
func (l *limiter) takeMutation(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.allowed.length > 0
	if known && !l.allowed.refill.After(now) {
		l.allowed.left, l.allowed.refill = l.allowed.limit, now.Add(l.allowed.length)
	}
	if known && l.allowed.left <= 0 {
		return l.allowed.refill.Sub(now)
	}
	l.allowed.left--
	l.mutating++
	return 0
}

func (l *limiter) returnMutation(mutation, unused bool) {
	if !mutation {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mutating--
	if unused {
		l.allowed.left++
	}
}

// freeSlot lets the next call in, or retires the slot if one is owed.
func (l *limiter) freeSlot() {
	l.mu.Lock()
	retire := l.debt > 0
	if retire {
		l.debt--
		l.retired++
	}
	l.mu.Unlock()
	if !retire {
		<-l.slots
	}
}

// refused learns from a 429: nothing starts for d.
func (l *limiter) refused(now time.Time, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.until.After(now) // the other calls of the same burst teach nothing new
	if end := now.Add(min(d, maxPause)); end.After(l.until) {
		l.until = end
	}
	if !first {
		return
	}
	l.successes = 0
	open := maxConcurrent - l.retired - l.debt
	l.debt += open / 2
}

// isSpent tells whether a call gives up at its first 429, because another one
// waited for as long as a call may, and none has succeeded since.
func (l *limiter) isSpent(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.spent)
}

func (l *limiter) spend(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spent = now.Add(silenceLasts)
}

// succeeded learns from an answer that was not refused: after as many of them as
// run at a time, one more may run.
func (l *limiter) succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spent = time.Time{}
	if l.retired+l.debt == 0 {
		return
	}
	l.successes++
	if l.successes < maxConcurrent-l.retired-l.debt {
		return
	}
	l.successes = 0
	if l.debt > 0 {
		l.debt--
		return
	}
	l.retired--
	<-l.slots
}

// hint learns from the X-RateLimit headers of a mutation's answer.
func (l *limiter) hint(now time.Time, r rateHint) {
	if !r.known {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	left := r.remaining - (l.mutating - 1) // the others may not be counted yet
	if l.allowed.refill.After(now) {
		left = min(left, l.allowed.left)
	}
	reset := min(r.reset, maxPause)
	l.allowed = allowance{
		left: left, refill: now.Add(reset),
		limit: max(r.limit, r.remaining+1, l.allowed.limit), length: max(reset, l.allowed.length),
	}
}

// sleep waits for d, or less if the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
