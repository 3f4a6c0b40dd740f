package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newSecretRecipientsCommand(env *environment) *cobra.Command {
	var check bool
	var configFile string
	cmd := &cobra.Command{
		Use:   "recipients [DIR]",
		Short: "Say who can open which secret, and whether terra.yaml wants it so",
		Long: `Say who can open which secret, and whether terra.yaml wants it so.

It reads .reconcile/recipients.lock, so it needs no private key. With --check it
prints only what is wrong and then exits with 1: for CI.`,
		Example: "  reconcile secret recipients\n  reconcile secret recipients --check",
		Args:    takes(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return listRecipients(env, append(args, ".")[0], configFile, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "print only what is wrong, and exit with 1 then")
	cmd.Flags().StringVar(&configFile, "config", "", "take allowed plugins from this `daemon.yaml`")
	return cmd
}

// recipientLine is what is known of one sealed secret.
type recipientLine struct {
	where  string // file:line:column and field
	opened []string
	wrong  string
}

func listRecipients(env *environment, dir, configFile string, check bool) error {
	repository, err := openSecretRepository(dir)
	if err != nil {
		return fmt.Errorf("list recipients: %w", err)
	}
	if bad := repository.errorsIn(""); len(bad) > 0 {
		return fmt.Errorf("list recipients: the repository has %s, the first is %s; see %s", plural(len(bad), "error", "errors"), bad[0], repository.checking())
	}
	runner, err := runnerIdentities(env, configFile)
	if err != nil {
		return err
	}
	lines, err := repository.recipientLines(runner.AllowPlugins)
	if err != nil {
		return err
	}
	wrong := 0
	var out strings.Builder
	for _, l := range lines {
		if l.wrong != "" {
			wrong++
		}
		if !check || l.wrong != "" {
			l.print(&out)
		}
	}
	if check && wrong == 0 {
		fmt.Fprintf(&out, "ok: %s as terra.yaml says\n", plural(len(lines), "secret is sealed", "secrets are sealed"))
	}
	if _, err := fmt.Fprint(env.Stdout, out.String()); err != nil {
		return err
	}
	if check && wrong > 0 {
		return &exitError{exitFailed, fmt.Errorf("check recipients: %s as terra.yaml says; run `reconcile secret rekey`", plural(wrong, "secret is not sealed", "secrets are not sealed"))}
	}
	return nil
}

func (l recipientLine) print(out *strings.Builder) {
	fmt.Fprintln(out, visible.Text(l.where))
	for _, r := range l.opened {
		fmt.Fprintf(out, "  %s\n", shortRecipient(r))
	}
	if l.wrong != "" {
		fmt.Fprintf(out, "  wrong: %s\n", visible.Text(l.wrong))
	}
}

func (r secretRepository) recipientLines(allowPlugins []string) ([]recipientLine, error) {
	lock, err := r.lock()
	if err != nil {
		return nil, err
	}
	var lines []recipientLine
	for _, e := range r.set.Environments {
		for _, c := range e.Connections {
			all, err := r.sealedSecrets(c.File)
			if err != nil {
				return nil, err
			}
			if len(all) == 0 {
				continue
			}
			want, err := r.recipients(c.File, allowPlugins)
			if err != nil {
				return nil, err
			}
			for _, at := range all {
				lines = append(lines, compareRecipients(at, &lock, want.Strings()))
			}
		}
	}
	return lines, nil
}

// compareRecipients compares what the lock says of one secret with what
// terra.yaml says, and with the header of the age file itself.
func compareRecipients(at spec.SecretAt, lock *secrets.Lock, want []string) recipientLine {
	line := recipientLine{where: fmt.Sprintf("%s %s", at.Origin, dotted(at.Path))}
	sealed, err := secrets.Parse(at.Armor)
	if err != nil {
		line.wrong = err.Error()
		return line
	}
	have, known := lock.Recipients(sealed)
	line.opened = have
	extra := without(have, want)
	missing := without(want, have)
	switch {
	case !known:
		line.wrong = "nobody noted whom it is sealed for"
	case !sealed.Fits(have):
		line.wrong = secrets.LockPath + " does not fit the age file; seal it again"
	case len(extra) > 0:
		line.wrong = "not in terra.yaml: " + shortRecipients(extra)
	}
	if known && len(missing) > 0 {
		line.wrong = strings.TrimPrefix(line.wrong+"; cannot be opened by "+shortRecipients(missing), "; ")
	}
	return line
}

func without(list, others []string) []string {
	var out []string
	for _, one := range list {
		if !slices.Contains(others, one) {
			out = append(out, one)
		}
	}
	return out
}

func shortRecipients(list []string) string {
	short := make([]string, len(list))
	for i, r := range list {
		short[i] = shortRecipient(r)
	}
	return strings.Join(short, ", ")
}

// shortRecipient keeps enough of a recipient to tell it from others.
func shortRecipient(r string) string {
	const head, tail = 28, 8
	if len(r) <= 80-4 {
		return r
	}
	return r[:head] + "…" + r[len(r)-tail:]
}
