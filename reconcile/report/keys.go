package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// KeyState says how the keys of a connection stand.
type KeyState string

// The states, the one that needs a person most first.
const (
	KeyDead     KeyState = "live key rejected" // the live key must not be live
	KeyByHand   KeyState = "set by hand"       // somebody set one that the file does not have, and it is left
	KeyOverdue  KeyState = "overdue"           // the live key is older than its file allows
	KeyRejected KeyState = "rejected"          // a newer key is kept out
	KeyHeld     KeyState = "held"              // a newer key is due, and somebody must let it through
	KeyDue      KeyState = "due"               // a newer key should be live and is not yet
	KeyWatched  KeyState = "watched"
	KeyAgeing   KeyState = "ageing" // soon overdue, and no successor is there
	KeyNotKnown KeyState = "not known"
	KeyFine     KeyState = "fine"
)

// KeyStatus is one connection's keys as a run found them, or left them.
type KeyStatus struct {
	Connection   string        `json:"connection"` // production/strava
	Provider     string        `json:"provider"`
	State        KeyState      `json:"state"`
	Keys         int           `json:"keys"`             // in the file
	Live         int           `json:"live"`             // number of the live key, 1 is the oldest; 0: none of the file, or not known
	Issued       time.Time     `json:"issued,omitzero"`  // of the live key, as the file says
	AgeDays      *int          `json:"age_days"`         // of the live key; null when not known
	MaxAgeDays   int           `json:"max_age_days"`     // 0: keys do not age
	Due          int           `json:"due"`              // number of the key that should be live; 0: none
	Next         int           `json:"next"`             // number of the key that becomes due; 0: none
	NextAt       time.Time     `json:"next_at,omitzero"` // when it does, UTC
	WatchedSince time.Time     `json:"watched_since,omitzero"`
	WatchedUntil time.Time     `json:"watched_until,omitzero"`
	UsersBefore  *plan.Users   `json:"users_before"` // active end users before the watched key was set; null when not known
	UsersNow     *plan.Users   `json:"users_now"`    // in this run; null when not counted
	Rejected     []RejectedKey `json:"rejected"`
	Unneeded     []int         `json:"unneeded"` // numbers of keys that the file need not hold any more
	Do           string        `json:"do"`       // what a person does next; "" for nothing
}

// RejectedKey is a key of the file that must not be live.
type RejectedKey struct {
	Key    int       `json:"key"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Needs tells whether a person has to do something about the keys.
func (k KeyStatus) Needs() bool {
	return slices.Contains([]KeyState{KeyDead, KeyByHand, KeyOverdue, KeyRejected, KeyHeld, KeyAgeing}, k.State)
}

// Keys writes how the keys of all connections stand, for a person at a terminal:
// one table, and below a row what to do about it.
func Keys(w io.Writer, r Report, o TextOptions) error {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	t := &text{paint: painter(o.Color), width: max(o.Width, leastWidth)}
	problems, rows := 0, 0
	for _, e := range r.Environments {
		if e.Error != "" {
			t.paragraph("error: "+e.Name+": "+e.Error, red)
			problems++
		}
		rows += len(e.Keys)
	}
	if r.Error != "" {
		t.paragraph("error: "+r.Error, red)
		problems++
	}
	switch {
	case rows > 0:
		t.line(t.paint.bold(keyRow("CONNECTION", "LIVE", "AGE", "MAX", "DUE", "NEXT (UTC)", "WATCHED")))
	case problems == 0:
		t.line("No connection has keys of its own.")
	}
	for _, e := range r.Environments {
		for _, k := range e.Keys {
			t.keys(k, r.StartedAt)
		}
	}
	_, err := io.WriteString(w, t.out.String())
	return err
}

func keyRow(cells ...string) string {
	widths := []int{22, 6, 5, 5, 6, 18, 0}
	var b strings.Builder
	for i, cell := range cells {
		b.WriteString(cell)
		if room := widths[i] - columns(cell); i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(room, 0)+1))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func (t *text) keys(k KeyStatus, now time.Time) {
	age, limit, next, watched := "-", "-", "-", "-"
	if k.AgeDays != nil {
		age = fmt.Sprintf("%d d", *k.AgeDays)
	}
	if k.MaxAgeDays > 0 {
		limit = fmt.Sprintf("%d d", k.MaxAgeDays)
	}
	if k.Next > 0 {
		next = keyName(k.Next) + " " + comes(k.NextAt.UTC(), now)
	}
	if !k.WatchedUntil.IsZero() {
		watched = hours(now.Sub(k.WatchedSince)) + " of " + hours(k.WatchedUntil.Sub(k.WatchedSince))
	}
	live := keyName(k.Live)
	if k.Live == 0 {
		live = "?"
	}
	t.line(keyRow(clean(k.Connection), live, age, limit, keyName(k.Due), next, watched))
	words := string(k.State)
	if k.Do != "" {
		words += ": " + k.Do
	}
	if k.State == KeyFine && k.Do == "" {
		return
	}
	for _, line := range wrap(clean(words), t.width-2) {
		t.line("  " + t.paint.color(k.colour(), line))
	}
}

func (k KeyStatus) colour() colour {
	switch {
	case k.State == KeyDead || k.State == KeyOverdue:
		return red
	case k.Needs() || k.State == KeyDue:
		return yellow
	default:
		return plain
	}
}

func keyName(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("key %d", n)
}

// comes is when a key becomes due: the year where the day alone would not tell,
// else the time of day where it is not midnight.
func comes(at, now time.Time) string {
	if at.After(now.AddDate(0, 11, 0)) || at.Equal(at.Truncate(24*time.Hour)) {
		return at.Format(time.DateOnly)
	}
	return at.Format("2 Jan 15:04")
}

func hours(d time.Duration) string {
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%dm", max(0, int(d/time.Minute)))
	case d < 72*time.Hour:
		return fmt.Sprintf("%dh", int(d/time.Hour))
	default:
		return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
	}
}
