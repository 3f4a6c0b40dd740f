package state

import (
	"errors"
	"fmt"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
)

// Backend keeps records and an append-only history. It is all that a Store needs of
// the place where state lives: state.db and the history beside it are one, a database with a
// lease could be another. What follows is the contract; package statetest holds the
// suite that any backend has to pass.
//
// Records. A record is bytes under an Address, and the backend does not look into
// them: their form and version are the business of the typed helpers. Absent is not
// empty: Get of a record that was never put, or was deleted, gives nil and no error,
// and an empty value cannot be put. A record that is there and cannot be read is a
// *CorruptError, never absent.
//
// Atomicity. All that the function of one Write puts, deletes and appends takes
// effect together, or none of it: when the function or Write returns an error, or the
// process is killed at any moment, nothing of it is there. The one exception is
// *UnpublishedError, which says that everything is stored and only the readers of the
// history have to wait for its lines. A backend that may lose the answer to a commit
// reports it as an error; callers take that for "not done" and can do the same again.
//
// Isolation. Writes are serial. The Reader of one Read sees one committed moment,
// whatever is written meanwhile; the Writer sees its own changes besides. A function
// may be called again from the start when the backend had to begin anew: it changes
// nothing but through its Writer, and sets its results afresh each time. It must not
// use the Backend itself. Bytes that a Reader gives are valid until the function
// returns and belong to the backend.
//
// Order. Environments and List are sorted by bytes. Lines of the history come in the
// order of their sequence numbers, each once, to whoever reads the history, also
// while another process writes it and also after a kill at any point.
//
// Fencing. Each writer has an epoch, a number that grows with each process that takes
// over (here the file lock lets one at a time, so the next is the last plus one; a
// lease would hand one out). A transaction of a lower epoch than one that has changed
// something is refused with ErrFenced: another process has taken over, so this one
// must stop, at Terra too. It does, because no write leaves without its intent.
//
// Durability. What Write has returned nil for survives a power cut, and its lines can
// be read. A transaction that changes nothing need not touch the disk, and should not:
// a quiet run is many of these.
//
// Sizes. An address has at most MaxAddress bytes in all and no NUL, a record or a
// line at most MaxValue. Our own stay far below; one transaction touches some
// thousands of records at most (when the digest key changes).
//
// Errors. ErrFenced, ErrReadOnly, *CorruptError, *FormatError and *UnpublishedError,
// and *LockedError when it is opened, mean what they say; others are those of the
// system below, wrapped. A Backend may be used by many goroutines.
type Backend interface {
	// Read calls fn with the records of one moment.
	Read(fn func(Reader) error) error
	// Write calls fn in a transaction of a writer, and keeps what it did when it
	// returns nil.
	Write(epoch int64, fn func(Writer) error) error
	// Epoch gives the highest epoch that has changed something, 0 for none.
	Epoch() (int64, error)
	// Close waits for calls under way and may be called again.
	Close() error
}

// Reader reads the records of one moment.
type Reader interface {
	// Get gives one record, nil where it is absent.
	Get(Address) ([]byte, error)
	// List gives the records of one environment and kind by key; of every kind, by
	// kind and key, where that is "".
	List(env Environment, kind string) ([]Record, error)
	// Environments gives those that have a record, the zero one included.
	Environments() ([]Environment, error)
}

// Writer also changes them.
type Writer interface {
	Reader
	// Put replaces a record. The same bytes again change nothing.
	Put(Address, []byte) error
	// Delete removes a record; one that is absent is as good as removed.
	Delete(Address) error
	// Append adds a line to the history. Its number is higher than all before it.
	Append(sequence int64, line []byte) error
}

// Environment says whose memory a record is. The same dev_id at another API address,
// or seen by the token of another customer, is another environment, of which nothing
// is remembered. The zero Environment holds what belongs to the runner itself.
type Environment struct {
	API      string `json:"api,omitempty"`      // address of the API
	Customer string `json:"customer,omitempty"` // of the token
	DevID    string `json:"dev_id,omitempty"`
}

// Address names one record.
type Address struct {
	Environment
	Kind string `json:"kind"`
	Key  string `json:"key,omitempty"` // "" where there is at most one of the kind
}

// Record is one record with its address.
type Record struct {
	Address
	Value []byte
}

// What any backend has to take.
const (
	MaxAddress = 4 << 10
	MaxValue   = 1 << 20
)

// Check refuses an address that a backend need not take.
func (a Address) Check() error {
	switch path := a.path(); {
	case a.Kind == "":
		return errors.New("a record has no kind")
	case len(path) > MaxAddress:
		return fmt.Errorf("the address of a record has %d bytes; at most %d are possible", len(path), MaxAddress)
	case strings.Count(path, separator) != 4:
		return errors.New("the address of a record holds a NUL")
	}
	return nil
}

// CheckValue refuses a record or a line that a backend need not take.
func CheckValue(value []byte) error {
	switch {
	case len(value) == 0:
		return errors.New("a record is empty")
	case len(value) > MaxValue:
		return fmt.Errorf("a record has %d bytes; at most %d are possible", len(value), MaxValue)
	}
	return nil
}

// separator stands between the parts of a path, so that paths sort as addresses do.
const (
	separator = "\x00"
	lastKind  = "\xff" // behind the kinds of an environment
)

func (e Environment) path() string {
	return e.API + separator + e.Customer + separator + e.DevID + separator
}

func (a Address) path() string { return a.Environment.path() + a.Kind + separator + a.Key }

func addressOf(path string) (Address, error) {
	parts := strings.Split(path, separator)
	if len(parts) != 5 {
		return Address{}, &CorruptError{Record: fmt.Sprintf("a record named %q", path), Cause: errors.New("that is no address")}
	}
	return Address{Environment{parts[0], parts[1], parts[2]}, parts[3], parts[4]}, nil
}

// ErrReadOnly is wrapped by every method that writes when there is nothing to write
// to: the Store was opened for reading, or stands for no state at all.
var ErrReadOnly = errors.New("state is open for reading only")

// ErrFenced is wrapped by every method that writes once another process has taken over.
var ErrFenced = errors.New("another reconcile has taken over this state; end this process")

// LockedError says that another process has the state open.
type LockedError struct{ Path string }

// Error names the file.
func (e *LockedError) Error() string {
	return fmt.Sprintf("open state %s: another reconcile has it open", e.Path)
}

// Unwrap says what to do.
func (e *LockedError) Unwrap() error {
	return advice.With(errLocked, "wait until it ends; if it is a daemon, see how it stands", "status")
}

var errLocked = errors.New("another process has the state open")

// FormatError says that a reconcile of another version wrote the state, or a record.
type FormatError struct {
	Path   string
	Record string // "" for the whole file
	Found  int    // its format or version
	Known  int    // the one that this program reads
}

// Error names both and the way out.
func (e *FormatError) Error() string {
	what, number, next := "it", "format", "install the newer reconcile that wrote it again, or restore the backup from before"
	if e.Record != "" {
		what, number = e.Record, "version"
	}
	if e.Found < e.Known {
		next = "it is from before the first release; move the file away to go on without memory: what could hurt end users then waits for approval"
	}
	return fmt.Sprintf("open state %s: %s has %s %d and this reconcile reads %s %d; %s", e.Path, what, number, e.Found, number, e.Known, next)
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

// UnpublishedError says that a transaction is stored, and that its lines could not be
// put where the history is read: the next transaction with lines does that, or the
// next process.
type UnpublishedError struct {
	Path  string
	Cause error
}

// Error names the file.
func (e *UnpublishedError) Error() string {
	return fmt.Sprintf("write history %s: %v; it is in effect, and the history gets its lines later", e.Path, e.Cause)
}

// Unwrap gives the cause.
func (e *UnpublishedError) Unwrap() error { return e.Cause }

// readOnly takes the ability to write away from a backend, and the ability to close
// it: it belongs to somebody else.
type readOnly struct{ Backend }

// Write implements Backend.
func (readOnly) Write(int64, func(Writer) error) error { return ErrReadOnly }

// Close implements Backend.
func (readOnly) Close() error { return nil }
