package spec

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// Set is everything one commit asks for.
type Set struct {
	Root         Root
	Environments []Environment // sorted by Name
	Extended     []string      // files that others extend, there or not, sorted
}

// Root is terra.yaml.
type Root struct {
	Recipients []RecipientRule // in file order: the first match decides
	AllowPlain bool            // secrets.binding is allow-plain (the default)
	Origin     Origin
}

// Original names the file that a sealed secret was copied from, which is bound to a field
// of a connection that is not the one it stands in: the file of that connection, where
// it still holds a secret in the field, or any other with the same sealed text. "" where
// there is none: it was moved.
func (s Set) Original(of Secret, account, devID, provider, field string) string {
	for _, e := range s.Environments {
		for _, c := range e.Connections {
			if c.File == of.Origin.File {
				continue
			}
			bound := c.Provider == provider && e.Account == account && strings.EqualFold(e.DevID, devID)
			for _, k := range c.Credentials.Keys {
				if k.Secret.Armor != "" && (k.Secret.Armor == of.Armor || bound && field == "client_secret") {
					return c.File
				}
			}
			if v := c.Credentials.VerificationSecret; v.Given() && (v.Value.Armor == of.Armor || bound && field == "verification_secret") {
				return c.File
			}
		}
	}
	return ""
}

// RecipientRule names the age recipients of the files that its paths match.
type RecipientRule struct {
	Paths  []string // globs below the root; ** matches any number of folders
	Age    []string // recipients, all classic or all post-quantum
	Origin Origin

	globs []*regexp.Regexp // those of Paths, of a rule that was loaded
}

// Environment is one folder with an environment.yaml, defaults applied.
type Environment struct {
	Name              string // the folder, slash-separated: "production", "eu/production"
	Origin            Origin // of environment.yaml
	DevID             string
	DevIDOrigin       Origin
	Account           string // a name the runner maps to a token; "default" when omitted
	Owner             string // whom it concerns; "" for nobody
	Observe           bool   // mode: observe, look and never write
	ModeOrigin        Origin // of each of these settings; zero where none says it
	Schedule          string // cron expression in five fields, optionally with CRON_TZ=; "" is none
	PruneDisable      bool   // prune: disable
	PruneOrigin       Origin
	RevertDrift       bool // on_drift: revert (the default)
	DriftOrigin       Origin
	RevertSecretDrift bool // on_secret_drift: revert (the default is hold)
	SecretDriftOrigin Origin
	VerifyEvery       time.Duration
	Windows           []Window // none: always open
	WindowsOrigin     Origin
	Suspend           *Suspend // nil: not suspended
	After             Field[After]
	Policy            EnvironmentPolicy
	Connections       []Connection // sorted by Provider
	Invalid           bool         // one of its files has an error: it must not be planned
}

// TimeOfDay is minutes since midnight, 0 to 1439.
type TimeOfDay int

// Window is a weekly span in which disruptive changes may be made. From is
// inclusive and To exclusive; a window with To before From ends on the next
// day. Days are the days on which it begins.
type Window struct {
	Days     []time.Weekday // never empty, in file order
	From, To TimeOfDay      // never equal
	TZ       string         // a zone name that time.LoadLocation knows; "UTC" when omitted
	Origin   Origin
}

// Suspend stops everything below it until a moment, which is exclusive.
type Suspend struct {
	Reason, Owner string
	Until         time.Time // UTC
	Origin        Origin
}

// After lets changes wait until they have been in sync in another environment for a time.
type After struct {
	Environment       string // one of the set, and not one that waits for this one
	For               time.Duration
	EnvironmentOrigin Origin
}

// AfterOf is what the changes of a provider wait for in an environment; ok is false for
// nothing.
func (e Environment) AfterOf(provider string) (f Field[After], ok bool) {
	f = e.After
	for _, c := range e.Connections {
		if c.Provider == provider && c.After.Presence != Omitted {
			f = c.After
		}
	}
	return f, f.Given()
}

// OwnerOf is whom a provider's connection of an environment concerns, "" for nobody.
func (e Environment) OwnerOf(provider string) string {
	for _, c := range e.Connections {
		if c.Provider == provider && c.Owner != "" {
			return c.Owner
		}
	}
	return e.Owner
}

// Awaits names the environments that changes of this one wait for, each once.
func (e Environment) Awaits() (names []string) {
	all := []Field[After]{e.After}
	for _, c := range e.Connections {
		all = append(all, c.After)
	}
	for _, f := range all {
		if f.Given() && !slices.Contains(names, f.Value.Environment) {
			names = append(names, f.Value.Environment)
		}
	}
	return names
}

// Cap limits the counted changes of one run.
type Cap struct {
	Count, Percent int // both always set; 5 and 30 when nothing is written
	Origin         Origin
}

// EnvironmentPolicy is policy of environment.yaml over that of terra.yaml.
type EnvironmentPolicy struct {
	MaxChanges      Cap
	MaxRotations    int    // 3 when nothing is written
	RotationsOrigin Origin // of max_rotations; zero when nothing is written
	RequireSetup    bool   // an unfinished human step gates instead of warns
	Protect         []string
	ProtectOrigin   Origin // of the list in environment.yaml, else of that in terra.yaml
	Allow           []Allow
}

// Allow is an approval by commit. It is bound to its target and ends at Until.
type Allow struct {
	Connection string    // provider; "" inside a connection file: that connection
	Change     string    // what is approved, for example "prune" or "client_id"
	To         string    // the value that is approved; "" for changes that have none
	Until      time.Time // UTC, exclusive
	Reason     string
	Origin     Origin
}

// Severity says whether a problem stops an environment.
type Severity int

// The two severities. An Error makes its environment invalid.
const (
	Error Severity = iota
	Warning
)

// Problem is one thing wrong in one place. Message and Hint never hold the
// value of a secret field.
type Problem struct {
	Severity    Severity
	Environment string // "" is the whole commit
	Origin      Origin
	Message     string
	Hint        string // the next step; "" where the message says it
	Command     string // what to type for it after the name of the program, words without white space; "" for nothing
	// Typo marks a warning about a name that is most likely typed wrong. It is none only
	// because Terra alone knows: who cannot ask it takes it for an error.
	Typo bool
	// Contested marks a dev_id that another environment has, too.
	Contested bool
}

// String is Text with "warning: " after the position of a warning.
func (p Problem) String() string {
	if p.Severity == Warning {
		p.Message = "warning: " + p.Message
	}
	return p.Text()
}

// Text returns "file:line:column: message", then ", " and the hint if there is one,
// for where its severity is said already. Command is for whoever prints it to add.
func (p Problem) Text() string {
	return yamlpos.Problem{Origin: p.Origin, Message: p.Message, Hint: p.Hint}.String()
}

// What returns "file:line:column: message".
func (p Problem) What() string {
	return yamlpos.Problem{Origin: p.Origin, Message: p.Message}.String()
}

// Vocabulary is what Load must know of the providers.
type Vocabulary struct {
	Providers []Words
}

// Words are the names that one provider's connection file may use.
type Words struct {
	Slug     string
	Native   map[string]string   // documented credential field -> client_id or client_secret
	Options  map[string][]string // option -> allowed values; none listed: any
	Setup    []string            // names of the human steps
	Domain   bool                // `domain` may be given
	Webhooks bool                // `webhooks` may be given
	// Says is what an option, a step or a piece of its evidence is for people, by its path:
	// "options.route", "setup.app", "setup.app.state".
	Says map[string]string
}

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
	Origin      Origin // of the provider's value, or of the file where it extends one that says it
	File        string
	Owner       string // whom it concerns; "" is as its environment says
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
	After       Field[After] // omitted: as its environment says; null: none
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
	Unknown   bool // set out of band in the past; nobody can read it; Secret is zero
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
