package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Status is what the daemon itself knows: the schema, its polls and its runs.
func (d *Daemon) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	s := Status{Schema: StatusSchema, StartedAt: d.o.Started.UTC(), Stuck: d.health.stuck(now), Unready: d.unready(now),
		Paused: []Pause{}, Environments: []EnvironmentStatus{}, Receivers: []Receiver{}}
	worst := d.sources[0]
	for _, of := range d.sources {
		if of.Name != "" {
			s.Repositories = append(s.Repositories, RepositoryStatus{Name: of.Name, Poll: of.poll()})
		}
		if of.polls.worse(worst.polls) {
			worst = of
		}
	}
	s.Poll = worst.poll()
	if s.Poll.Error != "" && worst.Name != "" {
		s.Poll.Error = worst.Name + ": " + s.Poll.Error
	}
	for name, w := range d.workers {
		e := w.shown
		e.Name, e.DevID, e.Revision, e.BehindReason = name, w.former.DevID, w.former.Revision, w.former.Behind
		e.Repository, e.Tries = w.source.Name, w.runs.tries()
		e.Gated = append([]GatedChange{}, e.Gated...)
		s.Environments = append(s.Environments, e)
	}
	slices.SortFunc(s.Environments, func(a, b EnvironmentStatus) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// RunNow starts a run of an environment, or of all for "", as soon as one that is
// under way has ended, and names what it started.
func (d *Daemon) RunNow(name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := slices.Sorted(maps.Keys(d.workers))
	if name != "" && d.workers[name] == nil {
		return nil, fmt.Errorf("run environment %q: the repository has %s", name, listed(names))
	}
	if name != "" {
		names = []string{name}
	}
	started := []string{}
	var cannot []error
	for _, n := range names {
		if w := d.workers[n]; w.former.Revision == "" {
			cannot = append(cannot, fmt.Errorf("run environment %q: %s", n, w.former.Behind))
		} else {
			w.soon()
			started = append(started, n)
		}
	}
	switch {
	case len(started) > 0:
		return started, nil
	case len(cannot) > 0:
		return nil, errors.Join(cannot...)
	}
	return nil, errNothingToRun
}

var errNothingToRun = errors.New("there is nothing to run")

func listed(names []string) string {
	if len(names) == 0 {
		return "none that could be read yet"
	}
	return strings.Join(names, ", ")
}

// notePoll is called with mu held. A commit that is refused while environments stay on an
// older one is no failure of git.
func (s *source) notePoll(err error, environments int) {
	now := time.Now().UTC()
	s.polled = PollStatus{At: &now}
	if err != nil {
		s.polled.Error = err.Error()
		if refused := (*RefusedCommitError)(nil); errors.As(err, &refused) {
			s.polled.RefusedCommit = refused.Commit
		}
	}
	s.refused = environments == 0 && s.polled.RefusedCommit != ""
	if environments > 0 {
		s.polls.note("")
	} else {
		s.polls.note(s.polled.Error)
	}
}

// poll is how its polls stand. The caller holds the Daemon's mu.
func (s *source) poll() PollStatus {
	out := s.polled
	out.Tries = s.polls.tries()
	return out
}

// Look asks again for the next moment of every environment, and whether there is still a
// point in the runs under way: something was set or lifted on which they depend.
func (d *Daemon) Look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		put(w.look)
		put(w.overtaken)
	}
}

func (d *Daemon) noteNext(name string, w *worker, next Moment) {
	if next != w.said { // the decision to wait, for who looks
		w.said = next
		at := "" // never by time alone
		if !next.At.IsZero() {
			at = next.At.UTC().Format(time.RFC3339)
		}
		d.o.Log.Debug("waiting", "environment", name, "next_run", at, "reason", next.Why)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w.shown.NextRun, w.shown.NextRunReason = nil, ""
	if !next.At.IsZero() {
		at := next.At.UTC()
		w.shown.NextRun, w.shown.NextRunReason = &at, next.Why
	}
}

func (d *Daemon) noteStart(w *worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now().UTC()
	w.shown.Running = &now
}

func (d *Daemon) noteEnd(w *worker, r report.Report) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.shown.Running = nil
	if r.EndedEarly != "" {
		w.early++
		w.shown.LastRun = &LastRun{StartedAt: r.StartedAt.UTC(), DurationMS: r.DurationMS, ExitCode: r.ExitCode, Error: "ended early: " + r.EndedEarly}
		return // neither a success nor a failure, and what was held before it still is
	}
	w.early, w.shown.Gated = 0, nil
	last := LastRun{StartedAt: r.StartedAt.UTC(), DurationMS: r.DurationMS, ExitCode: r.ExitCode, Error: r.Error}
	for _, e := range r.Environments { // a run is of one
		last.Error, last.PlanHash, last.Summary = cmp.Or(last.Error, e.Error), e.PlanHash, e.Summary
		for _, c := range e.Changes {
			if c.Gate != "ready" && c.Outcome != report.Applied {
				w.shown.Gated = append(w.shown.Gated, GatedChange{Change: c.ID, Gate: string(c.Gate), Guard: c.Guard, Reason: c.GateReason})
			}
		}
	}
	last.Refused = commitAtFault(r)
	w.shown.LastRun = &last
	if last.Refused {
		w.runs.forget()
		return
	}
	w.runs.note(failed(r))
}

// grace is what a run or poll may take beyond its deadline before the daemon
// counts as stuck.
const grace = time.Minute

// health knows what is under way since when. A run that ends is progress, with
// any outcome; one that does not end within its deadline is not.
type health struct {
	deadline time.Duration
	mu       sync.Mutex
	due      map[string]time.Time     // to have ended
	every    map[string]time.Duration // between two of the polls of a name
	between  map[string]bool          // polls of which none is under way
}

func newHealth(deadline time.Duration) *health {
	return &health{deadline: deadline, due: map[string]time.Time{}, every: map[string]time.Duration{}, between: map[string]bool{}}
}

func (h *health) start(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due[name] = time.Now().Add(h.deadline + grace)
}

// startPolls expects polls of a name from now on, so long after each other at most.
func (h *health) startPolls(name string, every time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.every[name], h.between[name] = every, true
	h.due[name] = time.Now().Add(every + h.deadline + grace)
}

// polling says that one of these polls is under way.
func (h *health) polling(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.between[name] = false
}

func (h *health) finished(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if every, polls := h.every[name]; polls {
		h.between[name] = true
		h.due[name] = time.Now().Add(every + h.deadline + grace)
		return
	}
	delete(h.due, name)
}

// stuck names what should have ended before now, sorted.
func (h *health) stuck(now time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []string{}
	for name, due := range h.due {
		if now.After(due) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// underWay names the environments that run, and the polls, sorted.
func (h *health) underWay() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []string{}
	for name := range h.due {
		if !h.between[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Handler answers GET /healthz: 200 while the daemon makes progress and can remember
// what it does, with the names of the environments that are not on the newest commit, and that
// nothing is followed where no commit was used yet,
// 503 with the names of what is stuck, or why nothing is remembered, otherwise. And GET
// /readyz, which asks for success where that asks for progress.
func (d *Daemon) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if stuck := d.health.stuck(time.Now()); len(stuck) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			printLine(w, "no progress: "+strings.Join(stuck, ", "))
			return
		}
		if d.o.Check != nil {
			if err := d.o.Check(); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				printLine(w, err.Error())
				return
			}
		}
		_, _ = fmt.Fprintln(w, "ok")
		status := d.Status()
		for _, e := range status.Environments {
			if e.BehindReason != "" {
				printLine(w, e.Name+" is not on the newest commit (reconcile status says why)")
			}
		}
		for _, u := range status.Unready {
			if u.OfCommit() {
				printLine(w, u.String()+" (reconcile status says why)")
			}
		}
	})
	mux.HandleFunc("GET /readyz", d.serveReady)
	return mux
}

// printLine prints a line that is safe on a terminal; names of environments are a
// committer's.
func printLine(w io.Writer, text string) {
	_, _ = fmt.Fprintln(w, strings.Join(report.Lines(text, 1<<20), " "))
}
