package spec

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

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
	start := e.offset(p.node.raw.Line, p.node.raw.Column)
	end, ok := e.scalarEnd(p.node.raw, start)
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
	if p.node.raw.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		if bodyEnd = e.blockEnd(lineEnd, nameIndent+1); bodyEnd > lineEnd {
			indent = indentOf(e.src[lineEnd:])
		}
	}
	head, tail := slices.Concat(e.src[:start], []byte(gap+ageTag+" |"), e.src[end:lineEnd]), e.src[bodyEnd:]
	return e.join(head, e.body(indent), tail, e.src[:bodyEnd]), nil
}

// add writes a new field, and the mappings around it.
func (e editor) add(p place) ([]byte, error) {
	if p.flow && !p.mapping.isFlow() {
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
func (e editor) insert(mapping *node, flow string, lines func(indent int) string) ([]byte, error) {
	if mapping.isFlow() {
		at := e.offset(mapping.raw.Line, mapping.raw.Column)
		if at >= len(e.src) || e.src[at] != '{' {
			return nil, errSeveral
		}
		if len(mapping.members) > 0 {
			flow += ", "
		}
		return slices.Concat(e.src[:at+1], []byte(flow), e.src[at+1:]), nil
	}
	if len(mapping.members) == 0 {
		return nil, errSeveral
	}
	first := mapping.members[0].key
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
