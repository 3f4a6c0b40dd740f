package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// entryVersion is the form of a line.
const entryVersion = 2

// What a line of the history tells.
const (
	EventWrite               = "write"               // a write left, or may have: Outcome says what became of it
	EventGated               = "gated"               // a change is held from now on
	EventGateChanged         = "gate-changed"        // it is held by another guard, or it is another change
	EventGateCleared         = "gate-cleared"        // it is not held any more: Outcome says why
	EventDriftResolved       = "drift-resolved"      // a field that somebody changed elsewhere is as agreed, or agreed anew
	EventEnvironmentRefused  = "environment-refused" // a whole environment is refused from now on, or one approval was
	EventEnvironmentAccepted = "environment-accepted"
	EventRewound             = "rewound" // the branch stands on a commit from before: Reason names the newest
	EventRewoundResolved     = "rewound-resolved"
	EventForcedPush          = "forced-push" // the branch names a commit that does not hold the one before it, which Reason names
	EventKeyDead             = "key-dead"    // a replaced key was found to be refused by its provider
	EventApproved            = "approved"    // a person approved a plan, or one connection of it
	EventForgotten           = "forgotten"   // a person had the memory of a connection forgotten
	EventPause               = "pause"       // a kill switch was set, in the place of a former one on the same
	EventResume              = "resume"      // one was lifted before its end
)

// OutcomeUnknown is the outcome of a write whose answer was lost. Another line
// with the same ID follows once a run knows.
const OutcomeUnknown = "unknown"

// HistorySchema names the form of a JSON document of entries. Fields are added, never renamed.
const HistorySchema = "terra-reconcile/history/v1"

// Entry is one line of the history. It holds no plaintext: of a secret there is
// what a plan shows, its mask, the number of its key or the digest of its sealed
// form. Fields that do not apply are left out.
type Entry struct {
	V           int                `json:"v"`
	Sequence    int64              `json:"seq"` // one more than that of the line before
	ID          string             `json:"id"`  // of this event; chosen by the caller
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
	Commit      string             `json:"commit,omitempty"`    // that asked for it
	Author      string             `json:"author,omitempty"`    // of that commit
	SignedBy    string             `json:"signed_by,omitempty"` // whose signature of it counts, where one is asked for
	Origin      string             `json:"origin,omitempty"`    // file:line in it
	Fields      []plan.FieldChange `json:"fields,omitempty"`    // before and after
	Gate        plan.Gate          `json:"gate,omitempty"`
	Guard       string             `json:"guard,omitempty"`
	GateReason  string             `json:"gate_reason,omitempty"`
	Outcome     string             `json:"outcome,omitempty"`
	Error       string             `json:"error,omitempty"`
	DurationMS  int64              `json:"duration_ms,omitempty"`
	Approval    string             `json:"approval,omitempty"`    // the approved hash, or file:line of the allow
	ApprovedBy  []string           `json:"approved_by,omitempty"` // who approved that hash
	Since       time.Time          `json:"since,omitzero"`        // when what ended began, or when a write that another run began first left
	LastedMS    int64              `json:"lasted_ms,omitempty"`
	Owner       string             `json:"owner,omitempty"` // who set a kill switch, or lifted it
	Until       time.Time          `json:"until,omitzero"`  // when a kill switch ends, exclusive
}

// appendLines gives lines their numbers and adds them to the history.
func appendLines(w Writer, entries ...Entry) error {
	last, _, err := kindSequence.get(w, Environment{}, "")
	if err != nil || len(entries) == 0 {
		return err
	}
	for _, e := range entries {
		last++
		e.V, e.Sequence = entryVersion, last
		e.At, e.Since, e.Until = utc(e.At), utc(e.Since), utc(e.Until)
		line, err := e.line()
		if err != nil {
			return fmt.Errorf("encode line of history: %w", err)
		}
		if err := w.Append(last, line); err != nil {
			return err
		}
	}
	return kindSequence.put(w, Environment{}, "", last)
}

// longestLine is how many bytes a line may have: what is longer is cut, text by text.
const longestLine = 64 << 10

// line encodes an entry.
func (e Entry) line() ([]byte, error) {
	line, err := json.Marshal(e)
	for room := 4 << 10; err == nil && len(line) > longestLine && room > 0; room /= 2 {
		line, err = json.Marshal(e.within(room))
	}
	if err == nil && len(line) > longestLine {
		e.Fields = nil
		line, err = json.Marshal(e.within(1))
	}
	return line, err
}

// within cuts each text of an entry to so many bytes, and its lists to as many items.
func (e Entry) within(room int) Entry {
	cut := func(text *string) {
		if len(*text) > room {
			*text = strings.ToValidUTF8((*text)[:room], "") + "…"
		}
	}
	for _, text := range []*string{&e.ID, &e.Run, &e.Environment, &e.DevID, &e.Connection, &e.Provider, &e.Change, &e.Reason, &e.Commit, &e.Author, &e.SignedBy, &e.Origin,
		&e.Guard, &e.GateReason, &e.Outcome, &e.Error, &e.Approval, &e.Owner} {
		cut(text)
	}
	e.Fields = slices.Clone(e.Fields)
	for i := range e.Fields {
		for _, v := range []*plan.FieldValue{&e.Fields[i].From, &e.Fields[i].To} {
			cut(&v.Mask)
			if v.Value != nil {
				text := *v.Value
				cut(&text)
				v.Value = &text
			}
			v.List = slices.Clone(v.List[:min(len(v.List), room/64)])
			for i := range v.List {
				cut(&v.List[i])
			}
		}
	}
	return e
}

// Record writes lines of history, all of them or none.
func (s *Store) Record(entries ...Entry) error {
	return s.write("record", func(w Writer) error { return appendLines(w, entries...) })
}

// RecordOnce is Record for what every run or poll would record again: a line is left
// out whose ID is that of the last one about the same subject.
func (s *Store) RecordOnce(subject string, e Entry) error {
	return s.write("record", func(w Writer) error {
		last, _, err := kindRecorded.get(w, Environment{}, subject)
		if err != nil || last == e.ID {
			return err
		}
		if err := kindRecorded.put(w, Environment{}, subject, e.ID); err != nil {
			return err
		}
		return appendLines(w, e)
	})
}

// OpenEvents is what lasts over the runs of one environment, and since when.
type OpenEvents struct {
	Gated   map[string]GatedChange `json:"gated,omitempty"`  // by the id of the change
	Drifts  map[string]Drift       `json:"drifts,omitempty"` // by provider/field
	Refused *Refused               `json:"refused,omitempty"`
	Rewound *Rewound               `json:"rewound,omitempty"`
}

// Rewound is a branch that stands on a commit which was attempted before a newer one.
type Rewound struct {
	Since  time.Time `json:"since"` // UTC
	Commit string    `json:"commit"`
	From   string    `json:"from"` // the newest that was attempted
}

// GatedChange is a change that is not applied now.
type GatedChange struct {
	Since    time.Time `json:"since"` // UTC: when a run first gated it
	Provider string    `json:"provider"`
	Action   string    `json:"action"`
	Gate     string    `json:"gate"`
	Guard    string    `json:"guard"`
	Content  string    `json:"content"` // a digest of what it would change
}

// Drift is a field that somebody changed elsewhere.
type Drift struct {
	Since    time.Time `json:"since"` // UTC: when a run first saw it
	Provider string    `json:"provider"`
	Field    string    `json:"field"`
}

// Refused is a whole environment of which no plan can be made.
type Refused struct {
	Since       time.Time `json:"since"`                 // UTC
	Environment string    `json:"environment,omitempty"` // its name
}

// OpenEvents gives what lasts in an environment.
func (s *Store) OpenEvents(env Environment) (OpenEvents, error) { return one(s, kindOpenEvents, env) }

// RefusedAs gives the dev_ids by which an environment of a name is refused, without the address
// of an account.
func (s *Store) RefusedAs(name string) (found []Environment, err error) {
	err = s.read("recall refusals of "+name, func(r Reader) error {
		all, err := r.Environments()
		for _, env := range all {
			if env.API != "" || err != nil {
				continue
			}
			var o OpenEvents
			if o, _, err = kindOpenEvents.get(r, env, ""); err == nil && o.Refused != nil && o.Refused.Environment == name {
				found = append(found, env)
			}
		}
		return err
	})
	return found, err
}

// SaveOpenEvents replaces what lasts in an environment and records what has begun and
// ended: both or neither.
func (s *Store) SaveOpenEvents(env Environment, o OpenEvents, entries []Entry) error {
	return s.writeFor(env, "save open events", func(w Writer) error {
		if err := kindOpenEvents.put(w, env, "", o); err != nil {
			return err
		}
		return appendLines(w, entries...)
	})
}

// HistoryFilter chooses lines of the history; its zero value chooses all.
type HistoryFilter struct {
	Environment string    // its name or dev_id
	Connection  string    // strava, or production/strava
	Since       time.Time // not before
	Limit       int       // the latest; 0 means all
	Within      int64     // bytes at the end of each part of the history that are looked at; 0 means all
	Before      int64     // with a lower sequence number; 0 means all
}

func (f HistoryFilter) chooses(e Entry) bool {
	if f.Before > 0 && e.Sequence >= f.Before {
		return false
	}
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
	for _, part := range bothSeries() {
		var of []Entry
		looked := int64(0)
		err = eachFile(dir, part, func(f *os.File) (enough bool, err error) {
			var found []Entry
			whole, err := filter.begin(f, &looked)
			if err != nil {
				return false, err
			}
			damaged, err := eachLine(f, func(line []byte) error {
				e, err := decodeEntry(line)
				if err == nil && filter.chooses(e) {
					found = append(found, e)
				}
				return err
			})
			if of = append(found, of...); whole { // of the rest of a file no line has its number
				warnings = append(damaged, warnings...)
			}
			return filter.Limit > 0 && len(of) >= filter.Limit || !whole, err
		})
		if err != nil {
			return nil, nil, fmt.Errorf("read history: %w", err)
		}
		entries = append(entries, of...)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Sequence, b.Sequence) })
	if filter.Limit > 0 {
		entries = entries[max(0, len(entries)-filter.Limit):]
	}
	return entries, warnings, nil
}

// begin goes to where the filter begins to look at a file, at the beginning of a line, and
// tells whether it looks at all of it.
func (f HistoryFilter) begin(file *os.File, looked *int64) (whole bool, err error) {
	info, err := file.Stat()
	if err != nil || f.Within <= 0 {
		return true, err
	}
	skip := info.Size() - max(0, f.Within-*looked)
	*looked += info.Size()
	if skip <= 0 {
		return true, nil
	}
	// To the end of the line that it is in.
	around := make([]byte, longestLine+1)
	n, err := file.ReadAt(around, skip-1)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	at := bytes.IndexByte(around[:n], '\n')
	if at < 0 {
		at = n
	}
	_, err = file.Seek(skip+int64(at), io.SeekStart)
	return false, err
}

func decodeEntry(line []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return Entry{}, fmt.Errorf("it is damaged: %w", err)
	}
	switch {
	case e.V > entryVersion:
		return Entry{}, fmt.Errorf("a newer reconcile wrote it (version %d)", e.V)
	case e.V < entryVersion:
		return Entry{}, fmt.Errorf("it is from before the first release (version %d)", e.V)
	}
	return e, nil
}
