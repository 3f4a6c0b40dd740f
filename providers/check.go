package providers

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Seen is what a check knows beside the files. All but Now may be empty.
type Seen struct {
	Now             time.Time
	AuthRedirectURL string // the source's, as Terra shows it: decides what must stand in the portal
	OAuthVersion    string // of the live keys, as Terra shows it: "1" or "2"
	NotLive         bool   // Terra was asked, and does not have the connection
}

// Check looks at a connection without opening anything or asking anybody. It
// includes [Provider.CheckClientID]. Names that the [spec.Vocabulary] already
// guards are not checked again.
func (p Provider) Check(c spec.Connection, s Seen) []Finding {
	found := p.checkEnds(c, s)
	found = append(found, p.checkKeys(c)...)
	found = append(found, p.checkRedirect(c)...)
	found = append(found, p.checkWebhooks(c)...)
	found = append(found, p.checkOptions(c)...)
	found = append(found, p.checkRotation(c)...)
	return append(found, p.checkSetup(c, s)...)
}

// checkEnds reports what has ended or will. A connection that is to be
// disabled is left in peace: that is the way out. One that is live, or may be, is not
// refused for an end: it is there until somebody disables it.
func (p Provider) checkEnds(c spec.Connection, s Seen) []Finding {
	if c.State == spec.Disabled {
		return nil
	}
	var found []Finding
	for _, e := range p.Ends {
		if p.spared(e, c, s) {
			continue
		}
		f := Finding{Severity: spec.Warning, Field: "provider", Origin: c.Origin, Message: e.text(s.Now), Hint: e.Successor}
		if e.Blocks && e.over(s.Now) && s.NotLive && (c.State == spec.Active || c.Credentials.Present) {
			f.Severity = spec.Error
		}
		found = append(found, f)
	}
	return found
}

// spared reports whether an end surely does not concern the connection. What
// Terra shows of the live keys counts more than what a person recorded.
func (p Provider) spared(e EndOfLife, c spec.Connection, s Seen) bool {
	if e.OAuth1 && s.OAuthVersion != "" {
		return s.OAuthVersion != "1"
	}
	step, ok := p.Step(e.Step)
	return ok && p.shown(step, c, s)
}

// day is the first moment of the date; zero for one that is misspelt.
func (e EndOfLife) day() time.Time {
	day, _ := time.Parse(time.DateOnly, e.Date)
	return day
}

func (e EndOfLife) over(now time.Time) bool { return !now.Before(e.day()) }

// text says when, as seen from now.
func (e EndOfLife) text(now time.Time) string {
	if e.over(now) {
		return e.What + " ended on " + e.Date
	}
	const day = 24 * time.Hour
	days := int((e.day().Sub(now) + day - 1) / day) // a part of a day counts
	if days == 1 {
		return e.What + " ends on " + e.Date + ", in a day"
	}
	return e.What + " ends on " + e.Date + ", in " + strconv.Itoa(days) + " days"
}

func (p Provider) checkKeys(c spec.Connection) []Finding {
	var found []Finding
	own := c.App.Given() && c.App.Value == "own"
	switch {
	case p.Keys == KeysNone && c.Credentials.Present:
		return []Finding{{Severity: spec.Error, Field: "credentials", Origin: c.Credentials.Origin,
			Message: p.Name + " has no credentials", Hint: "remove `credentials` (" + strings.TrimSuffix(p.Why, ".") + ")"}}
	case p.Keys == KeysNone && own:
		return []Finding{{Severity: spec.Error, Field: "app", Origin: c.App.Origin,
			Message: p.Name + " has no app of one's own", Hint: "remove `app` (" + strings.TrimSuffix(p.Why, ".") + ")"}}
	case p.Keys == KeysRequired && c.App.Given() && c.App.Value == "terra":
		found = append(found, Finding{Severity: spec.Warning, Field: "app", Origin: c.App.Origin,
			Message: p.Name + " needs an app of your own; Terra has none to lend", Hint: "write `app: own` or remove `app`"})
	}
	if c.Scopes.Given() && slices.ContainsFunc(c.Scopes.Value, foreign) {
		found = append(found, Finding{Severity: spec.Warning, Field: "scopes", Origin: c.Scopes.Origin,
			Message: "a scope holds a letter or sign that no provider uses, such as a letter of another alphabet", Hint: "write it again, or copy it from the provider's documentation"})
	}
	if id := c.Credentials.ClientID; id.Given() {
		for _, f := range p.CheckClientID(id.Value) {
			f.Origin = id.Origin
			found = append(found, f)
		}
	}
	return found
}

// checkRedirect warns where Terra would refuse the address or the provider
// would not know it; Terra itself has the last word.
func (p Provider) checkRedirect(c spec.Connection) []Finding {
	r := c.Credentials.RedirectURL
	if !r.Given() || p.Keys == KeysNone {
		return nil
	}
	warn := func(message, hint string) []Finding {
		return []Finding{{Severity: spec.Warning, Field: "credentials.redirect_url", Origin: r.Origin, Message: message, Hint: hint}}
	}
	u, err := url.Parse(r.Value)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return warn("redirect_url is not an https address", "write it as https://HOST/PATH")
	}
	host := strings.ToLower(u.Hostname())
	terra := host == "tryterra.co" || strings.HasSuffix(host, ".tryterra.co")
	switch {
	case !terra && !p.CustomDomain:
		return warn("redirect_url is not on Terra's host, and "+p.Name+" cannot have a custom domain", "leave redirect_url out, or use the address that Terra shows")
	case !terra && c.Domain.Given() && !strings.EqualFold(c.Domain.Value, host):
		return warn("redirect_url is on another host than `domain`", "use the same host in both")
	case !terra && p.CustomRedirect != "" && u.Path != pathOf(p.CustomRedirect):
		return warn("the path of redirect_url is not the one that Terra documents for "+p.Name, "use the path "+pathOf(p.CustomRedirect))
	}
	return nil
}

// checkWebhooks warns where Terra would wait for ever: it sets webhooks only
// while the redirect is on a custom domain.
func (p Provider) checkWebhooks(c spec.Connection) []Finding {
	host := hostOf(c.Credentials.RedirectURL.Value)
	if !c.Webhooks || !c.Credentials.Present || host != "" && TerraHost(c.Credentials.RedirectURL.Value) == "" {
		return nil
	}
	return []Finding{{Severity: spec.Warning, Field: "webhooks", Origin: c.Origin,
		Message: "`webhooks: managed` needs the redirect on a domain of yours",
		Hint:    "write redirect_url: " + p.expand(p.CustomRedirect, Values{Domain: c.Domain.Value}) + " under `credentials`, and `domain`"}}
}

func (p Provider) checkOptions(c spec.Connection) []Finding {
	var found []Finding
	for _, o := range p.Options {
		given, ok := c.Options[o.Name]
		if !ok {
			continue
		}
		add := func(message, hint string) {
			found = append(found, Finding{Severity: spec.Error, Field: "options." + o.Name, Origin: given.Origin, Message: message, Hint: hint})
		}
		if !o.List && len(given.Values) > 1 {
			add(o.Name+" takes one value", "keep one")
		}
		for _, v := range given.Values {
			switch {
			case len(o.Values) > 0 && !slices.Contains(o.Values, v):
				add(o.Name+" "+strconv.Quote(v)+" is not known", "use "+strings.Join(o.Values, ", "))
			case o.Match != nil && !o.Match(v):
				add(o.Name+" "+strconv.Quote(v)+" is not "+o.Shape, "write "+o.Sample)
			}
			if meant := o.Meant[strings.ToUpper(v)]; meant != "" {
				found = append(found, Finding{Severity: spec.Warning, Field: "options." + o.Name, Origin: given.Origin,
					Message: o.Name + " " + strconv.Quote(v) + " is not " + o.Shape, Hint: "did you mean `" + meant + "`?"})
			}
		}
	}
	return found
}

// acceptable lists what a text with placeholders may stand for. A given
// redirect_url decides alone; else the custom domain and the live address; else
// Terra's two hosts. It is empty where nothing can be said.
func (p Provider) acceptable(want string, c spec.Connection, authRedirectURL string) []string {
	var from []Values
	redirect := c.Credentials.RedirectURL
	switch {
	case redirect.Given():
		from = []Values{{AuthRedirectURL: redirect.Value}}
		if h := hostOf(redirect.Value); h != "" && !strings.HasSuffix(h, ".tryterra.co") {
			from[0].Domain = h
		}
	case authRedirectURL != "":
		from = []Values{{AuthRedirectURL: authRedirectURL}}
	case p.Redirect != "":
		from = []Values{{}, {AuthRedirectURL: legacyRedirect(p)}}
	default:
		from = []Values{{}}
		if !strings.Contains(want, "{redirect}") {
			from = append(from, Values{AuthRedirectURL: "https://" + legacyHost})
		}
	}
	if !redirect.Given() && c.Domain.Given() {
		from = append(from, Values{Domain: c.Domain.Value})
	}
	var texts []string
	for _, v := range from {
		v.ClientID = c.Credentials.ClientID.Value
		text := p.expand(want, v)
		if text != "" && !strings.Contains(text, "<") && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// legacyRedirect is the redirect address of an older environment.
func legacyRedirect(p Provider) string {
	return strings.NewReplacer("{host}", legacyHost, "{api}", legacyHost).Replace(p.Redirect)
}

func pathOf(template string) string {
	_, rest, _ := strings.Cut(template, "://")
	_, path, _ := strings.Cut(rest, "/")
	return "/" + path
}

// Sets of characters that keys are made of.
const (
	digits    = "0123456789"
	lowerHex  = digits + "abcdef"
	upper     = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	letters   = upper + "abcdefghijklmnopqrstuvwxyz"
	alphanums = digits + letters
)

// made matches texts of a number of characters, all of them of a set.
func made(of string, least, most int) func(string) bool {
	return func(text string) bool {
		other := func(r rune) bool { return !strings.ContainsRune(of, r) }
		return len(text) >= least && len(text) <= most && !strings.ContainsFunc(text, other)
	}
}

// uuid matches 8-4-4-4-12 hexadecimal digits.
func uuid(text string) bool {
	parts, sizes := strings.Split(text, "-"), []int{8, 4, 4, 4, 12}
	if len(parts) != len(sizes) {
		return false
	}
	for i, part := range parts {
		if !made(lowerHex, sizes[i], sizes[i])(strings.ToLower(part)) {
			return false
		}
	}
	return true
}

// labelled is a value with the name that stood before it where it was copied. A
// secret in base64 may itself end in =.
var labelled = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^((client|consumer|app|api|verification|webhook|signing|access|refresh)[ _-]?)?` +
		`(id|secret|key|token|password)["']?\s*[:=]\s*[^\s=]`)
})

// Finding is something to report about a value or a connection. An Error blocks
// the connection, a Warning does not. No text of a finding holds a client id, a
// secret or a part of one.
type Finding struct {
	Severity spec.Severity
	Field    string // dotted, as in the file: "credentials.client_id"
	Message  string
	Hint     string      // the next step; "" where the message says it
	Command  string      // what to type for it, as in [spec.Problem]
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
		if r.Match(text) != r.Unwanted {
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
	if foreign(text) {
		severity := spec.Warning
		if f.Name != ClientID {
			severity = spec.Error
		}
		add(severity, "holds a letter or sign that no provider issues, such as a typographic dash or a letter of another alphabet", "copy it from the provider's portal")
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

// foreign reports letters and signs that come from a keyboard, a document or a chat.
func foreign(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// mistaken finds things that say themselves that they are not a client secret.
func mistaken(text string) (says, hint string) {
	const secret = "copy the client secret from the provider's portal"
	scheme, _, spaced := strings.Cut(strings.ToLower(text), " ")
	if says, next := spec.Elsewhere(text); says != "" {
		return says, next
	}
	switch {
	case spec.IsPlaceholder(text):
		return "is a placeholder, not a secret", secret
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
	case labelled().MatchString(text):
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

// checkRotation warns of a watch that ends before a bad secret can be seen, and of
// a proof that is demanded where none can be had.
func (p Provider) checkRotation(c spec.Connection) []Finding {
	var found []Finding
	r := c.Rotation
	if len(c.Credentials.Keys) == 0 || r.Origin.File == "" {
		return nil
	}
	if r.Soak < p.TokenLifetime {
		found = append(found, Finding{Severity: spec.Warning, Field: "rotation.soak", Origin: r.Origin,
			Message: fmt.Sprintf("rotation.soak %s is shorter than the %s that access tokens of %s live: a bad secret can stay unseen that long", Span(r.Soak), Span(p.TokenLifetime), p.Name),
			Hint:    fmt.Sprintf("write `soak: %s` or more", Span(p.TokenLifetime))})
	}
	for i, k := range c.Credentials.Keys {
		if r.MaxAge > 0 && !k.Unknown && k.Issued.IsZero() && k.NotBefore.IsZero() {
			found = append(found, Finding{Severity: spec.Warning, Field: "issued", Origin: k.Origin,
				Message: fmt.Sprintf("nothing says how old key %d is, so rotation.max_age (%d days) never warns of it", i+1, int(r.MaxAge/(24*time.Hour))),
				Hint:    "write it as an entry of `keys` with `issued: DATE`, the day it was made in the portal"})
		}
	}
	if r.Probe == "require" && p.Probe == nil {
		found = append(found, Finding{Severity: spec.Warning, Field: "rotation.probe", Origin: r.Origin,
			Message: "rotation.probe is require, and a pair of " + p.Name + " cannot be proved: each new key waits for an approval",
			Hint:    "write `probe: prefer`, or approve each key"})
	}
	return found
}

// Span writes a duration as a file has it: 6h, not 6h0m0s.
func Span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
