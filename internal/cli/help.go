package cli

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND|TOPIC]",
		Short:   "Show the help of a command, or explain a topic",
		Long:    "Show the help of a command, or explain a topic:\n\n" + topicList(),
		Example: "  reconcile help secret encrypt\n  reconcile help approvals",
		RunE: func(cmd *cobra.Command, args []string) error {
			if t, ok := topicOf(strings.Join(args, " ")); ok {
				_, err := fmt.Fprint(cmd.OutOrStdout(), t.text)
				return err
			}
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if err := takesCommand(about, rest); err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if about, _, err := cmd.Root().Find(args); err == nil {
				for _, c := range about.Commands() {
					if c.IsAvailableCommand() {
						names = append(names, c.Name())
					}
				}
			}
			if len(args) == 0 {
				for _, t := range topics() {
					names = append(names, t.name)
				}
			}
			return begun(fixed(names...), cmd, typed)
		},
	}
}

// completeShells adds the completion of shells, as a family like others.
func completeShells(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	i := slices.IndexFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "completion" })
	cmd := root.Commands()[i]
	cmd.Short = "Print what completes commands in a shell"
	cmd.Long = "Print what completes commands in a shell. The help of each says how to load it."
	cmd.Example = "  " + cmd.CommandPath() + " bash > /etc/bash_completion.d/reconcile"
	for _, shell := range cmd.Commands() {
		shell.Example = "  " + shell.CommandPath()
	}
	family(cmd)
}

// usageTemplate fits cobra's to the width, and ends the help of what runs with the
// exit codes.
func usageTemplate(template string) string {
	template = strings.ReplaceAll(template, ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", width))
	return template + `{{if .Flags.Lookup "exit-code"}}
Exit codes:
` + exitCodes() + `{{end}}`
}

// exitCodes lists what each says, as help shows it.
func exitCodes() string {
	var out strings.Builder
	for _, e := range report.Exits() {
		for i, line := range report.Lines(e.Says, width-6) {
			code := "  "
			if i == 0 {
				code = fmt.Sprintf("%2d", e.Code)
			}
			fmt.Fprintf(&out, "  %s  %s\n", code, line)
		}
	}
	return out.String()
}

// apiVersion is the version of Terra's Admin API that the client speaks.
const apiVersion = "2026.10.09.2"

func newVersionCommand(proc *Process) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of reconcile and of the API it speaks",
		Example: "  reconcile version",
		Args:    takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(proc.Stdout, versionWords(proc))
			return err
		},
	}
}

func versionWords(proc *Process) string {
	return fmt.Sprintf("reconcile %s (Terra Admin API %s, %s)", proc.Version, apiVersion, runtime.Version())
}
