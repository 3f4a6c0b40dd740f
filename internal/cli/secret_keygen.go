package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newSecretKeygenCommand(proc *Process) *cobra.Command {
	var out string
	var postQuantum bool
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make an age identity (private) and its recipient (public)",
		Long: `Make an age identity (private) and its recipient (public).

The identity opens what is sealed for the recipient. Keep one where the daemon
runs, and one more, offline, in case that machine is lost. Who is to read
secrets has one of their own. Put the recipients into terra.yaml: one list of
them is all classic or all post-quantum, because age cannot mix them.`,
		Example: `  reconcile secret keygen --out identity.txt
  reconcile secret keygen --post-quantum --out identity-pq.txt`,
		Args: takes(0, 0),
		RunE: func(*cobra.Command, []string) error { return generateIdentity(proc, out, postQuantum) },
	}
	cmd.Flags().StringVar(&out, "out", "", "write the identity to this new `file`, readable by you alone")
	cmd.Flags().BoolVar(&postQuantum, "post-quantum", false, "make a key that is also safe against quantum computers (its recipient is long)")
	return cmd
}

func generateIdentity(proc *Process, out string, postQuantum bool) error {
	if out == "" && proc.Terminals.Stdout {
		return usageError("keygen: an identity is not shown on a terminal; name a file with --out, or redirect the output")
	}
	if where := repositoryAround(out); out != "" && where != "" {
		return usageError("keygen: %s would be a private key in the repository %s, which everybody who has it could use; name a file elsewhere with --out", out, where)
	}
	if out == "" {
		private, public, err := secrets.GenerateIdentity(postQuantum)
		if err != nil {
			return err
		}
		if err := writeIdentity(proc.Stdout, proc.Now(), private, public); err != nil {
			return err
		}
		_, err = fmt.Fprintf(proc.Stderr, "Recipient: %s\n", public)
		return err
	}
	public, err := makeIdentity(out, proc.Now(), postQuantum)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(proc.Stdout, "Identity:  %s (keep it secret, and let RECONCILE_AGE_KEY_FILE name it)\nRecipient: %s (put it into terra.yaml)\n", out, public)
	return err
}

// makeIdentity makes an identity in a new file that its owner alone can read, and gives
// its recipient.
func makeIdentity(name string, now time.Time, postQuantum bool) (public string, err error) {
	private, public, err := secrets.GenerateIdentity(postQuantum)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return "", fmt.Errorf("write identity: %w", err)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("write identity: %w, and it may open secrets; name another file", err)
	}
	if err != nil {
		return "", fmt.Errorf("write identity: %w", err)
	}
	if err := errors.Join(writeIdentity(file, now, private, public), file.Close()); err != nil {
		return "", fmt.Errorf("write identity: %w", err)
	}
	return public, nil
}

// repositoryAround is the nearest folder above a file that is a config repository or a
// work tree of git, "" for none.
func repositoryAround(file string) string {
	full, err := filepath.Abs(file)
	if err != nil {
		return ""
	}
	for dir := filepath.Dir(full); ; dir = filepath.Dir(dir) {
		for _, mark := range append(spec.RootFiles(), ".git") {
			if _, err := os.Lstat(filepath.Join(dir, mark)); err == nil {
				return dir
			}
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// writeIdentity writes an identity file as age-keygen does.
func writeIdentity(w io.Writer, now time.Time, private secrets.Value, public string) error {
	_, err := fmt.Fprintf(w, "# created: %s\n# public key: %s\n%s\n", now.UTC().Format(time.RFC3339), public, private.Reveal())
	return err
}
