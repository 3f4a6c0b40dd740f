package repoedit

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Place is one field for a secret in one connection file.
type Place struct {
	File       string   // below the root
	Path       []string // in the file
	Connection string   // environment/provider, as people read it
	Binding    secrets.Binding
	ClientID   string // that stands beside it, "" for none

	repository Repository
	text       []byte // as it was read
	hasSecret  bool   // the file has a lone client secret
	issued     string // the day of a new first key, "" for none
}

// Place finds the field of a file: by its bound name or the provider's own, and of
// several keys by its number, 1 being the oldest. Key 0 is the only one.
func (r Repository) Place(name, field string, key int) (Place, error) {
	file, err := r.Relative(name)
	if err != nil {
		return Place{}, err
	}
	e, c, err := r.Connection(file)
	if err != nil {
		return Place{}, err
	}
	text, err := os.ReadFile(r.Path(file))
	if err != nil {
		return Place{}, err
	}
	bound, names, err := r.fieldNames(c.Provider, field)
	if err != nil {
		return Place{}, err
	}
	written, err := credentialsIn(text)
	if err != nil {
		return Place{}, fmt.Errorf("%s: %w", file, err)
	}
	path, err := written.path(e.Name+"/"+c.Provider, bound, names, key)
	if err != nil {
		return Place{}, fmt.Errorf("%s: %w", file, err)
	}
	return Place{
		File: file, Path: path, Connection: e.Name + "/" + c.Provider, repository: r, text: text,
		Binding:   secrets.Binding{Account: e.Account, DevID: e.DevID, Provider: c.Provider, Field: bound},
		ClientID:  c.Credentials.ClientID.Value,
		hasSecret: slices.ContainsFunc(names, func(name string) bool { return written.fields[name] }),
	}, nil
}

// fieldNames gives the name that a secret is bound to, and the names it may have in a
// file of the provider, the usual one first.
func (r Repository) fieldNames(provider, name string) (field string, names []string, err error) {
	native := r.words(provider)
	field = name
	if canonical, ok := native[name]; ok {
		field = canonical
	}
	if field != ClientSecret && field != VerificationSecret {
		return "", nil, choiceError("--field %q: %s keeps its secrets in client_secret and verification_secret", name, provider)
	}
	for own, canonical := range native {
		if canonical == field {
			names = append(names, own)
		}
	}
	slices.Sort(names)
	return field, append(names, field), nil
}

// writtenCredentials are the names under credentials, and under each entry of
// its keys.
type writtenCredentials struct {
	fields  map[string]bool
	entries []map[string]bool
	hasKeys bool
}

// credentialsIn reads the names. Its error never repeats the text of the file,
// which may hold a secret that is not sealed.
func credentialsIn(text []byte) (writtenCredentials, error) {
	var doc struct {
		Credentials map[string]yaml.Node `yaml:"credentials"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return writtenCredentials{}, advice.With(errors.New("its YAML cannot be read"), "see where", "validate")
	}
	w := writtenCredentials{fields: map[string]bool{}}
	for name, node := range doc.Credentials {
		w.fields[name] = true
		if name != "keys" {
			continue
		}
		w.hasKeys = true
		for _, entry := range node.Content {
			names := map[string]bool{}
			for i := 0; i+1 < len(entry.Content); i += 2 {
				names[entry.Content[i].Value] = true
			}
			w.entries = append(w.entries, names)
		}
	}
	return w, nil
}

// path says where in the file the secret stands or is to stand.
func (w writtenCredentials) path(connection, field string, names []string, key int) ([]string, error) {
	pick := func(have map[string]bool) string {
		if i := slices.IndexFunc(names, func(name string) bool { return have[name] }); i >= 0 {
			return names[i]
		}
		return names[0]
	}
	entries := visible.Plural(len(w.entries), "entry", "entries")
	if field != ClientSecret || !w.hasKeys {
		if key != 0 {
			return nil, choiceError("--key %d: this secret does not stand in a list of keys", key)
		}
		return []string{"credentials", pick(w.fields)}, nil
	}
	index := key - 1
	if key == 0 {
		var known []int
		for i, names := range w.entries {
			if !names["unknown"] {
				known = append(known, i)
			}
		}
		switch {
		case len(known) == 0 && len(w.entries) > 0:
			return nil, addInstead(connection, "credentials.keys holds no secret, only `unknown: true`")
		case len(known) != 1:
			return nil, addInstead(connection, "credentials.keys has %s; choose one with --key to replace it", entries)
		}
		index = known[0]
	}
	switch {
	case index < 0 || index >= len(w.entries):
		return nil, choiceError("--key %d: credentials.keys has %s", key, entries)
	case w.entries[index]["unknown"]:
		return nil, addInstead(connection, "--key %d: that entry says `unknown: true`, which stays as it is", key)
	}
	return []string{"credentials", "keys", strconv.Itoa(index), pick(w.entries[index])}, nil
}

// addInstead is a place that cannot be sealed into, or not without a choice, and the
// command that adds the secret as a key of its own.
func addInstead(connection, format string, args ...any) error {
	return &ChoiceError{advice.With(fmt.Errorf(format, args...), "add the secret as a new key after it", "rotate", "add", connection)}
}

// CheckIssued refuses what is no day on which a key can have been made.
func CheckIssued(issued string, now time.Time) error {
	day, err := spec.ParseMoment(issued)
	switch {
	case len(issued) != len(time.DateOnly):
		return choiceError("--issued %q: write the day on which it was made, like 2026-11-20", issued)
	case err != nil:
		return choiceError("--issued %q: it %w; write the day on which it was made, like 2026-11-20", issued, err)
	case day.After(now):
		return choiceError("--issued %s: it is in the future; write the day on which it was made", issued)
	}
	return nil
}

// KeyOf is the number of the key whose secret a path names, 1 for the first; 0 for a
// secret that stands in no list.
func KeyOf(path []string) int {
	if len(path) < 3 {
		return 0
	}
	index, err := strconv.Atoi(path[2])
	if err != nil {
		return 0
	}
	return index + 1
}

// Issued is the place of an entry of credentials.keys that says on which day it was
// made, in a file without such a list. A lone client secret gives way to it.
func (p Place) Issued(issued string, now time.Time) (Place, error) {
	err := CheckIssued(issued, now)
	switch {
	case err != nil:
		return p, err
	case p.Binding.Field != ClientSecret:
		return p, choiceError("--issued: only a client secret has an age")
	case len(p.Path) > 2:
		has := advice.With(fmt.Errorf("--issued: %s has credentials.keys already", p.File), "write issued: "+issued+" beside this entry, and replace its secret",
			p.repository.SealCommand(p.File, ClientSecret, KeyOf(p.Path))...)
		return p, &ChoiceError{advice.With(has, "or add a newer one", "rotate", "add", p.Connection)}
	}
	p.Path = []string{"credentials", "keys", "0", p.Path[len(p.Path)-1]}
	p.issued = issued
	return p, nil
}

// Seal writes a secret into the place, sealed, and notes for whom. It gives the errors
// that the file still has.
func (p Place) Seal(value secrets.Value, to secrets.Recipients) ([]spec.Problem, error) {
	r := p.repository
	sealed, err := secrets.Seal(value, p.Binding, to)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", p.File, Dotted(p.Path), err)
	}
	text, err := p.with(sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.File, err)
	}
	lock, err := r.Lock()
	if err == nil {
		err = r.unchanged(p.File, p.text)
	}
	if err == nil {
		err = r.Write(r.Path(p.File), text)
	}
	if err != nil {
		return nil, err
	}
	lock.Record(sealed, to)
	after := r.Reload()
	return after.Errors(p.File), after.saveLock(lock)
}

// with is the text of the file with a secret at the place.
func (p Place) with(sealed secrets.Sealed) ([]byte, error) {
	if p.issued == "" {
		return spec.SetSecret(p.text, p.Path, sealed.Armor())
	}
	text, err := spec.AddKey(p.text, spec.NewKey{Names: []string{p.Path[len(p.Path)-1]}, Armor: sealed.Armor(), Issued: p.issued})
	if err != nil || !p.hasSecret {
		return text, err
	}
	return spec.RemoveKeys(text, []int{0}) // it replaces the lone one
}

// Sealed finds the sealed secret that stands at the place.
func (p Place) Sealed() (secrets.Sealed, spec.Origin, error) {
	all, err := spec.Secrets(p.text)
	if err != nil {
		return secrets.Sealed{}, spec.Origin{}, fmt.Errorf("%s: %w", p.File, err)
	}
	for _, at := range all {
		if slices.Equal(at.Path, p.Path) {
			at.Origin.File = p.File
			s, err := secrets.Parse(at.Armor)
			if err != nil {
				return secrets.Sealed{}, at.Origin, fmt.Errorf("%s: %s: %w", at.Origin, Dotted(p.Path), err)
			}
			return s, at.Origin, nil
		}
	}
	return secrets.Sealed{}, spec.Origin{}, fmt.Errorf("%s: nothing sealed stands at %s", p.File, Dotted(p.Path))
}

// Dotted is a path as people write it, entries counted from 1.
func Dotted(path []string) string {
	var out strings.Builder
	for i, name := range path {
		if n, err := strconv.Atoi(name); err == nil {
			fmt.Fprintf(&out, "[%d]", n+1)
			continue
		}
		if i > 0 {
			out.WriteByte('.')
		}
		out.WriteString(name)
	}
	return out.String()
}
