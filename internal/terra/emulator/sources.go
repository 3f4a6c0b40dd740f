package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

func (s *Server) view(e *environment, provider string, src *source) terra.Source {
	out := terra.Source{Provider: provider, Active: src.State == active, AuthVariant: src.Variant}
	t, _ := s.sourceType(e, provider)
	own := src.Credential
	if !s.ownInUse(t, src) {
		own = nil
	}
	if redirect := s.redirectOf(e, provider, t, own); redirect != "" {
		out.AuthRedirectURL = &redirect
	}
	return out
}

// redirectOf is where users return to: what the own app asks for, else Terra's own
// address; "" where the provider has none.
func (s *Server) redirectOf(e *environment, provider string, t terra.SourceType, own *Credential) string {
	base := "https://access.tryterra.co/api/v2/auth/"
	switch {
	case t.AuthType != "oauth1" && t.AuthType != "oauth2":
		return ""
	case own != nil && own.RedirectURL != "":
		return own.RedirectURL
	case s.config.DefaultHost != "":
		base = "https://" + s.config.DefaultHost + "/auth/"
	case e.Options.LegacyHost:
		base = "https://api.tryterra.co/v2/auth/"
	}
	return base + provider + "/" + t.AuthType
}

func (s *Server) listSources(q *request) (answer, *refusal) {
	list := []terra.Source{}
	for provider, src := range q.env.Sources {
		if src.State != disabled {
			list = append(list, s.view(q.env, provider, src))
		}
	}
	slices.SortFunc(list, func(a, b terra.Source) int { return strings.Compare(a.Provider, b.Provider) })
	return complete(shuffle(s, list)), nil
}

// enable returns the source as it would be after an enable, and what that is.
func (s *Server) enable(e *environment, provider string) (*source, string, *refusal) {
	src, ok := e.Sources[provider]
	if ok && src.State == active {
		return src, noop, nil
	}
	if t, _ := s.sourceType(e, provider); t.Deprecated && !slices.Contains(e.Options.Preview, provider) {
		r := unsupported("The provider %s is deprecated.", provider)
		r.remediation = "Ask Terra for preview access."
		return nil, "", r
	}
	if !ok {
		return &source{State: active, Variant: standard}, "enable", nil
	}
	next := src.clone()
	next.State = active
	if src.State == paused {
		return next, "resume", nil
	}
	return next, "enable", nil
}

func (s *Server) enableSource(q *request) (change, *refusal) {
	if _, r := s.target(q); r != nil {
		return change{}, r
	}
	next, would, r := s.enable(q.env, q.provider)
	if r != nil {
		return change{}, r
	}
	return s.replace(q, would, next), nil
}

// replace is the change of one source into next; unless it is a noop.
func (s *Server) replace(q *request, would string, next *source) change {
	c := change{would: would, status: http.StatusOK, result: s.view(q.env, q.provider, next)}
	if would != noop {
		c.commit = q.put(next)
	}
	return c
}

func (q *request) put(next *source) func() {
	return func() { q.env.Sources[q.provider] = next }
}

func (s *Server) updateSource(q *request) (change, *refusal) {
	t, src, r := s.listed(q)
	if r != nil {
		return change{}, r
	}
	f, r := readFields(q.http.Header, q.body, "active", "auth_variant")
	if r != nil {
		return change{}, r
	}
	if len(f.raw) == 0 {
		return change{}, invalid("body: at least one field is needed")
	}
	on, variant := f.flag("active"), f.text("auth_variant")
	if variant != nil && *variant != standard && *variant != byo {
		f.fail("auth_variant", "must be standard or byo")
	}
	if r := f.refusal(); r != nil {
		return change{}, r
	}
	next := src.clone()
	would := noop
	chosen := variant != nil && *variant == standard
	if variant != nil && (*variant != src.Variant || chosen != src.StandardChosen && src.Credential != nil) {
		if *variant == byo && !t.BYOSupported {
			return change{}, unsupported("The provider %s cannot meet users with your app.", q.provider)
		}
		if t.Deprecated && !slices.Contains(q.env.Options.Preview, q.provider) {
			return change{}, unsupported("The provider %s is deprecated.", q.provider)
		}
		if *variant == byo && src.Credential == nil && s.config.ByoNeedsKeys {
			return change{}, refuse(http.StatusConflict, "conflict", "No own credentials are set for %s.", q.provider)
		}
		next.Variant, next.StandardChosen, would = *variant, chosen, "update"
	}
	if on != nil && *on != (src.State == active) {
		next.State, would = paused, "pause"
		if *on {
			if next, would, r = s.enable(q.env, q.provider); r != nil {
				return change{}, r
			}
			if variant != nil {
				next.Variant, next.StandardChosen = *variant, chosen
			}
		}
	}
	return s.replace(q, would, next), nil
}

type named struct {
	Provider string `json:"provider"`
}

func (s *Server) disableSource(q *request) (change, *refusal) {
	_, src, r := s.listed(q)
	if r != nil {
		return change{}, r
	}
	return change{
		would: "disable", status: http.StatusNoContent, result: named{q.provider},
		commit: q.put(s.off(src)),
	}, nil
}

// off is a source after a disable: its credentials are kept, its choice of scopes is not.
func (s *Server) off(src *source) *source {
	next := src.clone()
	if next.State = disabled; !s.config.KeepsScopes {
		next.Customised, next.Scopes = false, nil
	}
	return next
}

type sourceList struct {
	Data []terra.Source `json:"data"`
}

func (s *Server) batchEnable(q *request) (change, *refusal) {
	names, r := s.batch(q)
	if r != nil {
		return change{}, r
	}
	next := map[string]*source{}
	list := sourceList{Data: []terra.Source{}}
	var errs []string
	for i, provider := range names {
		src, would, r := s.enable(q.env, provider)
		if r != nil {
			errs = append(errs, fmt.Sprintf("providers[%d]: %s", i, r.detail))
			continue
		}
		list.Data = append(list.Data, s.view(q.env, provider, src))
		if would != noop {
			next[provider] = src
		}
	}
	if len(errs) > 0 {
		r := unsupported("Deprecated providers cannot be enabled; nothing was changed.")
		r.errors = errs
		return change{}, r
	}
	c := change{would: noop, status: http.StatusOK, result: list}
	if len(next) > 0 {
		c.would, c.commit = "enable", q.putAll(next)
	}
	return c, nil
}

func (q *request) putAll(next map[string]*source) func() {
	return func() {
		for provider, src := range next {
			q.env.Sources[provider] = src
		}
	}
}

func (s *Server) batchDisable(q *request) (change, *refusal) {
	names, r := s.batch(q)
	if r != nil {
		return change{}, r
	}
	next := map[string]*source{}
	var errs []string
	for i, provider := range names {
		src, ok := q.env.enabled(provider)
		if !ok {
			errs = append(errs, fmt.Sprintf("providers[%d]: %s is not enabled", i, provider))
			continue
		}
		next[provider] = s.off(src)
	}
	if len(errs) > 0 {
		r := refuse(http.StatusNotFound, "not_found", "Not all providers are enabled; nothing was changed.")
		r.errors = errs
		return change{}, r
	}
	return change{
		would: "disable", status: http.StatusNoContent, result: providerList{names}, commit: q.putAll(next),
	}, nil
}

type providerList struct {
	Providers []string `json:"providers"`
}

// batch reads 1 to 100 known providers without repetition, in lower case.
func (s *Server) batch(q *request) ([]string, *refusal) {
	f, r := readFields(q.http.Header, q.body, "providers")
	if r != nil {
		return nil, r
	}
	names := f.texts("providers")
	if r := f.refusal(); r != nil {
		return nil, r
	}
	if len(names) < 1 || len(names) > 100 {
		return nil, invalid("providers: must name 1 to 100 providers")
	}
	seen := map[string]bool{}
	for i, name := range names {
		names[i] = strings.ToLower(name)
		at := fmt.Sprintf("providers[%d]", i)
		if _, ok := s.sourceType(q.env, names[i]); !ok {
			f.fail(at, "unknown provider "+quote(name))
		} else if seen[names[i]] {
			f.fail(at, "repeated provider "+names[i])
		}
		seen[names[i]] = true
	}
	q.call.Providers = slices.Clone(names)
	return names, f.refusal()
}

func (s *Server) scopesView(provider string, src *source) terra.SourceScopes {
	out := terra.SourceScopes{Provider: provider, Customised: src.Customised, Scopes: []terra.Scope{}}
	for _, scope := range s.catalogue[provider].scopes {
		on := scope.Required || scope.Enabled
		if src.Customised {
			on = scope.Required || slices.Contains(src.Scopes, scope.Scope)
		}
		scope.Enabled = on
		out.Scopes = append(out.Scopes, scope)
	}
	return out
}

func (s *Server) getScopes(q *request) (answer, *refusal) {
	_, src, r := s.listed(q)
	if r != nil {
		return answer{}, r
	}
	view := s.scopesView(q.provider, src)
	view.Scopes = shuffle(s, view.Scopes)
	return reply(http.StatusOK, view), nil
}

func (s *Server) setScopes(q *request) (change, *refusal) {
	_, src, r := s.listed(q)
	if r != nil {
		return change{}, r
	}
	f, r := readFields(q.http.Header, q.body, "scopes")
	if r != nil {
		return change{}, r
	}
	if !f.has("scopes") {
		return change{}, invalid("scopes: is required")
	}
	wanted := f.texts("scopes")
	optional := []string{}
	for i, name := range wanted {
		at := slices.IndexFunc(s.catalogue[q.provider].scopes, func(c terra.Scope) bool { return c.Scope == name })
		switch {
		case at < 0:
			f.fail("scopes", q.provider+" does not accept "+quote(name))
		case slices.Contains(wanted[:i], name):
			f.fail("scopes", name+" is there twice")
		case !s.catalogue[q.provider].scopes[at].Required:
			optional = append(optional, name)
		}
	}
	if r := f.refusal(); r != nil {
		return change{}, r
	}
	slices.Sort(optional)
	next := src.clone()
	next.Customised, next.Scopes = true, optional
	c := change{would: noop, status: http.StatusOK, result: s.scopesView(q.provider, next)}
	if !src.Customised || !slices.Equal(src.Scopes, optional) {
		c.would, c.commit = "replace", q.put(next)
	}
	return c, nil
}

func (s *Server) resetScopes(q *request) (change, *refusal) {
	_, src, r := s.listed(q)
	if r != nil {
		return change{}, r
	}
	c := change{would: noop, status: http.StatusNoContent, result: named{q.provider}}
	if src.Customised {
		next := src.clone()
		next.Customised, next.Scopes = false, nil
		c.would, c.commit = "reset", q.put(next)
	}
	return c, nil
}
