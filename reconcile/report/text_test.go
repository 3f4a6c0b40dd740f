package report

import (
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func TestTextFitsItsWidth(t *testing.T) {
	for name, r := range fixtures(t) {
		for _, width := range []int{0, 60, 80, 120} {
			text := render(t, func(w io.Writer) error { return Text(w, r, TextOptions{Width: width}) })
			limit := width
			if width == 0 {
				limit = 80
			}
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(line, "\n")
				if isCommand := strings.HasPrefix(strings.TrimSpace(line), "reconcile "); columns(line) > limit && !isCommand && width >= 80 {
					t.Errorf("%s at %d columns: %d in %q", name, limit, columns(line), line)
				}
				if strings.HasSuffix(line, " ") {
					t.Errorf("%s: space at the end of %q", name, line)
				}
			}
		}
	}
}

// Without colour there is nothing but what a person can see; with it, the text
// is the same.
func TestTextHidesNothing(t *testing.T) {
	for name, r := range fixtures(t) {
		bare := render(t, func(w io.Writer) error { return Text(w, r, TextOptions{}) })
		for _, found := range bare {
			if found != '\n' && visible.Hides(found) {
				t.Errorf("%s: %U in the text", name, found)
			}
		}
		coloured := render(t, func(w io.Writer) error { return Text(w, r, TextOptions{Color: true}) })
		for _, code := range []colour{red, green, yellow, bold, dim, reset} {
			coloured = strings.ReplaceAll(coloured, string(code), "")
		}
		if diff := cmp.Diff(bare, coloured); diff != "" {
			t.Errorf("%s, without its colours (-bare +coloured):\n%s", name, diff)
		}
	}
}

func TestInSyncIsSaidOnlyWhenItIsCertain(t *testing.T) {
	said := false
	for name, r := range fixtures(t) {
		certain := total(r).certain()
		for form, got := range everyForm(t, r) {
			if strings.Contains(strings.ToLower(got), "in sync") && !certain {
				t.Errorf("%s says in sync while something was not compared:\n%s", form+" of "+name, got)
			}
			said = said || strings.Contains(got, "in sync")
		}
	}
	if !said {
		t.Error("no fixture is in sync")
	}
}

func TestZeroChangeRunIsOneLine(t *testing.T) {
	r := fixture(t, "testdata/in-sync.json")
	text := render(t, func(w io.Writer) error { return Text(w, r, TextOptions{}) })
	if got := strings.Count(text, "\n"); got != 1 {
		t.Errorf("got %d lines, want 1:\n%s", got, text)
	}
	for range 200 {
		r.Environments = append(r.Environments, r.Environments[0])
	}
	text = render(t, func(w io.Writer) error { return Text(w, r, TextOptions{}) })
	if got := strings.Count(text, "\n"); got != 1 {
		t.Errorf("202 environments: got %d lines, want 1:\n%s", got, text)
	}
}

func TestMiddle(t *testing.T) {
	for _, row := range []struct {
		in   string
		room int
		want string
	}{
		{"strava", 6, "strava"},
		{"abcdefghij", 5, "ab…ij"},
		{"abcdefghij", 6, "ab…hij"},
		{"長い名前です", 7, "長…です"},
		{"ab", 1, "…"},
	} {
		got := middle(row.in, row.room)
		if got != row.want || columns(got) > row.room {
			t.Errorf("middle(%q, %d): got %q (%d columns), want %q", row.in, row.room, got, columns(got), row.want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"production/strava.yaml:9": "production/strava.yaml:9",
		"Zürich 東京 é":              "Zürich 東京 é",
		"a\u00a0b":                 `a\u00A0b`,
		"a\u2028b":                 `a\u2028b`,
		"\x1b[31m":                 `\u001B[31m`,
		"\u009b2J":                 `\u009B2J`,
		"\u202egnp":                `\u202Egnp`,
		"a\u2066b":                 `a\u2066b`,
		"a\u200bb\ufeff":           `a\u200Bb\uFEFF`,
		"\U000e0041":               `\U000E0041`,
		"\ue000":                   `\uE000`,
		"\u3164":                   `\u3164`,
		"\xff\xc3":                 `\xFF\xC3`,
		"a\tb\nc":                  `a\u0009b\u000Ac`,
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q): got %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "strava", "\x1b[31m", "\u202e", "\xff", "a\u0301", "\U000E0001", "例え", " \u2028 "} {
		f.Add(seed, 20)
	}
	f.Fuzz(func(t *testing.T, s string, room int) {
		room = 20 + room&63
		got := clean(s)
		if !utf8.ValidString(got) {
			t.Errorf("clean(%q) is no UTF-8", s)
		}
		for _, r := range got {
			if visible.Hides(r) {
				t.Errorf("clean(%q) has %U", s, r)
			}
		}
		if again := clean(got); again != got {
			t.Errorf("clean twice: %q, then %q", got, again)
		}
		for _, line := range append(wrap(got, room), middle(got, room)) {
			if columns(line) > room {
				t.Errorf("%q does not fit %d columns", line, room)
			}
		}
	})
}

func TestWrapKeepsWhatIsQuoted(t *testing.T) {
	for _, test := range []struct {
		text string
		room int
		want []string
	}{
		{"send it (`reconcile x --ticket` prints it) now", 30, []string{"send it", "(`reconcile x --ticket` prints", "it) now"}},
		{"a `b c d e f g` h", 8, []string{"a `b c d", "e f g` h"}},
		{"one ` alone stays a word", 9, []string{"one `", "alone", "stays a", "word"}},
	} {
		if got := wrap(test.text, test.room); !slices.Equal(got, test.want) {
			t.Errorf("%q in %d: got %q, want %q", test.text, test.room, got, test.want)
		}
	}
}

// TestFieldOfWhichNothingIsKnown: the history has no values of a drift that went by itself.
func TestFieldOfWhichNothingIsKnown(t *testing.T) {
	t.Parallel()
	if got := FieldText(plan.FieldChange{Field: plan.FieldScopes}); got != "scopes" {
		t.Errorf("got %q", got)
	}
	if got := FieldText(plan.FieldChange{Field: plan.FieldScopes, To: plan.FieldValue{Default: true}}); got != "scopes nothing -> Terra's default" {
		t.Errorf("got %q", got)
	}
}
