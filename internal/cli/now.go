package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

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
