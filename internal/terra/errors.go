package terra

import (
	"errors"
	"fmt"
)

// ErrNoIdempotencyKey is returned by a write that was called without a key.
// Nothing was sent.
var ErrNoIdempotencyKey = errors.New("the write has no idempotency key")

// Every error of this package starts with Action, the step and its object, as in
// "read credentials of prod-app/strava". Operation is the operation's id in the
// contract. Text of the server or of the network in an error holds no control
// characters, is at most 500 characters long and holds no secret of the request.

// ReadOnlyError says that a read-only client was asked to write. Nothing was
// sent.
type ReadOnlyError struct {
	Operation string
	Action    string
}

// Error names the refused step.
func (e *ReadOnlyError) Error() string {
	return e.Action + ": refused: this client is read-only (dry run)"
}

// TokenError says that the token cannot be used. Nothing was sent. Reason holds
// nothing of the token.
type TokenError struct {
	Reason string
	err    error
}

// Error says why, and what a usable token looks like.
func (e *TokenError) Error() string { return "use admin token: " + e.Reason }

// Unwrap returns the error of the function that reads the token, if there is one.
func (e *TokenError) Unwrap() error { return e.err }

// MissedAPIError is a 404 or 405 without a problem document: the answer does not
// come from the Admin API, so it never means that something does not exist.
type MissedAPIError struct {
	Operation string
	Action    string
	Status    int
	Target    string // scheme, host and path that were asked
}

// Error names the address and what to check.
func (e *MissedAPIError) Error() string {
	return e.Action + ": " + e.says()
}

func (e *MissedAPIError) says() string {
	return fmt.Sprintf("the request missed the admin API (%d at %s): check the base URL or the server's version", e.Status, e.Target)
}

// PartialListError says that a list ended early or contradicts itself. No item
// of it may be used to conclude that something is absent.
type PartialListError struct {
	Operation string
	Action    string
	Reason    string
}

// Error says how the list is incomplete.
func (e *PartialListError) Error() string {
	return e.Action + ": the list is incomplete: " + e.Reason + "; run again later"
}

// BadAnswerError is an answer that breaks the contract: not JSON, empty, cut off,
// a required field missing, about something else than was asked, or a redirect.
// Reason holds no value of the answer.
type BadAnswerError struct {
	Operation string
	Action    string
	Status    int
	Reason    string
}

// Error says what is wrong with the answer.
func (e *BadAnswerError) Error() string {
	return e.Action + ": " + e.says()
}

func (e *BadAnswerError) says() string {
	return fmt.Sprintf("unusable answer (%d): %s", e.Status, e.Reason)
}

// ConnectionError says that no answer arrived. For a write it means that the
// request never left; a write that may have left is an [AmbiguousError].
type ConnectionError struct {
	Operation string
	Action    string
	Reason    string
	Next      string // what a person does about it; "" where nothing is to be done
	Timeout   bool   // the deadline of the call passed
	err       error
}

// Error gives the network's own words, cleaned, and one next step.
func (e *ConnectionError) Error() string {
	if e.Next == "" {
		return e.Action + ": " + e.says()
	}
	return e.Action + ": " + e.says() + "; " + e.Next
}

func (e *ConnectionError) says() string { return "no answer: " + e.Reason }

// Unwrap returns context.Canceled or context.DeadlineExceeded when one of them is
// the cause, else nil: other causes may quote the server.
func (e *ConnectionError) Unwrap() error { return e.err }

// AmbiguousError is a write that may or may not have happened: it was sent, and
// its answer was lost, unusable, or a server fault. The caller reads back, or
// sends the same body with the same key again.
type AmbiguousError struct {
	Operation string
	Action    string
	Err       error // what was seen last
}

// Error says that the effect is unknown, and the cause.
func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%s: sent, and whether it happened is unknown: %v", e.Action, withoutAction(e.Err))
}

// Unwrap returns context.Canceled or context.DeadlineExceeded when one of them is
// the cause, else nil: a problem behind it, such as not_found, proves nothing
// about the write, so nobody should find it by accident.
func (e *AmbiguousError) Unwrap() error {
	var connection *ConnectionError
	if errors.As(e.Err, &connection) {
		return connection.err
	}
	return nil
}

// DryRunUnprovenError says that the server has not shown that it honours
// dry_run, so nothing was compared through it. Err is nil when the server
// answered the proof as a real write, or when no proof was tried yet.
type DryRunUnprovenError struct {
	Tried bool
	Err   error
}

// Error is the reason shown next to "not compared".
func (e *DryRunUnprovenError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("prove dry_run: %v", e.Err)
	case e.Tried:
		return "prove dry_run: the server did not honour dry_run"
	default:
		return "prove dry_run: the server was not asked yet whether it honours dry_run"
	}
}

// Unwrap returns why the proof failed, if the server did not simply ignore it.
func (e *DryRunUnprovenError) Unwrap() error { return e.Err }

// MayHaveWrittenError is the worst answer: a comparison by dry_run was answered
// as if it had been real. Every run must stop, and a person must look.
type MayHaveWrittenError struct {
	DevID    string
	Provider string
	Field    string
}

// Error names the field that may now hold the desired value.
func (e *MayHaveWrittenError) Error() string {
	return fmt.Sprintf("compare %s of %s/%s: the server stopped honouring dry_run: may have been written: %s/%s",
		e.Field, e.DevID, e.Provider, e.Provider, e.Field)
}

// withoutAction is the text of err without the step it shares with the error
// around it.
func withoutAction(err error) string {
	var problem *Problem
	var bad *BadAnswerError
	var connection *ConnectionError
	var missed *MissedAPIError
	switch {
	case errors.As(err, &problem):
		return problem.says()
	case errors.As(err, &bad):
		return bad.says()
	case errors.As(err, &missed):
		return missed.says()
	case errors.As(err, &connection):
		return connection.says()
	default:
		return err.Error()
	}
}
