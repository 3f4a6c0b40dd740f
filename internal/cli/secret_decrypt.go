package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newSecretDecryptCommand(proc *Process) *cobra.Command {
	flags := &secretFlags{}
	cmd := &cobra.Command{
		Use:   "decrypt FILE",
		Short: "Open a sealed secret of a connection file and print it",
		Long: `Open a sealed secret of a connection file and print it on standard output,
with a line ending.

It needs a private key: RECONCILE_AGE_KEY_FILE or RECONCILE_AGE_KEY. A secret
that was sealed for another place is refused, as it is when it is applied.`,
		Example: "  reconcile secret decrypt production/strava.yaml\n  reconcile secret decrypt production/strava.yaml --key 2",
		Args:    takes(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return decryptSecret(proc, args[0], flags) },
	}
	flags.add(cmd)
	return cmd
}

func decryptSecret(proc *Process, name string, flags *secretFlags) error {
	repository, err := openRepository(name)
	if err != nil {
		return fmt.Errorf("decrypt secret: %w", err)
	}
	at, err := repository.Place(name, flags.field, flags.key)
	if err != nil {
		return err
	}
	sealed, origin, err := at.Sealed()
	if err != nil {
		return err
	}
	runner, err := runnerConfig(proc, flags.config)
	if err != nil {
		return err
	}
	ids, err := identities(runner.Identities)()
	if err != nil {
		return err
	}
	value, opened, err := ids.Open(sealed, at.Binding, repository.Set.Root.AllowPlain)
	if err != nil {
		err = fmt.Errorf("%s: open %s: %w", origin, repoedit.Dotted(at.Path), secrets.InFile(err, repository.Typed(at.File), repository.Original(spec.Secret{Armor: sealed.Armor(), Origin: origin})))
		if errors.Is(err, secrets.ErrNoIdentity) && !ids.HasAny() {
			return fmt.Errorf("%w; set RECONCILE_AGE_KEY_FILE", err)
		}
		return err
	}
	if opened.Plain {
		again := plan.Command(repository.SealCommand(at.File, flags.field, flags.key))
		if _, err := fmt.Fprintf(proc.Stderr, "warning: %s: %s is sealed for no particular place\n  seal it again: %s\n", origin, repoedit.Dotted(at.Path), again); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(proc.Stdout, value.Reveal())
	return err
}
