package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// secretRepository is a config repository on disk whose secrets are worked on.
type secretRepository struct {
	root     string
	set      spec.Set
	problems []spec.Problem
	write    func(path string, text []byte) error // puts a file in place in one step
}

// openSecretRepository finds the repository that a file or folder belongs to:
// the nearest folder above with a terra.yaml.
func openSecretRepository(name string) (secretRepository, error) {
	full, err := filepath.Abs(name)
	if err != nil {
		return secretRepository{}, err
	}
	info, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		next := "check its name"
		if _, err := os.Stat(full + ".yaml"); err == nil {
			next = "did you mean " + name + ".yaml?"
		}
		return secretRepository{}, fmt.Errorf("%s: no such file or folder; %s", name, next)
	}
	if err != nil {
		return secretRepository{}, err
	}
	dir := full
	if !info.IsDir() {
		dir = filepath.Dir(full)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, "terra.yaml")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return secretRepository{}, fmt.Errorf("%s: no terra.yaml in its folder or above; it begins a config repository", name)
		}
	}
	r := secretRepository{root: dir, write: replaceFile}
	r.set, r.problems = spec.Load(os.DirFS(dir), providers.Vocabulary())
	return r, nil
}

// relative gives the name of a file below the root, slash-separated.
func (r secretRepository) relative(name string) (string, error) {
	full, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	below, err := filepath.Rel(r.root, full)
	return filepath.ToSlash(below), err
}

func (r secretRepository) path(file string) string {
	return filepath.Join(r.root, filepath.FromSlash(file))
}

// typed is the name of a file, "" for the root, as somebody in this folder types it.
func (r secretRepository) typed(file string) string {
	full := r.path(file)
	here, err := os.Getwd()
	if err != nil {
		return full
	}
	if near, err := filepath.Rel(here, full); err == nil && len(near) < len(full) {
		return near
	}
	return full
}

// checking is the command that lists all errors of the repository, in backticks.
func (r secretRepository) checking() string {
	return strings.TrimSuffix("`reconcile validate "+shellWord(r.typed("")), " .") + "`"
}

// sealing is the command that seals the secret that flags choose anew, in backticks.
func (r secretRepository) sealing(file string, f *secretFlags) string {
	command := "`reconcile secret encrypt " + shellWord(r.typed(file))
	if f.field != plan.FieldClientSecret {
		command += " --field " + shellWord(f.field)
	}
	if f.key != 0 {
		command += fmt.Sprintf(" --key %d", f.key)
	}
	return command + "`"
}

// connection finds the connection that a file describes.
func (r secretRepository) connection(file string) (spec.Environment, spec.Connection, error) {
	for _, e := range r.set.Environments {
		for _, c := range e.Connections {
			if c.File == file && c.Provider != "" && e.DevID != "" {
				return e, c, nil
			}
		}
	}
	return spec.Environment{}, spec.Connection{}, fmt.Errorf(
		"%s: it is not a connection file with a provider, in a folder whose environment.yaml has a dev_id; %s says more", file, r.checking())
}

// recipients gives those terra.yaml names for a file.
func (r secretRepository) recipients(file string, allowPlugins []string) (secrets.Recipients, error) {
	rule, ok := r.set.Root.RecipientsFor(file)
	if !ok {
		return secrets.Recipients{}, fmt.Errorf("terra.yaml: no entry of recipients has a path that matches %s; add one", file)
	}
	found, err := secrets.ParseRecipients(rule.Age, allowPlugins)
	if err != nil {
		return secrets.Recipients{}, fmt.Errorf("%s: %w", rule.Origin, err)
	}
	return found, nil
}

// sealedSecrets lists all sealed secrets of one connection file.
func (r secretRepository) sealedSecrets(file string) ([]spec.SecretAt, error) {
	text, err := os.ReadFile(r.path(file))
	if err != nil {
		return nil, err
	}
	found, err := spec.Secrets(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i := range found {
		found[i].Origin.File = file
	}
	return found, nil
}

// errorsIn gives the problems that are errors; all of them when file is empty.
func (r secretRepository) errorsIn(file string) []spec.Problem {
	var out []spec.Problem
	for _, p := range r.problems {
		if p.Severity == spec.Error && (file == "" || p.Origin.File == file) {
			out = append(out, p)
		}
	}
	return out
}

// lockPath is where the lock stands. A link that a commit put there would lead out of
// the repository; it is neither read nor written.
func (r secretRepository) lockPath() (string, error) {
	for _, at := range []struct {
		name, want string
		kind       fs.FileMode
	}{{path.Dir(secrets.LockPath), "folder", fs.ModeDir}, {secrets.LockPath, "file", 0}} {
		info, err := os.Lstat(r.path(at.name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", err
		case info.Mode().Type() != at.kind:
			return "", fmt.Errorf("%s: it is not a %s of this repository; remove it", at.name, at.want)
		}
	}
	return r.path(secrets.LockPath), nil
}

func (r secretRepository) lock() (secrets.Lock, error) {
	path, err := r.lockPath()
	if err != nil {
		return secrets.Lock{}, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return secrets.Lock{}, nil
	}
	if err != nil {
		return secrets.Lock{}, err
	}
	lock, err := secrets.ParseLock(text)
	if err != nil {
		return secrets.Lock{}, fmt.Errorf("%s:%w", secrets.LockPath, err)
	}
	return lock, nil
}

// saveLock writes the lock, without secrets that no file holds any more. It
// forgets nothing while some file cannot be read.
func (r secretRepository) saveLock(lock secrets.Lock) error {
	if present, err := r.present(); err == nil && len(r.errorsIn("")) == 0 {
		lock.Prune(present)
	}
	return r.writeLock(lock)
}

func (r secretRepository) writeLock(lock secrets.Lock) error {
	path, err := r.lockPath()
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, lock.Bytes()) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return r.write(path, lock.Bytes())
}

func (r secretRepository) present() ([]secrets.Sealed, error) {
	var present []secrets.Sealed
	for _, e := range r.set.Environments {
		for _, c := range e.Connections {
			all, err := r.sealedSecrets(c.File)
			if err != nil {
				return nil, err
			}
			for _, at := range all {
				if s, err := secrets.Parse(at.Armor); err == nil {
					present = append(present, s)
				}
			}
		}
	}
	return present, nil
}

// unchanged refuses to go on where somebody else wrote a file since it was read, for
// instance while a secret was asked for: what they wrote would be lost.
func (r secretRepository) unchanged(file string, read []byte) error {
	now, err := os.ReadFile(r.path(file))
	if err == nil && !bytes.Equal(now, read) {
		err = fmt.Errorf("%s: it was changed meanwhile, so nothing was written; do it again", file)
	}
	return err
}

// replaceFile puts text in the place of a file in one step: a reader sees the
// old one or the new one. The permissions stay; a new file gets 0644.
func replaceFile(path string, text []byte) (err error) {
	mode := fs.FileMode(0o644)
	if info, err := os.Lstat(path); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("write %s: it is not a regular file", path)
		}
		mode = info.Mode().Perm()
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".reconcile-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(text); err != nil {
		return err
	}
	if err = tmp.Chmod(mode); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
