package terra

import (
	"crypto/rand"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

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
