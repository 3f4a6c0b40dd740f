package repoedit

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Rekeying seals secrets again for the recipients that terra.yaml now names. What is
// written is written only when all of it succeeded in memory.
type Rekeying struct {
	Done  []Resealed
	Blind int // of them, those that our own identities do not open any more
	Left  int // secrets that were as they should be
	// Readers are those of each file that Write changes.
	Readers []Readers

	repository Repository
	identities *secrets.Identities
	plugins    []string
	rebind     []string // files below the root
	lock       secrets.Lock
	files      map[string][]byte // as they are to be
	read       map[string][]byte // as they were
	digester   secrets.Digester  // of this run only
}

// Resealed is one secret that was sealed again.
type Resealed struct {
	At          spec.SecretAt
	Environment string
	Connection  spec.Connection
	Place       secrets.Binding
	Before      secrets.Binding // where it was bound to; zero: nowhere
	Noted       bool            // it is known who could open it
	Extra       []string        // recipients who can no longer

	digest string // keyed, of the plaintext
}

// Where names the file, the line and the field.
func (s Resealed) Where() string { return fmt.Sprintf("%s %s", s.At.Origin, Dotted(s.At.Path)) }

// Rekey seals everything again in memory. Only secrets that are sealed for others, or of
// which nobody noted for whom, are opened. Those of the files and folders of rebind may
// be bound to another place, and are bound to where they are; a copy of one that still
// stands in its own place is refused.
func (r Repository) Rekey(ids *secrets.Identities, allowPlugins, rebind []string) (*Rekeying, error) {
	if err := r.Whole(); err != nil {
		return nil, fmt.Errorf("rekey secrets: %w", err)
	}
	w := &Rekeying{repository: r, identities: ids, plugins: allowPlugins, files: map[string][]byte{}, read: map[string][]byte{},
		digester: secrets.NewDigester(secrets.GenerateKey())}
	var err error
	if w.lock, err = r.Lock(); err != nil {
		return nil, err
	}
	for _, name := range rebind {
		files, err := r.filesIn(name)
		if err != nil {
			return nil, err
		}
		w.rebind = append(w.rebind, files...)
	}
	var problems []error
	said := map[string]bool{} // one recipient that is wrong is wrong for every file
	for _, e := range r.Set.Environments {
		for _, c := range e.Connections {
			if err := w.file(e, c); err != nil && !said[err.Error()] {
				said[err.Error()] = true
				problems = append(problems, err)
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("nothing was changed:\n%w", err)
	}
	return w, nil
}

// Original is [spec.Set.Original] for [secrets.InFile].
func (r Repository) Original(of spec.Secret) func(secrets.Binding) string {
	return func(b secrets.Binding) string {
		return r.Set.Original(of, b.Account, b.DevID, b.Provider, b.Field)
	}
}

// file seals the secrets of one connection file again, in memory.
func (w *Rekeying) file(e spec.Environment, c spec.Connection) error {
	all, err := w.repository.sealed(c.File)
	if err != nil || len(all) == 0 {
		return err
	}
	want, err := w.repository.readersAgain(c.File, w.plugins)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(w.repository.Path(c.File))
	if err != nil {
		return err
	}
	before := text
	for _, at := range all {
		field, _, err := w.repository.fieldNames(c.Provider, at.Path[len(at.Path)-1])
		if err != nil {
			return err
		}
		one := Resealed{At: at, Environment: e.Name, Connection: c, Place: secrets.Binding{Account: e.Account, DevID: e.DevID, Provider: c.Provider, Field: field}}
		sealed, err := w.secret(one, want.Recipients)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", at.Origin, Dotted(at.Path), err)
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
		w.Readers = append(w.Readers, want)
	}
	return nil
}

// secret seals one secret again, or returns zero if it is as it should be.
func (w *Rekeying) secret(one Resealed, want secrets.Recipients) (secrets.Sealed, error) {
	old, err := secrets.Parse(one.At.Armor)
	if err != nil {
		return secrets.Sealed{}, err
	}
	var have []string
	have, one.Noted = w.lock.Recipients(old)
	one.Extra = without(have, want.Strings())
	moved := slices.Contains(w.rebind, one.At.Origin.File)
	asNamed := one.Noted && len(one.Extra) == 0 && len(without(want.Strings(), have)) == 0 && old.Fits(have)
	if asNamed && !moved {
		w.Left++
		return secrets.Sealed{}, nil
	}
	var value secrets.Value
	var opened secrets.Opened
	if moved { // only there it may be bound to another place
		value, opened, err = w.identities.OpenAnywhere(old)
	} else {
		value, opened, err = w.identities.Open(old, one.Place, w.repository.Set.Root.AllowPlain)
	}
	if err != nil {
		return secrets.Sealed{}, err
	}
	if moved && !opened.Plain && opened.Binding != one.Place {
		at := spec.Secret{Armor: old.Armor(), Origin: one.At.Origin}
		if original := w.repository.Original(at)(opened.Binding); original != "" {
			return secrets.Sealed{}, &secrets.MisboundError{Have: opened.Binding, Want: one.Place, File: w.repository.Typed(one.At.Origin.File), Original: original}
		}
	}
	if asNamed && opened.Binding == one.Place {
		w.Left++ // it is bound to where it is already
		return secrets.Sealed{}, nil
	}
	one.Before, one.digest = opened.Binding, w.digester.Digest(value)
	sealed, err := secrets.Seal(value, one.Place, want)
	if err != nil {
		return secrets.Sealed{}, err
	}
	blind, err := w.proves(one, sealed)
	if err != nil {
		return secrets.Sealed{}, err
	}
	if blind {
		w.Blind++
	}
	w.lock.Record(sealed, want)
	w.Done = append(w.Done, one)
	return sealed, nil
}

// proves opens what was sealed again and compares its digest with that of before.
// blind is true when our own identities do not open it any more.
func (w *Rekeying) proves(one Resealed, sealed secrets.Sealed) (blind bool, err error) {
	again, _, err := w.identities.Open(sealed, one.Place, false)
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

// Write writes the lock and the files, and proves them from the disk. The lock comes
// first, with the old and the new secrets: a run after an interruption knows which
// files are done. It forgets the old ones last.
func (w *Rekeying) Write() error {
	r, names := w.repository, slices.Sorted(maps.Keys(w.files))
	for _, file := range names {
		if err := r.unchanged(file, w.read[file]); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		if err := r.writeLock(w.lock); err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
	}
	for i, file := range names {
		if err := r.Write(r.Path(file), w.files[file]); err != nil {
			return fmt.Errorf("write %s: %w; %d of %d files are done, each is whole; run it again", file, err, i, len(names))
		}
	}
	if err := w.proveFiles(); err != nil {
		return err
	}
	return r.saveLock(w.lock)
}

// proveFiles reads the written files again and compares each secret that was sealed
// again.
func (w *Rekeying) proveFiles() error {
	written := map[string]string{}
	for file := range w.files {
		all, err := w.repository.sealed(file)
		if err != nil {
			return err
		}
		for _, at := range all {
			written[file+" "+Dotted(at.Path)] = at.Armor
		}
	}
	for _, one := range w.Done {
		sealed, err := secrets.Parse(written[one.Connection.File+" "+Dotted(one.At.Path)])
		if err == nil {
			_, err = w.proves(one, sealed)
		}
		if err != nil {
			return fmt.Errorf("prove %s: %w; put the file back with git and report this", one.Where(), err)
		}
	}
	return nil
}
