package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
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
			length, err := parseFor(cmd, lasts, "a pause lasts at most 30d; for longer commit a suspend")
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

// parseFor reads how long something lasts, 30 days at most, which tooLong says; days are 24
// hours.
func parseFor(cmd *cobra.Command, text, tooLong string) (time.Duration, error) {
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
		return 0, misused(cmd, "--for %q: %s", text, tooLong)
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
		who = "nothing runs on the state in " + dir + ", and what starts there will know, but no daemon with another state folder (--config, --state)"
	}
	return say(proc, tell(fmt.Sprintf("%s: no changes until %s by %s: %s", targetWords(p.Target), minute(p.Until), p.Owner, p.Reason)),
		tell("every change of it is held; "+who), note{text: "lift it", command: resumeOf(p.Target)})
}

// resumeOf is the command that lifts a pause.
func resumeOf(target string) plan.Command { return plan.KillSwitch{Target: target}.Resume().Command }

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
			if len(args) > 0 && args[0] == "" { // an empty variable of a script
				return usageError("resume %q: name what is paused, or leave the name out to lift the pause of everything", args[0])
			}
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
	said := []note{tell(fmt.Sprintf("the pause of %s is lifted (by %s: %s)", targetWords(p.Target), p.Owner, p.Reason))}
	for _, other := range p.Still {
		said = append(said, note{text: fmt.Sprintf("another pause holds, %s until %s by %s: %s; lift it",
			targetWords(other.Target), minute(other.Until), other.Owner, other.Reason), command: resumeOf(other.Target)})
	}
	said = append(said, tell("the next run is careful: disruptive and destructive changes wait for approval"))
	for _, name := range repositoriesFor(ctx, proc, f.config, dir, request.Target) {
		said = append(said, note{text: "look at it", command: plan.Command{"--dry-run"}, repository: name})
	}
	return say(proc, said...)
}
