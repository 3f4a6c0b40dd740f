package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// The words of positions and fields are those of yamlpos.
type (
	// Origin is where a value stands in the configuration repository.
	Origin = yamlpos.Origin
	// Presence says how a field stands in its file.
	Presence = yamlpos.Presence
	// Field is a value that may be omitted, null or given.
	Field[T any] = yamlpos.Field[T]
)

// The three ways in which a field can stand in a file.
const (
	Omitted = yamlpos.Omitted // not written: not managed
	Null    = yamlpos.Null    // written as null: back to Terra's default
	Given   = yamlpos.Given   // written with a value
)

// Nearest returns the one of words that a person most likely meant, or "" when
// none is close: at most one edit in three characters, or one is the beginning
// of the other. Of equals the first wins.
func Nearest(word string, words []string) string { return yamlpos.Nearest(word, words) }

// parse reads one file; the only tag is that of sealed text.
func parse(file string, src []byte, exact bool) (*yamlpos.Node, []yamlpos.Problem) {
	return yamlpos.Parse(src, yamlpos.Options{File: file, Tag: ageTag, Exact: exact})
}

// ageTag marks a sealed scalar.
const ageTag = "!age"

// sink collects the problems of one environment, or of the whole commit.
type sink struct {
	environment string
	problems    []Problem
}

// Report takes an error; it makes the sink a yamlpos.Reporter.
func (s *sink) Report(p yamlpos.Problem) { s.add(Error, p.Origin, p.Hint, p.Message) }

// typed adds to the hint of the last problem what to type for it.
func (s *sink) typed(command ...string) {
	s.problems[len(s.problems)-1].Command = strings.Join(command, " ")
}

func (s *sink) errorf(at Origin, hint, format string, args ...any) {
	s.add(Error, at, hint, fmt.Sprintf(format, args...))
}

func (s *sink) warnf(at Origin, hint, format string, args ...any) {
	s.add(Warning, at, hint, fmt.Sprintf(format, args...))
}

func (s *sink) add(severity Severity, at Origin, hint, message string) {
	s.problems = append(s.problems, Problem{
		Severity: severity, Environment: s.environment, Origin: at, Message: message, Hint: hint,
	})
}

// take adds problems of a file's form.
func (s *sink) take(problems []yamlpos.Problem) {
	for _, p := range problems {
		s.Report(p)
	}
}

// failed reports whether there is an error among the problems.
func (s *sink) failed() bool {
	return slices.ContainsFunc(s.problems, func(p Problem) bool { return p.Severity == Error })
}

// object is a mapping that is being read, with the fields that only these files have.
type object struct {
	yamlpos.Object
	*sink
}

// open checks that the root of a file is a mapping whose fields are all known.
func (s *sink) open(n *yamlpos.Node, fields yamlpos.Fields) (object, bool) {
	o, ok := yamlpos.Open(s, n, yamlpos.Schema{Fields: fields, Secret: "credentials"})
	return object{o, s}, ok
}

// object opens the mapping under a field.
func (o object) object(field string) (object, bool) {
	inner, ok := o.Object.Object(field)
	return object{inner, o.sink}, ok
}

// objects opens every mapping of the list under a field.
func (o object) objects(field string) []object {
	var list []object
	for _, one := range o.Objects(field) {
		list = append(list, object{one, o.sink})
	}
	return list
}

// isBounded refuses a list with more entries than are declared, at the first that is too
// many: at the list itself where that one comes from another file.
func (o object) isBounded(field, hint string) bool {
	n, most := o.Get(field), o.Declared(field).Most
	if n == nil || n.Kind != yamlpos.List || most == 0 || len(n.Items) <= most {
		return true
	}
	at, from := n.Items[most].Origin, ""
	switch other := at.File; {
	case other == n.Origin.File:
	case IsRoot(other):
		at, from = n.Origin, " with those of defaults"
	default:
		at, from = n.Origin, " with those of "+yamlpos.Printable(other)
	}
	o.errorf(at, hint, "%s has %d entries%s; it may have %d", o.Name(field), len(n.Items), from, most)
	return false
}

// nullable reads a field for which null has a meaning of its own.
func nullable[T any](o object, field string, read func(string) Field[T]) Field[T] {
	return yamlpos.Nullable(o.Object, field, read)
}

var (
	spanPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?$`)
	})
	datePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`) })
	timePattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})$`)
	})
	clockPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`) })
)

// day is the length of the d unit.
const day = 24 * time.Hour

// The years a moment may lie in. Beyond 9999 no report could be written, and what is
// added to a moment must not lead there.
const (
	firstYear = 1970
	lastYear  = 2999
)

// prose reads a short text of any number of lines, which are joined.
func (o object) prose(field string) Field[string] {
	n := o.Scalar(field, "a text")
	if n == nil {
		return Field[string]{}
	}
	joined := strings.Join(strings.Fields(n.Text), " ")
	if joined == "" {
		o.errorf(n.Origin, "write why", "%s is empty", o.Name(field))
		return Field[string]{}
	}
	if yamlpos.IsPlaceholder(joined) && !strings.Contains(joined, " ") {
		o.errorf(n.Origin, "write why", "%s is a placeholder, %s", o.Name(field), yamlpos.Quoted(joined))
		return Field[string]{}
	}
	if !o.isShort(joined, n.Origin, field) {
		return Field[string]{}
	}
	return Field[string]{Presence: Given, Value: joined, Origin: n.Origin}
}

// longestProse is how many characters a text may have that is for people alone.
const longestProse = 200

// isShort refuses a text for people that others could not be read beside.
func (o object) isShort(text string, at Origin, field string) bool {
	n := utf8.RuneCountInString(text)
	if n > longestProse {
		o.errorf(at, "write it in one line, and what else there is to say elsewhere", "%s has %d characters; it may have %d", o.Name(field), n, longestProse)
	}
	return n <= longestProse
}

// note reads a short text of one line.
func (o object) note(field string) Field[string] {
	f := o.Text(field)
	if f.Given() && !o.isShort(f.Value, f.Origin, field) {
		return Field[string]{}
	}
	return f
}

// matching reads a text that the declared pattern must match.
func (o object) matching(field string) Field[string] {
	f, d := o.Text(field), o.Declared(field)
	if f.Given() && !d.Pattern().MatchString(f.Value) {
		o.errorf(f.Origin, d.Says, "%s is not valid", o.Name(field))
		return Field[string]{}
	}
	return f
}

// span reads a length of time within the declared bounds, such as 90d or 1h30m.
func (o object) span(field string) Field[time.Duration] {
	low, high := o.Declared(field).Shortest, o.Declared(field).Longest
	n := o.Scalar(field, "a length of time")
	if n == nil {
		return Field[time.Duration]{}
	}
	value, ok := parseSpan(n.Text)
	switch {
	case !ok:
		o.errorf(n.Origin, "write it like `90d`, `24h` or `15m`", "%s must be a length of time with units", o.Name(field))
	case value < low || value > high:
		o.errorf(n.Origin, "", "%s must lie between %s and %s", o.Name(field), yamlpos.ShowSpan(low), yamlpos.ShowSpan(high))
	default:
		return Field[time.Duration]{Presence: Given, Value: value, Origin: n.Origin}
	}
	return Field[time.Duration]{}
}

func parseSpan(text string) (time.Duration, bool) {
	parts := spanPattern().FindStringSubmatch(text)
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
	case datePattern().MatchString(text):
		value, err = time.Parse(time.DateOnly, text)
	case timePattern().MatchString(text):
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
	n := o.Scalar(field, "a date")
	if n == nil {
		return Field[time.Time]{}
	}
	value, err := ParseMoment(n.Text)
	switch {
	case o.IsPlaceholder(n, o.Name(field)):
	case errors.Is(err, errNotDate):
		o.errorf(n.Origin, "write it like `2026-12-01` (00:00 UTC) or `2026-12-01T14:30:00Z`", "%s must be a date", o.Name(field))
	case errors.Is(err, errNoDay):
		o.errorf(n.Origin, "", "%s is not a day of the calendar", o.Name(field))
	case err != nil:
		o.errorf(n.Origin, "", "%s must lie in the years %d to %d", o.Name(field), firstYear, lastYear)
	default:
		return Field[time.Time]{Presence: Given, Value: value, Origin: n.Origin}
	}
	return Field[time.Time]{}
}

// clock reads a time of day such as 02:00.
func (o object) clock(field string) Field[TimeOfDay] {
	n := o.Scalar(field, "a time of day")
	if n == nil {
		return Field[TimeOfDay]{}
	}
	parts := clockPattern().FindStringSubmatch(n.Text)
	if parts == nil {
		o.errorf(n.Origin, "write it like `\"02:00\"`, from 00:00 to 23:59", "%s must be a time of day", o.Name(field))
		return Field[TimeOfDay]{}
	}
	hours, _ := strconv.Atoi(parts[1])
	minutes, _ := strconv.Atoi(parts[2])
	return Field[TimeOfDay]{Presence: Given, Value: TimeOfDay(hours*60 + minutes), Origin: n.Origin}
}

// values strips the positions off a list.
func values(list []Field[string]) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.Value)
	}
	return out
}
