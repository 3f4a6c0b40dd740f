package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func newPauseCommand(env *environment) *cobra.Command {
	f := &stateFlags{}
	reason, lasts := "", ""
	cmd := &cobra.Command{
		Use:   "pause [ENV[/CONN]]",
		Short: "Hold every change at once, without a commit",
		Long: `Hold every change at once, without a commit.

Without a name it holds everything, else one environment or one connection. It
is remembered with the state and ends by itself. A run under way stops before
its next write. Reports show what is held as blocked, guard "pause"; not even an
approval passes it. The first run afterwards is careful: what could hurt end
users waits for approval.

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
			return pause(cmd.Context(), env, f, request)
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

func pause(ctx context.Context, env *environment, f *stateFlags, request daemon.PauseRequest) error {
	dir, err := f.folder(env)
	if err != nil {
		return err
	}
	var p daemon.Pause
	alone, err := withKeeper(ctx, env, dir, func(k keeping) (err error) {
		p, err = k.Pause(ctx, request)
		return err
	})
	if err != nil {
		return err
	}
	who := "what runs has been told"
	if alone {
		who = "nothing runs on the state in " + dir + ", and what starts there will know; a daemon with another state folder (--config, --state) is not paused"
	}
	return say(env, fmt.Sprintf("%s is paused until %s by %s: %s", targetWords(p.Target), minute(p.Until), p.Owner, p.Reason),
		"every change of it is held; "+who, "lift it with: "+resumeWords(p.Target))
}

// resumeWords is the command that lifts a pause, in backticks.
func resumeWords(target string) string {
	return plan.KillSwitch{Target: target}.Lift()
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
