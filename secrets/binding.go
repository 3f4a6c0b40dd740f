package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// Binding names the one place a sealed secret is meant for.
type Binding struct {
	// Account is the runner's name for who the environment belongs to: with another
	// one the secret would be sent to another server. DevID is the environment,
	// Provider the connection's provider slug and Field the name of the field, such as
	// client_secret.
	Account, DevID, Provider, Field string
}

// DefaultAccount is the account that is not written, neither in files nor in a Binding.
const DefaultAccount = "default"

// String returns dev_id/provider/field, with any other account than the default one
// before it.
func (b Binding) String() string {
	place := b.DevID + "/" + b.Provider + "/" + b.Field
	if b.Account != DefaultAccount {
		return b.Account + "/" + place
	}
	return place
}

// check refuses a Binding that does not survive being written and read back.
func (b Binding) check() error {
	for _, part := range []struct{ name, text string }{
		{"account", b.Account}, {"dev_id", b.DevID}, {"provider", b.Provider}, {"field", b.Field},
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
	if len(parts) == 3 {
		parts = append([]string{DefaultAccount}, parts...)
	}
	if len(parts) != 4 {
		return Binding{}, sealAgain(errDamagedEnvelope)
	}
	b := Binding{Account: parts[0], DevID: parts[1], Provider: parts[2], Field: parts[3]}
	if b.check() != nil || b.String() != s {
		return Binding{}, sealAgain(errDamagedEnvelope)
	}
	return b, nil
}

// MisboundError says that a secret was sealed for another place than the one
// it was found in.
type MisboundError struct {
	// Have is the place it was sealed for, Want the place it stands in.
	Have, Want Binding
	// File is what the command that mends it is to be given, and Original the file that
	// the secret was copied from, "" where it was moved; see [InFile].
	File, Original string
}

// Error names both places.
func (e *MisboundError) Error() string {
	return fmt.Sprintf("sealed for %s, found at %s", e.Have, e.Want)
}

// Unwrap gives the command that binds it to the place where it stands, or, where it is a
// copy, the one that seals another in its place.
func (e *MisboundError) Unwrap() error {
	file := e.File
	if !plainPath().MatchString(file) {
		file = "FILE"
	}
	if e.Original != "" {
		seal := []string{"secret", "encrypt", file}
		if e.Want.Field != "client_secret" {
			seal = append(seal, "--field", e.Want.Field)
		}
		return advice.With(errMisbound, "it is a copy, that of "+visible.Text(e.Original)+" is not for here; make a new one in the provider's portal", seal...)
	}
	return advice.With(errMisbound, "if it was moved on purpose, bind it to its new place", "secret", "rekey", "--rebind", file)
}

var errMisbound = errors.New("sealed for another place")

// plainPath is a path that no shell takes for anything else, nor a command for a flag.
var plainPath = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./-]*$`) })

// InFile tells err in which file the secret stands, for the command that it may name.
// original names the file with the secret that one bound to a place was copied from, ""
// for none.
func InFile(err error, file string, original func(Binding) string) error {
	var misbound *MisboundError
	if errors.As(err, &misbound) {
		misbound.File, misbound.Original = file, original(misbound.Have)
	}
	return err
}

var (
	errDamagedEnvelope = errors.New("the line that says what this secret is for is damaged")
	errNewerEnvelope   = errors.New("sealed by a newer reconcile; update this one or seal it again")
)

const (
	maxPart = 200 // bytes of each part of a Binding

	envelopeMark   = "terra-reconcile/"
	envelopeHeader = envelopeMark + "1 "
)

// sealAgain says what to do about a secret that is of no use as it is.
func sealAgain(err error) error {
	return advice.With(err, "seal it again", "secret", "encrypt", "FILE")
}

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
		return nil, Binding{}, false, sealAgain(errDamagedEnvelope)
	}
	if b, err = parseBinding(place); err != nil {
		return nil, Binding{}, false, err
	}
	return value, b, false, nil
}
