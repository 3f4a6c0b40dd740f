package yamlpos

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// Origin is where a value stands in the configuration repository.
type Origin struct {
	File         string // slash-separated path below the root of what is read
	Line, Column int    // 1-based; columns count characters; 0 means the file as a whole
}

// String returns "file:line:column", or only what is known of it; without a
// file "line:column".
func (o Origin) String() string {
	file := Printable(o.File)
	if file == "" && o.Line > 0 {
		return fmt.Sprintf("%d:%d", o.Line, o.Column)
	}
	switch {
	case o.Line == 0:
		return file
	case o.Column == 0:
		return fmt.Sprintf("%s:%d", file, o.Line)
	}
	return fmt.Sprintf("%s:%d:%d", file, o.Line, o.Column)
}

// Presence says how a field stands in its file.
type Presence int

// The three ways in which a field can stand in a file.
const (
	Omitted Presence = iota // not written: not managed
	Null                    // written as null: back to Terra's default
	Given                   // written with a value
)

// Field is a value that may be omitted, null or given. Value is the zero value
// unless the field is given; Origin is zero when it is omitted.
type Field[T any] struct {
	Presence Presence
	Value    T
	Origin   Origin
}

// Or returns the value of a given field and otherwise the default.
func (f Field[T]) Or(value T) T {
	if f.Given() {
		return f.Value
	}
	return value
}

// Given reports whether the field holds a value.
func (f Field[T]) Given() bool { return f.Presence == Given }

// Null reports whether the field was written as null.
func (f Field[T]) Null() bool { return f.Presence == Null }

// Problem is one thing wrong in one place.
type Problem struct {
	Origin  Origin
	Message string
	Hint    string // the next step; "" where the message says it
}

// String returns "file:line:column: message", then ", " and the hint if there is one.
func (p Problem) String() string {
	text := p.Message
	if at := p.Origin.String(); at != "" {
		text = at + ": " + text
	}
	if p.Hint != "" {
		text += ", " + p.Hint
	}
	return text
}

// day is the length of the d unit.
const day = 24 * time.Hour

// ShowSpan writes a length of time in its largest unit: days, hours, minutes or seconds.
func ShowSpan(d time.Duration) string {
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

// Printable returns s as it is when every character can be shown safely on a
// terminal, and Quoted otherwise.
func Printable(s string) string {
	if IsShown(s, false) {
		return s
	}
	return visible.Text(strconv.Quote(s))
}

// IsShown reports whether every character of s is visible or a plain space;
// lines says whether line breaks and tabs may stand in it too.
func IsShown(s string, lines bool) bool {
	for _, r := range s {
		switch {
		case lines && (r == '\n' || r == '\t'):
		case visible.Hides(r) || r == unicode.ReplacementChar:
			return false
		}
	}
	return true
}

// Key is [visible.Key], for those who read values that are not YAML beside it.
func Key(text string) string { return visible.Key(text) }

// Quoted shows a value that a person wrote, unless it is too long or odd to
// help.
func Quoted(s string) string {
	if s == "" || len(s) > 40 || strings.ContainsRune(s, '`') || !IsShown(s, false) || visible.Key(s) != "" {
		return "this"
	}
	return "`" + s + "`"
}

// IsPlaceholder knows what examples write where a value of one's own belongs, such as
// `age1…`, <your-id>, YOUR_DEV_ID, ${DEV_ID}, $DEV_ID and TODO, and what stands in the
// place of one that is not shown: REDACTED, xxxx1234.
func IsPlaceholder(s string) bool {
	word := PlainWord(strings.Trim(s, ". "))
	switch {
	case word == "":
		return strings.Contains(s, "...")
	case slices.Contains(placeholders(), word):
		return true
	}
	around := func(begin, end string) bool { return strings.HasPrefix(s, begin) && strings.HasSuffix(s, end) }
	return s == "DEV_ID" || s == "CLIENT_ID" || strings.Contains(s, "…") || strings.HasSuffix(s, "...") || around("<", ">") || around("${", "}") || around("{{", "}}") ||
		strings.HasPrefix(word, "your_") || len(word) > 2 && strings.Trim(word, "x") == "" || isVariable(s) ||
		strings.HasPrefix(word, "xxxx") && utf8.RuneCountInString(strings.TrimLeft(word, "x")) <= 4
}

// placeholders are words that stand where a value of one's own belongs.
func placeholders() []string {
	return []string{"todo", "fixme", "tbd", "changeme", "change_me", "replaceme", "replace_me", "redacted"}
}

// isVariable reports the name of a variable as shells read it: $DEV_ID.
func isVariable(s string) bool {
	name, dollar := strings.CutPrefix(s, "$")
	other := func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9') }
	return dollar && name != "" && !strings.ContainsFunc(name, other)
}

// Listed joins words for a message: "`a`, `b` or `c`".
func Listed(words []string) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString("`" + w + "`")
	}
	return b.String()
}

// DidYouMean returns the hint that names the nearest of words, or "".
func DidYouMean(word string, words []string) string {
	if near := Nearest(word, words); near != "" {
		return "did you mean `" + near + "`?"
	}
	return ""
}

// Nearest returns the one of words that a person most likely meant, or "" when
// none is close: at most one edit in three characters, or one is the beginning
// of the other. Of equals the first wins.
func Nearest(word string, words []string) string {
	best, distance := "", len(word)+1
	word = PlainWord(word)
	if len(word) > 64 {
		return ""
	}
	for _, w := range words {
		far := max(1, max(len(word), len(w))/3)
		d := max(len(word), len(w)) - min(len(word), len(w)) // never less
		if d <= far {
			d = Edits(word, PlainWord(w))
		}
		if len(w) >= 3 && len(word) >= 3 && (strings.HasPrefix(word, w) || strings.HasPrefix(w, word)) {
			d = min(d, 1)
		}
		if d < distance && d <= far {
			best, distance = w, d
		}
	}
	return best
}

// PlainWord folds what people mix up: case, and dashes for underscores.
func PlainWord(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

// Edits counts the insertions, deletions, replacements and swaps of two
// neighbours that turn a into b. It looks at the first 64 bytes.
func Edits(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	var before, last, row [65]int
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1) //nolint:gosec // j is above 1
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
