package repoedit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// KeyFile is a connection file whose keys are worked on.
type KeyFile struct {
	Repository  Repository
	Environment spec.Environment
	Connection  spec.Connection
	Names       []string // of its client secret, the usual one first

	text []byte // as it was read
}

// KeyFile finds the file of a connection, given as ENVIRONMENT/PROVIDER. A file with
// errors is refused: what is added to it could mean something else.
func (r Repository) KeyFile(name string) (KeyFile, error) {
	k := KeyFile{Repository: r}
	var known []string
	for _, e := range r.Set.Environments {
		for _, c := range e.Connections {
			is := e.Name + "/" + c.Provider
			if known = append(known, is); is == name {
				k.Environment, k.Connection = e, c
			}
		}
	}
	if k.Connection.File == "" {
		hint := ""
		if near := NearConnection(name, known); near != "" {
			hint = "did you mean " + near + "? "
		}
		return KeyFile{}, fmt.Errorf("%s: no file describes this connection; %sthe repository has %s", name, hint, strings.Join(known, ", "))
	}
	switch bad := r.Errors(k.Connection.File); {
	case len(bad) > 0:
		return KeyFile{}, fmt.Errorf("%w; mend it first", problem(bad[0]))
	case k.Environment.DevID == "":
		return KeyFile{}, advice.With(fmt.Errorf("%s/environment.yaml: it has no valid dev_id", k.Environment.Name), "see more", r.checking()...)
	}
	var err error
	if _, k.Names, err = r.fieldNames(k.Connection.Provider, ClientSecret); err != nil {
		return KeyFile{}, err
	}
	k.text, err = os.ReadFile(r.Path(k.Connection.File))
	return k, err
}

// CheckConnection refuses a word that cannot be the name of a connection, and says how
// the one of the repository is written that is most likely meant.
func (r Repository) CheckConnection(name string) error {
	if strings.Contains(name, "/") && !strings.HasSuffix(name, ".yaml") {
		return nil
	}
	like, isFile := strings.CutSuffix(filepath.ToSlash(name), ".yaml")
	if isFile && strings.Contains(like, "/") {
		return choiceError("%q is not a connection; write it as %s", name, like)
	}
	var all, meant []string
	for _, e := range r.Set.Environments {
		for _, c := range e.Connections {
			one := e.Name + "/" + c.Provider
			if all = append(all, one); c.Provider == like {
				meant = append(meant, one)
			}
		}
	}
	switch {
	case len(meant) > 0:
		return choiceError("%q is not a connection; write it as %s", name, strings.Join(meant, " or "))
	case len(all) > 0:
		return choiceError("%q is not a connection; write it as ENVIRONMENT/PROVIDER, such as %s", name, all[0])
	}
	return choiceError("%q is not a connection; write it as ENVIRONMENT/PROVIDER", name)
}

// NearConnection is the connection that a person most likely meant, or "": its provider
// or its environment is nearly what they wrote, and the other one is exactly that.
func NearConnection(name string, known []string) string {
	split := func(s string) (environment, provider string) {
		at := strings.LastIndexByte(s, '/')
		return s[:max(at, 0)], s[at+1:]
	}
	environment, provider := split(name)
	var slugs, environments []string
	for _, k := range known {
		e, p := split(k)
		if e == environment {
			slugs = append(slugs, p)
		}
		if p == provider {
			environments = append(environments, e)
		}
	}
	if near := spec.Nearest(provider, slugs); near != "" {
		return environment + "/" + near
	}
	if near := spec.Nearest(environment, environments); near != "" {
		return near + "/" + provider
	}
	return ""
}

// Name is the connection as people read it.
func (k KeyFile) Name() string { return k.Environment.Name + "/" + k.Connection.Provider }

// Binding is what its client secrets are bound to.
func (k KeyFile) Binding() secrets.Binding {
	return secrets.Binding{Account: k.Environment.Account, DevID: k.Environment.DevID, Provider: k.Connection.Provider, Field: ClientSecret}
}

// Committing makes sure that a commit of files below root, slash-separated, will hold
// their coming changes and nothing else, and gives what makes it.
type Committing func(root string, files []string) (commit func(message string) (hash string, err error), err error)

// KeyEdit is a change of a file's keys that is saved whole: the file, the lock and,
// where that is wanted, a commit of both.
type KeyEdit struct {
	KeyFile
	committing Committing // nil: no commit
}

// Edit makes sure, before anything is asked or changed, that a change can be saved.
func (k KeyFile) Edit(committing Committing) (KeyEdit, error) {
	e := KeyEdit{k, committing}
	_, _, err := e.prepare()
	return e, err
}

// prepare is done again before saving: a person may have taken an hour to find the
// secret.
func (e KeyEdit) prepare() (lock secrets.Lock, commit func(string) (string, error), err error) {
	lock, err = e.Repository.Lock()
	if err == nil && e.committing != nil {
		commit, err = e.committing(e.Repository.Root, []string{e.Connection.File, secrets.LockPath})
	}
	return lock, commit, err
}

// Add writes a new key, sealed, and returns the hash of the commit, if there is one.
func (e KeyEdit) Add(key spec.NewKey, sealed secrets.Sealed, to secrets.Recipients, message string) (hash string, err error) {
	key.Names, key.Armor = e.Names, sealed.Armor()
	text, err := spec.AddKey(e.text, key)
	return e.save(text, err, func(lock *secrets.Lock) { lock.Record(sealed, to) }, message)
}

// Reseal writes a key in the place of the one with this number, and returns the hash of
// the commit, if there is one.
func (e KeyEdit) Reseal(key int, sealed secrets.Sealed, to secrets.Recipients, message string) (hash string, err error) {
	all, err := spec.Secrets(e.text)
	i := slices.IndexFunc(all, func(s spec.SecretAt) bool { return s.Armor == e.Connection.Credentials.Keys[key-1].Secret.Armor })
	if err == nil && i < 0 {
		err = fmt.Errorf("nothing sealed stands at key %d", key)
	}
	var text []byte
	if err == nil {
		text, err = spec.SetSecret(e.text, all[i].Path, sealed.Armor())
	}
	return e.save(text, err, func(lock *secrets.Lock) { lock.Record(sealed, to) }, message)
}

// Remove takes keys out, by their indexes.
func (e KeyEdit) Remove(indexes []int, message string) (hash string, err error) {
	text, err := spec.RemoveKeys(e.text, indexes)
	return e.save(text, err, func(*secrets.Lock) {}, message)
}

func (e KeyEdit) save(text []byte, err error, note func(*secrets.Lock), message string) (hash string, _ error) {
	r, file := e.Repository, e.Connection.File
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	lock, commit, err := e.prepare()
	if err == nil {
		err = r.unchanged(file, e.text)
	}
	if err == nil {
		err = r.Write(r.Path(file), text)
	}
	if err != nil {
		return "", err
	}
	note(&lock)
	if err := r.Reload().saveLock(lock); err != nil {
		return "", err
	}
	if commit == nil {
		return "", nil
	}
	if hash, err = commit(message); err != nil {
		return "", fmt.Errorf("%s and %s are written but not committed: %w; mend that and commit them yourself", file, secrets.LockPath, err)
	}
	return hash, nil
}
