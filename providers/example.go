package providers

import (
	"cmp"
	"slices"
	"strings"
)

// sealed stands in an example where an age file belongs.
const sealed = `!age |
        -----BEGIN AGE ENCRYPTED FILE-----
        (made by: reconcile rotate add)
        -----END AGE ENCRYPTED FILE-----`

// exampleWidth leaves room for the indent of a walk-through.
const exampleWidth = width - 2

// Example returns a connection file for the provider: with the addresses that v
// knows, made-up values elsewhere, and the evidence of every step that a file
// can name. It loads once the sealed secret is a real one.
func (p Provider) Example(v Values) string {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	onDomain := p.CustomDomain && (v.Domain != "" || v.AuthRedirectURL == "" && p.livesOnDomain())
	if onDomain && v.Domain == "" {
		v.Domain = strings.ReplaceAll(p.Slug, "_", "-") + ".acme.example" // one hostname serves one provider
	}
	line("provider: ", p.Slug)
	if p.atItsEnd() {
		line("state: disabled")
		return b.String()
	}
	line("state: active")
	if p.setByTerra() {
		line("app: own")
	} else if p.ownSample() {
		line("credentials:")
		for _, f := range p.Fields {
			name := cmp.Or(f.Native, f.Name)
			if f.Name == ClientSecret {
				line("  keys:")
				line("    - issued: 2026-08-01")
				line("      ", name, ": ", sealed)
				continue
			}
			line("  ", name, `: "`, cmp.Or(v.ClientID, f.Sample), `"`)
		}
		if onDomain {
			line("  redirect_url: ", p.expand(p.CustomRedirect, v))
		}
	}
	if onDomain {
		line("domain: ", v.Domain)
	}
	if p.Webhooks {
		line("webhooks: managed")
	}
	if len(p.Options) > 0 {
		line("options:")
		for _, o := range p.Options {
			line("  ", o.Name, ": ", o.Sample)
		}
	}
	return b.String() + p.exampleSetup(v)
}

// exampleSetup is the part of an example that records the steps.
func (p Provider) exampleSetup(v Values) string {
	var b strings.Builder
	for _, s := range p.Steps {
		if !s.written() {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("setup:\n")
		}
		var entries []string
		for _, e := range s.Evidence {
			if !e.Option {
				entries = append(entries, e.Name+": "+p.sample(e, v))
			}
		}
		flow := "  " + s.Name + ": {" + strings.Join(entries, ", ") + "}\n"
		if len(flow) > exampleWidth {
			flow = "  " + s.Name + ":\n    " + strings.Join(entries, "\n    ") + "\n"
		}
		b.WriteString(flow)
	}
	return b.String()
}

// sample is what must stand in the portal where that is known, else made up.
func (p Provider) sample(e Evidence, v Values) string {
	if text := p.expand(e.Want, v); strings.Contains(e.Want, "{") && !strings.Contains(text, "<") {
		return text
	}
	return e.Sample
}

// livesOnDomain reports whether the addresses to register are documented for a
// custom domain only.
func (p Provider) livesOnDomain() bool {
	return p.Redirect == "" && slices.ContainsFunc(p.Steps, func(s Step) bool {
		return slices.ContainsFunc(s.Evidence, func(e Evidence) bool {
			return e.Want == "{redirect}" || e.Want == "{domain}"
		})
	})
}

// ownSample reports whether an example should show keys: where they are needed
// or where the catalogue knows what they are made of.
func (p Provider) ownSample() bool {
	return len(p.Fields) > 0 && p.Fields[0].Sample != ""
}
