package spec

import "time"

// Set is everything one commit asks for.
type Set struct {
	Root         Root
	Environments []Environment // sorted by Name
}

// Root is terra.yaml.
type Root struct {
	Recipients []RecipientRule // in file order: the first match decides
	AllowPlain bool            // secrets.binding is allow-plain (the default)
	Origin     Origin
}

// RecipientRule names the age recipients of the files that its paths match.
type RecipientRule struct {
	Paths  []string // globs below the root; ** matches any number of folders
	Age    []string // recipients, all classic or all post-quantum
	Origin Origin
}

// Environment is one folder with an environment.yaml, defaults applied.
type Environment struct {
	Name              string // the folder, slash-separated: "production", "eu/production"
	Origin            Origin // of environment.yaml
	DevID             string
	DevIDOrigin       Origin
	Account           string // a name the runner maps to a token; "default" when omitted
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

// Severity tells whether a problem stops an environment.
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
}

// String is Text with "warning: " after the position of a warning.
func (p Problem) String() string {
	if p.Severity == Warning {
		p.Message = "warning: " + p.Message
	}
	return p.Text()
}

// Text returns "file:line:column: message", then ", " and the hint if there is one,
// for where its severity is said already.
func (p Problem) Text() string {
	text := p.Message
	if at := p.Origin.String(); at != "" {
		text = at + ": " + text
	}
	if p.Hint != "" {
		text += ", " + p.Hint
	}
	return text
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
}
