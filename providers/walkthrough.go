package providers

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Walkthrough returns what a person does and pastes to make a connection to the
// provider work, with the exact values where v knows them: plain text of at most
// 80 columns, save for addresses that are longer. With marks, those of
// [Provider.Marks], each step shows how far it is; nil leaves them out.
func (p Provider) Walkthrough(v Values, marks map[string]Mark) string {
	var b strings.Builder
	b.WriteString(p.Name + " (" + p.Slug + ")\n\n")
	b.WriteString(wrap("Own keys: ", "  ", p.Keys.String()+". "+p.Why))
	if p.Portal != "" {
		b.WriteString("Portal:   " + p.Portal + "\n")
	}
	p.writeSteps(&b, v, marks)
	p.writePaste(&b, v)
	b.WriteString("\nIn the connection file (an example)\n")
	for line := range strings.Lines(p.Example(v)) {
		b.WriteString("  " + line)
	}
	b.WriteString("\nGood to know\n")
	for _, fact := range p.facts() {
		b.WriteString(wrap("  - ", "    ", p.expand(fact, v)))
	}
	return b.String()
}

func (p Provider) writeSteps(b *strings.Builder, v Values, marks map[string]Mark) {
	if len(p.Steps) == 0 {
		text := "Nothing to prepare: enable it."
		if p.atItsEnd() {
			text = "Nothing to prepare: it is at its end, see below."
		}
		b.WriteString("\n" + text + "\n")
		return
	}
	b.WriteString("\nSteps")
	if slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Proof == ByKey }) {
		b.WriteString(" (missing evidence is a warning, unless a step says otherwise)")
	}
	b.WriteString("\n")
	for i, s := range p.Steps {
		first, indent := pad(" "+strconv.Itoa(i+1)+".", 4), "     "
		if marks != nil {
			first, indent = marks[s.Name].box()+first, "        "
		}
		b.WriteString(wrap(first, indent, s.Name+": "+p.expand(s.Do, v)))
		if s.Takes != "" {
			b.WriteString(wrap(indent+"Takes ", indent, s.Takes+"."))
		}
		if s.Link != "" {
			b.WriteString(indent + s.Link + "\n")
		}
		for _, e := range s.Evidence {
			b.WriteString(wrap(indent+"> ", indent+"  ", s.where(e)+": "+e.Says))
		}
		if text := p.consequence(s); text != "" {
			b.WriteString(wrap(indent, indent, text))
		}
	}
}

// atItsEnd reports whether the connection itself has an end: it is left, not made.
func (p Provider) atItsEnd() bool {
	return slices.ContainsFunc(p.Ends, func(e EndOfLife) bool { return e.Blocks })
}

// box is the mark in front of a step.
func (m Mark) box() string {
	return [...]string{"[ ]", "[x]", " - "}[m]
}

// where names the place of a piece of evidence in the connection file.
func (s Step) where(e Evidence) string {
	if e.Option {
		return "options." + e.Name
	}
	return "setup." + s.Name + "." + e.Name
}

// consequence says what happens while the evidence is missing, "" for a warning.
func (p Provider) consequence(s Step) string {
	var texts []string
	switch s.Proof {
	case ByKey:
	case ByEvidence:
		texts = append(texts, "Enabling waits for it.")
	case Advice:
		texts = append(texts, "Nothing waits for it.")
	}
	if s.Until != "" {
		texts = append(texts, "Until then "+s.Until+".")
	}
	if s.OwnApp && p.Keys == KeysOptional {
		texts = append(texts, "Only for an app of your own.")
	}
	if s.When.Option != "" {
		text := "Only for " + s.When.Option + " " + strings.Join(s.When.Values, ", ")
		if len(s.When.Unsure) > 0 {
			text += ", and perhaps " + strings.Join(s.When.Unsure, ", ") + " (not confirmed)"
		}
		texts = append(texts, text+".")
	}
	return strings.Join(texts, " ")
}

// pasteRow is a value to paste, and what it is.
type pasteRow struct{ what, value string }

// writePaste lists the exact values for the portal.
func (p Provider) writePaste(b *strings.Builder, v Values) {
	rows := p.pasteRows(v)
	if len(rows) == 0 {
		return
	}
	b.WriteString("\nValues\n")
	for _, r := range rows {
		if row := "  " + pad(r.what, 23) + r.value; len(row) <= width {
			b.WriteString(row + "\n")
		} else {
			b.WriteString("  " + r.what + "\n    " + r.value + "\n")
		}
	}
	guessed := v.AuthRedirectURL == "" && v.Host == "" &&
		slices.ContainsFunc(rows, func(r pasteRow) bool { return strings.Contains(r.value, terraHost) })
	if guessed {
		b.WriteString(wrap("  ", "  ", "What Terra shows for your dev-id is not known here: an older one is on "+legacyHost+", so compare before you paste."))
	}
}

func (p Provider) pasteRows(v Values) []pasteRow {
	if p.atItsEnd() {
		return nil
	}
	redirect, webhook := p.addresses(v)
	var rows []pasteRow
	switch {
	case p.Redirect != "" || v.AuthRedirectURL != "" || v.Domain != "" && p.CustomDomain || p.CustomRedirect != "" && p.livesOnDomain():
		rows = append(rows, pasteRow{"redirect address", p.expand(redirect, v)})
	case p.CustomRedirect != "":
		rows = append(rows, pasteRow{"with a custom domain", p.expand(redirect, v)})
	}
	if p.Webhook != "" || p.CustomWebhook != "" {
		rows = append(rows, pasteRow{"webhook address", p.expand(webhook, v)})
	}
	for _, s := range p.Steps {
		for _, e := range s.Evidence {
			if strings.Contains(e.Want, "{") && e.Want != "{redirect}" && e.Want != "{webhook}" {
				rows = append(rows, pasteRow{strings.ReplaceAll(s.Name, "_", " "), p.expand(e.Want, v)})
			}
		}
	}
	for _, f := range p.Fields {
		if p.ownSample() {
			rows = append(rows, pasteRow{f.title(f.Name), "\"" + f.Label + "\" in the portal"})
		}
	}
	if p.Scopes != "" {
		rows = append(rows, pasteRow{"scopes", p.Scopes})
	}
	return rows
}

// facts lists what else is worth knowing, a sentence each.
func (p Provider) facts() []string {
	var facts []string
	for _, e := range p.Ends {
		facts = append(facts, "End of life: "+e.What+", "+e.Date+". Instead: "+e.Successor+".")
	}
	if p.Probe != nil {
		facts = append(facts, "Proof of a key: we "+p.Probe.Asks+". It proves that "+p.Probe.Proves+". "+p.Probe.Limits)
	} else {
		facts = append(facts, "Proof of a key: none. "+p.Unproved)
	}
	reset := "Reset: " + p.Reset.Effect
	if p.Reset.Order != "" {
		reset += " Order: " + string(p.Reset.Order) + "."
	}
	facts = append(facts, reset)
	if p.TokenLifetime > 0 {
		facts = append(facts, "A bad secret can stay unseen for "+hours(p.TokenLifetime)+", the life of an access token.")
	}
	for _, q := range p.Quotas {
		facts = append(facts, "Quota: "+q+".")
	}
	if p.CustomDomain {
		facts = append(facts, "A custom domain can be given as `domain`. It waits for an approval unless the runner lists it in `redirect_hosts` (docs/operations.md).")
	}
	facts = append(facts, p.Notes...)
	if len(p.TicketTemplates) > 0 {
		facts = append(facts, "`reconcile providers "+p.Slug+" --ticket` prints what to write to "+p.TicketTemplates[0].To+".")
	}
	return facts
}

// hours writes whole hours in words.
func hours(d time.Duration) string {
	if d == time.Hour {
		return "an hour"
	}
	return strconv.Itoa(int(d/time.Hour)) + " hours"
}

// Standing is what a provider still needs in one environment.
type Standing struct {
	Environment string
	Steps       []string // names; none: nothing is open
}

// Table returns the providers as plain text of at most 80 columns, save for
// addresses that are longer: a head line and, for each provider, its slug,
// whether own keys are needed, whether a pair can be proved, its portal, then
// why, then what is open. Open steps are given by slug; a provider without an
// entry is used nowhere.
func Table(ps []Provider, open map[string][]Standing) string {
	var b strings.Builder
	b.WriteString(row("PROVIDER", "OWN KEYS", "PROBE", "PORTAL"))
	for _, p := range ps {
		probe, portal := "no", p.Portal
		if p.Probe != nil {
			probe = "yes"
		}
		if portal == "" {
			portal = "-"
		}
		b.WriteString(row(p.Slug, p.Keys.String(), probe, portal))
		indent := strings.Repeat(" ", slugWidth+1)
		b.WriteString(wrap(indent, indent, p.Why))
		for _, o := range open[p.Slug] {
			text := "nothing open"
			if len(o.Steps) > 0 {
				text = "open: " + strings.Join(o.Steps, ", ")
			}
			b.WriteString(wrap(indent+o.Environment+": ", indent+"  ", text))
		}
	}
	return b.String()
}

const slugWidth = 15

func row(slug, keys, probe, portal string) string {
	return pad(slug, slugWidth) + pad(keys, 8) + pad(probe, 5) + portal + "\n"
}

// OpenSteps lists the names of the steps that are not shown to be done, gates
// and warnings alike, in the order in which they are taken.
func (p Provider) OpenSteps(c spec.Connection, seen Seen) []string {
	if c.State == spec.Disabled {
		return nil
	}
	var names []string
	marks := p.Marks(c, seen)
	for _, s := range p.Steps {
		if s.Proof != Advice && marks[s.Name] == StepOpen {
			names = append(names, s.Name)
		}
	}
	return names
}

// width is how wide texts for people may be. A single word that is longer, such
// as an address to paste, stays whole.
const width = 80

// wrap breaks text into lines of at most width characters, the first after
// first, the others after rest. The result ends with a line break.
func wrap(first, rest, text string) string {
	var b strings.Builder
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

// pad fills text with spaces up to n characters and adds one more.
func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(text))+1)
}
