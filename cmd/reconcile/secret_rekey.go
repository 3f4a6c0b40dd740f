package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newSecretRekeyCommand(env *environment) *cobra.Command {
	var rebind []string
	var configFile string
	cmd := &cobra.Command{
		Use:   "rekey [DIR]",
		Short: "Seal secrets anew for the recipients that terra.yaml now names",
		Long: `Seal secrets anew for the recipients that terra.yaml now names.

Only secrets that are sealed for others, or of which nobody noted for whom, are
opened and sealed again; every other byte of the files stays. Each new file is
opened and compared with the old one before anything is written. It needs a
private key that opens the old ones.

A secret in a file that was moved on purpose is bound to its old place: name the
file with --rebind.

Taking a recipient out of terra.yaml is not enough to lock a person out: what
they could open they may have kept, and git keeps the old files. The command
names those secrets; make new ones in the provider's portal.`,
		Example: "  reconcile secret rekey\n  reconcile secret rekey --rebind production/strava.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return rekeySecrets(env, append(args, ".")[0], configFile, rebind)
		},
	}
	cmd.Flags().StringArrayVar(&rebind, "rebind", nil, "bind the secrets of this `file` to where it is now\n(may repeat)")
	cmd.Flags().StringVar(&configFile, "config", "", "take identities and allowed plugins\nfrom this `daemon.yaml`")
	return cmd
}

// rekeying is the work of one rekey: what is written only when all succeeded.
type rekeying struct {
	repository secretRepository
	identities *secrets.Identities
	plugins    []string
	rebind     []string // files below the root
	lock       secrets.Lock
	files      map[string][]byte
	done       []string // messages, one a secret
	warnings   []string
	kept       int
}

func rekeySecrets(env *environment, dir, configFile string, rebind []string) error {
	repository, err := openSecretRepository(dir)
	if err != nil {
		return fmt.Errorf("rekey secrets: %w", err)
	}
	if bad := repository.errorsIn(""); len(bad) > 0 {
		return fmt.Errorf("rekey secrets: the repository has %s, the first is %s; see `reconcile validate`", plural(len(bad), "error", "errors"), bad[0])
	}
	runner, err := runnerIdentities(env, configFile)
	if err != nil {
		return err
	}
	w := &rekeying{repository: repository, plugins: runner.AllowPlugins, files: map[string][]byte{}}
	if w.identities, err = identities(runner)(); err != nil {
		return err
	}
	if w.lock, err = repository.lock(); err != nil {
		return err
	}
	for _, name := range rebind {
		file, err := repository.relative(name)
		if err != nil {
			return err
		}
		if _, _, err := repository.connection(file); err != nil {
			return err
		}
		w.rebind = append(w.rebind, file)
	}
	var problems []error
	for _, e := range repository.set.Environments {
		for _, c := range e.Connections {
			problems = append(problems, w.file(e, c))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("nothing was changed:\n%w", err)
	}
	return w.finish(env)
}

// file seals the secrets of one connection file anew, in memory.
func (w *rekeying) file(e spec.Environment, c spec.Connection) error {
	all, err := w.repository.sealedSecrets(c.File)
	if err != nil || len(all) == 0 {
		return err
	}
	want, err := w.repository.recipients(c.File, w.plugins)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(w.repository.path(c.File))
	if err != nil {
		return err
	}
	before := text
	for _, at := range all {
		field, _, err := fieldNames(c.Provider, at.Path[len(at.Path)-1])
		if err != nil {
			return err
		}
		place := secrets.Binding{DevID: e.DevID, Provider: c.Provider, Field: field}
		sealed, err := w.secret(at, place, want)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", at.Origin, dotted(at.Path), err)
		}
		if sealed.IsZero() {
			continue
		}
		if text, err = spec.SetSecret(text, at.Path, sealed.Armor()); err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
	}
	if string(text) != string(before) {
		w.files[c.File] = text
	}
	return nil
}

// secret seals one secret anew, or returns zero if it is as it should be.
func (w *rekeying) secret(at spec.SecretAt, place secrets.Binding, want secrets.Recipients) (secrets.Sealed, error) {
	old, err := secrets.Parse(at.Armor)
	if err != nil {
		return secrets.Sealed{}, err
	}
	have, known := w.lock.Recipients(old)
	extra := without(have, want.Strings())
	moved := slices.Contains(w.rebind, at.Origin.File)
	if known && !moved && len(extra) == 0 && len(without(want.Strings(), have)) == 0 && old.Fits(have) {
		w.kept++
		return secrets.Sealed{}, nil
	}
	value, err := w.open(old, place, moved)
	if err != nil {
		return secrets.Sealed{}, err
	}
	sealed, err := secrets.Seal(value, place, want)
	if err != nil {
		return secrets.Sealed{}, err
	}
	where := fmt.Sprintf("%s %s", at.Origin, dotted(at.Path))
	again, _, err := w.identities.Open(sealed, place, false)
	switch {
	case errors.Is(err, secrets.ErrNoIdentity):
		w.warnings = append(w.warnings, where+": your own identity does not open it any more")
	case err != nil:
		return secrets.Sealed{}, fmt.Errorf("open what was just sealed: %w", err)
	case !again.Equal(value):
		return secrets.Sealed{}, errors.New("what was just sealed opens as another text")
	}
	if len(extra) > 0 {
		w.warnings = append(w.warnings, fmt.Sprintf("%s: %s could open it and may have kept it; make a new one at the provider", where, shortRecipients(extra)))
	}
	w.lock.Record(sealed, want)
	w.done = append(w.done, where)
	return sealed, nil
}

// open opens the old file. Only in a file that is to be rebound may it be bound
// to another place.
func (w *rekeying) open(old secrets.Sealed, place secrets.Binding, moved bool) (secrets.Value, error) {
	if moved {
		value, _, err := w.identities.OpenAnywhere(old)
		return value, err
	}
	value, _, err := w.identities.Open(old, place, w.repository.set.Root.AllowPlain)
	return value, err
}

// finish writes the files and the lock, and says so.
func (w *rekeying) finish(env *environment) error {
	for _, file := range slices.Sorted(maps.Keys(w.files)) {
		if err := replaceFile(w.repository.path(file), w.files[file]); err != nil {
			return err
		}
	}
	if err := w.repository.saveLock(w.lock); err != nil {
		return err
	}
	for _, text := range w.warnings {
		if _, err := fmt.Fprintf(env.Stderr, "warning: %s\n", text); err != nil {
			return err
		}
	}
	var out strings.Builder
	for _, where := range w.done {
		fmt.Fprintln(&out, where)
	}
	if len(w.done) == 0 {
		fmt.Fprintf(&out, "Nothing to do: %s as terra.yaml says.\n", plural(w.kept, "secret is sealed", "secrets are sealed"))
	} else {
		fmt.Fprintf(&out, "Sealed %s anew, left %d as they were.\nCommit the files above and %s.\n", plural(len(w.done), "secret", "secrets"), w.kept, secrets.LockPath)
	}
	_, err := fmt.Fprint(env.Stdout, out.String())
	return err
}
