package spec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
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
	if len(k.Names) == 0 || !fieldName().MatchString(k.Names[0]) {
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
	credentials := root.Get("credentials")
	if credentials == nil || credentials.Kind != yamlpos.Mapping || credentials.Get("keys") == nil || credentials.Get("keys").Kind != yamlpos.List {
		return nil, errors.New("credentials.keys is not a list")
	}
	list := credentials.Get("keys")
	switch {
	case index < 0 || index >= len(list.Items):
		return nil, fmt.Errorf("%s: the list has no such entry", list.Origin)
	case len(list.Items) == 1:
		return nil, fmt.Errorf("%s: it is the only one", list.Origin)
	}
	shorter := *list
	shorter.Items = slices.Delete(slices.Clone(list.Items), index, index+1)
	want := root.With("credentials", yamlpos.Member{Name: "credentials", Value: credentials.With("keys", yamlpos.Member{Name: "keys", Value: &shorter})})
	e := editor{src: src}
	var out []byte
	var ok bool
	if list.IsFlow() {
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
func verifyTree(out []byte, want *yamlpos.Node) error {
	got, err := parseForEdit(out)
	if err != nil || !same(want, got) {
		return errSeveral
	}
	return nil
}

// keyEditor adds one key to a file.
type keyEditor struct {
	editor
	key   NewKey
	field string // the name of the secret in the new entry
	root  *yamlpos.Node
}

// add returns the new bytes and what they must parse to.
func (k keyEditor) add() ([]byte, *yamlpos.Node, error) {
	credentials := k.root.Get("credentials")
	if have := entriesBelow(credentials); k.key.Before < 0 || k.key.Before > have {
		return nil, nil, fmt.Errorf("credentials.keys has no entry %d to put it before", k.key.Before)
	}
	if credentials == nil {
		out, list, err := k.addList(k.root, "credentials", "keys")
		block := &yamlpos.Node{Kind: yamlpos.Mapping, Members: []yamlpos.Member{{Name: "keys", Value: list}}}
		return out, k.added(k.root, yamlpos.Member{Name: "credentials", Value: block}), err
	}
	if credentials.Kind != yamlpos.Mapping {
		return nil, nil, fmt.Errorf("%s: credentials must be a mapping", credentials.Origin)
	}
	out, changed, err := k.addBelow(credentials)
	return out, k.root.With("credentials", yamlpos.Member{Name: "credentials", Value: changed}), err
}

func (k keyEditor) addBelow(credentials *yamlpos.Node) ([]byte, *yamlpos.Node, error) {
	lone := slices.IndexFunc(credentials.Members, func(m yamlpos.Member) bool { return slices.Contains(k.key.Names, m.Name) })
	list := credentials.Get("keys")
	if k.key.AfterUnknown && (lone >= 0 || list != nil && len(list.Items) > 0) {
		return nil, nil, errors.New("the file has a key already, and only the first one can be unknown")
	}
	switch {
	case lone >= 0 && list != nil:
		return nil, nil, fmt.Errorf("%s: %s and keys cannot stand together; move it into keys", credentials.Members[lone].Origin, credentials.Members[lone].Name)
	case lone >= 0:
		return k.wrap(credentials, credentials.Members[lone])
	case list != nil && list.Kind != yamlpos.List:
		return nil, nil, fmt.Errorf("%s: credentials.keys must be a list", list.Origin)
	case list != nil:
		out, longer, err := k.insertInto(list)
		return out, credentials.With("keys", yamlpos.Member{Name: "keys", Value: longer}), err
	}
	out, list, err := k.addList(credentials, "keys")
	return out, k.added(credentials, yamlpos.Member{Name: "keys", Value: list}), err
}

// added is a mapping with a new field, where the editor puts it.
func (k keyEditor) added(n *yamlpos.Node, m yamlpos.Member) *yamlpos.Node {
	next := *n
	if n.IsFlow() {
		next.Members = slices.Insert(slices.Clone(n.Members), 0, m)
	} else {
		next.Members = append(slices.Clone(n.Members), m)
	}
	return &next
}

// addList writes a list of keys that was not there, at the end of names below a
// mapping.
func (k keyEditor) addList(mapping *yamlpos.Node, names ...string) ([]byte, *yamlpos.Node, error) {
	list := &yamlpos.Node{Kind: yamlpos.List, Items: k.entries()}
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
func (k keyEditor) insertInto(list *yamlpos.Node) ([]byte, *yamlpos.Node, error) {
	for _, item := range list.Items {
		for _, m := range item.Members {
			if slices.Contains(k.key.Names, m.Name) {
				k.field = m.Name
			}
		}
	}
	index := len(list.Items)
	if k.key.Before > 0 {
		index = k.key.Before - 1
	}
	longer := *list
	longer.Items = slices.Insert(slices.Clone(list.Items), index, k.entries()...)
	out, ok := k.splice(list, index)
	if !ok {
		return nil, nil, errSeveral
	}
	return out, &longer, nil
}

// splice writes the new entry before the one at index, or after the last one.
func (k keyEditor) splice(list *yamlpos.Node, index int) ([]byte, bool) {
	if !list.IsFlow() {
		spans, ok := k.blockItems(list)
		if !ok {
			return nil, false
		}
		at := spans[len(spans)-1].end
		if index < len(spans) {
			at = k.aboveComments(spans[index].start, list.Raw.Column-1)
		}
		return k.join(k.src[:at], k.blockEntries(list.Raw.Column-1), k.src[at:], k.src[:at]), true
	}
	at, text, ok := k.offset(list.Raw.Line, list.Raw.Column)+1, k.flowEntries(), true
	switch {
	case index < len(list.Items):
		next := list.Items[index].Raw
		at, text = k.offset(next.Line, next.Column), text+", "
	case index > 0:
		at, ok = k.flowEnd(list.Items[index-1])
		text = ", " + text
	}
	return slices.Concat(k.src[:at], []byte(text), k.src[at:]), ok
}

// wrap makes the lone secret the first entry of a list, and adds the new one.
func (k keyEditor) wrap(credentials *yamlpos.Node, lone yamlpos.Member) ([]byte, *yamlpos.Node, error) {
	k.field = lone.Name
	first := &yamlpos.Node{Kind: yamlpos.Mapping, Members: []yamlpos.Member{lone}}
	list := &yamlpos.Node{Kind: yamlpos.List, Items: append([]*yamlpos.Node{first}, k.entries()...)}
	changed := credentials.With(lone.Name, yamlpos.Member{Name: "keys", Value: list})
	start := k.offset(lone.Key.Line, lone.Key.Column)
	if credentials.IsFlow() {
		end, ok := k.flowEnd(lone.Value)
		if !ok {
			return nil, nil, errSeveral
		}
		out := slices.Concat(k.src[:start], []byte("keys: [{"), k.src[start:end], []byte("}, "+k.flowEntries()+"]"), k.src[end:])
		return out, changed, nil
	}
	indent := lone.Key.Column - 1
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
func (k keyEditor) fields() []yamlpos.Member {
	var out []yamlpos.Member
	for _, f := range []struct{ name, text string }{{"issued", k.key.Issued}, {"not_before", k.key.NotBefore}} {
		if f.text != "" {
			out = append(out, yamlpos.Member{Name: f.name, Value: &yamlpos.Node{Text: f.text, Plain: true}})
		}
	}
	return out
}

// entries are the new ones as they must parse.
func (k keyEditor) entries() []*yamlpos.Node {
	entry := &yamlpos.Node{Kind: yamlpos.Mapping, Members: append(k.fields(), yamlpos.Member{Name: k.field, Value: &yamlpos.Node{Text: k.key.Armor, Tagged: true}})}
	if !k.key.AfterUnknown {
		return []*yamlpos.Node{entry}
	}
	unknown := yamlpos.Member{Name: "unknown", Value: &yamlpos.Node{Text: "true", Plain: true}}
	return []*yamlpos.Node{{Kind: yamlpos.Mapping, Members: []yamlpos.Member{unknown}}, entry}
}

func (k keyEditor) blockEntries(indent int) string {
	pad := strings.Repeat(" ", indent)
	var out strings.Builder
	if k.key.AfterUnknown {
		out.WriteString(pad + "- {unknown: true}" + k.eol())
	}
	lead := pad + "- "
	for _, f := range k.fields() {
		out.WriteString(lead + f.Name + ": " + f.Value.Text + k.eol())
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
		out += f.Name + ": " + f.Value.Text + ", "
	}
	return out + k.field + ": " + k.quoted() + "}"
}

func entriesBelow(credentials *yamlpos.Node) int {
	if credentials == nil || credentials.Get("keys") == nil {
		return 0
	}
	return len(credentials.Get("keys").Items)
}

// span is a piece of a file, in bytes.
type span struct{ start, end int }

// blockItems finds the lines of each entry of a block list, from the line of its
// dash to the last line that belongs to it.
func (e editor) blockItems(list *yamlpos.Node) ([]span, bool) {
	indent := list.Raw.Column - 1
	at := e.offset(list.Raw.Line, list.Raw.Column) - indent
	var spans []span
	for range list.Items {
		for at < len(e.src) && isFiller(e.src[at:e.endOfLine(at)]) {
			at = e.endOfLine(at)
		}
		if at < 0 || !bytes.HasPrefix(e.src[at:], []byte(strings.Repeat(" ", indent)+"-")) {
			return nil, false
		}
		end := e.blockEnd(e.endOfLine(at), indent+1)
		spans = append(spans, span{at, end})
		at = end
	}
	return spans, len(spans) > 0
}

// aboveComments goes up from the beginning of a line over the comments of the
// same indent that stand right above it.
func (e editor) aboveComments(at, indent int) int {
	for at > 0 {
		above := bytes.LastIndexByte(e.src[:at-1], '\n') + 1
		if line := e.src[above:at]; indentOf(line) != indent || line[indent] != '#' {
			return at
		}
		at = above
	}
	return at
}

// isFiller reports whether a line is blank or a comment.
func isFiller(line []byte) bool {
	text := bytes.TrimSpace(line)
	return len(text) == 0 || text[0] == '#'
}

func (e editor) cutBlockItem(list *yamlpos.Node, index int) ([]byte, bool) {
	spans, ok := e.blockItems(list)
	if !ok {
		return nil, false
	}
	cut := spans[index]
	head := e.src[:cut.start]
	if cut.end == len(e.src) && !bytes.HasSuffix(e.src, []byte("\n")) {
		head = bytes.TrimSuffix(head, []byte(e.eol()))
	}
	return slices.Concat(head, e.src[cut.end:]), true
}

// cutFlowItem removes an entry of a list in brackets and the comma that parted it
// from its neighbour.
func (e editor) cutFlowItem(list *yamlpos.Node, index int) ([]byte, bool) {
	item := list.Items[index].Raw
	start := e.offset(item.Line, item.Column)
	end, ok := e.flowEnd(list.Items[index])
	if !ok {
		return nil, false
	}
	if index == len(list.Items)-1 {
		before, ok := e.flowEnd(list.Items[index-1])
		comma := e.skipFiller(before)
		if !ok || comma >= start || e.src[comma] != ',' {
			return nil, false
		}
		between := bytes.TrimRight(e.src[comma+1:start], " ")
		return slices.Concat(e.src[:comma], between, e.src[end:]), true
	}
	comma := e.skipFiller(end)
	if comma >= len(e.src) || e.src[comma] != ',' {
		return nil, false
	}
	return slices.Concat(e.src[:start], e.src[end:comma], bytes.TrimLeft(e.src[comma+1:], " ")), true
}

// flowEnd returns the position after a value in braces or brackets.
func (e editor) flowEnd(n *yamlpos.Node) (int, bool) {
	start := e.offset(n.Raw.Line, n.Raw.Column)
	if n.Kind == yamlpos.Scalar {
		return e.scalarEnd(n.Raw, start)
	}
	at, ok := start+1, true
	switch {
	case len(n.Items) > 0:
		at, ok = e.flowEnd(n.Items[len(n.Items)-1])
	case len(n.Members) > 0:
		at, ok = e.flowEnd(n.Members[len(n.Members)-1].Value)
	}
	if start >= len(e.src) || e.src[start] != '{' && e.src[start] != '[' {
		return at, ok // one pair without braces
	}
	at = e.skipFiller(at)
	if at < len(e.src) && e.src[at] == ',' {
		at = e.skipFiller(at + 1)
	}
	return at + 1, ok && at < len(e.src) && (e.src[at] == '}' || e.src[at] == ']')
}

// skipFiller returns the position after white space and comments.
func (e editor) skipFiller(at int) int {
	for at < len(e.src) {
		switch e.src[at] {
		case ' ', '\t', '\r', '\n':
			at++
		case '#':
			at = e.endOfLine(at)
		default:
			return at
		}
	}
	return at
}
