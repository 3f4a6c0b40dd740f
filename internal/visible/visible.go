package visible

import (
	"fmt"
	"strings"
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
// bytes that are no UTF-8 as \xXX.
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
	return out.String()
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
