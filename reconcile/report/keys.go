package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
)

// Keys writes how the keys of all connections stand, for a person at a terminal:
// one table, and below a row what to do about it.
func Keys(w io.Writer, r Report, o TextOptions) error {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	o.Width = max(o.Width, leastWidth)
	t := &text{paint: painter(o.Color), o: o}
	problems, rows := 0, 0
	for _, e := range r.Environments {
		if e.Error != "" {
			t.problem(0, e.Name+": "+e.Error)
			problems++
		}
		rows += len(e.Keys)
	}
	if r.Error != "" {
		t.problem(0, r.Error)
		problems++
	}
	switch {
	case rows > 0:
		t.line(t.paint.bold(keyRow("CONNECTION", "LIVE", "AGE", "MAX", "DUE", "NEXT (UTC)", "SOAK")))
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

func (t *text) keys(k keys.Status, now time.Time) {
	age, limit, next, soak := "-", "-", "-", "-"
	if k.AgeDays != nil {
		age = fmt.Sprintf("%d d", *k.AgeDays)
	}
	if k.MaxAgeDays > 0 {
		limit = fmt.Sprintf("%d d", k.MaxAgeDays)
	}
	if k.Next > 0 {
		next = keyName(k.Next) + " " + comes(k.NextAt.UTC(), now)
	}
	if !k.SoakEndsAt.IsZero() {
		soak = hours(now.Sub(k.SoakStartedAt)) + " of " + hours(k.SoakEndsAt.Sub(k.SoakStartedAt))
	}
	live := keyName(k.Live)
	if k.Live == 0 {
		live = "?"
	}
	t.line(keyRow(clean(k.Connection), live, age, limit, keyName(k.Due), next, soak))
	words := k.Words()
	if k.Text != "" {
		words += ": " + k.Text
	}
	if k.State != keys.OK || k.Text != "" {
		for _, line := range wrap(clean(words), t.o.Width-2) {
			t.line("  " + t.paint.color(keyColour(k), line))
		}
	}
	for _, n := range k.Remediations {
		t.step("  ", 2, stepOf(n.Text, n), false)
	}
}

func keyColour(k keys.Status) colour {
	switch {
	case k.State == keys.LiveRejected || k.State == keys.Overdue:
		return red
	case k.Needs() || k.State == keys.Due:
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
