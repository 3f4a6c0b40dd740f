package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// Seal seals v for the place b and the recipients r, and armors it. Every call
// gives another text, even for the same input. It refuses an incomplete place,
// an empty list of recipients and what [Check] refuses.
func Seal(v Value, b Binding, r Recipients) (Sealed, error) {
	if err := Check(v); err != nil {
		return Sealed{}, err
	}
	if err := b.check(); err != nil {
		return Sealed{}, err
	}
	if r.IsZero() {
		return Sealed{}, errors.New("seal secret: no recipients")
	}
	contents := wrapEnvelope(v, b)
	if len(contents) > maxContents {
		return Sealed{}, fmt.Errorf("secret is larger than %d KiB", maxContents>>10)
	}
	raw, err := encrypt(contents, r.keys())
	if err != nil {
		return Sealed{}, fmt.Errorf("seal secret: %w", err)
	}
	return armorBytes(raw)
}

// Check refuses text that no provider issues as a secret and that a slip of
// the hand makes: none at all, not UTF-8, white space at an end, control or
// invisible characters, a mask ([ErrMasked]). The error never repeats the text.
func Check(v Value) error {
	text := v.Reveal()
	switch {
	case text == "":
		return errors.New("secret is empty")
	case !utf8.ValidString(text):
		return errors.New("secret is not UTF-8 text")
	case strings.TrimSpace(text) != text:
		return errors.New("secret begins or ends with white space; was a line ending pasted along?")
	case strings.ContainsFunc(text, visible.Hides):
		return errors.New("secret holds a control or invisible character; was it pasted from a document?")
	case strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }):
		return errors.New("secret holds a letter or sign that no provider issues, such as a typographic dash, dots in one or a letter of another alphabet; copy it from the provider's portal")
	case isMasked(text):
		return ErrMasked
	}
	return nil
}

func encrypt(contents []byte, recipients []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(contents); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// GenerateIdentity makes a fresh age identity and its recipient: an X25519 key,
// or a hybrid one that is also safe against quantum computers.
func GenerateIdentity(postQuantum bool) (private Value, public string, err error) {
	if postQuantum {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return Value{}, "", fmt.Errorf("generate identity: %w", err)
		}
		return NewValue([]byte(id.String())), id.Recipient().String(), nil
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return Value{}, "", fmt.Errorf("generate identity: %w", err)
	}
	return NewValue([]byte(id.String())), id.Recipient().String(), nil
}
