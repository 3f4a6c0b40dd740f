package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Status is what the daemon itself knows: the schema, its polls and its runs.
func (d *Daemon) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Status{Schema: StatusSchema, StartedAt: d.started.UTC(), Poll: d.polled, Stuck: d.health.stuck(time.Now()),
		Paused: []Pause{}, Environments: []EnvironmentStatus{}}
	for name, w := range d.workers {
		e := w.shown
		e.Name, e.DevID, e.Commit, e.Behind = name, w.former.DevID, w.former.Revision, w.former.Behind
		e.Held = append([]HeldEntry{}, e.Held...)
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

var errNothingToRun = errors.New("there is nothing to run; `reconcile status` says how things stand")

func listed(names []string) string {
	if len(names) == 0 {
		return "none that could be read yet"
	}
	return strings.Join(names, ", ")
}

// notePoll is called with mu held.
func (d *Daemon) notePoll(err error) {
	now := time.Now().UTC()
	d.polled = PollStatus{At: &now}
	if err != nil {
		d.polled.Error = err.Error()
	}
}

func (d *Daemon) noteNext(w *worker, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.shown.NextRun = nil
	if !at.IsZero() {
		at = at.UTC()
		w.shown.NextRun = &at
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
	w.shown.Running, w.shown.Held = nil, nil
	last := LastRun{StartedAt: r.StartedAt.UTC(), DurationMS: r.DurationMS, ExitCode: r.ExitCode, Error: r.Error}
	for _, e := range r.Environments { // a run is of one
		last.Error, last.PlanHash, last.Summary = cmp.Or(last.Error, e.Error), e.PlanHash, e.Summary
		for _, c := range e.Changes {
			if c.Gate != "ready" && c.Outcome != report.Applied {
				w.shown.Held = append(w.shown.Held, HeldEntry{Change: c.ID, Gate: string(c.Gate), Guard: c.Guard, Reason: c.GateReason})
			}
		}
	}
	w.shown.LastRun = &last
}
