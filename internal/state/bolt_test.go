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
			s.SaveMemory(here(), memoryOf("strava", "garmin")),
			s.SaveCommits(here(), Commits{"production", "bbb", "aaa"}),
			s.SaveSourceTypes(here(), typesOffered(), noon()),
			s.SaveRevisions(nil, []Revision{{dev, "production", "bbb"}}), s.Claim(claimOf("production", dev)), s.SaveToken(Token{API: "a", Fingerprint: "f", At: noon()}), s.SaveLocation(here(), "default"),
			s.SetKillSwitch(killSwitch("production", "")),
			s.SaveDigests(noon(), map[string]Digest{"sha256:a": {Value: "v", Mask: "m"}}),
			s.Begin(here(), intent("open", noon())),
			s.Begin(here(), intent("done", noon())),
			s.End(here(), "done"),
			saveHeard(s, heardOf("ops")),
			s.SaveOpenEvents(here(), OpenEvents{Gated: map[string]GatedChange{"production/strava:pause": {Since: noon()}}}, nil),
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
	_, err := s.Memory(here())
	_, err2 := s.DigestKey()
	_, err3 := s.Digests()
	_, _, err4 := s.SourceTypes(here())
	_, err5 := s.Commits(here())
	_, err6 := s.Pending(here())
	_, err7 := s.OpenEvents(here())
	_, err8 := s.Known()
	_, err9 := s.KillSwitches(noon())
	_, err10 := s.Revisions()
	_, _, err11 := s.Token("a", "f")
	_, _, err12 := s.Locate(here().API, dev)
	_, err13 := s.AccountOf(dev)
	_, _, err14 := s.HeardUntil()
	_, err15 := s.Conditions()
	_, _, err16 := s.Waiting("ops")
	_, err17 := s.Owners()
	for _, err := range []error{err17, err14, err15, err16, err, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, err12, err13} {
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
	must(t, create(filepath.Dir(path), path, initialise))
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

// put writes raw bytes under a name in a bucket and closes the file again.
func put(t testing.TB, file string, value []byte, name string, key []byte) {
	t.Helper()
	db, err := bolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte(name))
		if value == nil {
			return bucket.Delete(key)
		}
		return bucket.Put(key, value)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// place is where a record of a kind stands in the file.
func place[T any](k Kind[T], env Environment, key string) []byte {
	return []byte(k.at(env, key).path())
}

// A file of another format is refused with what to do about it, a newer one and one
// from before the first release, whose buckets and records were others.
func TestOtherFormatIsRefused(t *testing.T) {
	for text, want := range map[string]struct {
		found int
		says  string
	}{
		`{"v":7,"format":3,"more":[]}`: {3, "install the newer reconcile that wrote it again, or restore the backup from before"},
		`{"v":1,"format":1}`:           {1, "move the file away to go on without memory"},
	} {
		path := filled(t)
		put(t, path, []byte(text), bucketMeta, []byte(keyFormat))
		before, err := os.ReadFile(path)
		must(t, err)
		for name, err := range openBoth(filepath.Dir(path)) {
			var other *FormatError
			if !errors.As(err, &other) || other.Found != want.found || !strings.Contains(err.Error(), want.says) {
				t.Errorf("%s of %s: got %v", name, text, err)
			}
		}
		after, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed", text)
		}
	}
}

// places names one record of every kind that readAll reads.
func places() map[string][]byte {
	return map[string][]byte{
		"memory":       place(kindMemory, here(), ""),
		"connection":   place(kindConnection, here(), "strava"),
		"source types": place(kindSourceTypes, here(), ""),
		"commits":      place(kindCommits, here(), ""),
		"revision":     place(kindRevision, Environment{}, dev),
		"open events":  place(kindOpenEvents, here(), ""),
		"intent":       place(kindIntent, here(), "open"),
		"digest":       place(kindSecret, Environment{}, "sha256:a"),
		"digest key":   place(kindDigestKey, Environment{}, ""),
		"token":        place(kindToken, Environment{}, "a f"),
		"customer":     place(kindCustomer, Environment{}, here().API+" "+dev),
		"account":      place(kindAccount, Environment{}, dev),
		"kill switch":  place(kindKillSwitch, Environment{}, "production"),
		"message":      place(kindMessage, Environment{}, messageKey("ops", 1)),
		"told":         place(kindHeard, Environment{}, ""),
		"receiver":     place(kindReceiver, Environment{}, "ops"),
		"conditions":   place(kindConditions, Environment{}, "run production"),
	}
}

func TestDamagedRecordIsAnError(t *testing.T) {
	for name, key := range places() {
		for _, garbage := range []string{"", "null", "{}", "[]", "42", "1", "1 ", "1 null", `1 {"v":1`, "1 42", "x {}", "\x00\xff"} {
			path := filled(t)
			put(t, path, []byte(garbage), bucketRecords, key)
			s, err := Open(filepath.Dir(path), Options{})
			if err == nil {
				err = errors.Join(readAll(s), s.Close())
			}
			if !refusal(err) {
				t.Errorf("%s %q: got %v, want an error of this package", name, garbage, err)
			}
		}
	}
}

func TestLostConnectionIsAnError(t *testing.T) {
	var corrupt *CorruptError
	for name, key := range map[string][]byte{"connection": place(kindConnection, here(), "strava"), "head": place(kindMemory, here(), "")} {
		path := filled(t)
		put(t, path, nil, bucketRecords, key)
		if _, err := opened(t, filepath.Dir(path)).Memory(here()); !errors.As(err, &corrupt) || corrupt.Path != path {
			t.Errorf("lost %s: got %v, want a CorruptError", name, err)
		}
	}
}

// A record that was put under a name that is no address is damage, not nothing.
func TestForeignRecordIsAnError(t *testing.T) {
	path := filled(t)
	put(t, path, []byte("1 {}"), bucketRecords, []byte("\x00\x00"))
	var corrupt *CorruptError
	if _, err := opened(t, filepath.Dir(path)).Known(); !errors.As(err, &corrupt) {
		t.Errorf("got %v, want a CorruptError", err)
	}
}
