package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// Schema is the version of the JSON form. Fields are added, never renamed.
const Schema = "terra-reconcile/report/v1"

// Mode says what a run was allowed to do.
type Mode string

// The modes.
const (
	DryRun Mode = "dry-run"
	Apply  Mode = "apply"
)

// Outcome says what became of a change. It is empty in a dry run.
type Outcome string

// The outcomes.
const (
	Applied      Outcome = "applied"
	Failed       Outcome = "failed"
	Unknown      Outcome = "unknown" // sent, and reading back failed
	Waiting      Outcome = "waiting"
	Skipped      Outcome = "skipped"
	NotAttempted Outcome = "not-attempted"
)

// Report is one run over all chosen environments.
type Report struct {
	Schema     string    `json:"schema"`
	RunID      string    `json:"run_id,omitempty"` // the same as in the history
	Mode       Mode      `json:"mode"`
	Commit     string    `json:"commit"` // hash, or "worktree"
	StartedAt  time.Time `json:"started_at"`
	DurationMS int64     `json:"duration_ms"`
	ExitCode   int       `json:"exit_code"`
	// MissingScopes are those of all environments, which say whose token it is.
	MissingScopes []string       `json:"missing_scopes"`
	Warnings      []plan.Warning `json:"warnings"` // of the whole run
	Error         string         `json:"error"`    // of the whole run
	// EndedEarly is why a daemon ended the run before it was done ("commit 1a2b3c4d5e6f
	// arrived"); it is neither a success nor a failure then, and another run follows.
	EndedEarly   string             `json:"ended_early,omitempty"`
	Remediations []plan.Remediation `json:"remediations"` // of Error
	Environments []Environment      `json:"environments"`
	StateLock    LockOwner          `json:"state_lock"` // who else writes the state, and so takes approvals
	// PreviewOf is the full name of a ref, not the one that is followed, of whose commit a
	// daemon was asked what it would do; "" for a dry run. A preview approves nothing.
	PreviewOf string `json:"preview_of,omitempty"`
	// NotUsed is why the daemon that holds the state does not use the commit of a dry run; ""
	// where it does, or none holds it. There is nothing to approve then.
	NotUsed NotUsed `json:"not_used,omitempty"`
	// Digest is, in the JSON of a dry run alone, the SHA-256 of the document in which
	// it is made of zeros. It shows a slip of the hand, and proves nothing.
	Digest string `json:"digest,omitempty"`
}

// EndedEarlyError is the cause of a context by which a run is ended early.
type EndedEarlyError struct{ Why string }

// Error says so.
func (e *EndedEarlyError) Error() string { return "ended early: " + e.Why }

// Environment is the part of a report about one environment.
type Environment struct {
	Name    string `json:"name"`
	DevID   string `json:"dev_id"`
	Account string `json:"account"` // by which the runner knows whose it is
	API     string `json:"api"`     // address that was spoken to; "" where none was
	// Owner is whom the environment concerns, "" for nobody, and Owners whom connections do
	// of which their files say so, by name: production/strava.
	Owner  string            `json:"owner"`
	Owners map[string]string `json:"owners,omitempty"`
	// MissingScopes are scopes that the account's token has not and a run needs: connections:read.
	MissingScopes []string           `json:"missing_scopes"`
	PlanHash      string             `json:"plan_hash"`
	Error         string             `json:"error"`
	Remediations  []plan.Remediation `json:"remediations"` // of Error
	Warnings      []plan.Warning     `json:"warnings"`
	Unmanaged     []string           `json:"unmanaged"`
	Summary       Summary            `json:"summary"`
	NotCompared   []plan.NotCompared `json:"not_compared"`
	Changes       []Change           `json:"changes"`
	Events        []Event            `json:"events"`
	Keys          []keys.Status      `json:"keys"`        // of connections with an own app
	Approval      Approval           `json:"approval"`    // of the whole plan
	Connections   []Connection       `json:"connections"` // those that change, each with its own approval
	// Selected are the connections that the run was about, empty for all; NotSelected is how
	// many others there are, of which nothing is said.
	Selected    []string `json:"selected"`
	NotSelected int      `json:"not_selected"`
	// MayHaveWritten names fields that a server changed, or may have, although it
	// was asked for a dry run. Not empty, it ends the run.
	MayHaveWritten []string `json:"may_have_written"`
	// CommitAtFault says that Error is about what the commit asks for: an account or a dev_id
	// that the runner does not let it use, or a dev_id that Terra does not have. Neither git
	// nor Terra failed.
	CommitAtFault bool `json:"-"`
	// TokenEnds is when the account's token ends, and TokenRenewable until when it can be
	// renewed; zero where the run does not know.
	TokenEnds      time.Time `json:"-"`
	TokenRenewable time.Time `json:"-"`
	// DecidedAt is the time by which the run decided what time alone decides, and Ahead how
	// much later it was by the runner's clock. Zero where it came to no decision.
	DecidedAt time.Time     `json:"-"`
	Ahead     time.Duration `json:"-"`
}

// Connection is one that changes, and how that is approved apart from all others.
type Connection struct {
	Name     string   `json:"connection"` // production/strava
	PlanHash string   `json:"plan_hash"`
	Approval Approval `json:"approval"`
}

// Summary counts. Unchanged and Unmanaged count connections, NotCompared counts
// fields, the others count changes.
type Summary struct {
	Unchanged   int `json:"unchanged"`
	Changes     int `json:"changes"`
	Gated       int `json:"gated"`
	Unmanaged   int `json:"unmanaged"`
	NotCompared int `json:"not_compared"`
	Applied     int `json:"applied"`
	Failed      int `json:"failed"`
	Unknown     int `json:"unknown"`
}

// Change is a planned change and what became of it.
type Change struct {
	plan.Change
	Outcome    Outcome `json:"outcome"`
	Error      string  `json:"error"`
	DurationMS int64   `json:"duration_ms"`
	// Sealed is, in JSON alone, by field the SHA-256 of the sealed form of a key that
	// a change sends. It says nothing about the key.
	Sealed map[string]string `json:"sealed,omitempty"`
	// GatedSince is when a run first held this change, DriftSince when one first saw
	// that somebody had changed a field of it elsewhere; zero where neither is so, or
	// no state remembers it.
	GatedSince time.Time `json:"gated_since,omitzero"`
	DriftSince time.Time `json:"drift_since,omitzero"`
}

// New starts the report of one run. commit is a hash, or "worktree" for files
// as they stand.
func New(mode Mode, commit string, started time.Time) Report {
	return Report{
		Schema: Schema, Mode: mode, Commit: commit, StartedAt: started.UTC(),
		MissingScopes: []string{}, Warnings: []plan.Warning{}, Remediations: []plan.Remediation{}, Environments: []Environment{},
	}
}

// Warn adds warnings to those of the whole run.
func (r *Report) Warn(list ...plan.Warning) { r.Warnings = append(r.Warnings, list...) }

// Warn adds warnings to those of an environment.
func (e *Environment) Warn(list ...plan.Warning) { e.Warnings = append(e.Warnings, list...) }

// Summarise counts what a plan found and what became of its changes.
func Summarise(p plan.Plan, changes []Change) Summary {
	s := count(changes)
	s.Unchanged, s.Unmanaged, s.NotCompared = p.Unchanged, len(p.Unmanaged), len(p.NotCompared)
	return s
}

func count(changes []Change) Summary {
	s := Summary{Changes: len(changes)}
	for _, c := range changes {
		if c.Gate != plan.Ready && c.Outcome != Applied {
			s.Gated++
		}
		switch c.Outcome {
		case Applied:
			s.Applied++
		case Failed:
			s.Failed++
		case Unknown:
			s.Unknown++
		case Waiting, Skipped, NotAttempted:
		}
	}
	return s
}

// Finish sorts the environments by name and the connections of each as a person reads
// them, the most harmful first; it counts outcomes again, says how each plan is approved,
// and sets the duration and the exit code.
func (r *Report) Finish(ended time.Time) {
	r.DurationMS = max(0, ended.Sub(r.StartedAt).Milliseconds())
	slices.SortFunc(r.Environments, func(a, b Environment) int { return cmp.Compare(a.Name, b.Name) })
	r.MissingScopes = []string{}
	for _, e := range r.Environments {
		r.MissingScopes = append(r.MissingScopes, e.MissingScopes...)
	}
	slices.Sort(r.MissingScopes)
	r.MissingScopes = slices.Compact(r.MissingScopes)
	for i := range r.Environments {
		e := &r.Environments[i]
		s := count(e.Changes)
		s.Unchanged, s.Unmanaged, s.NotCompared = e.Summary.Unchanged, len(e.Unmanaged), len(e.NotCompared)
		e.Summary = s
		e.sortConnections(*r)
		e.approvals(*r)
		e.sayWhatDrifts()
	}
	r.ExitCode = ExitCode(*r)
}

// sortConnections puts what is said of connections in the order of their rows. The changes
// of one stay in the order in which they are applied.
func (e *Environment) sortConnections(r Report) {
	place := map[string]int{}
	for i, w := range rows(r, *e) {
		if w.connection != "" {
			place[w.connection] = i
		}
	}
	e.Changes, e.Connections = slices.Clone(e.Changes), slices.Clone(e.Connections)
	slices.SortStableFunc(e.Changes, func(a, b Change) int { return cmp.Compare(place[a.Connection], place[b.Connection]) })
	slices.SortStableFunc(e.Connections, func(a, b Connection) int { return cmp.Compare(place[a.Name], place[b.Name]) })
}

// sayWhatDrifts puts beside the lines that revert all drift of an environment what has
// drifted there, as far as the run looked.
func (e *Environment) sayWhatDrifts() {
	var names []string
	for _, c := range e.Changes {
		name := nameOf(c, *e)
		if c.Then == plan.Approval {
			name += " (after an approval)"
		}
		if c.Cause == plan.Drift && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	these := strings.Join(names, ", ")
	switch {
	case len(e.Selected)+len(e.NotCompared) > 0:
		these = "at least " + these
	case len(names) == 1:
		these = "only " + these
	}
	text := "holds for all of " + e.Name + "; today " + these + " drifted"
	for i := range e.Changes {
		c := &e.Changes[i]
		for j, n := range c.Remediations {
			if c.Guard == plan.GuardDrift && n.YAML == plan.RevertDrift {
				c.Remediations = slices.Clone(c.Remediations)
				c.Remediations[j].Text = text
			}
		}
	}
}

// complete turns lists that are nil into empty ones, which JSON shows as [].
func complete(e Environment) Environment {
	e.Warnings = warnings(e.Warnings)
	e.Unmanaged, e.MissingScopes = notNil(e.Unmanaged), notNil(e.MissingScopes)
	e.NotCompared = notNil(e.NotCompared)
	e.MayHaveWritten = notNil(e.MayHaveWritten)
	e.Remediations = notNil(e.Remediations)
	e.Approval = e.Approval.complete()
	e.Selected = notNil(e.Selected)
	e.Connections = slices.Clone(notNil(e.Connections))
	for i := range e.Connections {
		e.Connections[i].Approval = e.Connections[i].Approval.complete()
	}
	e.Events = slices.Clone(notNil(e.Events))
	for i := range e.Events {
		e.Events[i].Remediations = notNil(e.Events[i].Remediations)
	}
	e.Keys = slices.Clone(notNil(e.Keys))
	for i := range e.Keys {
		k := &e.Keys[i]
		k.Rejected, k.Prunable, k.Remediations = notNil(k.Rejected), notNil(k.Prunable), notNil(k.Remediations)
	}
	e.Changes = slices.Clone(notNil(e.Changes))
	for i := range e.Changes {
		e.Changes[i].Fields = notNil(e.Changes[i].Fields)
		e.Changes[i].Remediations = notNil(e.Changes[i].Remediations)
	}
	return e
}

func warnings(list []plan.Warning) []plan.Warning {
	list = slices.Clone(notNil(list))
	for i := range list {
		list[i].Remediations = notNil(list[i].Remediations)
	}
	return list
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
