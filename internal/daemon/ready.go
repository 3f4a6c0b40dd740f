package daemon

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// successes is how one thing that is tried again and again has gone: the polls, or the
// runs of an environment. Its times are of this process.
type successes struct {
	last    time.Time // zero: never
	failing time.Time // since when; zero: the last try was a success, or there was none
	failed  int       // tries in a row
	cause   string    // of the last one that failed
}

// forget says that there was a try that tells nothing: neither a success nor a failure.
func (s *successes) forget() { *s = successes{last: s.last} }

// worse tells whether it has failed for longer than another, or, where neither fails, whether its
// last success is older.
func (s successes) worse(other successes) bool {
	switch {
	case s.failing.IsZero() != other.failing.IsZero():
		return !s.failing.IsZero()
	case !s.failing.IsZero():
		return s.failing.Before(other.failing)
	}
	return s.last.Before(other.last)
}

// note takes how a try ended; "" is a success.
func (s *successes) note(cause string) {
	now := time.Now()
	if cause == "" {
		*s = successes{last: now}
		return
	}
	if s.failed++; s.failing.IsZero() {
		s.failing = now
	}
	s.cause = cause
}

// commitAtFault tells whether a run ended because of what the commit asks for, before git
// or Terra could fail: one commit must not make the daemon unready.
func commitAtFault(r report.Report) bool {
	return r.Error == "" && len(r.Environments) == 1 && r.Environments[0].CommitAtFault
}

// failed is why a run does not count as a success, "" where it does. What a person has to
// decide, or the clock, is no failure: git and Terra answered.
func failed(r report.Report) string {
	if r.ExitCode != report.ExitError && r.ExitCode != report.ExitFailed {
		return ""
	}
	if r.Error != "" {
		return r.Error
	}
	for _, e := range r.Environments { // a run is of one
		if e.Error != "" {
			return e.Error
		}
		for _, c := range e.Changes {
			if c.Error != "" {
				return c.ID + ": " + c.Error
			}
		}
	}
	return "the run failed"
}

// Tries is how polls or runs have gone since the start of the daemon.
type Tries struct {
	LastSuccess  *time.Time `json:"last_success"`
	FailingSince *time.Time `json:"failing_since"` // null while the last try was a success
	Failures     int        `json:"failures"`      // in a row
}

func (s successes) tries() Tries {
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	return Tries{LastSuccess: at(s.last), FailingSince: at(s.failing), Failures: s.failed}
}

// Unready is one thing for which the daemon is not ready.
type Unready struct {
	What        string    `json:"what"`                 // git, environment or commit
	Environment string    `json:"environment"`          // its name, "" for git and commit
	Repository  string    `json:"repository,omitempty"` // of git and commit its name, where there are several
	Since       time.Time `json:"since"`                // of the failures; of git before its first success the start of the daemon
	Cause       string    `json:"cause"`
}

// String names it for people. An environment may be called git.
func (u Unready) String() string {
	if u.What == unreadyCommit {
		return u.Fails()
	}
	return strings.TrimSpace(u.What + " " + u.Environment + u.Repository)
}

// Fails says for people what is wrong with it, to which since when can be added.
func (u Unready) Fails() string {
	switch {
	case u.What != unreadyCommit:
		return u.String() + " fails"
	case u.Repository != "":
		return "nothing of " + u.Repository + " is followed yet: its newest commit is refused"
	}
	return "nothing is followed yet: the newest commit is refused"
}

// OfCommit tells whether nothing failed but the newest commit, of which the poll says why.
func (u Unready) OfCommit() bool { return u.What == unreadyCommit }

// What Unready may be about.
const unreadyGit, unreadyEnvironment, unreadyCommit = "git", "environment", "commit"

// unready lists what has failed for longer than the limit; until git was read for the first
// time it fails since the start. A repository of which no commit was used yet is not ready at
// once. The caller holds mu.
func (d *Daemon) unready(now time.Time) []Unready {
	out := []Unready{}
	late := func(u Unready, s successes) {
		if !s.failing.IsZero() && now.Sub(s.failing) >= d.o.UnreadyAfter {
			u.Since, u.Cause = s.failing.UTC(), s.cause
			out = append(out, u)
		}
	}
	for _, s := range d.sources {
		polls := s.polls
		if s.refused {
			out = append(out, Unready{What: unreadyCommit, Repository: s.Name, Since: polls.failing.UTC(), Cause: polls.cause})
			continue
		}
		if polls.last.IsZero() {
			polls.failing, polls.cause = d.started, cmp.Or(polls.cause, "the repository was not read yet")
		}
		late(Unready{What: unreadyGit, Repository: s.Name}, polls)
	}
	for _, name := range slices.Sorted(maps.Keys(d.workers)) {
		late(Unready{What: unreadyEnvironment, Environment: name}, d.workers[name].runs)
	}
	return out
}

// serveReady answers GET /readyz: 200 while git and Terra can be used and the state can be
// written, 503 with what cannot, and of git and Terra since when, otherwise. Why is not said
// to whoever can reach the address.
func (d *Daemon) serveReady(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	unready := d.unready(time.Now())
	var unread []string
	for _, s := range d.sources {
		isSaid := slices.ContainsFunc(unready, func(u Unready) bool { return u.What != unreadyEnvironment && u.Repository == s.Name })
		if s.polls.last.IsZero() && !isSaid {
			unread = append(unread, strings.TrimSpace(unreadyGit+" "+s.Name))
		}
	}
	d.mu.Unlock()
	forgetful := d.o.Check != nil && d.o.Check() != nil
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if len(unready) == 0 && len(unread) == 0 && !forgetful {
		printLine(w, "ok")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	if forgetful {
		printLine(w, "not ready: the state cannot be written (/healthz says why)")
	}
	for _, name := range unread {
		printLine(w, "not ready: "+name+" was not read yet")
	}
	for _, u := range unready {
		printLine(w, "not ready: "+u.Fails()+" since "+u.Since.Format(time.RFC3339)+" (reconcile status says why)")
	}
}
