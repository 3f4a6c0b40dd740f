package terra

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxConcurrent = 64                // calls of one token at a time
	maxPause      = 120 * time.Second // the longest wait a server can ask for
	maxBehind     = 8                 // calls of one token at a time that go behind others
)

// Limits is what all clients of a process share: one limiter per token, however
// many clients and base URLs use it, and which servers proved that they honour
// dry_run. It keeps fingerprints of tokens, never tokens.
type Limits struct {
	mu       sync.Mutex
	limiters map[fingerprint]*limiter
	proofs   map[server]*proof
	previews map[previewed]*proof
	front    *Limits // whose calls go before ours; nil: nobody's
}

// previewed is a provider whose credentials a server was asked about.
type previewed struct {
	server   server
	provider string
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
	return &Limits{limiters: map[fingerprint]*limiter{}, proofs: map[server]*proof{}, previews: map[previewed]*proof{}}
}

// Behind is for calls that nothing waits for, such as those of a preview. They count among
// those of l, so that a token has one limit, but a call of l that waits goes before, no
// more than eight of them run at a time, and half of the mutations that a server allows are
// left alone. What a server proved is asked anew.
func (l *Limits) Behind() *Limits {
	b := NewLimits()
	b.front = l
	return b
}

func (l *Limits) limiter(token string) *limiter {
	if l.front != nil {
		return l.front.limiter(token)
	}
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

// preview is what the server showed about its previews of a provider's credentials.
func (l *Limits) preview(base, token, provider string) *proof {
	p := previewed{server{base: base, token: sha256.Sum256([]byte(token))}, strings.ToLower(provider)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.previews[p] == nil {
		l.previews[p] = &proof{turn: make(chan struct{}, 1)}
	}
	return l.previews[p]
}

// limiter holds back the calls of one token. At most 64 run at a time. Terra
// publishes no limit, so the pace is learned: of a client that can write it starts slow and
// grows with each answer; a 429 pauses every call of the token and halves the pace. A
// server that announces how many mutations are left is not asked for more.
type limiter struct {
	slots     chan struct{} // one element per call that runs
	calls     pace
	mutations turn
	previews  turn // mutations that change nothing
	silence   silence
	behind    turn          // of calls that go behind others
	spare     chan struct{} // one element per such call that runs

	mu       sync.Mutex
	waiting  int           // calls that wait, but for those behind others
	nobody   chan struct{} // closed when no call waits any more
	until    time.Time     // no call starts before
	spent    time.Time     // until then no call is patient: one has been for as long as it may
	paced    bool          // a client that can write called, or a 429 came: all calls have a pace
	learned  bool          // a 429 came
	mutating int           // mutations that run now
	allowed  allowance     // what the server announced about mutations
}

// The pace. Terra's own CLI leaves 100 ms between calls, which is the only public
// hint. A run that may write starts so, but for a handful, and after the first refusal
// without one. A dry run goes as it comes until then: where nobody asks for patience it
// would wait for nothing, and a read that was refused costs no more than its repetition.
const (
	careful = rate.Limit(10) // 100 ms apart
	quicker = rate.Limit(2)  // added by each answer before the first refusal
	handful = 10
	slowest = rate.Limit(0.5)
)

// turn lets one caller at a time wait.
type turn chan struct{}

// pace spaces the starts of calls. Whoever waits holds the turn, so nobody keeps a
// place that was given at a faster pace.
type pace struct {
	turn turn
	rate *rate.Limiter
	step rate.Limit // each success adds it
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
	return &limiter{
		slots:     make(chan struct{}, maxConcurrent),
		calls:     pace{make(turn, 1), rate.NewLimiter(rate.Inf, handful), 0},
		mutations: make(turn, 1),
		previews:  make(turn, 1),
		behind:    make(turn, 1),
		spare:     make(chan struct{}, maxBehind),
	}
}

// start waits until a call may start. Unless it errs, the caller must end it.
func (l *Limits) start(ctx context.Context, of *limiter, mutation, preview bool) error {
	if l.front != nil {
		return of.acquireBehind(ctx, mutation, preview)
	}
	of.count(+1)
	defer of.count(-1)
	return of.acquire(ctx, mutation, preview)
}

// end ends a call that was started.
func (l *Limits) end(of *limiter, mutation bool) {
	of.release(mutation)
	if l.front != nil {
		<-of.spare
	}
}

// count counts the calls that wait.
func (l *limiter) count(more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == 0 {
		l.nobody = make(chan struct{})
	}
	if l.waiting += more; l.waiting == 0 {
		close(l.nobody)
	}
}

// acquireBehind is acquire for a call that goes behind others. One at a time waits where
// the others do.
func (l *limiter) acquireBehind(ctx context.Context, mutation, preview bool) (err error) {
	select {
	case l.spare <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if err != nil {
			<-l.spare
		}
	}()
	select {
	case l.behind <- struct{}{}:
		defer func() { <-l.behind }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		nobody, rest := l.ahead(time.Now(), mutation)
		switch {
		case nobody != nil:
			select {
			case <-nobody:
			case <-ctx.Done():
				return ctx.Err()
			}
		case rest > 0:
			if err := sleep(ctx, rest); err != nil {
				return err
			}
		default:
			return l.acquire(ctx, mutation, preview)
		}
	}
}

// ahead is what a call behind others waits for: until nobody else does, nil where nobody
// does, or until the server allows more mutations.
func (l *limiter) ahead(now time.Time, mutation bool) (nobody <-chan struct{}, rest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting > 0 {
		return l.nobody, 0
	}
	if mutation && l.allowed.length > 0 && l.allowed.left <= l.allowed.limit/2 {
		rest = l.allowed.refill.Sub(now)
	}
	return nil, rest
}

// acquire waits until a call may start. Unless it errs, the caller must release.
// A mutation waits for its allowance before it takes a slot, so that mutations that wait
// never hold up reads.
func (l *limiter) acquire(ctx context.Context, mutation, preview bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if mutation {
		mine := l.previews
		if !preview {
			mine = l.mutations
		}
		if err := mine.wait(ctx, l.takeMutation); err != nil {
			return err
		}
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		l.returnMutation(mutation, true)
		return ctx.Err()
	}
	if err := l.calls.wait(ctx, l.paused); err != nil {
		l.returnMutation(mutation, true)
		<-l.slots
		return err
	}
	return nil
}

// release ends a call that acquire let start.
func (l *limiter) release(mutation bool) {
	l.returnMutation(mutation, false)
	<-l.slots
}

// wait lets one caller at a time through, once held, asked after each wait, no longer
// names a time to wait.
func (t turn) wait(ctx context.Context, held func(now time.Time) time.Duration) error {
	select {
	case t <- struct{}{}:
		defer func() { <-t }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for d := held(time.Now()); d > 0; d = held(time.Now()) {
		if err := sleep(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// wait lets one caller at a time through, when the pace allows it and the token is not
// paused.
func (p *pace) wait(ctx context.Context, paused func(now time.Time) time.Duration) error {
	spaced := false
	var late error
	err := p.turn.wait(ctx, func(time.Time) time.Duration {
		if !spaced {
			spaced, late = true, p.rate.Wait(ctx)
		}
		if late != nil {
			return 0
		}
		return paused(time.Now())
	})
	if late != nil {
		return cmp.Or(ctx.Err(), context.DeadlineExceeded) // it would pass before the turn comes
	}
	return err
}

// begin gives all calls a pace.
func (l *limiter) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paced {
		return
	}
	l.paced, l.calls.step = true, quicker
	l.calls.rate.SetLimit(careful)
}

func (l *limiter) paused(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until.Sub(now)
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

// refused learns from a 429: nothing starts for d, and then half as fast.
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
	next := max(l.calls.rate.Limit()/2, slowest)
	if !l.learned {
		next = careful
	}
	l.paced, l.learned, l.calls.step = true, true, min(next, careful)/100 // a hundred answers or more make up for a refusal
	l.calls.rate.SetLimit(next)
	l.calls.rate.SetBurst(1)
}

// succeeded learns from an answer that was not refused.
func (l *limiter) succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spent = time.Time{}
	if l.paced { // an infinite limit is not to be set twice at one moment: see x/time/rate
		l.calls.rate.SetLimit(l.calls.rate.Limit() + l.calls.step)
	}
}

// isSpent reports whether a call gives up at its first 429, because another one
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

// rateHint is what a mutation's answer says about its rate limit.
type rateHint struct {
	known     bool
	remaining int
	limit     int           // 0: not said
	reset     time.Duration // from now
}

// manyMutations is as good as no limit.
const manyMutations = 1_000_000

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
		reset = time.Unix(seconds, 0).Sub(serverTime(header, now))
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

// retryAfter reads the header: seconds, or a date, which is on the server's clock.
// 0 is none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return clampSeconds(seconds)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(serverTime(header, now)), 0)
	}
	return 0
}

// serverTime is the answer's own Date, and now where it has none.
func serverTime(header http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		return date
	}
	return now
}

// clampSeconds bounds what a server can ask for to what a duration can hold.
func clampSeconds(seconds int64) time.Duration {
	const year = 366 * 24 * 3600
	return time.Duration(max(0, min(seconds, year))) * time.Second
}

const (
	silenceLasts = 30 * time.Second // after the last call that waited in vain
	silentWait   = 10 * time.Second // for one answer meanwhile
)

// silence notices a server that takes the calls of a token and answers none of
// them. A call waits a minute and a half for it; a run must not do so for each of its
// calls. Once one has waited in vain, and no other one was answered meanwhile, no
// write is sent and a read waits once and shortly, until something is answered
// again or the silence has lasted long enough to try again.
type silence struct {
	mu         sync.Mutex
	answeredAt time.Time // when the latest answer was whole
	until      time.Time
}

func (s *silence) answered(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answeredAt, s.until = now, time.Time{}
}

// waitedInVain ends a call that began at a time and got no answer until now.
func (s *silence) waitedInVain(began, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.answeredAt.After(began) {
		s.until = now.Add(silenceLasts)
	}
}

func (s *silence) lasts(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.until)
}

func timedOut(err error) bool {
	var connection *ConnectionError
	return errors.As(err, &connection) && connection.Timeout
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
