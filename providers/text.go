package providers

import (
	"strings"
	"unicode/utf8"
)

// width is how wide texts for people may be. A single word that is longer, such
// as an address to paste, stays whole.
const width = 80

// wrap breaks text into lines of at most width characters, the first after
// first, the others after rest. The result ends with a line break.
func wrap(first, rest, text string) string {
	var b strings.Builder
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

// pad fills text with spaces up to n characters and adds one more.
func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(text))+1)
}
