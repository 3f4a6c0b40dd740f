package preview

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What those who hold the token may take.
const (
	oftenest   = 10 * time.Second // between two previews, after the first few
	atOnce     = 5                // that come without a pause
	maxWaiting = 4                // previews that wait for the one under way
	within     = 10 * time.Minute // from the request to its result, waiting included
	tellEvery  = 10 * time.Second // something is said, so that nothing on the way gives up
	writeIn    = 30 * time.Second // what is said must be taken
	endIn      = 2 * time.Second  // the same when the daemon ends
)

// Options is what a Door works with. All are required.
type Options struct {
	// Key reads the token, anew for each request.
	Key func() (string, error)
	// Forks lets also that be planned which anybody may open.
	Forks bool
	// Plan plans. It ends soon after its context, tells how far it is from any goroutine,
	// and is never called twice at a time.
	Plan func(ctx context.Context, r Request, tell func(Progress)) Result
	// Stay keeps the connection of a request that is to be answered.
	Stay func(http.ResponseWriter)
	Now  func() time.Time
	Log  *slog.Logger
}

// Door answers requests for previews. Stop it when nothing is to be planned any more.
type Door struct {
	o     Options
	began time.Time
	queue chan struct{} // one element per preview that is planned or waits
	turn  chan struct{} // the one that is planned

	stopping chan struct{} // closed when nothing is planned any more
	running  sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	rate    *rate.Limiter
	seen    map[string]time.Time // nonces, and until when they would be taken again
	refused int                  // requests without a signature of ours, since the log last said so
	said    time.Time            // when that was
	trouble string               // why the key cannot be read, as it was logged
}

// NewDoor makes a Door.
func NewDoor(o Options) *Door {
	return &Door{o: o, began: o.Now(), queue: make(chan struct{}, maxWaiting+1), turn: make(chan struct{}, 1), stopping: make(chan struct{}),
		rate: rate.NewLimiter(rate.Every(oftenest), atOnce), seen: map[string]time.Time{}}
}

// Stop ends the previews under way and waits for that.
func (d *Door) Stop() {
	d.mu.Lock()
	if !d.stopped {
		d.stopped = true
		close(d.stopping)
	}
	d.mu.Unlock()
	d.running.Wait()
}

// begins tells whether one more may be planned; its end is awaited then.
func (d *Door) begins() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stopped {
		d.running.Add(1)
	}
	return !d.stopped
}

// refusal is what is answered in place of a preview.
type refusal struct {
	status int
	err    error
	after  time.Duration // when to try again; 0 is not said
}

// ServeHTTP answers one request: lines of JSON, the last one a [Result].
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request, no := d.admit(w, r)
	if no == nil && !d.begins() {
		no = &refusal{http.StatusServiceUnavailable, errors.New("the daemon ends; try again"), oftenest}
	}
	if no == nil {
		defer d.running.Done()
		select {
		case d.queue <- struct{}{}:
			defer func() { <-d.queue }()
			d.answer(w, r, request)
			return
		default:
			no = &refusal{http.StatusTooManyRequests, errors.New("several previews are waiting already; try again"), 3 * oftenest}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if no.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(no.after.Seconds()+1)))
	}
	w.WriteHeader(no.status)
	_ = json.NewEncoder(w).Encode(problem{no.err.Error()}) // a client that is gone needs no answer
}

// admit lets a request in, or says why not. Who does not know the key learns nothing from
// it, and uses up nothing of those who do.
func (d *Door) admit(w http.ResponseWriter, r *http.Request) (Request, *refusal) {
	nobody := func() (Request, *refusal) {
		d.noteRefused(r.RemoteAddr)
		return Request{}, &refusal{http.StatusUnauthorized, errors.New("no"), 0}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return Request{}, &refusal{http.StatusRequestEntityTooLarge, fmt.Errorf("a request has at most %d KiB", maxRequest>>10), 0}
	}
	s, ok := parseSignature(r.Header.Get("Authorization"))
	if err != nil || !ok {
		return nobody()
	}
	key, err := d.o.Key()
	if d.noteKey(err); err != nil {
		return Request{}, &refusal{http.StatusServiceUnavailable, errors.New("the daemon cannot read its token of previews; its log says why"), 0}
	}
	if r.Method != http.MethodPost || !s.isOf(key, r.Method, body) {
		return nobody()
	}
	now := d.o.Now()
	if err := skewed(s.at(), now); err != nil {
		return Request{}, &refusal{http.StatusForbidden, err, 0}
	}
	if ahead := d.began.Truncate(time.Second).Sub(s.at()); ahead > 0 { // what was answered before it began is not known
		return Request{}, &refusal{http.StatusServiceUnavailable, errors.New("the daemon has begun after this request was made; try again"), ahead}
	}
	request, err := decode(body)
	if err != nil {
		return Request{}, &refusal{http.StatusBadRequest, err, 0}
	}
	if request.isFork() && !d.o.Forks {
		return Request{}, &refusal{http.StatusForbidden, fmt.Errorf("plan %s: %w", request.Ref, ErrFork), 0}
	}
	return request, d.once(s, now)
}

// once refuses what was asked before, and what comes too often.
func (d *Door) once(s signature, now time.Time) *refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	for nonce, until := range d.seen {
		if now.After(until) {
			delete(d.seen, nonce)
		}
	}
	if _, known := d.seen[s.nonce]; known {
		return &refusal{http.StatusForbidden, errReplay, 0}
	}
	if !d.rate.AllowN(now, 1) {
		return &refusal{http.StatusTooManyRequests, errors.New("previews are asked for too often; try again"), oftenest}
	}
	d.seen[s.nonce] = s.at().Add(maxSkew)
	return nil
}

// noteRefused logs that somebody without the key asks, at most once a minute.
func (d *Door) noteRefused(from string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused++
	if now := d.o.Now(); d.said.IsZero() || now.Sub(d.said).Abs() >= time.Minute {
		d.o.Log.Warn("a preview was asked for without a valid signature", "from", from, "times", d.refused)
		d.refused, d.said = 0, now
	}
}

// noteKey logs why the key cannot be read, when that begins or changes.
func (d *Door) noteKey(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != d.trouble {
		d.o.Log.Error("previews are not answered", "error", text)
	}
	d.trouble = text
}

// answer plans when it is its turn, and tells how far it is. Who goes away ends it.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, request Request) {
	ctx, cancel := context.WithTimeout(r.Context(), within)
	defer cancel()
	d.o.Stay(w)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	defer d.patience(control)()
	tell := func(l line) {
		d.setDeadline(control)
		if lines.Encode(l) != nil || control.Flush() != nil {
			cancel()
		}
	}
	began, progress, ended := d.o.Now(), make(chan Progress, 1), make(chan Result, 1)
	planning := make(chan struct{})
	tell(line{Before: len(d.queue) - 1})
	go func() {
		select {
		case d.turn <- struct{}{}:
			defer func() { <-d.turn }()
			close(planning)
			ended <- d.plan(ctx, request, progress)
		case <-ctx.Done():
			ended <- Result{ExitCode: 1, Error: "it did not begin, because others were under way, or the daemon ends"}
		}
	}()
	ticks := time.NewTicker(tellEvery)
	defer ticks.Stop()
	for stopping := d.stopping; ; {
		select {
		case result := <-ended:
			result.Schema = Schema
			if n := len(result.Document); n > maxDocument {
				result = Result{Schema: Schema, Commit: result.Commit, ExitCode: 1, Error: fmt.Sprintf("the document would have %d bytes, and may have %d; ask for fewer environments, or for another format", n, maxDocument)}
			}
			tell(line{Result: &result})
			d.o.Log.Info("preview", "ref", request.Ref, "commit", result.Commit, "exit_code", result.ExitCode, "error", result.Error,
				"duration_ms", d.o.Now().Sub(began).Milliseconds(), "from", r.RemoteAddr)
			return
		case p := <-progress:
			tell(line{Progress: &p})
		case <-planning:
			planning = nil
		case <-ticks.C:
			l := line{}
			if planning != nil {
				l.Before = len(d.queue) - 1
			}
			tell(l)
		case <-stopping:
			stopping = nil
			cancel()
		}
	}
}

// patience lets a client that reads nothing keep the daemon from ending for endIn at most.
// It has to be given up when the answer is over.
func (d *Door) patience(control *http.ResponseController) (over func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-d.stopping:
			d.setDeadline(control)
		case <-done:
		}
	}()
	return func() { close(done); <-ended }
}

// setDeadline is until when what is said must be taken.
func (d *Door) setDeadline(control *http.ResponseController) {
	d.mu.Lock() // a deadline of before a stop may not follow that of the stop
	defer d.mu.Unlock()
	in := writeIn
	if d.stopped {
		in = endIn
	}
	_ = control.SetWriteDeadline(time.Now().Add(in))
}

// plan is a plan whose fault is nobody else's business.
func (d *Door) plan(ctx context.Context, request Request, progress chan<- Progress) (result Result) {
	defer func() {
		if cause := recover(); cause != nil {
			d.o.Log.Error("a fault of this program; please report it with this line", "preview", request.Ref, "fault", fmt.Sprint(cause), "stack", string(debug.Stack()))
			result = Result{ExitCode: 1, Error: "a fault of this program ended it; the daemon's log says more"}
		}
	}()
	return d.o.Plan(ctx, request, func(p Progress) {
		select {
		case progress <- p:
		default: // the next one says more
		}
	})
}
