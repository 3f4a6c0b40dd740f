package report

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// clean makes text of a repository or a server safe to print on one line.
func clean(s string) string { return visible.Text(s) }

func escapedUTF16(r rune) string {
	if r <= 0xFFFF {
		return fmt.Sprintf(`\u%04x`, r)
	}
	high, low := utf16.EncodeRune(r)
	return fmt.Sprintf(`\u%04x\u%04x`, high, low)
}

// columns is the room that a clean text takes on a terminal.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r):
		return 0
	case r >= 0x1100 && (unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) ||
		r >= 0x3000 && r <= 0x303E || r >= 0xFF01 && r <= 0xFF60 || r >= 0x1F300 && r <= 0x1FAFF):
		return 2
	}
	return 1
}

// middle shortens a clean text to a number of columns by leaving out its middle:
// both ends of an address or a name tell more than one.
func middle(s string, room int) string {
	if columns(s) <= room {
		return s
	}
	runes := []rune(s)
	head, used := 0, 1
	for used+columnsOf(runes[head]) <= (room+1)/2 {
		used += columnsOf(runes[head])
		head++
	}
	tail := len(runes)
	for tail > head && used+columnsOf(runes[tail-1]) <= room {
		tail--
		used += columnsOf(runes[tail])
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// wrap breaks a clean text into lines of at most room columns, at spaces where
// it can. A command or a hash is not broken, and may be longer: whoever copies it
// needs it whole.
func wrap(s string, room int) []string {
	var all []string
	for _, word := range words(s, room) {
		all = append(all, pieces(word, room)...)
	}
	return fill(all, room)
}

// fill puts words into lines.
func fill(words []string, room int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range words {
		n := columns(word)
		if line != "" && used+1+n <= room {
			line, used = line+" "+word, used+1+n
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		line, used = word, n
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// longestCommand is the most columns that a line takes for a command's sake.
const longestCommand = 400

// words parts a text at white space. What stands in backticks is one word with what
// touches it, if that fits a line or is a command.
func words(s string, room int) []string {
	var out []string
	var quoted []string // begun, and not ended yet
	for _, word := range strings.Fields(s) {
		marks := strings.Count(word, "`") % 2
		if len(quoted) == 0 && marks == 0 {
			out = append(out, word)
			continue
		}
		quoted = append(quoted, word)
		if len(quoted) == 1 || marks == 0 {
			continue
		}
		whole := strings.Join(quoted, " ")
		if columns(whole) <= room || strings.Contains(whole, commandBegins) {
			quoted = []string{whole}
		}
		out, quoted = append(out, quoted...), nil
	}
	return append(out, quoted...) // it never ended
}

const commandBegins = "`reconcile "

// wholeHash is a hash with what may touch it.
var wholeHash = regexp.MustCompile(`^\W{0,2}sha256:[0-9a-f]{64}\W{0,2}$`)

// pieces cuts a word that is too long for a line.
func pieces(word string, room int) []string {
	n := columns(word)
	if n <= room || n <= longestCommand && strings.Contains(word, commandBegins) || wholeHash.MatchString(word) {
		return []string{word}
	}
	var out []string
	piece, used := "", 0
	for _, r := range word {
		n := columnsOf(r)
		if used+n > room {
			out, piece, used = append(out, piece), "", 0
		}
		piece, used = piece+string(r), used+n
	}
	return append(out, piece)
}

// Indent is how far to the right a line begins that is to stand beside a label of
// at columns: less where it is too long for that, so that it fits the width.
func Indent(line string, at, width int) int { return max(2, min(at, width-columns(line))) }

// Lines gives text of anybody as lines that are safe to print on a terminal. Each
// has at most room columns; only a command in backticks or a hash may have more, for
// it is not broken.
func Lines(text string, room int) []string { return wrap(clean(text), room) }

// Folded is Lines for text that nothing stands beside: no word is cut, nor what stands
// in backticks, so that a path, an address or a command can be copied whole.
func Folded(text string, room int) []string {
	const whole = 1 << 20
	return fill(words(clean(text), whole), room)
}
