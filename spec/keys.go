package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// NewKey is an entry to add to credentials.keys.
type NewKey struct {
	// Names are those that the secret may have in a file of the provider. The one
	// that the file uses already is taken, else the first.
	Names []string
	// Armor is the sealed secret.
	Armor string
	// Issued and NotBefore are a date or a time as a file holds them; "" is left
	// out.
	Issued, NotBefore string
	// AfterUnknown puts `{unknown: true}` before it. It is refused where the file
	// has a key already.
	AfterUnknown bool
	// Before is the number of the entry that it is put before, 1 is the oldest; 0
	// puts it at the end. Comments right above that entry stay above it.
	Before int
}

// AddKey returns src with one more key in credentials.keys. A lone secret below
// credentials becomes the first entry of the list, moved as it is but for its
// indent; a missing list, or credentials, is added.
//
// Every other byte stays as it is: comments, order, line ends, byte order mark, a
// missing last line end. The result is parsed again and refused unless it differs
// from src in that list alone. src is not changed.
func AddKey(src []byte, key NewKey) ([]byte, error) {
	out, err := addKey(src, key)
	if err != nil {
		return nil, fmt.Errorf("add key: %w", err)
	}
	return out, nil
}

func addKey(src []byte, key NewKey) ([]byte, error) {
	key.Armor = strings.TrimSpace(key.Armor) + "\n"
	if problem := key.check(); problem != "" {
		return nil, errors.New(problem)
	}
	root, err := parseForEdit(src)
	if err != nil {
		return nil, err
	}
	k := keyEditor{editor: editor{src: src, armor: key.Armor}, key: key, field: key.Names[0], root: root}
	out, want, err := k.add()
	if err != nil {
		return nil, err
	}
	return out, verifyTree(out, want)
}

func (k NewKey) check() string {
	for _, when := range []string{k.Issued, k.NotBefore} {
		if _, err := ParseMoment(when); when != "" && err != nil {
			return "a date must be like 2026-12-01 or 2026-12-01T14:30:00Z"
		}
	}
	if len(k.Names) == 0 || !fieldName.MatchString(k.Names[0]) {
		return "the name of a field to add must be a plain word"
	}
	if problem := checkArmor(k.Armor); problem != "" {
		return "the armor " + problem
	}
	return ""
}

// RemoveKeys returns src without the entries of credentials.keys at indexes,
// counted from 0. It promises of the other bytes what [AddKey] does; comments
// inside an entry go with it, those above it stay. Removing all entries is
// refused.
func RemoveKeys(src []byte, indexes []int) ([]byte, error) {
	sorted := slices.Compact(slices.Sorted(slices.Values(indexes)))
	for _, index := range slices.Backward(sorted) {
		var err error
		if src, err = removeKey(src, index); err != nil {
			return nil, fmt.Errorf("remove key %d: %w", index+1, err)
		}
	}
	return src, nil
}

func removeKey(src []byte, index int) ([]byte, error) {
	root, err := parseForEdit(src)
	if err != nil {
		return nil, err
	}
	credentials := root.get("credentials")
	if credentials == nil || credentials.kind != mapNode || credentials.get("keys") == nil || credentials.get("keys").kind != listNode {
		return nil, errors.New("credentials.keys is not a list")
	}
	list := credentials.get("keys")
	switch {
	case index < 0 || index >= len(list.items):
		return nil, fmt.Errorf("%s: the list has no such entry", list.origin)
	case len(list.items) == 1:
		return nil, fmt.Errorf("%s: it is the only one", list.origin)
	}
	shorter := *list
	shorter.items = slices.Delete(slices.Clone(list.items), index, index+1)
	want := root.with("credentials", member{name: "credentials", value: credentials.with("keys", member{name: "keys", value: &shorter})})
	e := editor{src: src}
	var out []byte
	var ok bool
	if list.isFlow() {
		out, ok = e.cutFlowItem(list, index)
	} else {
		out, ok = e.cutBlockItem(list, index)
	}
	if !ok {
		return nil, errSeveral
	}
	return out, verifyTree(out, want)
}

// verifyTree parses the result and compares it with what it should be.
func verifyTree(out []byte, want *node) error {
	got, err := parseForEdit(out)
	if err != nil || !same(want, got) {
		return errSeveral
	}
	return nil
}

func (n *node) isFlow() bool { return n.raw.Style&yaml.FlowStyle != 0 }

// with is a copy of a mapping in which m stands for the field of that name, or at
// the end if there is none.
func (n *node) with(name string, m member) *node {
	next := *n
	next.members = slices.Clone(n.members)
	if at := slices.IndexFunc(next.members, func(m member) bool { return m.name == name }); at >= 0 {
		next.members[at] = m
	} else {
		next.members = append(next.members, m)
	}
	return &next
}
