package reconcile

import (
	"maps"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// consultCatalogue runs the catalogue's offline rules over every connection and
// adds the human steps it waits for. An error keeps a connection from being
// planned, the rest are warnings. Where the catalogue and Terra's source types
// disagree, Terra is believed and the plan says so.
func (p *prepared) consultCatalogue() {
	for i := range p.want {
		p.consult(i)
	}
}

func (p *prepared) consult(i int) {
	c, w := p.env.Connections[i], &p.want[i]
	provider, known, warnings := p.provider(c)
	name := p.env.Name + "/" + c.Provider
	for _, text := range warnings {
		if c.State != spec.Disabled { // that is the way out of most of them
			w.desired.Warnings = append(w.desired.Warnings, plan.Warn(name, text))
		}
	}
	if why := p.notOffered(c.Provider); why != "" && w.desired.State != plan.Disabled && w.desired.Unreadable == "" {
		w.desired.Unreadable = at(c.Origin) + ": " + why
	}
	if !known {
		return
	}
	w.tokens = provider.TokenLifetime
	seen := p.seenOf(c.Provider)
	w.take(withOrigin(provider.Check(c, seen), c.Origin))
	gates, open := provider.Waits(c, seen, p.env.Policy.RequireSetup)
	for _, g := range gates {
		w.desired.Waits = append(w.desired.Waits, plan.Wait{Step: g.Step, Reason: g.Reason, OwnApp: g.OwnApp})
	}
	for _, text := range open {
		w.desired.Warnings = append(w.desired.Warnings, plan.Warning{About: name, Cause: text.Cause, Text: name + ": " + text.Text,
			Next: "`reconcile providers " + c.Provider + "` says what to do"})
	}
}

// seenOf is what the catalogue's rules may know of a live connection.
func (p *prepared) seenOf(provider string) providers.Seen {
	seen := providers.Seen{Now: p.input.Now}
	if source := p.seen.sources[provider]; source.AuthRedirectURL != nil {
		seen.AuthRedirectURL = *source.AuthRedirectURL
	}
	if live := p.seen.live[provider].Credentials; live != nil {
		seen.OAuthVersion = live.OAuthVersion
	}
	return seen
}

// provider gives a provider as Terra sees it. It is not known when neither the
// catalogue nor Terra says anything about it.
func (p *prepared) provider(c spec.Connection) (provider providers.Provider, known bool, warnings []string) {
	slug := c.Provider
	provider, listed := providers.Lookup(slug)
	offer, offered := p.seen.types[slug]
	if !offered {
		return provider, listed, nil
	}
	facts := providers.SourceType{Deprecated: offer.Deprecated, BYOSupported: offer.BYO,
		CustomerCredentialsRequired: offer.CredentialsRequired, CustomCredentialsAllowed: offer.CustomCredentials}
	if !listed {
		provider, warning := providers.Unlisted(slug, facts)
		return provider, true, []string{warning}
	}
	keysMatter := c.Credentials.Present || offer.CredentialsRequired || offer.Deprecated || len(provider.Ends) > 0
	provider, warnings = provider.Believe(facts, p.input.Now)
	if !keysMatter {
		warnings = nil // whether keys could be set says nothing about a connection without
	}
	return provider, true, warnings
}

// notOffered says that Terra has never heard of a provider, where it said of what it
// has: a name that was typed wrong, or a provider that it does not offer here. What is
// live all the same is left to the plan.
func (p *prepared) notOffered(slug string) string {
	_, offered := p.seen.types[slug]
	_, live := p.seen.sources[slug]
	if p.seen.types == nil || offered || live {
		return ""
	}
	why := "Terra offers no provider `" + slug + "` in this environment"
	if near := spec.Nearest(slug, slices.Sorted(maps.Keys(p.seen.types))); near != "" {
		return why + "; did you mean `" + near + "`?"
	}
	return why + "; `reconcile providers` lists the names"
}

func withOrigin(found []providers.Finding, origin spec.Origin) []providers.Finding {
	for i := range found {
		if found[i].Origin.File == "" {
			found[i].Origin = origin
		}
	}
	return found
}
