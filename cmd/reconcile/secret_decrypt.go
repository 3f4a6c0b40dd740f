package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

func newSecretDecryptCommand(env *environment) *cobra.Command {
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
		RunE:    func(_ *cobra.Command, args []string) error { return decryptSecret(env, args[0], flags) },
	}
	flags.add(cmd)
	return cmd
}

func decryptSecret(env *environment, name string, flags *secretFlags) error {
	repository, err := openSecretRepository(name)
	if err != nil {
		return fmt.Errorf("decrypt secret: %w", err)
	}
	at, err := repository.place(name, flags)
	if err != nil {
		return err
	}
	sealed, origin, err := at.sealedAt()
	if err != nil {
		return err
	}
	ids, err := openIdentities(env, flags.config)
	if err != nil {
		return err
	}
	value, opened, err := ids.Open(sealed, at.binding, repository.set.Root.AllowPlain)
	if err != nil {
		err = fmt.Errorf("%s: open %s: %w", origin, dotted(at.path), secrets.InFile(err, repository.typed(at.file)))
		if errors.Is(err, secrets.ErrNoIdentity) && !ids.HasAny() {
			return fmt.Errorf("%w; set RECONCILE_AGE_KEY_FILE", err)
		}
		return err
	}
	if opened.Plain {
		if _, err := fmt.Fprintf(env.Stderr, "warning: %s: %s is sealed for no particular place; seal it again with %s\n", origin, dotted(at.path), repository.sealing(at.file, flags)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(env.Stdout, value.Reveal())
	return err
}
