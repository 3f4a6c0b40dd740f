package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// SecretAt is one sealed value of one file.
type SecretAt struct {
	Path   []string // names of fields and indexes of entries, from the root
	Origin Origin   // of the !age; File is empty
	Armor  string   // as in [Secret]
}

var (
	errSeveral = errors.New("the edit would change more than this field; write the field and its neighbours out in block style")
	fieldName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// Secrets returns the sealed values of a file in the order in which they are
// written, whatever fields they belong to. It opens none of them.
func Secrets(src []byte) ([]SecretAt, error) {
	root, err := parseForEdit(src)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	var found []SecretAt
	var visit func(n *node, path []string)
	visit = func(n *node, path []string) {
		if n.age {
			found = append(found, SecretAt{Path: slices.Clone(path), Origin: n.origin, Armor: strings.TrimSpace(n.text) + "\n"})
		}
		for _, m := range n.members {
			visit(m.value, append(path, m.name))
		}
		for i, item := range n.items {
			visit(item, append(path, strconv.Itoa(i)))
		}
	}
	visit(root, nil)
	return found, nil
}

// SetSecret returns src with armor, sealed text under !age, at path: the names
// of fields and the indexes of list entries from the root, for example
// credentials, keys, 1, client_secret. A scalar that is there is replaced, a
// missing field is added, with the mappings around it if they are missing too.
// An entry of a list must exist.
//
// Every byte that is not the old value stays as it is: comments, order, line
// ends, byte order mark, a missing last line end. The result is parsed again
// and refused unless it differs from src at path alone. src is not changed.
func SetSecret(src []byte, path []string, armor string) ([]byte, error) {
	where := strings.Join(path, ".")
	armor = strings.TrimSpace(armor) + "\n"
	if problem := checkArmor(armor); problem != "" {
		return nil, fmt.Errorf("set secret: the armor %s", problem)
	}
	root, err := parseForEdit(src)
	if err != nil {
		return nil, fmt.Errorf("set secret %s: %w", printable(where), err)
	}
	place, err := find(root, path)
	if err != nil {
		return nil, fmt.Errorf("set secret %s: %w", printable(where), err)
	}
	e := editor{src: src, armor: armor}
	var out []byte
	if place.node != nil {
		out, err = e.replace(place)
	} else {
		out, err = e.add(place)
	}
	if err == nil {
		err = verify(root, out, path, armor)
	}
	if err != nil {
		return nil, fmt.Errorf("set secret %s: %w", printable(where), err)
	}
	return out, nil
}

func parseForEdit(src []byte) (*node, error) {
	root, problems := parse("", src, true)
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	if root.kind != mapNode {
		return nil, errors.New("the file must be a mapping")
	}
	return root, nil
}

// place is where an edit goes.
type place struct {
	node    *node      // the value to replace, nil when it is missing
	key     *yaml.Node // the name of the field of that value
	flow    bool       // inside brackets, where no block can stand
	mapping *node      // the mapping that lacks the field
	missing []string   // names of the fields to add below mapping
}

// find follows path from the root as far as it goes.
func find(root *node, path []string) (place, error) {
	p := place{}
	n := root
	if len(path) == 0 {
		return p, errors.New("the path is empty")
	}
	for i, name := range path {
		p.flow = p.flow || n.raw.Style&yaml.FlowStyle != 0
		var next *node
		switch n.kind {
		case listNode:
			index, err := strconv.Atoi(name)
			if err != nil || index < 0 || index >= len(n.items) {
				return p, fmt.Errorf("%s: the list has no such entry", n.origin)
			}
			next, p.key = n.items[index], nil
		case mapNode:
			if at := slices.IndexFunc(n.members, func(m member) bool { return m.name == name }); at >= 0 {
				next, p.key = n.members[at].value, n.members[at].key
				break
			}
			if slices.ContainsFunc(path[i:], func(s string) bool { return !fieldName.MatchString(s) }) {
				return p, errors.New("the name of a field to add must be a plain word")
			}
			p.mapping, p.missing = n, path[i:]
			return p, nil
		default:
			return p, fmt.Errorf("%s: a text stands where a mapping is needed", n.origin)
		}
		n = next
	}
	if n.kind != scalarNode || p.key == nil {
		return p, fmt.Errorf("%s: only a text can be replaced", n.origin)
	}
	p.node = n
	return p, nil
}

// verify parses the result and compares it with what was there.
func verify(before *node, out []byte, path []string, armor string) error {
	after, err := parseForEdit(out)
	if err != nil || !differsOnlyAt(before, after, path, armor) {
		return errSeveral
	}
	return nil
}

// differsOnlyAt reports whether after is before with armor at path; before is
// nil below the point where path did not exist.
func differsOnlyAt(before, after *node, path []string, armor string) bool {
	if len(path) == 0 {
		return after.kind == scalarNode && after.age && strings.TrimSpace(after.text)+"\n" == armor
	}
	if before == nil {
		return after.kind == mapNode && len(after.members) == 1 && after.members[0].name == path[0] &&
			differsOnlyAt(nil, after.members[0].value, path[1:], armor)
	}
	if before.kind != after.kind || len(before.items) != len(after.items) {
		return false
	}
	for i := range before.items {
		if strconv.Itoa(i) == path[0] {
			if !differsOnlyAt(before.items[i], after.items[i], path[1:], armor) {
				return false
			}
		} else if !same(before.items[i], after.items[i]) {
			return false
		}
	}
	rest := slices.Clone(after.members)
	at := slices.IndexFunc(rest, func(m member) bool { return m.name == path[0] })
	if before.kind == mapNode {
		if at < 0 || !differsOnlyAt(before.get(path[0]), rest[at].value, path[1:], armor) {
			return false
		}
		rest = slices.Delete(rest, at, at+1)
	}
	others := slices.DeleteFunc(slices.Clone(before.members), func(m member) bool { return m.name == path[0] })
	return slices.EqualFunc(others, rest, sameMember)
}

func sameMember(a, b member) bool { return a.name == b.name && same(a.value, b.value) }

// same compares two trees. White space around sealed text means nothing.
func same(a, b *node) bool {
	text := a.text == b.text || a.age && strings.TrimSpace(a.text) == strings.TrimSpace(b.text)
	return a.kind == b.kind && text && a.plain == b.plain && a.null == b.null && a.empty == b.empty && a.age == b.age &&
		slices.EqualFunc(a.items, b.items, same) && slices.EqualFunc(a.members, b.members, sameMember)
}
