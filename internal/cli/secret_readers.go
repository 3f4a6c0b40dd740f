package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

func addYesNew(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVar(yes, "yes-new-recipients", false, "seal for recipients who could not read it so far, without asking")
}

// confirmReaders says who will be able to read what is about to be sealed, and asks
// about those who are new: a commit that nobody looked at may have added them.
func confirmReaders(ctx context.Context, proc *Process, yes bool, files ...repoedit.Readers) error {
	out := newPage(proc)
	newcomers := map[string]bool{}
	for len(files) > 0 {
		list := files[0].Strings()
		alike := func(r repoedit.Readers) bool {
			return slices.Equal(r.Strings(), list) && slices.Equal(r.New, files[0].New)
		}
		var names []string
		for _, r := range files {
			if alike(r) {
				names = append(names, r.File)
			}
		}
		out.paragraph(strings.Join(names, ", ") + " will be readable by:")
		for _, one := range list {
			line := "  " + visible.Text(repoedit.ShortRecipient(one))
			if slices.Contains(files[0].New, one) {
				newcomers[one], line = true, line+"  (new)"
			}
			out.add(line + "\n")
		}
		rest := slices.Clone(files)
		files = slices.DeleteFunc(rest, alike)
	}
	if err := out.print(proc.Stderr); err != nil || len(newcomers) == 0 || yes {
		return err
	}
	who := visible.Plural(len(newcomers), "recipient is", "recipients are") + " new: not noted for every secret in " + secrets.LockPath
	if !proc.Terminals.Stdin || !proc.Terminals.Stderr {
		return usageError("nothing was changed: %s, and nobody is there to be asked; find out whose key that is (git log -p terra.yaml) and add --yes-new-recipients", who)
	}
	return confirm(ctx, proc, who+".\nDo you know whose key that is, and may it read this? Type yes: ")
}
