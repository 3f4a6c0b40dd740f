package spec

import "time"

// State is what a connection should be.
type State int

// The three states. A connection file without `state` means Active.
const (
	Active State = iota
	Paused
	Disabled
)

// String returns the word used in files.
func (s State) String() string {
	return [...]string{"active", "paused", "disabled"}[s]
}

// Connection is one connection file.
type Connection struct {
	Provider    string // slug, lower case
	Origin      Origin // of the provider's value
	File        string
	State       State
	StateOrigin Origin        // zero when state is omitted
	App         Field[string] // "own" or "terra"
	Credentials Credentials
	Scopes      Field[[]string] // in file order
	Domain      Field[string]
	Webhooks    bool // webhooks: managed
	Rotation    Rotation
	Options     map[string]Option
	Setup       map[string]SetupStep
	Suspend     *Suspend
	Policy      ConnectionPolicy
}

// Credentials are the fields under `credentials`.
type Credentials struct {
	Present            bool // the block is written, with or without fields
	Origin             Origin
	ClientID           Field[string]
	Keys               []Key // oldest first; a lone client_secret is one key; none: the secret is not managed
	RedirectURL        Field[string]
	VerificationSecret Field[Secret]
	Sandbox            Field[bool]
}

// Key is one generation of the client secret.
type Key struct {
	Unknown   bool // set by hand in the past; nobody can read it; Secret is zero
	Issued    time.Time
	NotBefore time.Time // UTC; zero: due at once
	Secret    Secret
	Origin    Origin
}

// Secret is a sealed value: the text under !age as it is decoded by YAML, so
// without indent. It was not opened and may not open.
type Secret struct {
	Armor  string
	Origin Origin
}

// Rotation says how the keys of a connection are replaced.
type Rotation struct {
	MaxAge      time.Duration // 0: keys do not age
	Warn        time.Duration // before MaxAge is reached
	Soak        time.Duration
	MaxUserDrop int    // percent
	Probe       string // "require", "prefer" or "off"
	Origin      Origin // of the rotation block; zero when none is written
}

// Option is a provider-defined setting: one scalar or a list of scalars, each
// as it is written.
type Option struct {
	Values []string
	Origin Origin
}

// SetupStep is the evidence that a person did something in a provider's portal.
type SetupStep struct {
	Value  string
	Done   time.Time // UTC; zero: not done
	State  string
	Fields map[string]string // further evidence, by name
	Origin Origin
}

// ConnectionPolicy is policy of a connection file.
type ConnectionPolicy struct {
	Protect Field[bool]
	Ignore  []string // fields whose differences are not reported and not changed
	Allow   []Allow
}
