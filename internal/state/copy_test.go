package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func second[T any](_ T, err error) error { return err }

// temporary keeps the temporary files of a test apart and counts them.
func temporary(t *testing.T) func() int {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return func() int {
		files, err := os.ReadDir(dir)
		must(t, err)
		return len(files)
	}
}

// TestSnapshotKeepsNoWriterWaiting reads a state while another one writes it.
func TestSnapshotKeepsNoWriterWaiting(t *testing.T) {
	files := temporary(t)
	dir := filepath.Dir(filled(t))
	reader, err := OpenSnapshot(dir)
	must(t, err)
	defer func() { must(t, reader.Close()) }()
	if files() != 0 {
		t.Error("the copy still has a name")
	}
	writer := opened(t, dir)
	must(t, writer.SaveMemory(dev, memoryOf("polar")))
	memory, err := reader.Memory(dev)
	must(t, err)
	if diff := cmp.Diff(memoryOf("strava", "garmin").Connections["strava"], memory.Connections["strava"]); diff != "" {
		t.Errorf("the reader's memory (-want +got):\n%s", diff)
	}
	refusesWrites(t, reader)
	must(t, readAll(reader))
}

func TestSnapshotOfNoState(t *testing.T) {
	s, err := OpenSnapshot(t.TempDir())
	must(t, err)
	if !s.Missing() {
		t.Error("it is not missing")
	}
}

// TestCopyOfHalfABackupIsRefused: a backup that broke off is damage, and leaves
// nothing behind.
func TestCopyOfHalfABackupIsRefused(t *testing.T) {
	files := temporary(t)
	path := filled(t)
	whole, err := os.ReadFile(path)
	must(t, err)
	for _, length := range []int{0, 10, os.Getpagesize(), 3 * os.Getpagesize()} {
		_, err := OpenCopy(path, bytes.NewReader(whole[:length]))
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("%d of %d bytes: got %v, want damage", length, len(whole), err)
		}
	}
	if files() != 0 {
		t.Error("something is left behind")
	}
}

func TestReadOnlyViewSharesTheState(t *testing.T) {
	s := opened(t, t.TempDir())
	view := s.ReadOnly()
	must(t, s.SaveMemory(dev, memoryOf("strava")))
	memory, err := view.Memory(dev)
	must(t, err)
	if len(memory.Connections) != 1 {
		t.Error("it does not see what was saved")
	}
	refusesWrites(t, view)
	must(t, view.Close())
	must(t, s.SaveMemory(dev, memoryOf("polar")))
}
