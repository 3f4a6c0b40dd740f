package spec

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// shortestInterval is the smallest distance of two runs by schedule.
const shortestInterval = time.Minute

// schedule reads a cron expression of five fields or a descriptor such as
// @hourly, with an optional CRON_TZ= in front.
func (o object) schedule(field string) Field[string] {
	f := o.text(field)
	if !f.Given() {
		return f
	}
	if zone, ok := scheduleZone(f.Value); ok && !isZone(zone) {
		o.errorf(f.Origin, "write it like `CRON_TZ=Europe/London 0 9 * * *`", "%s names an unknown time zone", o.name(field))
		return Field[string]{}
	}
	parsed, ok := parseSchedule(f.Value)
	if !ok {
		o.errorf(f.Origin, "write it like `*/15 * * * *`", "%s is not a cron expression of five fields", o.name(field))
		return Field[string]{}
	}
	if every, ok := parsed.(cron.ConstantDelaySchedule); ok && every.Delay < shortestInterval {
		o.errorf(f.Origin, "", "%s repeats within less than a minute", o.name(field))
		return Field[string]{}
	}
	// Any start serves: the library looks five years ahead, which always holds
	// a 29th of February in this century.
	if parsed.Next(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		o.errorf(f.Origin, "check the day and the month", "%s never fires", o.name(field))
		return Field[string]{}
	}
	return f
}

// scheduleZone returns the zone that an expression names.
func scheduleZone(expression string) (string, bool) {
	rest, ok := strings.CutPrefix(expression, "CRON_TZ=")
	if !ok {
		rest, ok = strings.CutPrefix(expression, "TZ=")
	}
	zone, _, _ := strings.Cut(rest, " ")
	return zone, ok
}

// parseSchedule turns the library's panics (a zone with nothing after it) into
// a plain no.
func parseSchedule(expression string) (parsed cron.Schedule, ok bool) {
	defer func() {
		if recover() != nil {
			parsed, ok = nil, false
		}
	}()
	parsed, err := cron.ParseStandard(expression)
	return parsed, err == nil
}
