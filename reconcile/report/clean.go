package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// hides reports whether a rune could act on a terminal, turn the direction of a
// text, or not be seen at all: control and format characters, separators other
// than the space, private and unassigned ones.
func hides(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r) || r != ' ' && unicode.Is(unicode.Z, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) ||
		unicode.Is(unicode.Variation_Selector, r)
}

// clean makes text of a repository or a server safe to print on one line: what
// hides stands as \uXXXX, bytes that are no UTF-8 as \xXX.
func clean(s string) string {
	var out strings.Builder
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02X`, s[0])
		case hides(r) && r > 0xFFFF:
			fmt.Fprintf(&out, `\U%08X`, r)
		case hides(r):
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			out.WriteRune(r)
		}
		s = s[size:]
	}
	return out.String()
}

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
// it can.
func wrap(s string, room int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(s) {
		for _, piece := range pieces(word, room) {
			n := columns(piece)
			if line != "" && used+1+n <= room {
				line, used = line+" "+piece, used+1+n
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			line, used = piece, n
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// pieces cuts a word that is too long for a line.
func pieces(word string, room int) []string {
	if columns(word) <= room {
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

// Lines gives text of anybody as lines of at most room columns that are safe to
// print on a terminal.
func Lines(text string, room int) []string { return wrap(clean(text), room) }
