package spec

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// printable returns s as it is when every character can be shown safely on a
// terminal, and quoted otherwise.
func printable(s string) string {
	if isShown(s, false) {
		return s
	}
	return visible.Text(strconv.Quote(s))
}

// isShown reports whether every character of s is visible or a plain space;
// lines says whether line breaks and tabs may stand in it too.
func isShown(s string, lines bool) bool {
	for _, r := range s {
		switch {
		case lines && (r == '\n' || r == '\t'):
		case visible.Hides(r) || r == unicode.ReplacementChar:
			return false
		}
	}
	return true
}

// quoted shows a value that a person wrote, unless it is too long or odd to
// help.
func quoted(s string) string {
	if s == "" || len(s) > 40 || strings.ContainsRune(s, '`') || !isShown(s, false) {
		return "this"
	}
	return "`" + s + "`"
}

// listed joins words for a message: "`a`, `b` or `c`".
func listed(words []string) string {
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

// didYouMean returns the hint that names the nearest of words, or "".
func didYouMean(word string, words []string) string {
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
	word = plainWord(word)
	if len(word) > 64 {
		return ""
	}
	for _, w := range words {
		d := edits(word, plainWord(w))
		if len(w) >= 3 && len(word) >= 3 && (strings.HasPrefix(word, w) || strings.HasPrefix(w, word)) {
			d = min(d, 1)
		}
		if d < distance && d <= max(1, max(len(word), len(w))/3) {
			best, distance = w, d
		}
	}
	return best
}

// plainWord folds what people mix up: case, and dashes for underscores.
func plainWord(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

// edits counts the insertions, deletions, replacements and swaps of two
// neighbours that turn a into b. It looks at the first 64 bytes.
func edits(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
