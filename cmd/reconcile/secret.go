package main

import (
	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

func newSecretCommand(env *environment) *cobra.Command {
	return family(&cobra.Command{
		Use:   "secret",
		Short: "Make keys, seal and open the secrets of a config repository",
		Long: `Make keys, seal and open the secrets of a config repository.

A sealed secret is an age file bound to one field of one connection: copied to
another place it does not open. Who can open it is named in terra.yaml under
recipients. Private keys (identities) are taken from the files that
RECONCILE_AGE_KEY_FILE names, or from RECONCILE_AGE_KEY itself.`,
		Example: `  reconcile secret keygen --out ~/identity.txt
  reconcile secret encrypt production/strava.yaml
  reconcile secret decrypt production/strava.yaml
  reconcile secret recipients --check
  reconcile secret rekey`,
	}, newSecretKeygenCommand(env), newSecretEncryptCommand(env), newSecretDecryptCommand(env),
		newSecretRecipientsCommand(env), newSecretRekeyCommand(env))
}

// secretFlags choose one secret of a connection file.
type secretFlags struct {
	field, config string
	key           int
}

func (f *secretFlags) add(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&f.field, "field", "client_secret", "`name` of the field: client_secret, verification_secret or the provider's own")
	p.IntVar(&f.key, "key", 0, "`number` of an entry of credentials.keys, 1 is the oldest")
	p.StringVar(&f.config, "config", "", "take identities and allowed plugins from this `daemon.yaml`")
}

// runnerIdentities says where the runner keeps its identities and which plugins
// it allows.
func runnerIdentities(env *environment, file string) (config.Identities, error) {
	c, err := (&runFlags{config: file, repo: "."}).configuration(env)
	return c.Identities, err
}

func openIdentities(env *environment, file string) (*secrets.Identities, error) {
	from, err := runnerIdentities(env, file)
	if err != nil {
		return nil, err
	}
	return identities(from)()
}
