package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

func newApproveCommand(env *environment) *cobra.Command {
	f := &stateFlags{}
	now := false
	cmd := &cobra.Command{
		Use:   "approve ENV HASH",
		Short: "Let the daemon apply exactly one plan",
		Long: `Let the next run of the daemon apply exactly the plan of that hash, as reports
and dry runs print it. If the plan has changed until then, that run applies
nothing and says so. An approval serves once, and unused it ends after a day.`,
		Example: "  reconcile approve production sha256:96dca68598be…\n  reconcile approve production sha256:96dca68598be… --now\n  reconcile now production",
		Args:    takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !strings.HasPrefix(args[1], "sha256:") {
				return usageError("HASH %q: write it as sha256:…, as a dry run prints it", args[1])
			}
			dir, err := f.folder(env)
			if err != nil {
				return err
			}
			a, err := daemon.NewClient(dir).Approve(cmd.Context(), daemon.Approval{Environment: args[0], Hash: args[1], Now: now})
			if err != nil {
				return noDaemon(err)
			}
			return say(env, fmt.Sprintf("the next run of %s applies exactly this plan; unused, the approval ends %s", args[0], minute(a.Until)),
				"run it at once with: `reconcile now "+args[0]+"`")
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&now, "now", false, "do not wait for a window")
	return cmd
}
