package notify

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// State is what a status says in one word.
type State string

// The states. Only Success lets a commit pass where a status is required.
const (
	Success State = "success" // Terra has what the commit asks for
	Pending State = "pending" // it does not yet: something waits, or a person has to decide
	Failure State = "failure" // something failed, or the files are wrong
	Error   State = "error"   // no answer: what it is with the commit is not known
)

// Status is what became of one commit in one environment.
type Status struct {
	Environment string // "" where it is about none of them
	Commit      string // whole hash
	State       State
	Description string // one line of at most maxDescription characters
}

// maxDescription is what GitHub takes: a longer description is refused with a 422.
const maxDescription = 140

// Of are the statuses of a report, one for each environment, of its own commit. Where the
// commit is only proposed, as that of a pull request is, to have a plan is success, whatever
// the plan would do; else nothing is but to be in sync.
func Of(r report.Report, proposed bool) []Status {
	if len(r.Environments) == 0 {
		if r.Error == "" {
			return nil
		}
		return []Status{{Commit: r.Commit, State: Error, Description: line(report.InBrief(r))}}
	}
	var out []Status
	for _, e := range r.Environments {
		one := r
		one.Environments = []report.Environment{e}
		out = append(out, Status{Environment: e.Name, Commit: r.Commit, State: stateOf(one, e, proposed), Description: line(report.InBrief(one))})
	}
	return out
}

func stateOf(r report.Report, e report.Environment, proposed bool) State {
	outstanding := func(c report.Change) bool { return c.Outcome != report.Applied }
	switch code := report.ExitCode(r); {
	case code == report.ExitFailed:
		return Failure
	case code == report.ExitError:
		return Error
	case proposed:
		return Success
	case code != report.ExitDone, slices.ContainsFunc(e.Changes, outstanding):
		return Pending
	}
	return Success
}

// Refused is the status of a commit that an environment does not follow, in the words why.
func Refused(environment, commit, why string) Status {
	return Status{Environment: environment, Commit: commit, State: Failure, Description: line("Not used: " + why)}
}

// line is a text as a description.
func line(text string) string {
	text = strings.Join(report.Folded(text, 1<<20), " ")
	if utf8.RuneCountInString(text) <= maxDescription {
		return text
	}
	return string([]rune(text)[:maxDescription-1]) + "…"
}

var hash = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`) })

// IsCommit tells whether a text is the whole hash of a commit.
func IsCommit(text string) bool { return hash().MatchString(text) }
