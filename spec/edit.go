package spec

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// SecretAt is one sealed value of one file.
type SecretAt struct {
	Path   []string // names of fields and indexes of entries, from the root
	Origin Origin   // of the !age; File is empty
	Armor  string   // as in [Secret]
}

var (
	errSeveral = errors.New("the edit would change more than this field; write the field and its neighbours out in block style")
	fieldName  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]*$`) })
)

// Secrets returns the sealed values of a file in the order in which they are
// written, whatever fields they belong to. It opens none of them.
func Secrets(src []byte) ([]SecretAt, error) {
	root, err := parseForEdit(src)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	var found []SecretAt
	var visit func(n *yamlpos.Node, path []string)
	visit = func(n *yamlpos.Node, path []string) {
		if n.Tagged {
			found = append(found, SecretAt{Path: slices.Clone(path), Origin: n.Origin, Armor: tidyArmor(n.Text)})
		}
		for _, m := range n.Members {
			visit(m.Value, append(path, m.Name))
		}
		for i, item := range n.Items {
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
		return nil, fmt.Errorf("set secret %s: %w", yamlpos.Printable(where), err)
	}
	place, err := find(root, path)
	if err != nil {
		return nil, fmt.Errorf("set secret %s: %w", yamlpos.Printable(where), err)
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
		return nil, fmt.Errorf("set secret %s: %w", yamlpos.Printable(where), err)
	}
	return out, nil
}

func parseForEdit(src []byte) (*yamlpos.Node, error) {
	root, problems := parse("", src, true)
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	if root.Kind != yamlpos.Mapping {
		return nil, errors.New("the file must be a mapping")
	}
	return root, nil
}

// place is where an edit goes.
type place struct {
	node    *yamlpos.Node // the value to replace, nil when it is missing
	key     *yaml.Node    // the name of the field of that value
	flow    bool          // inside brackets, where no block can stand
	mapping *yamlpos.Node // the mapping that lacks the field
	missing []string      // names of the fields to add below mapping
}

// find follows path from the root as far as it goes.
func find(root *yamlpos.Node, path []string) (place, error) {
	p := place{}
	n := root
	if len(path) == 0 {
		return p, errors.New("the path is empty")
	}
	for i, name := range path {
		p.flow = p.flow || n.Raw.Style&yaml.FlowStyle != 0
		var next *yamlpos.Node
		switch n.Kind {
		case yamlpos.List:
			index, err := strconv.Atoi(name)
			if err != nil || index < 0 || index >= len(n.Items) {
				return p, fmt.Errorf("%s: the list has no such entry", n.Origin)
			}
			next, p.key = n.Items[index], nil
		case yamlpos.Mapping:
			if at := slices.IndexFunc(n.Members, func(m yamlpos.Member) bool { return m.Name == name }); at >= 0 {
				next, p.key = n.Members[at].Value, n.Members[at].Key
				break
			}
			if slices.ContainsFunc(path[i:], func(s string) bool { return !fieldName().MatchString(s) }) {
				return p, errors.New("the name of a field to add must be a plain word")
			}
			p.mapping, p.missing = n, path[i:]
			return p, nil
		default:
			return p, fmt.Errorf("%s: a text stands where a mapping is needed", n.Origin)
		}
		n = next
	}
	if n.Kind != yamlpos.Scalar || p.key == nil {
		return p, fmt.Errorf("%s: only a text can be replaced", n.Origin)
	}
	p.node = n
	return p, nil
}

// verify parses the result and compares it with what was there.
func verify(before *yamlpos.Node, out []byte, path []string, armor string) error {
	after, err := parseForEdit(out)
	if err != nil || !differsOnlyAt(before, after, path, armor) {
		return errSeveral
	}
	return nil
}

// differsOnlyAt reports whether after is before with armor at path; before is
// nil below the point where path did not exist.
func differsOnlyAt(before, after *yamlpos.Node, path []string, armor string) bool {
	if len(path) == 0 {
		return after.Kind == yamlpos.Scalar && after.Tagged && strings.TrimSpace(after.Text)+"\n" == armor
	}
	if before == nil {
		return after.Kind == yamlpos.Mapping && len(after.Members) == 1 && after.Members[0].Name == path[0] &&
			differsOnlyAt(nil, after.Members[0].Value, path[1:], armor)
	}
	if before.Kind != after.Kind || len(before.Items) != len(after.Items) {
		return false
	}
	for i := range before.Items {
		if strconv.Itoa(i) == path[0] {
			if !differsOnlyAt(before.Items[i], after.Items[i], path[1:], armor) {
				return false
			}
		} else if !same(before.Items[i], after.Items[i]) {
			return false
		}
	}
	rest := slices.Clone(after.Members)
	at := slices.IndexFunc(rest, func(m yamlpos.Member) bool { return m.Name == path[0] })
	if before.Kind == yamlpos.Mapping {
		if at < 0 || !differsOnlyAt(before.Get(path[0]), rest[at].Value, path[1:], armor) {
			return false
		}
		rest = slices.Delete(rest, at, at+1)
	}
	others := slices.DeleteFunc(slices.Clone(before.Members), func(m yamlpos.Member) bool { return m.Name == path[0] })
	return slices.EqualFunc(others, rest, sameMember)
}

func sameMember(a, b yamlpos.Member) bool { return a.Name == b.Name && same(a.Value, b.Value) }

// same compares two trees. White space around sealed text means nothing.
func same(a, b *yamlpos.Node) bool {
	text := a.Text == b.Text || a.Tagged && strings.TrimSpace(a.Text) == strings.TrimSpace(b.Text)
	return a.Kind == b.Kind && text && a.Plain == b.Plain && a.Null == b.Null && a.Empty == b.Empty && a.Tagged == b.Tagged &&
		slices.EqualFunc(a.Items, b.Items, same) && slices.EqualFunc(a.Members, b.Members, sameMember)
}

// indentStep is how much deeper a new block stands than its name.
const indentStep = 2

// editor changes the bytes of one file.
type editor struct {
	src   []byte
	armor string
}

// replace puts the armor where a scalar stands, or where nothing stands after
// the colon.
func (e editor) replace(p place) ([]byte, error) {
	start := e.offset(p.node.Raw.Line, p.node.Raw.Column)
	end, ok := e.scalarEnd(p.node.Raw, start)
	if !ok {
		return nil, errSeveral
	}
	gap := ""
	if start > 0 && !slices.Contains([]byte(" \t\n"), e.src[start-1]) {
		gap = " "
	}
	if p.flow {
		return slices.Concat(e.src[:start], []byte(gap+e.quoted()), e.src[end:]), nil
	}
	nameIndent := p.key.Column - 1
	lineEnd, indent := e.endOfLine(end), nameIndent+indentStep
	bodyEnd := lineEnd
	if p.node.Raw.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		if bodyEnd = e.blockEnd(lineEnd, nameIndent+1); bodyEnd > lineEnd {
			indent = indentOf(e.src[lineEnd:])
		}
	}
	head, tail := slices.Concat(e.src[:start], []byte(gap+ageTag+" |"), e.src[end:lineEnd]), e.src[bodyEnd:]
	return e.join(head, e.body(indent), tail, e.src[:bodyEnd]), nil
}

// add writes a new field, and the mappings around it.
func (e editor) add(p place) ([]byte, error) {
	if p.flow && !p.mapping.IsFlow() {
		return nil, errSeveral
	}
	flow := strings.Join(p.missing, ": {") + ": " + e.quoted() + strings.Repeat("}", len(p.missing)-1)
	return e.insert(p.mapping, flow, func(indent int) string {
		var text strings.Builder
		for i, name := range p.missing {
			text.WriteString(strings.Repeat(" ", indent+i*indentStep) + name + ":")
			if i < len(p.missing)-1 {
				text.WriteString(e.eol())
			}
		}
		return text.String() + " " + ageTag + " |" + e.eol() + e.body(indent+len(p.missing)*indentStep)
	})
}

// insert writes whole lines at the end of a block mapping, or flow at the
// beginning of a mapping in braces.
func (e editor) insert(mapping *yamlpos.Node, flow string, lines func(indent int) string) ([]byte, error) {
	if mapping.IsFlow() {
		at := e.offset(mapping.Raw.Line, mapping.Raw.Column)
		if at >= len(e.src) || e.src[at] != '{' {
			return nil, errSeveral
		}
		if len(mapping.Members) > 0 {
			flow += ", "
		}
		return slices.Concat(e.src[:at+1], []byte(flow), e.src[at+1:]), nil
	}
	if len(mapping.Members) == 0 {
		return nil, errSeveral
	}
	first := mapping.Members[0].Key
	indent := first.Column - 1
	end := e.blockEnd(e.endOfLine(e.offset(first.Line, first.Column)), indent)
	return e.join(e.src[:end], lines(indent), e.src[end:], e.src[:end]), nil
}

// join puts whole lines between head and tail. When replaced, the part of the
// file that head stands for, was its end without a line end, the result is too.
func (e editor) join(head []byte, lines string, tail, replaced []byte) []byte {
	if !bytes.HasSuffix(head, []byte("\n")) {
		lines = e.eol() + lines
	}
	if len(tail) == 0 && !bytes.HasSuffix(replaced, []byte("\n")) {
		lines = strings.TrimSuffix(lines, e.eol())
	}
	return slices.Concat(head, []byte(lines), tail)
}

// body is the armor as lines of a block.
func (e editor) body(indent int) string {
	var b strings.Builder
	for line := range strings.Lines(e.armor) {
		b.WriteString(strings.Repeat(" ", indent) + strings.TrimSuffix(line, "\n") + e.eol())
	}
	return b.String()
}

// quoted is the armor as a scalar that can stand in brackets.
func (e editor) quoted() string {
	return ageTag + ` "` + strings.ReplaceAll(e.armor, "\n", `\n`) + `"`
}

// eol is the line end of the file, by its first line.
func (e editor) eol() string {
	if i := bytes.IndexByte(e.src, '\n'); i > 0 && e.src[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// offset turns a position of the YAML library, in characters, into one in
// bytes.
func (e editor) offset(line, column int) int {
	at := 0
	if bytes.HasPrefix(e.src, []byte("\ufeff")) && line == 1 {
		at = len("\ufeff")
	}
	for range line - 1 {
		at = e.endOfLine(at)
	}
	for range column - 1 {
		_, size := utf8.DecodeRune(e.src[at:])
		at += size
	}
	return at
}

// endOfLine returns the position after the line end that follows at.
func (e editor) endOfLine(at int) int {
	if i := bytes.IndexByte(e.src[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(e.src)
}

// blockEnd returns the position after the last line from at on that belongs to
// a block of at least this indent. Blank lines and comments further left belong
// to it only when more of it follows.
func (e editor) blockEnd(at, indent int) int {
	end := at
	for at < len(e.src) {
		next := e.endOfLine(at)
		text := bytes.TrimSpace(e.src[at:next])
		deep := indentOf(e.src[at:next]) >= indent
		marker := bytes.HasPrefix(e.src[at:], []byte("---")) || bytes.HasPrefix(e.src[at:], []byte("..."))
		switch {
		case len(text) == 0:
		case deep && !marker:
			end = next
		case text[0] != '#':
			return end
		}
		at = next
	}
	return end
}

func indentOf(line []byte) int {
	return len(line) - len(bytes.TrimLeft(line, " "))
}

// scalarEnd returns the position after a scalar: after its last character or
// quote, and for a block after its header.
func (e editor) scalarEnd(raw *yaml.Node, start int) (int, bool) {
	at := start
	if raw.Tag == ageTag {
		at += len(ageTag)
		if raw.Value == "" && raw.Style&^yaml.TaggedStyle == 0 {
			return at, true
		}
		for at < len(e.src) && e.src[at] == ' ' {
			at++
		}
	}
	rest := string(e.src[at:])
	switch {
	case raw.Style&yaml.DoubleQuotedStyle != 0:
		return at + quoteEnd(rest, '"', '\\'), true
	case raw.Style&yaml.SingleQuotedStyle != 0:
		return at + quoteEnd(rest, '\'', '\''), true
	case raw.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return at + 1 + len(rest[1:]) - len(strings.TrimLeft(rest[1:], "+-123456789")), strings.HasPrefix(rest, "|") || strings.HasPrefix(rest, ">")
	}
	return at + len(raw.Value), strings.HasPrefix(rest, raw.Value)
}

// quoteEnd returns the length of a quoted scalar at the beginning of text, in
// which escape takes the meaning from the character after it.
func quoteEnd(text string, quote, escape byte) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == escape && i+1 < len(text) && (escape != quote || text[i+1] == quote):
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}
