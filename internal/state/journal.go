package state

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// ErrNotPending is wrapped where an intent was never begun or has already ended.
var ErrNotPending = errors.New("no such intent is pending")

// Intent is one write that is about to leave: the line that the history gets once its
// outcome is known, whose ID is unique, and what else a run needs that comes after a
// crash. It holds no body: BodyDigest is keyed, and says only whether a later body is
// the same.
type Intent struct {
	Entry
	Key        string `json:"key"`         // Idempotency-Key
	BodyDigest string `json:"body_digest"` // keyed
}

type intentRecord struct {
	Intent
	Recorded bool `json:"recorded,omitempty"` // the history has its outcome
}

// Begin writes down what is about to be sent. It is on disk when Begin returns
// nil; only then may the request leave. An id that is pending already, or an
// empty id, dev_id or key, is refused.
func (s *Store) Begin(env Environment, i Intent) error {
	return s.writeFor(env, "begin intent "+i.ID, func(w Writer) error {
		if i.ID == "" || i.Key == "" {
			return errors.New("an intent needs an id and a key")
		}
		if _, pending, err := kindIntent.get(w, env, i.ID); err != nil || pending {
			return cmp.Or(err, errors.New("it is pending already"))
		}
		i.At = utc(i.At)
		return kindIntent.put(w, env, i.ID, intentRecord{Intent: i})
	})
}

// RecordOutcome writes to the history what became of a pending intent, whose ID the
// entry has. After an outcome other than unknown the history has it, and it is not
// written again, also where the run was killed before the intent ended.
func (s *Store) RecordOutcome(env Environment, e Entry) error {
	return s.writeFor(env, "record outcome", func(w Writer) error {
		i, pending, err := kindIntent.get(w, env, e.ID)
		switch {
		case err != nil || i.Recorded:
			return err
		case !pending:
			return fmt.Errorf("%s: %w", e.ID, ErrNotPending)
		}
		if i.Recorded = e.Outcome != OutcomeUnknown; i.Recorded {
			if err := kindIntent.put(w, env, i.ID, i); err != nil {
				return err
			}
		}
		return appendLines(w, e)
	})
}

// markRecorded marks the pending intents whose outcome the history has already.
func markRecorded(w Writer, env Environment, history []Entry) error {
	pending, err := kindIntent.list(w, env, nil)
	for _, e := range history {
		i, found := pending[e.ID]
		if err == nil && found && e.Event == EventWrite && e.Outcome != OutcomeUnknown {
			i.Recorded = true
			err = kindIntent.put(w, env, i.ID, i)
		}
	}
	return err
}

// End forgets intents whose outcome is known and recorded: all of them or none. One
// that is not pending is refused with ErrNotPending.
func (s *Store) End(env Environment, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.writeFor(env, "end intents", func(w Writer) error {
		for _, id := range ids {
			if _, pending, err := kindIntent.get(w, env, id); err != nil || !pending {
				return cmp.Or(err, fmt.Errorf("%s: %w", id, ErrNotPending))
			}
			if err := kindIntent.drop(w, env, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Pending gives the intents of one environment that began and have not ended,
// the oldest first.
func (s *Store) Pending(env Environment) (pending []Intent, err error) {
	err = s.read("recall intents of "+env.DevID, func(r Reader) error {
		pending = nil
		found, err := kindIntent.list(r, env, nil)
		for id, i := range found {
			if i.ID != id {
				return &CorruptError{Record: kindIntent.at(env, id).String(), Cause: errors.New("it is about another one")}
			}
			pending = append(pending, i.Intent)
		}
		return err
	})
	slices.SortFunc(pending, func(a, b Intent) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	return pending, err
}
