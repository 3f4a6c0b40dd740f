package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
)

// Format of state.db that this program writes and reads.
const Format = 2

const (
	fileName     = "state.db"
	writeTimeout = time.Second
	readTimeout  = 200 * time.Millisecond

	// state.db is a tree of buckets.
	bucketMeta    = "meta"    // "format" and "epoch"
	bucketRecords = "records" // path of an address -> record
	bucketOutbox  = "outbox"  // sequence number -> line on its way to the history
	keyFormat     = "format"
	keyEpoch      = "epoch"
)

func buckets() []string { return []string{bucketMeta, bucketRecords, bucketOutbox} }

type formatRecord struct {
	Version int `json:"v"`
	Format  int `json:"format"`
}

// boltFile is the Backend of one state folder: records in state.db, one bbolt file,
// and the history in files of lines beside it, which anybody reads without a lock.
// A line is committed to the outbox together with the records, then written to its
// file; the numbers of both tell after a kill which lines are missing there. The lock
// on state.db keeps other processes out.
//
// It refuses to start fresh over a file that it cannot read, and to write where
// nobody would find it again: a file that was moved or replaced while it was open. One
// that was removed it puts back, from what it still holds.
type boltFile struct {
	path string

	open sync.RWMutex // held for writing while another file takes the place of this one
	db   *bolt.DB
	file *os.File // bbolt's own

	lines *lineFiles // nil: opened for reading

	removals int // of the file while it was open

	queueing   sync.Mutex
	queue      []*waiting
	committing sync.Mutex // one at a time commits and publishes
}

// openBolt opens the state in dir for writing. An existing file is never replaced.
// made tells whether there was none.
func openBolt(dir string, timeout time.Duration) (b *boltFile, made bool, err error) {
	if err := CheckFolder(dir); err != nil {
		return nil, false, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, unusable(dir, fmt.Errorf("create state folder: %w", err))
	}
	if err := CheckFolder(dir); err != nil { // somebody else may have made it just now
		return nil, false, err
	}
	path := filepath.Join(dir, fileName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(dir, path, initialise); err != nil {
			return nil, false, unusable(dir, fmt.Errorf("create state %s: %w", path, err))
		}
		made = true
	}
	if b, err = openFile(path, timeout, false); err != nil {
		return nil, made, err
	}
	_ = removeUnfinished(dir) // what a first start that was killed left behind does no harm
	if b.lines, err = openLines(dir); err == nil {
		err = b.publishMissing()
	}
	if err != nil {
		return nil, made, errors.Join(unusable(dir, err), b.Close())
	}
	return b, made, nil
}

func openFile(path string, timeout time.Duration, readOnly bool) (*boltFile, error) {
	b := &boltFile{path: path}
	err := b.guarded(func() (err error) {
		b.db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: timeout, ReadOnly: readOnly, NoStatistics: true,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				f, err := openExisting(name, flag, mode)
				b.file = f
				return f, err
			},
		})
		if err != nil {
			return b.openError(err)
		}
		return b.verify()
	})
	switch {
	case err == nil:
		return b, nil
	case b.db != nil:
		return nil, errors.Join(err, b.Close())
	case b.file != nil:
		abandon(b.file)
	}
	return nil, err
}

// openExisting keeps bbolt from making a new state out of a file that is gone or
// has lost its contents.
func openExisting(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag&^os.O_CREATE|noFollow, mode)
	if err != nil {
		return nil, linked(err)
	}
	err = checkFile(f)
	if info, look := f.Stat(); err == nil && look == nil && info.Size() == 0 {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (b *boltFile) openError(err error) error {
	var pathError *fs.PathError
	var errno syscall.Errno
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return &LockedError{Path: b.path}
	case errors.As(err, &pathError), errors.As(err, &errno):
		return unusable(filepath.Dir(b.path), fmt.Errorf("open state %s: %w", b.path, err))
	}
	return &CorruptError{Path: b.path, Cause: err}
}

// verify compares the length of the file with what its header promises, before a
// page beyond its end is touched, and refuses a file of another format, one that
// lacks a part, and one with a record of a later version.
func (b *boltFile) verify() error {
	return b.db.View(func(tx *bolt.Tx) error {
		info, err := os.Stat(b.path)
		if err != nil {
			return fmt.Errorf("open state %s: %w", b.path, err)
		}
		if info.Size() < tx.Size() {
			return &CorruptError{Path: b.path, Cause: fmt.Errorf("%d of %d bytes are there", info.Size(), tx.Size())}
		}
		meta := tx.Bucket([]byte(bucketMeta))
		if meta == nil {
			return &CorruptError{Path: b.path, Cause: errors.New("it is a database of another program")}
		}
		var found formatRecord
		if err := json.Unmarshal(meta.Get([]byte(keyFormat)), &found); err != nil {
			return &CorruptError{Path: b.path, Record: "format", Cause: err}
		}
		if found.Format != Format {
			return &FormatError{Path: b.path, Found: found.Format, Known: Format}
		}
		for _, name := range buckets() {
			if tx.Bucket([]byte(name)) == nil {
				return &CorruptError{Path: b.path, Cause: fmt.Errorf("its part %q is gone", name)}
			}
		}
		return b.verifyRecords(tx)
	})
}

// verifyRecords refuses a file in which a newer program has left a record that this one could
// not read: before anything is written, and not in the middle of a run.
func (b *boltFile) verifyRecords(tx *bolt.Tx) error {
	known := versions()
	return tx.Bucket([]byte(bucketRecords)).ForEach(func(path, value []byte) error {
		address, err := addressOf(string(path))
		if err == nil {
			err = checkVersion(known, address, value)
		}
		if newer := (*FormatError)(nil); errors.As(err, &newer) {
			newer.Path = b.path
			return newer
		}
		return nil // whoever reads it says what is wrong with it
	})
}

// IsPlace tells whether a path leads to a state, or to what lies beside one.
func IsPlace(path string) bool {
	_, err := os.Lstat(filepath.Join(filepath.Dir(path), fileName))
	return err == nil || filepath.Base(path) == fileName
}

// create puts a complete state at path: written by fill under another name, synced,
// then linked. A crash leaves nothing at path, so a file there that is
// empty or cut is damage and never an unfinished start. When another process was
// faster, its state stays.
func create(dir, path string, fill func(path string) error) error {
	temp, err := os.CreateTemp(dir, ".new-*."+fileName)
	if err != nil {
		return err
	}
	name := temp.Name()
	if err := temp.Close(); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	if err := fill(name); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	point()
	if err := os.Link(name, path); err != nil {
		if _, there := os.Lstat(path); there != nil {
			return errors.Join(err, os.Remove(name))
		}
	}
	point()
	if err := removeUnfinished(dir); err != nil {
		return err
	}
	return syncFolder(dir)
}

func initialise(path string) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: writeTimeout, NoStatistics: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets() {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		value, err := json.Marshal(formatRecord{Version: 1, Format: Format})
		if err != nil {
			return err
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyFormat), value)
	})
	return errors.Join(err, db.Close())
}

// WriteFile makes a state file of what Backup has written, to be put in the place of
// state.db. It refuses a path at which something is.
func WriteFile(path string, backup io.Reader) error {
	records, err := load(path, backup)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = file.Close(); err == nil {
		err = errors.Join(initialise(path), fill(path, records))
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncFolder(filepath.Dir(path))
}

func fill(path string, records moment) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: writeTimeout, NoStatistics: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		t := &boltTx{records: tx.Bucket([]byte(bucketRecords))}
		for _, r := range records {
			if err := t.Put(r.Address, r.Value); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

// removeUnfinished drops what starts that were killed, or too slow, have left
// behind, and our own name of a file that now has its final one. Only call it
// once the final one is there.
func removeUnfinished(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, ".new-*."+fileName))
	if err != nil {
		return fmt.Errorf("list unfinished state files: %w", err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// check refuses to go on with a file that nobody would find again: one that was moved
// or replaced while it was open. One that was removed is still whole in here, and takes
// its place again.
func (b *boltFile) check() error {
	b.open.RLock()
	missing := b.missing()
	b.open.RUnlock()
	if missing == nil {
		return nil
	}
	b.open.Lock()
	defer b.open.Unlock()
	if missing = b.missing(); missing == nil { // another one was faster
		return nil
	}
	if errors.Is(missing, fs.ErrNotExist) && removed(b.file) {
		if missing = b.putBack(); missing == nil {
			return nil
		}
	}
	return advice.With(fmt.Errorf("write state %s: it was moved or replaced while this process had it open (%w); nothing more is written", b.path, missing),
		"put it back, or start this process again")
}

// missing says why the file is not where it was opened.
func (b *boltFile) missing() error {
	mine, err := b.file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(b.path)
	if err == nil && !os.SameFile(mine, there) {
		err = errors.New("another file has its name")
	}
	return err
}

// putBack makes the file and its folder again, with all that was in it. It leaves alone
// what somebody else has made there meanwhile.
func (b *boltFile) putBack() error {
	dir := filepath.Dir(b.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	err := create(dir, b.path, func(path string) error {
		return b.guarded(func() error { return b.db.View(func(tx *bolt.Tx) error { return copyTo(tx, path) }) })
	})
	if err != nil {
		return err
	}
	again, err := openFile(b.path, writeTimeout, false)
	if err != nil {
		return err
	}
	former := b.db
	b.db, b.file = again.db, again.file
	b.removals++
	times := ""
	if b.removals > 1 { // another one is no repetition of the first
		times = fmt.Sprintf(", %d times by now", b.removals)
	}
	b.lines.note(b.path + " was removed while this process had it open" + times + "; it is there again, with all that was in it. Lines of the history that went with it are gone")
	return former.Close()
}

func copyTo(tx *bolt.Tx, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = tx.WriteTo(f)
	return errors.Join(err, f.Sync(), f.Close())
}
