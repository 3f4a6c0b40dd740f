package emulator

import (
	"fmt"
	"maps"
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
	s.advance()
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
		s.mustEnvironment("RemoveEnvironment", devID)
		for host, d := range s.account.Domains {
			if d.Owner == devID {
				s.account.forget(host)
			}
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
	s.edit("Disable", devID, provider, func(src *source) { *src = *s.off(src) })
}

// SetAuthVariant chooses whose app users meet: standard or byo.
func (s *Server) SetAuthVariant(devID, provider, variant string) {
	s.edit("SetAuthVariant", devID, provider, func(src *source) {
		src.Variant, src.StandardChosen = variant, variant == standard
	})
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

// WithdrawSourceType takes a provider of the catalogue off what is offered, in all
// environments.
func (s *Server) WithdrawSourceType(provider string) {
	s.change(func() { s.account.Withdrawn = append(s.account.Withdrawn, provider) })
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

// Behind Terra stand DNS, the data providers and the customer's secret stores.
// These methods act on them.

// SetDomain gives a source a custom domain that serves already.
func (s *Server) SetDomain(devID, provider, host string) {
	s.edit("SetDomain", devID, provider, func(src *source) {
		if _, shared := s.account.Domains[host]; !shared {
			d := &domain{Owner: devID, Provider: provider, Claimed: s.now()}
			s.serve(d)
			s.account.Domains[host] = d
		}
		src.Domain = host
	})
}

// PublishDNS publishes the A record of a claimed hostname. It does not serve yet.
func (s *Server) PublishDNS(host string) {
	s.change(func() { s.mustDomain("PublishDNS", host).Resolved = terraIP })
}

// Serve finishes the provisioning of a claimed hostname.
func (s *Server) Serve(host string) {
	s.change(func() { s.serve(s.mustDomain("Serve", host)) })
}

// FailDomain makes a hostname FAILED: it does not serve.
func (s *Server) FailDomain(host, reason string) {
	s.change(func() {
		d := s.mustDomain("FailDomain", host)
		d.State, d.Reason, d.Serving = failed, reason, false
	})
}

// TakeHostname gives a hostname to another account.
func (s *Server) TakeHostname(host string) {
	s.change(func() { s.account.Foreign = append(s.account.Foreign, host) })
}

// SetDomainCheck says whether Terra can check custom domains at all; if not, a
// redirect on one is 503.
func (s *Server) SetDomainCheck(works bool) {
	s.change(func() { s.account.DomainsDown = !works })
}

// SetSecretStore gives the customer a store that secret_ref may name. Unreachable
// stores answer nothing.
func (s *Server) SetSecretStore(store string, fields map[string]string, reachable bool) {
	s.change(func() {
		s.account.Stores[store] = &secretStore{Fields: maps.Collect(maps.All(fields)), Unreachable: !reachable}
	})
}

// SetWebhookRow edits a row of a Garmin app in Garmin's portal.
func (s *Server) SetWebhookRow(clientID, row string, r WebhookRow) {
	s.change(func() {
		if !slices.ContainsFunc(garminRows(), func(known [2]string) bool { return known[0] == row }) {
			misuse("SetWebhookRow", "unknown row %q", row)
		}
		app := s.account.Apps[clientID]
		if app == nil {
			app = &garminApp{Rows: map[string]WebhookRow{}}
			s.account.Apps[clientID] = app
		}
		app.Rows[row] = r
	})
}

// AddGarminApp saves one more Garmin app for an environment: Terra manages the webhooks of
// all it has saved.
func (s *Server) AddGarminApp(devID, clientID string) {
	s.edit("AddGarminApp", devID, "garmin", func(src *source) { src.MoreApps = append(src.MoreApps, clientID) })
}

// FailWebhookApply makes the next apply of webhooks fail once the first apps, so many of
// them, are written.
func (s *Server) FailWebhookApply(after int) {
	s.change(func() { s.applyFails = &after })
}

// LockWebhooks makes Garmin refuse saves as after a save.
func (s *Server) LockWebhooks(clientID string) {
	s.change(func() {
		app := s.account.Apps[clientID]
		if app == nil {
			app = &garminApp{Rows: map[string]WebhookRow{}}
			s.account.Apps[clientID] = app
		}
		app.LockedUntil = s.now().Add(s.config.WebhookLock)
	})
}

func (s *Server) mustDomain(method, host string) *domain {
	d, ok := s.account.Domains[host]
	if !ok {
		misuse(method, "no source claimed %q", host)
	}
	return d
}

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
	OwnApp        bool   // end users meet the own app
	Credential    *Credential
	Scopes        []string // the optional ones chosen, sorted; nil is no choice
	Domain        string   // hostname, empty for none
	DomainState   string   // PROVISIONING, ACTIVE, FAILED; empty without a domain
	DomainServes  bool
	Webhooks      map[string]WebhookRow   // of the Garmin app in use, by row
	MoreWebhooks  []map[string]WebhookRow // of the other saved Garmin apps
	ActiveUsers   int
	InactiveUsers int
}

// Live returns the state of an environment.
func (s *Server) Live(devID string) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	e := s.mustEnvironment("Live", devID)
	out := Snapshot{DevID: devID, Sources: map[string]LiveSource{}}
	for provider, src := range e.Sources {
		l := LiveSource{
			State: src.State, AuthVariant: src.Variant, Credential: src.Credential.clone(),
			Domain: src.Domain, ActiveUsers: src.Active, InactiveUsers: src.Inactive,
		}
		t, _ := s.sourceType(e, provider)
		if l.OwnApp = s.ownInUse(t, src); src.Customised {
			l.Scopes = append([]string{}, src.Scopes...)
		}
		if d := s.account.Domains[src.Domain]; d != nil {
			s.ripen(d)
			l.DomainState, l.DomainServes = d.State, d.Serving
		}
		if c := src.Credential; provider == "garmin" && c != nil && s.account.Apps[c.ClientID] != nil {
			l.Webhooks = maps.Clone(s.account.Apps[c.ClientID].Rows)
		}
		for _, id := range src.MoreApps {
			if app := s.account.Apps[id]; app != nil {
				l.MoreWebhooks = append(l.MoreWebhooks, maps.Clone(app.Rows))
			}
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
