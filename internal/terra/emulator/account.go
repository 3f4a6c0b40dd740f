package emulator

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// States of a source. An absent source was never enabled.
const (
	active   = "active"
	paused   = "paused"
	disabled = "disabled"
)

const (
	standard = "standard"
	byo      = "byo"
)

// account is everything that Terra would remember. Its JSON form is the state
// file of the emulator.
type account struct {
	Version      int                         `json:"version"`
	Sequence     int                         `json:"sequence"`
	Tokens       map[string]*Token           `json:"tokens"` // by bearer
	Order        []string                    `json:"environment_order"`
	Environments map[string]*environment     `json:"environments"`
	Types        map[string]terra.SourceType `json:"source_types"` // replaces the catalogue's entry
	Domains      map[string]*domain          `json:"domains"`      // by hostname
	Foreign      []string                    `json:"foreign_domains"`
	Pairs        map[string]*pairs           `json:"provider_pairs"` // by provider
	Apps         map[string]*garminApp       `json:"garmin_apps"`    // by client id
	Stores       map[string]*secretStore     `json:"secret_stores"`
	Answers      map[string]*stored          `json:"idempotency"`
	Notices      map[string][]string         `json:"notices"` // by operation
	DomainsDown  bool                        `json:"domain_check_down"`

	uses map[string]int // how many sources have a hostname; follows from the rest
}

type environment struct {
	DevID   string                      `json:"dev_id"`
	Options EnvironmentOptions          `json:"options"`
	Sources map[string]*source          `json:"sources"`
	Types   map[string]terra.SourceType `json:"source_types"`
}

type source struct {
	State      string      `json:"state"`
	Variant    string      `json:"auth_variant"`
	Credential *Credential `json:"credential"`
	Customised bool        `json:"scopes_customised"`
	Scopes     []string    `json:"scopes"` // optional ones, when customised
	Domain     string      `json:"domain"`
	Active     int         `json:"active_users"`
	Inactive   int         `json:"inactive_users"`

	UsersOf string `json:"users_of,omitzero"` // client id of the app they met

	// While the live pair is wrong at the provider: since when, and how many of
	// the users inactive now fell because of it.
	WrongSince time.Time `json:"wrong_since,omitzero"`
	Fallen     int       `json:"fallen_users,omitzero"`
}

func newAccount() account {
	return account{
		Version:      1,
		Tokens:       map[string]*Token{},
		Environments: map[string]*environment{},
		Types:        map[string]terra.SourceType{},
		Domains:      map[string]*domain{},
		Pairs:        map[string]*pairs{},
		Apps:         map[string]*garminApp{},
		Stores:       map[string]*secretStore{},
		Answers:      map[string]*stored{},
		Notices:      map[string][]string{},
		uses:         map[string]int{},
	}
}

func (a *account) next() int {
	a.Sequence++
	return a.Sequence
}

// sourceType is what this environment sees of a provider.
func (s *Server) sourceType(e *environment, provider string) (terra.SourceType, bool) {
	if t, ok := e.Types[provider]; ok {
		return t, true
	}
	if t, ok := s.account.Types[provider]; ok {
		return t, true
	}
	t, ok := s.catalogue[provider]
	return t.SourceType, ok
}

func (s *Server) providers(e *environment) []string {
	names := map[string]bool{}
	for name := range s.catalogue {
		names[name] = true
	}
	for name := range s.account.Types {
		names[name] = true
	}
	for name := range e.Types {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// enabled returns the source when it is listed: active or paused.
func (e *environment) enabled(provider string) (*source, bool) {
	src, ok := e.Sources[provider]
	if !ok || src.State == disabled {
		return nil, false
	}
	return src, true
}

func (s *source) clone() *source {
	next := *s
	next.Scopes = slices.Clone(s.Scopes)
	next.Credential = s.Credential.clone()
	return &next
}

func (c *Credential) clone() *Credential {
	if c == nil {
		return nil
	}
	next := *c
	if c.SecretRef != nil {
		ref := *c.SecretRef
		ref.Config = maps.Clone(ref.Config)
		next.SecretRef = &ref
	}
	return &next
}

func (s *Server) now() time.Time {
	return s.config.Clock().UTC()
}

// misuse is how the set-up methods meet a mistake in the test that calls them.
func misuse(method, format string, args ...any) {
	panic("emulator: " + method + ": " + fmt.Sprintf(format, args...))
}
