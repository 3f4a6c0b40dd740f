package web

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// clean makes text of anybody safe to show on one line.
func clean(s string) string { return visible.Text(s) }

func cleanAll(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, clean(s))
	}
	return out
}

// prose quotes what a text has in backticks, as a page does that is no Markdown.
func prose(s string) string {
	var out strings.Builder
	for {
		before, rest, opened := strings.Cut(s, "`")
		quoted, after, closed := strings.Cut(rest, "`")
		if !opened || !closed {
			return out.String() + s
		}
		out.WriteString(before + "“" + quoted + "”")
		s = after
	}
}

// rowsOf are the rows of a report, and stepsOf what a person does next, in prose; values, files
// and what is typed are as they are.
func rowsOf(r report.Report, e report.Environment) []report.Row {
	rows := report.Rows(r, e)
	for i := range rows {
		row := &rows[i]
		row.Reason = prose(row.Reason)
		if len(row.Changes) == 0 { // no values, but what was told
			row.What = prose(row.What)
		}
		for _, c := range row.Changes {
			for j := range c.Notes {
				if c.Notes[j].Label != "file" {
					c.Notes[j].Text = prose(c.Notes[j].Text)
				}
			}
			proseSteps(c.Next)
		}
	}
	return rows
}

func stepsOf(list []plan.Remediation) []report.Step {
	out := report.Steps(list)
	proseSteps(out)
	return out
}

func proseSteps(list []report.Step) {
	for i := range list {
		list[i].Choice, list[i].Text = prose(list[i].Choice), prose(list[i].Text)
	}
}

// arrows writes what becomes of a field with a sign that no line breaks.
func arrows(s string) string { return strings.ReplaceAll(s, " -> ", " → ") }

func number(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return number(n) + " " + noun
}

// span is a stretch of time in its largest unit.
func span(d time.Duration) string {
	d = d.Abs()
	switch {
	case d < time.Minute:
		return visible.Plural(int(d/time.Second), "second", "seconds")
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	}
	return visible.Plural(int(d/(24*time.Hour)), "day", "days")
}

// moment is a time as the page shows it.
type moment struct{ Machine, Text, Relative string }

// momentOf is a time beside now; the zero value gives none.
func momentOf(at, now time.Time) *moment {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	text := at.Format("2 Jan 2006 15:04")
	switch now := now.UTC(); {
	case at.YearDay() == now.YearDay() && at.Year() == now.Year():
		text = at.Format("15:04")
	case at.Year() == now.Year():
		text = at.Format("2 Jan 15:04")
	}
	out := &moment{Machine: at.Format(time.RFC3339), Text: text + " UTC", Relative: span(now.Sub(at)) + " ago"}
	if at.After(now) {
		out.Relative = "in " + span(at.Sub(now))
	}
	return out
}

// clock is a time in words, also one that is not known.
func clock(at, now time.Time) string {
	if m := momentOf(at, now); m != nil {
		return m.Text
	}
	return "an unknown time"
}

// away is how far a time is from now, in words.
func away(at, now time.Time) string {
	if m := momentOf(at, now); m != nil {
		return m.Relative
	}
	return "at an unknown time"
}

func took(ms int64) string {
	switch d := time.Duration(ms) * time.Millisecond; {
	case d < time.Second:
		return strconv.FormatInt(ms, 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	default:
		return d.Round(time.Second).String()
	}
}

func shortHash(commit string) string {
	if len(commit) > 12 {
		commit = commit[:12]
	}
	return clean(commit)
}

// The addresses of pages. An environment's name may hold slashes itself.
func environmentPath(name string) string { return "/environments/" + escaped(name) }
func connectionPath(name string) string  { return "/connections/" + escaped(name) }
func escaped(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// query is an address with what is asked for.
func query(path string, pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// parted parts production/strava; an environment's name may hold slashes itself.
func parted(connection string) (environment, provider string) {
	at := strings.LastIndexByte(connection, '/')
	if at < 0 {
		return "", connection
	}
	return connection[:at], connection[at+1:]
}
