package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Environment is one environment of the newest commit.
type Environment struct {
	Name     string
	DevID    string // for people
	Schedule string // cron expression of five fields, CRON_TZ= allowed; "" runs on new commits only
	Revision string // the commit it is made from: a new one starts a run at once; "" never runs
	Behind   string // why that is not the newest commit; "" when it is
}

// Poller looks for a new commit. The environments it returns are all there are;
// nil, beside an error, means that the former ones stay.
type Poller interface {
	Poll(ctx context.Context) ([]Environment, error)
}

// Runner runs one environment once. It is never called twice at a time for the
// same name, and returns soon after its context ends.
type Runner interface {
	Run(ctx context.Context, environment string) report.Report
}

// Options of a Daemon. All but Wake are required.
type Options struct {
	Poller   Poller
	Runner   Runner
	Log      *slog.Logger
	Poll     time.Duration   // between two polls
	Deadline time.Duration   // of one run, and of one poll
	AtOnce   int             // runs at the same time, over all environments
	Wake     <-chan struct{} // poll now; may be nil
}

// Daemon is the loop. Make one with New and call Run once.
type Daemon struct {
	o       Options
	slots   chan struct{}
	running sync.WaitGroup
	health  *health

	mu      sync.Mutex
	workers map[string]*worker
	leaving map[string]*worker // gone from the repository, but not ended yet
	polled  PollStatus
	started time.Time

	trouble trouble // Run's own
}

// worker is the goroutine of one environment.
type worker struct {
	stop     context.CancelFunc
	schedule chan string   // a changed schedule
	trigger  chan struct{} // run soon; holds one
	done     chan struct{} // closed when it has ended
	told     told          // its own: what its runs have said
	former   Environment
	shown    EnvironmentStatus // what its runs are about; guarded by the Daemon's mu
}

// New makes a Daemon.
func New(o Options) (*Daemon, error) {
	if o.Poller == nil || o.Runner == nil || o.Log == nil || o.Poll <= 0 || o.Deadline <= 0 || o.AtOnce <= 0 {
		return nil, errors.New("start daemon: poller, runner, log, poll interval, deadline and runs at once are required")
	}
	return &Daemon{
		o: o, slots: make(chan struct{}, o.AtOnce), health: newHealth(o.Deadline), started: time.Now(),
		workers: map[string]*worker{}, leaving: map[string]*worker{},
	}, nil
}

// Run polls and runs until ctx ends, then waits for the runs under way, which
// see the same end. It returns nil after a clean stop, and a *StuckError where a
// run has not ended in time.
func (d *Daemon) Run(ctx context.Context) error {
	d.health.start(pollName, d.o.Poll)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return d.wait()
		case <-timer.C:
		case <-d.o.Wake:
		}
		d.poll(ctx)
		timer.Reset(d.o.Poll)
	}
}

// update starts the worker of a new environment, or tells it what changed. The
// caller holds mu.
func (d *Daemon) update(ctx context.Context, e Environment) {
	w, known := d.workers[e.Name]
	if !known {
		workerCtx, stop := context.WithCancel(ctx)
		w = &worker{stop: stop, schedule: make(chan string, 1), trigger: make(chan struct{}, 1), done: make(chan struct{})}
		d.workers[e.Name] = w
		former := d.leaving[e.Name]
		d.running.Go(func() {
			defer d.left(e.Name, w)
			if former != nil {
				<-former.done // one run of an environment at a time, also of one that was gone
			}
			d.work(workerCtx, e.Name, w)
		})
	}
	if !known || w.former.Schedule != e.Schedule {
		select { // replace one that was not taken yet
		case <-w.schedule:
		default:
		}
		w.schedule <- e.Schedule
	}
	if (!known || w.former.Revision != e.Revision) && e.Revision != "" {
		w.soon()
	}
	w.former = e
}

// leave ends the worker of an environment that is gone. The caller holds mu.
func (d *Daemon) leave(name string, w *worker) {
	w.stop()
	delete(d.workers, name)
	d.leaving[name] = w
}

func (d *Daemon) left(name string, w *worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leaving[name] == w {
		delete(d.leaving, name)
	}
	close(w.done)
}

func (w *worker) soon() {
	select {
	case w.trigger <- struct{}{}:
	default: // one is waiting already
	}
}

// work waits for the schedule, a trigger, or a time after a failure, and runs, one
// run after the other.
func (d *Daemon) work(ctx context.Context, name string, w *worker) {
	clock, again := newClock(time.Now), newAgain()
	defer clock.stop()
	defer again.stop()
	for {
		d.noteNext(w, earlier(clock.at, again.at))
		select {
		case <-ctx.Done():
			return
		case expression := <-w.schedule:
			if err := clock.set(expression); err != nil {
				d.o.Log.Error("schedule is not understood; runs on new commits only", "environment", name, "error", err.Error())
			}
			continue
		case <-clock.fires():
			if !clock.due() {
				continue
			}
		case <-again.fires():
		case <-w.trigger:
		}
		again.note(d.once(ctx, name, w))
	}
}

// once runs one environment in a free slot, within the deadline, and tells whether
// that failed.
func (d *Daemon) once(ctx context.Context, name string, w *worker) (failed bool) {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-d.slots }()
	if ctx.Err() != nil {
		return false // both were ready
	}
	d.health.start(name, 0)
	defer d.health.finished(name)
	runCtx, cancel := context.WithTimeout(ctx, d.o.Deadline)
	defer cancel()
	d.noteStart(w)
	r := d.run(runCtx, name)
	d.noteEnd(w, r)
	w.told = logRun(ctx, d.o.Log, name, r, w.told)
	return r.ExitCode == report.ExitError || r.ExitCode == report.ExitFailed
}
