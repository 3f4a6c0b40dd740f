package emulator

import (
	"net/http"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

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

func (s *Server) scopable(q *request) (*source, *refusal) {
	t, src, r := s.listed(q)
	if r == nil && !t.CustomScopesSupported {
		r = unsupported("The scopes of %s cannot be chosen.", q.provider)
	}
	return src, r
}

func (s *Server) setScopes(q *request) (change, *refusal) {
	src, r := s.scopable(q)
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
	src, r := s.scopable(q)
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
