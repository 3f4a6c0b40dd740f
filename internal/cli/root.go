package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Exit codes that commands share. Those of a run are report.ExitCode's.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = report.ExitUsage
)

// Process is all of the world that a command may touch besides files and
// the network.
type Process struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Now            func() time.Time
	Terminals      Terminals
	Version        string

	asked invocation // of the command that runs; empty until its line is understood
	brief bool       // commands in texts stay short: what they would name is soon gone
}

// Terminals says which of a process's streams a person sits at.
type Terminals struct{ Stdin, Stdout, Stderr bool }

// ThisProcess is what the running process has. version stands in its output.
func ThisProcess(version string) *Process {
	return &Process{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Now: now, Version: version,
		Terminals: Terminals{term.IsTerminal(int(os.Stdin.Fd())), term.IsTerminal(int(os.Stdout.Fd())), term.IsTerminal(int(os.Stderr.Fd()))},
	}
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
	flags.addApplying(root, "with --approve: do not wait for a window")
	flags.addAsking(root)
	root.AddCommand(
		newPlanCommand(proc), newApplyCommand(proc), newValidateCommand(proc), newDemoCommand(proc), newDaemonCommand(proc),
		newSecretCommand(proc), newRotateCommand(proc), newTokenCommand(proc), newProvidersCommand(proc), newDoctorCommand(proc),
		newApproveCommand(proc), newPauseCommand(proc), newResumeCommand(proc), newNowCommand(proc), newStatusCommand(proc), newHistoryCommand(proc), newStateCommand(proc), newDiffCommand(proc),
		newVersionCommand(proc),
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

// usageError is a command line that cannot be understood.
func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// misused is a usageError with the command's first example and where more stands.
// What was typed is repeated only where it can be no secret.
func misused(cmd *cobra.Command, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if words := strings.Fields(cmd.CommandPath())[1:]; len(words) > 0 {
		text = strings.Join(words, " ") + ": " + text
	}
	var err error = advice.With(errors.New(text), "see", append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
	if example := exampleOf(cmd); example != "" {
		err = advice.With(err, "for example: "+example)
	}
	return &exitError{exitUsage, err}
}

// exampleOf is the first example of a command that is its own and no pipeline. A
// family has none: its members have.
func exampleOf(cmd *cobra.Command) string {
	for line := range strings.Lines(cmd.Example) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, cmd.CommandPath()+" ") && !strings.ContainsAny(line, "|<") && !cmd.HasSubCommands() {
			return line
		}
	}
	return ""
}

// takes lets a command have so many arguments, as its Use names them.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		names := strings.Fields(cmd.Use)[1:]
		switch {
		case len(args) < least:
			return misused(cmd, "missing: %s", strings.Join(names[len(args):least], " "))
		case len(args) <= most:
			return nil
		case most > 0:
			return misused(cmd, "it takes %s and no more, and was given %d words", strings.Trim(strings.Join(names[:most], " "), "[]"), len(args))
		case cmd.Flags().Lookup("env") != nil:
			return misused(cmd, "it takes flags only; --env NAME chooses an environment")
		}
		return misused(cmd, "it takes no words after it")
	}
}

// commandName is what a command could be called, and a secret is not.
var commandName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z-]{0,19}$`) })

// takesCommand refuses a word that is no command of a family.
func takesCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	text := "there is no such command"
	if commandName().MatchString(args[0]) {
		text = fmt.Sprintf("there is no command %q", args[0])
	}
	if near := spec.Nearest(args[0], names); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	} else if cmd.HasParent() {
		text += "; there is " + strings.Join(names, ", ")
	}
	return misused(cmd, "%s", text)
}

// flagError says what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return misused(cmd, "there is no flag -%.1s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		return misused(cmd, "%s", unknownFlag(cmd, unknown.GetSpecifiedName()))
	case errors.As(err, &bare):
		return misused(cmd, "--%s wants a %s after it", bare.GetFlag().Name, valueName(bare.GetFlag()))
	case errors.As(err, &invalid):
		return misused(cmd, "--%s %q: %s", invalid.GetFlag().Name, invalid.GetValue(), valueWords(invalid.GetFlag()))
	}
	return misused(cmd, "a flag is written --name, --name value or --name=value")
}

func unknownFlag(cmd *cobra.Command, name string) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	near := spec.Nearest(name, names)
	switch {
	case near != "":
		return fmt.Sprintf("there is no flag --%s; did you mean --%s?", name, near)
	case cmd.Root().Flags().Lookup(name) != nil:
		return fmt.Sprintf("there is no flag --%s here, only without a command", name)
	}
	return "there is no flag --" + name
}

// choice is a flag that takes one of a few words.
type choice struct {
	word  *string // its default before the line is read
	words []string
}

func (c choice) String() string {
	if c.word == nil {
		return ""
	}
	return *c.word
}

func (c choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return errors.New(c.use())
	}
	*c.word = word
	return nil
}

// Type is that of a text, so that help shows the default as one.
func (choice) Type() string { return "string" }

func (c choice) use() string {
	last := len(c.words) - 1
	return "use " + strings.Join(c.words[:last], ", ") + " or " + c.words[last]
}

// addOutput adds -o to a command that prints for people or as a document.
func addOutput(cmd *cobra.Command, format *string) {
	*format = "text"
	cmd.Flags().VarP(choice{format, []string{"text", "json"}}, "output", "o", "`format`: text or json")
}

// printJSON prints a document, in which what a terminal could take for a command
// stands as a \u escape.
func printJSON[T any](w io.Writer, document T) error {
	encoder := json.NewEncoder(escaping{w})
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

// valueName is what help calls the value of a flag.
func valueName(flag *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(flag)
	return strings.ToUpper(name)
}

func valueWords(flag *pflag.Flag) string {
	if c, ok := flag.Value.(choice); ok {
		return c.use()
	}
	switch flag.Value.Type() {
	case "int", "intSlice":
		return "use a number"
	case "duration":
		return "use a duration such as 45m or 2h"
	case "bool":
		return "use it alone, or with =true or =false"
	}
	return "that is no value of it"
}

// require marks flags that a command does not run without.
func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		cmd.Flags().Lookup(name).Annotations = map[string][]string{cobra.BashCompOneRequiredFlag: {"true"}}
	}
}

// needFlags refuses a line without the flags that a command requires.
func needFlags(cmd *cobra.Command) error {
	var missing []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(f.Annotations[cobra.BashCompOneRequiredFlag], "true") && !f.Changed {
			missing = append(missing, "--"+f.Name+" "+valueName(f))
		}
	})
	if len(missing) == 0 {
		return nil
	}
	return misused(cmd, "missing: %s", strings.Join(missing, " "))
}
