package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
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
opened and sealed again; every other byte of the files stays. Each new one is
opened and compared with the old one, before the files are written and again
from the disk. It needs a private key that opens the old ones. When it is
interrupted, each file is the old or the new one; run it again.

A secret in a file that was moved on purpose, or whose provider or dev_id was
renamed, is bound to its old place: name the file, or the folder, with --rebind.
Those that are bound to where they are stay as they are.

Taking a recipient out of terra.yaml is not enough to lock a person out: what
they could open they may have kept, and git keeps the old files. The command
names those secrets; make new ones in the provider's portal.`,
		Example: "  reconcile secret rekey\n  reconcile secret rekey --rebind production/strava.yaml",
		Args:    takes(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return rekeySecrets(env, rekeyFrom(args, rebind), configFile, rebind)
		},
	}
	cmd.Flags().StringArrayVar(&rebind, "rebind", nil, "bind the secrets of this `file`, or of all files of a folder, to where they are now (may repeat)")
	cmd.Flags().StringVar(&configFile, "config", "", "take identities and allowed plugins from this `daemon.yaml`")
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

// rekeying is the work of one rekey: what is written only when all succeeded.
type rekeying struct {
	repository secretRepository
	identities *secrets.Identities
	plugins    []string
	rebind     []string // files below the root
	lock       secrets.Lock
	files      map[string][]byte // as they are to be
	read       map[string][]byte // as they were
	digester   secrets.Digester  // of this run only
	done       []resealed
	blind      int // of them, those that our own identities do not open any more
	kept       int
}

// resealed is one secret that was sealed anew.
type resealed struct {
	at         spec.SecretAt
	env        spec.Environment
	connection spec.Connection
	place      secrets.Binding
	before     secrets.Binding // where it was bound to; zero: nowhere
	digest     string          // keyed, of the plaintext
	noted      bool            // it is known who could open it
	extra      []string        // recipients who can no longer
}

func (s resealed) where() string { return fmt.Sprintf("%s %s", s.at.Origin, dotted(s.at.Path)) }

func rekeySecrets(env *environment, dir, configFile string, rebind []string) error {
	repository, err := openSecretRepository(dir)
	if err != nil {
		return fmt.Errorf("rekey secrets: %w", err)
	}
	runner, err := runnerIdentities(env, configFile)
	if err != nil {
		return err
	}
	w, err := prepareRekey(repository, runner, rebind)
	if err != nil {
		return err
	}
	return w.finish(env)
}

// prepareRekey seals everything anew in memory.
func prepareRekey(repository secretRepository, runner config.Identities, rebind []string) (*rekeying, error) {
	if bad := repository.errorsIn(""); len(bad) > 0 {
		return nil, fmt.Errorf("rekey secrets: the repository has %s, the first is %s; see %s", plural(len(bad), "error", "errors"), bad[0], repository.checking())
	}
	w := &rekeying{repository: repository, plugins: runner.AllowPlugins, files: map[string][]byte{}, read: map[string][]byte{},
		digester: secrets.NewDigester(secrets.GenerateKey())}
	var err error
	if w.identities, err = identities(runner)(); err != nil {
		return nil, err
	}
	if w.lock, err = repository.lock(); err != nil {
		return nil, err
	}
	for _, name := range rebind {
		files, err := repository.filesIn(name)
		if err != nil {
			return nil, err
		}
		w.rebind = append(w.rebind, files...)
	}
	var problems []error
	told := map[string]bool{} // one recipient that is wrong is wrong for every file
	for _, e := range repository.set.Environments {
		for _, c := range e.Connections {
			if err := w.file(e, c); err != nil && !told[err.Error()] {
				told[err.Error()] = true
				problems = append(problems, err)
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("nothing was changed:\n%w", err)
	}
	return w, nil
}

// filesIn gives the connection file of that name, or all below a folder. What is not
// there as seen from this folder is looked for below the root.
func (r secretRepository) filesIn(name string) ([]string, error) {
	file, err := r.relative(name)
	if err != nil {
		return nil, err
	}
	_, here := os.Stat(name)
	if _, below := os.Stat(r.path(name)); here != nil && below == nil && filepath.IsLocal(name) {
		file = filepath.ToSlash(filepath.Clean(name))
	}
	var files []string
	for _, e := range r.set.Environments {
		for _, c := range e.Connections {
			if strings.HasPrefix(c.File, file+"/") {
				files = append(files, c.File)
			}
		}
	}
	if len(files) > 0 {
		return files, nil
	}
	_, _, err = r.connection(file)
	return []string{file}, err
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
		one := resealed{at: at, env: e, connection: c, place: secrets.Binding{DevID: e.DevID, Provider: c.Provider, Field: field}}
		sealed, err := w.secret(one, want)
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
		w.files[c.File], w.read[c.File] = text, before
	}
	return nil
}

// secret seals one secret anew, or returns zero if it is as it should be.
func (w *rekeying) secret(one resealed, want secrets.Recipients) (secrets.Sealed, error) {
	old, err := secrets.Parse(one.at.Armor)
	if err != nil {
		return secrets.Sealed{}, err
	}
	var have []string
	have, one.noted = w.lock.Recipients(old)
	one.extra = without(have, want.Strings())
	moved := slices.Contains(w.rebind, one.at.Origin.File)
	asNamed := one.noted && len(one.extra) == 0 && len(without(want.Strings(), have)) == 0 && old.Fits(have)
	if asNamed && !moved {
		w.kept++
		return secrets.Sealed{}, nil
	}
	value, opened, err := w.open(old, one.place, moved)
	if err != nil {
		return secrets.Sealed{}, err
	}
	if asNamed && opened.Binding == one.place {
		w.kept++ // it is bound to where it is already
		return secrets.Sealed{}, nil
	}
	one.before, one.digest = opened.Binding, w.digester.Digest(value)
	sealed, err := secrets.Seal(value, one.place, want)
	if err != nil {
		return secrets.Sealed{}, err
	}
	if blind, err := w.proves(one, sealed); err != nil {
		return secrets.Sealed{}, err
	} else if blind {
		w.blind++
	}
	w.lock.Record(sealed, want)
	w.done = append(w.done, one)
	return sealed, nil
}

// proves opens what was sealed anew and compares its digest with that of before.
// blind is true when our own identities do not open it any more.
func (w *rekeying) proves(one resealed, sealed secrets.Sealed) (blind bool, err error) {
	again, _, err := w.identities.Open(sealed, one.place, false)
	switch {
	case errors.Is(err, secrets.ErrNoIdentity):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("open what was just sealed: %w", err)
	case !secrets.DigestsAgree(one.digest, w.digester.Digest(again)):
		return false, errors.New("what was just sealed opens as another text")
	}
	return false, nil
}

// open opens the old file. Only in a file that is to be rebound may it be bound
// to another place.
func (w *rekeying) open(old secrets.Sealed, place secrets.Binding, moved bool) (secrets.Value, secrets.Opened, error) {
	if moved {
		return w.identities.OpenAnywhere(old)
	}
	return w.identities.Open(old, place, w.repository.set.Root.AllowPlain)
}
