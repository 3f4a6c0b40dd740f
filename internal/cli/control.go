package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func newPauseCommand(proc *Process) *cobra.Command {
	f := &stateFlags{}
	reason, lasts := "", ""
	cmd := &cobra.Command{
		Use:   "pause [ENV[/CONN]]",
		Short: "Hold every change at once, without a commit",
		Long: `Hold every change at once, without a commit.

Without a name it holds everything, else one environment or one connection. It
is remembered with the state and ends by itself. A run under way stops before
its next write. Reports show what is held as blocked, guard "pause"; not even an
approval passes it. The first run afterwards is careful: changes that are
disruptive or destructive wait for approval.

It asks the daemon or run that holds the state, and without one writes the state
itself.`,
		Example: `  reconcile pause --for 2h --reason "incident 12"
  reconcile pause production --for 45m --reason "vendor maintenance"
  reconcile pause production/strava --for 7d --reason "moving their app"`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			length, err := parseFor(cmd, lasts)
			if err != nil {
				return err
			}
			if strings.TrimSpace(reason) == "" {
				return misused(cmd, "--reason is empty: whoever meets the pause wants to know")
			}
			request := daemon.PauseRequest{Target: strings.Join(args, ""), Reason: reason, Seconds: int64(length / time.Second)}
			return pause(cmd.Context(), proc, f, request)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&lasts, "for", "", "how long: a `duration` such as 45m, 2h or 7d, at most 30d (required)")
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for whoever meets it (required)")
	require(cmd, "for", "reason")
	return cmd
}

// parseFor reads how long a pause lasts; days are 24 hours.
func parseFor(cmd *cobra.Command, text string) (time.Duration, error) {
	hours := text
	if days, ok := strings.CutSuffix(text, "d"); ok {
		hours = days + "h"
	}
	d, err := time.ParseDuration(hours)
	if hours != text {
		d *= 24
	}
	switch {
	case err != nil || d < time.Second:
		return 0, misused(cmd, "--for %q: use a duration such as 45m, 2h or 7d", text)
	case d > longestPause:
		return 0, misused(cmd, "--for %q: a pause lasts at most 30d; for longer commit a suspend", text)
	}
	return d, nil
}

func pause(ctx context.Context, proc *Process, f *stateFlags, request daemon.PauseRequest) error {
	dir, err := f.folder(proc)
	if err != nil {
		return err
	}
	var p daemon.Pause
	alone, err := withControl(ctx, proc, dir, func(k control) (err error) {
		p, err = k.Pause(ctx, request)
		return err
	})
	if err != nil {
		return err
	}
	who := "what runs knows of it"
	if alone {
		who = "nothing runs on the state in " + dir + ", and what starts there will know; a daemon with another state folder (--config, --state) is not paused"
	}
	return say(proc, tell(fmt.Sprintf("%s is paused until %s by %s: %s", targetWords(p.Target), minute(p.Until), p.Owner, p.Reason)),
		tell("every change of it is held; "+who), note{"lift it", resumeOf(p.Target)})
}

// resumeOf is the command that lifts a pause.
func resumeOf(target string) plan.Command { return plan.KillSwitch{Target: target}.Resume().Command }

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func newResumeCommand(proc *Process) *cobra.Command {
	f := &stateFlags{}
	cmd := &cobra.Command{
		Use:   "resume [ENV[/CONN]]",
		Short: "Lift what a pause holds",
		Long: `Lift what "reconcile pause" holds, by the same name; without one, the pause of
everything. The first run afterwards is careful: disruptive and destructive
changes wait for approval, until a run finds none of them.`,
		Example: "  reconcile resume\n  reconcile resume production/strava",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return resume(cmd.Context(), proc, f, daemon.ResumeRequest{Target: strings.Join(args, "")})
		},
	}
	f.add(cmd)
	return cmd
}

func resume(ctx context.Context, proc *Process, f *stateFlags, request daemon.ResumeRequest) error {
	dir, err := f.folder(proc)
	if err != nil {
		return err
	}
	var p daemon.Resumed
	if _, err := withControl(ctx, proc, dir, func(k control) (err error) {
		p, err = k.Resume(ctx, request)
		return err
	}); err != nil {
		return err
	}
	said := []note{tell(fmt.Sprintf("%s is no longer paused (by %s: %s)", targetWords(p.Target), p.Owner, p.Reason))}
	for _, other := range p.Still {
		said = append(said, note{fmt.Sprintf("still paused: %s until %s by %s: %s; lift it",
			targetWords(other.Target), minute(other.Until), other.Owner, other.Reason), resumeOf(other.Target)})
	}
	return say(proc, append(said, tell("the next run is careful: disruptive and destructive changes wait for approval"), tell("look at it", "--dry-run"))...)
}

func newNowCommand(proc *Process) *cobra.Command {
	f := &stateFlags{}
	cmd := &cobra.Command{
		Use:   "now [ENV]",
		Short: "Let the daemon run at once",
		Long: `Let the daemon run an environment, or without a name all of them, at once: after
the run that is under way, if there is one. Guards, windows and pauses hold what
they hold at any other time.`,
		Example: "  reconcile now\n  reconcile now production",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := f.folder(proc)
			if err != nil {
				return err
			}
			started, err := daemon.NewClient(dir).RunNow(cmd.Context(), daemon.NowRequest{Environment: strings.Join(args, "")})
			if err != nil {
				return noDaemon(err)
			}
			return say(proc, tell("running now: "+strings.Join(started, ", ")), tell("see how it goes", "status"))
		},
	}
	f.add(cmd)
	return cmd
}

func newStatusCommand(proc *Process) *cobra.Command {
	f := &stateFlags{}
	format := ""
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the daemon stands",
		Long: `Show how the daemon stands: for each environment the revision it is on, how its
last run ended, when the next one is due, what is paused and what is gated. The
exit code is 1 where no daemon answers or it makes no progress.`,
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
			return cmp.Or(err, stuck(s))
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

func printStatus(proc *Process, s daemon.Status) error {
	out := newPage(proc)
	out.add("daemon\n")
	mode := "applies what is ready"
	if s.Mode != report.Apply {
		mode = "observe-only (apply: false)"
	}
	out.labelled("version", s.Version+"; "+mode)
	out.labelled("running", "since "+minute(s.StartedAt))
	branch := ""
	if s.Branch != "" {
		branch = ", branch " + s.Branch
	}
	out.labelled("repository", s.Repository+branch+pollWords(s.Poll, proc.Now()))
	if s.HeadBranch != "" {
		out.labelled("HEAD", "names "+s.HeadBranch+", which is not followed; to follow it name it under repo.ref")
	}
	for _, p := range s.Paused {
		out.labelled("paused", fmt.Sprintf("%s until %s by %s: %s; lift it",
			targetWords(p.Target), minute(p.Until), p.Owner, p.Reason), resumeOf(p.Target)...)
	}
	for _, e := range s.Environments {
		out.add("\n")
		out.paragraph(e.Name + " (" + e.DevID + ")")
		environmentWords(out, e)
	}
	return out.print(proc.Stdout)
}

func pollWords(p daemon.PollStatus, now time.Time) string {
	switch {
	case p.At == nil:
		return ", not read yet"
	case p.Error != "":
		return fmt.Sprintf(", could not be used %s ago: %s", ago(*p.At, now), p.Error)
	}
	return fmt.Sprintf(", read %s ago", ago(*p.At, now))
}

func ago(at, now time.Time) string { return max(0, now.Sub(at)).Round(time.Second).String() }

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
		out.labelled("rewound", "from "+short(e.RewoundFrom)+", on which it was after this one: disruptive and destructive changes wait for approval, or for a new commit")
	}
	out.labelled("last run", lastRunWords(e.LastRun))
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
	for _, h := range e.Gated {
		out.labelled("gated", fmt.Sprintf("%s, %s: %s (guard %s)", h.Change, h.Gate, h.Reason, h.Guard))
	}
	if slices.ContainsFunc(e.Gated, func(h daemon.GatedChange) bool { return h.Gate == "approval" }) && len(e.Approved) == 0 {
		out.labelled("to approve", "see the plan as it is now, and how it is approved", "--dry-run", "--env", e.Name)
	}
}

func appliedWords(e daemon.EnvironmentStatus) string {
	switch e.AppliedRevision {
	case "":
		return "nothing is fully applied yet"
	case e.Revision:
		return "fully applied"
	}
	return "last fully applied " + short(e.AppliedRevision)
}

func short(commit string) string { return commit[:min(12, len(commit))] }

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
