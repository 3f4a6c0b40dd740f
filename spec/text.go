package spec

import (
	"strconv"
	"strings"
	"unicode"
)

// printable returns s as it is when every character can be shown safely on a
// terminal, and quoted otherwise.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0 {
		return s
	}
	return strconv.Quote(s)
}
