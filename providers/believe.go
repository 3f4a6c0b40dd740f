package providers

import "time"

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

// Believe returns p as Terra sees it, and a warning for each point on which the
// catalogue said something else. A provider whose end the catalogue knows, but
// which Terra still offers with its own app, is no longer an error.
func (p Provider) Believe(t SourceType, now time.Time) (Provider, []string) {
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
