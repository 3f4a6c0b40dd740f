package secrets

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"html"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	// telling is how long a run of a secret must be to be one: what is shorter stands in
	// any text by chance. A secret that is itself shorter hides nothing: it would hide words.
	telling = 6
	// guessed is how long a run must be that nobody finds by trying, though the four
	// characters of a mask are known.
	guessed = 12
	// deep is how many times one form may be wrapped in another.
	deep = 2
	// costly is how long a text may be to be unwrapped at all, and listed how long an answer
	// that holds data.
	costly, listed = 64 << 10, 16 << 10
)

// Repeats reports whether text of a server gives away a run of at least six characters
// of an open secret: as it is, in other letters, reversed, with signs between its
// characters, or in a form from which it can be read back, wrapped in one another up to
// twice: percent and quoted-printable, \u, \x and octal escapes, character references,
// hex, lists of numbers, base32, base64, rot13. Who chose a part of the text learns from
// the answer about secrets: take out with [Openly.Without] first what was sent openly.
func Repeats(text string, open ...Value) bool {
	return repeats(text, deep, "", open, func(int) int { return telling })
}

// RepeatsLong is Repeats for a run that nobody finds by guessing, wherever it comes from:
// half of a secret and at least twelve characters. A shorter secret has none.
func RepeatsLong(text string, open ...Value) bool {
	return repeats(text, deep, "", open, func(size int) int { return max(guessed, size/2) })
}

// RepeatsMost is RepeatsLong for an answer that holds data: the whole of a secret below
// twelve characters counts too, and a run is unwrapped once; in an answer above 16 KiB,
// such as a list of users, not at all. What a secret shares with public, such as its
// client id, gives nothing away.
func RepeatsMost(text, public string, open ...Value) bool {
	depth := 1 // answers come by the thousand
	if len(text) > listed {
		depth = 0
	}
	return repeats(text, depth, public, open, func(size int) int { return min(size, max(guessed, size/2)) })
}

// repeats looks for runs of the length that least gives for the size of a secret.
func repeats(text string, most int, public string, open []Value, least func(size int) int) bool {
	known := runs{least: 64}
	for _, v := range open {
		secret := v.Reveal()
		known.add(secret, least, public)
		known.add(plainCharacters(secret), least, plainCharacters(public))
	}
	if known.of == nil {
		return false
	}
	if len(text) > costly {
		most = 0
	}
	level := []string{text, backwards(text)}
	for depth := 0; ; depth++ {
		for _, t := range level {
			if known.in(t) || known.in(plainCharacters(t)) {
				return true
			}
		}
		if depth == most {
			return false
		}
		var next []string
		for _, t := range level {
			next = append(next, unwrapped(t, known.least)...)
		}
		level = next
	}
}

// runs are all stretches of secrets, and of secrets read backwards.
type runs struct {
	of    map[int]map[string]struct{} // by their length in bytes
	least int                         // the shortest of these lengths
	// begins has a bit for each hash of the first four bytes of a stretch: nearly no
	// place of a text that has nothing to do with a secret has to be looked up.
	begins [1 << 10]uint64
}

func begin(s string) (word, bit uint32) {
	h := (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) * 2654435761 >> 16
	return h >> 6, h & 63
}

// add adds those of the length that least gives, but for what is public. A secret that
// is shorter, or not telling, has none.
func (r *runs) add(secret string, least func(size int) int, public string) {
	n := least(len(secret))
	if n > len(secret) || n < telling {
		return
	}
	r.least = min(r.least, n)
	if r.of == nil {
		r.of = map[int]map[string]struct{}{}
	}
	if r.of[n] == nil {
		r.of[n] = map[string]struct{}{}
	}
	for i := 0; i+n <= len(secret); i++ {
		run := secret[i : i+n]
		if strings.Contains(public, run) {
			continue
		}
		for _, run := range []string{run, backwards(run)} {
			r.of[n][run] = struct{}{}
			word, bit := begin(run)
			r.begins[word] |= 1 << bit
		}
	}
}

func (r *runs) in(text string) bool {
	for i := 0; i+r.least <= len(text); i++ {
		if word, bit := begin(text[i:]); r.begins[word]&(1<<bit) == 0 {
			continue
		}
		for n, all := range r.of {
			if i+n > len(text) {
				continue
			}
			if _, hit := all[text[i:i+n]]; hit {
				return true
			}
		}
	}
	return false
}

// plainCharacters are the letters and digits of a text, in small letters: what stands
// between them hides nothing.
func plainCharacters(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			if i += size; r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
				out = utf8.AppendRune(out, unicode.ToLower(r))
			}
			continue
		case c >= 'A' && c <= 'Z':
			out = append(out, c+'a'-'A')
		case isAlphanumeric(c):
			out = append(out, c)
		}
		i++
	}
	return string(out)
}

func backwards(s string) string {
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		size := 1
		if s[len(s)-1] >= utf8.RuneSelf {
			_, size = utf8.DecodeLastRuneInString(s)
		}
		out, s = append(out, s[len(s)-size:]...), s[:len(s)-size]
	}
	return string(out)
}

var (
	percent = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[%=][0-9A-Fa-f]{2}`) })
	escapes = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\\u\{?[0-9A-Fa-f]{2,6}\}?|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}|\\[0-7]{3}|[uU]\+[0-9A-Fa-f]{4}`)
	})
)

// unwrapped gives what a text may be the wrapping of, where that has at least least bytes.
func unwrapped(s string, least int) []string {
	out := []string{rot13(s)}
	if strings.Contains(s, "&") {
		out = append(out, html.UnescapeString(s))
	}
	if strings.ContainsAny(s, "%=") {
		out = append(out, percent().ReplaceAllStringFunc(s, func(m string) string { return character(m[1:], 16) }))
	}
	if strings.ContainsAny(s, `\+`) {
		out = append(out, escapes().ReplaceAllStringFunc(s, func(m string) string {
			digits := strings.Trim(m[1:], "uUx+{}")
			if m[0] == '\\' && m[1] >= '0' && m[1] <= '7' {
				return character(digits, 8)
			}
			return character(digits, 16)
		}))
	}
	for _, run := range stretches(withoutMarks(s), 2*least, isHex) {
		for shift := range 2 {
			raw, _ := hex.DecodeString(run[shift : shift+(len(run)-shift)/2*2])
			out = append(out, string(raw))
		}
	}
	out = append(out, numbers(s, least)...)
	joined := without(s, isBlank)
	texts := []string{s, joined}
	if len(joined) == len(s) {
		texts = texts[:1]
	}
	for _, text := range texts {
		for _, run := range stretches(text, (4*least+2)/3, isBase64) {
			run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
			for shift := range 4 {
				out = append(out, decoded(base64.RawStdEncoding.DecodeString, run[shift:], 4))
			}
		}
		for _, run := range stretches(text, (8*least+4)/5, isBase32) {
			run = strings.ToUpper(run)
			for shift := range 8 {
				out = append(out, decoded(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString, run[shift:], 8))
			}
		}
	}
	return out
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlphanumeric(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func isBase32(c byte) bool { return c >= '2' && c <= '7' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func isBase64(c byte) bool {
	return isAlphanumeric(c) || c == '+' || c == '/' || c == '_' || c == '-'
}

// isBlank tells the signs by which long text is broken into lines or parts.
func isBlank(c byte) bool { return strings.IndexByte(" \t\n\v\f\r\"',;:.\\", c) >= 0 }

// stretches gives the parts of a text that are of one kind of character and long enough.
func stretches(s string, least int, kind func(byte) bool) []string {
	var out []string
	from := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && kind(s[i]) {
			continue
		}
		if i-from >= least {
			out = append(out, s[from:i])
		}
		from = i + 1
	}
	return out
}

func without(s string, kind func(byte) bool) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if !kind(s[i]) {
			out = append(out, s[i])
		}
	}
	return string(out)
}

// withoutMarks takes out what may stand between two numbers in hex: 0x, \x and every sign.
func withoutMarks(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case (c == '0' || c == '\\') && i+1 < len(s) && (s[i+1] == 'x' || c == '0' && s[i+1] == 'X'):
			i++
		case isAlphanumeric(c):
			out = append(out, c)
		}
	}
	return string(out)
}

// numbers gives the characters of each list of at least least numbers of up to three
// digits, with one to three signs between them.
func numbers(s string, least int) []string {
	var out []string
	var list []byte
	flush := func() {
		if len(list) >= least {
			out = append(out, string(list))
		}
		list = list[:0]
	}
	end := 0 // of the last word
	for i := 0; i < len(s); i++ {
		from := i
		for i < len(s) && isAlphanumeric(s[i]) {
			i++
		}
		if i == from {
			continue
		}
		isNumber := i-from <= 3 && len(stretches(s[from:i], i-from, isDigit)) == 1
		if !isNumber || from-end > 3 {
			flush()
		}
		if isNumber {
			list = append(list, character(s[from:i], 10)...)
		}
		end = i
	}
	flush()
	return out
}

// decoded decodes the whole groups of a run: its end may belong to other text.
func decoded(decode func(string) ([]byte, error), run string, group int) string {
	raw, err := decode(run)
	if err != nil {
		raw, _ = decode(run[:len(run)/group*group])
	}
	return string(raw)
}

// character is the one of a number, as a byte where it is one.
func character(digits string, base int) string {
	n, err := strconv.ParseUint(digits, base, 32)
	switch {
	case err != nil || n > unicode.MaxRune:
		return " "
	case n < 256:
		return string([]byte{byte(n)})
	}
	return string(rune(n))
}

func rot13(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, s)
}
