package state

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ReadOnly gives the same state to somebody who must change nothing. Closing it
// does not close s, which has to stay open. Of a store that is read-only already it
// takes the notes along.
func (s *Store) ReadOnly() *Store {
	copied := &Store{db: s.db, path: s.path, readOnly: true, borrowed: true, missing: s.missing, reason: s.reason, older: s.older}
	if s.readOnly {
		copied.history = s.history
	}
	return copied
}

// OpenCopy opens what Backup of the state at path has written, for reading only.
// It is kept in a temporary file (0600) that has lost its name when OpenCopy
// returns, so that nothing is left behind however this process ends.
func OpenCopy(path string, backup io.Reader) (*Store, error) {
	file, err := os.CreateTemp("", "reconcile-*.db")
	if err != nil {
		return nil, fmt.Errorf("copy state %s: %w", path, err)
	}
	name := file.Name()
	_, err = io.Copy(file, backup)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("copy state %s: %w", path, errors.Join(err, os.Remove(name)))
	}
	s, err := open(name, readTimeout, true)
	if removed := os.Remove(name); err != nil || removed != nil {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
		return nil, errors.Join(err, removed)
	}
	s.path = path
	return s, nil
}

// OpenSnapshot is OpenReadOnly of a copy that is made at once: however long the
// reader takes, it keeps no writer waiting.
func OpenSnapshot(dir string) (*Store, error) {
	s, err := OpenReadOnly(dir)
	if err != nil || s.missing {
		return s, err
	}
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := s.Backup(writer)
		done <- err
		_ = writer.CloseWithError(err) // it always returns nil
	}()
	copied, err := OpenCopy(s.path, reader)
	_ = reader.Close() // it always returns nil, and lets a writer that nobody hears end
	backedUp := <-done
	if err == nil && backedUp != nil {
		err = errors.Join(backedUp, copied.Close())
	}
	if err == nil {
		copied.history, copied.older = s.history, s.older
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	return copied, nil
}
