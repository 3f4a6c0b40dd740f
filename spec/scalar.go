package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	wholeNumber  = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)
	spanPattern  = regexp.MustCompile(`^(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?$`)
	datePattern  = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	timePattern  = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})$`)
	clockPattern = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`)
)

// day is the length of the d unit.
const day = 24 * time.Hour

// The years a moment may lie in. Beyond 9999 no report could be written, and what is
// added to a moment must not lead there.
const (
	firstYear = 1970
	lastYear  = 2999
)

// scalar returns the node of a field that must be an unsealed scalar.
func (o object) scalar(field, want string) *node {
	n := o.get(field)
	if n == nil || !o.isScalar(n, o.name(field), want) {
		return nil
	}
	return n
}

// isScalar reports what keeps n from being an unsealed scalar, unless it was reported.
func (s *sink) isScalar(n *node, name, want string) bool {
	switch {
	case n.bad:
	case n.age:
		s.errorf(n.origin, "write it in the clear", "%s is not a secret field", name)
	case n.kind != scalarNode:
		s.errorf(n.origin, "", "%s must be %s", name, want)
	case n.null:
		s.errorf(n.origin, "remove the line to leave it out", "%s cannot be null", name)
	case n.empty:
		s.errorf(n.origin, "write a value, or remove the line", "%s is empty", name)
	default:
		return true
	}
	return false
}

// text reads one line of text. A number without quotes is taken as it is
// written: 0123 stays 0123.
func (o object) text(field string) Field[string] {
	n := o.scalar(field, "a text")
	if n == nil {
		return Field[string]{}
	}
	return o.line(n, o.name(field))
}

func (s *sink) line(n *node, name string) Field[string] {
	switch {
	case n.plain && (n.text == "true" || n.text == "false"):
		s.errorf(n.origin, "put it in quotes", "%s must be a text", name)
	case strings.ContainsAny(n.text, "\n\t"):
		s.errorf(n.origin, "", "%s must be one line without tabs", name)
	case n.text == "":
		s.errorf(n.origin, "write a value, or remove the line", "%s is empty", name)
	case strings.TrimSpace(n.text) != n.text:
		s.errorf(n.origin, "remove it", "%s begins or ends with a space", name)
	default:
		return Field[string]{Presence: Given, Value: n.text, Origin: n.origin}
	}
	return Field[string]{}
}

// prose reads a text of any number of lines, which are joined.
func (o object) prose(field string) Field[string] {
	n := o.scalar(field, "a text")
	if n == nil {
		return Field[string]{}
	}
	joined := strings.Join(strings.Fields(n.text), " ")
	if joined == "" {
		o.errorf(n.origin, "write why", "%s is empty", o.name(field))
		return Field[string]{}
	}
	return Field[string]{Presence: Given, Value: joined, Origin: n.origin}
}

// matching reads a text that a pattern must match; what says which texts do.
func (o object) matching(field string, pattern *regexp.Regexp, what string) Field[string] {
	f := o.text(field)
	if f.Given() && !pattern.MatchString(f.Value) {
		o.errorf(f.Origin, what, "%s is not valid", o.name(field))
		return Field[string]{}
	}
	return f
}

// word reads one of a few words.
func (o object) word(field string, allowed ...string) Field[string] {
	n := o.scalar(field, "one of "+listed(allowed))
	if n == nil {
		return Field[string]{}
	}
	if !slices.Contains(allowed, n.text) {
		o.errorf(n.origin, didYouMean(n.text, allowed), "%s must be %s, not %s", o.name(field), listed(allowed), quoted(n.text))
		return Field[string]{}
	}
	return Field[string]{Presence: Given, Value: n.text, Origin: n.origin}
}

// boolean reads true or false and nothing that resembles them.
func (o object) boolean(field string) Field[bool] {
	n := o.scalar(field, "`true` or `false`")
	if n == nil {
		return Field[bool]{}
	}
	if !n.plain || n.text != "true" && n.text != "false" {
		o.errorf(n.origin, "", "%s must be `true` or `false`, without quotes", o.name(field))
		return Field[bool]{}
	}
	return Field[bool]{Presence: Given, Value: n.text == "true", Origin: n.origin}
}

// number reads a decimal whole number from low to high.
func (o object) number(field string, low, high int) Field[int] {
	n := o.scalar(field, "a whole number")
	if n == nil {
		return Field[int]{}
	}
	value, err := strconv.Atoi(n.text)
	if !n.plain || !wholeNumber.MatchString(n.text) || err != nil || value < low || value > high {
		o.errorf(n.origin, "", "%s must be a whole number from %d to %d, in plain digits", o.name(field), low, high)
		return Field[int]{}
	}
	return Field[int]{Presence: Given, Value: value, Origin: n.origin}
}

// span reads a length of time from low to high, such as 90d or 1h30m.
func (o object) span(field string, low, high time.Duration) Field[time.Duration] {
	n := o.scalar(field, "a length of time")
	if n == nil {
		return Field[time.Duration]{}
	}
	value, ok := parseSpan(n.text)
	switch {
	case !ok:
		o.errorf(n.origin, "write it like `90d`, `24h` or `15m`", "%s must be a length of time with units", o.name(field))
	case value < low || value > high:
		o.errorf(n.origin, "", "%s must lie between %s and %s", o.name(field), showSpan(low), showSpan(high))
	default:
		return Field[time.Duration]{Presence: Given, Value: value, Origin: n.origin}
	}
	return Field[time.Duration]{}
}

func parseSpan(text string) (time.Duration, bool) {
	parts := spanPattern.FindStringSubmatch(text)
	if parts == nil || text == "" {
		return 0, false
	}
	var total time.Duration
	for i, unit := range [...]time.Duration{day, time.Hour, time.Minute, time.Second} {
		if parts[i+1] == "" {
			continue
		}
		count, err := strconv.Atoi(parts[i+1])
		if err != nil {
			return 0, false
		}
		total += time.Duration(count) * unit
	}
	return total, true
}

func showSpan(d time.Duration) string {
	switch {
	case d > 0 && d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	case d > 0 && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d > 0 && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}

var (
	errNotDate = errors.New("must be a date")
	errNoDay   = errors.New("is not a day of the calendar")
	errYears   = fmt.Errorf("must lie in the years %d to %d", firstYear, lastYear)
)

// ParseMoment reads a moment as a file holds it: a date, which is 00:00 UTC of that
// day, or a time to the second with its zone. The result is in UTC. The error says
// what is wrong and does not repeat the text.
func ParseMoment(text string) (time.Time, error) {
	var value time.Time
	var err error
	switch {
	case datePattern.MatchString(text):
		value, err = time.Parse(time.DateOnly, text)
	case timePattern.MatchString(text):
		value, err = time.Parse(time.RFC3339, text)
	default:
		return time.Time{}, errNotDate
	}
	switch value = value.UTC(); {
	case err != nil:
		return time.Time{}, errNoDay
	case value.Year() < firstYear || value.Year() > lastYear:
		return time.Time{}, errYears
	}
	return value, nil
}

// moment reads what [ParseMoment] does.
func (o object) moment(field string) Field[time.Time] {
	n := o.scalar(field, "a date")
	if n == nil {
		return Field[time.Time]{}
	}
	value, err := ParseMoment(n.text)
	switch {
	case errors.Is(err, errNotDate):
		o.errorf(n.origin, "write it like `2026-12-01` (00:00 UTC) or `2026-12-01T14:30:00Z`", "%s must be a date", o.name(field))
	case errors.Is(err, errNoDay):
		o.errorf(n.origin, "", "%s is not a day of the calendar", o.name(field))
	case err != nil:
		o.errorf(n.origin, "", "%s must lie in the years %d to %d", o.name(field), firstYear, lastYear)
	default:
		return Field[time.Time]{Presence: Given, Value: value, Origin: n.origin}
	}
	return Field[time.Time]{}
}

// clock reads a time of day such as 02:00.
func (o object) clock(field string) Field[TimeOfDay] {
	n := o.scalar(field, "a time of day")
	if n == nil {
		return Field[TimeOfDay]{}
	}
	parts := clockPattern.FindStringSubmatch(n.text)
	if parts == nil {
		o.errorf(n.origin, "write it like `\"02:00\"`, from 00:00 to 23:59", "%s must be a time of day", o.name(field))
		return Field[TimeOfDay]{}
	}
	hours, _ := strconv.Atoi(parts[1])
	minutes, _ := strconv.Atoi(parts[2])
	return Field[TimeOfDay]{Presence: Given, Value: TimeOfDay(hours*60 + minutes), Origin: n.origin}
}

// texts reads a list of texts without repetitions. Each comes as a field, so
// that it can be blamed on its own.
func (o object) texts(field string) Field[[]Field[string]] {
	n := o.get(field)
	if n == nil {
		return Field[[]Field[string]]{}
	}
	name := o.name(field)
	if n.kind != listNode {
		o.errorf(n.origin, "write it like `[a, b]`", "%s must be a list", name)
		return Field[[]Field[string]]{}
	}
	list := Field[[]Field[string]]{Presence: Given, Origin: n.origin}
	seen := map[string]bool{}
	for _, item := range n.items {
		if !o.isScalar(item, "an entry of "+name, "a text") {
			continue
		}
		f := o.line(item, "an entry of "+name)
		switch {
		case !f.Given():
		case seen[f.Value]:
			o.errorf(f.Origin, "keep one", "%s stands twice in %s", quoted(f.Value), name)
		default:
			seen[f.Value] = true
			list.Value = append(list.Value, f)
		}
	}
	return list
}

// values strips the positions off a list.
func values(list []Field[string]) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.Value)
	}
	return out
}
