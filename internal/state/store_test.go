package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

const dev = "prod-app-x81LmQ"

func here() Environment { return Environment{DevID: dev} }

func of(devID string) Environment { return Environment{DevID: devID} }

func noon() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }

func opened(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func closed(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func memoryOf(providers ...string) plan.Memory {
	m := plan.Memory{Known: true, Connections: map[string]plan.Remembered{}}
	for _, provider := range providers {
		m.Connections[provider] = plan.Remembered{
			Enabled:    true,
			Fields:     map[string]string{plan.FieldClientID: "id of " + provider, plan.FieldClientSecret: "hmac:" + provider},
			VerifiedAt: noon(),
			UpdatedAt:  noon(),
		}
	}
	return m
}

func TestMemoryRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)

	empty, err := s.Memory(here())
	must(t, err)
	if diff := cmp.Diff(plan.Memory{Connections: map[string]plan.Remembered{}}, empty); diff != "" {
		t.Errorf("memory of a new state (-want +got):\n%s", diff)
	}

	want := memoryOf("strava", "garmin", "whoop")
	want.Suspended = true
	must(t, s.SaveMemory(here(), want))
	must(t, s.SaveMemory(of("staging"), memoryOf("fitbit")))
	delete(want.Connections, "whoop")
	changed := want.Connections["garmin"]
	changed.Paused, changed.Protected = true, true
	changed.UpdatedAt = noon().Add(time.Hour).In(time.FixedZone("CET", 3600))
	want.Connections["garmin"] = changed
	must(t, s.SaveMemory(here(), want))

	changed.UpdatedAt = changed.UpdatedAt.UTC()
	want.Connections["garmin"] = changed
	closed(t, s)
	got, err := opened(t, dir).Memory(here())
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("memory after a restart (-want +got):\n%s", diff)
	}
}

// A run that learned nothing must not pay for an fsync.
func TestSavingTheSameDoesNotWrite(t *testing.T) {
	s := opened(t, t.TempDir())
	save := func() {
		must(t, s.SaveMemory(here(), memoryOf("strava", "garmin")))
		must(t, s.SaveCommits(here(), Commits{"production", "c2", "c1"}))
		must(t, s.SaveSourceTypes(here(), typesOffered(), noon()))
		must(t, s.SaveDigests(noon(), map[string]Digest{"sha256:a": {Value: "v", Mask: "m"}}))
	}
	save()
	before := transactions(t, s)
	save()
	if after := transactions(t, s); after != before {
		t.Errorf("writing transactions: got %d, want %d", after, before)
	}
	must(t, s.SaveMemory(here(), memoryOf("strava")))
	if after := transactions(t, s); after != before+1 {
		t.Errorf("writing transactions after a change: got %d, want %d", after, before+1)
	}
}

func typesOffered() map[string]plan.Type {
	return map[string]plan.Type{"strava": {BYO: true}, "fitbit": {Deprecated: true}}
}

func transactions(t *testing.T, s *Store) int {
	t.Helper()
	tx, err := s.backend.(*boltFile).db.Begin(false)
	must(t, err)
	defer func() { must(t, tx.Rollback()) }()
	return tx.ID()
}

func TestCommitsAndSourceTypesRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	commits, err := s.Commits(here())
	must(t, err)
	types, at, err := s.SourceTypes(here())
	must(t, err)
	if commits != (Commits{}) || types != nil || !at.IsZero() {
		t.Errorf("new state: got %q %v %v, want nothing", commits, types, at)
	}
	must(t, s.SaveCommits(here(), Commits{"production", "bbb", "aaa"}))
	must(t, s.SaveSourceTypes(here(), typesOffered(), noon()))
	closed(t, s)

	s = opened(t, dir)
	commits, err = s.Commits(here())
	must(t, err)
	types, at, err = s.SourceTypes(here())
	must(t, err)
	if commits != (Commits{"production", "bbb", "aaa"}) || !maps.Equal(types, typesOffered()) || !at.Equal(noon()) {
		t.Errorf("got %q %v %v, want bbb aaa %v %v", commits, types, at, typesOffered(), noon())
	}
	memory, err := s.Memory(here())
	must(t, err)
	if memory.Known || len(memory.Connections) != 0 {
		t.Errorf("memory of an environment with only commits: got %+v, want none", memory)
	}
}

func TestEmptyNamesAreRefused(t *testing.T) {
	s := opened(t, t.TempDir())
	for name, err := range map[string]error{
		"memory of no environment":    s.SaveMemory(Environment{}, memoryOf("strava")),
		"memory of no connection":     s.SaveMemory(here(), memoryOf("")),
		"commits of no environment":   s.SaveCommits(Environment{}, Commits{"production", "a", "b"}),
		"source types of none":        s.SaveSourceTypes(Environment{}, typesOffered(), noon()),
		"empty digest key":            s.SetDigestKey(nil, nil),
		"empty digest":                s.SaveDigests(noon(), map[string]Digest{"sha256:a": {}}),
		"digest of nothing":           s.SaveDigests(noon(), map[string]Digest{"": {Value: "v"}}),
		"intent without a key":        s.Begin(here(), Intent{Entry: Entry{ID: "1"}}),
		"intent without an id":        s.Begin(here(), Intent{Key: "k"}),
		"intent without a dev_id":     s.Begin(Environment{}, Intent{Entry: Entry{ID: "1"}, Key: "k"}),
		"end of what was not begun":   s.End(here(), "1"),
		"end of an intent without id": s.End(here(), ""),
	} {
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	memory, err := s.Memory(here())
	must(t, err)
	if memory.Known {
		t.Error("a refused memory was saved")
	}
}

func TestReadOnlyWritesNothing(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.SaveMemory(here(), memoryOf("strava")))
	must(t, s.SaveCommits(here(), Commits{"production", "same", "same"}))
	must(t, s.SaveSourceTypes(here(), typesOffered(), noon()))
	must(t, s.Begin(here(), Intent{Entry: Entry{ID: "1", At: noon()}, Key: "k"}))
	closed(t, s)
	before, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)

	reader, err := OpenReadOnly(dir)
	must(t, err)
	second, err := OpenReadOnly(dir)
	if err != nil {
		t.Errorf("two readers at once: got %v", err)
	} else {
		closed(t, second)
	}
	if reader.Missing() || reader.Reason() != "" {
		t.Errorf("missing %v, reason %q, want a present state", reader.Missing(), reader.Reason())
	}
	memory, err := reader.Memory(here())
	must(t, err)
	if diff := cmp.Diff(memoryOf("strava"), memory); diff != "" {
		t.Errorf("memory read only (-want +got):\n%s", diff)
	}
	refusesWrites(t, reader)
	closed(t, reader)
	after, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the file has changed")
	}
}

func refusesWrites(t *testing.T, s *Store) {
	t.Helper()
	for name, err := range map[string]error{
		"same commits":    s.SaveCommits(here(), Commits{"production", "same", "same"}),
		"same types":      s.SaveSourceTypes(here(), typesOffered(), noon()),
		"same memory":     s.SaveMemory(here(), memoryOf("strava")),
		"SaveMemory":      s.SaveMemory(here(), memoryOf("strava", "garmin")),
		"SaveCommits":     s.SaveCommits(here(), Commits{"production", "b", "a"}),
		"SaveApproval":    s.SaveApproval(here(), Approval{Hash: "h", By: []string{"jo"}, At: noon(), Until: noon().Add(1)}),
		"SaveGood":        s.SaveRevisions(nil, []Revision{{DevID: "a", Environment: "production", Commit: "g"}}),
		"SetKillSwitch":   s.SetKillSwitch(killSwitch("", "")),
		"LiftKillSwitch":  second(s.LiftKillSwitch("", "sam", noon())),
		"SaveSourceTypes": s.SaveSourceTypes(here(), nil, noon()),
		"SetDigestKey":    s.SetDigestKey(nil, []byte("sealed")),
		"SaveDigests":     s.SaveDigests(noon(), nil),
		"Record":          s.Record(Entry{ID: "1"}),
		"SaveOngoing":     s.SaveOpenEvents(here(), OpenEvents{}, []Entry{{ID: "1"}}),
		"same ongoing":    s.SaveOpenEvents(here(), OpenEvents{}, nil),
		"Begin":           s.Begin(here(), Intent{Entry: Entry{ID: "2"}, Key: "k"}),
		"End":             s.End(here(), "1"),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: got %v, want ErrReadOnly", name, err)
		}
	}
}

func TestReadOnlyCreatesNothing(t *testing.T) {
	parent := t.TempDir()
	for _, dir := range []string{parent, filepath.Join(parent, "absent")} {
		s, err := OpenReadOnly(dir)
		must(t, err)
		if !s.Missing() || s.Reason() == "" {
			t.Errorf("missing %v, reason %q, want missing with a reason", s.Missing(), s.Reason())
		}
		readsNothing(t, s)
		refusesWrites(t, s)
		closed(t, s)
	}
	entries, err := os.ReadDir(parent)
	must(t, err)
	if len(entries) != 0 {
		t.Errorf("files: got %v, want none", entries)
	}
}

func TestNone(t *testing.T) {
	s := None("the daemon holds it")
	if s.Missing() || s.Reason() != "the daemon holds it" {
		t.Errorf("missing %v, reason %q", s.Missing(), s.Reason())
	}
	readsNothing(t, s)
	refusesWrites(t, s)
	if err := s.Backup(&bytes.Buffer{}); err == nil {
		t.Error("a backup of nothing: got no error")
	}
	closed(t, s)
}

func readsNothing(t *testing.T, s *Store) {
	t.Helper()
	memory, err := s.Memory(here())
	must(t, err)
	key, err := s.DigestKey()
	must(t, err)
	digests, err := s.Digests()
	must(t, err)
	types, _, err := s.SourceTypes(here())
	must(t, err)
	pending, err := s.Pending(here())
	must(t, err)
	ongoing, err := s.OpenEvents(here())
	must(t, err)
	if memory.Known || len(memory.Connections)+len(key)+len(digests)+len(types)+len(pending)+len(ongoing.Gated) != 0 {
		t.Errorf("got %v %q %v %v %v %v, want nothing", memory, key, digests, types, pending, ongoing)
	}
}

// What a process that holds the state gives out reads as the state did at that moment.
func TestBackupIsOneMoment(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, errors.Join(s.SaveMemory(here(), memoryOf("strava")), s.SetKillSwitch(killSwitch("elsewhere", ""))))
	var backup bytes.Buffer
	must(t, s.Backup(&backup))
	must(t, s.SaveMemory(here(), memoryOf()))
	copied, err := OpenCopy(s.path, &backup)
	must(t, err)
	got, err := copied.Memory(here())
	must(t, err)
	if diff := cmp.Diff(memoryOf("strava"), got); diff != "" {
		t.Errorf("memory of the backup (-want +got):\n%s", diff)
	}
	if got := inForce(t, copied, noon()); len(got) != 1 {
		t.Errorf("kill switches of the backup: got %q", got)
	}
	refusesWrites(t, copied)
}

func TestManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	var group sync.WaitGroup
	for n := range 16 {
		group.Go(func() {
			id, devID := fmt.Sprintf("i%02d", n), fmt.Sprintf("dev-%d", n%4)
			errs := []error{
				s.Begin(of(devID), Intent{Entry: Entry{ID: id, At: noon()}, Key: "k"}),
				s.SaveMemory(of(devID), memoryOf("strava")),
				s.SaveDigests(noon(), map[string]Digest{id: {Value: "v"}}),
				s.RecordOutcome(of(devID), Entry{ID: id, DevID: devID, Event: EventWrite, Outcome: "applied", At: noon()}),
				s.End(of(devID), id),
			}
			_, err := s.Memory(of(devID))
			if err := errors.Join(append(errs, err)...); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	history, damaged, err := History(dir, HistoryFilter{})
	must(t, err)
	entries := len(history)
	if len(damaged) > 0 {
		t.Errorf("lines of several goroutines: %v", damaged)
	}
	digests, err := s.Digests()
	must(t, err)
	if entries != 16 || len(digests) != 16 {
		t.Errorf("got %d entries and %d digests, want 16 and 16", entries, len(digests))
	}
}

func BenchmarkSecondPass(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var providers []string
	for n := range 100 {
		providers = append(providers, fmt.Sprintf("provider-%03d", n))
	}
	memory := memoryOf(providers...)
	for b.Loop() {
		for n := range 100 {
			devID := fmt.Sprintf("dev-%03d", n)
			if _, err := s.Memory(of(devID)); err != nil {
				b.Fatal(err)
			}
			if err := s.SaveMemory(of(devID), memory); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestSnapshotKeepsNoWriterWaiting reads a state while another one writes it.
func TestSnapshotKeepsNoWriterWaiting(t *testing.T) {
	dir := filepath.Dir(filled(t))
	reader, err := OpenReadOnly(dir)
	must(t, err)
	defer func() { must(t, reader.Close()) }()
	writer := opened(t, dir)
	must(t, writer.SaveMemory(here(), memoryOf("polar")))
	memory, err := reader.Memory(here())
	must(t, err)
	if diff := cmp.Diff(memoryOf("strava", "garmin").Connections["strava"], memory.Connections["strava"]); diff != "" {
		t.Errorf("the reader's memory (-want +got):\n%s", diff)
	}
	refusesWrites(t, reader)
	must(t, readAll(reader))
}

func TestSnapshotOfNoState(t *testing.T) {
	s, err := OpenReadOnly(t.TempDir())
	must(t, err)
	if !s.Missing() {
		t.Error("it is not missing")
	}
}

// TestCopyOfHalfABackupIsRefused: a backup that broke off anywhere is damage, and so is
// one of another format or of something else.
func TestCopyOfHalfABackupIsRefused(t *testing.T) {
	s := opened(t, filepath.Dir(filled(t)))
	var backup bytes.Buffer
	must(t, s.Backup(&backup))
	whole := backup.Bytes()
	for length := range len(whole) - 2 { // but for the newline at its end
		if _, err := OpenCopy(s.path, bytes.NewReader(whole[:length])); !refusal(err) {
			t.Fatalf("%d of %d bytes: got %v, want damage", length, len(whole), err)
		}
	}
	for name, text := range map[string][]byte{
		"newer":        bytes.Replace(whole, []byte(`{"format":2`), []byte(`{"format":3`), 1),
		"a state file": []byte(strings.Repeat("\x00bolt", 1000)),
		"another one":  []byte(`{"records":[]}`),
	} {
		if _, err := OpenCopy(s.path, bytes.NewReader(text)); !refusal(err) {
			t.Errorf("%s: got %v, want damage", name, err)
		}
	}
}

func TestReadOnlyViewSharesTheState(t *testing.T) {
	s := opened(t, t.TempDir())
	view := s.ReadOnly()
	must(t, s.SaveMemory(here(), memoryOf("strava")))
	memory, err := view.Memory(here())
	must(t, err)
	if len(memory.Connections) != 1 {
		t.Error("it does not see what was saved")
	}
	refusesWrites(t, view)
	must(t, view.Close())
	must(t, s.SaveMemory(here(), memoryOf("polar")))
}

// TestWriteFileMakesAState: what Backup has written becomes a file that opens as a state,
// never over another one, and nothing is left of a copy that broke off.
func TestWriteFileMakesAState(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SaveMemory(here(), memoryOf("strava")))
	var backup bytes.Buffer
	must(t, s.Backup(&backup))
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	if err := WriteFile(path, bytes.NewReader(backup.Bytes()[:backup.Len()/2])); !refusal(err) {
		t.Errorf("half a copy: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a copy left a file: %v", err)
	}
	must(t, WriteFile(path, bytes.NewReader(backup.Bytes())))
	if err := WriteFile(path, bytes.NewReader(backup.Bytes())); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another one: %v", err)
	}
	restored := opened(t, dir)
	want, err := s.Memory(here())
	must(t, err)
	got, err := restored.Memory(here())
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" || len(got.Connections) != 1 {
		t.Errorf("memory (-want +got):\n%s", diff)
	}
	must(t, restored.SaveMemory(here(), memoryOf("polar")))
}
