package reconcile

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// inFlightGrace is how long what has left may still take after a stop, all together: a
// write to be answered and read back. The rest of a stop has to fit in what is left of the
// ten seconds that Docker gives a process.
const inFlightGrace = 5 * time.Second

const module = "github.com/terra-reconcile/terra-reconcile/"

// faultError is a panic, which ends one environment and not the process: the
// others go on, and what may have been written is reported as such.
type faultError struct {
	cause string
	where string // file:line of this module, where it is known
}

func (e *faultError) Error() string {
	return fmt.Sprintf("a fault of this program at %s: %s; please report it", e.where, e.cause)
}

// caught is the error of a panic, nil for none. Call it with what recover gives.
func caught(cause any) error {
	if cause == nil {
		return nil
	}
	return &faultError{cause: fmt.Sprint(cause), where: panicked()}
}

// contained gives a panic of fn as its error. What a group runs has to be: a panic
// of a goroutine ends the process, whoever waits for it.
func contained(fn func() error) func() error {
	return func() (err error) {
		defer func() {
			if fault := caught(recover()); fault != nil {
				err = fault
			}
		}()
		return fn()
	}
}

// panicked finds the innermost line of this module below the panic that is being
// recovered from.
func panicked() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for below := false; ; {
		frame, more := frames.Next()
		if frame.Function == "runtime.gopanic" {
			below = true
		} else if below && strings.HasPrefix(frame.Function, module) {
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// faulted is what is known of an environment in which a fault struck: of what was
// ready it is not known what became of it.
func faulted(out *report.Environment, mode report.Mode, fault error) {
	out.Error = fault.Error()
	for i := range out.Changes {
		c := &out.Changes[i]
		if mode == report.Apply && c.Gate == plan.Ready && (c.Outcome == "" || c.Outcome == report.NotAttempted) {
			c.Outcome, c.Error = report.Unknown, "the run ended by a fault; the next one looks"
		}
	}
}

// together runs two steps of which neither needs the other.
func together(one, other func() error) error {
	var group errgroup.Group
	group.Go(contained(one))
	group.Go(contained(other))
	return group.Wait()
}

// graceful is a context that outlives the stop of its parent by a short time, so
// that a write that has left can be answered and read back. One is made for each run: two
// would be one time after the other.
func graceful(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() { time.AfterFunc(inFlightGrace, cancel) })
	return ctx, func() { stop(); cancel() }
}
