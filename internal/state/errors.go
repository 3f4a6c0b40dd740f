package state

import (
	"errors"
	"fmt"
)

// ErrReadOnly is wrapped by every method that writes when the Store was opened
// for reading or stands for no state at all.
var ErrReadOnly = errors.New("state is open for reading only")

// ErrNotPending is wrapped by End for an intent that was never begun or has
// already ended.
var ErrNotPending = errors.New("no such intent is pending")

// ErrKeyChanged is wrapped by SetDigestKey when another run has set a digest key
// meanwhile: read it again and use that one.
var ErrKeyChanged = errors.New("another run has set the digest key")

// LockedError says that another process has the state open.
type LockedError struct {
	Path string
}

// Error names the file and the way out.
func (e *LockedError) Error() string {
	return fmt.Sprintf("open state %s: another reconcile has it open; wait until it ends, or ask the daemon that keeps it (`reconcile status`, `now`, `approve`)", e.Path)
}

// NewerError says that a newer reconcile wrote the state.
type NewerError struct {
	Path  string
	Found int // version of the format found
	Known int // newest version this program reads
}

// Error names both versions and the way out.
func (e *NewerError) Error() string {
	return fmt.Sprintf("open state %s: it has format %d and this reconcile reads format %d; run the newer reconcile that wrote it", e.Path, e.Found, e.Known)
}

// CorruptError says that the state, or one record of it, cannot be read. Nothing
// was changed.
type CorruptError struct {
	Path   string
	Record string // "" for the whole file
	Cause  error
}

// Error names the file, the record when it is only one, and the way out.
func (e *CorruptError) Error() string {
	what := "state " + e.Path
	if e.Record != "" {
		what = e.Record + " in state " + e.Path
	}
	return fmt.Sprintf("read %s: damaged (%v); restore a backup, or move the file away to go on without memory: what could hurt end users then waits for approval", what, e.Cause)
}

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() error { return e.Cause }
