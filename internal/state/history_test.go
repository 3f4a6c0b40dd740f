package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
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
	full.V, full.Sequence = entryVersion, 1
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
// TestHistoryWithin: of a long history only its end is looked at, whole lines of it, and
// what is before a line.
func TestHistoryWithin(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	for i := range 20 {
		must(t, s.Record(line(fmt.Sprintf("%02d", i))))
	}
	closed(t, s)
	info, err := os.Stat(filepath.Join(dir, "history.jsonl"))
	must(t, err)
	one := info.Size() / 20
	for within, want := range map[int64]string{1: "", one - 40: "", 2*one + 20: "18 19", info.Size() - 1: "01", info.Size(): "00", 1 << 40: "00"} {
		got := ids(read(t, dir, HistoryFilter{Within: within}))
		if want == "" && got != "" || want != "" && !strings.HasPrefix(got, want) {
			t.Errorf("within %d bytes: %q, want %q", within, got, want)
		}
	}
	if got := ids(read(t, dir, HistoryFilter{Limit: 2, Before: 11})); got != "08 09" {
		t.Errorf("before line 11: %q", got)
	}
}

func TestHistoryRotates(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	s.notes.size, s.notes.kept[done] = 3000, 3
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

// What a commit can make as much of as it likes pushes out nothing that was done, and no
// append makes a file larger than it may be.
func TestHoldsPushOutNoWrites(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	s.notes.size, s.notes.kept[gates] = 3000, 2
	gated := func(n int) Entry {
		e := line(fmt.Sprintf("gated-%03d", n))
		e.Event = EventGated
		return e
	}
	must(t, s.Record(gated(0), line("first"), gated(1), line("second")))
	if got := ids(read(t, dir, HistoryFilter{})); got != "gated-000 first gated-001 second" {
		t.Errorf("got %q", got)
	}
	var flood []Entry
	for n := range 200 {
		flood = append(flood, gated(n))
	}
	must(t, s.Record(flood...))
	must(t, s.Record(line("last")))
	files, err := filepath.Glob(filepath.Join(dir, "gates*.jsonl"))
	must(t, err)
	for _, name := range files {
		info, err := os.Stat(name)
		must(t, err)
		if info.Size() > 3000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %d bytes, mode %o", name, info.Size(), info.Mode().Perm())
		}
	}
	entries := read(t, dir, HistoryFilter{})
	var writes []Entry
	for _, e := range entries {
		if e.Event != EventGated {
			writes = append(writes, e)
		}
	}
	if len(files) != 3 || ids(writes) != "first second last" || len(entries) > 50 || entries[len(entries)-2].ID != "gated-199" {
		t.Errorf("%d files, writes %q, %d lines", len(files), ids(writes), len(entries))
	}
	if got := ids(read(t, dir, HistoryFilter{Limit: 2})); got != "gated-199 last" {
		t.Errorf("the latest two: %q", got)
	}
	closed(t, s)
	must(t, opened(t, dir).Record(line("again")))
	if got := ids(read(t, dir, HistoryFilter{Limit: 2})); got != "last again" {
		t.Errorf("after a restart: %q", got)
	}
}

// No line is longer than 64 KiB, whatever a committer or a server writes: its texts are
// cut, and the line stays one that can be read.
func TestLongLinesAreCut(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	hostile := strings.Repeat("\x01é", 100_000)
	e := line("long")
	e.Reason, e.GateReason, e.Error, e.Author, e.Origin = hostile, hostile, hostile, hostile, hostile
	for range 40 {
		list := []string{}
		for range 1000 {
			list = append(list, hostile[:300])
		}
		e.Fields = append(e.Fields, plan.FieldChange{Field: plan.FieldScopes, From: plan.FieldValue{Value: &hostile, Mask: hostile}, To: plan.FieldValue{List: list}})
	}
	must(t, s.Record(line("short"), e, line("after")))
	lines, err := LinesForTest(dir)
	must(t, err)
	for _, text := range lines {
		if len(text) > longestLine {
			t.Errorf("a line of %d bytes", len(text))
		}
	}
	if len(hostile) != 300_000 || len(e.Fields[0].To.List) != 1000 {
		t.Error("what was recorded was changed itself")
	}
	got := read(t, dir, HistoryFilter{})
	if ids(got) != "short long after" || !strings.HasPrefix(got[1].Reason, "\x01é") || len(got[1].Fields) != 40 {
		t.Errorf("got %q with %d fields", ids(got), len(got[1].Fields))
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
	s.notes.size, s.notes.kept[done] = 1, 2
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

// Whatever a kill leaves of the last line is cut off with a warning. The lines before
// it stay; it is written again while the state holds it, which is until the next
// transaction, and then the next line begins where it did.
func TestHistoryCutAtEveryByte(t *testing.T) {
	cuts := 0
	for want, last := range map[string]func(*Store) error{
		"a b c": func(*Store) error { return nil },
		"a c":   func(s *Store) error { return s.SaveMemory(here(), memoryOf("strava")) },
	} {
		cuts += cutAtEveryByte(t, want, last)
	}
	t.Logf("COUNT history_cuts=%d", cuts)
}

func cutAtEveryByte(t *testing.T, want string, last func(*Store) error) (cuts int) {
	t.Helper()
	source := t.TempDir()
	s := opened(t, source)
	must(t, s.Record(line("a"), line("b")))
	must(t, last(s))
	closed(t, s)
	whole, err := os.ReadFile(filepath.Join(source, historyName))
	must(t, err)
	first := strings.Index(string(whole), "\n") + 1
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
		if got := ids(read(t, dir, HistoryFilter{})); got != want {
			t.Fatalf("%d bytes: got %q, want %s", length, got, want)
		}
		cuts++
	}
	return cuts
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
		"garbage": "\x00\x00{\n", "newer": strings.Replace(lines[1], `"v":2`, `"v":3`, 1), "no version": "{}\n",
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

// On a full disk nothing counts as published, and once there is room all of it is.
func TestHistoryOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	path := filepath.Join(dir, historyName)
	lines := s.backend.(*boltFile).lines
	withRoom := lines.file
	lines.file = func(string) (*os.File, error) { return os.OpenFile("/dev/full", os.O_RDWR, 0) }
	if err := s.Record(line("a")); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "write history "+path) {
		t.Errorf("got %v, want no space left", err)
	}
	held := OpenEvents{Gated: map[string]GatedChange{"x": {Since: noon()}}}
	if err := s.SaveOpenEvents(here(), held, []Entry{line("x")}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want no space left", err)
	}
	lines.file = withRoom
	must(t, s.SaveOpenEvents(here(), OpenEvents{}, []Entry{line("y")}))
	if got := ids(read(t, dir, HistoryFilter{})); got != "a x y" {
		t.Errorf("got %q, want a x y", got)
	}
}

// A backup that is put back beside a longer history makes every environment as
// careful as after a suspend, for readers as well, until that is written down.
func TestOlderStateIsCareful(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.SaveMemory(here(), memoryOf("strava")))
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
		"a snapshot": func() (*Store, error) { return OpenReadOnly(dir) },
		"the writer": func() (*Store, error) { return Open(dir, Options{}) },
	}
	for _, name := range []string{"a reader", "a snapshot", "the writer"} {
		s, err := open[name]()
		must(t, err)
		memory, err := s.Memory(here())
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

// A state that is moved away or replaced under its process takes no write that would
// vanish too.
func TestStateMovesWhileOpen(t *testing.T) {
	for name, move := range map[string]func(dir string) error{
		"folder moved": func(dir string) error { return os.Rename(dir, dir+".away") },
		"file moved":   func(dir string) error { return os.Rename(filepath.Join(dir, fileName), filepath.Join(dir, "away.db")) },
		"file replaced": func(dir string) error {
			old := filepath.Join(dir, fileName)
			data, err := os.ReadFile(old)
			return errors.Join(err, os.WriteFile(old+".new", data, 0o600), os.Rename(old+".new", old))
		},
		"another one there": func(dir string) error {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			s, err := Open(dir, Options{})
			if err == nil {
				err = s.Close()
			}
			return err
		},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		s := opened(t, dir)
		must(t, errors.Join(s.Begin(here(), intent("a", noon())), s.Check()))
		must(t, move(dir))
		for _, err := range []error{s.Check(), s.Begin(here(), intent("b", noon())), s.SaveMemory(here(), memoryOf("strava"))} {
			if err == nil || !strings.Contains(err.Error(), "moved or replaced") {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}

// A state that is removed under its process is put back, with all that it held, by
// whatever writes or looks next.
func TestStateThatIsRemovedIsPutBack(t *testing.T) {
	for name, remove := range map[string]func(dir string) error{
		"folder": os.RemoveAll,
		"file":   func(dir string) error { return os.Remove(filepath.Join(dir, fileName)) },
	} {
		dir := filepath.Join(t.TempDir(), "a", "state")
		s := opened(t, dir)
		must(t, errors.Join(s.SaveMemory(here(), memoryOf("strava")), s.SetKillSwitch(killSwitch("elsewhere", "")), s.Begin(here(), intent("a", noon()))))
		must(t, remove(dir))
		var group sync.WaitGroup
		for n := range 8 {
			group.Go(func() {
				_, err := s.Memory(here())
				if err := errors.Join(err, s.Begin(here(), intent(fmt.Sprint(n), noon())), s.Check()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		group.Wait()
		must(t, s.Record(line("b")))
		if notes := s.TakeNotes(); len(notes) != 1 || !strings.Contains(notes[0], "was removed while this process had it open") {
			t.Errorf("%s: notes %q", name, notes)
		}
		must(t, remove(dir))
		must(t, s.Record(line("c")))
		if notes := s.TakeNotes(); len(notes) != 1 || !strings.Contains(notes[0], "had it open, 2 times by now; it is there again") {
			t.Errorf("%s: of the second time it notes %q", name, notes)
		}
		closed(t, s)
		modes(t, dir)
		s = opened(t, dir)
		memory, err := s.Memory(here())
		must(t, err)
		pending, err := s.Pending(here())
		must(t, err)
		if diff := cmp.Diff(memoryOf("strava"), memory); diff != "" || len(pending) != 9 || len(inForce(t, s, noon())) != 1 {
			t.Errorf("%s: %d are pending; memory (-want +got):\n%s", name, len(pending), diff)
		}
		if notes := s.TakeNotes(); len(notes) > 0 {
			t.Errorf("%s: the next process notes %q", name, notes)
		}
		closed(t, s)
	}
}

// What is done about a folder that cannot be used is said with the error.
func TestFolderThatCannotBeUsed(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EACCES: "give the folder to that user", syscall.EROFS: "mount it writable", syscall.ENOLCK: "a local disk",
		syscall.ENOTSUP: "a local disk", syscall.ENOSPC: "make room", syscall.EDQUOT: "make room",
	} {
		err := unusable(t.TempDir(), fmt.Errorf("open state: %w", &os.PathError{Op: "open", Path: "state.db", Err: errno}))
		if all := advice.All(err); len(all) != 1 || !strings.Contains(all[0].Text, want) || !errors.Is(err, errno) {
			t.Errorf("%v: got %v, %v", errno, err, all)
		}
	}
	_, lines := other(t, "no-room", filepath.Join(t.TempDir(), "state"))
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "advice: make room there") {
		t.Errorf("a first start on a full disk says %q", lines.Text())
	}
	err := unusable(t.TempDir(), &os.PathError{Op: "open", Path: "state.db", Err: syscall.EACCES})
	if want := fmt.Sprintf("this process runs as user %d; the folder belongs to user %d, mode 755", os.Geteuid(), os.Geteuid()); !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDamagedWayToTheHistoryIsAnError(t *testing.T) {
	for name, damage := range map[string]func(path string){
		"sequence":    func(path string) { put(t, path, []byte("1 {"), bucketRecords, place(kindSequence, Environment{}, "")) },
		"epoch":       func(path string) { put(t, path, []byte("{"), bucketMeta, []byte(keyEpoch)) },
		"a number":    func(path string) { put(t, path, []byte("{}"), bucketOutbox, []byte("1")) },
		"a line":      func(path string) { put(t, path, []byte(`{"v":1`), bucketOutbox, bytesOf(9)) },
		"another one": func(path string) { put(t, path, []byte(`{"v":2,"seq":8}`), bucketOutbox, bytesOf(9)) },
	} {
		path := filled(t)
		damage(path)
		var corrupt *CorruptError
		if _, err := Open(filepath.Dir(path), Options{}); !errors.As(err, &corrupt) {
			t.Errorf("%s: got %v, want a CorruptError", name, err)
		}
	}
}

// A process that is killed after it has told the history and before the journal
// knows leaves a pending intent, whose line the next one does not write again. One
// that told "unknown" does not know, so the next one tells.
func TestLineOfAKilledProcessIsNotDoubled(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	unknown := line("b")
	unknown.Outcome = OutcomeUnknown
	must(t, s.Begin(here(), intent("a", noon())))
	must(t, s.Begin(here(), intent("b", noon())))
	must(t, errors.Join(s.RecordOutcome(here(), line("a")), s.RecordOutcome(here(), unknown)))
	closed(t, s)
	s = opened(t, dir)
	must(t, errors.Join(s.RecordOutcome(here(), line("a")), s.RecordOutcome(here(), line("b"))))
	must(t, s.End(here(), "a", "b"))
	if got := ids(read(t, dir, HistoryFilter{})); got != "a b b" {
		t.Errorf("got %q, want a b b", got)
	}
}

// A process that is killed after it has saved what lasts, and before it has told
// the history of all of it, is completed by the next one.
func TestOutboxOfAKilledProcessIsDelivered(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.Record(line("a")))
	path := filepath.Join(dir, historyName)
	must(t, os.Rename(path, path+".aside"))
	must(t, os.Symlink("/dev/full", path))
	held := OpenEvents{Gated: map[string]GatedChange{"x": {Since: noon()}, "y": {Since: noon()}}}
	if err := s.SaveOpenEvents(here(), held, []Entry{line("x"), line("y")}); err == nil {
		t.Fatal("a full disk takes it")
	}
	must(t, s.Close())
	must(t, os.Rename(path+".aside", path))
	s = opened(t, dir)
	ongoing, err := s.OpenEvents(here())
	must(t, err)
	if got := ids(read(t, dir, HistoryFilter{})); got != "a x y" || len(ongoing.Gated) != 2 {
		t.Errorf("got %q, %d are held", got, len(ongoing.Gated))
	}
	closed(t, s)
	closed(t, opened(t, dir))
	if got := ids(read(t, dir, HistoryFilter{})); got != "a x y" {
		t.Errorf("opened again: got %q", got)
	}
}

// A pause that was set or lifted is said to be so where the history cannot be told:
// who reads only of the history would take the one for off and the other for on.
func TestKillSwitchIsInEffectWithoutItsLine(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.Record(line("a")))
	path := filepath.Join(dir, historyName)
	must(t, os.Rename(path, path+".aside"))
	must(t, os.Symlink("/dev/full", path))
	const said = "it is in effect, and the history gets its lines later"
	if err := s.SetKillSwitch(killSwitch("production", "")); err == nil || !strings.Contains(err.Error(), said) {
		t.Errorf("set: got %v", err)
	}
	if lifted, err := s.LiftKillSwitch("production", "sam", noon()); !lifted || err == nil || !strings.Contains(err.Error(), said) {
		t.Errorf("lifted: got %v, %v", lifted, err)
	}
	if all, err := s.KillSwitches(noon()); len(all) != 0 || err != nil {
		t.Errorf("got %+v, %v", all, err)
	}
	must(t, s.Close())
	must(t, os.Rename(path+".aside", path))
	s = opened(t, dir)
	if entries := read(t, dir, HistoryFilter{}); len(entries) != 3 || entries[1].Event != EventPause || entries[2].Event != EventResume {
		t.Errorf("got %+v", entries)
	}
	closed(t, s)
}

func intent(id string, at time.Time) Intent {
	e := line(id)
	e.At, e.Action, e.Change, e.Commit, e.Outcome = at, plan.RotateSecret, "production/strava:rotate-secret", "abc", ""
	return Intent{Entry: e, Key: "key-" + id, BodyDigest: "hmac:" + id}
}

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	late, early := intent("a", noon().Add(time.Minute)), intent("z", noon())
	other := intent("other", noon())
	other.DevID = "staging"
	must(t, errors.Join(s.Begin(here(), late), s.Begin(here(), early), s.Begin(of("staging"), other)))
	if err := s.Begin(here(), early); err == nil {
		t.Error("begun twice: got no error")
	}
	closed(t, s)
	s = opened(t, dir)
	pending, err := s.Pending(here())
	must(t, err)
	if diff := cmp.Diff([]Intent{early, late}, pending); diff != "" {
		t.Errorf("pending, the oldest first (-want +got):\n%s", diff)
	}

	must(t, s.End(here(), "z"))
	if err := s.End(here(), "a", "z"); !errors.Is(err, ErrNotPending) {
		t.Errorf("ended twice: got %v, want ErrNotPending", err)
	}
	pending, err = s.Pending(here())
	must(t, err)
	if diff := cmp.Diff([]Intent{late}, pending); diff != "" { // also that the refused call ended none
		t.Errorf("pending after an end (-want +got):\n%s", diff)
	}
}

// TestRefusedAs: a refusal is found by the name of its environment, without the address of an
// account.
func TestRefusedAs(t *testing.T) {
	t.Parallel()
	s := opened(t, t.TempDir())
	refused := func(name string) OpenEvents { return OpenEvents{Refused: &Refused{Since: noon(), Environment: name}} }
	must(t, s.SaveOpenEvents(Environment{DevID: "a"}, refused("production"), nil))
	must(t, s.SaveOpenEvents(Environment{DevID: "b"}, refused("staging"), nil))
	must(t, s.SaveOpenEvents(Environment{DevID: "c"}, OpenEvents{}, nil))
	must(t, s.SaveOpenEvents(Environment{API: "https://api.example", DevID: "d"}, refused("production"), nil))
	if got, err := s.RefusedAs("production"); err != nil || len(got) != 1 || got[0].DevID != "a" {
		t.Errorf("got %v, %v", got, err)
	}
}
