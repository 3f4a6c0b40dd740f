package plan

// Action says what a change does to one connection.
type Action string

// The actions, in the order in which they are applied to one connection.
const (
	Enable            Action = "enable"
	Pause             Action = "pause"
	SetDomain         Action = "set-domain"
	SetCredentials    Action = "set-credentials"
	UpdateCredentials Action = "update-credentials"
	RotateSecret      Action = "rotate-secret"
	ReleaseDomain     Action = "release-domain" // once no redirect points at it
	SetScopes         Action = "set-scopes"
	ResetScopes       Action = "reset-scopes"
	SetApp            Action = "set-app"
	Resume            Action = "resume"
	ApplyWebhooks     Action = "apply-webhooks"
	Disable           Action = "disable"
)

// Class says how much a change can hurt the end users of a connection.
type Class string

// The classes, from harmless to irreversible.
const (
	Safe        Class = "safe"
	Disruptive  Class = "disruptive"
	Destructive Class = "destructive"
)

// Cause says why live and desired differ.
type Cause string

// The causes.
const (
	Adopt    Cause = "adopt"    // nothing is remembered of this connection
	Commit   Cause = "commit"   // the repository asks for something new
	Rotation Cause = "rotation" // a newer key is due
	Drift    Cause = "drift"    // the repository is unchanged, Terra is not
	Prune    Cause = "prune"    // we enabled it and no file names it any more
)

// Gate says whether a change may be applied now.
type Gate string

// The gates.
const (
	Ready    Gate = "ready"
	Waiting  Gate = "waiting"  // for time, a window, a human step, a domain
	Blocked  Gate = "blocked"  // a guard refuses
	Approval Gate = "approval" // a person must say yes
)

// Field names as they stand in a connection file, in a plan and in a report.
const (
	FieldState              = "state"
	FieldApp                = "app"
	FieldClientID           = "client_id"
	FieldClientSecret       = "client_secret"
	FieldSecretRef          = "secret_ref" // the live secret, in a store of the customer; never in a file
	FieldRedirectURL        = "redirect_url"
	FieldVerificationSecret = "verification_secret"
	FieldSandbox            = "sandbox"
	FieldScopes             = "scopes"
	FieldDomain             = "domain"
	FieldWebhooks           = "webhooks"
)

// Plan is everything one environment would need, sorted by connection and by
// the order of application.
type Plan struct {
	Environment string        `json:"environment"`
	DevID       string        `json:"dev_id"`
	Changes     []Change      `json:"changes"`
	NotCompared []NotCompared `json:"not_compared"`
	Unmanaged   []string      `json:"unmanaged"` // live providers that no file names, sorted
	Warnings    []Warning     `json:"warnings"`
	Unchanged   int           `json:"unchanged"` // connections wholly in sync
	Live        int           `json:"live"`      // connections Terra listed
}

// Change is one step for one connection.
type Change struct {
	ID          string        `json:"id"`         // production/strava:rotate-secret
	Connection  string        `json:"connection"` // production/strava
	Provider    string        `json:"provider"`
	Action      Action        `json:"action"`
	Class       Class         `json:"class"`
	ClassReason string        `json:"class_reason"`
	Cause       Cause         `json:"cause"`
	Reason      string        `json:"reason"`
	Fields      []FieldChange `json:"fields"`
	ActiveUsers *Users        `json:"active_users"` // nil: not counted
	Gate        Gate          `json:"gate"`
	GateReason  string        `json:"gate_reason"`
	GateWay     string        `json:"gate_way"` // what to type or to commit to get it through; "" where the reason says it
	AskWay      string        `json:"ask_way"`  // what asks the provider first, where a pair that it accepts is not held
	Guard       string        `json:"guard"`    // the guard behind a gate that is not ready
	Origin      string        `json:"origin"`   // file:line in the repository
}

// FieldChange pairs what Terra shows with what the repository asks for.
type FieldChange struct {
	Field string     `json:"field"`
	From  FieldValue `json:"from"`
	To    FieldValue `json:"to"`
}

// FieldValue is one side of a FieldChange. The zero value is "nothing set". A
// secret never fills Value: the live side has Mask (and Key when known), the
// desired side Key and Sealed.
type FieldValue struct {
	Value    *string  `json:"value,omitempty"`
	List     []string `json:"list,omitzero"`
	Default  bool     `json:"default,omitempty"` // Terra's own default
	Mask     string   `json:"mask,omitempty"`
	Key      int      `json:"key,omitempty"`      // 1 is the oldest of the file
	Sealed   string   `json:"sealed,omitempty"`   // sha256 of the sealed form
	Compared Compared `json:"compared,omitempty"` // how a live secret compares
}

// Users counts the active end users of a connection. Exact false means "at
// least Count".
type Users struct {
	Count int  `json:"count"`
	Exact bool `json:"exact"`
}

// NotCompared names a field of which it is not known whether it is in sync.
type NotCompared struct {
	Connection string `json:"connection"`
	Field      string `json:"field"` // "" means the whole connection
	Reason     string `json:"reason"`
}

// Compared is the result of comparing a secret that Terra never returns.
type Compared string

// The results. The zero value means that there was nothing to compare.
const (
	Equal     Compared = "equal"
	Differs   Compared = "differs"
	Uncertain Compared = "not-compared"
)
