package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

func newResumeCommand(env *environment) *cobra.Command {
	f := &stateFlags{}
	cmd := &cobra.Command{
		Use:   "resume [ENV[/CONN]]",
		Short: "Lift what `reconcile pause` holds",
		Long: `Lift what "reconcile pause" holds, by the same name; without one, the pause of
everything. The first run afterwards is careful: what could hurt end users waits
for approval, until a run finds none of it.`,
		Example: "  reconcile resume\n  reconcile resume production/strava",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return resume(cmd.Context(), env, f, daemon.ResumeRequest{Target: strings.Join(args, "")})
		},
	}
	f.add(cmd)
	return cmd
}

func resume(ctx context.Context, env *environment, f *stateFlags, request daemon.ResumeRequest) error {
	dir, err := f.folder(env)
	if err != nil {
		return err
	}
	var p daemon.Resumed
	if _, err := withKeeper(ctx, env, dir, func(k keeping) (err error) {
		p, err = k.Resume(ctx, request)
		return err
	}); err != nil {
		return err
	}
	said := []string{fmt.Sprintf("%s is no longer paused (by %s: %s)", targetWords(p.Target), p.Owner, p.Reason)}
	for _, other := range p.Still {
		said = append(said, fmt.Sprintf("still paused: %s until %s by %s: %s; lift it with %s",
			targetWords(other.Target), minute(other.Until), other.Owner, other.Reason, resumeWords(other.Target)))
	}
	return say(env, append(said, "the next run is careful: what could hurt end users waits for approval", "look at it with: `reconcile --dry-run`")...)
}
