package doctor

import (
	"context"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Status is how a check came out.
type Status string

// OK is as it should be, Warn is not and a run works all the same, Fail is not and it
// does not, Skip could not be looked at.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
	Skip Status = "skip"
)

// Result is one line: what was checked, of what, how it is, and what to do.
type Result struct {
	Check        string             `json:"check"`
	Subject      string             `json:"subject"` // "" where there is only one
	Status       Status             `json:"status"`
	Message      string             `json:"message"`
	Remediations []plan.Remediation `json:"remediations"`
}

// Deadline bounds each check that asks somebody else.
const Deadline = 20 * time.Second

// Options are what is looked at, and the means to look. All functions but Prober's are
// required.
type Options struct {
	Now        func() time.Time
	Version    string
	Config     config.Config
	ConfigErr  error    // why there is none; then nothing else is checked
	ConfigFile string   // of the daemon; "" for environment variables
	Named      []string // the environments that were asked for in words
	Elsewhere  bool     // the files are those of another repository than Config names
	Probe      bool     // ask the providers
	Top        string   // folders above it are not looked at; "" for all

	// Starts tells why the daemon would not start with Config, nil where nothing is known
	// against it. It listens nowhere and opens no state.
	Starts     func() error
	Files      func(context.Context) (fs.FS, gitsource.Commit, error)     // as a dry run reads them
	Judge      func(context.Context, gitsource.Commit) (Judgement, error) // of the commit that Files gave
	Identities func() (*secrets.Identities, error)
	Clients    func(http.RoundTripper) func(account, devID string) (*terra.Client, error)
	KeysOf     func(spec.Connection) keys.Set
	Pauses     func(*state.Store) ([]daemon.Pause, error)
	Copy       func(ctx context.Context, path string) (*state.Store, error) // of the state that another process holds
	Prober     Prober
	ProberErr  error
	Accept     func(context.Context, []daemon.AcceptedKey) (lifted int, err error)
}

// Judgement is what a daemon makes of a commit apart from its files.
type Judgement struct {
	SignedBy string // whose signature counts; "" where none is asked for, or it is refused
	Refused  error  // why it may not be used; nil where it may
	Above    string // the tag of a higher version that was used before; "" for none
}

// Prober asks data providers.
type Prober interface {
	// Unasked says why nobody is asked about pairs of a provider; "" where somebody is.
	Unasked(provider string) string
	Probe(ctx context.Context, provider, clientID string, secret secrets.Value) (good, bad bool, reason string)
}

// world is what the checks look at, and what they found for those after them.
type world struct {
	Options
	files      fs.FS            // nil: the repository could not be read
	commit     gitsource.Commit // of files; its hash is "" where they are of none
	set        spec.Set         // empty then, or where terra.yaml has errors
	partial    bool             // set lacks what has errors
	identities *secrets.Identities
	pairs      []pair
	older      map[string][]pair // by connection: those before the one that is due
	absent     bool              // nobody holds the state
	elsewhere  bool              // and a daemon answers on listen all the same
	answers    bool              // a daemon does
	refused    map[string]bool   // accounts whose token does not work
	clock      *terra.Clock
}

// check is one thing to look at. Its results bear its name where they have none.
type check struct {
	name string
	look func(context.Context, *world) []Result
}

// checks are all there are, in order.
func checks() []check {
	return []check{
		{"start", starts},
		{"secret file", secretFiles},
		{"repository", repository},
		{"commit", judge},
		{"private key", privateKeyFiles},
		{"files", files},
		{"routes", routes},
		{"secrets", openSecrets},
		{"recipients", recipients},
		{"daemon", askDaemon},
		{"health", askHealth},
		{"state", lookAtState},
		{"token", tokens},
		{"environment", environments},
		{"clock", clocks},
		{"probe", probe},
	}
}

// Examine makes the checks. Without a configuration there is nothing more to look at.
func Examine(ctx context.Context, o Options) []Result {
	w := &world{Options: o, older: map[string][]pair{}, refused: map[string]bool{}}
	out := named("configuration", configuration(w))
	if out[0].Status == Fail {
		return out
	}
	for _, c := range checks() {
		out = append(out, named(c.name, c.look(ctx, w))...)
	}
	return out
}

func named(check string, results []Result) []Result {
	for i := range results {
		if results[i].Check == "" {
			results[i].Check = check
		}
		if results[i].Remediations == nil {
			results[i].Remediations = []plan.Remediation{}
		}
	}
	return results
}

// Count counts the results of a status.
func Count(results []Result, s Status) int {
	return len(slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Status != s }))
}

func one(s Status, subject, message string, next ...plan.Remediation) []Result {
	return []Result{{Subject: subject, Status: s, Message: message, Remediations: next}}
}

// runner is something to do about the runner, edit about the repository, step anywhere
// else, typed a command.
func runner(text string) plan.Remediation { return plan.Remediation{Kind: plan.ByRunner, Text: text} }
func edit(text string) plan.Remediation   { return plan.Remediation{Kind: plan.ByCommit, Text: text} }
func step(text string) plan.Remediation   { return plan.Remediation{Kind: plan.ByStep, Text: text} }
func wait(text string) plan.Remediation   { return plan.Remediation{Kind: plan.ByWaiting, Text: text} }

// maybe is text as a remediation of a kind, none for "".
func maybe(kind func(string) plan.Remediation, text string) []plan.Remediation {
	if text == "" {
		return nil
	}
	return []plan.Remediation{kind(text)}
}

// chosen lists the environments that are looked at and whose files are valid.
func (w *world) chosen() []spec.Environment {
	only := w.Named
	if len(only) == 0 {
		only = w.Config.Environments
	}
	return slices.DeleteFunc(slices.Clone(w.set.Environments), func(e spec.Environment) bool {
		return e.Invalid || len(only) > 0 && !slices.Contains(only, e.Name)
	})
}
