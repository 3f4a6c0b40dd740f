package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/notify"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newNotifyCommand(proc *Process) *cobra.Command {
	return family(&cobra.Command{
		Use:     "notify",
		Short:   "Look at who is told what the daemon does",
		Example: "  reconcile notify test --config daemon.yaml",
	}, newNotifyTestCommand(proc))
}

func newNotifyTestCommand(proc *Process) *cobra.Command {
	file, name := "", ""
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test message to the receivers of a daemon.yaml",
		Long: `Send a test message to the receivers of a daemon.yaml, and say what became of
it.

It is sent from here, once and at once, whether a daemon runs or not, to each
receiver or to the one that --receiver names, whatever the routes say. It exits
with 1 when a receiver did not take it.`,
		Example: "  reconcile notify test --config daemon.yaml\n  reconcile notify test --config daemon.yaml --receiver ops",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return notifyTest(cmd.Context(), proc, file, name)
		},
	}
	cmd.Flags().StringVar(&file, "config", "daemon.yaml", "`file` of the runner's own configuration")
	cmd.Flags().StringVar(&name, "receiver", "", "only this one, by its `name`")
	return cmd
}

func notifyTest(ctx context.Context, proc *Process, file, name string) error {
	c, err := config.Load(file, proc.Getenv)
	if err == nil {
		err = c.Notify.Check()
	}
	if err != nil {
		return err
	}
	if c.Notify == nil {
		return fmt.Errorf("test messages: %s has no notify, so nobody is told; docs/operations.md shows how it is written", file)
	}
	var names []string
	for _, r := range c.Notify.Receivers {
		names = append(names, r.Name)
	}
	if name != "" && !slices.Contains(names, name) {
		hint := ""
		if near := spec.Nearest(name, names); near != "" {
			hint = "did you mean " + near + "? "
		}
		return usageError("test messages: %s has no receiver %q; %sit has %s", file, name, hint, strings.Join(names, ", "))
	}
	transport := terra.NewTransport()
	defer transport.CloseIdleConnections()
	var failed []error
	for _, r := range c.Notify.Receivers {
		if name != "" && r.Name != name {
			continue
		}
		err := receiverOf(r, transport, proc.Version).Send(ctx, notify.TestMessage(rand.Text(), proc.Now()))
		if err == nil {
			err = say(proc, tell(fmt.Sprintf("%s (%s): taken", r.Name, r.Form)))
		} else {
			err = fmt.Errorf("%s: %w", r.At, err)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
