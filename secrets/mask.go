package secrets

import (
	"strings"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

const (
	maskStars = "****"
	maskTail  = 4 // characters that a mask shows
	maskable  = 8 // characters that a secret has at least to be told by its mask

	maskedShown = 16 // characters that a mask of anybody shows at most
)

// Mask returns v as Terra shows a secret: "****" and its last four characters.
// A secret of fewer than eight characters has no mask we could rely on: "".
// The mask of a secret that is not live yet gives four characters of it away:
// compare it, do not show it.
func Mask(v Value) string {
	runes := []rune(v.Reveal())
	if len(runes) < maskable {
		return ""
	}
	return maskStars + string(runes[len(runes)-maskTail:])
}

// IsMask reports whether a text has the form in which Terra shows a secret: four stars
// and four characters. What has another may be the secret itself, and is not shown.
func IsMask(text string) bool {
	tail, stars := strings.CutPrefix(text, maskStars)
	return stars && utf8.RuneCountInString(tail) == maskTail && !strings.ContainsFunc(tail, visible.Hides)
}

// isMasked reports whether a text is what Terra or a portal shows in the place of a
// secret: stars and at most four characters, or four stars in a row that leave no
// more than sixteen characters to see. No provider issues such a secret.
func isMasked(text string) bool {
	if stars := strings.TrimLeft(text, "*"); len(stars) < len(text) && len(stars) <= maskTail {
		return true
	}
	return strings.Contains(text, maskStars) && len(text)-strings.Count(text, "*") <= maskedShown
}

// MaskAgrees compares v with a mask that Terra printed. known is false when
// that says nothing: v is too short to have a mask, or mask is not one. When it
// is known, agrees=false proves that the secrets differ; agrees=true proves
// nothing but that they may be equal.
func MaskAgrees(v Value, mask string) (agrees, known bool) {
	want := Mask(v)
	if want == "" || !IsMask(mask) {
		return false, false
	}
	return mask == want, true
}
