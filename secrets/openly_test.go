package secrets

import (
	"fmt"
	"strconv"
	"testing"
)

func TestOpenlyTakesOutWhatWasSent(t *testing.T) {
	t.Parallel()
	var pairs []string
	for i := range 256 {
		pairs = append(pairs, fmt.Sprintf("%02x", i))
	}
	for _, c := range []struct {
		name, secret, text string
		sent               []string
		want               bool // it repeats the secret
	}{
		{name: "signs alone", secret: "a1------b2c3", sent: []string{"z------"}, text: `no client "z------"`},
		{name: "a short text behind a word", secret: "tbcdef99887766", sent: []string{"bcdef"}, text: "no environment bcdef."},
		{name: "short texts in a short secret", secret: "12ab34cd", sent: pairs, text: "it was 12ab34cd", want: true},
		{name: "another text", secret: "12ab34cd", sent: []string{"12ab99"}, text: "12ab99: it was 12ab34cd", want: true},
		{name: "the text itself", secret: "12ab34cd", sent: []string{"x-12AB34"}, text: "no client X-12ab34."},
		{name: "nothing was sent", secret: "12ab34cd", text: "it was 12ab34", want: true},
	} {
		var o Openly
		o.Add(c.sent...)
		marked, ok := o.Without(c.text)
		if got := Repeats(marked, NewValue([]byte(c.secret))); got != c.want || !ok {
			t.Errorf("%s: got %t for %q, want %t", c.name, got, marked, c.want)
		}
	}
	if marked, ok := (*Openly)(nil).Without("text"); marked != "text" || !ok {
		t.Errorf("none takes out %q", marked)
	}
}

// Who sends more texts than can be told apart from secrets gets none to read.
func TestOpenlyIsBounded(t *testing.T) {
	t.Parallel()
	var o Openly
	for i := range mostRuns {
		o.Add(strconv.Itoa(1e9 + i*7919))
		if _, ok := o.Without("text"); !ok {
			return
		}
	}
	t.Errorf("%d runs are remembered", len(o.runs))
}
