package secrets

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"mime/quotedprintable"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"
)

// each writes every byte of a text by a verb.
func each(verb, between, s string) string {
	parts := make([]string, len(s))
	for i := range len(s) {
		parts[i] = fmt.Sprintf(verb, s[i])
	}
	return strings.Join(parts, between)
}

// echoes are the forms in which a server could repeat a secret.
func echoes() []echo {
	b64 := base64.StdEncoding.EncodeToString
	b32 := base32.StdEncoding.EncodeToString
	return []echo{
		{attack: "as it is", form: func(s string) string { return s }},
		{attack: "its first half", form: func(s string) string { return s[:len(s)/2] }},
		{attack: "six characters of its middle", form: func(s string) string { return s[7:13] }},
		{attack: "in capital letters", form: strings.ToUpper},
		{attack: "in small letters", form: strings.ToLower},
		{attack: "with the letters swapped in case", form: func(s string) string {
			return strings.Map(func(r rune) rune {
				if u := []rune(strings.ToUpper(string(r)))[0]; u != r {
					return u
				}
				return []rune(strings.ToLower(string(r)))[0]
			}, s)
		}},
		{attack: "reversed", form: backwards},
		{attack: "reversed and in capital letters", form: func(s string) string { return strings.ToUpper(backwards(s)) }},
		{attack: "with spaces between its characters", form: func(s string) string { return strings.Join(strings.Split(s, ""), " ") }},
		{attack: "with dashes in groups of four", form: func(s string) string { return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:] }},
		{attack: "one character a line", form: func(s string) string { return strings.Join(strings.Split(s, ""), "\n") }},
		{attack: "with characters of no width between", form: func(s string) string { return strings.Join(strings.Split(s, ""), "\u200b") }},
		{attack: "with markup between", form: func(s string) string { return strings.Join(strings.Split(s, ""), "**") }},
		{attack: "percent", form: func(s string) string { return each("%%%02X", "", s) }},
		{attack: "percent in small letters", form: func(s string) string { return each("%%%02x", "", s) }},
		{attack: "percent twice", form: func(s string) string { return url.QueryEscape(each("%%%02x", "", s)) }},
		{attack: "percent of what needs it", form: url.QueryEscape},
		{attack: "quoted-printable", form: func(s string) string { return each("=%02X", "", s) }},
		{attack: "quoted-printable by the library", form: func(s string) string {
			var out strings.Builder
			w := quotedprintable.NewWriter(&out)
			_, _ = w.Write([]byte(s))
			_ = w.Close()
			return out.String()
		}},
		{attack: "JSON", form: func(s string) string { text, _ := json.Marshal(s); return string(text) }},
		{attack: `\u escapes`, form: func(s string) string { return each(`\u%04x`, "", s) }},
		{attack: `\u{} escapes`, form: func(s string) string { return each(`\u{%x}`, "", s) }},
		{attack: `\U escapes`, form: func(s string) string { return each(`\U%08x`, "", s) }},
		{attack: `\x escapes`, form: func(s string) string { return each(`\x%02x`, "", s) }},
		{attack: "octal escapes", form: func(s string) string { return each(`\%03o`, "", s) }},
		{attack: "U+ numbers", form: func(s string) string { return each("U+%04X", " ", s) }},
		{attack: "numbered entities", form: func(s string) string { return each("&#%d;", "", s) }},
		{attack: "numbered entities in hex", form: func(s string) string { return each("&#x%x;", "", s) }},
		{attack: "entities with zeros", form: func(s string) string { return each("&#0000%d;", "", s) }},
		{attack: "entities of what needs them", form: html.EscapeString},
		{attack: "entities inside entities", form: func(s string) string { return html.EscapeString(each("&#%d;", "", s)) }},
		{attack: "hex", form: func(s string) string { return hex.EncodeToString([]byte(s)) }},
		{attack: "hex in capital letters", form: func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) }},
		{attack: "hex with spaces", form: func(s string) string { return each("%02x", " ", s) }},
		{attack: "hex with colons", form: func(s string) string { return each("%02X", ":", s) }},
		{attack: "hex with 0x and commas", form: func(s string) string { return each("0x%02x", ", ", s) }},
		{attack: "hex, a nibble before it", form: func(s string) string { return "a" + hex.EncodeToString([]byte(s)) }},
		{attack: "hex dump", form: func(s string) string { return hex.Dump([]byte(s)) }},
		{attack: "hex of hex", form: func(s string) string { return hex.EncodeToString([]byte(hex.EncodeToString([]byte(s)))) }},
		{attack: "a list of numbers", form: func(s string) string { return each("%d", ", ", s) }},
		{attack: "base64", form: func(s string) string { return b64([]byte(s)) }},
		{attack: "base64 for addresses", form: func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }},
		{attack: "base64, a character before it", form: func(s string) string { return b64([]byte("x" + s + "y")) }},
		{attack: "base64, two characters before it", form: func(s string) string { return b64([]byte("xy" + s)) }},
		{attack: "base64 of basic authentication", form: func(s string) string { return "Basic " + b64([]byte("123456:"+s)) }},
		{attack: "base64 in lines", form: func(s string) string { text := b64([]byte(s)); return text[:9] + "\r\n" + text[9:] }},
		{attack: "base64 of base64", form: func(s string) string { return b64([]byte(b64([]byte(s)))) }},
		{attack: "base64 of what is reversed", form: func(s string) string { return b64([]byte(backwards(s))) }},
		{attack: "base64 that is reversed", form: func(s string) string { return backwards(b64([]byte(s))) }},
		{attack: "base64 of UTF-16", form: func(s string) string {
			var raw []byte
			for _, u := range utf16.Encode([]rune(s)) {
				raw = append(raw, byte(u), byte(u>>8))
			}
			return b64(raw)
		}},
		{attack: "base64 of percent", form: func(s string) string { return b64([]byte(each("%%%02x", "", s))) }},
		{attack: "percent of base64", form: func(s string) string { return url.QueryEscape(b64([]byte(s))) }},
		{attack: "base32", form: func(s string) string { return b32([]byte(s)) }},
		{attack: "base32 in small letters", form: func(s string) string { return strings.ToLower(b32([]byte(s))) }},
		{attack: "base32, characters before it", form: func(s string) string { return b32([]byte("xyz" + s)) }},
		{attack: "rot13", form: rot13},
		{attack: "a header of mail", form: func(s string) string { return "=?utf-8?B?" + b64([]byte(s)) + "?=" }},
		{attack: "a JSON web token", form: func(s string) string {
			return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(`{"s":"`+s+`"}`)) + "."
		}},
		{attack: "an address with a user", form: func(s string) string { return "https://" + url.UserPassword("x", s).String() + "@terra.invalid/" }},
	}
}

type echo struct {
	attack string
	form   func(secret string) string
}

// TestHostileEchoes lets a server repeat a secret in every form that can be read back.
func TestHostileEchoes(t *testing.T) {
	t.Parallel()
	for _, e := range echoes() {
		t.Run(e.attack, func(t *testing.T) {
			t.Parallel()
			for _, secret := range []string{"5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa", "Kx7%Qv\"2<é>Zp9&Wm4/Lt8", "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk", "GOCSPX-4u_Zt-abcDEF"} {
				text := "bad value: " + e.form(secret) + " was sent"
				if !Repeats(text, NewValue([]byte("another-one")), NewValue([]byte(secret))) {
					t.Errorf("%q gives %q away", text, secret)
				}
			}
		})
	}
}

// Text that has nothing to do with a secret stays, and so does what a short one stands in.
func TestHonestTextRepeatsNothing(t *testing.T) {
	t.Parallel()
	open := []Value{NewValue([]byte("5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa")), NewValue([]byte("GOCSPX-4u_Zt-abcDEF")), NewValue([]byte("the")), NewValue([]byte("token"))}
	for _, text := range []string{
		"", "client_secret must not be empty", "the token expires at 2026-12-01T00:00:00Z", "validation_failed: redirect_url: https://auth.acme.example/auth/strava is not allowed",
		"request 0f8fad5b-d9cb-469f-a165-70867728950e", "sha256:07c87b0aee40d3a94c8aba8b4b75c8f2d7e738e6b2b613e18f44b5e10239a7a3", "1, 2, 3, 4, 5, 6, 7, 8, 9",
		strings.Repeat("a long answer about nothing at all. ", 200),
	} {
		if Repeats(text, open...) {
			t.Errorf("%q is called a repetition", text)
		}
	}
	const secret = "5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa"
	for text, want := range map[string]bool{`{"client_id":"` + secret[:12] + `"}`: false, `{"client_id":"` + secret[:24] + `"}`: true, `{"mask":"****f0aa"}`: false} {
		if got := RepeatsMost(text, "", NewValue([]byte(secret))); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	for _, public := range []string{"5", secret[8:24], secret[:4], "123456"} { // a client id
		if !RepeatsMost(`{"error":"`+secret+`"}`, public, NewValue([]byte(secret))) {
			t.Errorf("a client id of %q hides the whole secret", public)
		}
	}
	if RepeatsMost(`{"client_id":"`+secret[:24]+`"}`, secret[:24], NewValue([]byte(secret))) {
		t.Error("the client id itself is called a repetition")
	}
}

// What is shown together is judged together, in whatever order, and what is only words is not.
func TestHostileLines(t *testing.T) {
	t.Parallel()
	const secret = "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"
	v := NewValue([]byte(secret))
	words := strings.Repeat("Reads activities\n", 4000)
	for _, c := range []struct {
		attack string
		text   string
		public string
		want   bool
	}{
		{"the secret after many words", words + secret, "", true},
		{"the secret before many words", secret + "\n" + words, "", true},
		{"half of it", secret[10:32], "", true},
		{"less than half", secret[:19], "", false},
		{"in base64 after many words", words + base64.StdEncoding.EncodeToString([]byte(secret)), "", true},
		{"in hex, reversed", backwards(hex.EncodeToString([]byte(secret))), "", true},
		{"in percent", "https://x.example/%71" + secret[1:], "", true},
		{"in lines", secret[:15] + "\n" + secret[15:], "", true},
		{"a client id that is a half of it", secret[:21], secret[:21], false},
		{"only words", words, "", false},
	} {
		if got := RepeatsInLines(c.text, func() string { return c.public }, v); got != c.want {
			t.Errorf("%s: got %v, want %v", c.attack, got, c.want)
		}
	}
	if symbols := `%Q!"2<>#*&/+(]){;}~^:?`; !RepeatsInLines("x\n"+symbols, func() string { return "" }, NewValue([]byte(symbols))) {
		t.Error("a secret of signs is not found")
	}
	pieces := []string{"x " + secret[20:25], secret[5:10], strings.ToUpper(secret[:4]), "no"}
	if !RepeatsInPieces(pieces, v) || RepeatsInPieces(pieces[2:], v) || RepeatsInPieces([]string{words}, v) {
		t.Error("pieces are not told from words")
	}
}

// A text as long as an answer may be is searched in a time that nobody notices.
func BenchmarkRepeats(b *testing.B) {
	text := strings.Repeat(`{"user_id":"0f8fad5b-d9cb-469f-a165-70867728950e","provider":"STRAVA"},`, 50)
	open := []Value{NewValue([]byte("5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa"))}
	for b.Loop() {
		RepeatsMost(text, "", open...)
	}
}

// What a run has opened is gone when it ends, wherever it was passed on to.
func TestForgetWipesWhatWasOpened(t *testing.T) {
	t.Parallel()
	private, public, err := GenerateIdentity(false)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := LoadIdentities(Source{Inline: private.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipients([]string{public}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := Binding{Account: "default", DevID: "dev", Provider: "strava", Field: "client_secret"}
	sealed, err := Seal(NewValue([]byte("5f1d3e0c9b8a7f6e")), at, to)
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := ids.Open(sealed, at, false)
	if err != nil {
		t.Fatal(err)
	}
	passedOn := v
	if got := ids.Opened(); len(got) != 1 || !got[0].Equal(v) {
		t.Errorf("%d opened secrets, want the one", len(got))
	}
	ids.Forget()
	if passedOn.Reveal() != "" || !v.IsZero() || len(ids.Opened()) != 0 {
		t.Error("a copy still holds the text")
	}
	mine, theirs := ids.ForRun(), ids.ForRun()
	kept, _, err := mine.Open(sealed, at, false)
	if theirs.Forget(); err != nil || kept.IsZero() {
		t.Errorf("the end of one run takes the secrets of another: %v", err)
	}
	again, _, err := ids.Open(sealed, at, false)
	if err != nil || again.Reveal() != "5f1d3e0c9b8a7f6e" {
		t.Errorf("the next run cannot open it: %v", err)
	}
}

// TestHostileCopies puts a sealed secret where it does not belong: it is not opened there,
// not even for a comparison.
func TestHostileCopies(t *testing.T) {
	t.Parallel()
	private, public, err := GenerateIdentity(false)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := LoadIdentities(Source{Inline: private.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipients([]string{public}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := Binding{Account: "default", DevID: "prod", Provider: "strava", Field: "client_secret"}
	sealed, err := Seal(NewValue([]byte("5f1d3e0c9b8a7f6e")), at, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		attack string
		want   Binding
	}{
		{attack: "into another environment", want: Binding{Account: "default", DevID: "staging", Provider: "strava", Field: "client_secret"}},
		{attack: "to another provider", want: Binding{Account: "default", DevID: "prod", Provider: "huawei", Field: "client_secret"}},
		{attack: "into another field", want: Binding{Account: "default", DevID: "prod", Provider: "strava", Field: "verification_secret"}},
		{attack: "under another account", want: Binding{Account: "acme", DevID: "prod", Provider: "strava", Field: "client_secret"}},
	} {
		run := ids.ForRun()
		if v, _, err := run.Open(sealed, c.want, true); err == nil || !v.IsZero() || len(run.Opened()) != 0 {
			t.Errorf("%s: %v, %d secrets are open", c.attack, err, len(run.Opened()))
		}
	}
	if _, _, err := ids.Open(sealed, at, false); err != nil {
		t.Fatal(err)
	}
	if own, others := len(ids.OpenedFor("default", "prod")), len(ids.OpenedFor("default", "staging"))+len(ids.OpenedFor("acme", "prod")); own != 1 || others != 0 {
		t.Errorf("%d secrets are open for their environment and %d for others", own, others)
	}
}
