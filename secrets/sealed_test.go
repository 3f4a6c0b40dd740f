package secrets

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age/armor"
)

func TestParseGivesOneFormForOneFile(t *testing.T) {
	_, public := keyPair(t, false)
	s := seal(t, place(), recipientsOf(t, nil, public))
	text := s.Armor()
	for name, variant := range map[string]string{
		"as written": text, "CRLF": strings.ReplaceAll(text, "\n", "\r\n"), "no last line ending": strings.TrimSuffix(text, "\n"),
		"blank lines around": "\n\n" + text + "\n\n",
	} {
		got, err := Parse(variant)
		if err != nil || got != s || got.Token() != s.Token() {
			t.Errorf("%s: got %q, %v, want the same Sealed", name, got.Token(), err)
		}
	}
	sum := sha256.Sum256([]byte(text))
	if got, want := s.Token(), "sha256:"+hex.EncodeToString(sum[:]); got != want {
		t.Errorf("got token %q, want %q, the digest of the armored text", got, want)
	}
	if again := seal(t, place(), recipientsOf(t, nil, public)); again.Token() == s.Token() {
		t.Error("sealing twice gave the same token")
	}
	if (Sealed{}).Token() != "" || !(Sealed{}).IsZero() || s.IsZero() {
		t.Error("only the zero Sealed is zero and has no token")
	}
}

func TestParseRefusalsShowNothing(t *testing.T) {
	_, public := keyPair(t, false)
	text := seal(t, place(), recipientsOf(t, nil, public)).Armor()
	lines := strings.SplitAfter(text, "\n")
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "must begin with"},
		"not sealed at all":   {planted, "must begin with"},
		"secret after BEGIN":  {armor.Header + "\n" + planted + "\n" + armor.Footer + "\n", "damaged"},
		"secret on BEGIN":     {armor.Header + planted + "\n", "damaged"},
		"secret after END":    {text + planted, "damaged"},
		"secret for END":      {strings.Replace(text, armor.Footer, planted, 1), "damaged"},
		"indented":            {strings.ReplaceAll(text, "\n", "\n  "), "damaged"},
		"first line indented": {"  " + text, "damaged"},
		"line missing":        {strings.Join(append(lines[:1:1], lines[2:]...), ""), "no age file"},
		"cut":                 {text[:len(text)/2], "damaged"},
		"END missing":         {strings.Replace(text, armor.Footer, "", 1), "damaged"},
		"armored text":        {mustArmor(t, "hello "+planted), "no age file"},
		"armored nothing":     {mustArmor(t, ""), "no age file"},
		"other version":       {mustArmor(t, "age-encryption.org/v9\n"), "no age file"},
		"huge":                {armor.Header + "\n" + strings.Repeat("A", maxArmored), "larger than 64 KiB"},
		"twice":               {text + text, "damaged"},
	} {
		s, err := Parse(c.text)
		if err == nil || !s.IsZero() || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
			continue
		}
		if piece := leaks(err.Error(), planted); piece != "" {
			t.Errorf("%s: the error shows %q", name, piece)
		}
	}
}

func mustArmor(t *testing.T, contents string) string {
	t.Helper()
	s, err := armorBytes([]byte(contents))
	if err != nil {
		t.Fatal(err)
	}
	return s.Armor()
}

// TestSealedFilesOfVersionOneOpenForEver opens a file that was sealed when the
// envelope was invented, for a key made for this test alone.
func TestSealedFilesOfVersionOneOpenForEver(t *testing.T) {
	s, err := Parse(fixture(t, "envelope-v1.age"))
	if err != nil {
		t.Fatal(err)
	}
	const token = "sha256:2428dd0a8b8b93ecfec53759684426fab44d1a09c465bdf5e06b5fbe1a839ebb"
	if got := s.Token(); got != token {
		t.Errorf("got token %s, want %s: lock files in users' repositories would no longer match", got, token)
	}
	v, opened, err := identitiesOf(t, nil, fixture(t, "envelope-v1.identity")).Open(s, place(), false)
	if err != nil || v.Reveal() != "sealed-by-version-one" || opened.Plain {
		t.Errorf("got %+v, %v, want it open and bound", opened, err)
	}
}

func fixture(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func FuzzParse(f *testing.F) {
	text := fixture(f, "envelope-v1.age")
	for _, s := range []string{"", text, strings.ReplaceAll(text, "\n", "\r\n"), armor.Header, text + "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if !s.IsZero() {
				t.Fatal("an error came with a Sealed")
			}
			return
		}
		again, err := Parse(s.Armor())
		if err != nil || again != s {
			t.Fatalf("the canonical form does not parse to itself: %v", err)
		}
		if _, err := s.Kinds(); err != nil {
			t.Fatalf("parsed, but its header does not: %v", err)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		"", "\n", planted, planted + "\r\n", envelopeHeader + "a/b/c\nx", envelopeHeader + "a/b/c/d\nx", envelopeHeader + "default/b/c/d\nx", envelopeHeader + "a/b\nx", envelopeMark,
		"terra-reconcile/2 a/b/c\nx", envelopeHeader + "a/b/c", envelopeHeader + "a//c\n", envelopeHeader + "a/b/c\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		value, b, plain, err := unwrapEnvelope(payload)
		marked := strings.HasPrefix(string(payload), envelopeMark)
		switch {
		case err != nil && (!marked || len(value) > 0 || plain || b != Binding{}):
			t.Fatalf("an error came with an answer, or for a plain payload: %v", err)
		case err != nil:
		case plain == marked:
			t.Fatalf("plain is %t for a payload whose mark is there %t", plain, marked)
		case plain:
			if rest := strings.TrimPrefix(string(payload), string(value)); rest != "" && rest != "\n" && rest != "\r\n" {
				t.Fatalf("more than a line ending was dropped: %q", rest)
			}
		case string(wrapEnvelope(NewValue(value), b)) != string(payload):
			t.Fatalf("wrapping it again gives other bytes")
		case b.check() != nil:
			t.Fatalf("the binding is not one: %v", b.check())
		}
	})
}
