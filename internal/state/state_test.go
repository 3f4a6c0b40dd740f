package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

const dev = "prod-app-x81LmQ"

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

	empty, err := s.Memory(dev)
	must(t, err)
	if diff := cmp.Diff(plan.Memory{Connections: map[string]plan.Remembered{}}, empty); diff != "" {
		t.Errorf("memory of a new state (-want +got):\n%s", diff)
	}

	want := memoryOf("strava", "garmin", "whoop")
	want.Suspended = true
	must(t, s.SaveMemory(dev, want))
	must(t, s.SaveMemory("staging", memoryOf("fitbit")))
	delete(want.Connections, "whoop")
	changed := want.Connections["garmin"]
	changed.Paused, changed.Protected = true, true
	changed.UpdatedAt = noon().Add(time.Hour).In(time.FixedZone("CET", 3600))
	want.Connections["garmin"] = changed
	must(t, s.SaveMemory(dev, want))

	changed.UpdatedAt = changed.UpdatedAt.UTC()
	want.Connections["garmin"] = changed
	closed(t, s)
	got, err := opened(t, dir).Memory(dev)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("memory after a restart (-want +got):\n%s", diff)
	}
}

// A run that learned nothing must not pay for an fsync.
func TestSavingTheSameDoesNotWrite(t *testing.T) {
	s := opened(t, t.TempDir())
	save := func() {
		must(t, s.SaveMemory(dev, memoryOf("strava", "garmin")))
		must(t, s.SaveCommits(dev, Commits{"production", "c2", "c1"}))
		must(t, s.SaveSourceTypes(dev, offered(), noon()))
		must(t, s.SaveDigests(noon(), map[string]Digest{"sha256:a": {Value: "v", Mask: "m"}}))
	}
	save()
	before := transactions(t, s)
	save()
	if after := transactions(t, s); after != before {
		t.Errorf("writing transactions: got %d, want %d", after, before)
	}
	must(t, s.SaveMemory(dev, memoryOf("strava")))
	if after := transactions(t, s); after != before+1 {
		t.Errorf("writing transactions after a change: got %d, want %d", after, before+1)
	}
}

func offered() map[string]plan.Type {
	return map[string]plan.Type{"strava": {BYO: true}, "fitbit": {Deprecated: true}}
}

func transactions(t *testing.T, s *Store) int {
	t.Helper()
	tx, err := s.db.Begin(false)
	must(t, err)
	defer func() { must(t, tx.Rollback()) }()
	return tx.ID()
}

func TestCommitsAndSourceTypesRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	commits, err := s.Commits(dev)
	must(t, err)
	types, at, err := s.SourceTypes(dev)
	must(t, err)
	if commits != (Commits{}) || types != nil || !at.IsZero() {
		t.Errorf("new state: got %q %v %v, want nothing", commits, types, at)
	}
	must(t, s.SaveCommits(dev, Commits{"production", "bbb", "aaa"}))
	must(t, s.SaveSourceTypes(dev, offered(), noon()))
	closed(t, s)

	s = opened(t, dir)
	commits, err = s.Commits(dev)
	must(t, err)
	types, at, err = s.SourceTypes(dev)
	must(t, err)
	if commits != (Commits{"production", "bbb", "aaa"}) || !maps.Equal(types, offered()) || !at.Equal(noon()) {
		t.Errorf("got %q %v %v, want bbb aaa %v %v", commits, types, at, offered(), noon())
	}
	memory, err := s.Memory(dev)
	must(t, err)
	if memory.Known || len(memory.Connections) != 0 {
		t.Errorf("memory of an environment with only commits: got %+v, want none", memory)
	}
}

func TestEmptyNamesAreRefused(t *testing.T) {
	s := opened(t, t.TempDir())
	for name, err := range map[string]error{
		"memory of no environment":    s.SaveMemory("", memoryOf("strava")),
		"memory of no connection":     s.SaveMemory(dev, memoryOf("")),
		"commits of no environment":   s.SaveCommits("", Commits{"production", "a", "b"}),
		"source types of none":        s.SaveSourceTypes("", offered(), noon()),
		"empty digest key":            s.SetDigestKey(nil, nil),
		"empty digest":                s.SaveDigests(noon(), map[string]Digest{"sha256:a": {}}),
		"digest of nothing":           s.SaveDigests(noon(), map[string]Digest{"": {Value: "v"}}),
		"intent without a key":        s.Begin(Intent{ID: "1", DevID: dev}),
		"intent without an id":        s.Begin(Intent{Key: "k", DevID: dev}),
		"intent without a dev_id":     s.Begin(Intent{ID: "1", Key: "k"}),
		"end of what was not begun":   s.End("1"),
		"end of an intent without id": s.End(""),
	} {
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	memory, err := s.Memory(dev)
	must(t, err)
	if memory.Known {
		t.Error("a refused memory was saved")
	}
}

func TestReadOnlyWritesNothing(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.SaveMemory(dev, memoryOf("strava")))
	must(t, s.SaveCommits(dev, Commits{"production", "same", "same"}))
	must(t, s.SaveSourceTypes(dev, offered(), noon()))
	must(t, s.Begin(Intent{ID: "1", DevID: dev, Key: "k", At: noon()}))
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
	memory, err := reader.Memory(dev)
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
		"same commits":    s.SaveCommits(dev, Commits{"production", "same", "same"}),
		"same types":      s.SaveSourceTypes(dev, offered(), noon()),
		"same memory":     s.SaveMemory(dev, memoryOf("strava")),
		"SaveMemory":      s.SaveMemory(dev, memoryOf("strava", "garmin")),
		"SaveCommits":     s.SaveCommits(dev, Commits{"production", "b", "a"}),
		"SaveApproval":    s.SaveApproval(dev, Approval{Hash: "h", Owner: "jo", At: noon(), Until: noon().Add(1)}),
		"SaveGood":        s.SaveGood(nil),
		"SetKillSwitch":   s.SetKillSwitch(killSwitch("", "")),
		"LiftKillSwitch":  second(s.LiftKillSwitch("", "sam", noon())),
		"SaveSourceTypes": s.SaveSourceTypes(dev, nil, noon()),
		"SetDigestKey":    s.SetDigestKey(nil, []byte("sealed")),
		"SaveDigests":     s.SaveDigests(noon(), nil),
		"Record":          s.Record(Entry{ID: "1"}),
		"SaveOngoing":     s.SaveOngoing(dev, Ongoing{}, []Entry{{ID: "1"}}),
		"same ongoing":    s.SaveOngoing(dev, Ongoing{}, nil),
		"Begin":           s.Begin(Intent{ID: "2", DevID: dev, Key: "k"}),
		"End":             s.End("1"),
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
	memory, err := s.Memory(dev)
	must(t, err)
	key, err := s.DigestKey()
	must(t, err)
	digests, err := s.Digests()
	must(t, err)
	types, _, err := s.SourceTypes(dev)
	must(t, err)
	pending, err := s.Pending(dev)
	must(t, err)
	ongoing, err := s.Ongoing(dev)
	must(t, err)
	if memory.Known || len(memory.Connections)+len(key)+len(digests)+len(types)+len(pending)+len(ongoing.Held) != 0 {
		t.Errorf("got %v %q %v %v %v %v, want nothing", memory, key, digests, types, pending, ongoing)
	}
}

func TestBackupOpensElsewhere(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SaveMemory(dev, memoryOf("strava")))
	var copied bytes.Buffer
	must(t, s.Backup(&copied))
	must(t, s.SaveMemory(dev, memoryOf()))

	elsewhere := t.TempDir()
	must(t, os.WriteFile(filepath.Join(elsewhere, fileName), copied.Bytes(), 0o600))
	got, err := opened(t, elsewhere).Memory(dev)
	must(t, err)
	if diff := cmp.Diff(memoryOf("strava"), got); diff != "" {
		t.Errorf("memory of the backup (-want +got):\n%s", diff)
	}
}

func TestManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	var group sync.WaitGroup
	for n := range 16 {
		group.Go(func() {
			id, devID := fmt.Sprintf("i%02d", n), fmt.Sprintf("dev-%d", n%4)
			errs := []error{
				s.Begin(Intent{ID: id, DevID: devID, Key: "k", At: noon()}),
				s.SaveMemory(devID, memoryOf("strava")),
				s.SaveDigests(noon(), map[string]Digest{id: {Value: "v"}}),
				s.Record(Entry{ID: id, DevID: devID, Event: EventWrite, Outcome: "applied", At: noon()}),
				s.End(id),
			}
			_, err := s.Memory(devID)
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
			if _, err := s.Memory(devID); err != nil {
				b.Fatal(err)
			}
			if err := s.SaveMemory(devID, memory); err != nil {
				b.Fatal(err)
			}
		}
	}
}
