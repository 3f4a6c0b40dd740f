package terra

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// maxAnswer bounds how much of an answer is read.
const maxAnswer = 8 << 20

// answer is a 2xx.
type answer struct {
	status int
	media  string
	body   []byte
}

// attempt sends the call once, when the limiter lets it, and judges the answer.
func (c *Client) attempt(ctx context.Context, k call, token string) outcome {
	limiter := c.limits.limiter(token)
	if err := limiter.acquire(ctx, k.op.write); err != nil {
		return outcome{err: k.interrupted(err)}
	}
	defer limiter.release(k.op.write)
	silent := limiter.silence.lasts(time.Now())
	if silent && k.commits() {
		return outcome{err: k.unsent()}
	}
	if k.commits() && c.hold != nil {
		if err := c.hold(k.provider); err != nil {
			return outcome{err: err}
		}
	}

	timeout := c.timeout
	if k.op.slow {
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
	k.hide = k.hide.with(hiddenPart(token))
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		o := k.unanswered(ctx, err, reach.sent(err), timeout)
		if silent {
			o.then = giveUp
		}
		return o
	}
	defer response.Body.Close()
	limiter.silence.answered(time.Now())
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	c.notices.see(k.op.id, response.Header, k.hide)
	if err != nil {
		return k.unanswered(ctx, err, true, timeout)
	}
	now := time.Now()
	if k.op.write {
		limiter.hint(now, readRateHint(response.Header, now))
	}
	o := k.judge(request.URL, response, body)
	if o.then == holdOff {
		limiter.refused(now, max(o.after, backoffBase))
	} else {
		limiter.succeeded()
	}
	return o
}

// request builds the request. It is the one place where the token leaves.
func (c *Client) request(ctx context.Context, k call, token string) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if k.body != nil {
		body = bytes.NewReader(k.body)
	}
	request, err := http.NewRequestWithContext(ctx, k.op.method, c.base+k.target(), body)
	if err != nil {
		return nil, &ConnectionError{Operation: k.op.id, Action: k.action(), Reason: "the request cannot be built"}
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", mediaJSON+", "+mediaProblem)
	request.Header.Set("User-Agent", c.userAgent)
	if k.body != nil {
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

// reach learns from the transport how far a request got.
type reach struct {
	asked, connected atomic.Bool
}

func (r *reach) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { r.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { r.connected.Store(true) },
	}
}

// sent reports whether the request may have reached the server. A transport that
// tells nothing is taken to have sent it.
func (r *reach) sent(err error) bool {
	if r.connected.Load() {
		return true
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return false
	}
	return !r.asked.Load()
}

// unanswered judges an attempt that ended without a whole answer.
func (k call) unanswered(ctx context.Context, err error, sent bool, timeout time.Duration) outcome {
	if ctx.Err() != nil {
		return outcome{err: k.interrupted(ctx.Err()), lost: sent}
	}
	failure := &ConnectionError{Operation: k.op.id, Action: k.action(), Reason: k.hide.clean(err.Error()), Next: nextStep(err)}
	if errors.Is(err, context.DeadlineExceeded) {
		failure.Timeout, failure.err = true, context.DeadlineExceeded
		failure.Reason = "nothing came back within " + strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64) + " s"
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return outcome{err: failure}
	}
	o := outcome{err: failure, then: tryOn, lost: sent}
	if failure.Timeout && k.op.slow {
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
		return outcome{err: k.bad(status, "longer than 8 MiB"), lost: status < 400 || status >= 500}
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
		reason += " (to " + s.clean(to.Host) + ")"
	}
	return reason + ": check the base URL"
}
