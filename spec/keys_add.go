package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// keyEditor adds one key to a file.
type keyEditor struct {
	editor
	key   NewKey
	field string // the name of the secret in the new entry
	root  *node
}

// add returns the new bytes and what they must parse to.
func (k keyEditor) add() ([]byte, *node, error) {
	credentials := k.root.get("credentials")
	if have := entriesBelow(credentials); k.key.Before < 0 || k.key.Before > have {
		return nil, nil, fmt.Errorf("credentials.keys has no entry %d to put it before", k.key.Before)
	}
	if credentials == nil {
		out, list, err := k.addList(k.root, "credentials", "keys")
		block := &node{kind: mapNode, members: []member{{name: "keys", value: list}}}
		return out, k.added(k.root, member{name: "credentials", value: block}), err
	}
	if credentials.kind != mapNode {
		return nil, nil, fmt.Errorf("%s: credentials must be a mapping", credentials.origin)
	}
	out, changed, err := k.addBelow(credentials)
	return out, k.root.with("credentials", member{name: "credentials", value: changed}), err
}

func (k keyEditor) addBelow(credentials *node) ([]byte, *node, error) {
	lone := slices.IndexFunc(credentials.members, func(m member) bool { return slices.Contains(k.key.Names, m.name) })
	list := credentials.get("keys")
	if k.key.AfterUnknown && (lone >= 0 || list != nil && len(list.items) > 0) {
		return nil, nil, errors.New("the file has a key already, and only the first one can be unknown")
	}
	switch {
	case lone >= 0 && list != nil:
		return nil, nil, fmt.Errorf("%s: %s and keys cannot stand together; move it into keys", credentials.members[lone].origin, credentials.members[lone].name)
	case lone >= 0:
		return k.wrap(credentials, credentials.members[lone])
	case list != nil && list.kind != listNode:
		return nil, nil, fmt.Errorf("%s: credentials.keys must be a list", list.origin)
	case list != nil:
		out, longer, err := k.insertInto(list)
		return out, credentials.with("keys", member{name: "keys", value: longer}), err
	}
	out, list, err := k.addList(credentials, "keys")
	return out, k.added(credentials, member{name: "keys", value: list}), err
}

// added is a mapping with a new field, where the editor puts it.
func (k keyEditor) added(n *node, m member) *node {
	next := *n
	if n.isFlow() {
		next.members = slices.Insert(slices.Clone(n.members), 0, m)
	} else {
		next.members = append(slices.Clone(n.members), m)
	}
	return &next
}

// addList writes a list of keys that was not there, at the end of names below a
// mapping.
func (k keyEditor) addList(mapping *node, names ...string) ([]byte, *node, error) {
	list := &node{kind: listNode, items: k.entries()}
	out, err := k.insert(mapping,
		strings.Join(names, ": {")+": ["+k.flowEntries()+"]"+strings.Repeat("}", len(names)-1),
		func(indent int) string {
			var text strings.Builder
			for i, name := range names {
				text.WriteString(strings.Repeat(" ", indent+i*indentStep) + name + ":" + k.eol())
			}
			return text.String() + k.blockEntries(indent+len(names)*indentStep)
		})
	return out, list, err
}

// insertInto writes the new entry at its place in a list.
func (k keyEditor) insertInto(list *node) ([]byte, *node, error) {
	for _, item := range list.items {
		for _, m := range item.members {
			if slices.Contains(k.key.Names, m.name) {
				k.field = m.name
			}
		}
	}
	index := len(list.items)
	if k.key.Before > 0 {
		index = k.key.Before - 1
	}
	longer := *list
	longer.items = slices.Insert(slices.Clone(list.items), index, k.entries()...)
	out, ok := k.splice(list, index)
	if !ok {
		return nil, nil, errSeveral
	}
	return out, &longer, nil
}

// splice writes the new entry before the one at index, or after the last one.
func (k keyEditor) splice(list *node, index int) ([]byte, bool) {
	if !list.isFlow() {
		spans, ok := k.blockItems(list)
		if !ok {
			return nil, false
		}
		at := spans[len(spans)-1].end
		if index < len(spans) {
			at = k.aboveComments(spans[index].start, list.raw.Column-1)
		}
		return k.join(k.src[:at], k.blockEntries(list.raw.Column-1), k.src[at:], k.src[:at]), true
	}
	at, text, ok := k.offset(list.raw.Line, list.raw.Column)+1, k.flowEntries(), true
	switch {
	case index < len(list.items):
		next := list.items[index].raw
		at, text = k.offset(next.Line, next.Column), text+", "
	case index > 0:
		at, ok = k.flowEnd(list.items[index-1])
		text = ", " + text
	}
	return slices.Concat(k.src[:at], []byte(text), k.src[at:]), ok
}

// wrap makes the lone secret the first entry of a list, and adds the new one.
func (k keyEditor) wrap(credentials *node, lone member) ([]byte, *node, error) {
	k.field = lone.name
	first := &node{kind: mapNode, members: []member{lone}}
	list := &node{kind: listNode, items: append([]*node{first}, k.entries()...)}
	changed := credentials.with(lone.name, member{name: "keys", value: list})
	start := k.offset(lone.key.Line, lone.key.Column)
	if credentials.isFlow() {
		end, ok := k.flowEnd(lone.value)
		if !ok {
			return nil, nil, errSeveral
		}
		out := slices.Concat(k.src[:start], []byte("keys: [{"), k.src[start:end], []byte("}, "+k.flowEntries()+"]"), k.src[end:])
		return out, changed, nil
	}
	indent := lone.key.Column - 1
	line := start - indent
	if line < 0 || strings.Trim(string(k.src[line:start]), " ") != "" {
		return nil, nil, errSeveral
	}
	end := k.blockEnd(k.endOfLine(start), indent+1)
	head := string(k.src[:line]) + strings.Repeat(" ", indent) + "keys:" + k.eol() + strings.Repeat(" ", indent+indentStep) + "- "
	for one := range strings.Lines(string(k.src[start:end])) {
		if !strings.HasSuffix(head, "- ") && strings.TrimSpace(one) != "" {
			head += strings.Repeat(" ", 2*indentStep)
		}
		head += one
	}
	return k.join([]byte(head), k.blockEntries(indent+indentStep), k.src[end:], k.src[:end]), changed, nil
}

// fields of the new entry, in the order in which they are written; the secret
// comes after them.
func (k keyEditor) fields() []member {
	var out []member
	for _, f := range []struct{ name, text string }{{"issued", k.key.Issued}, {"not_before", k.key.NotBefore}} {
		if f.text != "" {
			out = append(out, member{name: f.name, value: &node{text: f.text, plain: true}})
		}
	}
	return out
}

// entries are the new ones as they must parse.
func (k keyEditor) entries() []*node {
	entry := &node{kind: mapNode, members: append(k.fields(), member{name: k.field, value: &node{text: k.key.Armor, age: true}})}
	if !k.key.AfterUnknown {
		return []*node{entry}
	}
	unknown := member{name: "unknown", value: &node{text: "true", plain: true}}
	return []*node{{kind: mapNode, members: []member{unknown}}, entry}
}

func (k keyEditor) blockEntries(indent int) string {
	pad := strings.Repeat(" ", indent)
	var out strings.Builder
	if k.key.AfterUnknown {
		out.WriteString(pad + "- {unknown: true}" + k.eol())
	}
	lead := pad + "- "
	for _, f := range k.fields() {
		out.WriteString(lead + f.name + ": " + f.value.text + k.eol())
		lead = pad + "  "
	}
	out.WriteString(lead + k.field + ": " + ageTag + " |" + k.eol() + k.body(indent+2*indentStep))
	return out.String()
}

func (k keyEditor) flowEntries() string {
	out := "{"
	if k.key.AfterUnknown {
		out = "{unknown: true}, {"
	}
	for _, f := range k.fields() {
		out += f.name + ": " + f.value.text + ", "
	}
	return out + k.field + ": " + k.quoted() + "}"
}

func entriesBelow(credentials *node) int {
	if credentials == nil || credentials.get("keys") == nil {
		return 0
	}
	return len(credentials.get("keys").items)
}
