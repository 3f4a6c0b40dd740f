package secrets

import (
	"fmt"
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

// TestHeardIsBounded: what was shown first is forgotten first.
func TestHeardIsBounded(t *testing.T) {
	t.Parallel()
	open := NewValue([]byte("q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"))
	h := &Heard{}
	h.Tells([]string{"q8Zt3LmX0vRw7NcY5b"}, open)
	most := 0
	for n := range mostPieces {
		h.Tells([]string{fmt.Sprintf("%c%c", 'ぁ'+n%64, '一'+n/64)}, open)
		most = max(most, len(h.shown))
	}
	if most > mostPieces || most < mostPieces*9/10 {
		t.Errorf("%d pieces were remembered at most", most)
	}
	if h.Tells([]string{"Kd2HsG9jPf4T"}, open) {
		t.Error("what was shown first is not forgotten")
	}
}
