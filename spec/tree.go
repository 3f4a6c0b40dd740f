package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"
)

// maxDepth is how many mappings and lists may be nested in one file.
const maxDepth = 16

// ageTag marks a sealed scalar.
const ageTag = "!age"

// lfsPointer is how a file begins whose content Git LFS keeps elsewhere.
const lfsPointer = "version https://git-lfs.github.com/spec/"

type kind int

const (
	scalarNode kind = iota
	listNode
	mapNode
)

// node is one YAML value after the checks that hold for every file: no alias,
// no anchor, no foreign tag, no duplicate key, nothing invisible in a text.
type node struct {
	kind    kind
	text    string // of a scalar, as written for plain ones
	plain   bool   // neither quoted nor a block
	null    bool   // the word null
	empty   bool   // nothing at all is written
	age     bool   // tagged !age
	bad     bool   // a problem of it, or of an entry of the list, was reported
	members []member
	items   []*node
	origin  Origin
	raw     *yaml.Node
}

type member struct {
	name   string
	origin Origin
	value  *node
	key    *yaml.Node
}

// get returns the value of a field of a mapping, nil when there is none.
func (n *node) get(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// parser builds the tree of one file and collects what is wrong with it.
type parser struct {
	file     string
	problems []Problem
}

// parse reads one document. The tree is nil when nothing of it can be told. With
// any problem it is for finding further ones only.
func parse(file string, src []byte, exact bool) (*node, []Problem) {
	p := &parser{file: file}
	if !p.checkBytes(src) {
		return nil, p.problems
	}
	if bytes.HasPrefix(src, []byte(lfsPointer)) {
		p.errorf(1, 1, "keep YAML out of Git LFS", "this is a pointer of Git LFS, not the file itself")
		return nil, p.problems
	}
	doc, err := decode(src)
	if err != nil {
		p.syntax(src, err, exact)
		return nil, p.problems
	}
	if doc == nil || len(doc.Content) == 0 || isEmpty(doc.Content[0]) {
		p.errorf(1, 1, "", "the file is empty")
		return nil, p.problems
	}
	return p.value(doc.Content[0], 0), p.problems
}

var errDocuments = errors.New("several documents")

// decode reads exactly one document. The library promises no panic and keeps
// that promise only for its own errors, so anything else becomes an error too.
func decode(src []byte) (doc *yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			doc, err = nil, errors.New("the YAML library gave up")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, errDocuments
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return &first, nil
}

func isEmpty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style == 0 && n.Value == "" && n.Tag == "!!null"
}

func (p *parser) errorf(line, column int, hint, format string, args ...any) {
	p.problems = append(p.problems, Problem{
		Origin:  Origin{File: p.file, Line: line, Column: column},
		Message: fmt.Sprintf(format, args...),
		Hint:    hint,
	})
}

func (p *parser) value(raw *yaml.Node, depth int) *node {
	n := &node{origin: Origin{File: p.file, Line: raw.Line, Column: raw.Column}, raw: raw}
	switch {
	case depth > maxDepth:
		p.refuse(n, "", "more than %d mappings and lists are nested here", maxDepth)
		return n
	case raw.Kind == yaml.AliasNode:
		p.refuse(n, "write the value out", "aliases are not allowed")
		return n
	case raw.Anchor != "":
		p.refuse(n, "write the value where it is needed", "anchors are not allowed")
		return n
	}
	p.tag(n, raw)
	switch raw.Kind {
	case yaml.MappingNode:
		n.kind = mapNode
		p.mapping(n, raw, depth)
	case yaml.SequenceNode:
		n.kind = listNode
		for _, entry := range raw.Content {
			item := p.value(entry, depth+1)
			n.items, n.bad = append(n.items, item), n.bad || item.bad
		}
	default:
		p.scalar(n, raw)
	}
	return n
}

// refuse reports a value that must not be read any further.
func (p *parser) refuse(n *node, hint, format string, args ...any) {
	n.bad = true
	p.errorf(n.origin.Line, n.origin.Column, hint, format, args...)
}

func (p *parser) tag(n *node, raw *yaml.Node) {
	switch {
	case raw.Tag == ageTag && raw.Kind == yaml.ScalarNode:
		n.age = true
	case raw.Tag == ageTag:
		p.refuse(n, "write `!age |` and the armored text below it", "!age stands before a text only")
	case raw.Style&yaml.TaggedStyle != 0:
		p.refuse(n, "the only tag is !age", "unknown tag")
	case raw.Tag == "!!merge":
		p.refuse(n, "put the text in quotes", "`<<` is not a value")
	}
}

func (p *parser) mapping(n *node, raw *yaml.Node, depth int) {
	lines := make(map[string]int, len(raw.Content)/2)
	for i := 0; i+1 < len(raw.Content); i += 2 {
		key, value := raw.Content[i], raw.Content[i+1]
		switch {
		case key.Tag == "!!merge":
			p.errorf(key.Line, key.Column, "write the fields out", "merge keys are not allowed")
			continue
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0 || key.Value == "":
			p.errorf(key.Line, key.Column, "", "the name of a field must be a plain word")
			continue
		case key.Anchor != "":
			p.errorf(key.Line, key.Column, "write the value where it is needed", "anchors are not allowed")
			continue
		case !isShown(key.Value, false):
			p.errorf(key.Line, key.Column, "retype it", "the name of a field holds a control or invisible character")
			continue
		}
		if line, twice := lines[key.Value]; twice {
			p.errorf(key.Line, key.Column, "keep one", "this field is already on line %d", line)
			continue
		}
		lines[key.Value] = key.Line
		origin := Origin{File: p.file, Line: key.Line, Column: key.Column}
		n.members = append(n.members, member{name: key.Value, origin: origin, value: p.value(value, depth+1), key: key})
	}
}

func (p *parser) scalar(n *node, raw *yaml.Node) {
	const styles = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	n.text = raw.Value
	n.plain = raw.Style&styles == 0
	n.empty = isEmpty(raw)
	n.null = n.plain && !n.age && raw.Value == "null"
	if raw.Tag == "!!null" && !n.null && !n.empty {
		p.refuse(n, "write `null`, or put it in quotes", "%s is null by another name", quoted(raw.Value))
	}
	if !isShown(raw.Value, !n.plain) {
		p.refuse(n, "retype it", "the value holds a control or invisible character")
	}
}
