package terra

import (
	"context"
	"errors"
	"time"
)

// Attempt is one try of a call, as it ended. It holds nothing of what was sent, nothing
// that was answered, and no words of the server.
type Attempt struct {
	Operation string        // the contract's id
	Write     bool          // meant to change something
	DryRun    bool          // sent with dry_run=true
	DevID     string        // "" where the call is about none
	Provider  string        // "" where the call is about none, or several
	Try       int           // of this call, from 1
	Waited    time.Duration // for a turn: the pace, a pause that the server asked for
	Took      time.Duration // from there until the answer was read whole, or given up
	Status    int           // 0: no whole answer came, or nothing was sent
	Problem   string        // why it did not succeed: one of the constants below; "" where it did
	Pause     time.Duration // until it is tried again; 0 where it is not, or at once
	Remaining *int          // mutations that the answer of one says may still be sent; nil where it does not say
}

// Why an attempt did not succeed.
const (
	ProblemStatus   = "status"   // the answer says so, in its status
	ProblemAnswer   = "answer"   // it is not one that the contract knows
	ProblemTimeout  = "timeout"  // none came in time
	ProblemNetwork  = "network"  // none came, or half of one
	ProblemHeld     = "held"     // not sent: something holds the write
	ProblemUnsent   = "unsent"   // not sent: the server answers nothing at all
	ProblemCanceled = "canceled" // whoever asked did not wait
)

// problem is why an attempt ended as it did.
func (o outcome) problem(ctx context.Context) string {
	var connection *ConnectionError
	var problem *Problem
	var missed *MissedAPIError
	switch {
	case o.err == nil:
		return ""
	case o.unsent:
		return ProblemUnsent
	case errors.As(o.err, &connection) && ctx.Err() != nil:
		return ProblemCanceled
	case timedOut(o.err):
		return ProblemTimeout
	case connection != nil:
		return ProblemNetwork
	case errors.As(o.err, &problem), errors.As(o.err, &missed):
		return ProblemStatus
	case o.status != 0:
		return ProblemAnswer
	}
	return ProblemHeld
}

// tell reports an attempt to whoever wants to know of each.
func (c *Client) tell(ctx context.Context, k call, o outcome, tries int, pause time.Duration) {
	if c.attempted == nil {
		return
	}
	c.attempted(Attempt{
		Operation: k.op.id, Write: k.commits(), DryRun: k.dryRun, DevID: k.devID, Provider: k.provider,
		Try: tries + 1, Waited: o.waited, Took: o.took, Status: o.status, Problem: o.problem(ctx), Pause: pause,
		Remaining: o.remaining,
	})
}
