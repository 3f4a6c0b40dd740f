package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func newStatusCommand(proc *Process) *cobra.Command {
	f := &stateFlags{}
	format := ""
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the daemon stands",
		Long: `Show how the daemon stands: for each environment the revision it is on, how its
last run ended, when the next one is due, what is paused and what is gated. The
exit code is 1 where no daemon answers, it makes no progress, or git or Terra
has failed for longer than unready_after of daemon.yaml (15m).`,
		Example: "  reconcile status\n  reconcile status -o json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := f.folder(proc)
			if err != nil {
				return err
			}
			s, err := daemon.NewClient(dir).Status(cmd.Context())
			if err != nil {
				return noDaemon(err)
			}
			if format == "json" {
				err = printJSON(proc.Stdout, s)
			} else {
				err = printStatus(proc, s)
			}
			return cmp.Or(err, stuck(s), unready(s))
		},
	}
	f.add(cmd)
	addOutput(cmd, &format)
	return cmd
}

// stuck is the error of a daemon that makes no progress.
func stuck(s daemon.Status) error {
	if len(s.Stuck) == 0 {
		return nil
	}
	return fmt.Errorf("the daemon makes no progress: %s should have ended; look into its log and start it again", strings.Join(s.Stuck, ", "))
}

// unready is the error of a daemon for which git or Terra has failed for too long.
func unready(s daemon.Status) error {
	var fails []string
	for _, u := range s.Unready {
		fails = append(fails, visible.Text(u.String())+" since "+minute(u.Since))
	}
	if len(fails) == 0 {
		return nil
	}
	return fmt.Errorf("the daemon is not ready: %s; mend what is said above, then it tries again by itself", strings.Join(fails, ", "))
}

func printStatus(proc *Process, s daemon.Status) error {
	out := newPage(proc)
	out.add("daemon\n")
	mode := "applies what is ready"
	if s.Mode != report.Apply {
		mode = "observe-only (apply: false)"
	}
	out.labelled("version", s.Version+"; "+mode)
	out.labelled("running", "since "+minute(s.StartedAt))
	if s.Config.RefusedSince != nil {
		out.labelled("config", fmt.Sprintf("daemon.yaml is not used since %s, a former one is; the next start will fail: %s", minute(*s.Config.RefusedSince), s.Config.Error))
	}
	for _, r := range s.Each() {
		repositoryWords(out, r, proc.Now())
	}
	if s.LogLevel.Until != nil {
		out.labelled("log", strings.TrimPrefix(logLevelWords(s.LogLevel), "logs "))
	}
	for _, p := range s.Paused {
		out.labelled("no changes", fmt.Sprintf("%s until %s by %s: %s; lift it",
			targetWords(p.Target), minute(p.Until), p.Owner, p.Reason), resumeOf(p.Target)...)
	}
	for _, t := range s.Tokens {
		text := "of account " + t.Account
		if t.Ends != nil {
			text += " ends " + minute(*t.Ends)
		}
		if t.RenewableUntil != nil {
			text = strings.TrimPrefix(text+", can be renewed until "+minute(*t.RenewableUntil), ", ")
		}
		out.labelled("token", text, "token", "status")
	}
	for _, r := range s.Receivers {
		if words := receiverWords(r); words != "" {
			out.labelled("messages", words)
		}
	}
	for _, e := range s.Environments {
		out.add("\n")
		of := ""
		if e.Repository != "" {
			of = " of " + e.Repository
		}
		out.paragraph(e.Name + " (" + e.DevID + ")" + of)
		out.asked = proc.asked.of(visible.Text(e.Repository))
		environmentWords(out, e)
	}
	return out.print(proc.Stdout)
}

// repositoryWords say how a repository stands.
func repositoryWords(out *page, r daemon.RepositoryStatus, now time.Time) {
	add := func(label, text string) {
		if r.Name != "" { // of several: each line says of which
			text = r.Name + ": " + text
		}
		out.labelled(label, text)
	}
	setting, branch := config.Repo{Name: r.Name}.Setting(), ""
	if r.Branch != "" {
		branch = ", branch " + r.Branch
	}
	if r.Tags != "" {
		branch = ", tag " + cmp.Or(r.Tag, "unknown") + " of " + r.Tags
	}
	out.labelled("repository", strings.TrimLeft(r.Name+" "+r.Repository, " ")+branch+pollWords(r.Poll, now))
	if r.HeadBranch != "" {
		add("HEAD", "names "+r.HeadBranch+", which is not followed; to follow it name it under "+setting+".ref")
	}
	if r.TagAside != "" {
		add("tag", "has the name of the branch, which was taken; to follow it name "+r.TagAside+" under "+setting+".ref")
	}
	if r.ForcedPush != nil && now.Sub(r.ForcedPush.At) < daemon.ForcedPushShown {
		of := ""
		if r.ForcedPush.Tag != "" {
			of = "the tag " + r.ForcedPush.Tag + " "
		}
		add("forced", of+fmt.Sprintf("from %s to %s, noticed %s: find out who did, and what is gone", short(r.ForcedPush.From), short(r.ForcedPush.To), minute(r.ForcedPush.At)))
	}
	switch r.Verify {
	case "head":
		add("signatures", "the newest commit needs one")
	case "every":
		add("signatures", "every new commit needs one")
	}
	if r.Poll.FailingSince != nil {
		add("failing", failingWords(r.Poll.Tries))
	}
	for _, e := range r.RefusedEnvironments {
		add("not used", e.Name+": "+e.Reason)
	}
}

// receiverWords say what is wrong with a receiver of messages, "" for nothing.
func receiverWords(r daemon.Receiver) string {
	text := ""
	if r.FailingSince != nil {
		text = fmt.Sprintf("%s takes none since %s, %s: %s", r.Name, minute(*r.FailingSince), visible.Plural(r.Waiting, "waits", "wait"), r.Error)
	}
	if r.Dropped > 0 {
		text = strings.TrimPrefix(text+"; ", "; ") + fmt.Sprintf("%s never gets %s: %s", r.Name, visible.Plural(r.Dropped, "message", "messages"), r.DropCause)
	}
	return text
}

func pollWords(p daemon.PollStatus, now time.Time) string {
	switch {
	case p.At == nil:
		return ", not read yet"
	case p.RefusedCommit != "":
		return fmt.Sprintf(", read %s ago, its newest commit is refused: %s", ago(*p.At, now), p.Error)
	case p.Error != "":
		return fmt.Sprintf(", could not be used %s ago: %s", ago(*p.At, now), p.Error)
	}
	return fmt.Sprintf(", read %s ago", ago(*p.At, now))
}

func environmentWords(out *page, e daemon.EnvironmentStatus) {
	commit := "unknown"
	if e.Revision != "" {
		commit = short(e.Revision) + "; " + appliedWords(e)
	}
	out.labelled("revision", commit)
	if e.BehindReason != "" {
		out.labelled("behind", e.BehindReason)
	}
	if e.RewoundFrom != "" {
		from, until := short(e.RewoundFrom), "a new commit"
		if e.RewoundFromTag != "" {
			from, until = e.RewoundFromTag+" ("+from+"), a higher version", "a new commit with a tag of a higher version"
		}
		out.labelled("rewound", "from "+from+", on which it was after this one: disruptive and destructive changes wait for approval, or for "+until)
	}
	out.labelled("last run", lastRunWords(e.LastRun))
	if e.FailingSince != nil {
		out.labelled("failing", failingWords(e.Tries))
	}
	switch {
	case e.Running != nil:
		out.labelled("running", "since "+minute(*e.Running))
	case e.NextRun != nil:
		out.labelled("next run", minute(*e.NextRun)+": "+e.NextRunReason)
	case e.Revision != "":
		out.labelled("next run", "with the next commit; it has no schedule, and time alone changes nothing")
	}
	for _, a := range e.Approved {
		then := "the next run may apply"
		if a.Missing > 0 {
			then = visible.Plural(a.Missing, "more person", "more people") + " must"
		}
		out.labelled("approved", fmt.Sprintf("%s by %s until %s: %s", cmp.Or(a.Connection, "the plan"), strings.Join(a.By, ", "), minute(a.Until), then))
		out.add(fmt.Sprintf("  %s\n", visible.Text(a.Hash)))
	}
	for _, k := range e.Keys {
		out.labelled("key", strings.TrimSuffix(fmt.Sprintf("%s is %s: %s", k.Connection, k.State, k.Text), ": "), "rotate", "status", visible.Text(k.Connection))
	}
	for _, h := range e.Gated {
		out.labelled("gated", fmt.Sprintf("%s, %s: %s (guard %s)", h.Change, h.Gate, h.Reason, h.Guard))
	}
	if slices.ContainsFunc(e.Gated, passesByApproval) && len(e.Approved) == 0 {
		out.labelled("to approve", "see the plan as it is now, and how it is approved", "--dry-run", "--env", visible.Text(e.Name))
	}
}

// passesByApproval tells whether an approval lets a change through that people have to do something about.
func passesByApproval(h daemon.GatedChange) bool {
	return h.Gate == string(plan.Approval) || h.Gate == string(plan.Blocked) && h.Guard == plan.GuardMaxChanges
}

// failingWords say how long something has failed, and when it last did not.
func failingWords(t daemon.Tries) string {
	text := fmt.Sprintf("since %s, %s in a row", minute(*t.FailingSince), visible.Plural(t.Failures, "time", "times"))
	if t.LastSuccess == nil {
		return text + "; no success since the start"
	}
	return text + "; last success " + minute(*t.LastSuccess)
}

func appliedWords(e daemon.EnvironmentStatus) string {
	switch e.AppliedRevision {
	case "":
		return "nothing is fully applied yet"
	case e.Revision:
		return "has been fully applied"
	}
	return "last fully applied " + short(e.AppliedRevision)
}

func lastRunWords(r *daemon.LastRun) string {
	if r == nil {
		return "none since the start"
	}
	when := fmt.Sprintf("%s, exit code %d", r.StartedAt.UTC().Format("2006-01-02 15:04:05 MST"), r.ExitCode)
	if r.Error != "" {
		return when + ": " + r.Error
	}
	s := r.Summary
	parts := []string{fmt.Sprintf("%d unchanged", s.Unchanged)}
	for _, part := range []struct {
		n    int
		what string
	}{{s.Changes - s.Applied - s.Gated - s.Failed - s.Unknown, "not tried"}, {s.Applied, "applied"}, {s.Gated, "gated"}, {s.Failed, "failed"}, {s.Unknown, "unknown"}, {s.NotCompared, "not compared"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return when + ": " + strings.Join(parts, ", ")
}
