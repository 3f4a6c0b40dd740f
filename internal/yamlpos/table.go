package yamlpos

import (
	"fmt"
	"strings"
)

// Table writes the fields that choose picks, each above those of its own mapping, as a
// table of a page in Markdown. A dot is one level down.
func (f Fields) Table(choose func(path string) bool) string {
	var b strings.Builder
	b.WriteString("| field | value | default | meaning |\n|---|---|---|---|\n")
	f.rows(&b, "", choose)
	return b.String()
}

func (f Fields) rows(b *strings.Builder, block string, choose func(string) bool) {
	for _, d := range f[block] {
		path := Below(block, d.Name)
		if !choose(path) {
			continue
		}
		cells := []string{"`" + strings.ReplaceAll(path, "*", "NAME") + "`", d.value(), d.omittedCell(), d.meaning()}
		b.WriteString("|")
		for _, cell := range cells {
			b.WriteString(strings.TrimRight(" "+cell, " ") + " |")
		}
		b.WriteString("\n")
		if d.Form == Named {
			path = Below(path, "*")
		}
		f.rows(b, path, choose)
	}
}

// value is how the value is written.
func (d Declared) value() string {
	text := d.Value
	switch {
	case text != "":
	case d.Words != nil:
		text = "`" + strings.Join(d.Words, "`, `") + "`"
	case d.Form == Number:
		text = fmt.Sprintf("%d to %d", d.Low, d.High)
	case d.Form == Span:
		text = fmt.Sprintf("`%s` to `%s`", ShowSpan(d.Shortest), ShowSpan(d.Longest))
	default:
		text = [...]string{
			Text: "text", Prose: "text", AsWritten: "text", Boolean: "boolean", Moment: "moment", Clock: "time of day",
			Texts: "list of texts", Block: "mapping", Blocks: "list", Named: "mapping", TextsBy: "mapping", Foreign: "mapping", Sealed: "`!age`", TextOrBlock: "text or mapping", Nothing: "",
		}[d.Form]
	}
	if d.Least > 0 && d.Form == Blocks && !d.Required {
		text += ", not empty"
	}
	if d.Null {
		text += ", `null`"
	}
	return text
}

func (d Declared) omittedCell() string {
	switch {
	case d.Required:
		return "required"
	case d.Default == "":
		return d.Omitted
	}
	text := "`" + d.Default + "`"
	if d.Form == Number {
		text = d.Default
	}
	if d.Omitted != "" {
		text += ", " + d.Omitted
	}
	return text
}

// meaning is Means with how long a list may be.
func (d Declared) meaning() string {
	if d.Most == 0 {
		return d.Means
	}
	return fmt.Sprintf("%s. At most %d", d.Means, d.Most)
}
