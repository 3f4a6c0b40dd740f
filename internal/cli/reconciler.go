package cli

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// reconciler answers what only a daemon can be asked for.
type reconciler struct {
	daemon  *daemon.Daemon
	sources sources
	tell    *messages // may be nil
}

// Status adds to what the daemon knows of itself what the state knows.
func (r reconciler) Status() (daemon.Status, error) {
	s := r.daemon.Status()
	common := r.sources.common()
	s.Version, s.Mode = common.proc.Version, common.mode
	if common.level != nil {
		s.LogLevel = common.level.shown()
	}
	if common.file != nil {
		s.Config = common.file()
	}
	failed := r.repositories(&s)
	pauses, err := r.sources.controlServer().Pauses()
	if err = errors.Join(err, failed); err != nil {
		return s, err
	}
	s.Paused, s.Receivers = pauses, r.tell.receivers()
	s.Tokens = r.tokenEnds(s.Environments, common.proc.Now())
	store := common.store
	for i := range s.Environments {
		e := &s.Environments[i]
		e.Approved = []daemon.Approved{}
		e.Keys = keyNotices(r.sources.of(e.Name).measured(e.Name).Report)
		g, known := r.sources.revision(e.Name)
		if !known {
			continue
		}
		env, known, err := located(store, common.config, g.account, e.DevID)
		if err != nil || !known {
			continue // no run of it has applied yet, and its error says why
		}
		c, err := store.Commits(env)
		if err != nil {
			return s, err
		}
		e.AttemptedRevision, e.AppliedRevision = c.Attempted, c.Applied
		if e.RewoundFrom, err = store.RewoundFrom(env, e.Revision, g.older); err != nil {
			return s, err
		}
		if e.RewoundFrom != "" {
			e.RewoundFromTag = g.above
		}
		waiting, err := store.Approvals(env, common.proc.Now())
		if err != nil {
			return s, err
		}
		for _, a := range waiting {
			e.Approved = append(e.Approved, r.approvedOf(e.Name, a))
		}
	}
	return s, nil
}

// keyNotices are the keys of a run that somebody should look at.
func keyNotices(last report.Report) (out []daemon.KeyNotice) {
	for _, e := range last.Environments {
		for _, k := range e.Keys {
			i := slices.IndexFunc(k.States(), func(state keys.State) bool {
				return state != keys.OK && state != keys.Soaking && state != keys.Unknown
			})
			if i >= 0 {
				out = append(out, daemon.KeyNotice{Connection: k.Connection, State: string(k.States()[i]), Text: k.Text})
			}
		}
	}
	return out
}

// tokenEnds are what runs last saw of tokens that end soon.
func (r reconciler) tokenEnds(environments []daemon.EnvironmentStatus, now time.Time) (out []daemon.TokenEnd) {
	latest, at := map[string]report.Environment{}, map[string]time.Time{}
	for _, e := range environments {
		last := r.sources.of(e.Name).measured(e.Name).Report
		for _, of := range last.Environments {
			known := !of.TokenEnds.IsZero() || !of.TokenRenewable.IsZero()
			if known && !last.StartedAt.Before(at[of.Account]) {
				latest[of.Account], at[of.Account] = of, last.StartedAt
			}
		}
	}
	soon := func(t time.Time) *time.Time {
		if t.IsZero() || t.Sub(now) > terra.TokenWarn {
			return nil
		}
		t = t.UTC()
		return &t
	}
	for _, name := range slices.Sorted(maps.Keys(latest)) {
		end := daemon.TokenEnd{Account: name, Ends: soon(latest[name].TokenEnds), RenewableUntil: soon(latest[name].TokenRenewable)}
		if end.Ends != nil || end.RenewableUntil != nil {
			out = append(out, end)
		}
	}
	return out
}

// repositories adds how each repository stands.
func (r reconciler) repositories(s *daemon.Status) error {
	var failed []error
	for _, of := range r.sources {
		one, err := of.status()
		failed = append(failed, err)
		if one.Name == "" {
			s.Tags, s.Tag = one.Tags, one.Tag
			s.Repository, s.Branch, s.HeadBranch, s.TagAside = one.Repository, one.Branch, one.HeadBranch, one.TagAside
			s.ForcedPush, s.Verify, s.RefusedEnvironments = one.ForcedPush, one.Verify, one.RefusedEnvironments
			continue
		}
		if one.RefusedEnvironments == nil {
			one.RefusedEnvironments = []daemon.RefusedEnvironment{}
		}
		for i := range s.Repositories {
			if s.Repositories[i].Name == one.Name {
				one.Poll = s.Repositories[i].Poll
				s.Repositories[i] = one
			}
		}
	}
	return errors.Join(failed...)
}

// RunNow lets environments run soon.
func (r reconciler) RunNow(q daemon.NowRequest) ([]string, error) {
	return r.daemon.RunNow(q.Environment)
}

// Approvable tells what an approval would be of, as the last run has it.
func (r reconciler) Approvable(q daemon.Approval) (daemon.Approved, error) {
	q = r.meant(q)
	hash, err := r.approvable(q)
	if err != nil {
		return daemon.Approved{}, unapproved(q, err)
	}
	return daemon.Approved{Connection: q.Connection, Hash: hash, Now: q.Now, By: []string{}, Covers: r.covers(q), Paused: r.paused(q)}, nil
}

// approvable is the whole hash of what an approval names, and refuses one of nothing.
func (r reconciler) approvable(q daemon.Approval) (string, error) {
	switch _, known := r.sources.revision(q.Environment); {
	case r.sources.common().mode == report.DryRun:
		return "", errors.New("this daemon is observe-only (apply: false), so there is nothing to approve")
	case !known:
		return "", fmt.Errorf("the repository has no environment %q", q.Environment)
	case !plan.IsHash(q.Hash):
		return "", fmt.Errorf("%q is no hash as a dry run prints it: at least 8 digits", q.Hash)
	}
	if err := plan.LongEnough(q.Hash, r.sources.common().config.Approvals.Digits); err != nil {
		return "", err
	}
	return r.hashOf(q)
}

func unapproved(q daemon.Approval, err error) error {
	return fmt.Errorf("approve plan of %s: %w", cmp.Or(q.Connection, q.Environment), err)
}

// covers is what an approval is of, a line for each field.
func (r reconciler) covers(q daemon.Approval) []string {
	left, _ := r.sources.left(q.Environment)
	return report.Covers(left, q.Connection)
}

// paused is why nothing of what an approval is of may be changed now, "" where something may.
func (r reconciler) paused(q daemon.Approval) string {
	connections := []string{q.Connection}
	if q.Connection == "" {
		connections = nil
		left, _ := r.sources.left(q.Environment)
		for _, c := range left.Changes {
			connections = append(connections, c.Connection)
		}
	}
	return r.sources.paused(q.Environment, connections)
}

// Approve keeps an approval for the next run of an environment, and lets it run.
func (r reconciler) Approve(q daemon.Approval) (daemon.Approved, error) {
	q = r.meant(q)
	hash, err := r.approvable(q)
	if err != nil {
		return daemon.Approved{}, unapproved(q, err)
	}
	who, err := r.person(q)
	if err != nil {
		return daemon.Approved{}, unapproved(q, err)
	}
	g, _ := r.sources.revision(q.Environment)
	env, known, err := located(r.sources.common().store, r.sources.common().config, g.account, g.environment.DevID)
	if err == nil && !known {
		err = errors.New("no run of it has applied with this account yet; wait for the first")
	}
	if err != nil {
		return daemon.Approved{}, unapproved(q, err)
	}
	now := r.sources.common().proc.Now().UTC()
	a := state.Approval{Connection: q.Connection, Hash: hash, Now: q.Now, By: []string{who}, At: now, Until: now.Add(state.ApprovalLasts)}
	line := state.Entry{ID: rand.Text(), At: now, Event: state.EventApproved, Environment: q.Environment, DevID: env.DevID, Connection: q.Connection,
		Provider: strings.TrimPrefix(q.Connection, q.Environment+"/"), Approval: hash, ApprovedBy: a.By, Owner: who, Until: a.Until}
	if err := r.sources.common().store.SaveApproval(env, a, line); err != nil {
		return daemon.Approved{}, err
	}
	waiting, err := r.sources.common().store.Approvals(env, now)
	if err != nil {
		return daemon.Approved{}, err
	}
	for _, w := range waiting {
		if w.Connection == a.Connection {
			a = w
		}
	}
	out := r.approvedOf(q.Environment, a)
	out.Covers, out.Paused = r.covers(q), r.paused(q)
	_, err = r.daemon.RunNow(q.Environment) // what was approved need not wait for anything else
	return out, err
}

// meant parts ENV/CONN, where the repository has no environment of that very name: one may
// hold slashes itself. Where it has both, the hash says which is meant.
func (r reconciler) meant(q daemon.Approval) daemon.Approval {
	at := strings.LastIndexByte(q.Environment, '/')
	if q.Connection != "" || at < 0 {
		return q
	}
	one := q
	one.Environment, one.Connection = q.Environment[:at], q.Environment
	_, isEnvironment := r.sources.revision(q.Environment)
	if _, err := r.hashOf(q); isEnvironment && err == nil {
		return q
	}
	if _, known := r.sources.revision(one.Environment); !known {
		return q
	}
	return one
}

// hashOf is the whole hash that a person named: of what the last run left to do, where
// that run tells.
func (r reconciler) hashOf(q daemon.Approval) (string, error) {
	left, known := r.sources.left(q.Environment)
	if !known {
		digits := strings.TrimPrefix(q.Hash, "sha256:")
		if len(digits) != 2*sha256.Size {
			return "", errors.New("its last run does not tell what is left to do; give all 64 digits of the hash")
		}
		return "sha256:" + digits, nil
	}
	hashes := plan.ConnectionHashes(left.Plan())
	all := append(slices.Collect(maps.Values(hashes)), plan.Hash(left.Plan()))
	hash, what := plan.Hash(left.Plan()), "plan"
	if q.Connection != "" {
		hash, what = hashes[q.Connection], "plan of it"
	}
	switch {
	case hash == "" || len(left.Changes) == 0:
		return "", errors.New("nothing to approve: its last run left nothing to do there")
	case !plan.SameHash(q.Hash, hash, all...):
		return "", fmt.Errorf("its last run left another %s; look at it before you approve it", what)
	case q.Connection == "":
		return hash, r.coversNothing(q.Environment, left, hashes)
	}
	return hash, nil
}

// coversNothing refuses an approval of a whole plan that would let nothing through, because each
// connection that it is about is approved alone. What a pause holds counts: it may be lifted.
func (r reconciler) coversNothing(environment string, left report.Environment, hashes map[string]string) error {
	alone := left.Approval.Leaves
	var others []string
	for _, c := range left.Changes {
		if !slices.Contains(alone, c.Connection) {
			others = append(others, c.Connection)
		}
	}
	if len(alone) == 0 || left.Approval.ReleasesNow > 0 || len(others) > 0 && r.sources.paused(environment, others) != "" {
		return nil
	}
	var commands []string
	for _, name := range alone {
		short := plan.ShortHash(hashes[name], r.sources.common().config.Approvals.Digits, slices.Collect(maps.Values(hashes))...)
		commands = append(commands, "`"+plan.Command{"approve", name, short}.String()+"`")
	}
	return fmt.Errorf("an approval of the whole environment covers nothing here, for what is left is approved alone: %s", strings.Join(commands, ", "))
}

// person names who approves: by their token where the runner knows people by tokens,
// else as the operating system does.
func (r reconciler) person(q daemon.Approval) (string, error) {
	people := r.sources.common().config.Approvals.People
	if len(people) == 0 {
		return q.Owner, nil
	}
	given := sha256.Sum256([]byte(q.Token))
	var found []string
	for _, name := range slices.Sorted(maps.Keys(people)) {
		token, err := people[name].Read()
		if err != nil {
			return "", fmt.Errorf("tell who approves: approvals.people.%s: %w", name, err)
		}
		if known := sha256.Sum256([]byte(token)); q.Token != "" && subtle.ConstantTimeCompare(known[:], given[:]) == 1 {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", errors.New("this daemon knows people by their tokens; set yours in " + approverToken)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%s have one token in approvals.people; give each their own", strings.Join(found, " and "))
}

// daemonControl is the control server of a daemon: what is set and lifted has its
// effect at once.
type daemonControl struct {
	controlServer
	daemon  *daemon.Daemon
	sources sources
}

// Pause holds from now on, and ends by itself: the daemon wakes then.
func (c daemonControl) Pause(r daemon.PauseRequest) (daemon.Pause, error) {
	p, err := c.controlServer.Pause(r)
	if err == nil {
		c.daemon.Look()
	}
	return p, err
}

// Resume lifts a pause, and runs what it held.
func (c daemonControl) Resume(r daemon.ResumeRequest) (daemon.Resumed, error) {
	out, err := c.controlServer.Resume(r)
	if err != nil {
		return out, err
	}
	c.run(func(e daemon.Environment) bool {
		return out.Target == "" || out.Target == e.Name || out.Target == e.DevID || strings.HasPrefix(out.Target, e.Name+"/")
	})
	return out, nil
}

// KeyAccepted lifts the rejection of a key, and runs what it held.
func (c daemonControl) KeyAccepted(a daemon.AcceptedKey) (daemon.AcceptedKey, error) {
	a, err := c.controlServer.KeyAccepted(a)
	if err == nil {
		c.run(func(e daemon.Environment) bool { return e.DevID == a.DevID })
	}
	return a, err
}

// run starts a run of every environment from which something was lifted.
func (c daemonControl) run(lifted func(daemon.Environment) bool) {
	for _, e := range c.sources.environments() {
		if e.Revision != "" && lifted(e) {
			if _, err := c.daemon.RunNow(e.Name); err != nil {
				c.sources.of(e.Name).log.Warn("the run of what was held could not be started", "environment", e.Name, "error", err.Error())
			}
		}
	}
}

// approvedOf tells how an approval stands. Where the last run of its environment does not
// tell how many people it takes, it takes as many as the runner's rule can ask for.
func (r reconciler) approvedOf(environment string, a state.Approval) daemon.Approved {
	out := daemon.Approved{Connection: a.Connection, Hash: a.Hash, Now: a.Now, By: a.By, Until: a.Until}
	left, known := r.sources.left(environment)
	required := left.Approval.Required
	if !known {
		required = r.sources.common().config.Approvals.Required
	}
	for _, c := range left.Connections {
		if c.Name == a.Connection {
			required = c.Approval.Required
		}
	}
	out.Missing = max(0, required-len(a.By))
	return out
}
