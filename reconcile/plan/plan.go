package plan

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Action says what a change does to one connection.
type Action string

// The actions.
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

// Order lists the actions as they are applied to one connection. A domain needs no
// enabled source, so it comes first and does not wait for an enable that is held.
func Order() []Action {
	return []Action{SetDomain, Enable, Pause, SetCredentials, UpdateCredentials, RotateSecret, ReleaseDomain,
		SetScopes, ResetScopes, SetApp, Resume, ApplyWebhooks, Disable}
}

func rank(a Action) int { return slices.Index(Order(), a) }

// Class says how much a change can harm the end users of a connection.
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
	Create   Cause = "create"   // Terra did not have it
	Adopt    Cause = "adopt"    // Terra has it, and nothing is remembered of it
	Commit   Cause = "commit"   // the repository asks for something new
	Rotation Cause = "rotation" // a newer key is due
	Drift    Cause = "drift"    // the repository is unchanged, Terra is not
	Prune    Cause = "prune"    // we enabled it and no file names it any more
)

// IsFirst tells whether a change belongs to the first set-up of a connection.
func (c Cause) IsFirst() bool { return c == Create || c == Adopt }

// Gate says whether a change may be applied now. The zero value is that of a plan
// which no guard has seen: it may not.
type Gate string

// The gates.
const (
	Ready    Gate = "ready"
	Waiting  Gate = "waiting"  // for time, a window, a human step, a domain
	Blocked  Gate = "blocked"  // a guard refuses
	Approval Gate = "approval" // a person must approve
)

// stronger says whether a gate may replace another: blocked beats approval beats
// waiting beats ready.
func (g Gate) stronger(than Gate) bool {
	order := []Gate{Ready, Waiting, Approval, Blocked}
	return slices.Index(order, g) > slices.Index(order, than)
}

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
	Account     string        `json:"account"`
	API         string        `json:"api"`
	DevID       string        `json:"dev_id"`
	Changes     []Change      `json:"changes"`
	NotCompared []NotCompared `json:"not_compared"`
	Unmanaged   []string      `json:"unmanaged"` // live providers that no file names, sorted
	Warnings    []Warning     `json:"warnings"`
	Unchanged   int           `json:"unchanged"` // connections fully in sync
	Live        int           `json:"live"`      // connections Terra listed
}

// Ready counts the changes that may be applied now.
func (p Plan) Ready() int {
	n := 0
	for _, c := range p.Changes {
		if c.Gate == Ready {
			n++
		}
	}
	return n
}

// Change is one step for one connection.
type Change struct {
	ID           string        `json:"id"`         // production/strava:rotate-secret
	Connection   string        `json:"connection"` // production/strava
	Provider     string        `json:"provider"`
	Action       Action        `json:"action"`
	Class        Class         `json:"class"`
	ClassReason  string        `json:"class_reason"`
	Cause        Cause         `json:"cause"`
	Reason       string        `json:"reason"`
	Fields       []FieldChange `json:"fields"`
	ActiveUsers  *Users        `json:"active_users"` // nil: not counted
	Gate         Gate          `json:"gate"`
	GateReason   string        `json:"gate_reason"`
	GateBrief    string        `json:"gate_brief,omitempty"` // as much of it as stands in a row; "" for all of it
	GateYours    bool          `json:"gate_yours,omitempty"` // it waits for a step that a person here takes
	Guard        string        `json:"guard"`                // the guard behind a gate that is not ready
	GateEnds     time.Time     `json:"gate_ends,omitzero"`   // when a wait for time alone ends; zero where nobody knows, or a window opens
	Then         Gate          `json:"then,omitempty"`       // of what is blocked or waits: the gate by what holds it next, "" for ready
	Remediations []Remediation `json:"remediations"`         // each on its own lets the change through, but for steps that come first
	Origin       string        `json:"origin"`               // file:line in the repository
	Proof        *Proof        `json:"proof,omitempty"`      // of a change that writes a secret
	Holds        []Hold        `json:"-"`                    // of every guard; Approve sets the gate from them
}

// The guards that others ask about by name.
const (
	GuardPause        = "pause"
	GuardProbe        = "probe"
	GuardProbeAgain   = "probe-again"
	GuardKeysGone     = "keys-gone"
	GuardNoWayBack    = "no-way-back"
	GuardRejected     = "rejected"
	GuardSecretDrift  = "on-secret-drift"
	GuardSetup        = "setup"
	GuardWindow       = "window"
	GuardPromotion    = "promotion"
	GuardSuspend      = "suspend"
	GuardConflict     = "conflict"
	GuardDrift        = "on-drift"
	GuardMaxChanges   = "max-changes"
	GuardMaxRotations = "max-rotations"
)

// ShowsRejected tells whether a change only shows a key that was rejected and is not
// used: nothing about the live key is open because of it.
func (c Change) ShowsRejected() bool { return strings.HasSuffix(c.ID, ":"+GuardRejected) }

// Lifts are the approvals that lift a guard.
type Lifts struct {
	Allow bool // an allow in the repository, bound to the change
	Hash  bool // an approved hash, of the plan or of the connection
	Now   bool // an approved hash with --now
	Alone bool // an approved hash of the connection, and never one of the whole plan
}

// Hold is what one guard has against a change.
type Hold struct {
	Guard        string
	Gate         Gate // the zero value: nothing
	Reason       string
	Brief        string // as much of Reason as stands in a row of a report; "" for all of it
	Yours        bool   // it waits for a step that a person here takes
	Remediations []Remediation
	Lifts        Lifts
	Ends         time.Time // when it ends by time alone; zero where nobody knows
	First        bool      // about what Terra can do at all
}

// block, wait and ask make the holds of a guard.
func block(reason string, by ...Remediation) Hold {
	return Hold{Gate: Blocked, Reason: reason, Remediations: by}
}
func wait(reason string, by ...Remediation) Hold {
	return Hold{Gate: Waiting, Reason: reason, Remediations: by}
}
func ask(reason string, by ...Remediation) Hold {
	return Hold{Gate: Approval, Reason: reason, Remediations: by}
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

// token is a field value as it enters the hash. The number of a key stays out:
// dropping an old key from a file changes numbers, not secrets.
func (v FieldValue) token() string {
	switch {
	case v.Sealed != "":
		return v.Sealed
	case v.Mask != "" || v.Compared != "":
		return "mask:" + v.Mask + ":" + string(v.Compared)
	case v.Default:
		return "default"
	case v.Value != nil:
		return "value:" + *v.Value
	case v.List != nil:
		return "list:" + listToken(v.List)
	default:
		return "none"
	}
}

func listToken(s []string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return "" // a list of strings always marshals
	}
	return string(b)
}

func text(s string) FieldValue { return FieldValue{Value: &s} }

func list(s []string) FieldValue { return FieldValue{List: append([]string{}, sorted(s)...)} }

func sealed(s Secret) FieldValue { return FieldValue{Key: s.Key, Sealed: s.Sealed} }

func has(fields []FieldChange, field string) bool {
	return slices.ContainsFunc(fields, func(f FieldChange) bool { return f.Field == field })
}

func without(fields []FieldChange, field string) []FieldChange {
	return slices.DeleteFunc(slices.Clone(fields), func(f FieldChange) bool { return f.Field == field })
}

// target is the value that a change gives a field, "" where it shows none.
func target(fields []FieldChange, field string) string {
	for _, f := range fields {
		if f.Field == field && f.To.Value != nil {
			return *f.To.Value
		}
	}
	return ""
}

// pairOf leaves the fields that make up the pair of an app.
func pairOf(fields []FieldChange) []FieldChange {
	return slices.DeleteFunc(slices.Clone(fields), func(f FieldChange) bool { return f.Field != FieldClientID && f.Field != FieldClientSecret })
}

func sorted(s []string) []string {
	c := slices.Clone(s)
	slices.Sort(c)
	return slices.Compact(c)
}

// missing gives what is wanted and not there.
func missing(want, have []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(w string) bool { return slices.Contains(have, w) })
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
