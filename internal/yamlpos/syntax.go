package yamlpos

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxFile is the largest file that is read, in bytes.
const MaxFile = 1 << 20

// A broken file is searched for the line that breaks it by parsing its
// beginnings, which is only worth its time below these sizes.
const (
	maxSearchLines = 200
	maxSearchBytes = 16 << 10
)

// maxBrackets is how many brackets may be open at once, those in texts and
// comments among them. The YAML library needs time by the square of it.
const maxBrackets = 100

// maxMarks is how many lines, commas, colons, dashes and brackets a file may have: each can
// begin a value, and the YAML library needs a hundred times the memory of a short one.
const maxMarks = 20_000

// checkBytes refuses what must not even reach the YAML library.
func (p *parser) checkBytes(src []byte) bool {
	if len(src) > MaxFile {
		p.errorf(0, 0, "split it", "the file is larger than 1 MiB")
		return false
	}
	line, column, directive, open, marks := 1, 1, true, 0, 0
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			p.errorf(line, column, "save it as UTF-8", "the file is not UTF-8")
			return false
		case r == 0:
			p.errorf(line, column, "remove it", "the file holds a NUL character")
			return false
		case isDirection(r):
			p.errorf(line, column, "remove it", "the file holds a character that changes the direction of text (%U)", r)
			return false
		case r == '%' && column == 1 && directive:
			p.errorf(line, column, "remove it", "a YAML directive is not allowed")
			return false
		case r == '\r' && (i+1 == len(src) || src[i+1] != '\n'):
			p.errorf(line, column, "save it with LF or CRLF line ends", "the file holds a lone carriage return")
			return false
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029:
			p.errorf(line, column, "remove it", "the file holds a control character (%U)", r)
			return false
		}
		switch r {
		case '[', '{':
			open++
			marks++
		case ']', '}':
			open = max(0, open-1)
		case '\n', ',', ':', '-', '?':
			marks++
		}
		switch {
		case open > maxBrackets:
			p.errorf(line, column, "", "this is nested too deeply")
			return false
		case marks > maxMarks:
			p.errorf(line, column, "split it", "the file holds more than 20,000 lines, commas, colons and dashes up to here")
			return false
		}
		if column == 1 && r != '#' && r != '\n' && r != '\r' && r != '\ufeff' {
			directive = false
		}
		i += size
		if r == '\n' {
			line, column = line+1, 1
		} else if r != '\ufeff' || i > size {
			column++
		}
	}
	return true
}

// isDirection reports whether r reorders the text around it, so that a person
// would read another file than the one that is applied.
func isDirection(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c
}

// syntax reports a file that is not YAML. The library's own text may quote the
// file, and with it a secret, so only its meaning is taken over.
func (p *parser) syntax(src []byte, err error, exact bool) {
	if errors.Is(err, errDocuments) {
		line := secondDocument(src)
		p.errorf(line, 1, "write one file for each", "the file holds more than one document")
		return
	}
	line := 1
	_, _ = fmt.Sscanf(err.Error(), "yaml: line %d:", &line) // as the library names it, if it does
	if exact {
		line = brokenLine(src, line)
	}
	if at := mergeMarker(src); at > 0 {
		p.errorf(at, 1, "choose one side, and remove the lines that git put there", "a merge is not finished here")
		return
	}
	message, hint := p.explain(err.Error(), lineOf(src, line))
	column := firstColumn(src, line)
	if indentedByTab(src, line) {
		message, hint, column = "a tab indents this line", "YAML wants spaces", 1
	}
	p.errorf(line, column, hint, "%s", message)
}

// mergeMarker is the first line that git leaves where two sides changed the same; 0 for
// none.
func mergeMarker(src []byte) int {
	n := 0
	for line := range bytes.Lines(src) {
		n++
		mark, _, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
		if slices.Contains([]string{"<<<<<<<", "|||||||", "=======", ">>>>>>>"}, mark) {
			return n
		}
	}
	return 0
}

// explain searches, in order, for a part of the library's text about a line.
func (p *parser) explain(text, line string) (message, hint string) {
	if strings.Contains(text, "mapping values are not allowed") && strings.Count(line+" ", ": ") < 2 {
		text = "did not find expected key"
	}
	for _, e := range [...]struct{ part, message, hint string }{
		{"tab character", "a tab indents this line", "YAML wants spaces"},
		{"unknown anchor", "aliases are not allowed", "write the value out"},
		{"mapping values are not allowed", "this is not valid YAML: a second `: ` in one line", "put the value in quotes"},
		{"could not find expected ':'", "this is not valid YAML: a `:` is missing after the name of a field", ""},
		{"unexpected end of stream", "this is not valid YAML: a quote is opened and never closed", ""},
		{"unknown escape character", `this is not valid YAML: \ has a meaning in double quotes`, "use single quotes"},
		{"cannot start any token", "this is not valid YAML: a value may not begin with this character", "put the value in quotes"},
		{"',' or ']'", "this is not valid YAML: a `[` is not closed, or a comma is missing", ""},
		{"',' or '}'", "this is not valid YAML: a `{` is not closed, or a comma is missing", ""},
		{"did not find expected key", "this is not valid YAML: the indentation does not match the lines above", ""},
		{"'-' indicator", "this is not valid YAML: a `-` is missing in a list, or the indentation does not match", ""},
		{"<document start>", "this is not valid YAML: something stands after the end of the document", ""},
		{"undefined tag handle", "unknown tag", p.onlyTag()},
		{"exceeded max depth", "this is nested too deeply", ""},
	} {
		if strings.Contains(text, e.part) {
			return e.message, e.hint
		}
	}
	return "this is not valid YAML", ""
}

// brokenLine returns the line after the longest beginning of src that parses,
// and otherwise the library's guess, which can be a line or a block off.
func brokenLine(src []byte, guess int) int {
	lines := bytes.SplitAfter(src, []byte("\n"))
	if len(lines) > maxSearchLines || len(src) > maxSearchBytes {
		return min(guess, len(lines))
	}
	end := len(src)
	for n := len(lines); n > 0; n-- {
		end -= len(lines[n-1])
		if _, err := decode(src[:end]); err == nil {
			return n
		}
	}
	return 1
}

// secondDocument returns the line on which another document begins.
func secondDocument(src []byte) int {
	seen := false
	for i, line := range strings.Split(string(src), "\n") {
		text := strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if seen && (strings.HasPrefix(line, "---") || strings.HasPrefix(line, "...")) {
			return i + 1
		}
		seen = seen || text != "" && !strings.HasPrefix(text, "#")
	}
	return 1
}

// lineOf returns one line of src without a byte order mark.
func lineOf(src []byte, line int) string {
	lines := bytes.SplitN(src, []byte("\n"), line+1)
	if line > len(lines) {
		return ""
	}
	return strings.TrimPrefix(string(lines[line-1]), "\ufeff")
}

func indentedByTab(src []byte, line int) bool {
	return strings.HasPrefix(strings.TrimLeft(lineOf(src, line), " "), "\t")
}

// firstColumn returns the column of the first character of a line that is not
// white space.
func firstColumn(src []byte, line int) int {
	text := lineOf(src, line)
	rest := strings.TrimLeft(text, " \t")
	if strings.TrimSpace(rest) == "" {
		return 1
	}
	return utf8.RuneCountInString(text[:len(text)-len(rest)]) + 1
}
