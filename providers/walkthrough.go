package providers

import (
	"strconv"
	"strings"
	"time"
)

// Walkthrough returns what a person does and pastes to make a connection to the
// provider work, with the exact values where v knows them: plain text of at most
// 80 columns, save for addresses that are longer.
func (p Provider) Walkthrough(v Values) string {
	var b strings.Builder
	b.WriteString(p.Name + " (" + p.Slug + ")\n\n")
	b.WriteString(wrap("Own keys: ", "  ", p.Keys.String()+". "+p.Why))
	if p.Portal != "" {
		b.WriteString("Portal:   " + p.Portal + "\n")
	}
	p.writeSteps(&b, v)
	p.writePaste(&b, v)
	b.WriteString("\nIn the connection file\n")
	for line := range strings.Lines(p.Example(v)) {
		b.WriteString("  " + line)
	}
	b.WriteString("\nGood to know\n")
	for _, fact := range p.facts() {
		b.WriteString(wrap("  - ", "    ", p.expand(fact, v)))
	}
	return b.String()
}

func (p Provider) writeSteps(b *strings.Builder, v Values) {
	if len(p.Steps) == 0 {
		b.WriteString("\nNothing to prepare: enable it.\n")
		return
	}
	b.WriteString("\nSteps\n")
	for i, s := range p.Steps {
		indent := "     "
		b.WriteString(wrap(pad(" "+strconv.Itoa(i+1)+".", len(indent)-1), indent, s.Name+": "+p.expand(s.Do, v)))
		if s.Takes != "" {
			b.WriteString(wrap(indent+"Takes ", indent, s.Takes+"."))
		}
		if s.Link != "" {
			b.WriteString(indent + s.Link + "\n")
		}
		for _, e := range s.Evidence {
			b.WriteString(wrap(indent+"> ", indent+"  ", s.where(e)+": "+e.Says))
		}
		b.WriteString(wrap(indent, indent, s.consequence()))
	}
}

// where names the place of a piece of evidence in the connection file.
func (s Step) where(e Evidence) string {
	if e.Option {
		return "options." + e.Name
	}
	return "setup." + s.Name + "." + e.Name
}

// consequence says what happens while the evidence is missing.
func (s Step) consequence() string {
	var text string
	switch s.Proof {
	case ByKey:
		text = "Missing evidence is a warning."
	case ByEvidence:
		text = "Enabling waits for it."
	case Advice:
		return "Nothing waits for it."
	}
	if s.When.Option != "" {
		text += " Only for " + s.When.Option + " " + strings.Join(s.When.Values, ", ") + "."
	}
	return text
}

// writePaste lists the exact values for the portal.
func (p Provider) writePaste(b *strings.Builder, v Values) {
	redirect, webhook := p.addresses(v)
	var rows [][2]string
	if p.Redirect != "" || p.CustomRedirect != "" {
		rows = append(rows, [2]string{"redirect address", p.expand(redirect, v)})
	}
	if p.Webhook != "" || p.CustomWebhook != "" {
		rows = append(rows, [2]string{"webhook address", p.expand(webhook, v)})
	}
	for _, f := range p.Fields {
		if p.ownSample() {
			rows = append(rows, [2]string{f.title(f.Name), "\"" + f.Label + "\" in the portal"})
		}
	}
	if p.Scopes != "" {
		rows = append(rows, [2]string{"scopes", p.Scopes})
	}
	if len(rows) == 0 {
		return
	}
	b.WriteString("\nValues\n")
	for _, r := range rows {
		b.WriteString("  " + pad(r[0], 27) + r[1] + "\n")
	}
	if v.AuthRedirectURL == "" && strings.Contains(p.expand(redirect, v), terraHost) {
		b.WriteString(wrap("  ", "  ", "The live redirect address is not known here: for an older dev-id it is on "+legacyHost+", so compare before you paste."))
	}
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
		facts = append(facts, "A custom domain can be given as `domain`.")
	}
	facts = append(facts, p.Notes...)
	if len(p.Letters) > 0 {
		facts = append(facts, "`reconcile providers "+p.Slug+" --ticket` prints what to write to "+p.Letters[0].To+".")
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
