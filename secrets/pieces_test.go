package secrets

import (
	"fmt"
	"strings"
	"testing"
)

func TestHeard(t *testing.T) {
	t.Parallel()
	open := NewValue([]byte("q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"))
	h := &Heard{}
	for _, text := range []string{"q8Zt3LmX0v is wrong", "Rw7NcY5bKd is wrong", "2HsG9 is wrong"} {
		if h.Tells([]string{text}) {
			t.Errorf("%s: it tells of a secret that is not open", text)
		}
	}
	for _, c := range []struct {
		text string
		want bool
	}{
		{"all is well", false},
		{"q8Zt3LmX0v is wrong", false}, // it was shown before
		{"jPf4TaE is wrong", true},
		{"jPf4TaE is wrong", true}, // it was not shown
	} {
		if got := h.Tells([]string{c.text}, open); got != c.want {
			t.Errorf("%s: got %v", c.text, got)
		}
	}
	if (*Heard)(nil).Tells([]string{"q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"}, open) {
		t.Error("nothing remembers nothing")
	}
}

// TestHeardIsBounded: when too much was shown, nothing new is.
func TestHeardIsBounded(t *testing.T) {
	t.Parallel()
	h := &Heard{}
	var b strings.Builder
	told := false
	for i := 0; !told && i < 1000; i++ {
		b.Reset()
		for n := range 1000 {
			fmt.Fprintf(&b, "%04s", string(rune('一'+(i*1000+n)%20000))+string(rune('a'+(i*1000+n)/20000)))
		}
		told = h.Tells([]string{b.String()})
	}
	if !told || len(h.shown) > mostPieces || len(h.shown) < mostPieces/2 {
		t.Errorf("%d pieces are remembered, bounded %v", len(h.shown), told)
	}
	if h.Tells([]string{"x"}) {
		t.Error("what adds nothing is shown")
	}
}
