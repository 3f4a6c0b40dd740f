package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Exit codes that commands share. Those of a run are report.ExitCode's.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = report.ExitUsage
)

// environment is all of the world that a command may touch besides files and
// the network.
type environment struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Now            func() time.Time
	IsTerminal     func(stream any) bool
	Version        string

	asked invocation // of the command that runs; empty until its line is understood
	brief bool       // commands in texts stay short: what they would name is soon gone
}

// exitError ends the program with a code. Without an error nothing is printed:
// the command has said what there is to say.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// run executes one command line and returns the exit code. Errors are printed
// here and nowhere else. A panic is not left to the runtime: its exit code 2 is that
// of a dry run with changes.
func run(ctx context.Context, args []string, env *environment) (code int) {
	defer func() {
		if cause := recover(); cause != nil {
			printError(env, fmt.Errorf("a fault of this program; please report it: %v\n%s", cause, debug.Stack()))
			code = report.ExitFailed // nobody knows what was written
		}
	}()
	root := newRoot(env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		if exit.err != nil {
			printError(env, err)
		}
		return exit.code
	default:
		printError(env, err)
		return exitFailed
	}
}

// printError folds long lines on a terminal, where what is to be copied stays
// whole. Elsewhere a line stays one, for whoever searches a log.
func printError(env *environment, err error) {
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\t", "    ")
	text = "reconcile: " + visible.Lines(env.asked.complete(text))
	if env.IsTerminal(env.Stderr) {
		text = foldLines(text)
	}
	_, _ = fmt.Fprintln(env.Stderr, text)
}

// foldLines folds each line between words, below its own beginning.
func foldLines(text string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		body := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(body)]
		for i, part := range report.Folded(body, width-len(indent)-2) {
			if i > 0 {
				part = "  " + part
			}
			out = append(out, indent+part)
		}
	}
	return strings.Join(out, "\n")
}

func newRoot(env *environment) *cobra.Command {
	flags := &runFlags{}
	root := &cobra.Command{
		Use:   "reconcile",
		Short: "Make Terra match a git repository of connection files",
		Long: `Make Terra match a git repository of connection files.

Without a command it reads the repository, shows what would change and applies
it, after asking. With --dry-run it only shows.`,
		Example: `  reconcile demo                                    see it all, without account
  reconcile --dry-run                               preview this folder
  reconcile --dry-run --env production -o markdown  for a pull request
  reconcile --repo https://git.example/acme/terra   preview, ask, apply`,
		Args:          takesCommand,
		Version:       versionWords(env),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return runReconcile(cmd, env, flags) },
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if !env.brief {
			env.asked = invocationOf(cmd, args)
		}
		return needFlags(cmd)
	}
	root.Flags().Bool("version", false, "print the version of reconcile and of the API it speaks")
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(flagError)
	flags.add(root)
	flags.addApplying(root, "with --approve: do not wait for a window")
	flags.addAsking(root)
	root.AddCommand(
		newPlanCommand(env), newApplyCommand(env), newValidateCommand(env), newDemoCommand(env), newDaemonCommand(env),
		newSecretCommand(env), newRotateCommand(env), newTokenCommand(env), newProvidersCommand(env), newDoctorCommand(env),
		newApproveCommand(env), newPauseCommand(env), newResumeCommand(env), newNowCommand(env), newStatusCommand(env), newHistoryCommand(env),
		newVersionCommand(env),
	)
	completeShells(root)
	root.SetHelpCommand(newHelpCommand())
	return root
}

// family is a command that only holds others: by itself it shows its help.
func family(cmd *cobra.Command, members ...*cobra.Command) *cobra.Command {
	cmd.Args = takesCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(members...)
	return cmd
}
