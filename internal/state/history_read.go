package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// HistoryFilter chooses lines of the history; its zero value chooses all.
type HistoryFilter struct {
	Environment string    // its name or dev_id
	Connection  string    // strava, or production/strava
	Since       time.Time // not before
	Limit       int       // the latest; 0 means all
}

func (f HistoryFilter) chooses(e Entry) bool {
	if e.Event == EventPause || e.Event == EventResume {
		return f.meets(e) && !e.At.Before(f.Since)
	}
	return (f.Environment == "" || f.Environment == e.Environment || f.Environment == e.DevID) &&
		(f.Connection == "" || strings.EqualFold(f.Connection, e.Provider) || strings.EqualFold(f.Connection, e.Connection)) &&
		!e.At.Before(f.Since)
}

// meets tells whether a kill switch is about what is chosen, also where it is on
// more.
func (f HistoryFilter) meets(e Entry) bool {
	environment, provider := f.Environment, f.Connection
	if at := strings.LastIndexByte(provider, '/'); at >= 0 {
		if of := provider[:at]; e.Environment != "" && !strings.EqualFold(of, e.Environment) && of != e.DevID {
			return false
		}
		provider = provider[at+1:]
	}
	return (environment == "" || e.Environment == "" || environment == e.Environment || environment == e.DevID) &&
		(provider == "" || e.Provider == "" || strings.EqualFold(provider, e.Provider))
}

// History reads the lines in a state folder that a filter chooses, the oldest
// first. It takes no lock, so it also works while another process writes: it
// reads what was there when it began. Lines that cannot be read, such as one that
// a crash has cut, are left out and named in warnings. A folder that is not there
// is an error, one without a history is not.
func History(dir string, filter HistoryFilter) (entries []Entry, warnings []string, err error) {
	switch _, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("read history: there is no folder %s; nothing was applied with it yet, or the state is elsewhere", dir)
	case err != nil:
		return nil, nil, fmt.Errorf("read history: %w", err)
	}
	files, err := openHistory(dir)
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	if err != nil {
		return nil, nil, fmt.Errorf("read history: %w", err)
	}
	for _, f := range files {
		var found []Entry
		damaged, err := eachLine(f, func(line []byte) error {
			e, err := decodeEntry(line)
			if err == nil && filter.chooses(e) {
				found = append(found, e)
			}
			return err
		})
		if err != nil {
			return nil, nil, fmt.Errorf("read history: %w", err)
		}
		warnings = append(damaged, warnings...)
		if entries = append(found, entries...); filter.Limit > 0 && len(entries) >= filter.Limit {
			return entries[len(entries)-filter.Limit:], warnings, nil
		}
	}
	return entries, warnings, nil
}

// openHistory opens the files, the latest first. One that is rotated away
// meanwhile is there under both names, and counts once.
func openHistory(dir string) ([]*os.File, error) {
	var files []*os.File
	var seen []fs.FileInfo
	open := func(path string) error {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // there is none yet, or it was the oldest
		}
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		for _, other := range seen {
			if os.SameFile(info, other) {
				return f.Close()
			}
		}
		files, seen = append(files, f), append(seen, info)
		return nil
	}
	if err := open(filepath.Join(dir, historyName)); err != nil {
		return files, err
	}
	old, err := olderHistories(dir)
	for i := len(old) - 1; i >= 0 && err == nil; i-- {
		err = open(old[i].path)
	}
	return files, err
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

func decodeEntry(line []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return Entry{}, fmt.Errorf("it is damaged: %w", err)
	}
	switch v := e.version(); {
	case v > recordVersion:
		return Entry{}, fmt.Errorf("a newer reconcile wrote it (version %d)", v)
	case v < recordVersion:
		return Entry{}, errors.New("it has no version")
	}
	return e, nil
}

// finals tells which of the IDs have a final line already.
func (h *history) finals(ids map[string]bool) (map[string]bool, error) {
	found := map[string]bool{}
	files, err := openHistory(h.dir)
	for _, f := range files {
		if err == nil {
			_, err = eachLine(f, func(line []byte) error {
				if e, err := decodeEntry(line); err == nil && ids[e.ID] && e.isFinal() {
					found[e.ID] = true
				}
				return nil
			})
		}
		err = errors.Join(err, f.Close())
	}
	return found, err
}

// lastEpoch gives the epoch of the latest line that can be read, 0 for none.
func (h *history) lastEpoch() (epoch int64, err error) {
	const tail = 1 << 18
	files, err := openHistory(h.dir)
	for _, f := range files {
		if err == nil && epoch == 0 {
			epoch, err = epochIn(f, tail)
		}
		err = errors.Join(err, f.Close())
	}
	return epoch, err
}

func epochIn(f *os.File, tail int64) (int64, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	start := max(0, info.Size()-tail)
	part := make([]byte, info.Size()-start)
	if _, err := f.ReadAt(part, start); err != nil {
		return 0, err
	}
	lines := bytes.Split(part, []byte("\n"))
	for i := len(lines) - 1; i >= 0; i-- {
		if e, err := decodeEntry(lines[i]); err == nil {
			return e.Epoch, nil
		}
	}
	return 0, nil
}
