package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// approverToken is the variable with the token by which a daemon knows a person.
const approverToken = "RECONCILE_APPROVER_TOKEN"

func newApproveCommand(proc *Process) *cobra.Command {
	f := &stateFlags{}
	now := false
	cmd := &cobra.Command{
		Use:   "approve ENV[/CONN] HASH",
		Short: "Let the daemon apply exactly one plan, or one connection of it",
		Long: `Let the daemon apply exactly the plan of that hash, or what it has for one
connection, at once, or when a window opens. Reports and dry runs print the
hash; its first 8 digits are enough, or as many as the runner asks for
(approvals.digits in daemon.yaml). A hash that is not what the last run left
to do is refused. If that has changed until it is applied, nothing is, and the
run says so; a change of another connection does not touch the approval of one.
What is approved is shown as the daemon has it, and on a terminal asked about.
An approval serves once, and unused it ends after a day.

The approval of a whole environment never covers a key that somebody set out of
band, a host that the runner does not know, or a commit that the branch went
back to: that connection is approved alone, and two approvals never add up.
Where the runner asks for several people (approvals.required in daemon.yaml)
each approves the same hash; where it knows them by tokens, theirs stands in
RECONCILE_APPROVER_TOKEN.`,
		Example: "  reconcile approve production/huawei 5e2c497c\n  reconcile approve production 96dca685 --now",
		Args:    takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !plan.IsHash(args[1]) {
				return usageError("HASH %q: write it as a dry run prints it, at least 8 digits", args[1])
			}
			dir, err := f.folder(proc)
			if err != nil {
				return err
			}
			request := daemon.Approval{Environment: args[0], Hash: args[1], Now: now, Token: proc.Getenv(approverToken)}
			look := []string{"--dry-run", "--env", args[0]}
			if strings.Contains(args[0], "/") { // which part is the environment the daemon knows
				look = look[:1]
			}
			refused := func(err error) error {
				if errors.As(err, new(*daemon.RefusedError)) {
					of := repositoriesFor(cmd.Context(), proc, f.config, dir, args[0])
					if len(of) > 1 { // none is known to have it
						return advice.With(err, "see which environments there are", "status")
					}
					proc.asked = proc.asked.of(of[0])
					return advice.With(err, "see the plan as it is now, and how it is approved", look...)
				}
				return noDaemon(err)
			}
			client := daemon.NewClient(dir)
			asks := proc.Terminals.Stdin && proc.Terminals.Stderr
			if asks {
				shown, err := client.Approvable(cmd.Context(), request)
				if err != nil {
					return refused(err)
				}
				request.Hash = shown.Hash // what is shown is approved, to its last digit
				if err := covered(shown.Covers).print(proc.Stderr); err != nil {
					return err
				}
				if err := confirm(cmd.Context(), proc, "Approve this? Type yes: "); err != nil {
					return err
				}
			}
			a, err := client.Approve(cmd.Context(), request)
			if err != nil {
				return refused(err)
			}
			if !asks {
				if err := covered(a.Covers).print(proc.Stdout); err != nil {
					return err
				}
			}
			if a.Missing > 0 {
				return say(proc, tell(fmt.Sprintf("approved by %s; %s must, until %s", strings.Join(a.By, ", "),
					visible.Plural(a.Missing, "more person", "more people"), minute(a.Until))), note{text: "each of them", command: plan.Command{"approve", args[0], args[1]}})
			}
			what := "exactly this plan"
			if a.Connection != "" {
				request.Environment, what = args[0][:strings.LastIndexByte(args[0], '/')], "exactly this of "+a.Connection+", beside what is ready anyway"
			}
			does := "runs now and applies " + what
			if a.Paused != "" {
				does = "applies " + what + " once no pause holds it (" + a.Paused + ")"
			}
			return say(proc, tell(fmt.Sprintf("%s %s; unused, the approval expires %s", request.Environment, does, minute(a.Until))),
				tell("see how it goes", "status"))
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&now, "now", false, "do not wait for a window or another environment")
	return cmd
}

// covered shows what is approved, as the daemon's last run has it.
func covered(lines []string) *page {
	p := &page{}
	for _, line := range lines {
		p.beside("  ", 2, visible.Text(line))
	}
	return p
}
