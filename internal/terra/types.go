package terra

import (
	"crypto/rand"
	_ "embed"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// Me describes the calling token (operation getMe, API version 2026.10.09.2).
type Me struct {
	TokenID       string     `json:"token_id"`
	Kind          string     `json:"kind"`
	CustomerID    string     `json:"customer_id,omitempty"`
	Scopes        []string   `json:"scopes"`
	DevIDs        []string   `json:"dev_ids,omitempty"` // nil is every environment
	Name          string     `json:"name,omitempty"`
	CreatedVia    string     `json:"created_via,omitempty"`
	ExpiresAt     *time.Time `json:"expires_at,omitempty"`
	GrantAnchorAt *time.Time `json:"grant_anchor_at,omitempty"`
	LastUsedAt    *time.Time `json:"last_used_at,omitempty"`
}

// SourceType is what Terra says about one provider: the authority at run time.
type SourceType struct {
	Provider                    string   `json:"provider"`
	DisplayName                 string   `json:"display_name"`
	Icon                        string   `json:"icon"`
	AuthType                    string   `json:"auth_type"` // oauth2, oauth1, login, sdk
	Setup                       *string  `json:"setup"`
	DataTypes                   []string `json:"data_types"`
	Deprecated                  bool     `json:"deprecated"`
	BYOSupported                bool     `json:"byo_supported"`
	CustomScopesSupported       bool     `json:"custom_scopes_supported"`
	CustomerCredentialsRequired bool     `json:"customer_credentials_required"`
	CustomCredentialsAllowed    bool     `json:"custom_credentials_allowed"`
}

// Source is one enabled provider of an environment. Active false is paused.
type Source struct {
	Provider        string  `json:"provider"`
	Active          bool    `json:"active"`
	AuthRedirectURL *string `json:"auth_redirect_url"`
	AuthVariant     string  `json:"auth_variant"` // standard, byo
}

// SourceUpdate is the body of updateSource; nil fields are not sent.
type SourceUpdate struct {
	Active      *bool   `json:"active,omitempty"`
	AuthVariant *string `json:"auth_variant,omitempty"`
}

// Credentials is a source's own app as Terra shows it. Credential is nil when
// none is set or the provider runs on Terra's app.
type Credentials struct {
	Provider       string          `json:"provider"`
	HasCredentials bool            `json:"has_credentials"`
	TerraOwned     bool            `json:"terra_owned"`
	Credential     *CredentialView `json:"credential"`
}

// CredentialView never holds a secret: SecretMask is `****` and the last four
// characters, nil when the secret is read through a secret_ref.
type CredentialView struct {
	ClientID              string         `json:"provider_client_id"`
	SecretMask            *string        `json:"provider_client_secret_masked"`
	RedirectURL           *string        `json:"redirect_url"`
	Sandbox               bool           `json:"sandbox"`
	OAuthVersion          *string        `json:"oauth_version"`
	HasVerificationSecret bool           `json:"has_verification_secret"`
	SecretRef             *SecretRefView `json:"secret_ref"`
}

// SecretRefView says that Terra reads the secret from the customer's own store.
type SecretRefView struct {
	Store             string  `json:"store"`
	ClientSecretField *string `json:"client_secret_field"`
	ClientIDField     *string `json:"client_id_field"`
}

// SourceScopes lists every OAuth scope a provider can request.
type SourceScopes struct {
	Provider   string  `json:"provider"`
	Customised bool    `json:"customised"`
	Scopes     []Scope `json:"scopes"`
}

// Scope is one OAuth scope; Enabled says whether it is requested today.
type Scope struct {
	Scope       string `json:"scope"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
	Enabled     bool   `json:"enabled"`
}

// SourceDomain is the custom domain of a provider's redirect. It is live when
// State is ACTIVE and Serving is true.
type SourceDomain struct {
	Provider       string     `json:"provider"`
	Hostname       string     `json:"hostname"`
	State          string     `json:"state"` // PROVISIONING, ACTIVE, FAILED
	Reason         *string    `json:"reason"`
	Detail         *string    `json:"detail"`
	DNSRecord      DNSRecord  `json:"dns_record"`
	ResolvedIP     *string    `json:"resolved_ip"`
	ResolvedIPs    []string   `json:"resolved_ips"`
	Serving        bool       `json:"serving"`
	ExpiresAt      *time.Time `json:"expires_at"`
	Shared         bool       `json:"shared"`
	RedirectServed bool       `json:"redirect_served"`
}

// DNSRecord is the A record a person must publish.
type DNSRecord struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// WebhookEndpoints is the review of the webhook rows in the customer's Garmin apps.
type WebhookEndpoints struct {
	Provider    string         `json:"provider"`
	Host        string         `json:"host"`
	Locked      bool           `json:"locked"`
	Fingerprint string         `json:"fingerprint"`
	HasExisting bool           `json:"has_existing"`
	Entries     []WebhookEntry `json:"entries"`
}

// WebhookEntry is one row: Action says what an apply would do to it.
type WebhookEntry struct {
	AppID   string         `json:"app_id"`
	ID      string         `json:"id"`
	Target  string         `json:"target"`
	Current WebhookCurrent `json:"current"`
	Action  string         `json:"action"` // ok, set, restore, enable, retype
}

// WebhookCurrent is a row as Garmin holds it now.
type WebhookCurrent struct {
	URL        string  `json:"url"`
	Enabled    bool    `json:"enabled"`
	OnHold     bool    `json:"on_hold"`
	UploadType *string `json:"upload_type"`
}

// WebhookApply is the body of applySourceWebhookEndpoints.
type WebhookApply struct {
	Fingerprint                  string `json:"fingerprint,omitempty"`
	AcknowledgeReplacingExisting bool   `json:"acknowledge_replacing_existing,omitempty"`
}

// AppliedWebhookEndpoints names the apps whose rows were changed.
type AppliedWebhookEndpoints struct {
	Provider      string   `json:"provider"`
	AppliedAppIDs []string `json:"applied_app_ids"`
}

// UserConnection is one end user of a connection.
type UserConnection struct {
	UserID           string     `json:"user_id"`
	ReferenceID      string     `json:"reference_id,omitempty"`
	Provider         string     `json:"provider"`
	Active           bool       `json:"active"`
	CreatedAt        *time.Time `json:"created_at,omitempty"`
	LastUpdatedAt    *time.Time `json:"last_updated_at,omitempty"`
	MostRecentDataAt *time.Time `json:"most_recent_data_at,omitempty"`
}

// DryRunResult answers a mutation sent with dry_run=true. Would is "noop" when
// nothing would change.
type DryRunResult struct {
	DryRun bool   `json:"dry_run"`
	Would  string `json:"would"`
}

// IdempotencyKey names one intended effect. Every write needs one; a write that
// is repeated with the same key and the same body has its effect once.
type IdempotencyKey string

// NewIdempotencyKey returns a random key (at least 128 bits).
func NewIdempotencyKey() IdempotencyKey { return IdempotencyKey("reconcile-" + rand.Text()) }

// Nullable is a field of a patch with three states: not sent (the zero value),
// null (back to Terra's default), and a value.
type Nullable[T any] struct {
	Set   bool // false: not sent, and the other fields say nothing
	Null  bool
	Value T
}

// To is a field that is sent with the value v.
func To[T any](v T) Nullable[T] { return Nullable[T]{Set: true, Value: v} }

// Null is a field that is sent as null.
func Null[T any]() Nullable[T] { return Nullable[T]{Set: true, Null: true} }

// CredentialWrite is the body of SetCredentials, a FULL REPLACE: what is nil or
// zero here goes back to its default. ClientID and ClientSecret are required.
type CredentialWrite struct {
	ClientID           string
	ClientSecret       secrets.Value
	RedirectURL        *string
	VerificationSecret secrets.Value
	Sandbox            *bool
}

// CredentialPatch is the body of UpdateCredentials: what is nil, zero or not Set
// keeps its value at Terra. At least one field is required.
type CredentialPatch struct {
	ClientID           *string
	ClientSecret       secrets.Value
	RedirectURL        Nullable[string]
	VerificationSecret Nullable[secrets.Value]
	Sandbox            *bool
}

// UserFilter narrows ListUsers. The zero value is every end user.
type UserFilter struct {
	Provider string // a slug; "" is every provider
	Active   *bool  // nil is both
}

//go:embed openapi.yaml
var contract []byte

// Contract returns the OpenAPI 3.1 description of the API that this package
// speaks. The client and the emulator are both tested against it.
func Contract() []byte { return slices.Clone(contract) }
