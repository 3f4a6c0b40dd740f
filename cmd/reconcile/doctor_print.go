package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// doctorSchema names the form of the JSON document.
const doctorSchema = "terra-reconcile/doctor/v1"

func (d *doctor) print() error {
	if d.flags.format == "json" {
		return d.printJSON()
	}
	var b strings.Builder
	for _, c := range d.checks {
		about := c.Check
		if c.About != "" {
			about += " " + c.About
		}
		fold(&b, pad(c.Status, 6)+about+": ", "      ", c.Says)
		if c.Next != "" {
			fold(&b, "      -> ", "         ", c.Next)
		}
	}
	fmt.Fprintf(&b, "\n%s: %d ok", plural(len(d.checks), "check", "checks"), d.count(statusOK))
	for _, s := range []struct{ status, one, many string }{
		{statusWarn, "warning", "warnings"}, {statusFail, "failed", "failed"}, {statusSkip, "skipped", "skipped"},
	} {
		if n := d.count(s.status); n > 0 {
			b.WriteString(", " + plural(n, s.one, s.many))
		}
	}
	_, err := fmt.Fprintln(d.env.Stdout, b.String())
	return err
}

func (d *doctor) printJSON() error {
	code := exitOK
	if d.count(statusFail) > 0 {
		code = exitFailed
	}
	encoder := json.NewEncoder(escaping{d.env.Stdout})
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Schema   string    `json:"schema"`
		ExitCode int       `json:"exit_code"`
		OK       int       `json:"ok"`
		Warn     int       `json:"warn"`
		Fail     int       `json:"fail"`
		Skipped  int       `json:"skipped"`
		Checks   []checked `json:"checks"`
	}{doctorSchema, code, d.count(statusOK), d.count(statusWarn), d.count(statusFail), d.count(statusSkip), d.checks})
}

// fold writes text in lines of at most 80 characters; a longer word stays whole.
func fold(b *strings.Builder, first, rest, text string) {
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > 80 {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(line + "\n")
}

func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(text)))
}
