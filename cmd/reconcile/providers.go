package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// providersFlags are the flags of the command providers.
type providersFlags struct {
	repo, config, devID, domain string
	environments                []string
	ticket, offline             bool
}

func newProvidersCommand(env *environment) *cobra.Command {
	f := &providersFlags{}
	cmd := &cobra.Command{
		Use:   "providers [SLUG]",
		Short: "Show what each data provider needs, and what is still open",
		Long: `Show what each data provider needs, and what is still open.

Without a SLUG it prints a table: whether own keys are required, whether a pair
can be proved, the portal, and the open human steps of the repository's
environments. With one it prints the walk-through, with the exact values to
paste for the connections that the repository has, and which steps are done.

It works offline and without a repository too. Where a token is at hand Terra is
asked which host a dev-id is on, which decides the addresses; when it does not
answer, the documented addresses are shown and a note says so.`,
		Example: `  reconcile providers
  reconcile providers huawei
  reconcile providers huawei --env production
  reconcile providers whoop --dev-id acme-prod --domain whoop.acme.example
  reconcile providers freestylelibre --ticket`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := f.only(optionalSet(f.repo))
			if err != nil {
				return err
			}
			if len(args) == 0 {
				if f.ticket {
					return usageError("--ticket needs the provider: `reconcile providers SLUG --ticket`")
				}
				_, err = io.WriteString(env.Stdout, providers.Table(providers.All(), openSteps(set, env.Now()))+elsewhereListed(set))
				return err
			}
			return showProvider(cmd.Context(), env, f, set, args[0])
		},
	}
	p := cmd.Flags()
	p.StringVar(&f.repo, "repo", ".", "`folder` of the config repository, for its values and open steps")
	p.StringArrayVar(&f.environments, "env", nil, "only this environment, by its `name` (may repeat)")
	p.StringVar(&f.devID, "dev-id", "", "without a repository: the `dev-id` to show values for")
	p.StringVar(&f.domain, "domain", "", "without a repository: the custom `domain`")
	p.StringVar(&f.config, "config", "", "take the accounts from this `daemon.yaml`")
	p.BoolVar(&f.offline, "offline", false, "do not ask Terra")
	p.BoolVar(&f.ticket, "ticket", false, "print the support ticket to send, filled in")
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

// only keeps the environments that --env names.
func (f *providersFlags) only(set spec.Set) (spec.Set, error) {
	if len(f.environments) == 0 {
		return set, nil
	}
	var names []string
	var kept []spec.Environment
	for _, e := range set.Environments {
		names = append(names, e.Name)
		if slices.Contains(f.environments, e.Name) {
			kept = append(kept, e)
		}
	}
	for _, name := range f.environments {
		switch {
		case len(names) == 0:
			return set, usageError("--env %s: %s is no config repository; name one with --repo", name, f.repo)
		case !slices.Contains(names, name):
			return set, usageError("--env %s: the repository has %s", name, strings.Join(names, ", "))
		}
	}
	set.Environments = kept
	return set, nil
}

func openSteps(set spec.Set, now time.Time) map[string][]providers.Standing {
	out := map[string][]providers.Standing{}
	for _, e := range set.Environments {
		for _, c := range e.Connections {
			if p, ok := providers.Lookup(c.Provider); ok {
				out[c.Provider] = append(out[c.Provider], providers.Standing{Environment: e.Name, Steps: p.OpenSteps(c, providers.Seen{Now: now})})
			}
		}
	}
	return out
}

// elsewhereListed names the connections of the repository to providers that the table
// does not have, "" for none.
func elsewhereListed(set spec.Set) string {
	text := ""
	for _, e := range set.Environments {
		for _, c := range e.Connections {
			if _, ok := providers.Lookup(c.Provider); !ok {
				text += "  " + e.Name + "/" + c.Provider + "\n"
			}
		}
	}
	if text == "" {
		return ""
	}
	return "\nNot in this catalogue, and so by what Terra says about them:\n" + text
}

// showing is one connection to show, or a blank one.
type showing struct {
	title      string
	account    string
	values     providers.Values
	connection *spec.Connection // nil: there is no file
}

// seen is what the marks of the connection may rest on.
func (s showing) seen(now time.Time) providers.Seen {
	return providers.Seen{Now: now, AuthRedirectURL: s.values.AuthRedirectURL}
}

func showProvider(ctx context.Context, env *environment, f *providersFlags, set spec.Set, slug string) error {
	look := newTerraLook(env, f)
	p, listed := providers.Lookup(slug)
	found := listed
	if !listed {
		p, found = look.unlisted(ctx, f, set, slug)
	}
	if !found {
		hint := ""
		if near := spec.Nearest(slug, slugs()); near != "" {
			hint = "did you mean " + near + "? "
		}
		return usageError("providers %s: not in the catalogue; %s`reconcile providers` lists it, and others work by what Terra says about them", slug, hint)
	}
	if f.ticket && len(p.Letters) == 0 {
		return usageError("providers %s: it needs no ticket", p.Slug)
	}
	list := showings(p, f, set)
	if listed {
		p = look.believed(ctx, p, list)
	}
	for i, s := range list {
		list[i].values = look.complete(ctx, p.Slug, s.account, s.values)
	}
	if f.ticket {
		return printTickets(env, p, list)
	}
	return printWalkthroughs(env, p, list)
}

// showings gives one for each environment that has the provider, else one
// without a file.
func showings(p providers.Provider, f *providersFlags, set spec.Set) []showing {
	var list []showing
	for _, e := range set.Environments {
		if f.devID != "" {
			continue
		}
		for _, c := range e.Connections {
			if c.Provider == p.Slug {
				list = append(list, showing{title: e.Name + "/" + p.Slug + ", dev-id " + e.DevID, account: e.Account, values: p.ValuesOf(c, e.DevID), connection: &c})
			}
		}
	}
	if len(list) > 0 {
		return list
	}
	return []showing{{values: providers.Values{DevID: f.devID, Domain: f.domain}}}
}

// printTickets prints a ticket for each connection that waits for its answer.
func printTickets(env *environment, p providers.Provider, list []showing) error {
	for i, s := range list {
		text := p.Ticket(s.values)
		switch {
		case s.connection == nil:
		case p.WaitsForAnswer(*s.connection, s.seen(env.Now())):
			text = "# " + s.title + "\n\n" + text
		default:
			text = "# " + s.title + ": there is nothing to ask for\n"
		}
		if i > 0 {
			text = "\n" + text
		}
		if _, err := io.WriteString(env.Stdout, text); err != nil {
			return err
		}
	}
	return nil
}

// printWalkthroughs prints each walk-through once, under the names of all
// connections for which it is the same.
func printWalkthroughs(env *environment, p providers.Provider, list []showing) error {
	var titles, texts []string
	for _, s := range list {
		var marks map[string]providers.Mark
		if s.connection != nil {
			marks = p.Marks(*s.connection, s.seen(env.Now()))
		}
		text := p.Walkthrough(s.values, marks)
		if i := slices.Index(texts, text); i >= 0 {
			titles[i] += "\n# " + s.title
			continue
		}
		titles, texts = append(titles, s.title), append(texts, text)
	}
	var b strings.Builder
	for i, text := range texts {
		if i > 0 {
			b.WriteString("\n")
		}
		if titles[i] != "" {
			fmt.Fprintf(&b, "# %s\n\n", titles[i])
		}
		b.WriteString(text)
	}
	_, err := io.WriteString(env.Stdout, b.String())
	return err
}

// slugs are the names of the catalogue.
func slugs() []string {
	var out []string
	for _, p := range providers.All() {
		out = append(out, p.Slug)
	}
	return out
}
