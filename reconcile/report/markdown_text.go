package report

import (
	"fmt"
	"strings"
	"unicode"
)

func mdLong(s string) string { return mdText(middle(clean(s), markdownItem)) }

// md makes a clean text of any text, and of that one that Markdown, HTML and a
// forge show as it stands: everything but letters, digits and harmless signs as
// a character reference, and a zero-width space after what starts a mention or a
// reference to an issue.
func md(s string) string { return references(clean(s), "&#8203;") }

// mdText is a text of ours about things of others, with its commands as code, where a
// forge looks for no mention: they can be copied.
func mdText(s string) string {
	var out strings.Builder
	for _, piece := range spans(clean(s)) {
		if piece.Code {
			out.WriteString("<code>" + references(piece.Text, "") + "</code>")
		} else {
			out.WriteString(md(piece.Text))
		}
	}
	return out.String()
}

// references escapes a clean text; after what starts a mention stands apart.
func references(s, apart string) string {
	var out strings.Builder
	runes := []rune(s)
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for i, r := range runes {
		switch before, after := at(i-1), at(i+1); {
		case r == '@' || r == '#':
			fmt.Fprintf(&out, "&#%d;%s", r, apart)
		case r == '_' && inWord(before) && inWord(after), r == ':' && after == ' ':
			out.WriteRune(r) // no emphasis, no address and no sign
		case r == '.' && (before == 'w' || before == 'W'), r < 0x80 && strings.ContainsRune("\\`*_[]<>|~&:$", r):
			fmt.Fprintf(&out, "&#%d;", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// codeBlock shows a line as it stands, for copying.
func codeBlock(line string) string {
	line = clean(line)
	fence := "```"
	for strings.Contains(line, fence) {
		fence += "`"
	}
	return fence + "sh\n" + line + "\n" + fence + "\n"
}
