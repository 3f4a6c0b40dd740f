package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

const (
	historyName = "history.jsonl"
	historySize = 8 << 20 // bytes of one file
	historyKept = 9       // older files
)

// What a line of the history tells.
const (
	EventWrite       = "write"        // a write left, or may have: Outcome says what became of it
	EventHeld        = "held"         // a change is held from now on
	EventHeldChanged = "held-changed" // it is held by another guard, or it is another change
	EventHeldEnded   = "held-ended"   // it is not held any more: Outcome says why
	EventDriftEnded  = "drift-ended"  // a field that somebody changed elsewhere is as agreed, or agreed anew
	EventRefused     = "refused"      // a whole environment is refused from now on, or one approval was
	EventRefusedEnd  = "refused-ended"
	EventWentBack    = "went-back" // the branch stands on a commit from before: Reason names the newest
	EventWentBackEnd = "went-back-ended"
	EventPause       = "pause"  // a kill switch was set, in the place of a former one on the same
	EventResume      = "resume" // one was lifted before its end
)

// OutcomeUnknown is the outcome of a write whose answer was lost. Another line
// with the same ID follows once a run knows.
const OutcomeUnknown = "unknown"

// Entry is one line of the history. It holds no plaintext: of a secret there is
// what a plan shows, its mask, the number of its key or the digest of its sealed
// form. Fields that do not apply are left out.
type Entry struct {
	V           int                `json:"v"`
	ID          string             `json:"id"` // of this event; chosen by the caller
	At          time.Time          `json:"at"`
	Event       string             `json:"event"`
	Run         string             `json:"run,omitempty"` // the run that wrote this line
	Environment string             `json:"environment"`
	DevID       string             `json:"dev_id"`
	Connection  string             `json:"connection,omitempty"`
	Provider    string             `json:"provider,omitempty"`
	Change      string             `json:"change,omitempty"` // its id
	Action      plan.Action        `json:"action,omitempty"`
	Class       plan.Class         `json:"class,omitempty"`
	Cause       plan.Cause         `json:"cause,omitempty"`
	Reason      string             `json:"reason,omitempty"`
	Commit      string             `json:"commit,omitempty"` // that asked for it
	Author      string             `json:"author,omitempty"` // of that commit
	Origin      string             `json:"origin,omitempty"` // file:line in it
	Fields      []plan.FieldChange `json:"fields,omitempty"` // before and after
	Gate        plan.Gate          `json:"gate,omitempty"`
	Guard       string             `json:"guard,omitempty"`
	GateReason  string             `json:"gate_reason,omitempty"`
	Outcome     string             `json:"outcome,omitempty"`
	Error       string             `json:"error,omitempty"`
	DurationMS  int64              `json:"duration_ms,omitempty"`
	Approval    string             `json:"approval,omitempty"` // the approved hash, or file:line of the allow
	Since       time.Time          `json:"since,omitzero"`     // when what ended began, or when a write that another run began first left
	LastedMS    int64              `json:"lasted_ms,omitempty"`
	Owner       string             `json:"owner,omitempty"` // who set a kill switch, or lifted it
	Until       time.Time          `json:"until,omitzero"`  // when a kill switch ends, exclusive
	Epoch       int64              `json:"epoch"`           // grows with each process that writes; tells an older state from its history
}

func (e Entry) version() int { return e.V }

// isFinal tells whether no other line with the same ID can follow.
func (e Entry) isFinal() bool { return e.Outcome != OutcomeUnknown }

// history appends lines to the file of one state folder. It opens the file anew
// for each append, so that nobody who moves or removes it makes lines vanish.
type history struct {
	dir  string
	size int64 // of one file
	kept int   // older files

	mu      sync.Mutex
	written map[string]bool // final lines that a run which was killed has left, by ID
	notes   []string
}

func newHistory(dir string) *history {
	return &history{dir: dir, size: historySize, kept: historyKept, written: map[string]bool{}}
}

// append writes lines and waits until they are on disk. After an error none of
// them counts as written.
func (h *history) append(entries []Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []byte
	for _, e := range entries {
		if e.isFinal() && h.written[e.ID] {
			continue
		}
		e.V, e.At, e.Since, e.Until = recordVersion, utc(e.At), utc(e.Since), utc(e.Until)
		line, err := encode(e)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	if len(lines) == 0 {
		return nil
	}
	if err := h.write(lines); err != nil {
		return fmt.Errorf("write history %s: %w", filepath.Join(h.dir, historyName), err)
	}
	return nil
}

func (h *history) write(lines []byte) error {
	f, end, err := h.open()
	if err != nil {
		return err
	}
	if end > 0 && end+int64(len(lines)) > h.size {
		if err := errors.Join(f.Close(), h.rotate()); err != nil {
			return err
		}
		if f, end, err = h.open(); err != nil {
			return err
		}
	}
	point()
	if _, err = f.WriteAt(lines, end); err == nil {
		err = f.Sync()
	}
	point()
	if err != nil {
		err = errors.Join(err, f.Truncate(end))
	}
	return errors.Join(err, f.Close())
}

// open gives the file and where its last whole line ends; what a write that was
// interrupted has left behind it is cut off.
func (h *history) open() (f *os.File, end int64, err error) {
	path := filepath.Join(h.dir, historyName)
	_, missing := os.Lstat(path)
	if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, 0, err
	}
	if errors.Is(missing, fs.ErrNotExist) {
		err = syncFolder(h.dir)
	}
	var info fs.FileInfo
	if err == nil {
		info, err = f.Stat()
	}
	if err == nil {
		end, err = lastLineEnd(f, info.Size())
	}
	if err == nil && end < info.Size() {
		h.notes = append(h.notes, fmt.Sprintf("history %s: its last line was cut (%d bytes), by a crash or a full disk; the rest is whole", path, info.Size()-end))
		if err = f.Truncate(end); err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, end, nil
}

// lastLineEnd gives the offset behind the last newline.
func lastLineEnd(f *os.File, size int64) (int64, error) {
	const block = 1 << 16
	for end := size; end > 0; {
		start := max(0, end-block)
		part := make([]byte, end-start)
		if _, err := f.ReadAt(part, start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		end = start
	}
	return 0, nil
}

// rotate gives the file the next number, in one step, and drops the oldest.
func (h *history) rotate() error {
	old, err := olderHistories(h.dir)
	if err != nil {
		return err
	}
	next := 1
	if len(old) > 0 {
		next = old[len(old)-1].number + 1
	}
	name := filepath.Join(h.dir, fmt.Sprintf("history-%06d.jsonl", next))
	if err := os.Rename(filepath.Join(h.dir, historyName), name); err != nil {
		return err
	}
	for _, f := range old[:max(0, len(old)+1-h.kept)] {
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncFolder(h.dir)
}

type olderHistory struct {
	path   string
	number int
}

// olderHistories gives the files that were rotated away, the oldest first.
func olderHistories(dir string) ([]olderHistory, error) {
	names, err := filepath.Glob(filepath.Join(dir, "history-*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("list history: %w", err)
	}
	var out []olderHistory
	for _, name := range names {
		f := olderHistory{path: name}
		if _, err := fmt.Sscanf(filepath.Base(name), "history-%d.jsonl", &f.number); err == nil {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b olderHistory) int { return a.number - b.number })
	return out, nil
}

func (h *history) takeNotes() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	notes := h.notes
	h.notes = nil
	return notes
}
