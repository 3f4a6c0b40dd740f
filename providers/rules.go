package providers

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// labelled is a value with the name that stood before it where it was copied. A
// secret in base64 may itself end in =.
var labelled = regexp.MustCompile(`(?i)^((client|consumer|app|api|verification|webhook|signing|access|refresh)[ _-]?)?` +
	`(id|secret|key|token|password)["']?\s*[:=]\s*[^\s=]`)

// Finding is something to tell about a value or a connection. An Error blocks
// the connection, a Warning does not. No text of a finding holds a client id, a
// secret or a part of one.
type Finding struct {
	Severity spec.Severity
	Field    string // dotted, as in the file: "credentials.client_id"
	Message  string
	Hint     string      // the next step; "" where the message says it
	Origin   spec.Origin // zero where the caller must fill it in
}

// CheckClientID checks a client id offline. The origins of the findings are
// left to the caller.
func (p Provider) CheckClientID(id string) []Finding {
	return p.check(ClientID, id)
}

// CheckSecret checks an opened secret offline. Field is client_secret, the
// provider's name for it, or verification_secret, which only has the checks
// that hold for every secret. The origins of the findings are left to the
// caller.
func (p Provider) CheckSecret(field string, v secrets.Value) []Finding {
	return p.check(field, v.Reveal())
}

func (p Provider) check(name, text string) []Finding {
	f, known := p.Field(name)
	if !known {
		f = Field{Name: name}
	}
	var found []Finding
	add := func(severity spec.Severity, says, hint string) {
		found = append(found, Finding{
			Severity: severity, Field: "credentials." + name,
			Message: p.Name + " " + f.title(name) + " " + says, Hint: hint,
		})
	}
	if says, hint := stray(text); says != "" {
		add(spec.Error, says, hint)
		return found // the rules below would only say it again
	}
	if f.Name != ClientID {
		if says, hint := mistaken(text); says != "" {
			add(spec.Error, says, hint)
			return found
		}
	}
	for _, r := range f.Rules {
		if r.Pattern.MatchString(text) != r.Unwanted {
			continue
		}
		says := r.Says
		if !r.Unwanted {
			says += "; this one is not"
		}
		add(r.Severity, says, r.Hint)
		if r.Severity == spec.Error {
			return found
		}
	}
	if strings.ContainsFunc(text, unicode.IsSpace) && !f.Spaces || strings.ContainsAny(text, "\"'`<>") {
		add(spec.Warning, "holds a space, a quote or an angle bracket, which it usually does not", "compare it with the provider's portal")
	}
	return found
}

// title names the field as the reader knows it.
func (f Field) title(name string) string {
	if f.Native != "" && name != f.Native {
		return name + " (" + f.Native + ")"
	}
	return name
}

// stray finds what copying and pasting leaves behind: a repeated cause of false
// reports of an invalid client id, for every provider.
func stray(text string) (says, hint string) {
	const again = "copy it again without anything around it"
	if text == "" {
		return "is empty", "copy it from the provider's portal"
	}
	if !utf8.ValidString(text) {
		return "is not text (invalid UTF-8)", again
	}
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	for _, r := range []rune{first, last} {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r):
			return "begins or ends with a space or an invisible character", again
		case strings.ContainsRune("\"'`“”‘’„«»", r):
			return "begins or ends with a quote", again
		case r == '<' || r == '>':
			return "begins or ends with an angle bracket", again
		}
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "holds a line break or another control character", again
	}
	return "", ""
}

// mistaken finds things that say themselves that they are not a client secret.
func mistaken(text string) (says, hint string) {
	const secret = "copy the client secret from the provider's portal"
	scheme, _, spaced := strings.Cut(strings.ToLower(text), " ")
	switch {
	case spaced && (scheme == "bearer" || scheme == "basic" || scheme == "token"):
		return "is an Authorization header with an access token, not a client secret", secret
	case strings.HasPrefix(text, "terra_at_"), strings.HasPrefix(text, "terra_dt_"), strings.HasPrefix(text, "terra_st_"):
		return "is a Terra access token, not a client secret", secret + "; revoke the token, it stood where a client secret belongs"
	case strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-"):
		return "is an age identity, not a client secret", secret + "; make a new identity, this one stood where a client secret belongs"
	case strings.HasPrefix(text, "-----BEGIN "):
		return "is a key or an age file, not a client secret", secret
	case strings.Contains(text, "access_token"), strings.Contains(text, "refresh_token"):
		return "is the answer to a sign-in, with tokens, not a client secret", secret
	case signedToken(text):
		return "is an access token (a JWT), not a client secret", secret
	case labelled.MatchString(text):
		return "begins with the name of a field", secret + ", without the name before it"
	}
	return "", ""
}

// signedToken reports whether text is a JWT: three base64url parts, of which the
// first is a JSON object that names its algorithm.
func signedToken(text string) bool {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return false
	}
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return false
	}
	var header struct{ Alg string }
	return json.Unmarshal(head, &header) == nil && header.Alg != ""
}
