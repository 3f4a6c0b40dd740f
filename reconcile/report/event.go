package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// EventKind says what happened to a connection that somebody may want to be told.
type EventKind string

// The kinds.
const (
	Stuck            EventKind = "stuck"         // a change is held for longer than StuckAfter
	KeyRejectedEvent EventKind = "key-rejected"  // a key of the file must not be live
	KeyOverdueEvent  EventKind = "key-overdue"   // the live key is older than its file allows
	RolledBack       EventKind = "rolled-back"   // a rejected key was replaced by the one before it
	RotationHeld     EventKind = "rotation-held" // going back is wanted, and a person must decide
	KeyByHandEvent   EventKind = "key-by-hand"   // somebody set keys at Terra that the file does not have, and they are left
)

// StuckAfter is for how long a change may be held before it counts as stuck.
const StuckAfter = 7 * 24 * time.Hour

// Event is something about one connection that a person should hear of although
// nobody looks at the report.
type Event struct {
	Kind       EventKind `json:"kind"`
	Connection string    `json:"connection"`     // production/strava
	Change     string    `json:"change"`         // id of the change, "" when it is about none
	Since      time.Time `json:"since,omitzero"` // UTC; zero where it only is of this run
	Text       string    `json:"text"`           // one sentence, with what to do
}

// StuckEvents finds the changes that have been held for longer than StuckAfter.
func StuckEvents(changes []Change, now time.Time) []Event {
	var out []Event
	for _, c := range changes {
		held := now.Sub(c.GatedSince)
		if c.GatedSince.IsZero() || held <= StuckAfter || c.Gate == plan.Ready || c.Outcome == Applied {
			continue
		}
		text := fmt.Sprintf("%s has been held for %d days, by guard %s: %s", c.ID, int(held/(24*time.Hour)), c.Guard, c.GateReason)
		if c.GateWay != "" {
			text += "; the way through: " + c.GateWay
		}
		out = append(out, Event{Kind: Stuck, Connection: c.Connection, Change: c.ID, Since: c.GatedSince.UTC(), Text: text})
	}
	return out
}

// told are the events that a person reads beside the changes: those about a key
// are told by its change already.
func told(e Environment) []Event {
	return slices.DeleteFunc(slices.Clone(e.Events), func(e Event) bool {
		return e.Kind == KeyRejectedEvent || e.Kind == RolledBack || e.Kind == RotationHeld
	})
}

// label is what a person reads in front of an event.
func (e Event) label() string { return clean(string(e.Kind)) }
