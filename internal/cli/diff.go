package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newDiffCommand(proc *Process) *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "diff ENV [ENV]",
		Short: "Show how two environments differ, or one from Terra",
		Long: `Show what the files of two environments ask for differently, one connection a
block. Client ids, redirects and domains differ as a rule; secrets are not
compared, only how many keys there are.

Of one environment it shows what Terra has and what the files ask for instead,
also what no file names. What of that is applied, and when, is what "reconcile
plan --env ENV" shows.`,
		Example: "  reconcile diff production staging\n  reconcile diff production",
		Args:    takes(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return diffLive(cmd, proc, f, args[0])
			}
			if f.state != "" {
				return usageError("diff %s %s compares files only; drop --state", args[0], args[1])
			}
			c, err := f.configuration(proc)
			if err != nil {
				return err
			}
			files, _, _, err := openFiles(cmd.Context(), c.Repo, report.DryRun)
			if err != nil {
				return err
			}
			set, problems := spec.Load(files, providers.Vocabulary())
			var sides [2]spec.Environment
			for i, name := range args {
				at := slices.IndexFunc(set.Environments, func(e spec.Environment) bool { return e.Name == name })
				if at < 0 {
					var names []string
					for _, e := range set.Environments {
						names = append(names, e.Name)
					}
					return usageError("diff %s: the repository has %s", name, listed(names))
				}
				sides[i] = set.Environments[at]
				found := loaded{problems: problems}
				for _, scope := range []string{"", name} { // of the whole repository, then of its own files
					if p, broken := found.firstError(scope); broken {
						return fmt.Errorf("diff %s: %s", name, p)
					}
				}
			}
			out := newPage(proc)
			differences(out, sides[0], sides[1])
			return out.print(proc.Stdout)
		},
	}
	f.addRepository(cmd)
	f.addState(cmd, "with one ENV: `folder` of the memory (default: RECONCILE_STATE_DIR)")
	return cmd
}

// diffLive writes a block a connection of which Terra has something else than its file.
func diffLive(cmd *cobra.Command, proc *Process, f *runFlags, name string) error {
	f.environments = []string{name}
	r, err := f.preview(cmd, proc, report.DryRun)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(r.Environments, func(e report.Environment) bool { return e.Name == name })
	if at < 0 {
		return fmt.Errorf("diff %s: %s", name, cmp.Or(r.Error, "the repository has no environment of that name"))
	}
	env := r.Environments[at]
	if env.Error != "" {
		return fmt.Errorf("diff %s: %s", name, env.Error)
	}
	lines, differ := map[string][]string{}, map[string]bool{}
	for _, c := range env.Changes {
		differ[c.Connection] = true
		if len(c.Fields) == 0 {
			lines[c.Connection] = append(lines[c.Connection], string(c.Action))
		}
		for _, field := range c.Fields {
			lines[c.Connection] = append(lines[c.Connection], report.FieldText(field))
		}
	}
	for _, n := range env.NotCompared {
		lines[n.Connection] = append(lines[n.Connection], strings.TrimSpace(n.Field+" not compared: "+n.Reason))
	}
	out := newPage(proc)
	for _, connection := range slices.Sorted(maps.Keys(lines)) {
		out.paragraph(strings.TrimPrefix(connection, name+"/"))
		for _, line := range lines[connection] {
			out.folded("  ", line)
		}
	}
	for _, provider := range env.Unmanaged {
		out.folded(provider+"  ", "only at Terra, no file names it")
	}
	out.paragraph(fmt.Sprintf("Terra -> files of %s: %d differ, %d alike, %d not compared", name, len(differ), env.Summary.Unchanged, len(env.NotCompared)))
	return out.print(proc.Stdout)
}

// differences writes a block a connection in which two environments differ.
func differences(out *page, a, b spec.Environment) {
	var all []string
	for _, c := range slices.Concat(a.Connections, b.Connections) {
		all = append(all, c.Provider)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	same := 0
	for _, provider := range all {
		one, other := connectionOf(a, provider), connectionOf(b, provider)
		if one == nil || other == nil {
			has := a.Name
			if one == nil {
				has = b.Name
			}
			out.folded(provider+"  ", "only in "+has)
			continue
		}
		before, after := asked(*one), asked(*other)
		var lines [][3]string
		for i, field := range before {
			if field[1] != after[i][1] {
				lines = append(lines, [3]string{field[0], field[1], after[i][1]})
			}
		}
		if len(lines) == 0 {
			same++
			continue
		}
		out.paragraph(provider)
		for _, line := range lines {
			text := fmt.Sprintf("  %-13s %s | %s", line[0], visible.Text(line[1]), visible.Text(line[2]))
			if utf8.RuneCountInString(text) <= width {
				out.add(text + "\n")
				continue
			}
			out.labelled(line[0], line[1]+" |")
			out.labelled("", line[2])
		}
	}
	out.paragraph(fmt.Sprintf("%s | %s: %s differ, %d alike", a.Name, b.Name, visible.Plural(len(all)-same, "connection", "connections"), same))
}

func connectionOf(e spec.Environment, provider string) *spec.Connection {
	at := slices.IndexFunc(e.Connections, func(c spec.Connection) bool { return c.Provider == provider })
	if at < 0 {
		return nil
	}
	return &e.Connections[at]
}

// asked are the fields of a connection that a file asks for, with their values in words.
func asked(c spec.Connection) [][2]string {
	text := func(f spec.Field[string]) string {
		switch {
		case f.Given():
			return f.Value
		case f.Null():
			return "Terra's default"
		}
		return "not managed"
	}
	scopes, sandbox := "not managed", "not managed"
	if c.Scopes.Given() {
		sorted := slices.Clone(c.Scopes.Value)
		slices.Sort(sorted)
		scopes = strings.Join(sorted, ", ")
	} else if c.Scopes.Null() {
		scopes = "Terra's default"
	}
	if c.Credentials.Sandbox.Given() {
		sandbox = fmt.Sprint(c.Credentials.Sandbox.Value)
	}
	webhooks := "not managed"
	if c.Webhooks {
		webhooks = "managed"
	}
	return [][2]string{{"state", c.State.String()}, {"app", text(c.App)}, {"client_id", text(c.Credentials.ClientID)},
		{"keys", visible.Plural(len(c.Credentials.Keys), "key", "keys")}, {"redirect_url", text(c.Credentials.RedirectURL)}, {"sandbox", sandbox},
		{"scopes", scopes}, {"domain", text(c.Domain)}, {"webhooks", webhooks}, {"rotation", rotationWords(c.Rotation)}}
}

func rotationWords(r spec.Rotation) string {
	if r.MaxAge == 0 {
		return "no age"
	}
	return fmt.Sprintf("%d days", int(r.MaxAge.Hours()/24))
}
