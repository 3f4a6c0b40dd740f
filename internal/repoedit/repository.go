package repoedit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// The fields that hold a secret, as they are bound; providers may write them by their
// own names.
const (
	ClientSecret       = "client_secret"
	VerificationSecret = "verification_secret"
)

// ChoiceError says that what was asked for makes no sense in this repository: the
// command line is wrong, not a file.
type ChoiceError struct{ message error }

func (e *ChoiceError) Error() string { return e.message.Error() }

// Unwrap gives the cause.
func (e *ChoiceError) Unwrap() error { return e.message }

func choiceError(format string, args ...any) error {
	return &ChoiceError{fmt.Errorf(format, args...)}
}

// Repository is a config repository on this machine. Root is the folder of terra.yaml,
// Set and Problems what its files say.
type Repository struct {
	Root     string
	Set      spec.Set
	Problems []spec.Problem
	// Write puts a file in place in one step; [Replace] unless a test breaks it.
	Write func(path string, text []byte) error

	vocabulary spec.Vocabulary
}

// Open finds the repository that a file or folder belongs to, by the terra.yaml above it,
// and loads it. Errors in its files are no error here.
func Open(name string, v spec.Vocabulary) (Repository, error) {
	full, err := filepath.Abs(name)
	if err != nil {
		return Repository{}, err
	}
	info, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		next := "check its name"
		if _, err := os.Stat(full + ".yaml"); err == nil {
			next = "did you mean " + name + ".yaml?"
		}
		return Repository{}, fmt.Errorf("%s: no such file or folder; %s", name, next)
	}
	if err != nil {
		return Repository{}, err
	}
	dir, named := full, name
	if !info.IsDir() {
		dir, named = filepath.Dir(full), filepath.Dir(name)
	}
	root, err := RootAbove(dir)
	switch {
	case err != nil:
		return Repository{}, fmt.Errorf("%s: %w", name, err)
	case root == "":
		return Repository{}, advice.With(fmt.Errorf("%s: no terra.yaml in its folder or above, so this is no config repository", name), "begin one", "init", named)
	}
	r := Repository{Root: root, Write: Replace, vocabulary: v}
	r.load()
	for _, p := range r.Problems {
		if spec.IsRoot(path.Base(p.Origin.File)) && strings.Contains(p.Origin.File, "/") {
			return Repository{}, problem(p)
		}
	}
	return r, nil
}

// RootAbove is the folder whose terra.yaml decides for a folder, "" where there is none:
// whoever may write a folder of a repository must not choose who reads its secrets. In
// git it is the uppermost one of the repository, never one above; elsewhere the only
// one.
func RootAbove(dir string) (root string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	var found []string
	for at := dir; ; at = filepath.Dir(at) {
		if spec.HasRoot(os.DirFS(at)) {
			found = append(found, at)
		}
		_, err := os.Lstat(filepath.Join(at, ".git"))
		switch git, last := err == nil, at == filepath.Dir(at); {
		case !git && !last:
		case len(found) == 0:
			return "", nil
		case !git && len(found) > 1:
			return "", fmt.Errorf("both %s and %s hold a terra.yaml, and outside of git nothing says which is the root; remove one, or run git init in the root", found[0], found[1])
		default:
			return found[len(found)-1], nil
		}
	}
}

func (r *Repository) load() { r.Set, r.Problems = spec.Load(os.DirFS(r.Root), r.vocabulary) }

// Reload is the repository as its files are now.
func (r Repository) Reload() Repository {
	r.load()
	return r
}

// Relative gives the name of a file below the root, slash-separated.
func (r Repository) Relative(name string) (string, error) {
	full, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	below, err := filepath.Rel(r.Root, full)
	return filepath.ToSlash(below), err
}

// Path is where a file below the root is on this machine.
func (r Repository) Path(file string) string {
	return filepath.Join(r.Root, filepath.FromSlash(file))
}

// Typed is the name of a file, "" for the root, as somebody in this folder types it.
func (r Repository) Typed(file string) string {
	full := r.Path(file)
	here, err := os.Getwd()
	if err != nil {
		return full
	}
	if near, err := filepath.Rel(here, full); err == nil && len(near) < len(full) {
		return near
	}
	return full
}

// Connection finds the connection that a file describes.
func (r Repository) Connection(file string) (spec.Environment, spec.Connection, error) {
	for _, e := range r.Set.Environments {
		for _, c := range e.Connections {
			if c.File == file && c.Provider != "" && e.DevID != "" {
				return e, c, nil
			}
		}
	}
	return spec.Environment{}, spec.Connection{}, advice.With(fmt.Errorf(
		"%s: it is not a connection file with a provider, in a folder whose environment.yaml has a dev_id", file), "see more", r.checking()...)
}

// filesIn gives the connection file of that name, or all below a folder. What is not
// there as seen from this folder is looked for below the root.
func (r Repository) filesIn(name string) ([]string, error) {
	file, err := r.Relative(name)
	if err != nil {
		return nil, err
	}
	_, here := os.Stat(name)
	if _, below := os.Stat(r.Path(name)); here != nil && below == nil && filepath.IsLocal(name) {
		file = filepath.ToSlash(filepath.Clean(name))
	}
	var files []string
	for _, e := range r.Set.Environments {
		for _, c := range e.Connections {
			if strings.HasPrefix(c.File, file+"/") {
				files = append(files, c.File)
			}
		}
	}
	if len(files) > 0 {
		return files, nil
	}
	_, _, err = r.Connection(file)
	return []string{file}, err
}

// RecipientsFor gives those that the root of a configuration names for a file.
func RecipientsFor(root spec.Root, file string, allowPlugins []string) (secrets.Recipients, error) {
	rule, ok := root.RecipientsFor(file)
	if !ok {
		return secrets.Recipients{}, fmt.Errorf("terra.yaml: no entry of recipients has a path that matches %s; add one", file)
	}
	found, err := secrets.ParseRecipients(rule.Age, allowPlugins)
	if err != nil {
		return secrets.Recipients{}, fmt.Errorf("%s: %w", rule.Origin, err)
	}
	return found, nil
}

// Errors gives the problems that are errors; all of them when file is empty.
func (r Repository) Errors(file string) []spec.Problem {
	var out []spec.Problem
	for _, p := range r.Problems {
		if p.Severity == spec.Error && (file == "" || p.Origin.File == file) {
			out = append(out, p)
		}
	}
	return out
}

// Whole refuses a repository whose files have errors.
func (r Repository) Whole() error {
	bad := r.Errors("")
	if len(bad) == 0 {
		return nil
	}
	return advice.With(fmt.Errorf("the repository has %s, the first is %w", visible.Plural(len(bad), "error", "errors"), problem(bad[0])), "list all of them", r.checking()...)
}

// problem is what is wrong in a file as an error, with what to type for it.
func problem(p spec.Problem) error {
	if p.Command == "" {
		return errors.New(p.String())
	}
	return advice.With(errors.New(p.What()), p.Hint, strings.Fields(p.Command)...)
}

// checking is the command that lists all errors of the repository.
func (r Repository) checking() []string {
	if dir := r.Typed(""); dir != "." {
		return []string{"validate", dir}
	}
	return []string{"validate"}
}

// SealCommand is the command that seals a secret of a file again; key 0 means the only
// one.
func (r Repository) SealCommand(file, field string, key int) []string {
	command := []string{"secret", "encrypt", r.Typed(file)}
	if field != ClientSecret {
		command = append(command, "--field", field)
	}
	if key != 0 {
		command = append(command, "--key", strconv.Itoa(key))
	}
	return command
}

// sealed lists all sealed secrets of one connection file.
func (r Repository) sealed(file string) ([]spec.SecretAt, error) {
	text, err := os.ReadFile(r.Path(file))
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

// Lock reads the record of whom each secret is sealed for.
func (r Repository) Lock() (secrets.Lock, error) {
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

// lockPath is where the lock stands. A link that a commit put there would lead out of
// the repository; it is neither read nor written.
func (r Repository) lockPath() (string, error) {
	for _, at := range []struct {
		name, want string
		kind       fs.FileMode
	}{{path.Dir(secrets.LockPath), "folder", fs.ModeDir}, {secrets.LockPath, "file", 0}} {
		info, err := os.Lstat(r.Path(at.name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", err
		case info.Mode().Type() != at.kind:
			return "", fmt.Errorf("%s: it is not a %s of this repository; remove it", at.name, at.want)
		}
	}
	return r.Path(secrets.LockPath), nil
}

// saveLock writes the lock, without secrets that no file holds any more. It forgets
// nothing while some file cannot be read. r is as the files are now.
func (r Repository) saveLock(lock secrets.Lock) error {
	if present, err := r.present(); err == nil && len(r.Errors("")) == 0 {
		lock.Prune(present)
	}
	return r.writeLock(lock)
}

func (r Repository) present() ([]secrets.Sealed, error) {
	var present []secrets.Sealed
	for _, e := range r.Set.Environments {
		for _, c := range e.Connections {
			all, err := r.sealed(c.File)
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

func (r Repository) writeLock(lock secrets.Lock) error {
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
	return r.Write(path, lock.Bytes())
}

// unchanged refuses to go on where somebody else wrote a file since it was read, for
// instance while a secret was asked for: what they wrote would be lost.
func (r Repository) unchanged(file string, read []byte) error {
	now, err := os.ReadFile(r.Path(file))
	if err == nil && !bytes.Equal(now, read) {
		err = fmt.Errorf("%s: it was changed meanwhile, so nothing was written; do it again", file)
	}
	return err
}

// Replace puts text in the place of a file in one step: a reader sees the old one or
// the new one. The permissions stay; a new file gets 0644. A link is refused.
func Replace(path string, text []byte) (err error) {
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

// words are the provider's own names in a file: documented field -> the bound one.
func (r Repository) words(provider string) map[string]string {
	i := slices.IndexFunc(r.vocabulary.Providers, func(w spec.Words) bool { return w.Slug == provider })
	if i < 0 {
		return nil
	}
	return r.vocabulary.Providers[i].Native
}
