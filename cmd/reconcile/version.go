package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// apiVersion is the version of Terra's Admin API that the client speaks.
const apiVersion = "2026.10.09.2"

func newVersionCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of reconcile and of the API it speaks",
		Args:  takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(env.Stdout, versionWords(env))
			return err
		},
	}
}

func versionWords(env *environment) string {
	return fmt.Sprintf("reconcile %s (Terra Admin API %s, %s)", env.Version, apiVersion, runtime.Version())
}
