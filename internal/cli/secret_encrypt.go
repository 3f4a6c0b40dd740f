package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newSecretEncryptCommand(proc *Process) *cobra.Command {
	flags := &secretFlags{}
	issued, yesNew := "", false
	cmd := &cobra.Command{
		Use:   "encrypt FILE",
		Short: "Seal a secret and write it into a connection file",
		Long: `Seal a secret and write it into a connection file.

It says who will be able to read it, asks for the secret without showing it, or
reads it from standard input, seals it for the recipients that terra.yaml names
and puts it in its place in FILE. Recipients who could not read the file's
secrets so far are asked about. Every other byte of the file stays. A secret
that stands there is replaced; on a terminal it asks first where that one may be
live, for then there is no way back to it. The recipients are noted in
.reconcile/recipients.lock: commit both files. With --issued the first client
secret becomes an entry of keys that says when it was made, so that reports can
warn of its age (rotation.max_age). A lone client secret that stands there gives
way to it.

No private key is needed. Where an admin token is at hand Terra is asked what
the live client secret ends in, and by a dry run, where Terra tells by one,
whether it is this one: what is not the live one is told before it is sealed.`,
		Example: `  reconcile secret encrypt production/strava.yaml
  reconcile secret encrypt production/strava.yaml --issued 2026-11-20
  reconcile secret encrypt production/strava.yaml --key 2 < new-secret.txt
  reconcile secret encrypt production/polar.yaml --field verification_secret`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return encryptSecret(cmd, proc, args[0], flags, issued, yesNew)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&issued, "issued", "", "`date` on which the first client secret was made in the portal, like 2026-11-20")
	addYesNew(cmd, &yesNew)
	return cmd
}

func encryptSecret(cmd *cobra.Command, proc *Process, name string, flags *secretFlags, issued string, yesNew bool) error {
	repository, err := openRepository(name)
	if err != nil {
		return fmt.Errorf("encrypt secret: %w", err)
	}
	at, err := repository.Place(name, flags.field, flags.key)
	if err != nil {
		return err
	}
	before := at
	old, _, nothing := before.Sealed()
	if issued != "" {
		if at, err = at.Issued(issued, proc.Now()); err != nil {
			return err
		}
	}
	runner, err := runnerConfig(proc, flags.config)
	if err != nil {
		return err
	}
	readers, err := repository.Readers(at.File, runner.Identities.AllowPlugins)
	if err != nil {
		return err
	}
	if err := confirmReaders(cmd.Context(), proc, yesNew, readers); err != nil {
		return err
	}
	value, err := readSecret(cmd.Context(), proc, fmt.Sprintf("%s of %s", at.Binding.Field, at.Connection))
	if err != nil {
		return err
	}
	if err := checkSecret(proc, at.File, repoedit.Dotted(at.Path), at.Binding, at.ClientID, value); err != nil {
		return err
	}
	live, err := lookLive(cmd.Context(), proc, runner, at.Binding, value)
	if err != nil {
		return err
	}
	open := func() (secrets.Value, error) {
		ids, err := identities(runner.Identities)()
		if err != nil {
			return secrets.Value{}, err
		}
		value, _, err := ids.Open(old, before.Binding, repository.Set.Root.AllowPlain)
		return value, err
	}
	if nothing != nil {
		live.tell(proc)
	} else if err := (replacement{before, open, live, value}).tell(cmd.Context(), proc, repository); err != nil {
		return err
	}
	wrong, err := at.Seal(value, readers.Recipients)
	if err != nil {
		return err
	}
	for _, p := range wrong {
		if _, err := fmt.Fprintf(proc.Stderr, "still to do: %s\n", visible.Text(p.String())); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(proc.Stdout, "Sealed %s of %s for %s.\nCommit %s and %s.\n", repoedit.Dotted(at.Path), at.Connection,
		visible.Plural(len(readers.Strings()), "recipient", "recipients"), at.File, secrets.LockPath)
	return err
}

// checkSecret refuses what the provider would never accept at a place of a file, beside
// a client id, and passes on its warnings.
func checkSecret(proc *Process, file, path string, at secrets.Binding, clientID string, value secrets.Value) error {
	err := secrets.Check(value)
	switch {
	case err != nil:
	case clientID != "" && value.Reveal() == clientID:
		err = errors.New("this is the client id of the connection, not its secret; copy the secret from the provider's portal")
	case yamlpos.IsPlaceholder(value.Reveal()):
		err = errors.New("this is a placeholder, not a secret; copy the secret from the provider's portal")
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w; nothing was changed", file, path, err)
	}
	p, ok := providers.Lookup(at.Provider)
	if !ok {
		return nil
	}
	for _, f := range p.CheckSecret(at.Field, value) {
		message := f.Message
		if f.Hint != "" {
			message += ", " + f.Hint
		}
		if f.Severity == spec.Error {
			return fmt.Errorf("%s: %s; nothing was changed", file, message)
		}
		if _, err := fmt.Fprintf(proc.Stderr, "warning: %s\n", visible.Text(message)); err != nil {
			return err
		}
	}
	return nil
}
