package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

type addFlags struct {
	keyFlags
	notBefore    string
	probe        bool
	unknownFirst bool
}

func newRotateAddCommand(env *environment) *cobra.Command {
	flags := &addFlags{}
	cmd := &cobra.Command{
		Use:   "add CONNECTION",
		Short: "Add a new client secret to a connection, sealed",
		Long: `Add a new client secret to a connection, sealed.

It asks for the secret without showing it, or reads it from standard input,
checks it by the provider's rules, seals it for the recipients that terra.yaml
names and adds an entry to credentials.keys, oldest first: one that is due
sooner than keys of the file stands before them. A lone client_secret becomes
the first entry. Every other byte of the file stays.

A secret that the file has already is refused, as far as a private key is at
hand to compare them. With --commit no git hook runs.`,
		Example: `  reconcile rotate add production/strava
  reconcile rotate add production/strava --not-before 2026-11-28T02:00:00Z
  reconcile rotate add production/whoop --probe --commit < new-secret.txt
  reconcile rotate add production/polar --unknown-first`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return addKey(cmd.Context(), env, args[0], flags) },
	}
	p := cmd.Flags()
	p.StringVar(&flags.notBefore, "not-before", "", "`time` from which it is due: 2026-11-28 (00:00 UTC) or 2026-11-28T02:00:00Z (default: at once)")
	p.BoolVar(&flags.probe, "probe", false, "ask the provider about it, at most once an hour; one that it rejects is not added")
	p.BoolVar(&flags.unknownFirst, "unknown-first", false, "the live secret was set by hand and stands in no file: note it as {unknown: true} before this one")
	flags.keyFlags.add(cmd)
	return cmd
}

// addition is what came of adding a key, as far as a person needs to know.
type addition struct {
	keyFile
	placement
	now        time.Time
	recipients int
	compared   string
	probe      string // "": not asked
	commit     string // hash, "" for none
}

func addKey(ctx context.Context, env *environment, name string, f *addFlags) error {
	runner, err := f.runner(env)
	if err != nil {
		return err
	}
	k, err := openKeyFile(f.folder(runner), name)
	if err != nil {
		return err
	}
	p, known := providers.Lookup(k.connection.Provider)
	if known && p.Keys == providers.KeysNone {
		return fmt.Errorf("%s: %s has no client secret (%s)", k.connection.File, p.Name, p.Why)
	}
	a := addition{keyFile: k, now: env.Now().UTC()}
	if a.placement, err = k.placeFor(f.notBefore, a.now); err != nil {
		return err
	}
	if f.unknownFirst {
		a.number++
	}
	recipients, err := k.repository.recipients(k.connection.File, runner.Identities.AllowPlugins)
	if err != nil {
		return err
	}
	edit, err := k.begin(f.commit, a.now)
	if err != nil {
		return err
	}
	value, err := a.askFor(ctx, env, runner, f.probe)
	if err != nil {
		return err
	}
	sealed, err := secrets.Seal(value, k.binding(), recipients)
	if err != nil {
		return fmt.Errorf("%s: %w", k.connection.File, err)
	}
	text, err := spec.AddKey(k.text, spec.NewKey{
		Names: k.names, Armor: sealed.Armor(), Issued: a.now.Format(time.DateOnly), NotBefore: a.written,
		AfterUnknown: f.unknownFirst, Before: a.before(),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", k.connection.File, err)
	}
	edit.sealed, edit.recipients = sealed, recipients
	a.recipients = len(recipients.Strings())
	if a.commit, err = edit.save(text, a.message()); err != nil {
		return err
	}
	return a.print(env)
}

// askFor reads the secret and refuses one that cannot be right.
func (a *addition) askFor(ctx context.Context, env *environment, runner config.Config, probe bool) (secrets.Value, error) {
	ids, err := identities(runner.Identities)()
	if err != nil {
		return secrets.Value{}, err
	}
	ask, err := newProber(runner)
	if err != nil {
		return secrets.Value{}, err
	}
	value, err := readSecret(ctx, env, "new client secret of "+a.name())
	if err != nil {
		return secrets.Value{}, err
	}
	at := secretPlace{
		file: a.connection.File, path: []string{"credentials", "keys", strconv.Itoa(a.number - 1), a.names[0]},
		provider: a.connection.Provider, binding: a.binding(),
	}
	if err := checkSecret(env, at, value); err != nil {
		return secrets.Value{}, err
	}
	if err := a.compare(value, ids); err != nil {
		return secrets.Value{}, err
	}
	if probe {
		err = a.prove(ctx, env, runner, ask, ids, value)
	}
	return value, err
}

// prove asks the provider, or gives what it said within the hour. A secret that it
// rejects is refused.
func (a *addition) prove(ctx context.Context, env *environment, runner config.Config, ask prober, ids *secrets.Identities, value secrets.Value) error {
	c := a.connection
	why := ask.unasked(c.Provider)
	if why == "" && !c.Credentials.ClientID.Given() {
		why = "the file has no client id to go with it"
	}
	if why != "" {
		a.probe = unproved(why)
		return nil
	}
	asked, warnings, err := openAsking(ctx, env, runner.StateDir, ask, ids)
	if err == nil {
		return a.hear(ctx, env, asked, warnings, value)
	}
	a.probe = unproved("nobody was asked, because it is not known who was asked within the hour: " + err.Error())
	return nil
}

// hear takes the provider's answer, and closes what remembers it.
func (a *addition) hear(ctx context.Context, env *environment, asked asking, warnings []string, value secrets.Value) error {
	c := a.connection
	answer, more := asked.asker.Ask(ctx, a.env.DevID, c.Provider, c.Credentials.ClientID.Value, value)
	if err := asked.store.Close(); err != nil {
		return err
	}
	for _, text := range append(warnings, more...) {
		if _, err := fmt.Fprintf(env.Stderr, "warning: %s\n", visible.Text(text)); err != nil {
			return err
		}
	}
	said := spoken(answer, a.now)
	switch answer.Verdict {
	case plan.Bad:
		return fmt.Errorf("%s: %s rejects the new secret: %s; nothing was changed", c.File, c.Provider, said)
	case plan.Good:
		a.probe = "accepted: " + said
	default:
		a.probe = unproved(said)
	}
	return nil
}

// unproved says of a secret that it is added although nobody knows whether it works.
func unproved(why string) string { return "unknown: " + why }

// compare refuses a secret that one of the other keys is already.
func (a *addition) compare(value secrets.Value, ids *secrets.Identities) error {
	compared, sealed := 0, 0
	why := ""
	for i, key := range a.connection.Credentials.Keys {
		if key.Unknown {
			continue
		}
		old, err := secrets.Parse(key.Secret.Armor)
		if err != nil {
			return fmt.Errorf("%s: %w", key.Secret.Origin, err)
		}
		opened, _, err := ids.Open(old, a.binding(), a.repository.set.Root.AllowPlain)
		switch {
		case errors.Is(err, secrets.ErrNoIdentity):
			sealed, why = sealed+1, "no private key at hand opens "
		case err != nil:
			return fmt.Errorf("%s: open key %d to compare: %w", key.Secret.Origin, i+1, secrets.InFile(err, a.repository.typed(a.connection.File)))
		case opened.Equal(value):
			return fmt.Errorf("%s: key %d is this very secret; make a new one in the provider's portal; nothing was changed", key.Secret.Origin, i+1)
		default:
			compared++
		}
	}
	switch {
	case sealed > 0 && compared > 0:
		a.compared = fmt.Sprintf("differs from %s; %s%d", plural(compared, "other key", "other keys"), why, sealed)
	case sealed > 0:
		a.compared = "not compared: " + why + plural(sealed, "other key", "other keys")
	case compared > 0:
		a.compared = "differs from " + plural(compared, "other key", "other keys")
	}
	return nil
}
