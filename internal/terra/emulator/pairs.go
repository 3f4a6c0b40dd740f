package emulator

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// pairs is what the data provider behind Terra thinks of client ids and secrets.
type pairs struct {
	Accepted      []pair `json:"accepted"` // not empty: no other pair is good
	Rejected      []pair `json:"rejected"`
	Unreachable   bool   `json:"unreachable"`
	QuotaUsed     bool   `json:"quota_used,omitzero"`
	TokenLifetime span   `json:"token_lifetime,omitzero"` // zero: see lifetimeOf
	UsersReturn   bool   `json:"users_return,omitzero"`
}

type pair struct {
	ClientID string    `json:"client_id"`
	Secret   string    `json:"client_secret"`
	Until    time.Time `json:"until,omitzero"` // of an accepted pair: when it dies; zero is never
}

// span is a duration that people write as 6h30m.
type span time.Duration

func (d span) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *span) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration %q: want one such as 6h or 90s", b)
	}
	*d = span(parsed)
	return nil
}

// AcceptPair lets a provider know a pair. From then on it knows no others, and
// Terra checks the pairs of that provider with it where Terra does so: at Garmin.
func (s *Server) AcceptPair(provider, clientID, secret string) {
	s.editPairs(provider, func(p *pairs) { p.accept(clientID, secret) })
}

// RejectPair lets a provider reject a pair.
func (s *Server) RejectPair(provider, clientID, secret string) {
	s.editPairs(provider, func(p *pairs) { p.Rejected = append(p.Rejected, pair{ClientID: clientID, Secret: secret}) })
}

// ResetSecret gives an app a new secret, as a person in the provider's portal
// does. Each older secret of the app dies after the overlap: zero is at once,
// and no reset lets one live longer than it had.
func (s *Server) ResetSecret(provider, clientID, secret string, overlap time.Duration) {
	s.editPairs(provider, func(p *pairs) {
		end := s.now().Add(overlap)
		for i, old := range p.Accepted {
			if old.ClientID == clientID && (old.Until.IsZero() || old.Until.After(end)) {
				p.Accepted[i].Until = end
			}
		}
		p.accept(clientID, secret)
	})
}

// SetReachable says whether anybody can reach a provider: Terra to check a pair,
// others to ask about one.
func (s *Server) SetReachable(provider string, reachable bool) {
	s.editPairs(provider, func(p *pairs) { p.Unreachable = !reachable })
}

// SetQuotaUsed says whether a provider answers questions about a pair with 429.
func (s *Server) SetQuotaUsed(provider string, used bool) {
	s.editPairs(provider, func(p *pairs) { p.QuotaUsed = used })
}

// SetTokenLifetime says how long an access token of a provider lives, and so how
// long a wrong secret can stay unseen.
func (s *Server) SetTokenLifetime(provider string, d time.Duration) {
	if d <= 0 {
		misuse("SetTokenLifetime", "%s is not positive", d)
	}
	s.editPairs(provider, func(p *pairs) { p.TokenLifetime = span(d) })
}

// SetUsersReturn says whether end users that fell away come back by themselves
// once the live pair is right again. They do not unless this says so.
func (s *Server) SetUsersReturn(provider string, back bool) {
	s.editPairs(provider, func(p *pairs) { p.UsersReturn = back })
}

// Declared lists the providers that pairs or the like were declared for.
func (s *Server) Declared() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.account.Pairs))
}

func (s *Server) editPairs(provider string, f func(*pairs)) {
	s.change(func() {
		if s.account.Pairs[provider] == nil {
			s.account.Pairs[provider] = &pairs{}
		}
		f(s.account.Pairs[provider])
	})
}

func (p *pairs) accept(clientID, secret string) {
	same := func(other pair) bool { return other.is(clientID, secret) }
	p.Accepted = append(slices.DeleteFunc(p.Accepted, same), pair{ClientID: clientID, Secret: secret})
	p.Rejected = slices.DeleteFunc(p.Rejected, same)
}

func (p pair) is(clientID, secret string) bool { return p.ClientID == clientID && p.Secret == secret }

// dies says when the provider stops to accept a pair, zero for never; false when
// it does not accept it at all.
func (p *pairs) dies(clientID, secret string) (at time.Time, known bool) {
	if slices.ContainsFunc(p.Rejected, func(other pair) bool { return other.is(clientID, secret) }) {
		return time.Time{}, false
	}
	for _, other := range p.Accepted {
		if other.is(clientID, secret) {
			return other.Until, true
		}
	}
	return time.Time{}, len(p.Accepted) == 0
}

// refuses reports whether the provider refuses a pair at a time.
func (p *pairs) refuses(clientID, secret string, now time.Time) bool {
	at, known := p.dies(clientID, secret)
	return !known || !at.IsZero() && !now.Before(at)
}

// checkPair asks the provider about a pair, where Terra does that: at Garmin. A
// provider nobody declared pairs for takes every pair.
func (s *Server) checkPair(provider, clientID, secret string) *refusal {
	p, ok := s.account.Pairs[provider]
	if !ok || provider != "garmin" {
		return nil
	}
	if p.Unreachable {
		return refuse(http.StatusServiceUnavailable, "dependency_failed", "%s could not be reached.", provider)
	}
	if p.refuses(clientID, secret, s.now()) {
		return refuse(http.StatusUnprocessableEntity, "provider_credentials_rejected",
			"%s rejected the credentials.", provider)
	}
	return nil
}
