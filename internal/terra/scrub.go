package terra

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const (
	maxServerText = 500 // characters of one text of the server that an error shows
	scrubPiece    = 6   // the shortest piece of a secret that is worth hiding
	scrubMark     = "[hidden]"
)

// scrubber cleans text that comes from outside before it may stand in an error
// or a notice: a server can echo what it was sent.
type scrubber struct {
	hidden []secrets.Value
}

// with returns a scrubber that also hides v.
func (s scrubber) with(v secrets.Value) scrubber {
	return scrubber{hidden: append([]secrets.Value{v}, s.hidden...)}
}

// clean makes one line of plain text: hidden values and their pieces are marked,
// as they are and in base64, hex, JSON and URL form; what visible
// hides becomes a space; the length is bounded.
func (s scrubber) clean(text string) string {
	const keep = 16 * maxServerText // enough to scrub before cutting, and bounded
	if len(text) > keep {
		text = text[:keep]
	}
	text = strings.ToValidUTF8(text, " ")
	text = s.mark(text)
	text = strings.Map(func(r rune) rune {
		if visible.Hides(r) {
			return ' '
		}
		return r
	}, text)
	text = s.mark(strings.Join(strings.Fields(text), " "))
	if runes := []rune(text); len(runes) > maxServerText {
		text = string(runes[:maxServerText-1]) + "…"
	}
	return text
}

// mark replaces every stretch of text that is made of pieces of hidden values by
// one mark, and leaves the marks that stand there already. The text is valid UTF-8
// before and after.
func (s scrubber) mark(text string) string {
	parts := strings.Split(text, scrubMark)
	for i := range parts {
		parts[i] = s.markUnmarked(parts[i])
	}
	return strings.Join(parts, scrubMark)
}

func (s scrubber) markUnmarked(text string) string {
	found := make([]bool, len(text))
	for _, v := range s.hidden {
		secret := v.Reveal()
		if secret == "" {
			continue
		}
		findPieces(found, text, secret, scrubPiece)
		for _, form := range []string{jsonForm(secret), url.QueryEscape(secret), url.PathEscape(secret)} {
			if form != secret {
				findPieces(found, text, form, scrubPiece)
			}
		}
		findPieces(found, asciiLower(text), hex.EncodeToString([]byte(secret)), 2*scrubPiece)
		for shift := range 3 {
			padded := append(make([]byte, shift), secret...)
			findPieces(found, text, base64Core(base64.RawStdEncoding, padded, shift), scrubPiece+2)
			findPieces(found, text, base64Core(base64.RawURLEncoding, padded, shift), scrubPiece+2)
		}
	}
	wholeCharacters(found, text)
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !found[i]:
			b.WriteByte(text[i])
		case i == 0 || !found[i-1]:
			b.WriteString(scrubMark)
		}
	}
	return b.String()
}

// wholeCharacters widens what was found to whole characters, so that the rest
// stays valid UTF-8 when a hidden value begins or ends inside of one.
func wholeCharacters(found []bool, text string) {
	for i, r := range text {
		character := found[i : i+utf8.RuneLen(r)]
		if slices.Contains(character, true) {
			for j := range character {
				character[j] = true
			}
		}
	}
}

// findPieces notes where pieces of secret, n bytes long (the whole secret if that
// is shorter), stand in text.
func findPieces(found []bool, text, secret string, n int) {
	n = min(n, len(secret))
	if n == 0 || len(text) < n {
		return
	}
	pieces := make(map[string]struct{}, len(secret))
	for i := 0; i+n <= len(secret); i++ {
		pieces[secret[i:i+n]] = struct{}{}
	}
	end := 0 // bytes before end are noted
	for i := 0; i+n <= len(text); i++ {
		if _, hit := pieces[text[i:i+n]]; !hit {
			continue
		}
		for end = max(end, i); end < i+n; end++ {
			found[end] = true
		}
	}
}

// asciiLower keeps every byte at its place, which strings.ToLower does not.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func jsonForm(s string) string {
	quoted, _ := json.Marshal(s)
	return string(quoted[1 : len(quoted)-1])
}

// base64Core is the part of the encoding that depends on the secret alone, when
// shift unknown bytes stand before it.
func base64Core(encoding *base64.Encoding, padded []byte, shift int) string {
	text := encoding.EncodeToString(padded)
	start := []int{0, 2, 3}[shift]
	end := len(text)
	if len(padded)%3 != 0 {
		end--
	}
	if start >= end {
		return ""
	}
	return text[start:end]
}
