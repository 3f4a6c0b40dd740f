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
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(env.Stdout, "reconcile %s (Terra Admin API %s, %s)\n", env.Version, apiVersion, runtime.Version())
			return err
		},
	}
}
