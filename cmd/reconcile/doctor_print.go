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
	b := newPage(d.env)
	for _, c := range d.checks {
		about := c.Check
		if c.About != "" {
			about += " " + c.About
		}
		b.folded(pad(c.Status, 6), about+": "+c.Says)
		if c.Next != "" {
			b.folded("      -> ", c.Next)
		}
	}
	b.add(fmt.Sprintf("\n%s: %d ok", plural(len(d.checks), "check", "checks"), d.count(statusOK)))
	for _, s := range []struct{ status, one, many string }{
		{statusWarn, "warning", "warnings"}, {statusFail, "failed", "failed"}, {statusSkip, "skipped", "skipped"},
	} {
		if n := d.count(s.status); n > 0 {
			b.add(", " + plural(n, s.one, s.many))
		}
	}
	b.add("\n")
	return b.print(d.env.Stdout)
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

func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(text)))
}
