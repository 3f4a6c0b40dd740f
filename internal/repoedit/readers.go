package repoedit

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Readers are those for whom the secrets of one file are to be sealed.
type Readers struct {
	secrets.Recipients
	File string
	// New are those of them that somebody could have added just now: some secret is not
	// noted to be sealed for them.
	New []string
}

// Readers gives those that terra.yaml names for a file, to seal another secret for them.
// It refuses a terra.yaml that has errors, because it may mean others, and keys that
// everybody has.
//
// Only the secrets of the whole repository make somebody known: who may commit can put
// secrets of their own into one file, and into all of one environment. Where the
// repository holds none nobody is new.
func (r Repository) Readers(file string, allowPlugins []string) (Readers, error) {
	var files []string
	for _, e := range r.Set.Environments {
		for _, c := range e.Connections {
			files = append(files, c.File)
		}
	}
	for _, p := range r.Errors("") { // what was broken must not make another secret the only one
		if r.holdsArmor(p.Origin.File) {
			files = append(files, p.Origin.File)
		}
	}
	return r.readers(file, files, allowPlugins)
}

// readersAgain is [Repository.Readers] for the secrets that stand in the file already:
// who reads all of them learns nothing by it.
func (r Repository) readersAgain(file string, allowPlugins []string) (Readers, error) {
	return r.readers(file, []string{file}, allowPlugins)
}

// readers looks into files for who is known.
func (r Repository) readers(file string, files, allowPlugins []string) (Readers, error) {
	for _, p := range r.Errors("") {
		if spec.IsRoot(path.Base(p.Origin.File)) {
			return Readers{}, problem(p)
		}
	}
	want, err := RecipientsFor(r.Set.Root, file, allowPlugins)
	if err != nil {
		return Readers{}, err
	}
	for _, one := range want.Strings() {
		if where := secrets.Published(one); where != "" {
			return Readers{}, fmt.Errorf("terra.yaml: %s is copied from %s, so that others could read what is sealed for it; put a recipient of your own in its place", one, where)
		}
	}
	known, err := r.readable(slices.Compact(slices.Sorted(slices.Values(files))))
	if err != nil {
		return Readers{}, err
	}
	return Readers{Recipients: want, File: file, New: slices.DeleteFunc(want.Strings(), known.by)}, nil
}

// readable says who is noted to read the secrets of some files.
type readable struct {
	secrets int
	noted   map[string]int // how many of them, by recipient
}

// by reports whether a recipient reads every secret.
func (k readable) by(one string) bool { return k.noted[one] == k.secrets }

// readable counts it. A secret counts as noted for nobody where the lock holds no line
// of it, or one that was forged or edited, and where its file cannot be read.
func (r Repository) readable(files []string) (readable, error) {
	lock, err := r.Lock()
	if err != nil {
		return readable{}, err
	}
	k := readable{noted: map[string]int{}}
	for _, file := range files {
		all, err := r.sealed(file)
		if err != nil {
			k.secrets++
			continue
		}
		for _, at := range all {
			k.secrets++
			s, err := secrets.Parse(at.Armor)
			if err != nil {
				continue
			}
			if list, _ := lock.Recipients(s); s.Fits(list) {
				for _, one := range list {
					k.noted[one]++
				}
			}
		}
	}
	return k, nil
}

// holdsArmor reports whether a file holds sealed text, in whatever form.
func (r Repository) holdsArmor(file string) bool {
	info, err := os.Lstat(r.Path(file))
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	text, err := os.ReadFile(r.Path(file))
	return err == nil && bytes.Contains(text, []byte("BEGIN AGE ENCRYPTED FILE"))
}
