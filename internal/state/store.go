package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// Options of Open.
type Options struct {
	Timeout   time.Duration // how long to wait for another process; 0 means one second
	MustExist bool          // no state yet is an error that wraps fs.ErrNotExist
}

// Store is the memory of one runner: typed helpers over a Backend. Its zero value is
// unusable: Open, OpenReadOnly, OpenCopy or None make one, ReadOnly another view.
type Store struct {
	backend Backend // one that cannot write, where the Store cannot
	path    string
	epoch   int64
	missing bool
	older   bool // than its history, and that is not written down
	reason  string
	notes   *lineFiles // nil: there are none
	caches  *caches
}

// caches hold decoded what every run reads.
type caches struct {
	connections cache[plan.Remembered]
	sourceTypes cache[offered]
	secrets     cache[cachedSecret]
}

// Open opens the state in dir for reading and writing, and creates dir (0700)
// and the files (0600) when they are not there; then it is Missing. It is the
// only writer until Close. Where the history tells that the state is older than
// it was, as after restoring a backup, every environment counts as suspended until
// a run has looked at it. TakeNotes says so, and what else a person should know.
//
// Errors: *LockedError when another process has it open after the timeout,
// *FormatError, *CorruptError for a file that is empty, cut or no state, else the
// operating system's. An existing file is never replaced.
func Open(dir string, o Options) (*Store, error) {
	if _, err := os.Lstat(filepath.Join(dir, fileName)); err != nil && o.MustExist {
		return nil, fmt.Errorf("open state: %w", err)
	}
	if o.Timeout <= 0 {
		o.Timeout = writeTimeout
	}
	b, made, err := openBolt(dir, o.Timeout)
	if err != nil {
		return nil, err
	}
	s := &Store{backend: b, path: b.path, missing: made, notes: b.lines, caches: &caches{}}
	highest, err := b.Epoch()
	s.epoch = highest + 1
	older := false
	if err == nil {
		older, err = s.compareAge()
	}
	if err == nil && older {
		err = s.catchUp()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenReadOnly reads a copy of the state in dir, for a run that must change nothing:
// it creates no file, keeps no writer waiting, and every method that writes returns
// ErrReadOnly. Where there is no state yet the Store is empty and Missing.
//
// Errors are those of Open; it waits a fifth of a second for a writer.
func OpenReadOnly(dir string) (*Store, error) {
	s := &Store{path: filepath.Join(dir, fileName), notes: &lineFiles{dir: dir}, caches: &caches{}}
	var records moment
	if _, err := os.Lstat(s.path); errors.Is(err, fs.ErrNotExist) {
		s.missing, s.reason = true, "no state in "+dir+" yet"
	} else {
		b, err := openFile(s.path, readTimeout, true)
		if err != nil {
			return nil, err
		}
		defer func() { _ = b.Close() }() // not before the history was looked at: no writer comes in between
		if records, err = momentOf(b); err != nil {
			return nil, err
		}
	}
	s.backend = records
	var err error
	if s.notes.last, err = lastSequence(dir); err == nil {
		s.older, err = s.compareAge()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// OpenCopy reads what Backup of the state at path has written.
func OpenCopy(path string, backup io.Reader) (*Store, error) {
	records, err := load(path, backup)
	if err != nil {
		return nil, err
	}
	return &Store{backend: records, path: path, caches: &caches{}}, nil
}

// None is the Store of a run that has no state at hand: reads find nothing,
// writes return ErrReadOnly, Reason repeats why.
func None(reason string) *Store {
	return &Store{backend: moment{}, reason: reason, caches: &caches{}}
}

// ReadOnly gives the same state to somebody who must change nothing. Closing it
// does not close s, which has to stay open.
func (s *Store) ReadOnly() *Store {
	view := *s
	view.backend = readOnly{s.backend}
	return &view
}

// Missing reports whether the Store was opened where no state has been written
// yet.
func (s *Store) Missing() bool { return s.missing }

// Reason says, for a person, why the Store holds nothing; "" when it is backed
// by a file.
func (s *Store) Reason() string { return s.reason }

// TakeNotes gives, once, what a person should know about how the state was found.
func (s *Store) TakeNotes() []string {
	if s.notes == nil {
		return nil
	}
	return s.notes.takeNotes()
}

// Check tells whether what is saved from now on would be found again. A state that was
// removed is put back.
func (s *Store) Check() error {
	if b, ok := s.backend.(interface{ check() error }); ok {
		return b.check()
	}
	return nil
}

// Close lets other processes open the state. It waits for calls under way and
// may be called again.
func (s *Store) Close() error { return s.backend.Close() }

// Backup writes a copy of one moment to w, for OpenCopy and WriteFile, while others go on
// reading and writing.
func (s *Store) Backup(w io.Writer) error {
	if s.reason != "" {
		return fmt.Errorf("back up state: %s", s.reason)
	}
	if err := save(s.backend, w); err != nil {
		return fmt.Errorf("back up state %s: %w", s.path, err)
	}
	return nil
}

// compareAge finds out whether the history goes on after the state ends: then what was
// learned since is not known any more, but for the outcomes in it.
func (s *Store) compareAge() (older bool, err error) {
	err = s.read("compare state with its history", func(r Reader) error {
		known, _, err := kindSequence.get(r, Environment{}, "")
		older = s.notes.lastSequence() > known
		return err
	})
	switch {
	case err != nil || !older:
	case s.missing:
		s.notes.note(s.path + " was gone although its history is there; restore a backup, or go on knowing that what could hurt end users waits for approval")
	default:
		s.notes.note(s.path + " is older than its history, as after restoring a backup; what could hurt end users waits for approval")
	}
	return older, err
}

// catchUp writes down that a state is older than its history: the next run of every
// environment is as careful as after a suspend, and no outcome is recorded twice.
func (s *Store) catchUp() error {
	since, _, err := History(s.notes.dir, HistoryFilter{})
	if err != nil {
		return err
	}
	return s.write("compare state with its history", func(w Writer) error {
		environments, err := w.Environments()
		for _, env := range environments {
			if err := errors.Join(err, suspend(w, env), markRecorded(w, env, since)); err != nil {
				return err
			}
		}
		if _, told, err := kindHeard.get(w, Environment{}, ""); err == nil && told { // by the messages of the newer state
			if err := kindHeard.put(w, Environment{}, "", HeardUntil{Sequence: s.notes.lastSequence()}); err != nil {
				return err
			}
		}
		return errors.Join(err, kindSequence.put(w, Environment{}, "", s.notes.lastSequence()))
	})
}

// read and write call fn in a transaction; what is the verb of its errors.
func (s *Store) read(what string, fn func(Reader) error) error {
	return s.explained(what, s.backend.Read(fn))
}

func (s *Store) write(what string, fn func(Writer) error) error {
	return s.explained(what, s.backend.Write(s.epoch, fn))
}

// writeFor is write about an environment.
func (s *Store) writeFor(env Environment, what string, fn func(Writer) error) error {
	return s.write(what+" of "+env.DevID, func(w Writer) error {
		if env.DevID == "" {
			return errors.New("dev_id is empty")
		}
		return fn(w)
	})
}

// explained says where it happened and what was tried.
func (s *Store) explained(what string, err error) error {
	var damaged *CorruptError
	var format *FormatError
	var stored *UnpublishedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stored):
		return stored // what was tried is done
	case errors.As(err, &damaged) && damaged.Path == "":
		damaged.Path = s.path
	case errors.As(err, &format) && format.Path == "":
		format.Path = s.path
	}
	return fmt.Errorf("%s: %w", what, err)
}

// one reads the one record of a kind that an environment has.
func one[T any](s *Store, k Kind[T], env Environment) (record T, err error) {
	err = s.read("recall "+k.name()+" of "+env.DevID, func(r Reader) (err error) {
		record, _, err = k.get(r, env, "")
		return err
	})
	return record, err
}

// replace saves the one record of a kind that an environment has.
func replace[T any](s *Store, k Kind[T], env Environment, record T) error {
	return s.writeFor(env, "save "+k.name(), func(w Writer) error { return k.put(w, env, "", record) })
}

// utc keeps a zero time zero and drops the location of any other.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// moment is a Backend that cannot write: the records of a state at one time, sorted by
// path. Its zero value is no state at all.
type moment []Record

// Read implements Backend.
func (m moment) Read(fn func(Reader) error) error { return fn(m) }

// Write implements Backend.
func (moment) Write(int64, func(Writer) error) error { return ErrReadOnly }

// Epoch implements Backend.
func (moment) Epoch() (int64, error) { return 0, nil }

// Close implements Backend.
func (moment) Close() error { return nil }

// from gives where the records of a prefix begin.
func (m moment) from(prefix string) int {
	at, _ := slices.BinarySearchFunc(m, prefix, func(r Record, path string) int { return strings.Compare(r.path(), path) })
	return at
}

// Get implements Reader.
func (m moment) Get(a Address) ([]byte, error) {
	if at := m.from(a.path()); at < len(m) && m[at].Address == a {
		return m[at].Value, nil
	}
	return nil, nil
}

// List implements Reader.
func (m moment) List(env Environment, kind string) ([]Record, error) {
	at := m.from(env.path() + kind)
	end := at
	for end < len(m) && m[end].Environment == env && (kind == "" || m[end].Kind == kind) {
		end++
	}
	return m[at:end], nil
}

// Environments implements Reader.
func (m moment) Environments() (out []Environment, err error) {
	for at := 0; at < len(m); at = m.from(m[at].Environment.path() + lastKind) {
		out = append(out, m[at].Environment)
	}
	return out, nil
}

// document is a copy of a state, as JSON.
type document struct {
	Format  int    `json:"format"`
	Records moment `json:"records"`
}

// save writes a copy.
func save(b Backend, w io.Writer) error {
	m, err := momentOf(b)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(document{Format, append(moment{}, m...)})
}

// load reads what save has written; one that broke off is damage.
func load(path string, from io.Reader) (moment, error) {
	var d document
	if err := json.NewDecoder(from).Decode(&d); err != nil {
		return nil, &CorruptError{Path: path, Record: "a copy", Cause: err}
	}
	if d.Format != Format {
		return nil, &FormatError{Path: path, Record: "a copy", Found: d.Format, Known: Format}
	}
	inOrder := slices.IsSortedFunc(d.Records, func(a, b Record) int { return cmp.Or(strings.Compare(a.path(), b.path()), -1) }) // and none twice
	if d.Records == nil || !inOrder {
		return nil, &CorruptError{Path: path, Record: "a copy", Cause: errors.New("its records are not whole, or not in order")}
	}
	return d.Records, nil
}

// momentOf takes the records of another backend at one time.
func momentOf(b Backend) (m moment, err error) {
	err = b.Read(func(r Reader) error {
		m = nil
		environments, err := r.Environments()
		for _, env := range environments {
			if err != nil {
				return err
			}
			var records []Record
			records, err = r.List(env, "")
			for _, record := range records {
				m = append(m, Record{record.Address, bytes.Clone(record.Value)})
			}
		}
		return err
	})
	return m, err
}
