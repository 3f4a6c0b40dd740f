package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Environment is one environment of the newest commit.
type Environment struct {
	Name     string
	DevID    string // for people
	Account  string // runs of one account share AtOnce: where Terra hangs for one, others go on
	Schedule string // cron expression of five fields, CRON_TZ= allowed; "" runs on new commits only
	Revision string // the commit it is made from: a new one starts a run at once; "" never runs
	Behind   string // why that is not the newest commit; "" when it is
	// After are environments whose runs may let it do something: after each of them its
	// next moment is asked for again.
	After []string
}

// RefusedCommitError says that the newest commit was read and is not used: polls go well.
type RefusedCommitError struct {
	Commit string
	Err    error // why
}

func (e *RefusedCommitError) Error() string { return e.Err.Error() }

// Unwrap gives why.
func (e *RefusedCommitError) Unwrap() error { return e.Err }

// Poller looks for a new commit. The environments it returns are all there are;
// nil, beside an error, means that the former ones stay.
type Poller interface {
	Poll(ctx context.Context) ([]Environment, error)
}

// Runner runs one environment once. It is never called twice at a time for the
// same name, and returns soon after its context ends. Where the cause of that is a
// *report.EndedEarlyError, or the course says that the run is overtaken and something was
// left for that, the report says so.
type Runner interface {
	Run(ctx context.Context, environment string, course *Course) report.Report
	// Next is the first moment at which a run could find something else to do by time
	// alone, its schedule apart. It is asked after each run and whenever [Daemon.Look]
	// says so.
	Next(environment string) Moment
}

// Moment is when an environment runs next, and why.
type Moment struct {
	At  time.Time // zero: never
	Why string
}

// Source is one repository: where environments come from, and what runs them. Each is polled
// by itself, so that one which fails or hangs keeps no other waiting. All but Name and Wake are
// required.
type Source struct {
	Name   string // by which people tell it from others; "" where it is the only one
	Poller Poller
	Runner Runner
	Poll   time.Duration   // between two polls
	Wake   <-chan struct{} // poll now; may be nil
}

// Options of a Daemon. All but Spread, Started, Now, Rest, Check and Paused are required.
type Options struct {
	// Sources are at least one, with different names. The name of an environment is of one
	// source: one that another has already is left out.
	Sources  []Source
	Log      *slog.Logger
	Deadline time.Duration // of one run, and of one poll
	AtOnce   int           // runs of one account at the same time
	// UnreadyAfter is how long git, or Terra for an environment, may fail until the daemon
	// is not ready.
	UnreadyAfter time.Duration
	// Spread makes polls come up to a tenth earlier or later than Poll says, so that many
	// daemons do not ask one server in the same second; it gives a number from 0 to 1. nil: never.
	Spread func() float64
	// ScheduleSpread is how late a run by a schedule begins at most, and never by more than a
	// tenth of the time until the next: each environment has its own lateness, the same after
	// each start. Zero: to the second.
	ScheduleSpread time.Duration
	Started        time.Time        // when the process did, where it made another Daemon before; zero is now
	Now            func() time.Time // what the wall shows, by which schedules and moments go; nil is the machine's clock
	// Paused is why nothing of an environment may be changed now; where connections is not nil, none
	// of these. "" where something may.
	Paused func(environment string, connections []string) string
	Rest   func()       // called when no run is under way any more; may be nil
	Check  func() error // why nothing can be remembered, nil where it can; asked for each /healthz; may be nil
}

// Daemon is the loop. Make one with New and call Run once.
type Daemon struct {
	o       Options
	slots   map[string]chan struct{} // by account; guarded by mu
	running sync.WaitGroup
	health  *health

	mu      sync.Mutex
	workers map[string]*worker
	leaving map[string]*worker // gone from the repository, but not ended yet
	started time.Time

	sources []*source
}

// source is a Source, and how its polls go.
type source struct {
	Source
	log     *slog.Logger
	polled  PollStatus // guarded by the Daemon's mu
	polls   successes  // guarded by it, too
	refused bool       // guarded by it: the newest commit is, and there is no environment of one before it

	trouble trouble // its loop's own
}

// pollName is what its polls are called.
func (s *source) pollName() string { return strings.TrimSpace("git poll " + s.Name) }

// worker is the goroutine of one environment.
type worker struct {
	source   *source
	stop     context.CancelFunc
	schedule chan timetable // a changed schedule
	trigger  chan struct{}  // run soon; holds one
	look     chan struct{}  // ask for the next moment again; holds one
	// overtaken says that there may be no point in the run under way any more; holds one.
	overtaken chan struct{}
	early     int           // runs that were ended early, in a row; guarded by the Daemon's mu
	done      chan struct{} // closed when it has ended
	logged    logged        // its own: what its runs have said
	said      Moment        // its own: the next run, as it was logged
	former    Environment
	shown     EnvironmentStatus // what its runs are about; guarded by the Daemon's mu
	runs      successes         // how they went; guarded by it, too
}

// New makes a Daemon.
func New(o Options) (*Daemon, error) {
	if len(o.Sources) == 0 || o.Log == nil || o.Deadline <= 0 || o.UnreadyAfter <= 0 || o.AtOnce <= 0 {
		return nil, errors.New("start daemon: sources, log, deadline, time until unready and runs at once are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Daemon{
		o: o, slots: map[string]chan struct{}{}, health: newHealth(o.Deadline), started: time.Now(),
		workers: map[string]*worker{}, leaving: map[string]*worker{},
	}
	if d.o.Started.IsZero() {
		d.o.Started = d.started
	}
	for _, s := range o.Sources {
		isTaken := slices.ContainsFunc(d.sources, func(other *source) bool { return other.Name == s.Name })
		if s.Poller == nil || s.Runner == nil || s.Poll <= 0 || isTaken {
			return nil, errors.New("start daemon: each source needs a poller, a runner, a poll interval and a name of its own")
		}
		log := o.Log
		if s.Name != "" {
			log = log.With("repo", s.Name)
		}
		d.sources = append(d.sources, &source{Source: s, log: log})
	}
	return d, nil
}

// Run polls and runs until ctx ends, then waits for what is under way, which sees
// the same end. It returns nil after a clean stop, and a *StuckError where a run or
// the poll has not ended in time.
func (d *Daemon) Run(ctx context.Context) error {
	for _, s := range d.sources {
		d.health.startPolls(s.pollName(), s.Poll+s.Poll/pollSpread)
	}
	for _, s := range d.sources {
		d.running.Go(func() { d.follow(ctx, s) })
	}
	<-ctx.Done()
	return d.wait()
}

// follow polls a source, and what it says is followed.
func (d *Daemon) follow(ctx context.Context, s *source) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.Wake:
		}
		if ctx.Err() != nil {
			return // both were ready
		}
		d.poll(ctx, s)
		timer.Reset(d.untilPoll(s))
	}
}

// pollSpread is the part of the time between polls by which one may be off.
const pollSpread = 10

// untilPoll is how long the next poll of a source waits.
func (d *Daemon) untilPoll(s *source) time.Duration {
	if d.o.Spread == nil {
		return s.Poll
	}
	most := float64(s.Poll) / pollSpread
	return s.Poll + time.Duration(most*(2*min(max(d.o.Spread(), 0), 1)-1))
}

// update starts the worker of a new environment, or tells it what changed. The
// caller holds mu.
func (d *Daemon) update(ctx context.Context, s *source, e Environment) {
	w, known := d.workers[e.Name]
	if known && w.source != s {
		s.log.Error("an environment is left out, because another repository has one of its name", "environment", e.Name)
		return
	}
	if !known {
		workerCtx, stop := context.WithCancel(ctx)
		w = &worker{source: s, stop: stop, schedule: make(chan timetable, 1), trigger: make(chan struct{}, 1), look: make(chan struct{}, 1), overtaken: make(chan struct{}, 1), done: make(chan struct{})}
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
	when := func(e Environment) timetable {
		return timetable{e.Schedule, latenessOf(e, d.o.ScheduleSpread)}
	}
	if !known || when(w.former) != when(e) {
		select { // replace one that was not taken yet
		case <-w.schedule:
		default:
		}
		w.schedule <- when(e)
	}
	arrived := (!known || w.former.Revision != e.Revision) && e.Revision != ""
	if w.former = e; arrived {
		w.soon()
		put(w.overtaken)
	}
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

func (w *worker) soon() { put(w.trigger) }

// put leaves a sign, unless one is waiting already.
func put(sign chan<- struct{}) {
	select {
	case sign <- struct{}{}:
	default:
	}
}

// work waits for the schedule, a trigger, a moment, or a time after a failure, and
// runs, one run after the other.
func (d *Daemon) work(ctx context.Context, name string, w *worker) {
	clock, moment, again := newClock(d.o.Now), newAlarm(d.o.Now), &again{alarm: newAlarm(d.o.Now)}
	defer clock.stop()
	defer moment.stop()
	defer again.stop()
	ask := func() (next Moment) { // a moment that is asked for when it has come would be gone
		next = d.next(name, w)
		moment.set(next.At)
		return next
	}
	next := ask()
	note := func() {
		d.noteNext(name, w, first(Moment{again.at, "the last run failed"}, next, Moment{clock.at, "its schedule"}))
	}
	for {
		note()
		select {
		case <-ctx.Done():
			return
		case when := <-w.schedule:
			if err := clock.set(when); err != nil {
				w.source.log.Error("schedule is not understood; runs on new commits only", "environment", name, "error", err.Error())
			}
			continue
		case <-clock.fires():
			if !clock.due() {
				continue
			}
		case <-moment.fires():
			if !moment.due() {
				continue
			}
		case <-again.fires():
			if !again.due() {
				continue
			}
		case <-w.look:
			next = ask()
			continue
		case <-w.trigger:
			again.after = 0 // something is another than when it failed
		}
		r, ran := d.once(ctx, name, w)
		switch {
		case !ran:
			return
		case r.EndedEarly != "": // what overtook it has left a trigger, but for a pause
			again.soon()
		default:
			again.note(r.ExitCode == report.ExitError || r.ExitCode == report.ExitFailed)
		}
		d.lookAfter(name)
		next = ask()
		note()
		w.logged = logRun(ctx, w.source.log, name, r, w.logged) // whoever reads it finds the status of after it
		d.rest()
	}
}

// rest lets the daemon rest once no run is under way.
func (d *Daemon) rest() {
	if d.o.Rest == nil {
		return
	}
	d.mu.Lock()
	busy := false
	for _, w := range d.workers {
		busy = busy || w.shown.Running != nil
	}
	d.mu.Unlock()
	if !busy {
		d.o.Rest()
	}
}

// lookAfter asks again for the next moment of those that wait for an environment.
func (d *Daemon) lookAfter(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		if slices.Contains(w.former.After, name) {
			put(w.look)
		}
	}
}

// room is where the runs of an environment's account take a slot.
func (d *Daemon) room(w *worker) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	slots := d.slots[w.former.Account]
	if slots == nil {
		slots = make(chan struct{}, d.o.AtOnce)
		d.slots[w.former.Account] = slots
	}
	return slots
}

// once runs one environment in a free slot, within the deadline. It has not run where ctx
// ended before.
func (d *Daemon) once(ctx context.Context, name string, w *worker) (r report.Report, ran bool) {
	slots := d.room(w)
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return r, false
	}
	defer func() { <-slots }()
	if ctx.Err() != nil {
		return r, false // both were ready
	}
	d.health.start(name)
	defer d.health.finished(name)
	runCtx, cancel := context.WithTimeout(ctx, d.o.Deadline)
	defer cancel()
	runCtx, end := context.WithCancelCause(runCtx)
	defer end(nil)
	d.noteStart(w)
	course := &Course{}
	var watching sync.WaitGroup
	watching.Go(func() { d.watch(runCtx, name, w, course, end) })
	r = d.run(runCtx, name, w, course)
	if ctx.Err() != nil && r.EndedEarly == "" && (r.ExitCode == report.ExitError || r.ExitCode == report.ExitFailed) {
		r.EndedEarly = "stopped" // with the daemon, or because the environment is gone
	}
	end(nil)
	watching.Wait()
	d.noteEnd(w, r)
	return r, true
}

// poll looks at a repository and follows what it says.
func (d *Daemon) poll(ctx context.Context, s *source) {
	pollCtx, cancel := context.WithTimeout(ctx, d.o.Deadline)
	defer cancel()
	d.health.polling(s.pollName())
	environments, err := d.ask(pollCtx, s)
	d.health.finished(s.pollName())
	d.mu.Lock()
	defer d.mu.Unlock()
	s.notePoll(err, len(environments))
	if ctx.Err() == nil {
		follows := len(environments) > 0
		for _, w := range d.workers {
			follows = follows || environments == nil && w.source == s
		}
		s.logPoll(err, follows)
	}
	if err != nil && environments == nil {
		return
	}
	named := map[string]bool{}
	for _, e := range environments {
		named[e.Name] = true
		d.update(ctx, s, e)
	}
	for name, w := range d.workers {
		if w.source == s && !named[name] {
			s.log.Warn("environment is gone from the repository; nothing of it is changed any more", "environment", name)
			d.leave(name, w)
		}
	}
}

// sayAgain is how often a trouble that lasts is logged.
const sayAgain = time.Hour

// trouble is why polls fail, as it was logged.
type trouble struct {
	text    string // "": they do not
	refused bool   // the commit that they find
	since   time.Time
	logged  time.Time
}

// port is what differs each time about a connection that could not be made.
var port = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`:\d+->`) })

// logPoll says that polls fail, or find a commit that is refused, when that begins or
// changes and once an hour, and when it ends. follows tells whether there are environments
// that go on.
func (s *source) logPoll(err error, follows bool) {
	now := time.Now()
	was := s.trouble
	if err == nil {
		if s.trouble = (trouble{}); was.text != "" {
			text := "the repository can be used again"
			if was.refused {
				text = "the newest commit is used again"
			}
			s.log.Info(text, "failed_since", was.since.UTC())
		}
		return
	}
	text := port().ReplaceAllString(err.Error(), "->")
	if text == was.text && now.Sub(was.logged) < sayAgain {
		return
	}
	refused := (*RefusedCommitError)(nil)
	s.trouble = trouble{text: text, refused: errors.As(err, &refused), since: was.since, logged: now}
	if was.text == "" {
		s.trouble.since = now
	}
	then := "; the environments stay on what they had"
	if !follows {
		then = "; nothing is followed yet"
	}
	if s.trouble.refused {
		s.log.Error("the newest commit is refused"+then, "commit", refused.Commit, "reason", err.Error(), "since", s.trouble.since.UTC())
		return
	}
	s.log.Error("poll failed"+then, "error", err.Error(), "since", s.trouble.since.UTC())
}

// stopWithin is how long what is under way may take to end after the stop: longer than a
// write that has left is waited for, and less than the ten seconds after which Docker kills
// a process.
const stopWithin = 7 * time.Second

// StuckError names the environments whose runs did not end with the daemon, and the polls.
type StuckError struct{ Names []string }

// Error says what becomes of them.
func (e *StuckError) Error() string {
	return fmt.Sprintf("stop: not ended within %s: %s; the next start settles what was under way", stopWithin, strings.Join(e.Names, ", "))
}

// wait waits for what is under way.
func (d *Daemon) wait() error {
	d.o.Log.Info("stopping: what is under way ends", "under_way", d.health.underWay())
	ended := make(chan struct{})
	go func() {
		d.running.Wait()
		close(ended)
	}()
	late := time.NewTimer(stopWithin)
	defer late.Stop()
	select {
	case <-ended:
		return nil
	case <-late.C:
		return &StuckError{Names: d.health.underWay()}
	}
}

// run is a run whose panic is no other environment's business: it is a failed run,
// of which it is not known what it has written.
func (d *Daemon) run(ctx context.Context, name string, w *worker, course *Course) (r report.Report) {
	began := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			d.logFault(cause, "environment", name)
			r = report.Report{StartedAt: began, DurationMS: time.Since(began).Milliseconds(), ExitCode: report.ExitFailed,
				Error: fmt.Sprintf("%s: %v; the next run settles what it had under way", fault, cause)}
		}
	}()
	return w.source.Runner.Run(ctx, name, course)
}

// next asks for the moment of an environment. A panic is none.
func (d *Daemon) next(name string, w *worker) (m Moment) {
	defer func() {
		if cause := recover(); cause != nil {
			d.logFault(cause, "environment", name)
			m = Moment{}
		}
	}()
	return w.source.Runner.Next(name)
}

// ask polls. A panic is a failed poll.
func (d *Daemon) ask(ctx context.Context, s *source) (environments []Environment, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			d.logFault(cause)
			environments, err = nil, fmt.Errorf("read repository: %s: %v", fault, cause)
		}
	}()
	return s.Poller.Poll(ctx)
}

const fault = "a fault of this program ended it"

func (d *Daemon) logFault(cause any, about ...any) {
	d.o.Log.Error("a fault of this program; please report it with this line", append(about, "fault", fmt.Sprint(cause), "stack", string(debug.Stack()))...)
}
