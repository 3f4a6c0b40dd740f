package terra

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const (
	canarySecret = `Kx7%Qv"2<é>Zp9&Wm4/Lt8`
	canaryVerify = "Vf3-Hn6_Rb1+Jd5"
)

// echoes are the shapes in which a server could repeat a secret.
func echoes(secret string) map[string]string {
	inJSON, _ := json.Marshal(secret)
	all := map[string]string{
		"as it is": secret, "upper hex": strings.ToUpper(hex.EncodeToString([]byte(secret))), "hex": hex.EncodeToString([]byte(secret)),
		"query": url.QueryEscape(secret), "path": url.PathEscape(secret), "JSON": string(inJSON),
		"first half": secret[:len(secret)/2], "split by a control character": secret[:7] + "\x00" + secret[7:],
		"basic auth": base64.StdEncoding.EncodeToString([]byte("123456:" + secret)),
	}
	for shift := range 3 {
		padded := []byte(strings.Repeat("x", shift) + secret + "tail")
		all[fmt.Sprint("base64 at ", shift)] = base64.StdEncoding.EncodeToString(padded)
		all[fmt.Sprint("base64 for URLs at ", shift)] = base64.RawURLEncoding.EncodeToString(padded)
	}
	return all
}

// leak returns a piece of secret, in one of its forms, that stands in text.
func leak(text, secret string) string {
	for _, form := range []struct {
		text string
		n    int
	}{
		{secret, 6}, {hex.EncodeToString([]byte(secret)), 12}, {url.QueryEscape(secret), 8}, {url.PathEscape(secret), 8},
		{base64.StdEncoding.EncodeToString([]byte(secret)), 10},
	} {
		for i := 0; i+form.n <= len(form.text); i++ {
			if piece := form.text[i : i+form.n]; strings.Contains(text, piece) || strings.Contains(text, strings.ToUpper(piece)) {
				return piece
			}
		}
	}
	return ""
}

// TestErrorsHoldNoSecret makes a server repeat what it was sent in every part of
// every kind of bad answer.
func TestErrorsHoldNoSecret(t *testing.T) {
	tried := 0
	for _, secretText := range []string{canarySecret, canaryVerify, strings.TrimPrefix(testToken, tokenPrefix)} {
		for shape, echo := range echoes(secretText) {
			text, _ := json.Marshal("bad value: " + echo + " was sent")
			member := string(text)
			problem := func(code string) string {
				return `{"type":` + member + `,"title":` + member + `,"instance":` + member + `,"detail":` + member +
					`,"remediation":` + member + `,"errors":[` + member + `],"code":` + code + `}`
			}
			for name, answer := range map[string]func() (*http.Response, error){
				"problem":    with(reply(400, mediaProblem, problem(`"validation_failed"`))),
				"code":       with(reply(400, mediaProblem, problem(member))),
				"fault":      with(reply(500, mediaProblem, problem(`"internal_error"`))),
				"HTML":       with(reply(403, "text/html", echo)),
				"lost API":   with(reply(404, echo, echo)),
				"broken":     with(replyJSON(member + echo)),
				"wrong kind": with(replyJSON(strings.Replace(credentialsJSON, `"has_credentials":true`, `"has_credentials":`+member, 1))),
				"redirect":   with(reply(302, "", "", "Location", "https://"+url.PathEscape(echo)+".example/"+echo)),
				"connection": failing(fmt.Errorf("malformed HTTP response %q", echo)),
				"dial":       failing(&net.OpError{Op: "dial", Err: errors.New(echo)}),
			} {
				took(t, func(t *testing.T) {
					patch := CredentialPatch{ClientSecret: secret(canarySecret), VerificationSecret: To(secret(canaryVerify))}
					_, err := newClient(t, inTurn(answer)).UpdateCredentials(t.Context(), "dev-1", "strava", patch, "k")
					if err == nil {
						t.Fatalf("%s: no error", name)
					}
					for _, printed := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), chain(err)} {
						if piece := leak(printed, secretText); piece != "" {
							t.Errorf("%s, %s: the error holds %q: %s", name, shape, piece, printed)
						}
					}
				})
				tried++
			}
		}
	}
	if tried < 400 {
		t.Errorf("only %d answers were tried", tried)
	}
}

// chain prints err and everything that it wraps.
func chain(err error) string {
	var b strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, "%v %+v %#v\n", err, err, err)
	}
	return b.String()
}

func TestRequestsPrintNoSecret(t *testing.T) {
	patch := CredentialPatch{ClientSecret: secret(canarySecret), VerificationSecret: To(secret(canaryVerify))}
	write := CredentialWrite{ClientSecret: secret(canarySecret), VerificationSecret: secret(canaryVerify)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, v := range []string{fmt.Sprintf(verb, patch), fmt.Sprintf(verb, write), fmt.Sprintf(verb, patch.Canonical())} {
			for _, canary := range []string{canarySecret, canaryVerify} {
				if piece := leak(v, canary); piece != "" {
					t.Errorf("%s prints %q", verb, piece)
				}
			}
		}
	}
}

func TestServerTextIsOnePlainBoundedLine(t *testing.T) {
	for text, want := range map[string]string{
		"plain text":                              "plain text",
		"a\r\nb\tc":                               "a b c",
		"\x1b[31mred\x1b[0m \x07":                 "[31mred [0m",
		"\u202eevil\u2066":                        "evil",
		"\x9b31m":                                 "31m",
		"caf\u00e9 \u65e5\u672c":                  "caf\u00e9 \u65e5\u672c",
		"\xff\xfe":                                "",
		"line\u2028separator":                     "line separator",
		strings.Repeat("\u00e9", 600):             strings.Repeat("\u00e9", 499) + "…",
		strings.Repeat("x", 100_000):              strings.Repeat("x", 499) + "…",
		"zero\u200bwidth":                         "zero width",
		"  " + strings.Repeat(" ", 9000) + "late": "",
	} {
		if got := (scrubber{}).clean(text); got != want {
			t.Errorf("clean(%.40q) = %.60q, want %.60q", text, got, want)
		}
	}
}

func TestScrubbingKeepsOtherText(t *testing.T) {
	s := scrubber{near: []secrets.Value{secret("s3cret-value"), secret(""), secret("ab"), secret("must")}}
	for text, want := range map[string]string{
		"client_secret must not be empty":       "client_secret must not be empty",
		"got s3cret-value, want another":        withheld,
		"s3cret-values3cret-value":              withheld,
		"…cret-v… is a piece":                   withheld,
		"cret-x is no piece":                    "cret-x is no piece",
		"a short secret: ab":                    "a short secret: ab",
		"create a token that starts terra_at_…": "create a token that starts terra_at_…",
	} {
		if got := s.clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("some text s3cret-value", "s3cret-value")
	f.Add("\x1b[0m\xff", "aaaaaaaa")
	f.Add("aaaaaaaaaaaa", "aaaaaaa")
	f.Add("֣\x100", "\xa3 ") // begins inside a character
	f.Fuzz(func(t *testing.T, text, hidden string) {
		got := scrubber{near: []secrets.Value{secret(hidden)}}.clean(text)
		if n := utf8.RuneCountInString(got); n > maxServerText || !utf8.ValidString(got) {
			t.Errorf("%d characters, or invalid: %q", n, got)
		}
		if strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("a control character: %q", got)
		}
		for i := 0; i+6 <= len(hidden); i++ {
			if piece := hidden[i : i+6]; strings.Contains(got, piece) && got != withheld {
				t.Errorf("%q holds %q", got, piece)
			}
		}
	})
}
