package state

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// heardOf is a step of telling that says one thing to a receiver.
func heardOf(receiver string, ids ...string) Heard {
	if len(ids) == 0 {
		ids = []string{"a"}
	}
	h := Heard{Until: HeardUntil{Sequence: 1, Ahead: []int64{3}}, Most: 100, MostBytes: 1 << 20, Messages: map[string][]Message{}, Conditions: map[string]map[string]Condition{
		"run production": {"held production/strava": {Event: "held", Environment: "production", Text: "held", Since: noon(), Told: noon()}},
	}}
	for _, id := range ids {
		h.Messages[receiver] = append(h.Messages[receiver], Message{ID: id, At: noon(), Body: json.RawMessage(`{}`)})
	}
	return h
}

func saveHeard(s *Store, h Heard) error {
	_, err := s.SaveHeard(h)
	return err
}

func waitingFor(t *testing.T, s *Store, receiver string) (ids string, of Receiver) {
	t.Helper()
	all, of, err := s.Waiting(receiver)
	must(t, err)
	var out []string
	for _, m := range all {
		out = append(out, m.ID)
	}
	return strings.Join(out, " "), of
}

// TestHeardIsOneStep: what is to be told, what lasts and how far it was heard come back
// together, also after the process that saved it is gone.
func TestHeardIsOneStep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := opened(t, dir)
	if _, known, err := s.HeardUntil(); known || err != nil {
		t.Errorf("a new state knows what was told: %v, %v", known, err)
	}
	h := heardOf("ops", "a", "b")
	must(t, saveHeard(s, h))
	closed(t, s)
	s = opened(t, dir)
	until, known, err := s.HeardUntil()
	if until.Sequence != 1 || len(until.Ahead) != 1 || !known || err != nil {
		t.Errorf("got %v, %v, %v", until, known, err)
	}
	lasting, err := s.Conditions()
	must(t, err)
	if diff := cmp.Diff(h.Conditions, lasting); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, _ := waitingFor(t, s, "ops"); got != "a b" {
		t.Errorf("got %q, want a b", got)
	}
	must(t, saveHeard(s, Heard{Until: HeardUntil{Sequence: 2}, Conditions: map[string]map[string]Condition{"run production": nil}}))
	if lasting, err = s.Conditions(); len(lasting) > 0 || err != nil {
		t.Errorf("got %v, %v, want no conditions", lasting, err)
	}
}

// TestMessagesAreBounded: the oldest of the lowest rank goes first and is counted; who has
// been told of it is not told again.
func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	s := opened(t, t.TempDir())
	h := Heard{Most: 3, MostBytes: 100, Messages: map[string][]Message{}}
	for n, rank := range []int{2, 0, 1, 0, 2} {
		h.Messages["ops"] = append(h.Messages["ops"], Message{ID: fmt.Sprint(n), Rank: rank, At: noon(), Body: json.RawMessage(`1`)})
	}
	h.Messages["other"] = h.Messages["ops"][:1]
	dropped, err := s.SaveHeard(h)
	if diff := cmp.Diff(map[string]int{"ops": 2, "other": 0}, dropped); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	ids, of := waitingFor(t, s, "ops")
	if ids != "0 2 4" || of.Dropped != 2 || !of.Since.Equal(noon()) {
		t.Errorf("got %q and %+v, want 0 2 4 and two dropped", ids, of)
	}
	all, _, err := s.Waiting("ops")
	must(t, err)
	of.Success = noon()
	must(t, s.SaveReceiver("ops", of, 2, all[0].Number))
	ids, of = waitingFor(t, s, "ops")
	if ids != "2 4" || of.Dropped != 0 || !of.Since.IsZero() || of.Last != 5 || !of.Success.Equal(noon()) {
		t.Errorf("got %q and %+v", ids, of)
	}
	must(t, s.SaveReceiver("ops", Receiver{Last: 1, Dropped: 9}, 0))
	if _, of = waitingFor(t, s, "ops"); of.Last != 5 || of.Dropped != 0 {
		t.Errorf("got %+v: what the state counts is not what its user says", of)
	}
	waited, err := s.ForgetReceivers([]string{"ops"})
	if diff := cmp.Diff(map[string]int{"other": 1}, waited); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if ids, of := waitingFor(t, s, "other"); ids != "" || of.Last != 0 {
		t.Errorf("got %q, %+v of a receiver that was forgotten", ids, of)
	}
}

// TestMessagesAreBoundedInBytes: few messages that are large go as many small ones do, as many
// as have to; one that is larger than all room goes itself.
func TestMessagesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := opened(t, t.TempDir())
	say := func(id string, rank, size int) int {
		t.Helper()
		body := json.RawMessage(`"` + strings.Repeat("x", size-2) + `"`)
		dropped, err := s.SaveHeard(Heard{Most: 10, MostBytes: 100, Messages: map[string][]Message{"ops": {{ID: id, Rank: rank, At: noon(), Body: body}}}})
		must(t, err)
		return dropped["ops"]
	}
	for _, c := range []struct {
		id              string
		rank, size      int
		dropped, counts int
		waits           string
	}{
		{"a", 2, 40, 0, 0, "a"}, {"b", 0, 30, 0, 0, "a b"}, {"c", 0, 30, 0, 0, "a b c"}, // exactly all room
		{"d", 1, 3, 1, 1, "a c d"},
		{"e", 2, 58, 2, 3, "a e"},
		{"f", 0, 4, 1, 4, "a e"},
		{"g", 2, 101, 3, 7, ""},
		{"h", 0, 100, 0, 7, "h"},
	} {
		if n := say(c.id, c.rank, c.size); n != c.dropped {
			t.Errorf("%s: dropped %d, want %d", c.id, n, c.dropped)
		}
		if ids, of := waitingFor(t, s, "ops"); ids != c.waits || of.Dropped != c.counts {
			t.Errorf("%s: %q wait and %d are counted, want %q and %d", c.id, ids, of.Dropped, c.waits, c.counts)
		}
	}
}

// TestLinesAfter: each line once and in order, over rotated files and both series, without
// reading what is older.
func TestLinesAfter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := opened(t, dir)
	s.notes.size = 3000
	for n := range 40 {
		e := line(fmt.Sprint(n + 1))
		if n%3 == 0 {
			e.Event = EventGated
		}
		must(t, s.Record(e))
	}
	for _, after := range []int64{0, 1, 17, 38, 39} {
		lines, until, err := s.LinesAfter(after)
		must(t, err)
		var want []string
		for n := after + 1; n <= 40; n++ {
			want = append(want, fmt.Sprint(n))
		}
		if got := ids(lines); got != strings.Join(want, " ") || until != 40 {
			t.Errorf("after %d: got %q until %d", after, got, until)
		}
	}
	if lines, until, err := s.LinesAfter(40); len(lines) > 0 || until != 40 || err != nil {
		t.Errorf("got %d lines, %d, %v", len(lines), until, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "history-*.jsonl"))
	must(t, err)
	if len(files) == 0 {
		t.Fatal("nothing was rotated")
	}
	must(t, os.Remove(files[0]))
	must(t, os.Mkdir(files[0], 0o700)) // whoever reads it finds that it is no file
	if lines, _, err := s.LinesAfter(39); len(lines) != 1 || err != nil {
		t.Errorf("got %d lines, %v: an old file was read", len(lines), err)
	}
	must(t, os.Remove(files[0]))
	long := line("long")
	long.Reason = strings.Repeat("x", 70<<10)
	must(t, s.Record(long, line("after")))
	if lines, _, err := s.LinesAfter(40); ids(lines) != "long after" || err != nil {
		t.Errorf("got %q, %v", ids(lines), err)
	}
}

// TestRestoredStateTellsNothingAgain: a state that is older than its history begins at the
// end of it.
func TestRestoredStateTellsNothingAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.Record(line("1")))
	must(t, saveHeard(s, Heard{Until: HeardUntil{Sequence: 1}}))
	closed(t, s)
	old, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	s = opened(t, dir)
	must(t, s.Record(line("2"), line("3")))
	must(t, saveHeard(s, Heard{Until: HeardUntil{Sequence: 3}}))
	closed(t, s)
	must(t, os.WriteFile(filepath.Join(dir, fileName), old, 0o600))
	s = opened(t, dir)
	until, _, err := s.HeardUntil()
	if until.Sequence != 3 || err != nil {
		t.Errorf("got %v, %v, want 3", until, err)
	}
	if lines, _, err := s.LinesAfter(until.Sequence); len(lines) > 0 || err != nil {
		t.Errorf("told again: %q, %v", ids(lines), err)
	}
}

// TestForgetMessages: who tells nobody any more remembers nothing of it, and goes on with
// nothing when that changes.
func TestForgetMessages(t *testing.T) {
	t.Parallel()
	s := opened(t, t.TempDir())
	must(t, saveHeard(s, heardOf("ops", "a", "b")))
	must(t, s.SaveCommits(here(), Commits{"production", "bbb", "aaa"}))
	must(t, s.ForgetMessages())
	_, known, err := s.HeardUntil()
	lasting, err2 := s.Conditions()
	ids, of := waitingFor(t, s, "ops")
	if known || len(lasting) > 0 || ids != "" || of.Last > 0 || err != nil || err2 != nil {
		t.Errorf("got %v, %v, %q, %+v, %v, %v", known, lasting, ids, of, err, err2)
	}
	if c, err := s.Commits(here()); c.Applied != "aaa" || err != nil {
		t.Errorf("got %+v, %v: other things are kept", c, err)
	}
}
