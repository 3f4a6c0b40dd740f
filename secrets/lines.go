package secrets

import "strings"

// window is how much of a long text is searched at a time, and overlap how much of that
// again with what follows.
const window, overlap = 12 << 10, 4 << 10

// RepeatsInLines is RepeatsMost for the texts that are kept of an answer, each a line, in
// hardly any time and however long they are. A line that is only words is not unwrapped.
// public is asked for only where a text may repeat something.
func RepeatsInLines(text string, public func() string, open ...Value) bool {
	var suspects []Value
	shown := ""
	for _, v := range open {
		if shown == "" {
			shown = shownBy(text)
		}
		if isSuspect(v.Reveal(), shown) {
			suspects = append(suspects, v)
		}
	}
	if len(suspects) == 0 {
		return false
	}
	for known := public(); ; text = text[window-overlap:] {
		if len(text) <= window {
			return RepeatsMost(text, known, suspects...)
		}
		if RepeatsMost(text[:window], known, suspects...) {
			return true
		}
	}
}

// shownBy gives the letters and digits of a text and of what its lines may wrap.
func shownBy(text string) string {
	all := []string{plainCharacters(text)}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); IsWords(line) {
			continue
		}
		for _, t := range append(unwrapped(line, telling), unwrapped(backwards(line), telling)...) {
			all = append(all, plainCharacters(t))
		}
	}
	return strings.Join(all, "\n")
}

// IsWords tells a line that is no secret and wraps none: it holds fewer than three signs
// of one that does, digits, capitals within a word and what escapes begin with.
func IsWords(line string) bool {
	signs := 0
	for i := range len(line) {
		c := line[i]
		within := i > 0 && isAlphanumeric(line[i-1])
		if isDigit(c) || within && c >= 'A' && c <= 'Z' || strings.IndexByte(`%=\&+`, c) >= 0 {
			signs++
		}
	}
	return signs < 3 || len(line) < telling
}

// isSuspect is a cheap test whether what is shown can hold half of a secret: every such
// half holds one of its blocks.
func isSuspect(secret, shown string) bool {
	plain := plainCharacters(secret)
	if len(plain) < len(secret)*2/3 {
		return true
	}
	size := max(piece, len(secret)/6)
	for i := 0; i+size <= len(plain); i += size {
		if block := plain[i : i+size]; strings.Contains(shown, block) || strings.Contains(shown, backwards(block)) {
			return true
		}
	}
	return false
}
