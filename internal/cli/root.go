package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Run executes one command line and returns the exit code. Errors are printed
// here and nowhere else. A panic is not left to the runtime: its exit code 2 is that
// of a dry run with changes.
func Run(ctx context.Context, args []string, proc *Process) (code int) {
	defer func() {
		if cause := recover(); cause != nil {
			printError(proc, fmt.Errorf("a fault of this program; please report it: %v\n%s", cause, debug.Stack()))
			code = report.ExitFault
		}
	}()
	if err := pasted(args); err != nil {
		printError(proc, err)
		return exitUsage
	}
	root := newRoot(proc)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, new(*repoedit.ChoiceError)):
		printError(proc, err)
		return exitUsage
	case errors.As(err, &exit):
		if exit.err != nil {
			printError(proc, err)
		}
		return exit.code
	default:
		printError(proc, err)
		return exitFailed
	}
}

// pasted refuses a private key or a token on the command line, where none belongs and
// messages would repeat it.
func pasted(args []string) error {
	for i, word := range args {
		if kind := visible.Key(word); kind != "" {
			return fmt.Errorf("word %d of the command is %s; no flag or argument takes one, so make a new one: it may stand in the history of the shell and in the list of processes", i+1, kind)
		}
	}
	return nil
}

// printError says what is wrong, and below it what to do, each thing on a line of its
// own with its command. On a terminal long lines are folded between words, never a
// command; elsewhere a line stays one, for whoever searches a log.
func printError(proc *Process, err error) {
	fold := func(indent, text string) {
		for line := range strings.SplitSeq(strings.ReplaceAll(strings.TrimSpace(text), "\t", "    "), "\n") {
			body := strings.TrimLeft(line, " ")
			indent := indent + line[:len(line)-len(body)]
			parts := []string{visible.Text(body)}
			if proc.Terminals.Stderr {
				parts = report.Folded(body, width-len(indent)-2)
			}
			for i, part := range parts {
				if i > 0 {
					part = "  " + part
				}
				_, _ = fmt.Fprintln(proc.Stderr, indent+part)
			}
		}
	}
	fold("", "reconcile: "+err.Error())
	for _, a := range advice.All(err) {
		command := proc.asked.command(a.Command).String()
		switch line := "  " + visible.Text(a.Text) + ": " + command; {
		case command == "":
			fold("  ", a.Text)
		case proc.Terminals.Stderr && utf8.RuneCountInString(line) > width:
			fold("  ", a.Text+":")
			_, _ = fmt.Fprintln(proc.Stderr, "    "+command)
		default:
			_, _ = fmt.Fprintln(proc.Stderr, line)
		}
	}
}

func newRoot(proc *Process) *cobra.Command {
	flags := &runFlags{}
	root := &cobra.Command{
		Use:   "reconcile",
		Short: "Make Terra match a git repository of connection files",
		Long: `Make Terra match a git repository of connection files.

Without a command it reads the repository, shows what would change and applies
it, after asking. With --dry-run it only shows. Its words are explained by
"reconcile help TOPIC": spec, secrets, rotation, safety, approvals, exit-codes.`,
		Example: `  reconcile demo                                    see it all, without account
  reconcile --dry-run                               preview this folder
  reconcile --dry-run --env production -o markdown  for a pull request
  reconcile --repo https://git.example/acme/terra   preview, ask, apply`,
		Args:          takesCommand,
		Version:       versionWords(proc),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return runReconcile(cmd, proc, flags) },
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if !proc.brief {
			proc.asked = invocationOf(cmd, args)
		}
		return needFlags(cmd)
	}
	root.Flags().Bool("version", false, "print the version of reconcile and of the API it speaks")
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.SetIn(proc.Stdin)
	root.SetOut(proc.Stdout)
	root.SetErr(proc.Stderr)
	root.SetFlagErrorFunc(flagError)
	flags.add(root)
	flags.addApplying(root, "with --approve: do not wait for a window or another environment")
	flags.addAsking(root)
	root.AddCommand(
		newPlanCommand(proc), newApplyCommand(proc), newInitCommand(proc), newImportCommand(proc), newValidateCommand(proc), newSchemaCommand(proc), newDemoCommand(proc), newDaemonCommand(proc),
		newSecretCommand(proc), newRotateCommand(proc), newTokenCommand(proc), newProvidersCommand(proc), newDoctorCommand(proc),
		newApproveCommand(proc), newPauseCommand(proc), newResumeCommand(proc), newNowCommand(proc), newLogLevelCommand(proc), newPreviewCommand(proc), newStatusCommand(proc), newHistoryCommand(proc), newStateCommand(proc), newDiffCommand(proc), newNotifyCommand(proc), newNotifyCommitCommand(proc),
		newVersionCommand(proc), newManCommand(proc),
	)
	completeShells(root)
	completeWords(root)
	root.SetHelpCommand(newHelpCommand())
	return root
}
