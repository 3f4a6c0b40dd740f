package state

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// filled is the path of a closed state with something in every bucket.
func filled(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err == nil {
		err = errors.Join(
			s.SetDigestKey(nil, []byte("sealed")),
			s.SaveMemory(dev, memoryOf("strava", "garmin")),
			s.SaveCommits(dev, Commits{"production", "bbb", "aaa"}),
			s.SaveSourceTypes(dev, offered(), noon()),
			s.SaveGood([]Good{{dev, "production", "bbb"}}),
			s.SetKillSwitch(killSwitch("production", "")),
			s.SaveDigests(noon(), map[string]Digest{"sha256:a": {Value: "v", Mask: "m"}}),
			s.Begin(intent("open", noon())),
			s.Begin(intent("done", noon())),
			s.End("done"),
			s.SaveOngoing(dev, Ongoing{Held: map[string]Hold{"production/strava:pause": {Since: noon()}}}, nil),
			s.Close(),
		)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, fileName)
}

// readAll calls every reading method and gives the first error.
func readAll(s *Store) error {
	_, err := s.Memory(dev)
	_, err2 := s.DigestKey()
	_, err3 := s.Digests()
	_, _, err4 := s.SourceTypes(dev)
	_, err5 := s.Commits(dev)
	_, err6 := s.Pending(dev)
	_, err7 := s.Ongoing(dev)
	_, err8 := s.Known()
	_, err9 := s.KillSwitches(noon())
	for _, err := range []error{err, err2, err3, err4, err5, err6, err7, err8, err9} {
		if err != nil {
			return err
		}
	}
	return nil
}

// A file that lost a page in use is damage, for a writer as for a reader: never
// a fresh state, never a crash. What bbolt has reserved at its end may be lost.
func TestTruncatedFileIsRefused(t *testing.T) {
	source := filled(t)
	whole, err := os.ReadFile(source)
	must(t, err)
	used := bytesInUse(t, source)
	page := os.Getpagesize()
	lengths := []int{0, 1, 100}
	for length := page; length < len(whole); length += page {
		lengths = append(lengths, length-1, length, length+1)
	}
	if used < 6*page || used >= len(whole) {
		t.Fatalf("%d of %d bytes in use prove nothing", used, len(whole))
	}
	path := filepath.Join(t.TempDir(), fileName)
	for _, length := range lengths {
		must(t, os.WriteFile(path, whole[:length], 0o600))
		for name, err := range openBoth(filepath.Dir(path)) {
			var corrupt *CorruptError
			if got, want := errors.As(err, &corrupt), length < used; got != want || !want && err != nil {
				t.Errorf("%s of %d of %d bytes, %d in use: got %v, want damage %v", name, length, len(whole), used, err, want)
			}
		}
		after, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(after, whole[:length]) {
			t.Fatalf("the file of %d bytes was changed", length)
		}
	}
}

// openBoth opens and reads a state as a writer and as a reader. Each has to
// leave the lock free, also after it met damage.
func openBoth(dir string) map[string]error {
	errs := map[string]error{}
	for name, open := range map[string]func() (*Store, error){
		"Open":         func() (*Store, error) { return Open(dir, Options{}) },
		"OpenReadOnly": func() (*Store, error) { return OpenReadOnly(dir) },
	} {
		s, err := open()
		if err == nil {
			err = errors.Join(readAll(s), s.Close())
		}
		errs[name] = err
	}
	return errs
}

func bytesInUse(t *testing.T, path string) int {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	used := 0
	must(t, db.View(func(tx *bolt.Tx) error {
		used = int(tx.Size())
		return nil
	}))
	return used
}

// Zeroing any page either does no harm or is an error of this package.
func TestLostPageNeverCrashes(t *testing.T) {
	whole, err := os.ReadFile(filled(t))
	must(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	page := os.Getpagesize()
	refused := 0
	for from := 0; from+page <= len(whole); from += page {
		broken := append([]byte(nil), whole...)
		clear(broken[from : from+page])
		must(t, os.WriteFile(path, broken, 0o600))
		for name, err := range openBoth(dir) {
			if err == nil {
				continue
			}
			refused++
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) {
				t.Errorf("%s with the page at %d lost: got %v, want a CorruptError", name, from, err)
			}
		}
	}
	if refused == 0 {
		t.Error("no lost page was noticed")
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	must(t, os.WriteFile(path, []byte(strings.Repeat("not a state\n", 10_000)), 0o600))
	var corrupt *CorruptError
	if _, err := Open(dir, Options{}); !errors.As(err, &corrupt) {
		t.Errorf("text: got %v, want a CorruptError", err)
	}

	must(t, os.Remove(path))
	db, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	}))
	must(t, db.Close())
	if _, err := Open(dir, Options{}); !errors.As(err, &corrupt) {
		t.Errorf("another program's database: got %v, want a CorruptError", err)
	}

	must(t, os.Remove(path))
	must(t, os.Mkdir(path, 0o700))
	if _, err := Open(dir, Options{}); err == nil || errors.As(err, &corrupt) {
		t.Errorf("a folder: got %v, want the system's error", err)
	}
}

// A state that is there is never replaced: not by a first start that comes too
// late, nor by an open that finds it gone.
func TestNothingStartsFresh(t *testing.T) {
	path := filled(t)
	before, err := os.ReadFile(path)
	must(t, err)
	must(t, create(filepath.Dir(path), path))
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("a late first start replaced the state")
	}

	must(t, os.Remove(path))
	if f, err := openExisting(path, os.O_RDWR|os.O_CREATE, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: got %v, %v, want ErrNotExist", f, err)
	}
}

// put writes raw bytes under a path of buckets and closes the file again.
func put(t testing.TB, file string, value []byte, names ...string) {
	t.Helper()
	db, err := bolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte(names[0]))
		for _, name := range names[1 : len(names)-1] {
			bucket = bucket.Bucket([]byte(name))
		}
		key := []byte(names[len(names)-1])
		if value == nil {
			return bucket.Delete(key)
		}
		return bucket.Put(key, value)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	var newer *NewerError
	path := filled(t)
	put(t, path, []byte(`{"v":7,"format":2,"more":[]}`), bucketMeta, keyFormat)
	if _, err := Open(filepath.Dir(path), Options{}); !errors.As(err, &newer) || newer.Found != 2 {
		t.Errorf("newer file: got %v, want a NewerError of format 2", err)
	}
	if _, err := OpenReadOnly(filepath.Dir(path)); !errors.As(err, &newer) {
		t.Errorf("newer file read only: got %v, want a NewerError", err)
	}

	path = filled(t)
	put(t, path, []byte(`{"v":2}`), bucketEnvironments, dev, keyMemory)
	if _, err := opened(t, filepath.Dir(path)).Memory(dev); !errors.As(err, &newer) {
		t.Errorf("newer record: got %v, want a NewerError", err)
	}
}

// places names one record of every kind.
func places() map[string][]string {
	return map[string][]string{
		"memory":       {bucketEnvironments, dev, keyMemory},
		"connection":   {bucketEnvironments, dev, bucketConnections, "strava"},
		"source types": {bucketEnvironments, dev, keySourceTypes},
		"commits":      {bucketEnvironments, dev, keyCommits},
		"ongoing":      {bucketEnvironments, dev, keyOngoing},
		"digest":       {bucketDigests, "sha256:a"},
		"digest key":   {bucketKeys, keyDigest},
		"intent":       {bucketJournal, "open"},
	}
}

func TestDamagedRecordIsAnError(t *testing.T) {
	for name, names := range places() {
		for _, garbage := range []string{"", "null", "{}", "[]", "42", `{"v":1`, `{"v":"1"}`, `{"v":0}`, "\x00\xff"} {
			path := filled(t)
			put(t, path, []byte(garbage), names...)
			err := readAll(opened(t, filepath.Dir(path)))
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) {
				t.Errorf("%s %q: got %v, want a CorruptError", name, garbage, err)
			}
		}
	}
}

func TestLostConnectionIsAnError(t *testing.T) {
	var corrupt *CorruptError
	path := filled(t)
	put(t, path, nil, bucketEnvironments, dev, bucketConnections, "strava")
	if _, err := opened(t, filepath.Dir(path)).Memory(dev); !errors.As(err, &corrupt) {
		t.Errorf("lost connection: got %v, want a CorruptError", err)
	}
	path = filled(t)
	put(t, path, nil, bucketEnvironments, dev, keyMemory)
	if _, err := opened(t, filepath.Dir(path)).Memory(dev); !errors.As(err, &corrupt) {
		t.Errorf("lost head: got %v, want a CorruptError", err)
	}
}
