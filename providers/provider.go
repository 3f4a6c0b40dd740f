package providers

import (
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Keys says whether a connection can or must have keys of its own.
type Keys int

// The three answers. The zero value is the one that allows least.
const (
	KeysNone     Keys = iota // there is nothing to set
	KeysOptional             // Terra has an app; own keys are a choice
	KeysRequired             // nobody can connect before own keys are set
)

// String returns the word used in tables.
func (k Keys) String() string {
	return [...]string{"none", "optional", "required"}[k]
}

// The names that Terra gives to the two halves of a key.
const (
	ClientID     = "client_id"
	ClientSecret = "client_secret"
)

// Provider is everything the catalogue knows of one data provider. Texts are
// plain English without a line break; an empty text or list means "nothing to
// say", not "nothing exists". Addresses and texts that a person pastes may hold
// the placeholders of [Values].
type Provider struct {
	Slug string // Terra's name in the Admin API, lower case
	Name string // for people
	Enum string // Terra's name in the data API; "" where no source was read
	Keys Keys
	Why  string // why one has own keys there, or why there are none

	Absent string // what is known where Terra does not offer it; "" is nothing

	Portal string  // where a person makes the key
	Fields []Field // the halves of the key, client_id first

	Redirect       string // address to register on Terra's host
	Webhook        string
	CustomRedirect string // the same on a custom domain
	CustomWebhook  string
	CustomDomain   bool // `domain` may be given
	Webhooks       bool // Terra can set the webhooks in the provider's app

	Scopes  string // what to tick in the portal
	Options []Option
	Steps   []Step // in the order in which a person takes them

	TokenLifetime   time.Duration // how long a bad secret can stay unseen; 0: not known
	Quotas          []string
	Ends            []EndOfLife
	Reset           Reset
	Notes           []string
	TicketTemplates []TicketTemplate

	Probe    *Probe // nil: a pair cannot be proved
	Unproved string // without a probe: why, and what is checked instead
}

// Field is one half of a key.
type Field struct {
	Name   string // ClientID or ClientSecret
	Native string // the provider's documented name, accepted in files; "" where it is the same
	Label  string // what the portal calls it
	Sample string // a made-up value for examples; "" for secrets
	Spaces bool   // it is a name, and may hold some
	Rules  []Rule
}

// Rule is one offline check of a value. An Error blocks and rests on a fact that
// the provider states, or on a value that says itself what it is; a pattern that
// was only seen in examples is a Warning.
type Rule struct {
	Match    func(text string) bool
	Unwanted bool // the value must not match
	Severity spec.Severity
	Says     string // completes "client_id …": "is 1 to 64 digits"
	Hint     string
}

// Option is a setting under `options`.
type Option struct {
	Name   string
	Says   string
	Values []string          // the allowed values; none: see Match
	Match  func(string) bool // nil: any text
	Shape  string            // Match in words
	List   bool              // several values may be given
	Meant  map[string]string // what people write and is none: what they mean
	Sample string
}

// Proof says what shows that a human step was taken.
type Proof int

// The three kinds of steps.
const (
	ByKey      Proof = iota // a working key shows it: missing evidence is a warning
	ByEvidence              // only the evidence can tell: enable waits for it
	Advice                  // good to know or to do: never asked for
)

// Step is something only a person can do, usually in the provider's portal.
type Step struct {
	Name     string // the key under `setup`
	Do       string
	By       string // who has to answer, beside you; "" for nobody
	Takes    string // how long the other side takes
	Link     string
	Evidence []Evidence
	Proof    Proof
	OwnApp   bool   // asked for only where the connection has, or must have, keys of its own
	When     When   // zero: always
	ProvenBy string // a later step that cannot be done before this one
	Until    string // what to do while the step is open; completes "until then …"
}

// When limits a step to values of an option. Values compare without case.
type When struct {
	Option string
	Values []string
	Unsure []string // values that may need it too, which is not confirmed: nothing waits for them
}

// Evidence is one entry that shows that a step was taken. Without a Want or
// Contains any text will do that the Values allow.
type Evidence struct {
	Option   bool   // Name is an option of the connection, not an entry of the step
	Name     string // done, value, state or a name of the provider's own
	Want     string // the exact text; may hold placeholders
	Or       string // another text that is as good
	Contains string
	Values   []string // all that can stand there; none: any text
	Says     string   // what it is, for a person
	Sample   string
}

// EndOfLife is a date after which something no longer works.
type EndOfLife struct {
	Date      string // YYYY-MM-DD
	What      string // what ends
	Successor string // what to do instead
	Blocks    bool   // what ended is the connection itself
	OAuth1    bool   // it concerns apps of OAuth 1 only
	Step      string // a step that, once recorded, shows that it does not concern the connection
}

// Reset says what making a new secret does to the old one, and in which order a
// person should act.
type Reset struct {
	Effect string
	Order  Order
	Warns  string // said with each planned rotation; "" for nothing
}

// Order is the order of commit and reset.
type Order string

// The orders. The zero value says that there is nothing to reset.
const (
	CommitFirst Order = "commit first, reset last"
	ResetFirst  Order = "reset, then within minutes"
	AskTerra    Order = "ask Terra support"
)

// TicketTemplate is a text to send to somebody, ready but for its placeholders.
type TicketTemplate struct {
	To, Subject, Body string // Body has line breaks
}

// Step returns the step of that name.
func (p Provider) Step(name string) (Step, bool) {
	for _, s := range p.Steps {
		if s.Name == name {
			return s, true
		}
	}
	return Step{}, false
}

// Field returns the half of the key that is called name, by Terra or by the
// provider.
func (p Provider) Field(name string) (Field, bool) {
	for _, f := range p.Fields {
		if f.Name == name || (f.Native != "" && f.Native == name) {
			return f, true
		}
	}
	return Field{}, false
}
