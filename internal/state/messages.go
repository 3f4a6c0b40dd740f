package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// Condition is something that lasts and of which people were told when it began.
type Condition struct {
	Event       string               `json:"event"` // as the messages call it
	Environment string               `json:"environment,omitempty"`
	DevID       string               `json:"dev_id,omitempty"`
	Connection  string               `json:"connection,omitempty"` // production/strava
	Change      string               `json:"change,omitempty"`     // id of the change that it is about, "" for none
	Owner       string               `json:"owner,omitempty"`      // whom it concerns, as the files say
	About       string               `json:"about,omitempty"`      // what it is about beside the connection, in a few words: key 2
	Text        string               `json:"text"`                 // one sentence, as long as it lasts
	Command     string               `json:"command,omitempty"`    // what a person types next
	Since       time.Time            `json:"since"`                // UTC
	Until       time.Time            `json:"until,omitzero"`       // when it ends by itself; zero where nobody knows
	Told        time.Time            `json:"told"`                 // when its beginning was
	Receivers   []string             `json:"receivers,omitzero"`   // who was told of its beginning; nil where that is not known
	Reminded    map[string]time.Time `json:"reminded,omitempty"`   // by receiver: when it was last reminded of it
}

// Message is one that waits until its receiver has taken it.
type Message struct {
	Number int64           `json:"number"` // of this receiver, in the order in which they go out; the state gives it
	ID     string          `json:"id"`     // the same at each try
	Rank   int             `json:"rank"`   // what is least goes first where not all have room
	At     time.Time       `json:"at"`
	Body   json.RawMessage `json:"body"`
}

// Receiver is what is remembered of a receiver of messages.
type Receiver struct {
	Last    int64     `json:"last"`             // number of the last message for it
	Dropped int       `json:"dropped"`          // messages that it did not get, and was not told of yet
	Since   time.Time `json:"since,omitzero"`   // when the first of them was dropped
	Success time.Time `json:"success,omitzero"` // when it last took one
	Failing time.Time `json:"failing,omitzero"` // since when it takes none
	Cause   string    `json:"cause,omitempty"`
}

// HeardUntil is how far people were told of the history.
type HeardUntil struct {
	Sequence int64   `json:"seq"`             // all lines up to this one are told, or need not be
	Ahead    []int64 `json:"ahead,omitempty"` // and these after it
}

// Heard is one step of telling people: what was learned, and the messages that tell it.
type Heard struct {
	Until      HeardUntil
	Conditions map[string]map[string]Condition // by source, then by key: in the place of those there were; none forgets the source
	Messages   map[string][]Message            // by receiver
	Most       int                             // messages that may wait for one receiver
	MostBytes  int                             // of their bodies together
}

// HeardUntil is how far people were told of the history; known is false where nobody was
// ever to be told.
func (s *Store) HeardUntil() (until HeardUntil, known bool, err error) {
	err = s.read("recall what was told", func(r Reader) (err error) {
		until, known, err = kindHeard.get(r, Environment{}, "")
		return err
	})
	return until, known, err
}

// Conditions are those that last, by the source that says so.
func (s *Store) Conditions() (all map[string]map[string]Condition, err error) {
	err = s.read("recall conditions", func(r Reader) (err error) {
		all, err = kindConditions.list(r, Environment{}, nil)
		return err
	})
	return all, err
}

// SaveHeard takes a step of telling: all of it or nothing. Where more messages wait for a
// receiver than it may have, or more bytes, the oldest of the lowest rank are dropped and
// counted; dropped is how many of each receiver were.
func (s *Store) SaveHeard(h Heard) (dropped map[string]int, err error) {
	err = s.write("save what is told", func(w Writer) error {
		dropped = map[string]int{}
		if err := kindHeard.put(w, Environment{}, "", h.Until); err != nil {
			return err
		}
		for source, conditions := range h.Conditions {
			if len(conditions) == 0 {
				if err := kindConditions.drop(w, Environment{}, source); err != nil {
					return err
				}
				continue
			}
			if err := kindConditions.put(w, Environment{}, source, conditions); err != nil {
				return err
			}
		}
		for _, receiver := range slices.Sorted(maps.Keys(h.Messages)) {
			n, err := putMessages(w, receiver, h)
			if err != nil {
				return err
			}
			dropped[receiver] = n
		}
		return nil
	})
	return dropped, err
}

func putMessages(w Writer, receiver string, h Heard) (dropped int, err error) {
	list := h.Messages[receiver]
	if len(list) == 0 {
		return 0, nil
	}
	r, _, err := kindReceiver.get(w, Environment{}, receiver)
	if err != nil {
		return 0, err
	}
	all, err := messagesOf(w, receiver)
	if err != nil {
		return 0, err
	}
	for _, m := range list {
		r.Last++
		m.Number, m.At = r.Last, utc(m.At)
		all = append(all, m)
		if err := kindMessage.put(w, Environment{}, messageKey(receiver, m.Number), m); err != nil {
			return 0, err
		}
	}
	without := noRoom(all, h.Most, h.MostBytes)
	for _, m := range without {
		if err := kindMessage.drop(w, Environment{}, messageKey(receiver, m.Number)); err != nil {
			return 0, err
		}
	}
	if r.Dropped == 0 && len(without) > 0 {
		r.Since = list[len(list)-1].At.UTC()
	}
	r.Dropped += len(without)
	return len(without), kindReceiver.put(w, Environment{}, receiver, r)
}

// noRoom are the messages that have to go so that the others are not too many, nor too large
// together: the oldest of the lowest rank first.
func noRoom(all []Message, most, mostBytes int) []Message {
	slices.SortFunc(all, func(a, b Message) int { return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Number, b.Number)) })
	size := 0
	for _, m := range all {
		size += len(m.Body)
	}
	n := 0
	for ; n < len(all) && (len(all)-n > most || size > mostBytes); n++ {
		size -= len(all[n].Body)
	}
	return all[:n]
}

// messageKey sorts by receiver and then by number.
func messageKey(receiver string, number int64) string {
	return fmt.Sprintf("%s %019d", receiver, number)
}

func messagesOf(r Reader, receiver string) (all []Message, err error) {
	records, err := r.List(Environment{}, kindMessage.name())
	for _, record := range records {
		if of, _, _ := strings.Cut(record.Key, " "); of != receiver || err != nil {
			continue
		}
		var m Message
		if m, err = kindMessage.decode(record.Address, record.Value); err == nil {
			all = append(all, m)
		}
	}
	return all, err
}

// Waiting are the messages that wait for a receiver, the first one first, and what is
// remembered of it.
func (s *Store) Waiting(receiver string) (all []Message, of Receiver, err error) {
	err = s.read("recall messages of "+receiver, func(r Reader) (err error) {
		if of, _, err = kindReceiver.get(r, Environment{}, receiver); err == nil {
			all, err = messagesOf(r, receiver)
		}
		return err
	})
	return all, of, err
}

// SaveReceiver replaces what is remembered of a receiver, and drops messages that it has
// taken or never will. The number of its last message and what was dropped meanwhile stay
// as they are; told is how much of what was dropped it knows now.
func (s *Store) SaveReceiver(receiver string, r Receiver, told int, done ...int64) error {
	return s.write("save receiver "+receiver, func(w Writer) error {
		known, _, err := kindReceiver.get(w, Environment{}, receiver)
		if err != nil {
			return err
		}
		r.Last, r.Dropped, r.Since = known.Last, max(0, known.Dropped-told), known.Since
		if r.Dropped == 0 {
			r.Since = time.Time{}
		}
		r.Success, r.Failing = utc(r.Success), utc(r.Failing)
		for _, number := range done {
			if err := kindMessage.drop(w, Environment{}, messageKey(receiver, number)); err != nil {
				return err
			}
		}
		return kindReceiver.put(w, Environment{}, receiver, r)
	})
}

// ForgetReceivers drops all that is remembered of receivers other than these, and says how
// many messages waited for each.
func (s *Store) ForgetReceivers(but []string) (waited map[string]int, err error) {
	err = s.write("forget receivers", func(w Writer) error {
		waited = map[string]int{}
		for _, kind := range []string{kindMessage.name(), kindReceiver.name()} {
			records, err := w.List(Environment{}, kind)
			if err != nil {
				return err
			}
			for _, record := range slices.Clone(records) {
				receiver, _, isMessage := strings.Cut(record.Key, " ")
				if slices.Contains(but, receiver) {
					continue
				}
				if isMessage {
					waited[receiver]++
				}
				if err := w.Delete(record.Address); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return waited, err
}

// LinesAfter gives the lines of the history after a number, in order, and the number up to
// which it has looked. It reads the ends of the files, not all of them.
func (s *Store) LinesAfter(sequence int64) (lines []Entry, until int64, err error) {
	if s.notes == nil {
		return nil, sequence, nil
	}
	until = s.notes.lastSequence() // all up to there can be read
	if until <= sequence {
		return nil, until, nil
	}
	for _, part := range bothSeries() {
		err := eachFile(s.notes.dir, part, func(f *os.File) (bool, error) {
			found, enough, err := endOf(f, sequence, until)
			lines = append(lines, found...)
			return enough, err
		})
		if err != nil {
			return nil, sequence, fmt.Errorf("read history: %w", err)
		}
	}
	slices.SortFunc(lines, func(a, b Entry) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return lines, until, nil
}

// endOf reads a file from its end back to the line of a number; enough is false where that
// is not in it. Lines that cannot be read are left out, as everywhere.
func endOf(f *os.File, after, until int64) (lines []Entry, enough bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	for size := int64(64 << 10); ; size *= 4 {
		start := max(0, info.Size()-size)
		text := make([]byte, info.Size()-start)
		if _, err := f.ReadAt(text, start); err != nil {
			return nil, false, err
		}
		lines, enough = nil, false
		for i, line := range bytes.Split(text, []byte("\n")) {
			if i == 0 && start > 0 {
				continue // a part of one
			}
			switch number := sequenceOf(line); {
			case number == 0 || number > until:
			case number <= after:
				enough = true
			default:
				if e, err := decodeEntry(line); err == nil {
					lines = append(lines, e)
				}
			}
		}
		if enough || start == 0 {
			return lines, enough, nil
		}
	}
}

// ForgetMessages drops all that is remembered of messages: nobody is to be told any more.
// Where somebody is again, that begins at the end of the history.
func (s *Store) ForgetMessages() error {
	return s.write("forget messages", func(w Writer) error {
		for _, kind := range []string{kindHeard.name(), kindConditions.name(), kindMessage.name(), kindReceiver.name()} {
			if err := dropAll(w, Environment{}, kind); err != nil {
				return err
			}
		}
		return nil
	})
}
