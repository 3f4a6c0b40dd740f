package visible

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Each of these acts, turns the text around it or is not seen.
func hidden() []rune {
	return []rune{
		0, '\a', '\b', '\t', '\n', '\r', 0x1b, 0x7f, 0x85, 0x9b, 0x9d, 0xa0, 0xad, // controls, C1, no-break, soft hyphen
		0x034f, 0x061c, 0x115f, 0x180e, 0x3164, 0xffa0, 0x2800, // joiner, Arabic mark, fillers, blank
		0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x202f,
		0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0x2066, 0x2067, 0x2068, 0x2069, 0x206a, 0x206f, 0x3000,
		0xfe00, 0xfe0f, 0xfeff, 0xfff9, 0xfffb, 0xe000, 0xe0001, 0xe0041, 0xe0100, 0x1d173, 0x10ffff,
	}
}

func TestWhatHidesIsNotShown(t *testing.T) {
	list := hidden()
	for r := range unicode.MaxRune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Bidi_Control, unicode.White_Space) && r != ' ' {
			list = append(list, r)
		}
	}
	for _, r := range list {
		if got := Text("a" + string(r) + "b"); !Hides(r) || strings.ContainsRune(got, r) || !strings.Contains(got, fmt.Sprintf("%04X", r)) {
			t.Errorf("U+%04X became %q", r, got)
		}
	}
	t.Logf("COUNT hidden_characters=%d", len(list))
}

func TestWhatPeopleWriteStays(t *testing.T) {
	for _, text := range []string{"plain text", "Grüße, naïve", "é" + "e\u0301", "日本語", "한국어", "עברית", "العربية", "ไทย", "हिन्दी", "→ … ✓ 🙂", "\ufffd"} {
		if got := Text(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestTextAndLines(t *testing.T) {
	for text, want := range map[string]string{
		"a\x1b[31mb": `a\u001B[31mb`, "a\xffb\xc3": `a\xFFb\xC3`, "a\U000e0041b": `a\U000E0041b`, "": "",
		"::error::x": `:\u003Aerror:\u003Ax`, "a ::stop-commands::debug::": `a :\u003Astop-commands:\u003Adebug::`, "a::add-mask file=x": `a:\u003Aadd-mask file=x`,
		"##vso[x]": `#\u0023vso[x]`, "###[x]": `##\u0023[x]`, "::": "::", "fe80::a:1": "fe80::a:1", "[::1]:80": "[::1]:80", "## title [x]": "## title [x]",
	} {
		if got := Text(text); got != want {
			t.Errorf("Text(%q) is %q, want %q", text, got, want)
		}
	}
	if got, want := Lines("a\r\nb\x1b\n"), "a\\u000D\nb\\u001B\n"; got != want {
		t.Errorf("Lines gave %q, want %q", got, want)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[31m\u202eb\xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := Text(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, Hides) || Text(got) != got {
			t.Errorf("Text(%q) is %q", text, got)
		}
	})
}

// What Windows' tools write reads like what others write; all else stays as it is.
func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"a\r\n":                    "a\r\n",
		"\xef\xbb\xbfa":            "a",
		"\xff\xfea\x00\xe9\x00":    "aé",
		"\xfe\xff\x00a\x00\xe9":    "aé",
		"\xff\xfe\x3d\xd8\x42\xde": "🙂",
		"\xff\xfea\x00b":           "a",
		"\xff\xfe":                 "",
		"\xfe":                     "\xfe",
		"a\xef\xbb\xbf":            "a\xef\xbb\xbf",
	} {
		if got := string(Decode([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
