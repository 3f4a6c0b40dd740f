package daemon

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// look is how long a clock trusts a timer: timers go on by themselves when the
// clock on the wall is set, and stand still while a machine sleeps.
const look = time.Minute

// scheduleSpread is the part of the time until a schedule's next moment by which a run may
// be late.
const scheduleSpread = 10

// lateness is how late runs by a schedule begin, so that environments with one schedule do
// not all begin in the same second.
type lateness struct {
	most time.Duration
	part float64 // of that, from 0 to 1
}

// latenessOf is one environment's own: the same after each start.
func latenessOf(e Environment, most time.Duration) lateness {
	sum := sha256.Sum256([]byte(strings.Join([]string{e.Account, e.DevID, e.Name}, "\x00")))
	return lateness{most: most, part: float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)}
}

// within is how late a run is that has so much time until the next one.
func (l lateness) within(interval time.Duration) time.Duration {
	most := min(l.most, interval/scheduleSpread)
	return time.Duration(float64(most) * l.part).Truncate(time.Millisecond)
}

// timetable is when an environment runs, whatever happens.
type timetable struct {
	expression string
	late       lateness
}

// clock fires by a cron expression, in UTC unless it names a zone. Without one it
// never does.
type clock struct {
	schedule cron.Schedule
	late     lateness
	timer    *time.Timer
	now      func() time.Time // what the wall shows
	looked   time.Time        // when that was looked at last
	at       time.Time        // when a run is due next; zero: never
}

func newClock(now func() time.Time) *clock {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &clock{timer: t, now: now}
}

// set takes a new timetable; "" never fires. The expression was checked with
// the repository, so an error here keeps the environment on new commits only.
func (c *clock) set(t timetable) (err error) {
	expression := t.expression
	c.schedule, c.late, c.at = nil, t.late, time.Time{}
	c.timer.Stop()
	if expression == "" {
		return nil
	}
	defer func() {
		if p := recover(); p != nil { // the parser panics on some zones
			c.schedule, err = nil, fmt.Errorf("parse schedule %q", expression)
		}
	}()
	if c.schedule, err = cron.ParseStandard(expression); err != nil {
		c.schedule = nil
		return fmt.Errorf("parse schedule %q: %w", expression, err)
	}
	now := c.wall()
	if every, ok := c.schedule.(cron.ConstantDelaySchedule); ok { // which goes by its last moment, so late once is late for ever
		c.late, now = lateness{}, now.Add(t.late.within(every.Delay))
	}
	c.arm(now, true)
	return nil
}

// next is the first moment after now at which a run is due.
func (c *clock) next(now time.Time) time.Time {
	for at := c.schedule.Next(now.Add(-c.late.most)); !at.IsZero(); {
		following := c.schedule.Next(at)
		late := c.late.within(c.late.most * scheduleSpread)
		if !following.IsZero() {
			late = c.late.within(following.Sub(at))
		}
		if due := at.Add(late); due.After(now) {
			return due
		}
		at = following
	}
	return time.Time{}
}

// fires says that it is time to ask whether a run is due.
func (c *clock) fires() <-chan time.Time { return c.timer.C }

// due tells whether a run is due, and waits for the next one. Runs that were
// missed are one run.
func (c *clock) due() bool {
	now := c.wall()
	due := !c.at.IsZero() && !now.Before(c.at)
	c.arm(now, due || now.Before(c.looked))
	return due
}

// arm waits for the next moment, computed from now where the former has passed or
// the clock was set back.
func (c *clock) arm(now time.Time, again bool) {
	c.looked = now
	if again {
		c.at = c.next(now)
	}
	if !c.at.IsZero() {
		c.timer.Reset(min(c.at.Sub(now), look))
	}
}

// wall is the time without what a timer goes by.
func (c *clock) wall() time.Time { return c.now().UTC().Round(0) }

func (c *clock) stop() { c.timer.Stop() }

// alarm fires at a moment of the clock on the wall.
type alarm struct {
	timer *time.Timer
	now   func() time.Time
	at    time.Time // zero: never
}

func newAlarm(now func() time.Time) *alarm {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &alarm{timer: t, now: now}
}

// set waits for a moment; zero is never.
func (a *alarm) set(at time.Time) {
	a.timer.Stop()
	if a.at = at; !at.IsZero() {
		a.timer.Reset(min(at.Sub(a.now().Round(0)), look))
	}
}

// fires says that it is time to ask whether the moment has come.
func (a *alarm) fires() <-chan time.Time { return a.timer.C }

// due tells whether it has come, once; else it goes on waiting.
func (a *alarm) due() bool {
	if a.at.IsZero() || a.now().Round(0).Before(a.at) {
		a.set(a.at)
		return false
	}
	a.set(time.Time{})
	return true
}

func (a *alarm) stop() { a.timer.Stop() }

const (
	firstAgain = time.Minute
	lastAgain  = time.Hour
)

// again is when a run that failed is tried once more, whatever its schedule says:
// soon at first, then after twice as long each time, until one has not failed.
type again struct {
	*alarm
	after time.Duration
}

// note takes how a run ended.
func (a *again) note(failed bool) {
	if !failed {
		a.after = 0
		a.set(time.Time{})
		return
	}
	a.after = max(firstAgain, min(2*a.after, lastAgain))
	a.set(a.now().Round(0).Add(a.after))
}

// soon is for a run that was ended early, which says nothing about whether the next fails.
func (a *again) soon() { a.set(a.now().Round(0).Add(firstAgain)) }

// first is the earliest of moments that come.
func first(moments ...Moment) (next Moment) {
	for _, m := range moments {
		if !m.At.IsZero() && (next.At.IsZero() || m.At.Before(next.At)) {
			next = m
		}
	}
	return next
}
