package secrets

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// redacted is all that any printer ever gets to see of a Value.
const redacted = "[secret]"

// ErrUnprintable is returned by everything that tries to marshal a [Value], or
// to read one from text that is not sealed.
var ErrUnprintable = errors.New("a secret is never marshalled")

// Value is an opened secret. No format verb, logger, encoder, error, panic or
// walk by reflection prints it. Two Values do not compare with ==; use
// [Value.Equal]. The zero Value is "no secret".
//
// The text hides in a closure: unlike a pointer, that is a wall even for
// printers that follow pointers and read unexported fields. All copies of a Value
// share it.
type Value struct {
	use  func(wipe bool) string
	size func() int // without a copy
}

// NewValue makes a Value from a copy of b. An empty b gives the zero Value.
func NewValue(b []byte) Value {
	if len(b) == 0 {
		return Value{}
	}
	var mu sync.Mutex
	text := bytes.Clone(b)
	return Value{use: func(wipe bool) string {
		mu.Lock()
		defer mu.Unlock()
		if wipe {
			clear(text)
			text = nil
		}
		return string(text)
	}, size: func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(text)
	}}
}

// Wipe overwrites the text in memory. From then on v and its copies are "no secret".
// What was revealed stays until the memory is used again.
func (v Value) Wipe() {
	if v.use != nil {
		v.use(true)
	}
}

// Reveal returns the text. It is the only way out; a test of the repository
// lists who may call it.
func (v Value) Reveal() string {
	if v.use == nil {
		return ""
	}
	return v.use(false)
}

// IsZero reports whether v holds no secret.
func (v Value) IsZero() bool { return v.size == nil || v.size() == 0 }

// Equal reports whether both hold the same text. The time it takes depends on
// the lengths alone, never on where two texts differ.
func (v Value) Equal(o Value) bool {
	a, b := sha256.Sum256([]byte(v.Reveal())), sha256.Sum256([]byte(o.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String returns a fixed word.
func (v Value) String() string { return redacted }

// GoString returns a fixed word.
func (v Value) GoString() string { return redacted }

// Format prints a fixed word for every verb and flag.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue gives loggers a fixed word.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses. JSON, YAML and XML encoders stop here too.
func (v Value) MarshalText() ([]byte, error) { return nil, ErrUnprintable }

// GobEncode refuses.
func (v Value) GobEncode() ([]byte, error) { return nil, ErrUnprintable }

// UnmarshalText refuses: a Value is opened, never decoded.
func (v Value) UnmarshalText([]byte) error { return ErrUnprintable }
