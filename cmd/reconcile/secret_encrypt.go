package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newSecretEncryptCommand(env *environment) *cobra.Command {
	flags := &secretFlags{}
	issued := ""
	cmd := &cobra.Command{
		Use:   "encrypt FILE",
		Short: "Seal a secret and write it into a connection file",
		Long: `Seal a secret and write it into a connection file.

It asks for the secret without showing it, or reads it from standard input,
seals it for the recipients that terra.yaml names and puts it in its place in
FILE. Every other byte of the file stays. A secret that stands there is
replaced. The recipients are noted in .reconcile/recipients.lock: commit both
files. With --issued the first client secret becomes an entry of keys that says
when it was made, so that reports can warn of its age (rotation.max_age). A lone
client secret that stands there gives way to it.

No private key is needed.`,
		Example: `  reconcile secret encrypt production/strava.yaml
  reconcile secret encrypt production/strava.yaml --issued 2026-11-20
  reconcile secret encrypt production/strava.yaml --key 2 < new-secret.txt
  reconcile secret encrypt production/polar.yaml --field verification_secret`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return encryptSecret(cmd, env, args[0], flags, issued) },
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&issued, "issued", "", "`date` on which the first client secret was made in the portal, like 2026-11-20")
	return cmd
}

func encryptSecret(cmd *cobra.Command, env *environment, name string, flags *secretFlags, issued string) error {
	repository, err := openSecretRepository(name)
	if err != nil {
		return fmt.Errorf("encrypt secret: %w", err)
	}
	at, err := repository.place(name, flags)
	if err == nil && issued != "" {
		at, err = at.asFirstKey(repository, issued, env.Now())
	}
	if err != nil {
		return err
	}
	runner, err := runnerIdentities(env, flags.config)
	if err != nil {
		return err
	}
	recipients, err := repository.recipients(at.file, runner.AllowPlugins)
	if err != nil {
		return err
	}
	if _, err := repository.lock(); err != nil { // before anything is asked
		return err
	}
	value, err := readSecret(cmd.Context(), env, fmt.Sprintf("%s of %s", at.binding.Field, at.connection))
	if err != nil {
		return err
	}
	if err := checkSecret(env, at, value); err != nil {
		return err
	}
	sealed, err := secrets.Seal(value, at.binding, recipients)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", at.file, dotted(at.path), err)
	}
	text, err := at.with(sealed, issued)
	if err != nil {
		return fmt.Errorf("%s: %w", at.file, err)
	}
	lock, err := repository.lock()
	if err == nil {
		err = repository.unchanged(at.file, at.text)
	}
	if err != nil {
		return err
	}
	if err := replaceFile(repository.path(at.file), text); err != nil {
		return err
	}
	lock.Record(sealed, recipients)
	return sealedNow(env, repository, at, lock, len(recipients.Strings()))
}

// checkSecret refuses what the provider would never accept, and passes on its
// warnings.
func checkSecret(env *environment, at secretPlace, value secrets.Value) error {
	if err := secrets.Check(value); err != nil {
		return fmt.Errorf("%s: %s: %w; nothing was changed", at.file, dotted(at.path), err)
	}
	p, ok := providers.Lookup(at.provider)
	if !ok {
		return nil
	}
	for _, f := range p.CheckSecret(at.binding.Field, value) {
		message := f.Message
		if f.Hint != "" {
			message += ", " + f.Hint
		}
		if f.Severity == spec.Error {
			return fmt.Errorf("%s: %s; nothing was changed", at.file, message)
		}
		if _, err := fmt.Fprintf(env.Stderr, "warning: %s\n", visible.Text(message)); err != nil {
			return err
		}
	}
	return nil
}

// sealedNow saves the lock, says what was done, and what is still wrong in the
// file.
func sealedNow(env *environment, before secretRepository, at secretPlace, lock secrets.Lock, recipients int) error {
	after, err := openSecretRepository(before.root)
	if err != nil {
		return err
	}
	if err := after.saveLock(lock); err != nil {
		return err
	}
	for _, p := range after.errorsIn(at.file) {
		if _, err := fmt.Fprintf(env.Stderr, "still to do: %s\n", visible.Text(p.String())); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(env.Stdout, "Sealed %s of %s for %s.\nCommit %s and %s.\n",
		dotted(at.path), at.connection, plural(recipients, "recipient", "recipients"), at.file, secrets.LockPath)
	return err
}
