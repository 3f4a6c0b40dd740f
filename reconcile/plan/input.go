package plan

import "time"

// Input is all that a plan for one environment is made from.
type Input struct {
	Now         time.Time
	Environment Environment
	Desired     []Desired           // any order
	Observed    map[string]Observed // by provider; a provider that is absent is not live
	Types       map[string]Type     // by provider: what Terra offers; nil is unknown
	Memory      Memory
	// KillSwitches that concern the environment.
	KillSwitches []KillSwitch
	// OlderCommit says, where the branch went back, to which commit and from which.
	OlderCommit string
	// RedirectHosts are the hosts to which end users may be sent, Terra's own and the
	// runner's: names in small letters, or `*.` in place of the first label.
	RedirectHosts []string
	Users         map[string]Users // by provider; absent is not counted or unknown
	Probes        map[string]Probe // by provider
	ApprovedAll   bool             // a person approved the hash of this very plan
	NowFlag       bool             // and asked to ignore windows (needs ApprovedAll)
	Asks          bool             // this run asks the providers about pairs; otherwise none is proved
}

// Environment is the part of environment.yaml that decides about changes.
type Environment struct {
	Name              string
	DevID             string
	Origin            string // environment.yaml:line
	Observe           bool
	ModeOrigin        string // of each setting: file:line, "" where none says it
	PruneDisable      bool
	PruneOrigin       string
	RevertDrift       bool
	DriftOrigin       string
	RevertSecretDrift bool
	SecretDriftOrigin string
	Windows           []Window // empty: always open
	WindowsOrigin     string
	Suspend           *Suspend
	CapCount          int
	CapPercent        int
	CapOrigin         string
	MaxRotations      int
	RotationsOrigin   string
	Protect           []string // providers
	ProtectOrigin     string
	Allow             []Allow // of environment and connection files alike
}

// Window is a weekly stretch of time in which disruptive changes may run. To
// before From means across midnight.
type Window struct {
	Days     []time.Weekday
	From, To int // minutes since midnight
	Location *time.Location
}

// Suspend holds every change until a moment (exclusive).
type Suspend struct {
	Reason, Owner string
	Until         time.Time
	Origin        string
}

// Allow is an approval by commit, bound to its target, until a moment (exclusive).
type Allow struct {
	Provider, Change, To string
	Until                time.Time
	Reason, Origin       string
}

// Mode says how far a repository manages a field.
type Mode int

// The modes.
const (
	Unmanaged Mode = iota // omitted: never read, compared or changed
	Default               // null: back to Terra's default
	Given
)

// Setting is a desired value with its mode and place.
type Setting[T any] struct {
	Mode   Mode
	Value  T
	Origin string
}

// State of a connection.
type State string

// The states.
const (
	Active   State = "active"
	Paused   State = "paused"
	Disabled State = "disabled"
)

// Secret is what a plan may know of a sealed secret.
type Secret struct {
	Sealed string // sha256 of the sealed form
	Digest string // keyed digest of the opened secret; "" when it was not opened
	Key    int    // number in the file, 1 is the oldest; 0 for verification_secret
	Closed string // not "": why nobody here can open it; then it is not compared
}

// Desired is one connection as the repository asks for it now.
type Desired struct {
	Provider           string
	Origin             string
	State              State
	StateOrigin        string
	App                Setting[string] // own, terra
	Credentials        bool            // the file has credentials
	ClientID           Setting[string]
	Secret             Setting[Secret] // the key that is due; Unmanaged when none is or it is {unknown: true}
	SecretReason       string          // why that key: "key 2 of 2 is due since …"
	Keys               int             // how many keys the file has
	UnknownKey         bool            // the key that is due was set by hand in the past; nobody can read it
	Refused            *Refused        // a newer key that is due and was rejected
	WasLive            bool            // the pair of Secret was live before the rejected one
	WatchedSince       time.Time       // when the live key was written; zero when it is not watched
	ProbeRequired      string          // not "": where the file demands that the provider accepts a pair first
	Unasked            string          // not "": why no run asks the provider about a pair
	RedirectURL        Setting[string]
	VerificationSecret Setting[Secret]
	Sandbox            Setting[bool]
	Scopes             Setting[[]string]
	Domain             Setting[string]
	Webhooks           Setting[bool]
	Ignore             []string // fields not compared
	Protect            Setting[bool]
	Suspend            *Suspend
	Waits              []Wait    // human steps that gate enable
	Warnings           []Warning // said once, with the plan
	Unreadable         string    // not "": why this connection cannot be planned (a secret that does not open)
}

// Wait is a human step without which enabling makes no sense. One that is about
// the own app holds its credentials too, where the connection is live already.
type Wait struct {
	Step, Reason string
	OwnApp       bool
}

// Type is what Terra says about a provider in this environment.
type Type struct {
	BYO, CustomCredentials, CustomScopes, CredentialsRequired, Deprecated bool
}

// Observed is one live connection.
type Observed struct {
	Failed       string // not "": why it could not be read; then nothing of it is changed
	Active       bool
	Variant      string // standard, byo
	Credentials  *Credentials
	Secret       Comparison
	Verification Comparison
	Scopes       *Scopes
	Domain       *Domain
	Webhooks     *Webhooks
}

// Credentials is Terra's answer to a read of the credentials; the pointer is nil
// when they were not read.
type Credentials struct {
	Set             bool // false: none of its own
	ClientID        string
	Mask            string
	RedirectURL     *string
	Sandbox         bool
	HasVerification bool
	SecretRef       bool
	OAuthVersion    string // 1 or 2, "" where Terra does not say; not compared
}

// Comparison says how the live secret compares with the desired one.
type Comparison struct {
	Result  Compared
	Reason  string // why not compared
	LiveKey int    // number of the file's key that is live, 0 unknown
	Asked   bool   // Terra itself was asked in this run, not only memory
	ByHand  bool   // what is live is no key of the file, and not what was last agreed either
}

// Scopes as Terra lists them.
type Scopes struct {
	Customised                 bool
	Enabled, Required, Offered []string // sorted
}

// Domain is the custom domain; Hostname "" means none is set.
type Domain struct {
	Hostname string
	Live     bool
	State    string
	Publish  string // "A auth.acme.example 203.0.113.9"
}

// Webhooks is the review of Garmin's webhook rows.
type Webhooks struct {
	Fingerprint string
	Pending     int // rows an apply would change
	HasExisting bool
	Locked      bool
	Reason      string // not "": why no review was possible
}

// Probe is the answer of the provider itself about the desired pair.
type Probe struct {
	Verdict Verdict
	Reason  string
	At      time.Time // when the provider was asked
}

// Verdict of a probe.
type Verdict string

// The verdicts. The zero value means that nobody asked.
const (
	Good         Verdict = "good"
	Bad          Verdict = "bad"
	ProbeUnknown Verdict = "unknown"
)
