package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newProvidersCommand(env *environment) *cobra.Command {
	dir, ticket := "", false
	cmd := &cobra.Command{
		Use:   "providers [SLUG]",
		Short: "Show what each data provider needs, and what is still open",
		Long: `Show what each data provider needs, and what is still open.

Without a SLUG it prints a table: whether own keys are required, whether a pair
can be proved, the portal, and the open human steps of the repository's
environments. With one it prints the walk-through, with the exact values to
paste for the connections that the repository has. It works offline and without
a repository too.`,
		Example: `  reconcile providers
  reconcile providers huawei
  reconcile providers freestylelibre --ticket`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			set := optionalSet(dir)
			if len(args) == 0 {
				if ticket {
					return usageError("--ticket needs the provider: reconcile providers SLUG --ticket")
				}
				_, err := io.WriteString(env.Stdout, providers.Table(providers.All(), openSteps(set)))
				return err
			}
			return showProvider(env.Stdout, set, args[0], ticket)
		},
	}
	cmd.Flags().StringVar(&dir, "repo", ".", "`folder` of the config repository, for its\nvalues and open steps")
	cmd.Flags().BoolVar(&ticket, "ticket", false, "print the support ticket to send, filled in")
	return cmd
}

// optionalSet loads a repository where there is one. Errors in its files are
// validate's to tell.
func optionalSet(dir string) spec.Set {
	files := os.DirFS(dir)
	if _, err := fs.Stat(files, "terra.yaml"); err != nil {
		return spec.Set{}
	}
	set, _ := spec.Load(files, providers.Vocabulary())
	return set
}

func openSteps(set spec.Set) map[string][]providers.Open {
	out := map[string][]providers.Open{}
	for _, e := range set.Environments {
		for _, c := range e.Connections {
			if p, ok := providers.Lookup(c.Provider); ok {
				out[c.Provider] = append(out[c.Provider], providers.Open{Environment: e.Name, Steps: p.OpenSteps(c)})
			}
		}
	}
	return out
}

// showProvider prints the walk-through or ticket once for each environment that
// has the provider, or once without values where none has.
func showProvider(w io.Writer, set spec.Set, slug string, ticket bool) error {
	p, ok := providers.Lookup(slug)
	if !ok {
		return usageError("providers %s: not in the catalogue; `reconcile providers` lists it, and others work by what Terra says about them", slug)
	}
	text := p.Walkthrough
	if ticket {
		if len(p.Letters) == 0 {
			return usageError("providers %s: it needs no ticket", p.Slug)
		}
		text = p.Ticket
	}
	shown := 0
	for _, e := range set.Environments {
		for _, c := range e.Connections {
			if c.Provider != p.Slug {
				continue
			}
			if _, err := fmt.Fprintf(w, "# %s/%s\n\n%s\n", e.Name, p.Slug, text(providers.ValuesOf(c, e.DevID, ""))); err != nil {
				return err
			}
			shown++
		}
	}
	if shown > 0 {
		return nil
	}
	_, err := io.WriteString(w, text(providers.Values{}))
	return err
}
