package daemon

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// stopWithin is how long runs under way may take to end after the stop. It is
// less than the 30 seconds after which Kubernetes kills a process.
const stopWithin = 25 * time.Second

// StuckError names the environments whose runs did not end with the daemon.
type StuckError struct{ Names []string }

// Error says what becomes of them.
func (e *StuckError) Error() string {
	return fmt.Sprintf("stop: what runs for %s has not ended within %s; the next start settles what it had under way",
		strings.Join(e.Names, ", "), stopWithin)
}

// wait waits for the runs under way.
func (d *Daemon) wait() error {
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
func (d *Daemon) run(ctx context.Context, name string) (r report.Report) {
	began := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			d.tellFault(cause, "environment", name)
			r = report.Report{StartedAt: began, DurationMS: time.Since(began).Milliseconds(), ExitCode: report.ExitFailed,
				Error: fmt.Sprintf("%s: %v; the next run settles what it had under way", fault, cause)}
		}
	}()
	return d.o.Runner.Run(ctx, name)
}

// ask polls. A panic is a failed poll.
func (d *Daemon) ask(ctx context.Context) (environments []Environment, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			d.tellFault(cause)
			environments, err = nil, fmt.Errorf("read repository: %s: %v", fault, cause)
		}
	}()
	return d.o.Poller.Poll(ctx)
}

const fault = "a fault of this program ended it"

func (d *Daemon) tellFault(cause any, about ...any) {
	d.o.Log.Error("a fault of this program; please report it with this line", append(about, "fault", fmt.Sprint(cause), "stack", string(debug.Stack()))...)
}
