package repoedit

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Sealing puts secrets into files of connections: into all of them, or into none.
type Sealing struct {
	repository Repository
	sealed     []sealedFor
	files      map[string][]byte // as they are to be
	read       map[string][]byte // as they were
}

// sealedFor is one new secret.
type sealedFor struct {
	secret secrets.Sealed
	to     secrets.Recipients
}

// Sealing begins with the files as they are.
func (r Repository) Sealing() *Sealing {
	return &Sealing{repository: r, files: map[string][]byte{}, read: map[string][]byte{}}
}

// Add seals a secret, in memory, into a connection that holds none in that field. A client
// secret takes the place of `{unknown: true}` where it is the live one, and stands after it
// where that is not known.
func (s *Sealing) Add(at secrets.Binding, c spec.Connection, value secrets.Value, to secrets.Recipients, isLive bool) error {
	sealed, err := secrets.Seal(value, at, to)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", c.File, at.Field, err)
	}
	return s.change(c.File, sealed, to, func(text []byte) ([]byte, error) {
		_, names, err := s.repository.fieldNames(c.Provider, at.Field)
		if err != nil {
			return nil, err
		}
		unknown := at.Field == ClientSecret && len(c.Credentials.Keys) > 0
		if !unknown {
			return spec.SetSecret(text, []string{"credentials", names[0]}, sealed.Armor())
		}
		text, err = spec.AddKey(text, spec.NewKey{Names: names, Armor: sealed.Armor()})
		if err != nil || !isLive {
			return text, err
		}
		return spec.RemoveKeys(text, []int{0})
	})
}

// Replace seals a secret, in memory, in the place of one. It is refused where another one
// stands there by now.
func (s *Sealing) Replace(old Held, value secrets.Value, to secrets.Recipients) error {
	file := old.Origin.File
	sealed, err := secrets.Seal(value, old.Binding, to)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", old.Origin, Dotted(old.Path), err)
	}
	return s.change(file, sealed, to, func(text []byte) ([]byte, error) {
		all, err := spec.Secrets(text)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(all, func(at spec.SecretAt) bool { return slices.Equal(at.Path, old.Path) && at.Armor == old.Armor }) {
			return nil, fmt.Errorf("%s was changed meanwhile, so nothing was written; do it again", Dotted(old.Path))
		}
		return spec.SetSecret(text, old.Path, sealed.Armor())
	})
}

// change edits the text of a file and keeps for whom the new secret in it is sealed.
func (s *Sealing) change(file string, sealed secrets.Sealed, to secrets.Recipients, edit func([]byte) ([]byte, error)) error {
	text, begun := s.files[file]
	if !begun {
		var err error
		if text, err = os.ReadFile(s.repository.Path(file)); err != nil {
			return err
		}
		s.read[file] = text
	}
	text, err := edit(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	s.files[file] = text
	s.sealed = append(s.sealed, sealedFor{sealed, to})
	return nil
}

// Write writes the files and the lock. It puts all of them back as they were where one
// cannot be written, or has more errors than before.
func (s *Sealing) Write() (err error) {
	r, names := s.repository, slices.Sorted(maps.Keys(s.files))
	for _, file := range names {
		if err := r.unchanged(file, s.read[file]); err != nil {
			return err
		}
	}
	lockPath, err := r.lockPath()
	if err != nil {
		return err
	}
	old, noLock := os.ReadFile(lockPath)
	lock, err := r.Lock()
	if err != nil {
		return err
	}
	for _, one := range s.sealed {
		lock.Record(one.secret, one.to)
	}
	before := r.Reload()
	var back []func() error // what to do so that all is as it was
	defer func() {
		if err == nil {
			return
		}
		err = fmt.Errorf("%w; nothing was changed", err)
		for _, undo := range slices.Backward(back) {
			if wrong := undo(); wrong != nil {
				err = errors.Join(err, fmt.Errorf("put a file back: %w", wrong))
			}
		}
	}()
	if errors.Is(noLock, fs.ErrNotExist) {
		back = append(back, func() error { return removeIfThere(lockPath) })
	} else {
		back = append(back, func() error { return r.Write(lockPath, old) })
	}
	if err := r.writeLock(lock); err != nil {
		return err
	}
	for _, file := range names {
		back = append(back, func() error { return r.Write(r.Path(file), s.read[file]) })
		if err := r.Write(r.Path(file), s.files[file]); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	after := r.Reload()
	for _, file := range names {
		if bad := after.Errors(file); len(bad) > len(before.Errors(file)) {
			return problem(bad[0])
		}
	}
	return after.saveLock(lock)
}

func removeIfThere(name string) error {
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Held is a sealed secret that stands in the file of a connection.
type Held struct {
	spec.SecretAt
	Binding secrets.Binding // of its place
}

// Name is where it stands in the file, as people write it.
func (h Held) Name() string { return strings.TrimPrefix(Dotted(h.Path), "credentials.") }

// Held lists the sealed secrets of a connection file, and gives the connection.
func (r Repository) Held(name string) (spec.Connection, []Held, error) {
	file, err := r.Relative(name)
	if err != nil {
		return spec.Connection{}, nil, err
	}
	e, c, err := r.Connection(file)
	if err != nil {
		return c, nil, err
	}
	all, err := r.sealed(file)
	if err != nil {
		return c, nil, err
	}
	var held []Held
	for _, at := range all {
		field, _, err := r.fieldNames(c.Provider, at.Path[len(at.Path)-1])
		if err != nil {
			return c, nil, fmt.Errorf("%s: %w", at.Origin, err)
		}
		held = append(held, Held{at, secrets.Binding{Account: e.Account, DevID: e.DevID, Provider: c.Provider, Field: field}})
	}
	return c, held, nil
}
