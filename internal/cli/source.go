package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/metrics"
	"github.com/terra-reconcile/terra-reconcile/internal/notify"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// commitSource follows a branch for the daemon: it polls for commits and runs an
// environment from the last commit in which its files were valid.
type commitSource struct {
	proc      *Process
	began     time.Time     // when the program did
	config    config.Config // as it is for its repository
	mode      report.Mode
	git       *gitsource.Source
	store     *state.Store
	log       *slog.Logger
	shared    *slog.Logger // of what it has in common with others; nil where that is log
	level     *logLevel    // of log; nil where it has none
	limits    *terra.Limits
	transport http.RoundTripper
	prober    prober
	file      func() daemon.ConfigStatus // of daemon.yaml; nil where there is none
	statuses  func(...notify.Status)     // what became of a commit; returns at once
	metrics   *metrics.Metrics
	// signatures are Poll's own, but for their mode.
	signatures *signatures
	heard      *secrets.Heard        // of its server, by all that ask it
	wake       chan struct{}         // a sign to look soon
	hear       []func(report.Report) // of each run that the end of the daemon did not cut short; return at once

	// Poll's own:
	latest  string // the commit last looked at, used or not, and the tag that named it
	logged  string // the commit that stands in the log
	refusal error  // why it is not used
	known   bool   // what the state remembers of the repository is under its name of now

	mu        sync.Mutex
	branch    string                   // that is followed where nobody named one; "" until it is known
	aside     string                   // the branch that HEAD names, and that is not followed
	tag       string                   // that has the name of the branch
	reports   map[string]report.Report // by environment: what its last run said
	ended     map[string]time.Time     // by environment: when that ended
	revisions map[string]revision      // by environment: what its runs use
	running   map[string]bool          // by environment: a run of it is under way
	newest    string                   // the newest commit that was fetched, used or not
	lagging   map[string]time.Time     // by environment: since when there has been a newer commit than that of its last run
	foreign   map[string]string        // environments of the newest commit that another repository has, and why
}

// key is by what the state knows the repository, of which several may have one address.
func (s *commitSource) key() string { return repositoryKey(s.config.Repo, s.git) }

func repositoryKey(repo config.Repo, git *gitsource.Source) string {
	return strings.TrimLeft(repo.Name+" "+git.String(), " ")
}

// formerKey is by what the state knows a repository from when it had another name, which none has
// any more; "" where it knows the repository, knows no such one, or several.
func formerKey(c config.Config, git *gitsource.Source, known []string) string {
	if slices.Contains(known, repositoryKey(c.Repo, git)) {
		return ""
	}
	var former []string
	for _, key := range known {
		name, found := strings.CutSuffix(" "+key, " "+git.String())
		if found && !slices.Contains(c.Names(), strings.TrimPrefix(name, " ")) {
			former = append(former, key)
		}
	}
	if len(former) != 1 {
		return ""
	}
	return former[0]
}

// followedOf is what the state remembers of a repository, also from when it had another name.
// accepted are the commits whose signatures were accepted of any repository.
func followedOf(store *state.Store, c config.Config, git *gitsource.Source) (f state.Followed, accepted []string, err error) {
	all, err := store.FollowedAll()
	key := repositoryKey(c.Repo, git)
	if former := formerKey(c, git, slices.Collect(maps.Keys(all))); former != "" {
		key = former
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		accepted = append(accepted, all[name].Verified...)
	}
	return all[key], accepted, err
}

// Poll fetches the newest commit. A commit whose terra.yaml is wrong, or that
// names no environment at all, is an error: everything stays on what it had, also
// before a restart.
func (s *commitSource) Poll(ctx context.Context) ([]daemon.Environment, error) {
	if err := s.checkFiles(); err != nil {
		return nil, err
	}
	changed, err := s.signatures.reload()
	if err != nil {
		return nil, err
	}
	if !changed {
		return s.look(ctx)
	}
	s.latest = "" // somebody else may sign: what was refused may be good now
	lost := s.distrust()
	environments, err := s.look(ctx)
	if environments == nil && lost {
		environments = s.environments()
	}
	return environments, err
}

// checkFiles refuses the files that daemon.yaml names while another user could change one:
// whoever may sign, and with which token and key we act, is what they say.
func (s *commitSource) checkFiles() error {
	if s.file == nil {
		return nil
	}
	own := s.config
	own.Repos = nil // what another repository names stops that one
	return withAdvice(own.CheckFiles())
}

// look is Poll for those who may sign now.
func (s *commitSource) look(ctx context.Context) ([]daemon.Environment, error) {
	if err := s.stay(); err != nil {
		return nil, err
	}
	began := time.Now()
	commit, err := s.git.Fetch(ctx)
	s.metrics.Fetched(s.config.Repo.Name, time.Since(began), err == nil)
	if err != nil {
		return nil, err
	}
	defer s.noteLag(commit.Hash)
	if err := s.notice(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.tag = commit.Aside
	s.mu.Unlock()
	isNew := commit.Hash+commit.Tag != s.latest
	if !isNew && !s.incomplete() {
		return s.environments(), cmp.Or(s.refusal, s.store.Check())
	}
	files, err := s.git.FS(commit.Hash)
	if err != nil {
		return nil, err
	}
	found := loaded{hash: commit.Hash, author: commit.Author, tag: commit.Tag}
	accepted, err := s.accept(ctx, &found)
	if err != nil {
		return nil, err
	}
	refusal := accepted.refused
	if refusal == nil {
		found.set, found.problems = loadFor(s.store, files)
		refusal = found.refused()
	}
	if refusal == nil && !accepted.older {
		accepted.now.Highest = commit.Tag
	}
	if commit.Hash != s.logged {
		s.logged = commit.Hash
		s.tell(commit, found, accepted)
	}
	if err := s.note(accepted); err != nil {
		return nil, err
	}
	if refusal != nil {
		refusal = &daemon.RefusedCommitError{Commit: found.hash, Err: refusal}
		s.recordRefused(found, s.config.Repo.Name, "", "", refusal.Error())
	}
	next, err := s.take(ctx, found, refusal)
	if err != nil {
		return nil, err
	}
	if len(next) == 0 && refusal != nil {
		s.statuses(notify.Refused("", commit.Hash, refusal.Error()))
	}
	if refusal == nil {
		refusal = s.lacking(found)
	}
	s.latest, s.refusal = commit.Hash+commit.Tag, refusal
	s.mu.Lock()
	s.revisions = next
	s.mu.Unlock()
	return s.environments(), refusal
}

// stay keeps to the branch that was followed before, where the configuration names none:
// what HEAD names is for people, and no order.
func (s *commitSource) stay() error {
	if !s.known {
		former := func(known []string) string { return formerKey(s.config, s.git, known) }
		if err := s.store.TakeOver(s.key(), former); err != nil {
			return err
		}
		s.known = true
	}
	if followed, _ := s.branches(); followed != "" {
		return nil
	}
	branch, err := s.store.Branch(s.key())
	if err != nil || branch == "" {
		return err
	}
	s.follow(branch, "")
	return nil
}

// notice follows the branch of the first look from then on, and says where HEAD names
// another one.
func (s *commitSource) notice() error {
	head := s.git.Head()
	followed, aside := s.branches()
	switch {
	case s.config.Repo.Followed() != "":
		return nil
	case followed == "" && head == "":
		return nil
	case followed == "":
		s.follow(head, "")
		return s.store.SaveBranch(s.key(), head)
	case head == followed:
		head = ""
	}
	s.follow(followed, head)
	if head != aside && head != "" {
		s.log.Warn("the repository's HEAD names another branch, which is not followed; to follow it name it under "+s.config.Repo.Setting()+".ref", "branch", followed, "head", head)
	}
	return nil
}

func (s *commitSource) follow(branch, aside string) {
	s.git.Follow(branch)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.branch, s.aside = branch, aside
}

// branches names the branch that is followed, and another one that HEAD names.
func (s *commitSource) branches() (followed, aside string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.config.Repo.Followed(), s.branch), s.aside
}

// tagAside names the tag that has the name of the branch, and is not followed.
func (s *commitSource) tagAside() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tag
}

// lacking says which environments the runner is to handle and the commit has not:
// a name that was typed wrong would be one of which nothing is ever changed.
func (s *commitSource) lacking(found loaded) error {
	var has, lacks []string
	for _, env := range found.set.Environments {
		has = append(has, env.Name)
	}
	for _, name := range s.config.Environments {
		if !slices.Contains(has, name) {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("commit %s has no environment %s, which the configuration names; it has %s",
		short(found.hash), strings.Join(lacks, ", "), strings.Join(has, ", "))
}

func chosen(only []string, name string) bool { return len(only) == 0 || slices.Contains(only, name) }

func (s *commitSource) environments() []daemon.Environment {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []daemon.Environment{}
	for _, g := range s.revisions {
		out = append(out, g.environment)
	}
	return out
}

// Run runs one environment from its last valid commit.
func (s *commitSource) Run(ctx context.Context, name string, course *daemon.Course) report.Report {
	s.mu.Lock()
	g, ok := s.revisions[name]
	if s.running == nil {
		s.running = map[string]bool{}
	}
	s.running[name] = true
	if last, ran := s.reports[name]; ran { // one that cannot begin decides nothing
		s.reports[name] = undecided(last)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, name)
	}()
	id := rand.Text()
	if ok && g.hash == "" {
		return s.failed("", g.environment.Behind)
	}
	if !ok {
		return s.failed("", fmt.Sprintf("run environment %q: the repository does not name it any more", name))
	}
	if err := s.checkFiles(); err != nil {
		r := s.failed(g.hash, err.Error())
		r.RunID = id
		return r
	}
	heard := &notices{}
	run := s.log.With("run", id, "commit", g.hash, "environment", name)
	// It is made again for each run, so that a token that was replaced is read; limits
	// and connections outlive it.
	engine := newEngine(engineParts{proc: s.proc, began: s.began, config: s.config, mode: s.mode, applies: s.config.Apply, store: s.memory(), prober: s.prober,
		transport: s.transport, limits: s.limits, heard: heard, attempted: func(account string, a terra.Attempt) {
			s.countCall(account, a)
			if getsOn(a) {
				course.Answered()
			}
			logAttempt(ctx, run, name, a)
		}})
	course.Of(g.hash)
	r := reconcile.Run{Set: g.set, Problems: g.problems, Commit: g.hash, Older: g.older, Tag: g.tag, Above: g.above, Author: g.author, SignedBy: g.signedBy, Only: []string{name}, Mode: s.mode,
		Waiting: s.mode == report.Apply, LockOwner: report.LockedByDaemon, ID: id, Overtaken: course.Overtaken, Writes: course.Writes}
	if s.mode == report.DryRun {
		r.LockOwner = report.LockedByObserver
	}
	out := engine.Run(ctx, r)
	debug.FreeOSMemory() // what was revealed of secrets is not kept until the next collection
	out.Warnings = append(plan.Warnings(heard.warnings()...), out.Warnings...)
	s.complete(&out)
	early := out.EndedEarly != ""                          // another run follows, and tells
	if !early && !errors.Is(ctx.Err(), context.Canceled) { // it would tell of the end of the daemon
		s.statuses(notify.Of(out, false)...)
	}
	if early && wrote(out) || !early && !errors.Is(ctx.Err(), context.Canceled) {
		s.metrics.Ran(name, out)
		for _, hear := range s.hear {
			hear(out)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if early && !wrote(out) {
		return out // it has found out nothing
	}
	if s.reports == nil {
		s.reports = map[string]report.Report{}
	}
	s.reports[name] = out
	if out.Commit == s.newest {
		delete(s.lagging, name)
	}
	if s.ended == nil {
		s.ended = map[string]time.Time{}
	}
	s.ended[name] = s.proc.Now()
	return out
}

// environmentOf is what a report says of an environment; told is false where it says nothing.
func environmentOf(r report.Report, name string) (e report.Environment, told bool) {
	i := slices.IndexFunc(r.Environments, func(e report.Environment) bool { return e.Name == name })
	if i < 0 {
		return report.Environment{}, false
	}
	return r.Environments[i], true
}

// undecided is a report without the time by which its run decided.
func undecided(r report.Report) report.Report {
	r.Environments = slices.Clone(r.Environments)
	for i := range r.Environments {
		r.Environments[i].DecidedAt, r.Environments[i].Ahead = time.Time{}, 0
	}
	return r
}

// getsOn tells whether an attempt has come to something: it is answered, and not by a
// server that asks for patience.
func getsOn(a terra.Attempt) bool {
	return a.Pause == 0 && (a.Problem == "" || a.Problem == terra.ProblemStatus && a.Status < 500 && a.Status != http.StatusTooManyRequests)
}

// logAttempt tells of one try of a call to who looks for what takes so long: what it was
// about and how it went, and nothing that was sent or answered.
func logAttempt(ctx context.Context, log *slog.Logger, environment string, a terra.Attempt) {
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	connection := ""
	if a.Provider != "" {
		connection = environment + "/" + a.Provider
	}
	log.DebugContext(ctx, "call", "connection", connection, "operation", a.Operation, "write", a.Write, "dry_run", a.DryRun, "try", a.Try,
		"status", a.Status, "problem", a.Problem, "waited_ms", a.Waited.Milliseconds(), "duration_ms", a.Took.Milliseconds(), "again_in_ms", a.Pause.Milliseconds())
}

// wrote tells whether a run has sent a write.
func wrote(r report.Report) bool {
	for _, e := range r.Environments {
		if e.Summary.Applied+e.Summary.Failed+e.Summary.Unknown > 0 {
			return true
		}
	}
	return false
}

// paused is why nothing of an environment may be changed now, or none of some connections.
// What the state cannot tell is told by the run itself, right before it writes.
func (s *commitSource) paused(name string, connections []string) string {
	g, known := s.revision(name)
	all, err := s.store.KillSwitches(s.proc.Now())
	if !known || err != nil {
		return ""
	}
	var in []plan.KillSwitch
	for _, k := range all {
		if provider, holds := k.Holds(name, g.environment.DevID); holds {
			in = append(in, plan.KillSwitch{Provider: provider, Target: k.Target(), Reason: k.Reason, Owner: k.Owner, Until: k.Until})
		}
	}
	by := plan.PausesOf("", in)
	for _, c := range connections {
		if by = plan.PausesOf(strings.TrimPrefix(c, name+"/"), in); len(by) == 0 {
			return ""
		}
	}
	if len(by) == 0 {
		return ""
	}
	return by.String()
}

// Next is when time alone changes something. What the state cannot tell is left out,
// and logged: the environment runs by its schedule and by new commits all the same.
func (s *commitSource) Next(name string) daemon.Moment {
	s.mu.Lock()
	g, ended := s.revisions[name], maps.Clone(s.ended)
	last, _ := environmentOf(s.reports[name], name)
	s.mu.Unlock()
	i := slices.IndexFunc(g.set.Environments, func(e spec.Environment) bool { return e.Name == name })
	if i < 0 {
		return daemon.Moment{}
	}
	id, _, err := located(s.store, s.config, g.account, g.environment.DevID)
	if err != nil {
		return daemon.Moment{} // its runs say why
	}
	next, err := reconcile.NextMoment(s.store, id, g.set.Environments[i], last, ended, s.proc.Now())
	if err != nil {
		s.log.Warn("when something changes by time alone is not known", "environment", name, "error", err.Error())
	}
	return daemon.Moment{At: next.At, Why: next.Why}
}

// report is what the last run of an environment said; known is false before the first.
func (s *commitSource) report(name string) (r report.Report, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known = s.reports[name]
	return r, known
}

// left is what the last run of an environment has left to do; known is false where that
// run does not tell.
func (s *commitSource) left(name string) (left report.Environment, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, tells := environmentOf(s.reports[name], name)
	if !tells || e.Error != "" || plan.Hash(e.Plan()) != e.PlanHash {
		return report.Environment{}, false
	}
	left = e
	left.Changes = nil
	for _, c := range e.Changes {
		switch c.Outcome {
		case report.Applied:
		case report.Failed, report.Unknown:
			return report.Environment{}, false
		default:
			left.Changes = append(left.Changes, c)
		}
	}
	return left, true
}

// failed is the report of a run that could not begin.
func (s *commitSource) failed(commit, problem string) report.Report {
	r := report.New(s.mode, commit, s.proc.Now())
	r.Error = problem
	r.Finish(s.proc.Now())
	return r
}

// revision gives what an environment runs from; known is false where it is not at hand.
func (s *commitSource) revision(name string) (g revision, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, known = s.revisions[name]
	return g, known && g.hash != ""
}

// memory is what a run may use of the state.
func (s *commitSource) memory() *state.Store {
	if s.mode == report.DryRun {
		return s.store.ReadOnly()
	}
	return s.store
}

// loaded is one commit as it was read.
type loaded struct {
	hash     string
	author   string
	tag      string           // that named it, where tags are followed
	older    bool             // it is of a lower version than one that was used before
	above    string           // the tag of that version
	signed   gitsource.Signed // where signatures count
	signedBy string           // who; "" where nobody was asked for
	set      spec.Set
	problems []spec.Problem
}

// revision is what an environment runs from: the last commit in which its files
// had no error. Its hash is "" where that is known but not at hand.
type revision struct {
	loaded
	environment daemon.Environment
	account     string         // the name by which the runner knows it
	recorded    state.Revision // what the state is to remember; zero for nothing
}

// refused says why a commit is not used at all, nil when it is.
func (l loaded) refused() error {
	if p, broken := l.firstError(""); broken {
		return fmt.Errorf("commit %s is not used: %s", short(l.hash), p)
	}
	if len(l.set.Environments) == 0 {
		return fmt.Errorf("commit %s is not used: no folder holds an environment.yaml", short(l.hash))
	}
	return nil
}

// loadFor loads files for a runner whose state may know which environment a dev_id belongs
// to, where two claim it: the one that a daemon followed under its name, else the one with
// the spelling that runs have used.
func loadFor(store *state.Store, files fs.FS) (spec.Set, []spec.Problem) {
	set, problems := spec.Load(files, providers.Vocabulary())
	if !slices.ContainsFunc(problems, func(p spec.Problem) bool { return p.Contested }) {
		return set, problems
	}
	followed, err := store.Revisions()
	return set, set.KeepOwners(problems, func(e spec.Environment) bool {
		for _, r := range followed {
			if strings.EqualFold(r.DevID, e.DevID) {
				return r.DevID == e.DevID && r.Environment == e.Name
			}
		}
		account, recallErr := store.AccountOf(e.DevID)
		return err == nil && recallErr == nil && account != ""
	})
}

func (l loaded) firstError(environment string) (spec.Problem, bool) {
	for _, p := range l.problems {
		if p.Severity == spec.Error && p.Environment == environment {
			return p, true
		}
	}
	return spec.Problem{}, false
}

func (l loaded) revisionOf(env spec.Environment) revision {
	return revision{loaded: l, account: env.Account, recorded: state.Revision{DevID: env.DevID, Environment: env.Name, Commit: l.hash},
		environment: daemon.Environment{Name: env.Name, DevID: env.DevID, Account: env.Account, Schedule: env.Schedule, Revision: l.hash, After: env.Awaits()}}
}

// incomplete tells whether an environment waits for its last valid commit, and there is
// one.
func (s *commitSource) incomplete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.revisions {
		if g.hash == "" && g.recorded.Commit != "" {
			return true
		}
	}
	return false
}

// take moves the environments whose files are valid to a commit, leaves the others
// on the last one that was, forgets those that the commit does not name, and
// remembers all that for the next start. A commit that is refused moves none.
func (s *commitSource) take(ctx context.Context, found loaded, refused error) (map[string]revision, error) {
	recorded, err := s.recorded()
	if err != nil {
		return nil, err
	}
	next := map[string]revision{}
	var owned claimed
	if refused == nil {
		if owned, err = s.claim(found); err != nil {
			return nil, err
		}
		s.tellForeign(found, owned.names)
	}
	stay := func(name, devID, why string) {
		g := s.revisions[name]
		former := g.environment.Behind
		if g.environment.Behind = ""; g.hash == "" {
			g = s.restore(ctx, name, devID, recorded[name])
		}
		if g.environment.Behind != "" {
			why += "; " + g.environment.Behind
		}
		g.environment.Behind = why
		s.statuses(notify.Refused(name, found.hash, why))
		if former != why {
			what := "environment stays on its last valid commit"
			if g.hash == "" {
				what = "nothing of the environment is changed: it has no valid commit to stay on"
			}
			s.log.Warn(what, "environment", name, "commit", g.hash, "reason", why)
		}
		next[name] = g
	}
	if refused != nil {
		for name, last := range recorded {
			stay(name, last.DevID, refused.Error())
		}
		for name, g := range s.revisions {
			if _, done := next[name]; !done {
				stay(name, g.environment.DevID, refused.Error())
			}
		}
		return next, nil
	}
	refuse := func(env spec.Environment, why string) {
		s.recordRefused(found, env.DevID, env.Name, env.DevID, why)
		stay(env.Name, env.DevID, why)
	}
	found.set.Environments = slices.DeleteFunc(slices.Clone(found.set.Environments), func(env spec.Environment) bool { return owned.names[env.Name] != "" })
	for _, env := range found.set.Environments {
		problem, _ := found.firstError(env.Name)
		switch {
		case !chosen(s.config.Environments, env.Name):
		case env.Invalid:
			refuse(env, fmt.Sprintf("its files have errors in %s: %s", short(found.hash), problem))
		case owned.devIDs[env.Name] != "":
			refuse(env, fmt.Sprintf("in %s %s", short(found.hash), owned.devIDs[env.Name]))
		}
	}
	// What stays keeps its dev_id: two folders must never speak for one environment of
	// Terra. One that is refused for that stays as well, so all are looked at again.
	for again := true; again; {
		again = false
		for _, env := range found.set.Environments {
			if _, stays := next[env.Name]; stays || env.Invalid || !chosen(s.config.Environments, env.Name) {
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(next)) {
				if g := next[name].environment; strings.EqualFold(g.DevID, env.DevID) {
					refuse(env, fmt.Sprintf("in %s it has the dev_id %s, which is that of %s as long as that stays on its last valid commit", short(found.hash), env.DevID, name))
					again = true
					break
				}
			}
		}
	}
	for _, env := range found.set.Environments {
		if _, stays := next[env.Name]; !stays && !env.Invalid && chosen(s.config.Environments, env.Name) {
			next[env.Name] = found.revisionOf(env)
		}
	}
	return next, s.remember(next)
}

// tellForeign tells of environments of a commit that are another repository's.
func (s *commitSource) tellForeign(found loaded, foreign map[string]string) {
	s.mu.Lock()
	before := s.foreign
	s.foreign = foreign
	s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(foreign)) {
		s.recordRefused(found, s.config.Repo.Name+" "+name, name, "", foreign[name])
		s.statuses(notify.Refused(name, found.hash, foreign[name]))
		if before[name] == foreign[name] {
			continue
		}
		s.log.Warn("environment is not used, because it is another repository's", "environment", name, "commit", found.hash, "reason", foreign[name])
	}
}

// refusedForeign are the environments of the newest commit that are another repository's.
func (s *commitSource) refusedForeign() []daemon.RefusedEnvironment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []daemon.RefusedEnvironment
	for _, name := range slices.Sorted(maps.Keys(s.foreign)) {
		out = append(out, daemon.RefusedEnvironment{Name: name, Reason: s.foreign[name]})
	}
	return out
}

// recordRefused records in the history that a commit is not used, or not by one environment;
// what is recorded of one subject again and again stands there once.
func (s *commitSource) recordRefused(found loaded, subject, name, devID, why string) {
	if s.mode != report.Apply {
		return
	}
	r := reconcile.Run{Commit: found.hash, Author: found.author, SignedBy: found.signedBy}
	if err := reconcile.RecordRefusedCommit(s.store, r, subject, name, devID, errors.New(why), s.proc.Now()); err != nil {
		s.log.Error("a refused commit could not be noted", "commit", found.hash, "environment", name, "error", err.Error())
	}
}

// recorded gives the last valid commits of the repository that a former process left in the
// state.
func (s *commitSource) recorded() (map[string]state.Revision, error) {
	all, err := s.ours()
	out := map[string]state.Revision{}
	for _, r := range all {
		if chosen(s.config.Environments, r.Environment) {
			out[r.Environment] = r
		}
	}
	return out, err
}

// ours are the revisions in the state that are the repository's.
func (s *commitSource) ours() ([]state.Revision, error) {
	all, err := s.store.Revisions()
	if err != nil {
		return nil, err
	}
	owners, err := s.store.Owners()
	o := ownership{s.config, owners}
	return slices.DeleteFunc(all, func(r state.Revision) bool { return !o.has(r) }), err
}

func (s *commitSource) remember(revisions map[string]revision) error {
	former, err := s.ours()
	if err != nil {
		return err
	}
	var all []state.Revision
	for _, g := range revisions {
		if g.recorded.Commit != "" {
			all = append(all, g.recorded)
		}
	}
	return s.store.SaveRevisions(former, all)
}

// restore fetches the commit on which a former process left an environment. Where
// it cannot be had nothing of the environment is changed: Behind says why, and the
// next poll tries again.
func (s *commitSource) restore(ctx context.Context, name, devID string, last state.Revision) revision {
	none := func(why string) revision {
		return revision{recorded: last, environment: daemon.Environment{Name: name, DevID: devID, Behind: why}}
	}
	lost := func(why string) revision {
		return none("what it was on last is unknown, and nothing of it is changed: " + why)
	}
	if last.Commit == "" {
		return lost("no commit was valid yet")
	}
	commit, err := s.git.FetchCommit(ctx, last.Commit)
	if err != nil {
		return lost(err.Error())
	}
	files, err := s.git.FS(last.Commit)
	if err != nil {
		return lost(err.Error())
	}
	found := loaded{hash: last.Commit, author: commit.Author}
	if found.signed, found.signedBy, err = s.signatures.acceptedBefore(s.git, last.Commit); err != nil {
		return none("nothing of it is changed: " + err.Error())
	}
	found.set, found.problems = loadFor(s.store, files)
	for _, env := range found.set.Environments {
		if env.Name == name && env.DevID == last.DevID && !env.Invalid {
			return found.revisionOf(env)
		}
	}
	return lost(fmt.Sprintf("commit %s has no valid files of it for this reconcile", short(last.Commit)))
}
