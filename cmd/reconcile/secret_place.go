package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// secretPlace is one field for a secret in one connection file.
type secretPlace struct {
	file       string // below the root
	text       []byte
	path       []string // in the file
	connection string   // environment/provider, as people read it
	provider   string
	binding    secrets.Binding
	hasSecret  bool // the file has a lone client secret
}

// place finds the field of a file that the flags mean.
func (r secretRepository) place(name string, f *secretFlags) (secretPlace, error) {
	file, err := r.relative(name)
	if err != nil {
		return secretPlace{}, err
	}
	e, c, err := r.connection(file)
	if err != nil {
		return secretPlace{}, err
	}
	text, err := os.ReadFile(r.path(file))
	if err != nil {
		return secretPlace{}, err
	}
	field, names, err := fieldNames(c.Provider, f.field)
	if err != nil {
		return secretPlace{}, err
	}
	written, err := credentialsIn(text)
	if err != nil {
		return secretPlace{}, fmt.Errorf("%s: %w", file, err)
	}
	path, err := written.path(field, names, f.key)
	if err != nil {
		return secretPlace{}, fmt.Errorf("%s: %w", file, err)
	}
	return secretPlace{
		file: file, text: text, path: path, connection: e.Name + "/" + c.Provider, provider: c.Provider,
		binding:   secrets.Binding{DevID: e.DevID, Provider: c.Provider, Field: field},
		hasSecret: slices.ContainsFunc(names, func(name string) bool { return written.fields[name] }),
	}, nil
}

// fieldNames gives the name that a secret is bound to, and the names it may have
// in a file of the provider, the usual one first.
func fieldNames(provider, name string) (field string, names []string, err error) {
	native := map[string]string{}
	if p, ok := providers.Lookup(provider); ok {
		native = p.Words().Native
	}
	field = name
	if canonical, ok := native[name]; ok {
		field = canonical
	}
	if field != plan.FieldClientSecret && field != plan.FieldVerificationSecret {
		return "", nil, usageError("--field %q: %s keeps its secrets in client_secret and verification_secret", name, provider)
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
		return writtenCredentials{}, errors.New("its YAML cannot be read; `reconcile validate` says where")
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
func (w writtenCredentials) path(field string, names []string, key int) ([]string, error) {
	pick := func(have map[string]bool) string {
		for _, name := range names {
			if have[name] {
				return name
			}
		}
		return names[0]
	}
	if field != plan.FieldClientSecret || !w.hasKeys {
		if key != 0 {
			return nil, usageError("--key %d: this secret does not stand in a list of keys", key)
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
		if len(known) != 1 {
			return nil, usageError("credentials.keys has %s; choose one with --key", plural(len(w.entries), "entry", "entries"))
		}
		index = known[0]
	}
	switch {
	case index < 0 || index >= len(w.entries):
		return nil, usageError("--key %d: credentials.keys has %s", key, plural(len(w.entries), "entry", "entries"))
	case w.entries[index]["unknown"]:
		return nil, usageError("--key %d: that entry says `unknown: true`; add a new entry after it and choose that", key)
	}
	return []string{"credentials", "keys", strconv.Itoa(index), pick(w.entries[index])}, nil
}

// asFirstKey is the place of an entry of credentials.keys that says when it was
// issued, in a file without such a list. A lone client secret gives way to it.
func (p secretPlace) asFirstKey(r secretRepository, issued string, now time.Time) (secretPlace, error) {
	day, err := spec.ParseMoment(issued)
	switch {
	case len(issued) != len(time.DateOnly):
		return p, usageError("--issued %q: write the day on which it was made, like 2026-11-20", issued)
	case err != nil:
		return p, usageError("--issued %q: it %w; write the day on which it was made, like 2026-11-20", issued, err)
	case day.After(now):
		return p, usageError("--issued %s: it is in the future; write the day on which it was made", issued)
	case p.binding.Field != plan.FieldClientSecret:
		return p, usageError("--issued: only a client secret has an age")
	case len(p.path) > 2:
		index, _ := strconv.Atoi(p.path[2])
		return p, usageError("--issued: %s has credentials.keys already; replace the secret of this entry with %s and write `issued: %s` beside it, or add a newer one with `reconcile rotate add %s`",
			p.file, r.sealing(p.file, &secretFlags{field: plan.FieldClientSecret, key: index + 1}), issued, p.connection)
	}
	p.path = []string{"credentials", "keys", "0", p.path[len(p.path)-1]}
	return p, nil
}

// with is the text of the file with a secret at the place.
func (p secretPlace) with(sealed secrets.Sealed, issued string) ([]byte, error) {
	if issued == "" {
		return spec.SetSecret(p.text, p.path, sealed.Armor())
	}
	text, err := spec.AddKey(p.text, spec.NewKey{Names: []string{p.path[len(p.path)-1]}, Armor: sealed.Armor(), Issued: issued})
	if err != nil || !p.hasSecret {
		return text, err
	}
	return spec.RemoveKeys(text, []int{0}) // it replaces the lone one
}

// dotted is a path as people write it, entries counted from 1.
func dotted(path []string) string {
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

// sealedAt finds the sealed secret that stands at the place.
func (p secretPlace) sealedAt() (secrets.Sealed, spec.Origin, error) {
	all, err := spec.Secrets(p.text)
	if err != nil {
		return secrets.Sealed{}, spec.Origin{}, fmt.Errorf("%s: %w", p.file, err)
	}
	for _, at := range all {
		if slices.Equal(at.Path, p.path) {
			at.Origin.File = p.file
			s, err := secrets.Parse(at.Armor)
			if err != nil {
				return secrets.Sealed{}, at.Origin, fmt.Errorf("%s: %s: %w", at.Origin, dotted(p.path), err)
			}
			return s, at.Origin, nil
		}
	}
	return secrets.Sealed{}, spec.Origin{}, fmt.Errorf("%s: nothing sealed stands at %s", p.file, dotted(p.path))
}
