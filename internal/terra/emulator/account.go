package emulator

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// BasePath is where the API begins on any host that serves the emulator.
const BasePath = "/api/v3/admin"

// BaseURL is a base URL for clients that reach the emulator through
// RoundTripper. No such host exists, so nothing can leak to a network.
const BaseURL = "https://terra.invalid" + BasePath

// Config says how a Server behaves. The zero value is a fast, unlimited server
// on the wall clock.
type Config struct {
	Clock     func() time.Time // nil is time.Now
	Latency   time.Duration    // waited before each call is looked at
	RateLimit Rate             // for each token; the zero value is no limit
	Seed      uint64           // of the order in which unordered lists come back

	// QuietLimit: nobody is told of the RateLimit before it refuses.
	QuietLimit bool

	// DomainDelay is how long after its claim a domain serves without anybody
	// calling Serve. Zero: never by itself.
	DomainDelay time.Duration

	// WebhookLock is how long Garmin refuses another save after one; zero is
	// three minutes.
	WebhookLock time.Duration

	// LogLimit bounds Log: the oldest calls are forgotten. Zero is unlimited.
	LogLimit int

	// Contract, when set, judges each exchange; see Violations.
	Contract Contract

	// Reading is how the contract is read where it is silent. The zero value is what
	// terra-reconcile may rely on the least; scenes run both ways.
	Reading

	// BadRequests says that the test means to break the contract: a request
	// outside of it is then a violation only if it was not refused.
	BadRequests bool
}

// Reading answers what the contract leaves open.
type Reading struct {
	// SilentPreviews: a preview of credentials never says noop, only what it would do.
	SilentPreviews bool

	// VariantDecides: where byo_supported, users meet the own app only with auth_variant
	// byo. Else own credentials alone do that, until auth_variant standard is chosen.
	VariantDecides bool

	// StandardStays: setting own credentials does not take back a choice of auth_variant
	// standard in words.
	StandardStays bool

	// ByoNeedsKeys: auth_variant byo is 409 while no own credentials are set.
	ByoNeedsKeys bool

	// ByoNowhere and ByoEverywhere: no type, or each that allows own credentials, has
	// byo_supported. Else the catalogue here says it.
	ByoNowhere, ByoEverywhere bool

	// ChecksPairs: a pair is tested with every provider that knows any, not with Garmin
	// alone.
	ChecksPairs bool

	// RedirectsAhead: a redirect_url may be on a custom domain that does not serve yet.
	RedirectsAhead bool

	// KeepsScopes: a source that was disabled comes back with its choice of scopes.
	KeepsScopes bool

	// ShowsDisabled: the credentials of a source that is not enabled can be read.
	ShowsDisabled bool

	// SharedUnseen: a domain that another environment set up is shown only while the
	// redirect is on it; claiming it changes nothing.
	SharedUnseen bool

	// Capitals: answers name providers in capitals, as Terra's data API does.
	Capitals bool

	// DefaultHost is the host of Terra's default redirects, where it is neither of the two
	// that are known.
	DefaultHost string
}

// Switch is one other way in which the contract can be read where it is silent.
type Switch struct {
	Name string
	Says string
	Set  func(*Reading)
}

// Switches lists them all.
func Switches() []Switch {
	return []Switch{
		{"silent-previews", "a preview of credentials never says noop", func(r *Reading) { r.SilentPreviews = true }},
		{"variant-decides", "end users meet the own app only with auth_variant byo", func(r *Reading) { r.VariantDecides = true }},
		{"standard-stays", "a choice of auth_variant standard outlasts new keys", func(r *Reading) { r.StandardStays = true }},
		{"byo-needs-keys", "auth_variant byo is 409 without own keys", func(r *Reading) { r.ByoNeedsKeys = true }},
		{"byo-nowhere", "no provider has byo_supported", func(r *Reading) { r.ByoNowhere = true }},
		{"byo-everywhere", "each that allows own keys has byo_supported", func(r *Reading) { r.ByoEverywhere = true }},
		{"checks-pairs", "pairs of every provider are tested, not those of Garmin alone", func(r *Reading) { r.ChecksPairs = true }},
		{"redirects-ahead", "a redirect may be on a domain that does not serve yet", func(r *Reading) { r.RedirectsAhead = true }},
		{"keeps-scopes", "a choice of scopes outlasts a disable", func(r *Reading) { r.KeepsScopes = true }},
		{"shows-disabled", "credentials of a source that is not enabled can be read", func(r *Reading) { r.ShowsDisabled = true }},
		{"shared-unseen", "a shared domain is shown only while the redirect is on it", func(r *Reading) { r.SharedUnseen = true }},
		{"capitals", "answers name providers in capitals", func(r *Reading) { r.Capitals = true }},
		{"other-default", "default redirects are on a host that nobody knows", func(r *Reading) { r.DefaultHost = "login.terra.example" }},
	}
}

// Contract judges one exchange by the description of the API. It answers what is
// wrong with the request and what is wrong with the answer, nil for nothing. It
// is called concurrently.
type Contract interface {
	Check(Exchange) (request, answer []string)
}

// Rate is a number of calls in a fixed window. Zero Calls is no limit.
type Rate struct {
	Calls int
	Per   time.Duration // zero is one minute
	Epoch bool          // X-RateLimit-Reset in epoch seconds, not seconds from now
}

// Token is a bearer token of the account.
type Token struct {
	Bearer  string `json:"bearer"`  // empty in AddToken: a deterministic terra_at_ token
	TokenID string `json:"id"`      // empty in AddToken: a deterministic one
	Kind    string `json:"kind"`    // admin, session, data; empty in AddToken: from the bearer's prefix
	Name    string `json:"name"`    // free text
	Owner   string `json:"owner"`   // the customer; empty in AddToken: customer-emulator, "-": Terra does not say
	Revoked bool   `json:"revoked"` // 401 as if it had never been there

	// Scopes: nil in AddToken is DaemonScopes, an empty list is none.
	Scopes []string `json:"scopes"`

	// DevIDs limits the token to these environments; nil is all. Such a token
	// cannot hold a scope of the account: account:read has no effect on it.
	DevIDs []string `json:"dev_ids"`

	ExpiresAt     time.Time `json:"expires_at,omitzero"` // zero: never
	GrantAnchorAt time.Time `json:"grant_anchor_at,omitzero"`
	LastUsedAt    time.Time `json:"last_used_at,omitzero"`
}

// DaemonScopes are the scopes terra-reconcile asks for.
func DaemonScopes() []string {
	return []string{"providers:read", "providers:write", "connections:read", "account:read"}
}

// EnvironmentOptions describes an environment beyond its dev-id.
type EnvironmentOptions struct {
	Name       string   `json:"name"`
	Label      string   `json:"label"`
	Disabled   bool     `json:"disabled"`    // calls on it are 403 environment_disabled
	LegacyHost bool     `json:"legacy_host"` // redirects go to api.tryterra.co
	UserLimit  int      `json:"user_limit"`
	Preview    []string `json:"preview"` // deprecated providers it may still enable
}

// Credential is an environment's own app for one provider, in plain text.
type Credential struct {
	ClientID     string     `json:"client_id"`
	Secret       string     `json:"client_secret"`
	RedirectURL  string     `json:"redirect_url"` // empty: Terra's default
	Verification string     `json:"verification_secret"`
	Sandbox      bool       `json:"sandbox"`
	SecretRef    *SecretRef `json:"secret_ref"` // set: Secret is empty
}

// SecretRef names a secret in a store of the customer.
type SecretRef struct {
	Store             string            `json:"store"`
	Config            map[string]string `json:"config"`
	ClientSecretField *string           `json:"client_secret_field"`
	ClientIDField     *string           `json:"client_id_field"`
}

// SourceType is an entry of the provider catalogue.
type SourceType = terra.SourceType

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
	Types        map[string]terra.SourceType `json:"source_types"`       // replaces the catalogue's entry
	Domains      map[string]*domain          `json:"domains"`            // by hostname
	Withdrawn    []string                    `json:"withdrawn,omitzero"` // providers that are offered no more
	Foreign      []string                    `json:"foreign_domains"`
	Pairs        map[string]*pairs           `json:"provider_pairs"` // by provider
	Apps         map[string]*garminApp       `json:"garmin_apps"`    // by client id
	Stores       map[string]*secretStore     `json:"secret_stores"`
	Answers      map[string]*stored          `json:"idempotency"`
	Notices      map[string][]string         `json:"notices"` // by operation
	DomainsDown  bool                        `json:"domain_check_down"`
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
	MoreApps   []string    `json:"more_garmin_apps,omitzero"` // client ids of saved Garmin apps beside its own

	// StandardChosen: auth_variant standard was asked for in words since own
	// credentials were last set.
	StandardChosen bool `json:"standard_chosen,omitzero"`

	Active   int `json:"active_users"`
	Inactive int `json:"inactive_users"`

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
	listed, ok := s.catalogue[provider]
	ok = ok && !slices.Contains(s.account.Withdrawn, provider)
	t := listed.SourceType
	t.BYOSupported = !s.config.ByoNowhere && (t.BYOSupported || s.config.ByoEverywhere && t.CustomCredentialsAllowed)
	return t, ok
}

func (s *Server) providers(e *environment) []string {
	names := map[string]bool{}
	for name := range s.catalogue {
		names[name] = !slices.Contains(s.account.Withdrawn, name)
	}
	for name := range s.account.Types {
		names[name] = true
	}
	for name := range e.Types {
		names[name] = true
	}
	maps.DeleteFunc(names, func(_ string, offered bool) bool { return !offered })
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
	next.Scopes, next.MoreApps = slices.Clone(s.Scopes), slices.Clone(s.MoreApps)
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
