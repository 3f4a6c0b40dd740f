package web

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// The tokens of the tests.
const (
	readToken    = "0f4c9b7d2e6a1835c0d9e8f7a6b5c4d3"
	approveToken = "9e1d7c3b5a8f2064b7c6d5e4f3a2b1c0"
)

func noon() time.Time { return time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC) }

const commitHash = "4f2c9a7e1b3d5f60718293a4b5c6d7e8f9012345"

// daemonOf is a daemon of made-up reports.
type daemonOf struct {
	mu      sync.Mutex
	status  daemon.Status
	reports map[string]report.Report
	files   map[string][]File
	entries []state.Entry
	did     []string
	asked   state.HistoryFilter
}

func (d *daemonOf) Status() (daemon.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status, nil
}

func (d *daemonOf) Report(name string) (report.Report, bool) {
	r, ok := d.reports[name]
	return r, ok
}

func (d *daemonOf) Left(name string) (report.Environment, bool) {
	r, ran := d.reports[name]
	if !ran || r.Error != "" || len(r.Environments) == 0 {
		return report.Environment{}, false
	}
	e := r.Environments[0]
	e.Changes = slices.DeleteFunc(slices.Clone(e.Changes), func(c report.Change) bool { return c.Outcome == report.Applied })
	return e, e.Error == ""
}

func (d *daemonOf) Files(name string) []File { return d.files[name] }

func (d *daemonOf) History(f state.HistoryFilter) ([]state.Entry, []string, error) {
	d.mu.Lock()
	d.asked = f
	d.mu.Unlock()
	var out []state.Entry
	for _, e := range d.entries {
		if (f.Environment == "" || f.Environment == e.Environment) && (f.Connection == "" || f.Connection == e.Connection) && (f.Before == 0 || e.Sequence < f.Before) {
			out = append(out, e)
		}
	}
	if f.Limit > 0 {
		out = out[max(0, len(out)-f.Limit):]
	}
	return out, nil, nil
}

func (d *daemonOf) hash(q daemon.Approval) (report.Environment, error) {
	left, _ := d.Left(q.Environment)
	if hash := hashOf(left, cmp.Or(q.Connection, q.Environment), strings.TrimPrefix(q.Connection, q.Environment+"/")); q.Connection != "" && hash != q.Hash || q.Connection == "" && plan.Hash(left.Plan()) != q.Hash {
		return left, errors.New("its last run left another plan of it; look at it before you approve it")
	}
	return left, nil
}

func (d *daemonOf) Approvable(q daemon.Approval) (daemon.Approved, error) {
	left, err := d.hash(q)
	return daemon.Approved{Connection: q.Connection, Hash: q.Hash, By: []string{}, Covers: report.Covers(left, q.Connection)}, err
}

func (d *daemonOf) Approve(q daemon.Approval) (daemon.Approved, error) {
	a, err := d.Approvable(q)
	if err == nil {
		d.did = append(d.did, fmt.Sprintf("approve %s %s by %s now %t", q.Environment, q.Connection, q.Owner, q.Now))
		a.By, a.Until = []string{q.Owner}, noon().Add(24*time.Hour)
	}
	return a, err
}

func (d *daemonOf) Pause(q daemon.PauseRequest) (daemon.Pause, error) {
	if q.Reason == "" {
		return daemon.Pause{}, errors.New("the reason is one line of at most 200 characters")
	}
	d.did = append(d.did, fmt.Sprintf("pause %q for %d s by %s: %s", q.Target, q.Seconds, q.Owner, q.Reason))
	return daemon.Pause{Target: q.Target, Reason: q.Reason, Owner: q.Owner, Since: noon(), Until: noon().Add(time.Duration(q.Seconds) * time.Second)}, nil
}

func (d *daemonOf) Resume(q daemon.ResumeRequest) (daemon.Resumed, error) {
	d.did = append(d.did, fmt.Sprintf("resume %q by %s", q.Target, q.Owner))
	return daemon.Resumed{Pause: daemon.Pause{Target: q.Target, Owner: "jo", Reason: "x", Since: noon(), Until: noon()}, Still: []daemon.Pause{}}, nil
}

func (d *daemonOf) RunNow(q daemon.NowRequest) ([]string, error) {
	d.did = append(d.did, "run "+q.Environment)
	return []string{q.Environment}, nil
}

func value(s string) plan.FieldValue { return plan.FieldValue{Value: &s} }

func exactly(n int) *plan.Users { return &plan.Users{Count: n, Exact: true} }

func changeOf(environment, provider string, action plan.Action, class plan.Class, cause plan.Cause, fields ...plan.FieldChange) report.Change {
	name := environment + "/" + provider
	return report.Change{Change: plan.Change{ID: name + ":" + string(action), Connection: name, Provider: provider, Action: action, Class: class, Cause: cause, Fields: fields,
		Gate: plan.Ready, Origin: name + ".yaml:3"}}
}

func gated(c report.Change, gate plan.Gate, guard, reason string, by ...plan.Remediation) report.Change {
	c.Gate, c.Guard, c.GateReason, c.Remediations = gate, guard, reason, by
	return c
}

// keyOf is a key of so many of 90 days.
func keyOf(connection string, days int, state keys.State) keys.Status {
	_, provider := parted(connection)
	return keys.Status{Connection: connection, Provider: provider, State: state, Keys: 1, Live: 1, Due: 1, Issued: noon().AddDate(0, 0, -days), AgeDays: &days, MaxAgeDays: 90,
		Rejected: []keys.RefusedKey{}, Unconfirmed: []keys.RefusedKey{}, Prunable: []int{}, Remediations: []plan.Remediation{}}
}

// fileOf is a plain file of a connection.
func fileOf(environment, provider string, more ...Field) File {
	return File{Connection: environment + "/" + provider, Provider: provider, Origin: environment + "/" + provider + ".yaml:1",
		Fields: append([]Field{{"state", "active"}, {"client_id", "123456"}, {"client_secret", "key 1 of 1, sealed"}}, more...)}
}

// add gives the daemon an environment with what its last run found.
func (d *daemonOf) add(name string, unchanged int, e report.Environment, files ...File) {
	r := report.New(report.Apply, commitHash, noon().Add(-4*time.Minute))
	r.RunID, r.StateLock = "5b0c2a", report.LockedByDaemon
	e.Name, e.DevID, e.Account, e.Summary.Unchanged = name, name+"-app-x81LmQ", "default", unchanged
	hashes := plan.ConnectionHashes(e.Plan())
	for _, c := range e.Changes {
		if c.Gate == plan.Approval {
			e.Approval.Releases, e.Approval.ReleasesNow = e.Approval.Releases+1, e.Approval.ReleasesNow+1
			e.Connections = append(e.Connections, report.Connection{Name: c.Connection, PlanHash: hashes[c.Connection], Approval: report.Approval{Releases: 1, ReleasesNow: 1}})
		}
	}
	e.PlanHash = plan.Hash(e.Plan())
	r.Environments = []report.Environment{e}
	r.Finish(noon().Add(-4*time.Minute + 2100*time.Millisecond))
	d.reports[name], d.files[name] = r, files
	next := noon().Add(11 * time.Minute)
	s := daemon.EnvironmentStatus{Name: name, DevID: e.DevID, Revision: commitHash, AppliedRevision: commitHash, AttemptedRevision: commitHash, NextRun: &next, NextRunReason: "its schedule",
		LastRun:  &daemon.LastRun{StartedAt: r.StartedAt, DurationMS: r.DurationMS, ExitCode: r.ExitCode, Error: cmp.Or(r.Error, r.Environments[0].Error), PlanHash: e.PlanHash, Summary: r.Environments[0].Summary},
		Approved: []daemon.Approved{}, Gated: []daemon.GatedChange{}}
	success := r.StartedAt
	s.LastSuccess = &success
	d.status.Environments = append(d.status.Environments, s)
	slices.SortFunc(d.status.Environments, func(a, b daemon.EnvironmentStatus) int { return cmp.Compare(a.Name, b.Name) })
}

func empty() *daemonOf {
	at, success := noon().Add(-20*time.Second), noon().Add(-20*time.Second)
	d := &daemonOf{reports: map[string]report.Report{}, files: map[string][]File{}}
	d.status = daemon.Status{Schema: daemon.StatusSchema, Version: "1.4.0", Mode: report.Apply, Repository: "https://git.acme.example/platform/terra.git", Branch: "main",
		StartedAt: noon().AddDate(0, 0, -6), Poll: daemon.PollStatus{At: &at, Tries: daemon.Tries{LastSuccess: &success}}, Stuck: []string{}, Unready: []daemon.Unready{},
		Paused: []daemon.Pause{}, Environments: []daemon.EnvironmentStatus{}, LogLevel: daemon.LogLevel{Level: "info", Configured: "info"},
		Receivers: []daemon.Receiver{{Name: "ops", Form: "webhook", Delivered: 3, Waiting: 1, FailingSince: &at, LastSuccess: &success, Error: "send message to ops: it answered 503"}}}
	return d
}

// busy is a daemon with something of everything.
func busy() *daemonOf {
	d := empty()
	approve := plan.Remediation{Kind: plan.ByApproval, Text: "approve this connection"}
	huawei := gated(changeOf("production", "huawei", plan.UpdateCredentials, plan.Destructive, plan.Commit,
		plan.FieldChange{Field: plan.FieldClientID, From: value("104512345"), To: value("104599999")}, plan.FieldChange{Field: plan.FieldClientSecret, From: plan.FieldValue{Mask: "****7733", Key: 1}, To: plan.FieldValue{Key: 2}}),
		plan.Approval, "destructive", "destructive, and nobody has approved it", approve,
		plan.Remediation{Kind: plan.ByAllow, File: "production/huawei.yaml", YAML: "policy: {allow: [{change: client_id, to: \"104599999\", until: 2026-12-08, reason: \"...\"}]}"})
	huawei.ActiveUsers, huawei.ClassReason = exactly(37), "client_id, sandbox or secret_ref: every user may have to reconnect"
	proof := plan.ProofOf("prefer", 24*time.Hour, 10)
	huawei.Proof = &proof
	whoop := gated(changeOf("production", "whoop", plan.SetScopes, plan.Disruptive, plan.Drift,
		plan.FieldChange{Field: plan.FieldScopes, From: plan.FieldValue{List: []string{"read:cycles", "read:sleep"}}, To: plan.FieldValue{List: []string{"read:sleep"}}}),
		plan.Blocked, plan.GuardDrift, "on_drift: report, so it is only reported (production/environment.yaml:6)",
		plan.Remediation{Kind: plan.ByCommit, Text: "for the whole environment", File: "production/environment.yaml", YAML: plan.RevertDrift})
	whoop.ActiveUsers, whoop.DriftSince, whoop.GatedSince = exactly(12), noon().Add(-50*time.Hour), noon().Add(-50*time.Hour)
	garmin := gated(changeOf("production", "garmin", plan.RotateSecret, plan.Disruptive, plan.Rotation,
		plan.FieldChange{Field: plan.FieldClientSecret, From: plan.FieldValue{Mask: "****2210", Key: 1}, To: plan.FieldValue{Key: 2}}),
		plan.Waiting, plan.GuardWindow, "outside the windows (production/environment.yaml:9); the next one opens Sat 5 Dec 2026 02:00 GMT; --now does not wait")
	garmin.GateEnds = time.Date(2026, 12, 5, 2, 0, 0, 0, time.UTC)
	oura := changeOf("staging", "oura", plan.SetCredentials, plan.Safe, plan.Create, plan.FieldChange{Field: plan.FieldClientID, To: value("8M4TR9WB")})
	oura.Outcome, oura.Error = report.Failed, "409 conflict: another source uses this client_id; use one app for each environment"

	fitbit := keyOf("production/fitbit", 3, keys.Soaking)
	fitbit.Keys, fitbit.Live, fitbit.Due = 2, 2, 2
	fitbit.SoakStartedAt, fitbit.SoakEndsAt, fitbit.UsersBefore, fitbit.UsersNow = noon().Add(-20*time.Hour), noon().Add(4*time.Hour), exactly(1840), exactly(1838)
	overdue := keyOf("staging/strava", 97, keys.Overdue)
	overdue.Remediations = []plan.Remediation{plan.NextCommand("asks for a new secret and seals it into the file", "rotate", "add", "staging/strava")}
	next := keyOf("production/strava", 71, keys.OK)
	next.Keys, next.Next, next.NextAt = 2, 2, noon().Add(6*24*time.Hour)
	d.add("production", 4, report.Environment{Changes: []report.Change{huawei, whoop, garmin}, NotCompared: []plan.NotCompared{{Connection: "production/polar", Field: plan.FieldClientSecret, Reason: "this server does not tell"}},
		Unmanaged: []string{"withings"}, Keys: []keys.Status{next, fitbit, keyOf("production/garmin", 84, keys.Due), keyOf("production/huawei", 40, keys.Held), keyOf("production/polar", 12, keys.OK)}},
		fileOf("production", "fitbit"), fileOf("production", "garmin"), fileOf("production", "polar"), fileOf("production", "strava"),
		File{Connection: "production/huawei", Provider: "huawei", Origin: "production/huawei.yaml:1",
			Fields:   []Field{{"state", "active"}, {"app", "own"}, {"client_id", "104599999"}, {"client_secret", "key 2 of 2, sealed"}, {"redirect_url", "https://auth.acme.example/auth/huawei"}},
			Evidence: []Field{{"setup app", "done 2026-08-01"}, {"setup callback_domain", "access.tryterra.co, done 2026-08-01"}}},
		File{Connection: "production/whoop", Provider: "whoop", Origin: "production/whoop.yaml:1", Fields: []Field{{"state", "active"}, {"scopes", "read:sleep"}}})
	d.add("staging", 2, report.Environment{Changes: []report.Change{oura}, Keys: []keys.Status{overdue, keyOf("staging/fitbit", 30, keys.OK)}}, fileOf("staging", "fitbit"), fileOf("staging", "oura"), fileOf("staging", "strava"))
	d.add("eu/production", 3, report.Environment{Keys: []keys.Status{keyOf("eu/production/garmin", 55, keys.OK), keyOf("eu/production/strava", 20, keys.OK)}},
		fileOf("eu/production", "garmin"), fileOf("eu/production", "strava"), fileOf("eu/production", "whoop"))
	d.add("us/production", 2, report.Environment{Error: "read connections: Terra answers 503, and did so for 30s"}, fileOf("us/production", "strava"), fileOf("us/production", "polar"))
	failing := noon().Add(-9 * time.Minute)
	for i := range d.status.Environments {
		if e := &d.status.Environments[i]; e.Name == "us/production" {
			e.FailingSince, e.Failures = &failing, 3
		}
	}
	d.status.Paused = []daemon.Pause{{Target: "staging", Reason: "vendor migration, ticket 4711", Owner: "jo", Since: noon().Add(-3 * time.Hour), Until: noon().Add(5 * time.Hour)}}
	d.status.ForcedPush = &daemon.ForcedPush{At: noon().Add(-26 * time.Hour), From: commitHash, To: "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"}
	who := "Kim Reyes <kim@acme.example>"
	d.entries = []state.Entry{
		{Sequence: 101, At: noon().Add(-50 * time.Hour), Event: state.EventGated, Environment: "production", DevID: "x", Connection: "production/whoop", Provider: "whoop", Action: plan.SetScopes, Gate: plan.Blocked, Guard: "on-drift", GateReason: "on_drift: report"},
		{Sequence: 102, At: noon().Add(-26 * time.Hour), Event: state.EventApproved, Environment: "production", Connection: "production/strava", Provider: "strava", Owner: "jo", Approval: "sha256:9f31"},
		{Sequence: 103, At: noon().Add(-26 * time.Hour), Event: state.EventWrite, Environment: "production", Connection: "production/strava", Provider: "strava", Action: plan.UpdateCredentials, Outcome: "applied", ApprovedBy: []string{"jo"}, Fields: []plan.FieldChange{{Field: "client_id", From: value("111"), To: value("123456")}}},
		{Sequence: 104, At: noon().Add(-20 * time.Hour), Event: state.EventWrite, Environment: "production", Connection: "production/fitbit", Provider: "fitbit", Action: plan.RotateSecret, Outcome: "applied", Author: who, Fields: []plan.FieldChange{{Field: "client_secret", From: plan.FieldValue{Mask: "****0021", Key: 1}, To: plan.FieldValue{Key: 2}}}},
		{Sequence: 105, At: noon().Add(-3 * time.Hour), Event: state.EventPause, Environment: "staging", Owner: "jo", Reason: "vendor migration, ticket 4711", Until: noon().Add(5 * time.Hour)},
		{Sequence: 106, At: noon().Add(-4 * time.Minute), Event: state.EventWrite, Environment: "staging", Connection: "staging/oura", Provider: "oura", Action: plan.SetCredentials, Outcome: "failed", Error: "409 conflict: another source uses this client_id", Author: who},
		{Sequence: 107, At: noon().Add(-4 * time.Minute), Event: state.EventGated, Environment: "production", Connection: "production/huawei", Provider: "huawei", Action: plan.UpdateCredentials, Gate: plan.Approval, Guard: "destructive", GateReason: "destructive, and nobody has approved it", Author: who},
	}
	return d
}

// site serves a daemon to this machine, without a token to read and with one to approve.
func site(t testing.TB, d *daemonOf, change ...func(*Options)) *Site {
	t.Helper()
	o := Options{Source: d, Loopback: true, Now: noon, Log: slog.New(slog.DiscardHandler), Approver: func(token string) (string, error) {
		if token == approveToken {
			return "web", nil
		}
		return "", nil
	}}
	for _, c := range change {
		c(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withReader asks for a token to read.
func withReader(o *Options) {
	o.Reader = func() ([sha256.Size]byte, error) { return sha256.Sum256([]byte(readToken)), nil }
}

// asking sends one request, as a browser of this machine does, and gives the answer.
func asking(t testing.TB, s http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8080"+target, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:50000"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://127.0.0.1:8080")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}
