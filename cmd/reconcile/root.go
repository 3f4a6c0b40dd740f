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
	exitUsage  = 64
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

// usageError is a command line that cannot be understood.
func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

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
			printError(env, exit.err)
		}
		return exit.code
	case isUsage(err):
		printError(env, err)
		return exitUsage
	default:
		printError(env, err)
		return exitFailed
	}
}

func printError(env *environment, err error) {
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\t", "    ")
	_, _ = fmt.Fprintf(env.Stderr, "reconcile: %s\n", visible.Lines(env.asked.complete(text)))
}

// isUsage recognises cobra's own complaints, which have no type.
func isUsage(err error) bool {
	for _, prefix := range []string{"unknown command", "accepts ", "requires ", "invalid argument"} {
		if strings.HasPrefix(err.Error(), prefix) {
			return true
		}
	}
	return false
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
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return runReconcile(cmd, env, flags) },
	}
	root.PersistentPreRun = func(cmd *cobra.Command, args []string) {
		if !env.brief {
			env.asked = invocationOf(cmd, args)
		}
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", width)))
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{exitUsage, err} })
	flags.add(root)
	flags.addApplying(root, "with --approve: do not wait for a window")
	flags.addAsking(root)
	root.AddCommand(
		newPlanCommand(env), newApplyCommand(env), newValidateCommand(env), newDemoCommand(env), newDaemonCommand(env),
		newSecretCommand(env), newRotateCommand(env), newTokenCommand(env), newProvidersCommand(env), newDoctorCommand(env),
		newApproveCommand(env), newPauseCommand(env), newResumeCommand(env), newNowCommand(env), newStatusCommand(env), newHistoryCommand(env),
		newVersionCommand(env),
	)
	root.InitDefaultCompletionCmd()
	return root
}

// family is a command that only holds others: by itself it shows its help.
func family(cmd *cobra.Command, members ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(members...)
	return cmd
}
