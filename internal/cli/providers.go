package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// providersFlags are the flags of the command providers.
type providersFlags struct {
	repo, config, devID, domain string
	environments                []string
	ticket, offline             bool
}

func newProvidersCommand(proc *Process) *cobra.Command {
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
					return usageError("--ticket needs the name of the provider: providers SLUG --ticket")
				}
				_, err = io.WriteString(proc.Stdout, providers.Table(providers.All(), openSteps(set, proc.Now()))+elsewhereListed(set))
				return err
			}
			return showProvider(cmd.Context(), proc, f, set, args[0])
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
	if !spec.HasRoot(files) {
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

func showProvider(ctx context.Context, proc *Process, f *providersFlags, set spec.Set, slug string) error {
	look := newTerraLook(proc, f)
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
		return &exitError{exitUsage, advice.With(fmt.Errorf("providers %s: not in the catalogue; %sothers work by what Terra says about them", slug, hint), "see the catalogue", "providers")}
	}
	if f.ticket && len(p.TicketTemplates) == 0 {
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
		return printTickets(proc, p, list)
	}
	return printWalkthroughs(proc, p, list)
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
func printTickets(proc *Process, p providers.Provider, list []showing) error {
	for i, s := range list {
		text := p.Ticket(s.values)
		switch {
		case s.connection == nil:
		case p.AwaitsAnswer(*s.connection, s.seen(proc.Now())):
			text = "# " + s.title + "\n\n" + text
		default:
			text = "# " + s.title + ": there is nothing to ask for\n"
		}
		if i > 0 {
			text = "\n" + text
		}
		if _, err := io.WriteString(proc.Stdout, text); err != nil {
			return err
		}
	}
	return nil
}

// printWalkthroughs prints each walk-through once, under the names of all
// connections for which it is the same.
func printWalkthroughs(proc *Process, p providers.Provider, list []showing) error {
	var titles, texts []string
	for _, s := range list {
		var marks map[string]providers.Mark
		if s.connection != nil {
			marks = p.Marks(*s.connection, s.seen(proc.Now()))
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
	_, err := io.WriteString(proc.Stdout, b.String())
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

// lookDeadline is how long a walk-through waits for Terra.
const lookDeadline = 5 * time.Second

// terraLook asks Terra which addresses a dev-id has, where a token is at hand.
// What goes wrong is a note, never an error: the documented addresses remain.
type terraLook struct {
	proc    *Process
	config  config.Config
	clients func(account, devID string) (*terra.Client, error)
	seen    map[string]map[string]string // by dev-id: provider -> auth_redirect_url
}

func newTerraLook(proc *Process, f *providersFlags) *terraLook {
	l := &terraLook{proc: proc, seen: map[string]map[string]string{}}
	if f.offline {
		return l
	}
	var err error
	if l.config, err = runnerConfig(proc, f.config); err != nil {
		l.note("the runner's configuration", err)
		l.config = config.Config{}
		return l
	}
	l.clients = newClients(l.config, terra.Options{Transport: terra.NewTransport(), Limits: terra.NewLimits(), Version: proc.Version, ReadOnly: true})
	return l
}

// unlisted asks what Terra says of a provider that the catalogue does not hold: in
// the environment of --dev-id, else in the first one that answers.
func (l *terraLook) unlisted(ctx context.Context, f *providersFlags, set spec.Set, slug string) (providers.Provider, bool) {
	places := []spec.Environment{{DevID: f.devID}}
	if f.devID == "" {
		places = set.Environments
	}
	for _, e := range places {
		account := cmp.Or(e.Account, config.DefaultAccount)
		if !l.atHand(account) || !chosen(f.environments, e.Name) {
			continue
		}
		types, err := ask(ctx, l, account, e.DevID, (*terra.Client).ListSourceTypes)
		if err != nil {
			l.note(e.DevID, err)
			continue
		}
		for _, t := range types {
			if strings.EqualFold(t.Provider, slug) {
				p, warning := providers.Unlisted(strings.ToLower(slug), offerOf(t))
				_, _ = fmt.Fprintln(l.proc.Stderr, "reconcile: "+visible.Text(warning))
				return p, true
			}
		}
		return providers.Provider{}, false
	}
	return providers.Provider{}, false
}

func offerOf(t terra.SourceType) providers.SourceType {
	return providers.SourceType{DisplayName: t.DisplayName, Deprecated: t.Deprecated, BYOSupported: t.BYOSupported,
		CustomerCredentialsRequired: t.CustomerCredentialsRequired, CustomCredentialsAllowed: t.CustomCredentialsAllowed}
}

// believed is a provider as Terra sees it in the first environment that answers, and
// as the catalogue has it where none does. On what they disagree is a note.
func (l *terraLook) believed(ctx context.Context, p providers.Provider, list []showing) providers.Provider {
	for _, s := range list {
		account := cmp.Or(s.account, config.DefaultAccount)
		if s.values.DevID == "" || !l.atHand(account) {
			continue
		}
		types, err := ask(ctx, l, account, s.values.DevID, (*terra.Client).ListSourceTypes)
		if err != nil {
			l.note(s.values.DevID, err)
			continue
		}
		for _, t := range types {
			if !strings.EqualFold(t.Provider, p.Slug) {
				continue
			}
			p, warnings := p.WithSourceType(offerOf(t), l.proc.Now())
			for _, text := range warnings {
				_, _ = fmt.Fprintln(l.proc.Stderr, "reconcile: "+visible.Text(text))
			}
			return p
		}
		note := "Terra does not offer " + p.Slug + " in " + s.values.DevID
		if p.Absent != "" {
			note += ": " + p.Absent
		}
		_, _ = fmt.Fprintln(l.proc.Stderr, "reconcile: "+visible.Text(note))
		return p
	}
	return p
}

// atHand reports whether there is a token to ask with.
func (l *terraLook) atHand(account string) bool {
	a, ok := l.config.Accounts[account]
	if !ok {
		return false
	}
	_, err := a.Token.Read()
	return err == nil
}

// complete fills in what Terra shows of a dev-id: the address of the source
// itself, else the host that the others are on.
func (l *terraLook) complete(ctx context.Context, slug, account string, v providers.Values) providers.Values {
	account = cmp.Or(account, config.DefaultAccount)
	if v.DevID == "" || !l.atHand(account) {
		return v
	}
	addresses, asked := l.seen[v.DevID]
	if !asked {
		addresses = l.addresses(ctx, account, v.DevID)
		l.seen[v.DevID] = addresses
	}
	if v.AuthRedirectURL == "" {
		v.AuthRedirectURL = addresses[slug]
	}
	for _, address := range addresses {
		if host := providers.TerraHost(address); host != "" {
			v.Host = host
		}
	}
	return v
}

func (l *terraLook) addresses(ctx context.Context, account, devID string) map[string]string {
	addresses := map[string]string{}
	sources, err := ask(ctx, l, account, devID, (*terra.Client).ListSources)
	if err != nil {
		l.note(devID, err)
	}
	for _, s := range sources {
		if s.AuthRedirectURL != nil {
			addresses[strings.ToLower(s.Provider)] = *s.AuthRedirectURL
		}
	}
	return addresses
}

// ask makes one read of an environment, within the time that a person waits.
func ask[T any](ctx context.Context, l *terraLook, account, devID string, read func(*terra.Client, context.Context, string) ([]T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, lookDeadline)
	defer cancel()
	client, err := l.clients(account, devID)
	if err != nil {
		return nil, err
	}
	return read(client, ctx, devID)
}

func (l *terraLook) note(about string, err error) {
	_, _ = fmt.Fprintf(l.proc.Stderr, "reconcile: Terra was not asked about %s, so only what is documented is shown: %s\n", visible.Text(about), visible.Lines(err.Error()))
}
