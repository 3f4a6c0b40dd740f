package daemon

import (
	"path/filepath"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// The protocol: JSON over HTTP on a unix socket. Fields and paths are added,
// never renamed; what would break an older client gets another version.
const (
	protocol = "/v1"

	pathPause   = protocol + "/pause"
	pathResume  = protocol + "/resume"
	pathState   = protocol + "/state"
	pathStatus  = protocol + "/status"
	pathNow     = protocol + "/now"
	pathApprove = protocol + "/approve"
	pathAnswer  = protocol + "/answer"
)

// StatusSchema is the version of a Status as a document.
const StatusSchema = "terra-reconcile/status/v1"

// socketName is the socket inside the state folder.
const socketName = "control.sock"

// SocketPath is where the process that holds the state in dir listens.
func SocketPath(dir string) string { return filepath.Join(dir, socketName) }

// Pause is a kill switch that is on.
type Pause struct {
	Target string    `json:"target"` // "" is everything, else ENV or ENV/CONN
	Reason string    `json:"reason"`
	Owner  string    `json:"owner"` // who asked, by the operating system
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"` // exclusive
}

// PauseRequest asks to hold every change of a target. A server decides who asks
// and from when, whatever a client says.
type PauseRequest struct {
	Target  string `json:"target"`
	Reason  string `json:"reason"`
	Seconds int64  `json:"seconds"` // how long
	Owner   string `json:"-"`
}

// ResumeRequest asks to lift the kill switch on exactly this target.
type ResumeRequest struct {
	Target string `json:"target"`
	Owner  string `json:"-"` // who asks; a server decides
}

// Resumed is a kill switch that was lifted.
type Resumed struct {
	Pause
	Still []Pause `json:"still"` // what goes on holding the same, or a part of it
}

// Approval lets the next run of an environment apply exactly one plan.
type Approval struct {
	Environment string `json:"environment"`
	Hash        string `json:"hash"`
	Now         bool   `json:"now"` // also outside the windows
	Owner       string `json:"-"`
}

// Approved is an approval that waits to be used.
type Approved struct {
	Hash  string    `json:"hash"`
	Now   bool      `json:"now"`
	Owner string    `json:"owner"`
	Until time.Time `json:"until"` // unused, it ends then
}

// ProbeAnswer is what a provider said just now about a pair of client id and secret,
// to somebody who does not hold the state. The server decides when that was.
type ProbeAnswer struct {
	DevID   string `json:"dev_id"`
	Pair    string `json:"pair"` // a keyed digest, by the state's own key
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
}

// NowRequest asks for a run soon; "" is every environment.
type NowRequest struct {
	Environment string `json:"environment"`
}

// Status is how a daemon stands. Times are UTC; those that are not known, or not
// yet, are null.
type Status struct {
	Schema       string              `json:"schema"`
	Version      string              `json:"version"`
	Mode         report.Mode         `json:"mode"`
	Repository   string              `json:"repository"`
	StartedAt    time.Time           `json:"started_at"`
	Poll         PollStatus          `json:"poll"`
	Stuck        []string            `json:"stuck"` // what should have ended and has not: then /healthz answers 503
	Paused       []Pause             `json:"paused"`
	Environments []EnvironmentStatus `json:"environments"` // by name
}

// PollStatus is the last look at the repository.
type PollStatus struct {
	At    *time.Time `json:"at"`
	Error string     `json:"error"`
}

// EnvironmentStatus is how one environment stands.
type EnvironmentStatus struct {
	Name      string      `json:"name"`
	DevID     string      `json:"dev_id"`
	Commit    string      `json:"commit"`    // what its runs use; "" when there is none
	Attempted string      `json:"attempted"` // tried last
	Applied   string      `json:"applied"`   // last in effect as a whole
	Behind    string      `json:"behind"`    // why it is not on the newest commit
	Newer     string      `json:"newer"`     // the commit that it followed after this one: the branch went back
	Running   *time.Time  `json:"running"`   // since when a run is under way
	LastRun   *LastRun    `json:"last_run"`
	NextRun   *time.Time  `json:"next_run"` // by its schedule
	Approved  *Approved   `json:"approved"` // what the next run may apply
	Held      []HeldEntry `json:"held"`     // of the last run
}

// LastRun is how the last run of an environment ended.
type LastRun struct {
	StartedAt  time.Time      `json:"started_at"`
	DurationMS int64          `json:"duration_ms"`
	ExitCode   int            `json:"exit_code"` // as of the command reconcile
	Error      string         `json:"error"`
	PlanHash   string         `json:"plan_hash"`
	Summary    report.Summary `json:"summary"`
}

// HeldEntry is a change that the last run did not apply.
type HeldEntry struct {
	Change string `json:"change"`
	Gate   string `json:"gate"`
	Guard  string `json:"guard"`
	Reason string `json:"reason"`
}
