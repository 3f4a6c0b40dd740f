package yamlpos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// maxDepth is how many mappings and lists may be nested in one file.
const maxDepth = 16

// lfsPointer is how a file begins whose content Git LFS keeps elsewhere.
const lfsPointer = "version https://git-lfs.github.com/spec/"

// Kind is what a value is.
type Kind int

// The kinds.
const (
	Scalar Kind = iota
	List
	Mapping
)

// Node is one YAML value after the checks that hold for every file: no alias,
// no anchor, no foreign tag, no duplicate key, nothing invisible in a text.
type Node struct {
	Kind    Kind
	Text    string // of a scalar, as written for plain ones
	Plain   bool   // neither quoted nor a block
	Null    bool   // the word null
	Empty   bool   // nothing at all is written
	Tagged  bool   // it has the tag of [Options]
	Bad     bool   // a problem of it, or of an entry of the list, was reported
	Members []Member
	Items   []*Node
	Origin  Origin
	Raw     *yaml.Node
}

// Member is a field of a mapping.
type Member struct {
	Name   string
	Origin Origin
	Value  *Node
	Key    *yaml.Node
}

// Get returns the value of a field of a mapping, nil when there is none.
func (n *Node) Get(name string) *Node {
	for _, m := range n.Members {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// IsFlow reports whether the value is written in braces or brackets.
func (n *Node) IsFlow() bool { return n.Raw.Style&yaml.FlowStyle != 0 }

// With is a copy of a mapping in which m stands for the field of that name, or at
// the end if there is none.
func (n *Node) With(name string, m Member) *Node {
	next := *n
	next.Members = slices.Clone(n.Members)
	if at := slices.IndexFunc(next.Members, func(m Member) bool { return m.Name == name }); at >= 0 {
		next.Members[at] = m
	} else {
		next.Members = append(next.Members, m)
	}
	return &next
}

// Without is a copy of a mapping that lacks the field of that name.
func (n *Node) Without(name string) *Node {
	next := *n
	next.Members = slices.DeleteFunc(slices.Clone(n.Members), func(m Member) bool { return m.Name == name })
	return &next
}

// parser builds the tree of one file and collects what is wrong with it.
type parser struct {
	file     string
	tag      string
	problems []Problem
}

// Options are how a file is read.
type Options struct {
	File  string // stands in the origins
	Tag   string // the only tag that may stand, before a scalar: `!age`; "" is none
	Exact bool   // search a broken file for the line that breaks it
}

// Parse reads one document of at most 1 MiB. The tree is nil when nothing of it can
// be told. With any problem it is for finding further ones only.
func Parse(src []byte, o Options) (*Node, []Problem) {
	p := &parser{file: o.File, tag: o.Tag}
	if !p.checkBytes(src) {
		return nil, p.problems
	}
	if bytes.HasPrefix(src, []byte(lfsPointer)) {
		p.errorf(1, 1, "keep YAML out of Git LFS", "this is a pointer of Git LFS, not the file itself")
		return nil, p.problems
	}
	doc, err := decode(src)
	if err != nil {
		p.syntax(src, err, o.Exact)
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

func (p *parser) value(raw *yaml.Node, depth int) *Node {
	n := &Node{Origin: Origin{File: p.file, Line: raw.Line, Column: raw.Column}, Raw: raw}
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
	p.tags(n, raw)
	switch raw.Kind {
	case yaml.MappingNode:
		n.Kind = Mapping
		p.mapping(n, raw, depth)
	case yaml.SequenceNode:
		n.Kind = List
		for _, entry := range raw.Content {
			item := p.value(entry, depth+1)
			n.Items, n.Bad = append(n.Items, item), n.Bad || item.Bad
		}
	default:
		p.scalar(n, raw)
	}
	return n
}

const inTheClear = "take it out and make a new one, because it was in a file; write a public key, a name or the path of a file here"

// refuse reports a value that must not be read any further.
func (p *parser) refuse(n *Node, hint, format string, args ...any) {
	n.Bad = true
	p.errorf(n.Origin.Line, n.Origin.Column, hint, format, args...)
}

func (p *parser) tags(n *Node, raw *yaml.Node) {
	switch {
	case p.tag != "" && raw.Tag == p.tag && raw.Kind == yaml.ScalarNode:
		n.Tagged = true
	case p.tag != "" && raw.Tag == p.tag:
		p.refuse(n, "write `"+p.tag+" |` and the armored text below it", "%s stands before a text only", p.tag)
	case raw.Style&yaml.TaggedStyle != 0:
		p.refuse(n, p.onlyTag(), "unknown tag")
	case raw.Tag == "!!merge":
		p.refuse(n, "put the text in quotes", "`<<` is not a value")
	}
}

func (p *parser) onlyTag() string {
	if p.tag == "" {
		return "take it out"
	}
	return "the only tag is " + p.tag
}

func (p *parser) mapping(n *Node, raw *yaml.Node, depth int) {
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
		case !IsShown(key.Value, false):
			p.errorf(key.Line, key.Column, "retype it", "the name of a field holds a control or invisible character")
			continue
		case visible.Key(key.Value) != "":
			p.errorf(key.Line, key.Column, inTheClear, "this is %s", visible.Key(key.Value))
			continue
		}
		if line, twice := lines[key.Value]; twice {
			p.errorf(key.Line, key.Column, "keep one", "this field is already on line %d", line)
			continue
		}
		lines[key.Value] = key.Line
		origin := Origin{File: p.file, Line: key.Line, Column: key.Column}
		n.Members = append(n.Members, Member{Name: key.Value, Origin: origin, Value: p.value(value, depth+1), Key: key})
	}
}

func (p *parser) scalar(n *Node, raw *yaml.Node) {
	const styles = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	n.Text = raw.Value
	n.Plain = raw.Style&styles == 0
	n.Empty = isEmpty(raw)
	n.Null = n.Plain && !n.Tagged && raw.Value == "null"
	if kind := visible.Key(raw.Value); kind != "" {
		p.refuse(n, inTheClear, "this is %s", kind)
		return
	}
	if raw.Tag == "!!null" && !n.Null && !n.Empty {
		p.refuse(n, "write `null`, or put it in quotes", "%s is null by another name", Quoted(raw.Value))
	}
	if !IsShown(raw.Value, !n.Plain) {
		p.refuse(n, "retype it", "the value holds a control or invisible character")
	}
}
