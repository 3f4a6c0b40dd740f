package emulator

import (
	"maps"
	"slices"
)

// Snapshot is an environment as it is, secrets in plain text, for a test to
// compare. It is a copy.
type Snapshot struct {
	DevID   string
	Sources map[string]LiveSource // by provider; disabled ones too
}

// LiveSource is one source.
type LiveSource struct {
	State         string // active, paused, disabled
	AuthVariant   string // standard, byo
	Credential    *Credential
	Scopes        []string // the optional ones chosen, sorted; nil is no choice
	Domain        string   // hostname, empty for none
	DomainState   string   // PROVISIONING, ACTIVE, FAILED; empty without a domain
	DomainServes  bool
	Webhooks      map[string]WebhookRow // of the Garmin app in use, by row
	ActiveUsers   int
	InactiveUsers int
}

// Live returns the state of an environment.
func (s *Server) Live(devID string) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	e := s.mustEnvironment("Live", devID)
	out := Snapshot{DevID: devID, Sources: map[string]LiveSource{}}
	for provider, src := range e.Sources {
		l := LiveSource{
			State: src.State, AuthVariant: src.Variant, Credential: src.Credential.clone(),
			Domain: src.Domain, ActiveUsers: src.Active, InactiveUsers: src.Inactive,
		}
		if src.Customised {
			l.Scopes = append([]string{}, src.Scopes...)
		}
		if d := s.account.Domains[src.Domain]; d != nil {
			s.ripen(d)
			l.DomainState, l.DomainServes = d.State, d.Serving
		}
		if c := src.Credential; provider == "garmin" && c != nil && s.account.Apps[c.ClientID] != nil {
			l.Webhooks = maps.Clone(s.account.Apps[c.ClientID].Rows)
		}
		out.Sources[provider] = l
	}
	return out
}

// Environments returns the dev-ids in the order they were added.
func (s *Server) Environments() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.account.Order)
}

// Tokens returns the tokens by id, bearers included.
func (s *Server) Tokens() map[string]Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]Token{}
	for _, t := range s.account.Tokens {
		out[t.TokenID] = *t
	}
	return out
}
