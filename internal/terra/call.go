package terra

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
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
	status int           // of the answer; 0: none came whole
	unsent bool          // kept back from a server that answers nothing
	waited time.Duration // until it could leave
	took   time.Duration // from there
	// remaining is what the server announced about mutations; nil where it did not.
	remaining *int
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
			c.tell(ctx, k, o, tries, 0)
			return o.answer, nil
		}
		lost = lost || o.lost
		if o.then == refresh {
			c.tell(ctx, k, o, tries, 0)
			fresh, ok := c.tokens.newer(token)
			if !ok || tries > c.maxAttempts {
				return answer{}, k.finish(o.err, lost)
			}
			token = fresh
			continue
		}
		wait, again := o.after+backoff(tries), true
		switch {
		case o.then == giveUp, o.after > maxPause:
			again = false
			if timedOut(o.err) {
				limiter.silence.waitedInVain(began, time.Now())
			}
		case o.then == holdOff:
			if limiter.isSpent(time.Now()) {
				again = false
			} else if patience += wait; patience > maxPause {
				again = false
				limiter.spend(time.Now())
			}
		default:
			if failures += cost(o.err); failures >= c.maxAttempts {
				again = false
				if timedOut(o.err) {
					limiter.silence.waitedInVain(began, time.Now())
				}
			}
		}
		if !again {
			c.tell(ctx, k, o, tries, 0)
			return answer{}, k.finish(o.err, lost)
		}
		c.tell(ctx, k, o, tries, wait)
		if err := sleep(ctx, wait); err != nil {
			return answer{}, k.finish(k.interrupted(err), lost)
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

// unsent is the error of a write that a silent server is spared.
func (k call) unsent() error {
	return &ConnectionError{
		Operation: k.op.id, Action: k.action(),
		Reason: "not sent, for the server answers nothing at all; a later run sends it",
	}
}

// finish is the error of the whole call: once a write may have happened, nothing
// that a later answer says makes that certain again.
func (k call) finish(err error, lost bool) error {
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

// What an answer may be. As many calls as one token has under way may be answered so.
const (
	maxAnswer  = 1 << 20  // bytes
	maxProblem = 64 << 10 // bytes of one that says what is wrong
	maxListed  = 10_000   // entries of a list
	maxFields  = 1_000    // fields of an object, known or not
)

// answer is a 2xx.
type answer struct {
	status int
	media  string
	body   []byte
	// repeats tells whether text of it gives away a secret; nil where nothing of it is shown.
	repeats func(text string) bool
}

// repeatsSecret is why an answer is refused as a whole.
const repeatsSecret = "it repeats a secret that it was sent, which Terra never does"

// attempt sends the call once, when the limiter lets it, and judges the answer.
func (c *Client) attempt(ctx context.Context, k call, token string) (o outcome) {
	limiter := c.limits.limiter(token)
	asked := time.Now()
	left := asked
	defer func() { o.waited, o.took = left.Sub(asked), time.Since(left) }()
	if !c.readOnly {
		limiter.begin()
	}
	if err := c.limits.start(ctx, limiter, k.op.write, k.dryRun); err != nil {
		left = time.Now()
		return outcome{err: k.interrupted(err)}
	}
	left = time.Now()
	defer c.limits.end(limiter, k.op.write)
	silent := limiter.silence.lasts(time.Now())
	if silent && k.commits() {
		return outcome{err: k.unsent(), unsent: true}
	}
	if k.commits() && c.hold != nil {
		if err := c.hold(k.provider); err != nil {
			return outcome{err: err}
		}
	}

	timeout := c.timeout
	if k.isSlow() {
		timeout = max(timeout, slowTimeout)
	}
	if silent {
		timeout = min(timeout, silentWait)
	}
	attemptCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var reach reach
	request, err := c.request(httptrace.WithClientTrace(attemptCtx, reach.trace()), k, token)
	if err != nil {
		return outcome{err: err}
	}
	c.told.add(k)
	k.hide = c.told.scrubber(k, hiddenPart(token))
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		k.hide = k.hide.with(proxyPassword(c.transport, request))
		o = k.unanswered(ctx, err, "nothing came back", reach.sent(err), timeout)
		if silent {
			o.then = giveUp
		}
		return o
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	c.notices.see(k.op.id, response.Header, k.hide)
	if err != nil { // half an answer is none: a server that sends a byte a second is silent
		o = k.unanswered(ctx, err, "no whole answer came back", true, timeout)
		if silent {
			o.then = giveUp
		}
		return o
	}
	now := time.Now()
	limiter.silence.answered(now)
	var hint rateHint
	if k.op.write {
		hint = readRateHint(response.Header, now)
		limiter.hint(now, hint)
	}
	o = k.judge(request.URL, response, body)
	if o.err == nil && c.told.inAnswer(k, body, hiddenPart(token)) {
		o = outcome{err: k.bad(response.StatusCode, repeatsSecret), lost: true}
	}
	o.status = response.StatusCode
	if hint.known {
		o.remaining = &hint.remaining
	}
	if !k.quiet {
		o.answer.repeats = func(text string) bool { return c.told.inText(k, text, hiddenPart(token)) }
	}
	if o.then == holdOff {
		limiter.refused(now, max(o.after, backoffBase))
	} else {
		limiter.succeeded()
	}
	return o
}

// request builds the request. It is the one place where the token leaves.
func (c *Client) request(ctx context.Context, k call, token string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, k.op.method, c.base+k.target(), http.NoBody)
	if err != nil {
		return nil, &ConnectionError{Operation: k.op.id, Action: k.action(), Reason: "the request cannot be built"}
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", mediaJSON+", "+mediaProblem)
	request.Header.Set("User-Agent", c.userAgent)
	if k.body != nil {
		carry(request, k.body)
		request.Header.Set("Content-Type", mediaJSON)
	}
	if k.key != "" {
		request.Header.Set("Idempotency-Key", string(k.key))
	}
	return request, nil
}

// hiddenPart is what of a token must not be shown: all but its public prefix.
func hiddenPart(token string) secrets.Value {
	return secrets.NewValue([]byte(token[len(tokenPrefix):]))
}

// unanswered judges an attempt that ended without a whole answer.
func (k call) unanswered(ctx context.Context, err error, late string, sent bool, timeout time.Duration) outcome {
	if ctx.Err() != nil {
		return outcome{err: k.interrupted(ctx.Err()), lost: sent}
	}
	failure := &ConnectionError{Operation: k.op.id, Action: k.action(), Reason: k.hide.alone(err.Error()), Next: nextStep(err)}
	if errors.Is(err, context.DeadlineExceeded) {
		failure.Timeout, failure.err = true, context.DeadlineExceeded
		failure.Reason = late + " within " + strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64) + " s"
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return outcome{err: failure}
	}
	o := outcome{err: failure, then: tryOn, lost: sent}
	if failure.Timeout && k.isSlow() {
		o.then = giveUp
	}
	return o
}

// judge sorts an answer: success, or which error and what to do next.
func (k call) judge(asked *url.URL, response *http.Response, body []byte) outcome {
	status := response.StatusCode
	now := time.Now()
	switch {
	case len(body) > maxAnswer:
		return outcome{err: k.bad(status, "longer than 1 MiB"), lost: status < 400 || status >= 500}
	case status >= 200 && status < 300:
		return outcome{answer: answer{status: status, media: mediaOf(response.Header), body: body}}
	case status >= 300 && status < 400:
		seeOther := status == http.StatusSeeOther // says that the request was carried out
		return outcome{err: k.bad(status, redirectReason(asked, response, k.hide)), lost: seeOther}
	case status < 400:
		return outcome{err: k.bad(status, "not a final answer"), lost: true}
	}
	problem, documented := k.problem(status, mediaOf(response.Header), body)
	problem.RetryAfter = retryAfter(response.Header, now)
	o := outcome{err: problem, after: problem.RetryAfter}
	switch {
	case status == http.StatusTooManyRequests:
		o.then = holdOff
	case len(problem.AppliedAppIDs) > 0: // half of it happened, so what was reviewed is no more
	case status == http.StatusServiceUnavailable:
		o.then, o.lost = tryOn, !documented
	case status >= 500:
		o.then, o.lost = tryOn, true
	case status == http.StatusUnauthorized:
		o.then = refresh
	case (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) && !documented:
		o.err = &MissedAPIError{
			Operation: k.op.id, Action: k.action(), Status: status,
			Target: asked.Scheme + "://" + asked.Host + asked.Path,
		}
	}
	return o
}

func redirectReason(asked *url.URL, response *http.Response, s scrubber) string {
	reason := "a redirect, which is never followed"
	to, err := asked.Parse(response.Header.Get("Location"))
	if err == nil && to.Host != "" && to.Host != asked.Host {
		reason += " (to " + s.alone(to.Host) + ")"
	}
	return reason + ": check the base URL"
}
