package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Course is how one run goes: what it says of itself while it is under way, and what it is
// told. It is safe for concurrent use; the zero value is of a run that nobody looks at.
type Course struct {
	mu        sync.Mutex
	commit    string    // "" until it is known
	writes    []string  // nil until it writes
	answered  time.Time // when it got on last
	overtaken string
}

// Of says of which commit the run is.
func (c *Course) Of(commit string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commit = commit
}

// Writes says that the run writes from now on, and of which connections.
func (c *Course) Writes(connections []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes = append([]string{}, connections...)
}

// Answered says that the run gets on: a call has come to something.
func (c *Course) Answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = time.Now()
}

// Overtaken is why the run is to begin no other connection, "" where it goes on.
func (c *Course) Overtaken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.overtaken
}

func (c *Course) overtake(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.overtaken = why
}

func (c *Course) stands() (commit string, writes []string, answered time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commit, c.writes, c.answered
}

const (
	// hangs is for how long a run gets no answer until it counts as one that hangs or waits.
	hangs = 5 * time.Second
	// firstProtected is how long a run may not be overtaken by a commit after one that was; after
	// twice as long each time, up to the deadline of a run. So commits that follow each other
	// quickly never keep an environment from being brought into sync.
	firstProtected = time.Minute
	// overtakenLook is how often it is looked at a run that may be overtaken.
	overtakenLook = time.Second
)

// protected is how long a run may not be overtaken by a commit after so many that were.
func protected(overtaken int, deadline time.Duration) time.Duration {
	if overtaken == 0 {
		return 0
	}
	return min(firstProtected<<min(overtaken-1, 16), deadline)
}

// watch ends the run of a worker where there is no point in it any more, until ctx, the
// run's, ends. After a newer commit it ends at once while nothing was written; once it
// writes, it begins no other connection, finishes those that it has begun, and ends where it
// hangs or waits. Where all that it does is paused it ends if it hangs or waits.
func (d *Daemon) watch(ctx context.Context, name string, w *worker, course *Course, end context.CancelCauseFunc) {
	began := time.Now()
	looks := time.NewTicker(overtakenLook)
	defer looks.Stop()
	for looking := false; ; {
		var ticks <-chan time.Time
		if looking {
			ticks = looks.C
		}
		select {
		case <-ctx.Done():
			return
		case <-w.overtaken:
		case <-ticks:
		}
		commit, writes, answered := course.stands()
		newer, spared := d.newer(w)
		now := time.Now()
		idle := now.Sub(latest(began, answered)) >= hangs
		arrived := commit != "" && newer != "" && newer != commit
		free := arrived && now.Sub(began) >= spared
		if looking = arrived || commit == ""; free {
			why := "commit " + newer[:min(len(newer), 12)] + " arrived"
			if course.overtake(why); writes == nil || idle {
				end(&report.EndedEarlyError{Why: why})
				return
			}
		}
		if why := d.paused(name, writes); why != "" {
			if looking = true; idle {
				end(&report.EndedEarlyError{Why: why})
				return
			}
		}
	}
}

// newer is the revision that a worker's next run is of, and for how long the run under way
// is spared.
func (d *Daemon) newer(w *worker) (revision string, spared time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return w.former.Revision, protected(w.early, d.o.Deadline)
}

// paused is why all that a run does is paused, "" where it is not.
func (d *Daemon) paused(name string, writes []string) string {
	if d.o.Paused == nil {
		return ""
	}
	return d.o.Paused(name, writes)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
