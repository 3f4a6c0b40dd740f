package providers

import (
	"strings"
	"testing"
)

func TestVirtuagymByItsOwnNames(t *testing.T) {
	p := virtuagym()
	for native, terra := range map[string]string{"portal_name": ClientID, "api_key": ClientSecret} {
		f, ok := p.Field(native)
		if !ok || f.Name != terra {
			t.Errorf("%s is %q, want %q", native, f.Name, terra)
		}
		if !strings.Contains(p.Example(Values{}), "  "+native+": ") {
			t.Errorf("the example does not say %s", native)
		}
	}
}

// TestVirtuagymSaysWhyItCannotBeProved holds the two halves of the answer: why,
// and what is checked instead.
func TestVirtuagymSaysWhyItCannotBeProved(t *testing.T) {
	p := virtuagym()
	if p.Probe != nil {
		t.Error("a probe of the pair that Terra stores cannot exist")
	}
	text := flat(p.Walkthrough(Values{}, nil))
	for _, want := range []string{
		"only together with a user's login or a club secret, which Terra does not store", "does not say which of them is wrong",
		"Checked instead: no space, quote or bracket around the key, no club secret in its place, its usual shape",
		"500 requests an hour; more are answered with status 421", "It comes by e-mail", "commit first, reset last",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the walk-through lacks %q", want)
		}
	}
}

func TestVirtuagymClubSecretIsNoAPIKey(t *testing.T) {
	for text, want := range map[string]string{
		"CS-12345-ACCESS-AbCdEfGhIjKlMnOpQrStUvWxY": "error: api_key is a club secret",
		"CS-acme-gyms-ACCESS-":                      "error: api_key is a club secret",
		strings.Repeat("aZ9", 14):                   "",
		"CSACCESS" + strings.Repeat("aZ9", 12):      "",
	} {
		if got := told(virtuagym().check("api_key", text)); !agrees(got, want) {
			t.Errorf("%d characters: %q, want %q", len(text), got, want)
		}
	}
}
