package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Input is all that a plan for one environment is made from.
type Input struct {
	Now         time.Time
	ClockOff    time.Duration // how much later it may be than Now: a window must be open then too
	Environment Environment
	Connections []Connection         // one for each provider that is named, live or remembered, sorted by provider
	Suspended   bool                 // the environment was suspended or paused in the last run
	Gone        map[string]time.Time // as remembered, by provider
	// KillSwitches that concern the environment.
	KillSwitches []KillSwitch
	// Rewound is a clause, where the branch or the release was rewound: to which commit and
	// from which.
	Rewound string
	// RedirectHosts are the hosts to which end users may be sent, Terra's own and the
	// runner's: names in small letters, or `*.` in place of the first label.
	RedirectHosts []string
	Asks          bool // this run asks the providers about pairs; otherwise none is proved

	allows  map[string][]Allow // by provider in small letters; nil: not indexed
	windows *windows           // nil: not looked at
}

// windows is how the windows stand at the time of a plan.
type windows struct {
	open  bool
	next  time.Time
	comes bool
}

// Connection is what a plan needs of one connection: what the repository, Terra,
// memory and the provider say of it.
type Connection struct {
	Provider   string
	Desired    *Desired    // nil: no file names it
	Observed   *Observed   // nil: it is not live
	Domain     *Domain     // the custom domain of one that is not live; nil: none, or not read
	Remembered *Remembered // nil: nothing is
	Type       *Type       // what Terra offers; nil: unknown
	After      *After      // what changes of it wait for in another environment; nil: nothing
	Aside      bool        // the run is not about it: it is not compared, and what is remembered of it stays
	Users      *Users      // nil: not counted, which is treated as more than zero
	Probe      Probe       // the zero value: nobody asked
}

// want, live, memory and offer give the zero value where there is nothing.
func (k Connection) want() *Desired      { return cmp.Or(k.Desired, new(Desired)) }
func (k Connection) live() *Observed     { return cmp.Or(k.Observed, new(Observed)) }
func (k Connection) memory() *Remembered { return cmp.Or(k.Remembered, new(Remembered)) }
func (k Connection) offer() *Type        { return cmp.Or(k.Type, new(Type)) }

// domain is the custom domain, also of a connection that is not live; nil: not read.
func (k Connection) domain() *Domain {
	if k.Observed != nil {
		return k.Observed.Domain
	}
	return cmp.Or(k.Domain, new(Domain))
}

// meetsOwn tells whether users meet the own app: by its keys alone, or because that was
// chosen in words.
func (k Connection) meetsOwn() bool {
	live := k.live()
	return live.Variant == "byo" || live.Credentials != nil && live.Credentials.Set && !live.Credentials.TerraOwned
}

// known tells whether the connection was adopted or enabled by us.
func (k Connection) known() bool { return k.Remembered != nil && !k.Remembered.Noted }

// ignores tells whether the file leaves a field alone.
func (k Connection) ignores(field string) bool { return slices.Contains(k.want().Ignore, field) }

// offered tells whether Terra said that it offers the provider.
func (k Connection) offered() bool { return k.Type != nil && !k.Type.NotOffered }

// id names a connection in a plan: production/strava.
func (in Input) id(k Connection) string { return in.Environment.Name + "/" + k.Provider }

// find gives the connection of a provider; ok is false where there is none.
func (in Input) find(provider string) (k Connection, ok bool) {
	at, found := slices.BinarySearchFunc(in.Connections, provider, func(k Connection, p string) int { return cmp.Compare(k.Provider, p) })
	if !found {
		return Connection{Provider: provider}, false
	}
	return in.Connections[at], true
}

// of gives the connection of a provider, an empty one where there is none.
func (in Input) of(provider string) Connection {
	k, _ := in.find(provider)
	return k
}

// liveCount counts the connections that Terra lists.
func (in Input) liveCount() int {
	n := 0
	for _, k := range in.Connections {
		if k.Observed != nil {
			n++
		}
	}
	return n
}

// liveBefore counts the connections that were there when they were last looked at.
func (in Input) liveBefore() int {
	n := 0
	for _, k := range in.Connections {
		if k.known() && k.Remembered.Fields[FieldState] != string(Disabled) {
			n++
		}
	}
	return n
}

// isDoubtful tells that Terra lists nothing although there were connections before. An
// empty answer is never taken for "nothing is there".
func (in Input) isDoubtful() bool { return in.liveCount() == 0 && in.liveBefore() > 0 }

// namesNone tells whether no file names any connection.
func (in Input) namesNone() bool {
	return !slices.ContainsFunc(in.Connections, func(k Connection) bool { return k.Desired != nil || k.Aside })
}

// After is another environment in which a change has to have been in sync for a time, and
// what is known of the connection there.
type After struct {
	Environment string
	For         time.Duration
	Origin      string
	Unknown     string      // why nothing counts that is known of it; "" where it does
	Next        Remediation // what ends that; the zero value where nothing is to be done
	Unread      bool        // its files have errors, or it is not there: Wants says nothing
	Wants       *Desired    // what its file there says but for secrets; nil: no file names it
	There       *Remembered // nil: nothing is
	Gone        time.Time   // since when it is gone there; zero: it is not, or was never there
}

// Environment is the part of environment.yaml that decides about changes.
type Environment struct {
	Name              string
	Account           string // by which the runner knows whose it is
	API               string // address of the API that is spoken to
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

func (s *Suspend) isOn(now time.Time) bool { return s != nil && now.Before(s.Until) }

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
	NextKey            int             // number of the key that becomes due at NextKeyAt; 0: none
	NextKeyAt          time.Time
	UnknownKey         bool         // the key that is due was set out of band in the past; nobody can read it
	Rejected           *RejectedKey // a newer key that is due and was rejected
	WasLive            bool         // the pair of Secret was live before, and was replaced
	LiveSince          time.Time    // when the live key was first seen: what a provider said before that proves nothing
	ProbeRequired      string       // not "": where the file demands that the provider accepts a pair first
	Proof              Proof        `json:",omitzero"`
	Unasked            string       // not "": why no run asks the provider about a pair
	RedirectURL        Setting[string]
	VerificationSecret Setting[Secret]
	Sandbox            Setting[bool]
	Scopes             Setting[[]string]
	Domain             Setting[string]
	Webhooks           Setting[bool]
	Ignore             []string // fields not compared
	Protect            Setting[bool]
	Suspend            *Suspend
	Prerequisites      []Prerequisite // human steps that gate enable
	Warnings           []Warning      // said once, with the plan
	Unreadable         string         // not "": why this connection cannot be planned (a secret that does not open)
}

// variantOf is Terra's word for the app that the file names; null is Terra's own.
func variantOf(app Setting[string]) string {
	if app.Mode == Given && app.Value == "own" {
		return "byo"
	}
	return "standard"
}

// nextKey says which key the file has for later, and when.
func (d Desired) nextKey() string { return number(d.NextKey) + " is due on " + stamp(d.NextKeyAt) }

// Prerequisite is a human step without which enabling makes no sense. One that is about
// the own app holds its credentials too, where the connection is live already.
type Prerequisite struct {
	Step, Reason string
	Yours        bool   // it is your turn
	By           string // who else has to do something for it, then or now: Samsung; "" nobody
	Do           string // what there is to do, in sentences
	Once         string // when it is over: Once Samsung has confirmed
	Record       string // the lines of the connection's file that say that it was done
	Blanks       string // what stands in capitals in Record: what each is, with an example
	OwnApp       bool
}

// turn says who has to do a step: you, then Samsung.
func (p Prerequisite) turn() string {
	switch {
	case p.By == "":
		return "you"
	case p.Yours:
		return "you, then " + p.By
	}
	return p.By
}

// RejectedKey is the key that would be due had it not been rejected.
type RejectedKey struct {
	Key     int    // number in the file, 1 is the oldest
	Sealed  string // sha256 of the sealed form
	Origin  string
	Reason  string
	At      time.Time
	ByUsers bool
	// Accepted says that the provider accepts it all the same, as where end users fell away.
	Accepted bool
	LiveToo  int // number of the live key, if it is refused as well; 0 is none
}

// words tells since when and why a key is rejected.
func (r RejectedKey) words() string { return r.Reason + " (" + stamp(r.At) + ")" }

// refusal is words that name the key, for where another one is spoken of as well.
func (r RejectedKey) refusal() string {
	if said, byProvider := strings.CutPrefix(r.words(), "the provider rejects it"); byProvider {
		return "the provider refused " + number(r.Key) + said
	}
	return number(r.Key) + ": " + r.words()
}

// rejectedIsLive tells whether the rejected key is the live one, so that going back to
// the key before it is what is wanted.
func rejectedIsLive(k Connection) bool {
	return k.want().Rejected != nil && k.live().Secret.LiveKey == k.want().Rejected.Key
}

// number names a key of the file.
func number(key int) string { return fmt.Sprintf("key %d", key) }

// Type is what Terra says about a provider in this environment.
type Type struct {
	BYO, CustomCredentials, CustomScopes, CredentialsRequired, Deprecated bool
	// NotOffered: Terra said what it offers here, and this provider is not among it.
	NotOffered bool `json:",omitempty"`
}

// Observed is one live connection.
type Observed struct {
	Failed       string // not "": why it could not be read; then nothing of it is changed
	Active       bool
	Variant      string // standard, byo
	Redirect     string // the live redirect_url, where it was read; "" is none
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
	Set             bool // false: none of its own, or Hidden
	Hidden          bool // Terra keeps some and does not show them, because users meet its own app
	TerraOwned      bool // users meet Terra's own app
	ClientID        string
	Mask            string
	RedirectURL     *string
	IsDefault       bool // RedirectURL is what null reads back as
	Sandbox         bool
	HasVerification bool
	SecretRef       bool
	OAuthVersion    string // 1 or 2, "" where Terra does not say; not compared
}

// Comparison says how the live secret compares with the desired one.
type Comparison struct {
	Result    Compared
	Reason    string // why not compared
	LiveKey   int    // number of the file's key that is live, 0 unknown
	Asked     bool   // Terra itself was asked in this run, not only memory
	OutOfBand bool   // what is live is no key of the file, and not what was last agreed either
	// MaskDigest is the keyed digest of the mask of a live key that is to stay unknown; ""
	// where there is none that tells.
	MaskDigest string `json:",omitempty"`
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
	Shared   bool   // another environment set it up: it may be used, and is not ours to release
	Unread   string // not "": why it could not be read
}

// Webhooks is the review of Garmin's webhook rows.
type Webhooks struct {
	Fingerprint string
	Pending     int    // rows an apply would change
	Word        string // what Terra says of a row that is none of its known words; "" for nothing
	HasExisting bool
	Locked      bool
	Reason      string // not "": why no review was possible
}

// Probe is the answer of the provider itself about the desired pair.
type Probe struct {
	Verdict Verdict
	Reason  string
	At      time.Time // when the provider was asked
	Again   time.Time // from when it is asked about a pair again that it refused, which does not count yet; zero: it does
}

// Verdict of a probe.
type Verdict string

// The verdicts. The zero value means that nobody asked.
const (
	Good         Verdict = "good"
	Bad          Verdict = "bad"
	ProbeUnknown Verdict = "unknown"
)

// file is the path in the first origin that there is, such as production/strava.yaml:9.
func file(origins ...string) string {
	origin := cmp.Or(origins...)
	if i := strings.LastIndexByte(origin, ':'); i > 0 {
		return origin[:i]
	}
	return origin
}

// fileOf is the file of a connection, or what it would be called.
func fileOf(in Input, k Connection) string {
	if k.Desired != nil {
		return file(k.Desired.Origin)
	}
	return strings.TrimSuffix(file(in.Environment.Origin), "environment.yaml") + k.Provider + ".yaml"
}

// setBy names the line that set a value, or says that none did.
func setBy(origin string) string { return cmp.Or(origin, "built-in default") }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
