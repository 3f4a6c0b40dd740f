package terra

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	backoffBase = 250 * time.Millisecond
	backoffCap  = 20 * time.Second
)

// verdict is what to do after an attempt that did not succeed.
type verdict int

const (
	giveUp  verdict = iota // the answer will not change
	tryOn                  // a fault that can pass
	holdOff                // the server asked for patience (429)
	refresh                // the token was refused; another one may work
)

// outcome is one attempt.
type outcome struct {
	answer answer
	err    error
	then   verdict
	lost   bool          // sent, and the effect is unknown
	after  time.Duration // what Retry-After asked for
}

// do makes the call: guards, then attempts. Every error of a write that may have
// happened is an AmbiguousError.
func (c *Client) do(ctx context.Context, k call) (answer, error) {
	if err := k.check(); err != nil {
		return answer{}, err
	}
	if c.readOnly && k.commits() {
		return answer{}, &ReadOnlyError{Operation: k.op.id, Action: k.action()}
	}
	token, err := c.tokens.current()
	if err != nil {
		return answer{}, err
	}
	var lost bool
	began, limiter := time.Now(), c.limits.limiter(token)
	var patience time.Duration // spent on 429
	for failures, tries := 0, 0; ; tries++ {
		o := c.attempt(ctx, k, token)
		if o.err == nil {
			return o.answer, nil
		}
		lost = lost || o.lost
		if o.then == refresh {
			fresh, ok := c.tokens.newer(token)
			if !ok || tries > c.maxAttempts {
				return answer{}, k.settle(o.err, lost)
			}
			token = fresh
			continue
		}
		wait := o.after + backoff(tries)
		switch {
		case o.then == giveUp, o.after > maxPause:
			if timedOut(o.err) {
				limiter.silence.waitedInVain(began, time.Now())
			}
			return answer{}, k.settle(o.err, lost)
		case o.then == holdOff:
			if limiter.isSpent(time.Now()) {
				return answer{}, k.settle(o.err, lost)
			}
			if patience += wait; patience > maxPause {
				limiter.spend(time.Now())
				return answer{}, k.settle(o.err, lost)
			}
		default:
			if failures += cost(o.err); failures >= c.maxAttempts {
				if timedOut(o.err) {
					limiter.silence.waitedInVain(began, time.Now())
				}
				return answer{}, k.settle(o.err, lost)
			}
		}
		if err := sleep(ctx, wait); err != nil {
			return answer{}, k.settle(k.interrupted(err), lost)
		}
	}
}

// cost is how many attempts a failure counts for: waiting in vain for a server
// that hangs is dear.
func cost(err error) int {
	if timedOut(err) {
		return 2
	}
	return 1
}

// settle is the error of the whole call: once a write may have happened, nothing
// that a later attempt was told makes that certain again.
func (k call) settle(err error, lost bool) error {
	if lost && k.commits() {
		return &AmbiguousError{Operation: k.op.id, Action: k.action(), Err: err}
	}
	return err
}

// interrupted is the error of a call that the caller ended.
func (k call) interrupted(err error) error {
	reason := "canceled"
	if errors.Is(err, context.DeadlineExceeded) {
		reason = "the run's deadline passed"
	}
	return &ConnectionError{Operation: k.op.id, Action: k.action(), Reason: reason, Timeout: reason != "canceled", err: err}
}

// backoff is capped and exponential with full jitter: anything between nothing
// and 250 ms, 500 ms, 1 s … 20 s.
func backoff(tries int) time.Duration {
	most := backoffCap
	if tries < 16 {
		most = min(backoffBase<<tries, backoffCap)
	}
	return rand.N(most) //nolint:gosec // spreads retries, guards nothing
}

// retryAfter reads the header: seconds, or a date. 0 is none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return clampSeconds(seconds)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// rateHint is what a mutation's answer says about its rate limit.
type rateHint struct {
	known     bool
	remaining int
	limit     int           // 0: not said
	reset     time.Duration // from now
}

// readRateHint reads X-RateLimit-Remaining and -Reset, which are both needed, and
// -Limit. The names are not promised, so anything odd is no hint. A reset above 86,400 is
// epoch seconds, else seconds from now.
func readRateHint(header http.Header, now time.Time) rateHint {
	remaining, err := strconv.Atoi(strings.TrimSpace(header.Get("X-RateLimit-Remaining")))
	if err != nil || remaining < 0 {
		return rateHint{}
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(header.Get("X-RateLimit-Reset")), 10, 64)
	if err != nil || seconds < 0 {
		return rateHint{}
	}
	reset := clampSeconds(seconds)
	if seconds > 86_400 {
		reset = time.Unix(seconds, 0).Sub(now)
	}
	if reset <= 0 {
		return rateHint{}
	}
	limit, err := strconv.Atoi(strings.TrimSpace(header.Get("X-RateLimit-Limit")))
	if err != nil || limit < 0 {
		limit = 0
	}
	return rateHint{known: true, remaining: min(remaining, manyMutations), limit: min(limit, manyMutations), reset: reset}
}

// manyMutations is as good as no limit.
const manyMutations = 1_000_000

// clampSeconds bounds what a server can ask for to what a duration can hold.
func clampSeconds(seconds int64) time.Duration {
	const year = 366 * 24 * 3600
	return time.Duration(max(0, min(seconds, year))) * time.Second
}
