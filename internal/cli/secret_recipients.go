package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

func newSecretRecipientsCommand(proc *Process) *cobra.Command {
	var check bool
	var configFile string
	cmd := &cobra.Command{
		Use:   "recipients [DIR]",
		Short: "Say who can open which secret, and whether terra.yaml wants it so",
		Long: `Say who can open which secret, and whether terra.yaml wants it so.

It reads .reconcile/recipients.lock, so it needs no private key. With --check it
prints only what is wrong and then exits with 1: for CI.`,
		Example: "  reconcile secret recipients\n  reconcile secret recipients --check",
		Args:    takes(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return listRecipients(proc, append(args, ".")[0], configFile, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "print only what is wrong, and exit with 1 then")
	cmd.Flags().StringVar(&configFile, "config", "", "take allowed plugins from this `daemon.yaml`")
	return cmd
}

func listRecipients(proc *Process, dir, configFile string, check bool) error {
	repository, err := openRepository(dir)
	if err != nil {
		return fmt.Errorf("list recipients: %w", err)
	}
	runner, err := runnerConfig(proc, configFile)
	if err != nil {
		return err
	}
	all, err := repository.SealedFor(runner.Identities.AllowPlugins)
	if err != nil {
		return err
	}
	wrong := 0
	var out strings.Builder
	for _, s := range all {
		if s.Wrong != "" {
			wrong++
		}
		if check && s.Wrong == "" {
			continue
		}
		fmt.Fprintln(&out, visible.Text(s.Where))
		for _, r := range s.Recipients {
			fmt.Fprintf(&out, "  %s\n", repoedit.ShortRecipient(r))
		}
		if s.Wrong != "" {
			fmt.Fprintf(&out, "  wrong: %s\n", visible.Text(s.Wrong))
		}
	}
	if check && wrong == 0 {
		fmt.Fprintf(&out, "ok: %s as terra.yaml says\n", visible.Plural(len(all), "secret is sealed", "secrets are sealed"))
	}
	if _, err := fmt.Fprint(proc.Stdout, out.String()); err != nil {
		return err
	}
	if !check || wrong == 0 {
		return nil
	}
	before, again := repoedit.Newcomers(all)
	err = advice.With(fmt.Errorf("check recipients: %s as terra.yaml says", visible.Plural(wrong, "secret is not sealed", "secrets are not sealed")), again, "secret", "rekey")
	for _, text := range slices.Backward(before) {
		err = advice.With(err, text)
	}
	return &exitError{exitFailed, err}
}
