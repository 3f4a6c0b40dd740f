package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
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
	pathLook    = protocol + "/approvable"
	pathKey     = protocol + "/key-accepted"
	pathForget  = protocol + "/forget"
	pathLog     = protocol + "/log-level"
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

// Approval lets the next run of an environment apply exactly one plan, or what that plan
// has for one connection.
type Approval struct {
	Environment string `json:"environment"`
	Connection  string `json:"connection"` // production/strava; "" is the whole plan
	Hash        string `json:"hash"`       // of the plan or the connection, or its first 8 digits
	Now         bool   `json:"now"`        // also outside the windows
	Token       string `json:"token"`      // of the person, where the runner knows people by tokens
	Owner       string `json:"-"`
}

// Approved is an approval that waits to be used.
type Approved struct {
	Connection string    `json:"connection"`
	Hash       string    `json:"hash"`
	Now        bool      `json:"now"`
	By         []string  `json:"by"`
	Missing    int       `json:"missing"` // people who have to approve it, too
	Until      time.Time `json:"until"`   // unused, it ends then
	// Covers is a line for each field of what is approved, as the last run has it, safe to
	// print; only in the answer to whoever approves. Empty where that run does not tell.
	Covers []string `json:"covers,omitempty"`
	// Paused is why nothing of it is applied until pauses end or are lifted, absent where
	// something may be; only in the answer to whoever approves.
	Paused string `json:"paused,omitempty"`
}

// AcceptedKey is a key that its provider accepted just now, as somebody heard who does
// not hold the state. A run that would write it asks again all the same.
type AcceptedKey struct {
	API      string `json:"api"` // address of the account whose memory it is
	DevID    string `json:"dev_id"`
	Provider string `json:"provider"`
	Entry    string `json:"entry"` // keys.EntryID
}

// ForgetRequest asks to forget what is remembered of a connection.
type ForgetRequest struct {
	Connection string `json:"connection"` // production/strava
	Owner      string `json:"-"`          // who asks; a server decides
}

// LogLevelRequest asks to log from a level on: debug, info, warn, error, or configured; ""
// only asks which there is.
type LogLevelRequest struct {
	Level   string `json:"level"`
	Seconds int64  `json:"seconds"` // how long
	Owner   string `json:"-"`
}

// LogLevel is from which level on a daemon logs.
type LogLevel struct {
	Level      string     `json:"level"`
	Configured string     `json:"configured"` // by daemon.yaml
	Until      *time.Time `json:"until"`      // when that is back; null where it is in force
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
	Branch       string              `json:"branch"`      // that is followed; "" where tags are
	Tags         string              `json:"tags"`        // the rule about the versions of the tags that are followed; "" where a branch is
	Tag          string              `json:"tag"`         // the tag of these that was found last
	HeadBranch   string              `json:"head_branch"` // another one, which HEAD names and which is not followed; "" for none
	TagAside     string              `json:"tag_aside"`   // the full name of a tag that has the name of the branch, and is not followed; "" for none
	ForcedPush   *ForcedPush         `json:"forced_push"` // the last time that the branch was forced; null where it never was
	Verify       string              `json:"verify"`      // which commits need a signature: head, every or "" for none
	StartedAt    time.Time           `json:"started_at"`
	Poll         PollStatus          `json:"poll"`
	Stuck        []string            `json:"stuck"`   // what should have ended and has not: then /healthz answers 503
	Unready      []Unready           `json:"unready"` // what has failed for too long, or follows nothing yet: then /readyz answers 503
	Config       ConfigStatus        `json:"config"`
	Paused       []Pause             `json:"paused"`
	LogLevel     LogLevel            `json:"log_level"`
	Environments []EnvironmentStatus `json:"environments"` // by name
	Receivers    []Receiver          `json:"receivers"`    // of messages, by name
	// Tokens are those that end soon, or can be renewed no longer soon, by account; left out
	// where there are none.
	Tokens []TokenEnd `json:"tokens,omitempty"`
	// Repositories are those of a daemon that follows several, by name; left out where it is one.
	// Then Repository, Branch, HeadBranch, TagAside, Tags, Tag, ForcedPush and Verify are empty above, and
	// Poll is that of the one that has failed for the longest.
	Repositories []RepositoryStatus `json:"repositories,omitempty"`
	// RefusedEnvironments are of the only repository, as in a RepositoryStatus.
	RefusedEnvironments []RefusedEnvironment `json:"refused_environments,omitempty"`
}

// RepositoryStatus is how one of several repositories stands, as Status says it of the only one.
type RepositoryStatus struct {
	Name                string               `json:"name"`
	Repository          string               `json:"repository"`
	Branch              string               `json:"branch"`
	HeadBranch          string               `json:"head_branch"`
	TagAside            string               `json:"tag_aside"`
	Tags                string               `json:"tags"`
	Tag                 string               `json:"tag"`
	ForcedPush          *ForcedPush          `json:"forced_push"`
	Verify              string               `json:"verify"`
	Poll                PollStatus           `json:"poll"`
	RefusedEnvironments []RefusedEnvironment `json:"refused_environments"` // by name
}

// RefusedEnvironment is one that its commit names and that is another repository's: nothing of
// this one is run.
type RefusedEnvironment struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Each gives how each repository stands, also where there is only one, whose name is "".
func (s Status) Each() []RepositoryStatus {
	if len(s.Repositories) > 0 {
		return s.Repositories
	}
	return []RepositoryStatus{{Repository: s.Repository, Branch: s.Branch, HeadBranch: s.HeadBranch, TagAside: s.TagAside, Tags: s.Tags, Tag: s.Tag, ForcedPush: s.ForcedPush,
		Verify: s.Verify, Poll: s.Poll, RefusedEnvironments: s.RefusedEnvironments}}
}

// ConfigStatus is whether daemon.yaml, as it is now, is what the daemon runs with. Where it is
// not, the next start fails.
type ConfigStatus struct {
	RefusedSince *time.Time `json:"refused_since"` // null while it is
	Error        string     `json:"error"`         // why it is not used, in one line
}

// Receiver is how a receiver of messages is doing. Counts are since the start.
type Receiver struct {
	Name         string     `json:"name"`
	Form         string     `json:"form"` // webhook, slack, teams, ntfy, email
	Delivered    int        `json:"delivered"`
	Failed       int        `json:"failed"`        // tries
	Waiting      int        `json:"waiting"`       // messages
	Dropped      int        `json:"dropped"`       // messages that it never gets
	DropCause    string     `json:"drop_cause"`    // why the last of them is dropped, "" for none
	FailingSince *time.Time `json:"failing_since"` // null while the last message was taken
	LastSuccess  *time.Time `json:"last_success"`
	Error        string     `json:"error"` // of the last try
}

// ForcedPushShown is how long people are told of a forced push.
const ForcedPushShown = 7 * 24 * time.Hour

// ForcedPush is a branch that was made to name a commit which does not hold the former one, or
// a tag that was made to name another commit.
type ForcedPush struct {
	At   time.Time `json:"at"` // when it was noticed
	From string    `json:"from"`
	To   string    `json:"to"`
	Tag  string    `json:"tag"` // the tag; "" for a branch
}

// PollStatus is the last look at the repository.
type PollStatus struct {
	At    *time.Time `json:"at"`
	Error string     `json:"error"`
	// RefusedCommit is the newest commit where it was read and nothing of it is used, which
	// Error says why; left out where there is no such.
	RefusedCommit string `json:"refused_commit,omitempty"`
	Tries
}

// EnvironmentStatus is how one environment stands.
type EnvironmentStatus struct {
	Name              string     `json:"name"`
	DevID             string     `json:"dev_id"`
	Repository        string     `json:"repository,omitempty"`       // its name, where there are several
	Revision          string     `json:"revision"`                   // the commit that its runs use; "" when there is none
	AttemptedRevision string     `json:"attempted_revision"`         // tried last
	AppliedRevision   string     `json:"applied_revision"`           // last in effect as a whole
	BehindReason      string     `json:"behind_reason"`              // why it is not on the newest commit
	RewoundFromTag    string     `json:"rewound_from_tag,omitempty"` // that named it, where it is of a higher version
	RewoundFrom       string     `json:"rewound_from"`               // the commit that it was on after this one: the branch went back
	Running           *time.Time `json:"running"`                    // since when a run is under way
	LastRun           *LastRun   `json:"last_run"`
	Tries
	NextRun       *time.Time    `json:"next_run"`        // by its schedule, or because something changes then by time alone
	NextRunReason string        `json:"next_run_reason"` // which of both, and what
	Approved      []Approved    `json:"approved"`        // what the next run may apply
	Gated         []GatedChange `json:"gated"`           // of the last run
	// Keys are those that somebody should look at, as the last run saw them; left out where
	// there are none.
	Keys []KeyNotice `json:"keys,omitempty"`
}

// KeyNotice is what is to be said of the keys of a connection.
type KeyNotice struct {
	Connection string `json:"connection"` // production/strava
	State      string `json:"state"`      // as of `rotate status`: overdue, rejected, due, …
	Text       string `json:"text"`       // what State alone does not say; "" for nothing
}

// TokenEnd is when something of an admin token ends. Times that are not known are null.
type TokenEnd struct {
	Account        string     `json:"account"` // its name in daemon.yaml
	Ends           *time.Time `json:"ends"`
	RenewableUntil *time.Time `json:"renewable_until"`
}

// LastRun is how the last run of an environment ended.
type LastRun struct {
	StartedAt  time.Time      `json:"started_at"`
	DurationMS int64          `json:"duration_ms"`
	ExitCode   int            `json:"exit_code"` // as of the command reconcile
	Error      string         `json:"error"`
	Refused    bool           `json:"refused"` // the commit asks for an account or a dev_id that it may not use, or that is not there
	PlanHash   string         `json:"plan_hash"`
	Summary    report.Summary `json:"summary"`
}

// GatedChange is a change that the last run did not apply.
type GatedChange struct {
	Change string `json:"change"`
	Gate   string `json:"gate"`
	Guard  string `json:"guard"`
	Reason string `json:"reason"`
}

// AbsentError says that nobody answers on the socket.
type AbsentError struct{ Path string }

// Error names the socket; the caller knows the next step.
func (e *AbsentError) Error() string { return "nobody answers at " + e.Path }

// ForeignError says that another user answers on the socket. Nothing was asked.
type ForeignError struct {
	Path string
	User string
}

// Error names who it is; the caller knows the next step.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s answers at %s, and neither you nor root: nothing was asked", e.User, e.Path)
}

// trusted wants root or the user of this process to answer; root itself believes who owns
// the folder as well.
func trusted(conn net.Conn, path string) error {
	uid, err := peerUID(conn)
	switch {
	case err != nil:
		return fmt.Errorf("it is not known who answers at %s: %w", path, err)
	case mayAnswer(uid, os.Geteuid(), ownerOf(filepath.Dir(path))):
		return nil
	}
	return &ForeignError{Path: path, User: UserName(uid)}
}

func mayAnswer(uid, me, folder int) bool { return uid == me || uid == 0 || me == 0 && uid == folder }

// RefusedError is what the other end says against a request.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// Client asks the process that holds the state in one folder. Its errors are an
// *AbsentError, a *RefusedError, or say what went wrong in between.
type Client struct {
	path string
	http http.Client
}

// NewClient makes a Client for the state folder dir. It connects to nothing yet.
func NewClient(dir string) *Client {
	path := SocketPath(dir)
	return &Client{path: path, http: http.Client{
		Timeout: answerWithin,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
				if err != nil {
					return nil, err
				}
				if err := trusted(conn, path); err != nil {
					return nil, errors.Join(err, conn.Close())
				}
				return conn, nil
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Pause sets a kill switch.
func (c *Client) Pause(ctx context.Context, r PauseRequest) (Pause, error) {
	return ask[Pause](ctx, c, http.MethodPost, pathPause, r)
}

// Resume lifts one and says which, and what still holds.
func (c *Client) Resume(ctx context.Context, r ResumeRequest) (Resumed, error) {
	return ask[Resumed](ctx, c, http.MethodPost, pathResume, r)
}

// Status asks a daemon how it stands.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, http.MethodGet, pathStatus, struct{}{})
}

// RunNow asks a daemon for runs, and names the environments they are of.
func (c *Client) RunNow(ctx context.Context, r NowRequest) ([]string, error) {
	return ask[[]string](ctx, c, http.MethodPost, pathNow, r)
}

// LogLevel asks a daemon for another log level, and which there is.
func (c *Client) LogLevel(ctx context.Context, r LogLevelRequest) (LogLevel, error) {
	return ask[LogLevel](ctx, c, http.MethodPost, pathLog, r)
}

// Approvable asks a daemon what an approval would be of, and changes nothing.
func (c *Client) Approvable(ctx context.Context, a Approval) (Approved, error) {
	return ask[Approved](ctx, c, http.MethodPost, pathLook, a)
}

// Approve leaves an approval with a daemon.
func (c *Client) Approve(ctx context.Context, a Approval) (Approved, error) {
	return ask[Approved](ctx, c, http.MethodPost, pathApprove, a)
}

// KeyAccepted leaves with the holder of the state that a key is accepted.
func (c *Client) KeyAccepted(ctx context.Context, a AcceptedKey) error {
	_, err := ask[AcceptedKey](ctx, c, http.MethodPost, pathKey, a)
	return err
}

// Forget has what is remembered of a connection forgotten, and gives its name.
func (c *Client) Forget(ctx context.Context, r ForgetRequest) (string, error) {
	return ask[string](ctx, c, http.MethodPost, pathForget, r)
}

// State gives a consistent copy of the state, whole or not at all.
func (c *Client) State(ctx context.Context) ([]byte, error) {
	return c.send(ctx, http.MethodGet, pathState, nil)
}

func ask[A, Q any](ctx context.Context, c *Client, method, path string, request Q) (A, error) {
	var answer A
	body, err := json.Marshal(request)
	if err != nil {
		return answer, fmt.Errorf("ask %s: %w", c.path, err)
	}
	text, err := c.send(ctx, method, path, body)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("ask %s: %w; is it a reconcile of another version?", c.path, err)
	}
	return answer, nil
}

func (c *Client) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://reconcile"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.path, err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, &AbsentError{c.path}
		}
		var foreign *ForeignError
		if errors.As(err, &foreign) {
			return nil, foreign
		}
		return nil, fmt.Errorf("ask %s: %w", c.path, bare(err))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: the answer broke off: %w", c.path, err)
	}
	if answer.StatusCode == http.StatusOK {
		return text, nil
	}
	var p problem
	if err := json.Unmarshal(text, &p); err != nil || p.Error == "" {
		return nil, fmt.Errorf("ask %s: it answers %d; is it a reconcile of another version?", c.path, answer.StatusCode)
	}
	return nil, &RefusedError{p.Error}
}

// bare drops the URL that means nothing on a socket.
func bare(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
