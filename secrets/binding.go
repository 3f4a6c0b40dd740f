package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Binding names the one place a sealed secret is meant for.
type Binding struct {
	// DevID is the environment, Provider the connection's provider slug and
	// Field the name of the field, such as client_secret.
	DevID, Provider, Field string
}

// String returns dev_id/provider/field.
func (b Binding) String() string { return b.DevID + "/" + b.Provider + "/" + b.Field }

// check refuses a Binding that does not survive being written and read back.
func (b Binding) check() error {
	for _, part := range []struct{ name, text string }{
		{"dev_id", b.DevID}, {"provider", b.Provider}, {"field", b.Field},
	} {
		if part.text == "" {
			return fmt.Errorf("bind secret: %s is empty", part.name)
		}
		if len(part.text) > maxPart {
			return fmt.Errorf("bind secret: %s is longer than %d bytes", part.name, maxPart)
		}
		bad := strings.ContainsFunc(part.text, func(r rune) bool {
			return r == '/' || r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r)
		})
		if bad {
			return fmt.Errorf("bind secret: %s holds a slash, white space or an invisible character", part.name)
		}
	}
	return nil
}

// parseBinding reads what [Binding.String] wrote.
func parseBinding(s string) (Binding, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return Binding{}, errDamagedEnvelope
	}
	b := Binding{DevID: parts[0], Provider: parts[1], Field: parts[2]}
	if b.check() != nil {
		return Binding{}, errDamagedEnvelope
	}
	return b, nil
}

// MisboundError says that a secret was sealed for another place than the one
// it was found in.
type MisboundError struct {
	// Have is the place it was sealed for, Want the place it stands in.
	Have, Want Binding
	// File is what the command that binds it anew is to be given; see [InFile].
	File string
}

// Error names both places and the command that binds it anew.
func (e *MisboundError) Error() string {
	file := e.File
	if !plainPath.MatchString(file) {
		file = "FILE"
	}
	return fmt.Sprintf("sealed for %s, found at %s; if it was moved on purpose run `reconcile secret rekey --rebind %s`", e.Have, e.Want, file)
}

// plainPath is a path that no shell takes for anything else, nor a command for a flag.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./-]*$`)

// InFile tells err in which file the secret stands, for the command that it may name.
func InFile(err error, file string) error {
	var misbound *MisboundError
	if errors.As(err, &misbound) {
		misbound.File = file
	}
	return err
}

var (
	errDamagedEnvelope = errors.New("the line that says what this secret is for is damaged; seal it again with `reconcile secret encrypt`")
	errNewerEnvelope   = errors.New("sealed by a newer reconcile; update this one or seal it again")
)

const (
	maxPart = 200 // bytes of each part of a Binding

	envelopeMark   = "terra-reconcile/"
	envelopeHeader = envelopeMark + "1 "
)

// wrapEnvelope returns what is sealed for v at b: the header line, then v.
func wrapEnvelope(v Value, b Binding) []byte {
	return []byte(envelopeHeader + b.String() + "\n" + v.Reveal())
}

// unwrapEnvelope takes opened bytes apart. Bytes without the mark are a plain
// secret: plain is true, the Binding is zero and one line ending at the end is
// dropped. Bytes that begin with the mark and are not an envelope of this
// version are an error, never plain.
func unwrapEnvelope(payload []byte) (value []byte, b Binding, plain bool, err error) {
	if !bytes.HasPrefix(payload, []byte(envelopeMark)) {
		value = bytes.TrimSuffix(payload, []byte("\n"))
		if len(value) < len(payload) {
			value = bytes.TrimSuffix(value, []byte("\r"))
		}
		return value, Binding{}, true, nil
	}
	line, value, found := bytes.Cut(payload, []byte("\n"))
	place, known := strings.CutPrefix(string(line), envelopeHeader)
	switch {
	case !known:
		return nil, Binding{}, false, errNewerEnvelope
	case !found:
		return nil, Binding{}, false, errDamagedEnvelope
	}
	if b, err = parseBinding(place); err != nil {
		return nil, Binding{}, false, err
	}
	return value, b, false, nil
}
