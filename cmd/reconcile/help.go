package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
		Example: "  reconcile help secret encrypt",
		RunE: func(cmd *cobra.Command, args []string) error {
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
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if about, _, err := cmd.Root().Find(args); err == nil {
				for _, c := range about.Commands() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
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
