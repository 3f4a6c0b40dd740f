package spec

import (
	"bytes"
	"slices"
	"strings"
)

// span is a piece of a file, in bytes.
type span struct{ start, end int }

// blockItems finds the lines of each entry of a block list, from the line of its
// dash to the last line that belongs to it.
func (e editor) blockItems(list *node) ([]span, bool) {
	indent := list.raw.Column - 1
	at := e.offset(list.raw.Line, list.raw.Column) - indent
	var spans []span
	for range list.items {
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

func (e editor) cutBlockItem(list *node, index int) ([]byte, bool) {
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
func (e editor) cutFlowItem(list *node, index int) ([]byte, bool) {
	item := list.items[index].raw
	start := e.offset(item.Line, item.Column)
	end, ok := e.flowEnd(list.items[index])
	if !ok {
		return nil, false
	}
	if index == len(list.items)-1 {
		before, ok := e.flowEnd(list.items[index-1])
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
func (e editor) flowEnd(n *node) (int, bool) {
	start := e.offset(n.raw.Line, n.raw.Column)
	if n.kind == scalarNode {
		return e.scalarEnd(n.raw, start)
	}
	at, ok := start+1, true
	switch {
	case len(n.items) > 0:
		at, ok = e.flowEnd(n.items[len(n.items)-1])
	case len(n.members) > 0:
		at, ok = e.flowEnd(n.members[len(n.members)-1].value)
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
