package providers

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// catalogue is the list: one line a provider, sorted by slug.
func catalogue() []entry {
	return []entry{
		{"apple_health", appleHealth},
		{"biostrap", biostrap},
		{"cardiomood", cardiomood},
		{"concept2", concept2},
		{"core", core},
		{"cronometer", cronometer},
		{"dexcom", dexcom},
		{"dexcom_eu", dexcomEU},
		{"dexcom_jp", dexcomJP},
		{"eatthismuch", eatThisMuch},
		{"fatsecret", fatSecret},
		{"finalsurge", finalSurge},
		{"fitbit", fitbit},
		{"freestylelibre", freeStyleLibre},
		{"garmin", garmin},
		{"google_health", googleHealth},
		{"googlefit", googleFit},
		{"hammerhead", hammerhead},
		{"huawei", huawei},
		{"oura", oura},
		{"polar", polar},
		{"samsung", samsung},
		{"strava", strava},
		{"suunto", suunto},
		{"virtuagym", virtuagym},
		{"whoop", whoop},
		{"withings", withings},
	}
}

// entry names a provider beside the function that makes it, so that looking one
// up does not make them all.
type entry struct {
	slug string
	make func() Provider
}

// All returns the whole catalogue, sorted by slug. The caller owns the result.
func All() []Provider {
	list := catalogue()
	all := make([]Provider, len(list))
	for i, e := range list {
		all[i] = e.make()
	}
	slices.SortFunc(all, func(a, b Provider) int { return cmp.Compare(a.Slug, b.Slug) })
	return all
}

// Lookup returns the provider with that slug. Terra ignores case in slugs, and
// so does Lookup. The caller owns the result.
func Lookup(slug string) (Provider, bool) {
	slug = strings.ToLower(slug)
	for _, e := range catalogue() {
		if e.slug == slug {
			return e.make(), true
		}
	}
	return Provider{}, false
}

// SourceType is what Terra's list of source types says of one provider: the
// fields of the same names in the Admin API.
type SourceType struct {
	DisplayName                 string
	Deprecated                  bool
	BYOSupported                bool // users can meet your app instead of Terra's
	CustomerCredentialsRequired bool
	CustomCredentialsAllowed    bool
}

// keys reads Terra's answer to "are own keys possible or needed?".
func (t SourceType) keys() Keys {
	switch {
	case t.CustomerCredentialsRequired:
		return KeysRequired
	case t.CustomCredentialsAllowed, t.BYOSupported:
		return KeysOptional
	}
	return KeysNone
}

// WithSourceType returns p as Terra sees it, and a warning for each point on which the
// catalogue said something else. A provider whose end the catalogue knows, but
// which Terra still offers with its own app, is no longer an error.
func (p Provider) WithSourceType(t SourceType, now time.Time) (Provider, []string) {
	var warnings []string
	if k := t.keys(); k != p.Keys && !(k == KeysNone && p.setByTerra()) {
		warnings = append(warnings, "Terra says that own keys for "+p.Slug+" are "+k.says()+
			"; our catalogue says "+p.Keys.says()+". Terra is believed")
		p.Keys = k
		if p.Keys == KeysNone {
			p.Why = "Terra says that " + p.Name + " takes no keys of your own."
		}
	}
	var ends []EndOfLife
	for _, e := range p.Ends {
		if e.Blocks && e.over(now) && !t.Deprecated {
			warnings = append(warnings, "our catalogue says that "+e.What+" ended on "+e.Date+
				", but Terra still offers "+p.Slug+". Terra is believed")
			continue
		}
		ends = append(ends, e)
	}
	p.Ends = ends
	if t.Deprecated {
		warnings = append(warnings, "Terra marks "+p.Slug+" as deprecated")
	}
	return p, warnings
}

// setByTerra reports whether Terra support sets the own app, so that Terra's list
// does not offer what a person can still ask for.
func (p Provider) setByTerra() bool { return p.Reset.Order == AskTerra }

// says is the word in a sentence.
func (k Keys) says() string {
	if k == KeysNone {
		return "impossible"
	}
	return k.String()
}

// Unlisted makes a provider that the catalogue does not hold from what Terra
// says. It has the checks that hold for every provider and nothing else.
func Unlisted(slug string, t SourceType) (Provider, string) {
	p := Provider{
		Slug: slug, Name: t.DisplayName, Keys: t.keys(),
		Why:      "Terra says so; our catalogue does not hold this provider.",
		Fields:   []Field{{Name: ClientID, Label: "client id", Sample: "your-client-id"}, {Name: ClientSecret, Label: "client secret"}},
		Reset:    Reset{Effect: "What a reset does to the old secret is not known here: take it as dead at once."},
		Unproved: "Our catalogue does not hold this provider.",
	}
	if p.Name == "" {
		p.Name = slug
	}
	if p.Keys == KeysNone {
		p.Fields, p.Reset = nil, Reset{Effect: "There is no key to reset."}
	}
	return p, "our catalogue does not hold " + slug + ": only Terra's own description of it is used"
}

// Vocabulary returns the words that the configuration files may use, for
// [spec.Load].
func Vocabulary() spec.Vocabulary {
	var v spec.Vocabulary
	for _, p := range All() {
		v.Providers = append(v.Providers, p.Words())
	}
	return v
}

// Words returns the words of one provider. A step whose evidence is an option
// is not among the steps that a file may name, because nothing is written there.
func (p Provider) Words() spec.Words {
	w := spec.Words{
		Slug:     p.Slug,
		Native:   map[string]string{},
		Options:  map[string][]string{},
		Domain:   p.CustomDomain,
		Webhooks: p.Webhooks,
		Says:     map[string]string{},
	}
	for _, f := range p.Fields {
		if f.Native != "" {
			w.Native[f.Native] = f.Name
		}
	}
	for _, o := range p.Options {
		w.Options[o.Name], w.Says["options."+o.Name] = o.Values, o.Says
	}
	for _, s := range p.Steps {
		if s.written() {
			step := "setup." + s.Name
			w.Setup, w.Says[step] = append(w.Setup, s.Name), s.Do
			for _, e := range s.Evidence {
				if !e.Option && e.Name != "done" {
					w.Says[step+"."+e.Name] = e.Says
				}
			}
		}
	}
	return w
}

// written reports whether a file has something to say about the step.
func (s Step) written() bool {
	for _, e := range s.Evidence {
		if !e.Option {
			return true
		}
	}
	return false
}
