package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Version is the format of the state that this program writes, and the newest
// that it reads.
const Version = 1

const (
	fileName     = "state.db"
	writeTimeout = time.Second
	readTimeout  = 200 * time.Millisecond
)

// Options of Open.
type Options struct {
	Timeout   time.Duration // how long to wait for another process; 0 means one second
	MustExist bool          // no state yet is an error that wraps fs.ErrNotExist
}

// Store is the state of one runner. Its zero value is unusable: Open,
// OpenReadOnly or None make one.
type Store struct {
	db       *bolt.DB // nil: reads find nothing
	path     string
	readOnly bool
	borrowed bool // another Store closes db
	missing  bool
	reason   string
	digests  digestTable
	recalled recall[connectionRecord]
	offered  recall[sourceTypesRecord]

	history *history    // nil: nothing can be told
	inode   fs.FileInfo // of the file that is open for writing
	older   bool        // the history goes on after this state ends, and that is not noted yet

	telling sync.Mutex // one at a time writes what waits about kill switches

	epochs sync.Mutex
	epoch  int64
	begun  bool // lines of this process carry epoch
}

// Open opens the state in dir for reading and writing, and creates dir (0700)
// and the files (0600) when they are not there; then it is Missing. It is the
// only writer until Close. Where the history tells that the state is older than
// it was, as after restoring a backup, every environment counts as suspended until
// a run has looked at it. TakeNotes says so, and what else a person should know.
//
// Errors: *LockedError when another process has it open after the timeout,
// *NewerError, *CorruptError for a file that is empty, cut or no state, else the
// operating system's. An existing file is never replaced.
func Open(dir string, o Options) (*Store, error) {
	if _, err := os.Lstat(filepath.Join(dir, fileName)); err != nil && o.MustExist {
		return nil, fmt.Errorf("open state: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create state folder: %w", err)
	}
	path := filepath.Join(dir, fileName)
	_, there := os.Lstat(path)
	missing := errors.Is(there, fs.ErrNotExist)
	if missing {
		if err := create(dir, path); err != nil {
			return nil, fmt.Errorf("create state %s: %w", path, err)
		}
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = writeTimeout
	}
	s, err := open(path, timeout, false)
	if err != nil {
		return nil, err
	}
	_ = removeUnfinished(dir) // what a first start that was killed left behind does no harm
	s.missing = missing
	if err := s.openHistory(dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenReadOnly opens the state in dir for a run that must change nothing: it
// creates no file, and every method that writes returns ErrReadOnly. Where there
// is no state yet the Store is empty and Missing. While it is open no writer can
// open the state, readers can.
//
// Errors are those of Open; it waits a fifth of a second for a writer.
func OpenReadOnly(dir string) (*Store, error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		s := &Store{path: path, readOnly: true, missing: true, reason: "no state in " + dir + " yet", history: newHistory(dir)}
		return s, s.compareAge()
	}
	s, err := open(path, readTimeout, true)
	if err != nil {
		return nil, err
	}
	s.history = newHistory(dir)
	if err := s.compareAge(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// None is the Store of a run that has no state at hand: reads find nothing,
// writes return ErrReadOnly, Reason repeats why.
func None(reason string) *Store {
	return &Store{readOnly: true, reason: reason}
}

// Missing reports whether the Store was opened where no state has been written
// yet.
func (s *Store) Missing() bool { return s.missing }

// Reason says, for a person, why the Store holds nothing; "" when it is backed
// by a file.
func (s *Store) Reason() string { return s.reason }

// Close lets other processes open the state. It waits for calls under way and
// may be called again.
func (s *Store) Close() error {
	if s.db == nil || s.borrowed {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close state %s: %w", s.path, err)
	}
	return nil
}

// Backup writes a consistent copy of the whole state to w while others go on
// reading and writing. Saved as state.db in another folder, it opens there.
func (s *Store) Backup(w io.Writer) error {
	if s.db == nil {
		return fmt.Errorf("back up state: %s", s.reason)
	}
	err := s.view(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(w)
		return err
	})
	if err != nil {
		return fmt.Errorf("back up state %s: %w", s.path, err)
	}
	return nil
}

func open(path string, timeout time.Duration, readOnly bool) (*Store, error) {
	s := &Store{path: path, readOnly: readOnly}
	var file *os.File
	options := &bolt.Options{
		Timeout:      timeout,
		ReadOnly:     readOnly,
		NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := openExisting(name, flag, mode)
			if file = f; err == nil {
				s.inode, err = f.Stat()
			}
			return f, err
		},
	}
	err := s.guarded(func() error {
		db, err := bolt.Open(path, 0o600, options)
		if err != nil {
			return s.openError(err)
		}
		s.db = db
		return s.verify()
	})
	if err == nil {
		return s, nil
	}
	if s.db != nil {
		return nil, errors.Join(err, s.Close())
	}
	if file != nil {
		abandon(file)
	}
	return nil, err
}

var errEmpty = errors.New("the file is empty")

// openExisting keeps bbolt from making a new state out of a file that is gone or
// has lost its contents.
func openExisting(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() == 0 {
		err = errEmpty
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (s *Store) openError(err error) error {
	var pathError *fs.PathError
	var errno syscall.Errno
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return &LockedError{Path: s.path}
	case errors.As(err, &pathError), errors.As(err, &errno):
		return fmt.Errorf("open state %s: %w", s.path, err)
	}
	return &CorruptError{Path: s.path, Cause: err}
}

// verify compares the length of the file with what its header promises, before a
// page beyond its end is touched, and reads the version.
func (s *Store) verify() error {
	return s.db.View(func(tx *bolt.Tx) error {
		info, err := os.Stat(s.path)
		if err != nil {
			return fmt.Errorf("open state %s: %w", s.path, err)
		}
		if info.Size() < tx.Size() {
			return &CorruptError{Path: s.path, Cause: fmt.Errorf("%d of %d bytes are there", info.Size(), tx.Size())}
		}
		return s.verifyVersion(tx)
	})
}

// view runs fn in a transaction that sees one consistent state; without a file
// it does nothing.
func (s *Store) view(fn func(*bolt.Tx) error) error {
	if s.db == nil {
		return nil
	}
	return s.guarded(func() error { return s.db.View(fn) })
}

// update runs fn in a transaction that is on disk when update returns nil, and
// has left no trace when it returns an error.
func (s *Store) update(fn func(*bolt.Tx) error) error {
	if s.readOnly {
		return ErrReadOnly
	}
	if err := s.inPlace(); err != nil {
		return err
	}
	point()
	err := s.guarded(func() error { return s.db.Update(fn) })
	point()
	return err
}

// inPlace refuses to write to a file that nobody would find again: one that was
// removed or replaced while it was open.
func (s *Store) inPlace() error {
	info, err := os.Stat(s.path)
	if err == nil && os.SameFile(info, s.inode) {
		return nil
	}
	if err == nil {
		err = errors.New("another file has its name")
	}
	return fmt.Errorf("write state %s: it was moved or replaced while this process had it open (%w); nothing more is written; put it back or end this process", s.path, err)
}

// guarded turns the panics and page faults, with which bbolt meets a damaged
// file, into a *CorruptError.
func (s *Store) guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = &CorruptError{Path: s.path, Cause: fmt.Errorf("%v", cause)}
		}
	}()
	return fn()
}
