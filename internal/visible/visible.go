package visible

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Hides reports whether a character could act on a terminal, turn the direction
// of a text, or not be seen: control and format characters, separators other than
// the space, what is ignored or blank by default, private and unassigned ones.
func Hides(r rune) bool {
	switch {
	case r == ' ':
		return false
	case !unicode.IsGraphic(r), unicode.Is(unicode.Z, r), r == '\u2800': // the blank pattern of Braille
		return true
	}
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r)
}

// Text gives text as one line that is safe to show: what hides stands as \uXXXX,
// bytes that are no UTF-8 as \xXX, and what a pipeline would take for a command has one
// of its signs written so.
func Text(s string) string {
	var out strings.Builder
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02X`, s[0])
		case Hides(r) && r > 0xFFFF:
			fmt.Fprintf(&out, `\U%08X`, r)
		case Hides(r):
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			out.WriteRune(r)
		}
		s = s[size:]
	}
	return withoutCommands(out.String())
}

var (
	// lineCommand is one of GitHub Actions, at the begin of a line, to which any word may come.
	lineCommand = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`::([A-Za-z][A-Za-z-]*(?: |::|$))`) })
	// markCommand is one of Azure Pipelines, TeamCity and GitHub Actions, wherever it stands.
	markCommand = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`##([A-Za-z]*\[)`) })
)

// withoutCommands gives a line in which no pipeline that reads what a program prints finds
// a command.
func withoutCommands(line string) string {
	for strings.Contains(line, "::") && lineCommand().MatchString(line) { // one may end where the next begins
		line = lineCommand().ReplaceAllString(line, `:\u003A$1`)
	}
	return WithoutMarks(line)
}

// WithoutMarks is what Text does of that where a text stands within a line, such as that of
// a JSON document.
func WithoutMarks(line string) string {
	if strings.Contains(line, "##") {
		line = markCommand().ReplaceAllString(line, `#\u0023$1`)
	}
	return line
}

// Lines is Text for text of several lines, which stay: for a message that is
// printed as it was written.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Text(line)
	}
	return strings.Join(lines, "\n")
}

// Plural is a number with its noun: "1 key", "2 keys".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
