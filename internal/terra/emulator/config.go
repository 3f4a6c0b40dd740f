package emulator

import (
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

	// BadRequests says that the test means to break the contract: a request
	// outside of it is then a violation only if it was not refused.
	BadRequests bool
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
