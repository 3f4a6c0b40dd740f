package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func newStatusCommand(env *environment) *cobra.Command {
	f := &stateFlags{}
	format := ""
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the daemon stands",
		Long: `Show how the daemon stands: for each environment the commit it is on, how its
last run ended, when the next one is due, what is paused and what is held. The
exit code is 1 where no daemon answers or it makes no progress.`,
		Example: "  reconcile status\n  reconcile status -o json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !oneOf(format, "text", "json") {
				return usageError("--output %q: use text or json", format)
			}
			dir, err := f.folder(env)
			if err != nil {
				return err
			}
			s, err := daemon.NewClient(dir).Status(cmd.Context())
			if err != nil {
				return noDaemon(err)
			}
			if format == "json" {
				encoder := json.NewEncoder(escaping{env.Stdout})
				encoder.SetIndent("", "  ")
				err = encoder.Encode(s)
			} else {
				err = printStatus(env, s)
			}
			return cmp.Or(err, stuck(s))
		},
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "text", "`format`: text or json")
	return cmd
}

// stuck is the error of a daemon that makes no progress.
func stuck(s daemon.Status) error {
	if len(s.Stuck) == 0 {
		return nil
	}
	return fmt.Errorf("the daemon makes no progress: %s should have ended; look into its log and start it again", strings.Join(s.Stuck, ", "))
}

func printStatus(env *environment, s daemon.Status) error {
	out := newPage(env)
	out.add("daemon\n")
	mode := "it applies what is ready"
	if s.Mode != report.Apply {
		mode = "it only looks (apply: false)"
	}
	out.labelled("version", s.Version+"; "+mode)
	out.labelled("running", "since "+minute(s.StartedAt))
	out.labelled("repository", s.Repository+pollWords(s.Poll, env.Now()))
	for _, p := range s.Paused {
		out.labelled("paused", fmt.Sprintf("%s until %s by %s: %s (lift it with %s)",
			targetWords(p.Target), minute(p.Until), p.Owner, p.Reason, resumeWords(p.Target)))
	}
	for _, e := range s.Environments {
		out.add("\n")
		out.paragraph(e.Name + " (" + e.DevID + ")")
		environmentWords(out, e)
	}
	return out.print(env.Stdout)
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
	if e.Commit != "" {
		commit = short(e.Commit) + "; " + appliedWords(e)
	}
	out.labelled("commit", commit)
	if e.Behind != "" {
		out.labelled("behind", e.Behind)
	}
	if e.Newer != "" {
		out.labelled("went back", "from commit "+short(e.Newer)+", which was followed after it: what could hurt waits for approval, or for a new commit")
	}
	out.labelled("last run", lastRunWords(e.LastRun))
	switch {
	case e.Running != nil:
		out.labelled("running", "since "+minute(*e.Running))
	case e.NextRun != nil:
		out.labelled("next run", minute(*e.NextRun))
	case e.Commit != "":
		out.labelled("next run", "with the next commit; it has no schedule")
	}
	if a := e.Approved; a != nil {
		out.labelled("approved", fmt.Sprintf("by %s until %s: the next run may apply", a.Owner, minute(a.Until)))
		out.add(fmt.Sprintf("  %s\n", visible.Text(a.Hash)))
	}
	for _, h := range e.Held {
		out.labelled("held", fmt.Sprintf("%s, %s: %s (guard %s)", h.Change, h.Gate, h.Reason, h.Guard))
	}
	if slices.ContainsFunc(e.Held, func(h daemon.HeldEntry) bool { return h.Gate == "approval" }) && e.Approved == nil {
		out.labelled("to approve", "`reconcile --dry-run --env "+e.Name+"` shows the plan as it is now, and how it is approved")
	}
}

func appliedWords(e daemon.EnvironmentStatus) string {
	switch e.Applied {
	case "":
		return "nothing is wholly applied yet"
	case e.Commit:
		return "wholly applied"
	}
	return "last wholly applied " + short(e.Applied)
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
	}{{s.Changes - s.Applied - s.Gated - s.Failed - s.Unknown, "not tried"}, {s.Applied, "applied"}, {s.Gated, "held"}, {s.Failed, "failed"}, {s.Unknown, "unknown"}, {s.NotCompared, "not compared"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return when + ": " + strings.Join(parts, ", ")
}
