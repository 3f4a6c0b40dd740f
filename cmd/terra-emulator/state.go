package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// load reads the state file. A file that is not there is an empty account.
func load(s *emulator.Server, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	defer f.Close()
	if err := s.Load(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// save writes the state so that a reader finds the old file or the new one,
// never half of one. Its mode is 0600: it holds tokens and secrets.
func save(s *emulator.Server, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone once it was renamed
	err = errors.Join(s.Save(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// saver saves the state after changes, in the background; changes that come
// while it writes are saved together.
type saver struct {
	server  *emulator.Server
	path    string
	changed chan struct{} // holds at most one: there is something to save
	quit    chan struct{} // closed by finish
	done    chan struct{} // closed when no save runs any more
	failed  func(error)   // told of each save that failed
}

// startSaver begins after a save: what is there now is not saved again.
func startSaver(s *emulator.Server, path string, failed func(error)) *saver {
	v := &saver{server: s, path: path, failed: failed,
		changed: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go v.loop(s.Revision())
	return v
}

func (v *saver) loop(saved uint64) {
	defer close(v.done)
	for {
		select {
		case <-v.changed:
		case <-v.quit:
			return
		}
		revision := v.server.Revision()
		if revision == saved {
			continue
		}
		if err := save(v.server, v.path); err != nil {
			v.failed(err)
			continue
		}
		saved = revision
	}
}

// note says that something may have changed.
func (v *saver) note() {
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

// finish ends the saving in the background and saves a last time.
func (v *saver) finish() error {
	close(v.quit)
	<-v.done
	return save(v.server, v.path)
}
