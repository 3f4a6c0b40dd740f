package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

func newSecretCommand(proc *Process) *cobra.Command {
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
  reconcile secret edit production/strava.yaml
  reconcile secret decrypt production/strava.yaml
  reconcile secret recipients --check
  reconcile secret rekey`,
	}, newSecretKeygenCommand(proc), newSecretEncryptCommand(proc), newSecretEditCommand(proc), newSecretDecryptCommand(proc),
		newSecretRecipientsCommand(proc), newSecretRekeyCommand(proc))
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

// openRepository finds the config repository that a file or folder belongs to.
func openRepository(name string) (repoedit.Repository, error) {
	return repoedit.Open(name, providers.Vocabulary())
}

const (
	maxTyped  = 64 << 10 // bytes read from standard input
	mostTyped = 4096     // characters that a line on a terminal can have; more are lost
)

// readSecret asks for a secret without showing it, or reads standard input up
// to its end and drops one line ending.
func readSecret(ctx context.Context, proc *Process, what string) (secrets.Value, error) {
	if file, ok := proc.Stdin.(*os.File); ok && proc.Terminals.Stdin {
		return askSecret(ctx, proc, file, what)
	}
	text, err := io.ReadAll(io.LimitReader(proc.Stdin, maxTyped+1))
	if err != nil {
		return secrets.Value{}, fmt.Errorf("read secret: %w", err)
	}
	if len(text) > maxTyped {
		return secrets.Value{}, errors.New("read secret: standard input is larger than 64 KiB")
	}
	one := strings.TrimSuffix(string(text), "\n")
	if len(one) < len(text) {
		one = strings.TrimSuffix(one, "\r")
	}
	return secrets.NewValue([]byte(one)), nil
}

// askSecret reads one line that the terminal does not show, not even what was
// typed before the question stood there. An interrupt and the end of input put
// the terminal back as it was.
func askSecret(ctx context.Context, proc *Process, file *os.File, what string) (secrets.Value, error) {
	fd := int(file.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return secrets.Value{}, fmt.Errorf("read secret: %w", err)
	}
	type line struct {
		text string
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		screen := struct {
			io.Reader
			io.Writer
		}{file, proc.Stderr}
		text, err := term.NewTerminal(screen, "").ReadPassword(what + " (not shown): ")
		typed <- line{text, err}
	}()
	got := line{err: io.EOF}
	select {
	case <-ctx.Done():
	case got = <-typed:
	}
	if err := term.Restore(fd, before); err != nil {
		return secrets.Value{}, fmt.Errorf("read secret: %w", err)
	}
	switch {
	case errors.Is(got.err, io.EOF): // Ctrl-C and Ctrl-D
		_, _ = fmt.Fprintln(proc.Stderr)
		return secrets.Value{}, errors.New("read secret: interrupted; nothing was changed")
	case got.err != nil:
		return secrets.Value{}, fmt.Errorf("read secret: %w", got.err)
	case len(got.text) >= mostTyped:
		return secrets.Value{}, errors.New("read secret: it is too long to be typed; give it on standard input")
	}
	return secrets.NewValue([]byte(got.text)), nil
}
