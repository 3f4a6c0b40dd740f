package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func refusal(err error) bool {
	var corrupt *CorruptError
	var newer *FormatError
	return errors.As(err, &corrupt) || errors.As(err, &newer)
}

// readsOrRefuses wants a record of one kind read whole, so that it reads again, or
// refused in words of this package.
func readsOrRefuses[T any](t *testing.T, k Kind[T], value []byte) {
	t.Helper()
	a := k.at(here(), "")
	record, err := k.decode(a, value)
	if err != nil {
		if !refusal(err) {
			t.Errorf("%s: got %v, want an error of this package", k, err)
		}
		return
	}
	again, err := k.encode(record)
	if err != nil {
		t.Fatalf("%s: %v", k, err)
	}
	if _, err := k.decode(a, again); err != nil && !bytes.HasSuffix(again, []byte("null")) {
		t.Errorf("%s: what was read does not read again: %v", k, err)
	}
}

// FuzzRecords puts wild bytes in place of a record of every kind.
func FuzzRecords(f *testing.F) {
	for _, seed := range []string{
		`1 {"known":true,"suspended":false,"count":2}`,
		`1 {"enabled":true,"fields":{"client_id":"1"},"held":{"client_id":"adopt"}}`,
		`1 {"id":"open","dev_id":"d","key":"k","at":"2026-11-28T12:00:00Z","entry":{"v":2,"id":"open"}}`,
		`1 {"value":"hmac-sha256:00","mask":"****9876","at":"2026-11-28T12:00:00Z"}`,
		`1 {"rejected":{"sha256:a":{"at":"2026-11-28T12:00:00Z","reason":"r"}},"soak":{"client_id":"1","until":"2026-11-28T12:00:00Z"}}`,
		`1 {"switches":[{"target":"production","until":"2026-11-28T12:00:00Z"}]}`,
		`1 {"hash":"sha256:a","until":"2026-11-28T12:00:00Z"}`,
		`1 {"seq":2,"ahead":[4]}`, `1 {"number":1,"id":"a","body":{"schema":"x"}}`, `1 {"last":2,"dropped":1,"since":"2026-11-28T12:00:00Z"}`,
		`{"v":2,"event":"write","outcome":"applied","epoch":3}`,
		`2 {}`, `1 {"at":"9999999-01-01T00:00:00Z"}`, "garbage", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		readsOrRefuses(t, kindKillSwitch, value)
		readsOrRefuses(t, kindSecret, value)
		readsOrRefuses(t, kindDigestKey, value)
		readsOrRefuses(t, kindRecorded, value)
		readsOrRefuses(t, kindSequence, value)
		readsOrRefuses(t, kindCustomer, value)
		readsOrRefuses(t, kindAccount, value)
		readsOrRefuses(t, kindMemory, value)
		readsOrRefuses(t, kindConnection, value)
		readsOrRefuses(t, kindSourceTypes, value)
		readsOrRefuses(t, kindKeyHistory, value)
		readsOrRefuses(t, kindProbe, value)
		readsOrRefuses(t, kindToken, value)
		readsOrRefuses(t, kindCommits, value)
		readsOrRefuses(t, kindRevision, value)
		readsOrRefuses(t, kindAttempted, value)
		readsOrRefuses(t, kindApproval, value)
		readsOrRefuses(t, kindUsed, value)
		readsOrRefuses(t, kindOpenEvents, value)
		readsOrRefuses(t, kindIntent, value)
		readsOrRefuses(t, kindHeard, value)
		readsOrRefuses(t, kindMessage, value)
		readsOrRefuses(t, kindReceiver, value)
		readsOrRefuses(t, kindConditions, value)
		_, _ = decodeEntry(value)
	})
}

// FuzzFile overwrites a piece of a state file, and cuts it: a writer and a reader
// find what is whole or refuse the file, and each leaves the lock free.
func FuzzFile(f *testing.F) {
	whole, err := os.ReadFile(filled(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), uint32(0), []byte{})
	f.Add(uint32(24), uint32(1), []byte("\x01\x00"))
	f.Add(uint32(4096), uint32(4097), []byte("\xff\xff\xff\xff"))
	f.Add(uint32(3*4096), uint32(0), []byte("not a page"))
	f.Add(uint32(5*4096+16), uint32(8192), []byte{})
	f.Fuzz(func(t *testing.T, at, cut uint32, piece []byte) {
		broken := append([]byte(nil), whole...)
		copy(broken[int(at)%len(broken):], piece)
		broken = broken[:len(broken)-int(cut)%len(broken)]
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, fileName), broken, 0o600))
		for name, err := range openBoth(dir) {
			if err != nil && !refusal(err) {
				t.Errorf("%s: got %v, want an error of this package", name, err)
			}
		}
	})
}
