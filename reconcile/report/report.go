package report

import (
	"time"

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
	Schema       string        `json:"schema"`
	RunID        string        `json:"run_id,omitempty"` // the same as in the history
	Mode         Mode          `json:"mode"`
	Commit       string        `json:"commit"` // hash, or "worktree"
	StartedAt    time.Time     `json:"started_at"`
	DurationMS   int64         `json:"duration_ms"`
	ExitCode     int           `json:"exit_code"`
	Warnings     []string      `json:"warnings"` // of the whole run
	Error        string        `json:"error"`    // of the whole run
	Environments []Environment `json:"environments"`
	StateHolder  Holder        `json:"state_holder"` // who else writes the state, and so takes approvals
	// Digest is, in the JSON of a dry run alone, the SHA-256 of the document in which
	// it is made of zeros. It shows a slip of the hand, and proves nothing.
	Digest string `json:"digest,omitempty"`
}

// Environment is the part of a report about one environment.
type Environment struct {
	Name     string   `json:"name"`
	DevID    string   `json:"dev_id"`
	PlanHash string   `json:"plan_hash"`
	Error    string   `json:"error"`
	Warnings []string `json:"warnings"`
	// WarningDetails takes apart those of Warnings that have a cause of which there may
	// be more.
	WarningDetails []plan.Warning     `json:"warning_details"`
	Unmanaged      []string           `json:"unmanaged"`
	Summary        Summary            `json:"summary"`
	NotCompared    []plan.NotCompared `json:"not_compared"`
	Changes        []Change           `json:"changes"`
	Events         []Event            `json:"events"`
	Keys           []KeyStatus        `json:"keys"` // of connections with an own app
	// ApproveWay is what to type to approve this very plan, in backticks; "" where that
	// lets nothing through or one command does not do.
	ApproveWay string `json:"approve_way"`
	// ApproveNext is all there is to say about approving it, ApproveWay included.
	ApproveNext string   `json:"approve_next"`
	Approval    Approval `json:"approval"`
	// MayHaveWritten names fields that a server changed, or may have, although it
	// was asked for a dry run. Not empty, it ends the run.
	MayHaveWritten []string `json:"may_have_written"`
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
