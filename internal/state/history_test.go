package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func line(id string) Entry {
	return Entry{ID: id, At: noon(), Event: EventWrite, Environment: "production", DevID: dev, Connection: "production/strava",
		Provider: "strava", Outcome: "applied"}
}

func ids(entries []Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, e.ID)
	}
	return strings.Join(out, " ")
}

func read(t *testing.T, dir string, f HistoryFilter) []Entry {
	t.Helper()
	entries, damaged, err := History(dir, f)
	must(t, err)
	if len(damaged) > 0 {
		t.Errorf("damaged: %v", damaged)
	}
	return entries
}

func TestHistoryKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	value := "123"
	full := Entry{
		ID: "a", At: noon(), Event: EventWrite, Run: "r", Environment: "production", DevID: dev, Connection: "production/strava",
		Provider: "strava", Change: "production/strava:rotate-secret", Action: plan.RotateSecret, Class: plan.Safe, Cause: plan.Rotation,
		Reason: "key 2 is due", Commit: "c0ffee", Author: "Ada <ada@acme.example>", Origin: "production/strava.yaml:9",
		Fields: []plan.FieldChange{{Field: plan.FieldClientSecret, From: plan.FieldValue{Mask: "****1", Key: 1}, To: plan.FieldValue{Key: 2, Sealed: "sha256:0"}},
			{Field: plan.FieldClientID, To: plan.FieldValue{Value: &value}}},
		Gate: plan.Approval, Guard: "adopt", GateReason: "found", Outcome: "failed", Error: "409", DurationMS: 12, Approval: "sha256:1",
		Since: noon().Add(-time.Hour), LastedMS: 5,
	}
	must(t, s.Record(full))
	closed(t, s)
	full.V, full.Epoch = 1, 1
	if diff := cmp.Diff([]Entry{full}, read(t, dir, HistoryFilter{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHistoryFilter(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	for n := range 6 {
		e := line(fmt.Sprint(n))
		e.At = noon().Add(time.Duration(n) * time.Hour)
		if n%2 == 1 {
			e.Connection, e.Provider = "production/garmin", "garmin"
		}
		if n == 5 {
			e.Environment, e.DevID, e.Connection = "staging", "stag", "staging/garmin"
		}
		must(t, s.Record(e)) // the file is read while it is open for writing
	}
	for _, row := range []struct {
		filter HistoryFilter
		want   string
	}{
		{HistoryFilter{}, "0 1 2 3 4 5"},
		{HistoryFilter{Limit: 2}, "4 5"},
		{HistoryFilter{Environment: "production"}, "0 1 2 3 4"},
		{HistoryFilter{Environment: "stag"}, "5"},
		{HistoryFilter{Connection: "Garmin"}, "1 3 5"},
		{HistoryFilter{Connection: "production/garmin"}, "1 3"},
		{HistoryFilter{Since: noon().Add(4 * time.Hour)}, "4 5"},
		{HistoryFilter{Connection: "garmin", Limit: 1, Environment: "production"}, "3"},
		{HistoryFilter{Environment: "nowhere"}, ""},
	} {
		if got := ids(read(t, dir, row.filter)); got != row.want {
			t.Errorf("%+v: got %q, want %q", row.filter, got, row.want)
		}
	}
}

// The history is rotated by size, loses no line but the oldest, and is bounded.
func TestHistoryRotates(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	s.history.size, s.history.kept = 3000, 3
	const total = 100
	for n := range total {
		must(t, s.Record(line(fmt.Sprintf("%03d", n))))
	}
	files, err := filepath.Glob(filepath.Join(dir, "history*.jsonl"))
	must(t, err)
	if len(files) != 4 {
		t.Errorf("files: got %v, want 4", files)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		must(t, err)
		if info.Size() > 3000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %d bytes, mode %o", name, info.Size(), info.Mode().Perm())
		}
	}
	entries := read(t, dir, HistoryFilter{})
	if len(entries) < 20 {
		t.Fatalf("got %d entries", len(entries))
	}
	for i, e := range entries {
		if want := fmt.Sprintf("%03d", total-len(entries)+i); e.ID != want {
			t.Fatalf("entry %d: got %s, want %s", i, e.ID, want)
		}
	}
	if got := ids(read(t, dir, HistoryFilter{Limit: 12})); !strings.HasSuffix(got, "098 099") || len(strings.Fields(got)) != 12 {
		t.Errorf("the latest twelve: got %s", got)
	}
}

// A crash between the steps of a rotation leaves either no file of the usual name
// or one file too many; the next append goes on from there.
func TestHistoryRotationCutShort(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.Record(line("a")))
	closed(t, s)
	must(t, os.Rename(filepath.Join(dir, historyName), filepath.Join(dir, "history-000007.jsonl")))
	if got := ids(read(t, dir, HistoryFilter{})); got != "a" {
		t.Errorf("while the file is gone: got %q", got)
	}
	s = opened(t, dir)
	s.history.size, s.history.kept = 1, 2
	for _, id := range []string{"b", "c", "d"} {
		must(t, s.Record(line(id)))
	}
	if got := ids(read(t, dir, HistoryFilter{})); got != "b c d" {
		t.Errorf("got %q, want the three latest", got)
	}
	// A reader that lists the files right before a rotation sees one under two names.
	must(t, os.Link(filepath.Join(dir, historyName), filepath.Join(dir, "history-000099.jsonl")))
	if got := ids(read(t, dir, HistoryFilter{})); got != "b c d" {
		t.Errorf("one file under two names: got %q", got)
	}
}

// Whatever a kill leaves of the last line is cut off with a warning; the lines
// before it stay, and the next one begins anew.
func TestHistoryCutAtEveryByte(t *testing.T) {
	source := t.TempDir()
	s := opened(t, source)
	must(t, s.Record(line("a"), line("b")))
	closed(t, s)
	whole, err := os.ReadFile(filepath.Join(source, historyName))
	must(t, err)
	first := strings.Index(string(whole), "\n") + 1
	cuts := 0
	for length := first; length < len(whole); length += 7 {
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(source)))
		must(t, os.WriteFile(filepath.Join(dir, historyName), whole[:length], 0o600))
		entries, damaged, err := History(dir, HistoryFilter{})
		must(t, err)
		if ids(entries) != "a" || (len(damaged) == 1) != (length > first) {
			t.Fatalf("%d bytes, read: got %q, %v", length, ids(entries), damaged)
		}
		s := opened(t, dir)
		if notes := s.TakeNotes(); (len(notes) == 1) != (length > first) {
			t.Fatalf("%d bytes: got notes %v", length, notes)
		}
		must(t, s.Record(line("c")))
		closed(t, s)
		if got := ids(read(t, dir, HistoryFilter{})); got != "a c" {
			t.Fatalf("%d bytes: got %q, want a c", length, got)
		}
		cuts++
	}
	t.Logf("COUNT history_cuts=%d", cuts)
}

// A line in the middle that cannot be read hides no other.
func TestHistoryDamagedLine(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.Record(line("a"), line("b"), line("c")))
	path := filepath.Join(dir, historyName)
	whole, err := os.ReadFile(path)
	must(t, err)
	lines := strings.SplitAfter(string(whole), "\n")
	for name, damage := range map[string]string{
		"garbage": "\x00\x00{\n", "newer": strings.Replace(lines[1], `"v":1`, `"v":2`, 1), "no version": "{}\n",
	} {
		must(t, os.WriteFile(path, []byte(lines[0]+damage+lines[2]), 0o600))
		entries, damaged, err := History(dir, HistoryFilter{})
		must(t, err)
		if ids(entries) != "a c" || len(damaged) != 1 || !strings.Contains(damaged[0], historyName+":2: ") {
			t.Errorf("%s: got %q, %v", name, ids(entries), damaged)
		}
	}
}

func TestHistoryOfNoFolder(t *testing.T) {
	if _, _, err := History(filepath.Join(t.TempDir(), "absent"), HistoryFilter{}); err == nil {
		t.Error("got no error")
	}
	if entries := read(t, t.TempDir(), HistoryFilter{}); len(entries) != 0 {
		t.Errorf("got %v", entries)
	}
}

// On a full disk nothing counts as told, and once there is room all of it is.
func TestHistoryOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	path := filepath.Join(dir, historyName)
	must(t, os.Remove(path))
	must(t, os.Symlink("/dev/full", path))
	if err := s.Record(line("a")); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "write history "+path) {
		t.Errorf("got %v, want no space left", err)
	}
	held := Ongoing{Held: map[string]Hold{"x": {Since: noon()}}}
	if err := s.SaveOngoing(dev, held, []Entry{line("x")}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want no space left", err)
	}
	must(t, os.Remove(path))
	must(t, s.SaveOngoing(dev, Ongoing{}, []Entry{line("y")}))
	if got := ids(read(t, dir, HistoryFilter{})); got != "x y" {
		t.Errorf("got %q, want x y", got)
	}
}

// A backup that is put back beside a longer history makes every environment as
// careful as after a suspend, for readers as well, until that is written down.
func TestOlderStateIsCareful(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.SaveMemory(dev, memoryOf("strava")))
	must(t, s.Record(line("a")))
	closed(t, s)
	backup, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	s = opened(t, dir)
	if notes := s.TakeNotes(); len(notes) > 0 {
		t.Errorf("nothing happened yet: got %v", notes)
	}
	must(t, s.Record(line("b")))
	closed(t, s)
	must(t, os.WriteFile(filepath.Join(dir, fileName), backup, 0o600))

	open := map[string]func() (*Store, error){
		"a reader":   func() (*Store, error) { return OpenReadOnly(dir) },
		"a snapshot": func() (*Store, error) { return OpenSnapshot(dir) },
		"the writer": func() (*Store, error) { return Open(dir, Options{}) },
	}
	for _, name := range []string{"a reader", "a snapshot", "the writer"} {
		s, err := open[name]()
		must(t, err)
		memory, err := s.Memory(dev)
		must(t, err)
		if notes := s.TakeNotes(); !memory.Suspended || len(notes) != 1 || !strings.Contains(notes[0], "older than its history") {
			t.Errorf("%s: suspended %v, notes %v", name, memory.Suspended, notes)
		}
		closed(t, s)
	}
	s = opened(t, dir)
	if notes := s.TakeNotes(); len(notes) > 0 {
		t.Errorf("told again: %v", notes)
	}
	must(t, s.Record(line("c")))
	closed(t, s)
	if notes := opened(t, dir).TakeNotes(); len(notes) > 0 {
		t.Errorf("after going on: %v", notes)
	}
}

// A state file that is gone while its history is there is no first start.
func TestStateFileIsGone(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	if !s.Missing() || len(s.TakeNotes()) > 0 {
		t.Error("a first start: want missing without a note")
	}
	must(t, s.Record(line("a")))
	closed(t, s)
	must(t, os.Remove(filepath.Join(dir, fileName)))
	reader, err := OpenReadOnly(dir)
	must(t, err)
	for name, s := range map[string]*Store{"reader": reader, "writer": opened(t, dir)} {
		if notes := s.TakeNotes(); !s.Missing() || len(notes) != 1 || !strings.Contains(notes[0], "was gone although its history is there") {
			t.Errorf("%s: missing %v, notes %v", name, s.Missing(), notes)
		}
	}
}

// A state that vanishes under its process takes no write that would vanish too.
func TestStateVanishesWhileOpen(t *testing.T) {
	for name, vanish := range map[string]func(dir string) error{
		"folder removed": os.RemoveAll,
		"file removed":   func(dir string) error { return os.Remove(filepath.Join(dir, fileName)) },
		"file replaced": func(dir string) error {
			old := filepath.Join(dir, fileName)
			data, err := os.ReadFile(old)
			return errors.Join(err, os.WriteFile(old+".new", data, 0o600), os.Rename(old+".new", old))
		},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		s := opened(t, dir)
		must(t, s.Begin(intent("a", noon())))
		must(t, vanish(dir))
		err := s.Begin(intent("b", noon()))
		if err == nil || !strings.Contains(err.Error(), "moved or replaced") {
			t.Errorf("%s: got %v", name, err)
		}
		if err := s.SaveMemory(dev, memoryOf("strava")); err == nil {
			t.Errorf("%s: SaveMemory went on", name)
		}
	}
}

func TestDamagedWayToTheHistoryIsAnError(t *testing.T) {
	for name, names := range map[string][]string{"epoch": {bucketMeta, keyEpoch}, "outbox": {bucketEnvironments, dev, keyOutbox}} {
		path := filled(t)
		put(t, path, []byte(`{"v":1`), names...)
		var corrupt *CorruptError
		if _, err := Open(filepath.Dir(path), Options{}); !errors.As(err, &corrupt) {
			t.Errorf("%s: got %v, want a CorruptError", name, err)
		}
	}
}
