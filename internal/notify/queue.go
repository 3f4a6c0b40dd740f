package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	maxWaiting    = 200  // statuses; the oldest of more is dropped, and offered again by the next run
	maxRemembered = 2000 // that were posted
	firstPause    = time.Second
)

// Queue posts statuses behind the back of whoever offers them. Make one with NewQueue.
type Queue struct {
	post func(context.Context, Status) error
	log  *slog.Logger
	more chan struct{} // holds one

	mu      sync.Mutex
	waiting []Status // one for each subject, in the order in which they came

	// Run's own:
	posted   map[subject]Status
	troubled map[subject]string // what stands in the log and holds; of the zero subject, that nothing can be posted
}

// subject is what one status takes the place of another for.
type subject struct{ environment, commit string }

func (s Status) subject() subject { return subject{s.Environment, s.Commit} }

// NewQueue makes a Queue for a forge. What goes wrong stands in the log.
func NewQueue(f *Forge, log *slog.Logger) *Queue {
	return &Queue{post: f.Post, log: log, more: make(chan struct{}, 1), posted: map[subject]Status{}, troubled: map[subject]string{}}
}

// Offer leaves statuses to be posted where they say something new, and returns at once. A
// status without a whole commit is left out.
func (q *Queue) Offer(list ...Status) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range list {
		if IsCommit(s.Commit) {
			q.put(s, true)
		}
	}
	if len(q.waiting) > maxWaiting {
		q.waiting = slices.Clone(q.waiting[len(q.waiting)-maxWaiting:])
	}
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// put lets a status wait. One of the same subject that waits already gives way to a newer
// one and to none else. The caller holds mu.
func (q *Queue) put(s Status, newer bool) {
	i := slices.IndexFunc(q.waiting, func(w Status) bool { return w.subject() == s.subject() })
	switch {
	case i < 0:
		q.waiting = append(q.waiting, s)
	case newer:
		q.waiting[i] = s
	}
}

func (q *Queue) take() (s Status, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return Status{}, false
	}
	s = q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	return s, true
}

// Run posts until ctx ends. What a forge did not take because it was not itself is tried
// again, after pauses that grow from a second to ten minutes; what it will never take is
// dropped.
func (q *Queue) Run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		s, some := q.take()
		if !some {
			select {
			case <-ctx.Done():
			case <-q.more:
			}
			continue
		}
		if q.posted[s.subject()] == s {
			continue
		}
		err := q.post(ctx, s)
		if ctx.Err() != nil {
			return
		}
		q.note(s, err)
		refusal := (*RefusedError)(nil)
		if !errors.As(err, &refusal) || !refusal.Passing {
			pause = firstPause
			continue
		}
		q.mu.Lock()
		q.put(s, false)
		q.mu.Unlock()
		timer := time.NewTimer(max(pause, refusal.After))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		pause = min(2*pause, maxPause)
	}
}

// note remembers what was posted, and logs a trouble when it begins and when it ends.
func (q *Queue) note(s Status, err error) {
	if len(q.posted)+len(q.troubled) > maxRemembered { // they may be posted or said once more
		clear(q.posted)
		clear(q.troubled)
	}
	about := s.subject()
	if refusal := (*RefusedError)(nil); errors.As(err, &refusal) && refusal.Passing {
		about = subject{}
	}
	if err != nil {
		if _, said := q.troubled[about]; !said {
			q.log.Warn("a commit status was not posted; runs go on", "environment", s.Environment, "commit", s.Commit, "error", err.Error())
		}
		q.troubled[about] = err.Error()
		return
	}
	q.posted[about] = s
	if _, was := q.troubled[subject{}]; was {
		q.log.Info("commit statuses are posted again")
	}
	delete(q.troubled, subject{})
	delete(q.troubled, about)
}
