package advice

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Advice is found however an error is wrapped and joined, and is no part of the message.
func TestAll(t *testing.T) {
	lost := With(errors.New("no key"), "make one", "secret", "keygen")
	wrapped := fmt.Errorf("open secret: %w", lost)
	joined := errors.Join(errors.New("first"), With(wrapped, "then look"), fmt.Errorf("again: %w, %w", lost, wrapped))
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("plain"), ""},
		{lost, "make one: secret keygen"},
		{wrapped, "make one: secret keygen"},
		{joined, "then look: ; make one: secret keygen"},
	} {
		var got []string
		for _, e := range All(c.err) {
			got = append(got, e.Text+": "+strings.Join(e.Command, " "))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
	if wrapped.Error() != "open secret: no key" {
		t.Errorf("the message is %q", wrapped)
	}
}
