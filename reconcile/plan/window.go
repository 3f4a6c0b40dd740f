package plan

import "time"

// open tells whether t falls into the window by the wall clock of its zone: in
// an hour that daylight saving repeats the window is open twice, in a skipped
// hour it is not open at all.
func (w Window) open(t time.Time) bool {
	local := t.In(w.Location)
	minute := local.Hour()*60 + local.Minute()
	if w.From < w.To {
		return w.on(local.Weekday()) && minute >= w.From && minute < w.To
	}
	yesterday := (local.Weekday() + 6) % 7
	return w.on(local.Weekday()) && minute >= w.From || w.on(yesterday) && minute < w.To
}

func (w Window) on(day time.Weekday) bool {
	for _, d := range w.Days {
		if d == day {
			return true
		}
	}
	return len(w.Days) == 0
}

// next is the first moment after t, at which the window is closed, at which it
// opens, within nine days. Between two changes of the clock the zone is a fixed
// offset; a change itself may jump into the window.
func (w Window) next(t time.Time) (time.Time, bool) {
	until := t.AddDate(0, 0, 9)
	for from := t.In(w.Location); from.Before(until); {
		_, end := from.ZoneBounds()
		name, offset := from.Zone()
		local := from.In(time.FixedZone(name, offset))
		for day := range 10 {
			at := time.Date(local.Year(), local.Month(), local.Day()+day, 0, w.From, 0, 0, local.Location()).In(w.Location)
			if at.After(t) && !at.Before(from) && (end.IsZero() || at.Before(end)) && w.open(at) {
				return at, true
			}
		}
		if end.IsZero() {
			break
		}
		if from = end.In(w.Location); w.open(from) {
			return from, true
		}
	}
	return time.Time{}, false
}

// openNow tells whether any window is open at t. No windows means always.
func openNow(windows []Window, t time.Time) bool {
	for _, w := range windows {
		if w.open(t) {
			return true
		}
	}
	return len(windows) == 0
}

// Opens is when the next window of an environment opens after t. It is false where
// none does within nine days.
func (e Environment) Opens(t time.Time) (time.Time, bool) { return nextOpening(e.Windows, t) }

// nextOpening is the earliest opening of all windows after t.
func nextOpening(windows []Window, t time.Time) (time.Time, bool) {
	var first time.Time
	for _, w := range windows {
		if at, ok := w.next(t); ok && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first, !first.IsZero()
}
