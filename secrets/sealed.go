package secrets

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
)

const (
	maxArmored  = 64 << 10 // bytes of an armored file
	maxContents = 16 << 10 // bytes inside, header line included
)

// Sealed is an armored age file: a secret that only an identity opens. It is
// safe to show, store and compare with ==.
type Sealed struct {
	armor string
	token string // made once, because it is asked for often
}

// Parse reads an armored age file. White space around it and CRLF line endings
// are accepted and dropped, so that the same file always gives the same
// Sealed. The error never repeats the text: it might be a secret that nobody
// sealed.
func Parse(armored string) (Sealed, error) {
	if len(armored) > maxArmored {
		return Sealed{}, fmt.Errorf("sealed secret is larger than %d KiB", maxArmored>>10)
	}
	if !strings.HasPrefix(strings.TrimSpace(armored), armor.Header) {
		return Sealed{}, advice.With(fmt.Errorf("not an armored age file: it must begin with %q", armor.Header), "seal it", "secret", "encrypt", "FILE")
	}
	raw, sealed, canonical := readCanonical(armored)
	if !canonical {
		var err error
		if raw, err = io.ReadAll(armor.NewReader(strings.NewReader(armored))); err != nil {
			return Sealed{}, errors.New("armored age file is damaged: a line is missing, cut, indented or misspelt")
		}
		if sealed, err = armorBytes(raw); err != nil {
			return Sealed{}, err
		}
	}
	if _, err := age.ExtractHeader(bytes.NewReader(raw)); err != nil {
		return Sealed{}, errors.New("armor holds no age file of version 1, or a damaged one")
	}
	return sealed, nil
}

// Skim names an armored file by its text, unread, for a caller who remembers tokens:
// a token is made of canonical text only, so a known one proves that this is such a
// file and was opened before. Of an unknown one it proves nothing; leave it to Parse.
func Skim(armored string) Sealed {
	if len(armored) > maxArmored {
		return Sealed{}
	}
	return sealedAs(armored)
}

// readCanonical reads an armored file in one piece when it is written in the
// canonical form, as nearly every one is: full lines of 64, and no spare bits.
func readCanonical(text string) ([]byte, Sealed, bool) {
	body, begins := strings.CutPrefix(text, armor.Header+"\n")
	body, ends := strings.CutSuffix(body, "\n"+armor.Footer+"\n")
	for rest, more := body, true; more; {
		var line string
		if line, rest, more = strings.Cut(rest, "\n"); len(line) == 0 || len(line) > 64 || more && len(line) < 64 {
			return nil, Sealed{}, false
		}
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(body)
	if !begins || !ends || err != nil || strings.Contains(body, "\r") {
		return nil, Sealed{}, false
	}
	return raw, sealedAs(text), true
}

// armorBytes gives an age file its one canonical armored form.
func armorBytes(raw []byte) (Sealed, error) {
	var out strings.Builder
	w := armor.NewWriter(&out)
	if _, err := w.Write(raw); err != nil {
		return Sealed{}, fmt.Errorf("armor age file: %w", err)
	}
	if err := w.Close(); err != nil {
		return Sealed{}, fmt.Errorf("armor age file: %w", err)
	}
	if out.Len() > maxArmored {
		return Sealed{}, fmt.Errorf("sealed secret is larger than %d KiB; name fewer recipients", maxArmored>>10)
	}
	return sealedAs(out.String()), nil
}

func sealedAs(canonical string) Sealed {
	sum := sha256.Sum256([]byte(canonical))
	return Sealed{armor: canonical, token: "sha256:" + hex.EncodeToString(sum[:])}
}

// Armor returns the canonical text: each line ends with LF, the last one too.
func (s Sealed) Armor() string { return s.armor }

// IsZero reports whether s holds no file.
func (s Sealed) IsZero() bool { return s.armor == "" }

// Token returns "sha256:" and the hex digest of [Sealed.Armor]. It changes
// whenever the secret is sealed anew, and says nothing about the secret. The
// zero Sealed has the empty token.
func (s Sealed) Token() string { return s.token }

// Kinds lists the kind of each recipient in the file's header, in its order:
// X25519, ssh-ed25519, ssh-rsa, mlkem768x25519, scrypt or what a plugin wrote.
// No identity is needed, and which key it was sealed to is not among it.
func (s Sealed) Kinds() ([]string, error) {
	raw, err := s.bytes()
	if err != nil {
		return nil, err
	}
	return headerKinds(raw)
}

func (s Sealed) bytes() ([]byte, error) {
	raw, _, canonical := readCanonical(s.armor)
	if !canonical {
		return nil, errors.New("no sealed secret to read")
	}
	return raw, nil
}

// headerKinds reads the recipient kinds of an age file.
func headerKinds(raw []byte) ([]string, error) {
	header, err := age.ExtractHeader(bytes.NewReader(raw))
	if err != nil {
		return nil, errors.New("age header is damaged")
	}
	var reader kindReader
	if _, err := age.DecryptHeader(header, &reader); !errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, errors.New("age header is damaged")
	}
	return reader.kinds, nil
}

// kindReader is an identity that opens nothing and notes what it was shown.
type kindReader struct {
	kinds []string
}

// Unwrap notes the kinds and reports that none matched.
func (k *kindReader) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		k.kinds = append(k.kinds, s.Type)
	}
	return nil, age.ErrIncorrectIdentity
}

// Fits reports whether the header looks like one made for recipients, given in
// the canonical form of [Recipients.Strings]: as many of each kind. What a
// plugin writes cannot be foreseen, so with a plugin's recipient among them it
// always fits. An unreadable header fits nothing.
func (s Sealed) Fits(recipients []string) bool {
	kinds, err := s.Kinds()
	if err != nil {
		return false
	}
	var want []string
	for _, r := range recipients {
		kind := kindOf(r)
		if kind == "" {
			return true
		}
		want = append(want, kind)
	}
	slices.Sort(want)
	slices.Sort(kinds)
	return slices.Equal(want, kinds)
}

// kindOf is the header kind of a canonical recipient; empty for a plugin's,
// which unlike an X25519 key has a second 1 in it.
func kindOf(recipient string) string {
	kind, _, ssh := strings.Cut(recipient, " ")
	switch {
	case ssh:
		return kind
	case strings.HasPrefix(recipient, "age1pq1"):
		return "mlkem768x25519"
	case strings.Count(recipient, "1") == 1 && strings.HasPrefix(recipient, "age1"):
		return "X25519"
	}
	return ""
}
