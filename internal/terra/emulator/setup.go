package emulator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// change runs f under the lock and marks the state as changed. What a test does
// through the set-up methods is what a person would do by hand: it is in no log.
func (s *Server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	s.revision++
	f()
	s.turn()
}

// AddToken adds a token, or replaces the one with the same bearer, and returns
// it as it was stored.
func (s *Server) AddToken(t Token) Token {
	s.change(func() {
		n := s.account.next()
		if t.Bearer == "" {
			t.Bearer = fmt.Sprintf("terra_at_emulator%08d", n)
		}
		if t.TokenID == "" {
			t.TokenID = fmt.Sprintf("token-%08d", n)
		}
		if t.Kind == "" {
			t.Kind = kindOf(t.Bearer)
		}
		if t.Scopes == nil {
			t.Scopes = DaemonScopes()
		}
		if t.GrantAnchorAt.IsZero() {
			t.GrantAnchorAt = s.now().Truncate(time.Second)
		}
		stored := t
		s.account.Tokens[t.Bearer] = &stored
	})
	return t
}

func kindOf(bearer string) string {
	for prefix, kind := range map[string]string{"terra_st_": "session", "terra_dt_": "data"} {
		if strings.HasPrefix(bearer, prefix) {
			return kind
		}
	}
	return "admin"
}

// RevokeToken makes a token unknown from now on.
func (s *Server) RevokeToken(bearer string) {
	s.change(func() {
		t, ok := s.account.Tokens[bearer]
		if !ok {
			misuse("RevokeToken", "no such token")
		}
		t.Revoked = true
	})
}

// AddEnvironment adds an environment, or changes the options of one.
func (s *Server) AddEnvironment(devID string, o EnvironmentOptions) {
	s.change(func() {
		if e, ok := s.account.Environments[devID]; ok {
			e.Options = o
			return
		}
		s.account.Order = append(s.account.Order, devID)
		s.account.Environments[devID] = &environment{
			DevID: devID, Options: o,
			Sources: map[string]*source{}, Types: map[string]terra.SourceType{},
		}
	})
}

// DisableEnvironment makes every call on an environment 403 environment_disabled.
func (s *Server) DisableEnvironment(devID string) {
	s.change(func() { s.mustEnvironment("DisableEnvironment", devID).Options.Disabled = true })
}

// RemoveEnvironment deletes an environment with all its connections.
func (s *Server) RemoveEnvironment(devID string) {
	s.change(func() {
		for _, src := range s.mustEnvironment("RemoveEnvironment", devID).Sources {
			s.account.use(src.Domain, "")
		}
		delete(s.account.Environments, devID)
		s.account.Order = slices.DeleteFunc(s.account.Order, func(id string) bool { return id == devID })
	})
}

// Enable makes a source active, as a person in the dashboard would.
func (s *Server) Enable(devID, provider string) {
	s.edit("Enable", devID, provider, func(src *source) { src.State = active })
}

// Pause makes a source paused.
func (s *Server) Pause(devID, provider string) {
	s.edit("Pause", devID, provider, func(src *source) { src.State = paused })
}

// Disable makes a source disabled; it keeps its credentials.
func (s *Server) Disable(devID, provider string) {
	s.edit("Disable", devID, provider, func(src *source) { *src = *src.off() })
}

// SetAuthVariant chooses whose app users meet: standard or byo.
func (s *Server) SetAuthVariant(devID, provider, variant string) {
	s.edit("SetAuthVariant", devID, provider, func(src *source) { src.Variant = variant })
}

// SetCredential replaces the own app of a source, without any check. A source
// that was never enabled becomes active.
func (s *Server) SetCredential(devID, provider string, c Credential) {
	s.edit("SetCredential", devID, provider, func(src *source) { src.Credential = c.clone() })
}

// RemoveCredential takes the own app of a source away.
func (s *Server) RemoveCredential(devID, provider string) {
	s.edit("RemoveCredential", devID, provider, func(src *source) { src.Credential = nil })
}

// SetScopes chooses the optional scopes of a source; nil is no choice.
func (s *Server) SetScopes(devID, provider string, scopes []string) {
	s.edit("SetScopes", devID, provider, func(src *source) {
		src.Customised, src.Scopes = scopes != nil, slices.Sorted(slices.Values(scopes))
	})
}

// SetUsers says how many end users a source has. Users are numbered, active ones
// first: fewer active users are the same users, some of them now inactive. They
// met the own app of the source and have fresh access tokens.
func (s *Server) SetUsers(devID, provider string, activeUsers, inactiveUsers int) {
	s.change(func() {
		e := s.mustEnvironment("SetUsers", devID)
		s.mustProvider("SetUsers", e, provider)
		src, ok := e.Sources[provider]
		if !ok {
			src = &source{State: disabled, Variant: standard}
			e.Sources[provider] = src
		}
		src.Active, src.Inactive = activeUsers, inactiveUsers
		src.UsersOf, src.WrongSince, src.Fallen = "", time.Time{}, 0
	})
}

// SetSourceType replaces an entry of the provider catalogue, for one environment
// or, with an empty dev-id, for all. It may name a provider of its own.
func (s *Server) SetSourceType(devID string, t SourceType) {
	s.change(func() {
		if devID == "" {
			s.account.Types[t.Provider] = t
			return
		}
		s.mustEnvironment("SetSourceType", devID).Types[t.Provider] = t
	})
}

// AddNotice sends a Terra-Notice header with each answer of an operation.
func (s *Server) AddNotice(operation, text string) {
	s.change(func() { s.account.Notices[operation] = append(s.account.Notices[operation], text) })
}

// ForgetIdempotencyKeys does what the end of Terra's retention would do.
func (s *Server) ForgetIdempotencyKeys() {
	s.change(func() { clear(s.account.Answers) })
}

func (s *Server) edit(method, devID, provider string, f func(*source)) {
	s.change(func() {
		e := s.mustEnvironment(method, devID)
		s.mustProvider(method, e, provider)
		next := &source{State: active, Variant: standard}
		if src, ok := e.Sources[provider]; ok {
			next = src.clone()
		}
		f(next)
		e.Sources[provider] = next
	})
}

func (s *Server) mustEnvironment(method, devID string) *environment {
	e, ok := s.account.Environments[devID]
	if !ok {
		misuse(method, "no environment %q", devID)
	}
	return e
}

func (s *Server) mustProvider(method string, e *environment, provider string) {
	if _, ok := s.sourceType(e, provider); !ok {
		misuse(method, "unknown provider %q", provider)
	}
}
