package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func newRotateStatusCommand(proc *Process) *cobra.Command {
	flags := &runFlags{dryRun: true, exitCode: "simple", onError: "continue"}
	cmd := &cobra.Command{
		Use:   "status [CONNECTION]",
		Short: "Show which keys are live, how old, and what comes next",
		Long: `Show which keys are live, how old, and what comes next.

One row a connection with an app of its own: the number of the live key, its
age, how old it may grow, the key that is due, the next one and when, how far
the watch over a new key has come, and what a person does next, with the address
of the portal and the right order for that provider. It looks as a dry run does,
and beside a daemon too; it asks no provider and changes nothing.

Exit code 1 where a person is needed: a key that is overdue, soon will be, or
was rejected, or an environment that could not be read.`,
		Example: `  reconcile rotate status
  reconcile rotate status production/strava
  reconcile rotate status --env production -o json`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			only := ""
			if len(args) == 1 {
				only = args[0]
				at := strings.LastIndexByte(only, '/') // an environment's name may hold slashes itself
				if at <= 0 || at == len(only)-1 {
					return usageError("%q is no connection; write it as ENVIRONMENT/PROVIDER, like production/strava", only)
				}
				flags.environments = []string{only[:at]}
			}
			return rotateStatus(cmd, proc, flags, only)
		},
	}
	flags.sourceFlags.add(cmd)
	addOutput(cmd, &flags.format)
	return cmd
}

func rotateStatus(cmd *cobra.Command, proc *Process, f *runFlags, only string) error {
	r, err := f.preview(cmd, proc, report.DryRun)
	if err != nil {
		return err
	}
	needed := r.Error != ""
	for i := range r.Environments {
		e := &r.Environments[i]
		if only != "" {
			e.Keys = slices.DeleteFunc(e.Keys, func(k keys.Status) bool { return k.Connection != only })
			if len(e.Keys) == 0 && e.Error == "" {
				return fmt.Errorf("show keys of %s: no file of that environment gives it keys", only)
			}
		}
		needed = needed || e.Error != "" || slices.ContainsFunc(e.Keys, keys.Status.Needs)
	}
	if f.format == "json" {
		err = report.JSON(proc.Stdout, r)
	} else {
		err = report.Keys(proc.Stdout, r, report.TextOptions{Color: proc.colour(proc.Stdout), Width: width})
	}
	if needed {
		err = errors.Join(err, &exitError{code: exitFailed})
	}
	return err
}
