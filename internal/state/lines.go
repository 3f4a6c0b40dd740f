package state

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const historySize = 8 << 20 // bytes of one file

// series is one of the two parts of a history, each in files of its own: what was done,
// by us and by the people at the runner, and what a commit can make as much of as it
// likes, which so pushes out nothing of the other.
type series string

const (
	done  series = "history"
	gates series = "gates"
)

func bothSeries() []series { return []series{done, gates} }

func (p series) path(dir string) string { return filepath.Join(dir, string(p)+".jsonl") }

// numbered is a line of the history with its sequence number.
type numbered struct {
	sequence int64
	line     []byte // JSON with that number in its field seq
}

// of is the part to which a line belongs.
func (n numbered) of() series {
	var line struct {
		Event string `json:"event"`
	}
	_ = json.Unmarshal(n.line, &line) // one that cannot be read is kept as long as may be
	switch line.Event {
	case EventGated, EventGateChanged, EventGateCleared, EventDriftResolved, EventEnvironmentRefused, EventEnvironmentAccepted, EventRewound, EventRewoundResolved:
		return gates
	}
	return done
}

// lineFiles appends lines to the history of one state folder. It opens the file
// again for each append, so that nobody who moves or removes it makes lines vanish.
type lineFiles struct {
	dir  string
	size int64          // of one file
	kept map[series]int // older files
	file func(path string) (*os.File, error)

	mu    sync.Mutex
	last  int64            // sequence number of the last line, up to which all are on disk
	ends  map[series]int64 // of the last line that is, by part
	notes []string
}

// openLines makes sure that the history can be written, and finds out where it ends.
func openLines(dir string) (*lineFiles, error) {
	h := &lineFiles{dir: dir, size: historySize, kept: map[series]int{done: 99, gates: 9}, ends: map[series]int64{}, file: openPrivate}
	for _, part := range bothSeries() {
		f, _, err := h.open(part)
		if err == nil {
			err = f.Close()
		}
		if err == nil {
			h.ends[part], err = lastOf(dir, part)
		}
		if err != nil {
			return nil, fmt.Errorf("open history %s: %w", part.path(dir), err)
		}
		h.last = max(h.last, h.ends[part])
	}
	return h, nil
}

func (h *lineFiles) path() string { return done.path(h.dir) }

func (h *lineFiles) lastSequence() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *lineFiles) note(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes = append(h.notes, text)
}

func (h *lineFiles) takeNotes() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	notes := h.notes
	h.notes = nil
	return notes
}

// missing gives the lines that are not there.
func (h *lineFiles) missing(lines []numbered) ([]numbered, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	there := map[int64]bool{}
	for _, part := range bothSeries() {
		err := eachFile(h.dir, part, func(f *os.File) (enough bool, err error) {
			_, err = eachLine(f, func(line []byte) error {
				n := sequenceOf(line)
				there[n] = n > 0
				enough = enough || n > 0 && n < lines[0].sequence // those from there on are in this file or a later one
				return nil
			})
			return enough, err
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(lines, func(l numbered) bool { return there[l.sequence] }), nil
}

// unwritten gives the lines that a former try has not brought to disk.
func (h *lineFiles) unwritten(lines []numbered) []numbered {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(lines, func(l numbered) bool { return l.sequence <= h.ends[l.of()] })
}

// append writes lines and waits until they are on disk.
func (h *lineFiles) append(lines []numbered) error {
	if len(lines) == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, part := range bothSeries() {
		of := slices.DeleteFunc(slices.Clone(lines), func(l numbered) bool { return l.of() != part })
		for len(of) > 0 {
			n, err := h.appendSome(part, of)
			if err != nil {
				return err
			}
			h.ends[part] = max(h.ends[part], of[n-1].sequence)
			of = of[n:]
		}
	}
	h.last = max(h.last, lines[len(lines)-1].sequence)
	return nil
}

// appendSome writes as many lines as the file has room for, at least one, and says how
// many.
func (h *lineFiles) appendSome(part series, lines []numbered) (n int, err error) {
	f, end, err := h.open(part)
	if err == nil && end > 0 && end+int64(len(lines[0].line))+1 > h.size {
		if err = errors.Join(f.Close(), h.rotate(part)); err == nil {
			f, end, err = h.open(part)
		}
	}
	if err != nil {
		return 0, err
	}
	var text []byte
	for _, l := range lines {
		if n > 0 && end+int64(len(text)+len(l.line))+1 > h.size {
			break
		}
		text = append(append(text, l.line...), '\n')
		n++
	}
	point()
	if _, err = f.WriteAt(text, end); err == nil {
		err = f.Sync()
	}
	point()
	if err != nil {
		_ = f.Truncate(end) // else the next one that opens it cuts off what is not a whole line
		return 0, errors.Join(err, f.Close())
	}
	_ = f.Close() // all of it is on disk
	return n, nil
}

// openPrivate opens or makes a file that nobody else can write to, and follows no link.
func openPrivate(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil, linked(err)
	}
	if err := checkFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// open gives the file and where its last whole line ends; what a write that was
// interrupted has left behind it is cut off.
func (h *lineFiles) open(part series) (f *os.File, end int64, err error) {
	path := part.path(h.dir)
	_, missing := os.Lstat(path)
	if f, err = h.file(path); err != nil {
		return nil, 0, err
	}
	if errors.Is(missing, fs.ErrNotExist) {
		err = syncFolder(h.dir)
	}
	if err == nil {
		end, err = h.cutTail(f)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, end, nil
}

func (h *lineFiles) cutTail(f *os.File) (end int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	last := make([]byte, 1)
	for end = info.Size(); end > 0; end-- { // a whole line ends it, but after a crash
		if _, err := f.ReadAt(last, end-1); err != nil {
			return 0, err
		}
		if last[0] == '\n' {
			break
		}
	}
	if cut := info.Size() - end; cut > 0 {
		h.notes = append(h.notes, fmt.Sprintf("history %s: its last line was cut (%d bytes), by a crash or a full disk; the rest is whole", f.Name(), cut))
		err = errors.Join(f.Truncate(end), f.Sync())
	}
	return end, err
}

// rotate gives the file the next number, in one step, and drops the oldest.
func (h *lineFiles) rotate(part series) error {
	old, err := part.older(h.dir)
	if err != nil {
		return err
	}
	next := 1
	if len(old) > 0 {
		next = part.number(old[len(old)-1]) + 1
	}
	if err := os.Rename(part.path(h.dir), filepath.Join(h.dir, fmt.Sprintf("%s-%06d.jsonl", part, next))); err != nil {
		return err
	}
	for _, path := range old[:max(0, len(old)+1-h.kept[part])] {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncFolder(h.dir)
}

// older gives the paths of those that were rotated away, the oldest first.
func (p series) older(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, string(p)+"-*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("list history: %w", err)
	}
	paths = slices.DeleteFunc(paths, func(path string) bool { return p.number(path) == 0 })
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(p.number(a), p.number(b)) })
	return paths, nil
}

// number gives that of an older file, 0 for another one.
func (p series) number(path string) (n int) {
	if _, err := fmt.Sscanf(filepath.Base(path), string(p)+"-%d.jsonl", &n); err != nil {
		return 0
	}
	return n
}

// eachFile gives the files of a part of a history one after the other, the latest first, until
// fn has enough. One that is rotated away meanwhile is there under both names, and
// counts once.
func eachFile(dir string, part series, fn func(*os.File) (enough bool, err error)) error {
	var seen []fs.FileInfo
	visit := func(path string) (enough bool, err error) {
		f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // there is none yet, or it was the oldest
		}
		if err != nil {
			return true, linked(err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			return true, fmt.Errorf("read history %s: it is no file; move it away", path)
		}
		if err != nil || slices.ContainsFunc(seen, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			return false, err
		}
		seen = append(seen, info)
		return fn(f)
	}
	if enough, err := visit(part.path(dir)); enough || err != nil {
		return err
	}
	older, err := part.older(dir) // listed afterwards, so that a rotation hides none
	for _, path := range slices.Backward(older) {
		if err != nil {
			return err
		}
		var enough bool
		if enough, err = visit(path); enough {
			return err
		}
	}
	return err
}

// eachLine gives each line to fn, and says which ones fn could not read.
func eachLine(f *os.File, fn func(line []byte) error) (damaged []string, err error) {
	reader := bufio.NewReaderSize(f, 1<<16)
	for n := 1; ; n++ {
		line, err := reader.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return damaged, err
		}
		if cut := errors.Is(err, io.EOF); cut {
			if len(line) > 0 {
				damaged = append(damaged, fmt.Sprintf("%s:%d: the last line is cut, by a crash or because it is being written now; it is left out", f.Name(), n))
			}
			return damaged, nil
		}
		if err := fn(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			damaged = append(damaged, fmt.Sprintf("%s:%d: this line is left out: %v", f.Name(), n, err))
		}
	}
}

// lastSequence gives the number of the latest line that can be read, 0 for none.
func lastSequence(dir string) (last int64, err error) {
	for _, part := range bothSeries() {
		of, err := lastOf(dir, part)
		if err != nil {
			return 0, err
		}
		last = max(last, of)
	}
	return last, nil
}

func lastOf(dir string, part series) (last int64, err error) {
	const tail = MaxValue + 1<<16 // a line is in it whole
	err = eachFile(dir, part, func(f *os.File) (bool, error) {
		info, err := f.Stat()
		if err != nil {
			return false, err
		}
		start := max(0, info.Size()-tail)
		part := make([]byte, info.Size()-start)
		if _, err := f.ReadAt(part, start); err != nil {
			return false, err
		}
		for _, line := range slices.Backward(bytes.SplitAfter(part, []byte("\n"))) {
			if bytes.HasSuffix(line, []byte("\n")) {
				last = sequenceOf(line)
			}
			if last > 0 {
				return true, nil
			}
		}
		return false, nil
	})
	return last, err
}

// sequenceOf gives the number of a line, 0 for one that cannot be read.
func sequenceOf(line []byte) int64 {
	var found struct {
		Sequence int64 `json:"seq"`
	}
	if json.Unmarshal(line, &found) != nil {
		return 0
	}
	return found.Sequence
}
