package providers

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Seen is what a check knows beside the files. All but Now may be empty.
type Seen struct {
	Now             time.Time
	AuthRedirectURL string // the source's, as Terra shows it: decides what must stand in the portal
	OAuthVersion    string // of the live keys, as Terra shows it: "1" or "2"
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

// checkEnds tells of what has ended or will. A connection that is to be
// disabled is left in peace: that is the way out.
func (p Provider) checkEnds(c spec.Connection, s Seen) []Finding {
	if c.State == spec.Disabled {
		return nil
	}
	var found []Finding
	for _, e := range p.Ends {
		if p.spared(e, c, s) {
			continue
		}
		f := Finding{Severity: spec.Warning, Field: "provider", Origin: c.Origin, Message: e.tell(s.Now), Hint: e.Successor}
		if e.Blocks && e.over(s.Now) && (c.State == spec.Active || c.Credentials.Present) {
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

// tell says when, as seen from now.
func (e EndOfLife) tell(now time.Time) string {
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
		return warn("the path of redirect_url is not the one that Terra documents for "+p.Name, "use https://"+host+pathOf(p.CustomRedirect))
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
			case o.Pattern != nil && !o.Pattern.MatchString(v):
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
		text := p.expand(want, v)
		if !strings.Contains(text, "<") && !slices.Contains(texts, text) {
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
