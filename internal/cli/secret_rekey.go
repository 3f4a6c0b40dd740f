package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

func newSecretRekeyCommand(proc *Process) *cobra.Command {
	var rebind []string
	var configFile string
	var yesNew bool
	cmd := &cobra.Command{
		Use:   "rekey [DIR]",
		Short: "Seal secrets again for the recipients that terra.yaml now names",
		Long: `Seal secrets again for the recipients that terra.yaml now names.

Only secrets that are sealed for others, or of which nobody noted for whom, are
opened and sealed again; every other byte of the files stays. Who will be able
to read them is said, and recipients who could not so far are asked about. Each
new one is opened and compared with the old one, before the files are written
and again from the disk. It needs a private key that opens the old ones. When it
is interrupted, each file is the old or the new one; run it again.

A secret in a file that was moved on purpose, or whose provider or dev_id was
renamed, is bound to its old place: name the file, or the folder, with --rebind.
Those that are bound to where they are stay as they are.

Taking a recipient out of terra.yaml is not enough to lock a person out: what
they could open they may have kept, and git keeps the old files. The command
names those secrets; make new ones in the provider's portal.`,
		Example: "  reconcile secret rekey\n  reconcile secret rekey --rebind production/strava.yaml",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return rekeySecrets(cmd.Context(), proc, rekeyFrom(args, rebind), configFile, rebind, yesNew)
		},
	}
	cmd.Flags().StringArrayVar(&rebind, "rebind", nil, "bind the secrets of this `file`, or of all files of a folder, to where they are now (may repeat)")
	cmd.Flags().StringVar(&configFile, "config", "", "take identities and allowed plugins from this `daemon.yaml`")
	addYesNew(cmd, &yesNew)
	return cmd
}

// rekeyFrom is where the repository is looked for: the folder that was named, else
// where the file to rebind is, else here.
func rekeyFrom(args, rebind []string) string {
	if len(args) > 0 {
		return args[0]
	}
	if len(rebind) > 0 {
		if _, err := os.Stat(rebind[0]); err == nil {
			return rebind[0]
		}
	}
	return "."
}

func rekeySecrets(ctx context.Context, proc *Process, dir, configFile string, rebind []string, yesNew bool) error {
	repository, err := openRepository(dir)
	if err != nil {
		return fmt.Errorf("rekey secrets: %w", err)
	}
	runner, err := runnerConfig(proc, configFile)
	if err != nil {
		return err
	}
	ids, err := identities(runner.Identities)()
	if err != nil {
		return err
	}
	w, err := repository.Rekey(ids, runner.Identities.AllowPlugins, rebind)
	if err != nil {
		return err
	}
	if err := confirmReaders(ctx, proc, yesNew, w.Readers...); err != nil {
		return err
	}
	return finishRekey(proc, repository, w)
}

// finishRekey names what was laid open before it writes: an interruption afterwards
// would leave nothing that says so.
func finishRekey(proc *Process, repository repoedit.Repository, w *repoedit.Rekeying) error {
	warned := newPage(proc)
	exposed(warned, repository, w.Done)
	unnoted := 0
	for _, one := range w.Done {
		if !one.Noted {
			unnoted++
		}
	}
	if unnoted > 0 {
		warned.paragraph(fmt.Sprintf("warning: nobody noted who could open %s before; if that was anybody who should not, make new ones", visible.Plural(unnoted, "secret", "secrets")))
	}
	if err := warned.print(proc.Stderr); err != nil {
		return err
	}
	if err := w.Write(); err != nil {
		return err
	}
	_, err := fmt.Fprint(proc.Stdout, rekeySummary(w))
	return err
}

func rekeySummary(w *repoedit.Rekeying) string {
	if len(w.Done) == 0 {
		return fmt.Sprintf("Nothing to do: %s as terra.yaml says.\n", visible.Plural(w.Left, "secret is sealed", "secrets are sealed"))
	}
	var out strings.Builder
	for _, one := range w.Done {
		out.WriteString(one.Where())
		if one.Before != one.Place && one.Before != (secrets.Binding{}) {
			fmt.Fprintf(&out, " (was for %s)", one.Before)
		}
		out.WriteString("\n")
	}
	fmt.Fprintf(&out, "Sealed %s again, left %d as they were.\n", visible.Plural(len(w.Done), "secret", "secrets"), w.Left)
	if proved := len(w.Done) - w.Blind; proved > 0 {
		fmt.Fprintf(&out, "Proved: %s the same text as before.\n", visible.Plural(proved, "opens as", "open as"))
	}
	if w.Blind > 0 {
		fmt.Fprintf(&out, "Not opened again: your own identity no longer opens %d.\n", w.Blind)
	}
	fmt.Fprintf(&out, "Commit the files above and %s.\n", secrets.LockPath)
	return out.String()
}

// exposed names, by connection, what recipients who were taken out could read, where
// it is made anew and with which command that is put in.
func exposed(out *page, in repoedit.Repository, done []repoedit.Resealed) {
	groups := map[string][]repoedit.Resealed{} // by who was taken out
	for _, one := range done {
		if len(one.Extra) > 0 {
			who := repoedit.ShortRecipients(one.Extra)
			groups[who] = append(groups[who], one)
		}
	}
	for _, who := range slices.Sorted(maps.Keys(groups)) {
		out.paragraph("warning: " + who + " could open these secrets and may have kept them, and git keeps the old files. Make new ones in the provider's portal:")
		for i, one := range groups[who] {
			if i > 0 && groups[who][i-1].Connection.File == one.Connection.File && groups[who][i-1].Place == one.Place {
				continue // one new key is enough for all of a connection
			}
			connection := one.Environment + "/" + one.Connection.Provider
			out.add(fmt.Sprintf("  %s %s\n", connection, one.Place.Field))
			if p, ok := providers.Lookup(one.Connection.Provider); ok && p.Portal != "" {
				out.add("    " + p.Portal + "\n")
			}
			command := []string{"rotate", "add", connection}
			if one.Place.Field != repoedit.ClientSecret {
				command = in.SealCommand(one.Connection.File, one.Place.Field, 0)
			}
			out.folded("    ", "", command...)
		}
	}
}
