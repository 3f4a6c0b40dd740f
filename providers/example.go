package providers

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/spec"
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
	if p.setByTerra() && len(p.Fields) == 0 { // Terra's app serves it
		return b.String()
	}
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

// Values fill the placeholders of a provider's texts. Every one may be empty:
// the text then shows what stands there in angle brackets.
type Values struct {
	DevID           string // {dev_id}
	AuthRedirectURL string // the live auth_redirect_url of the source: {redirect}, {host}, {api}
	Host            string // Terra's host of the dev-id, where the source itself is not live: {host}, {api}
	Domain          string // the custom domain: {domain}
	ClientID        string // {client_id}
	Regions         string // those that wait for a step: {regions}
	PracticeID      string // {practice_id}
	DoctorLicence   string // {doctor_licence}
}

// terraHost is where new environments live; older ones are on legacyHost.
const (
	terraHost  = "access.tryterra.co"
	legacyHost = "api.tryterra.co"
)

// ValuesOf collects what a connection file says.
func (p Provider) ValuesOf(c spec.Connection, devID string) Values {
	v := Values{
		DevID: devID,
		// The file decides over what Terra shows: it is what Terra will show.
		AuthRedirectURL: c.Credentials.RedirectURL.Value,
		Domain:          c.Domain.Value,
		ClientID:        c.Credentials.ClientID.Value,
		PracticeID:      c.Setup["practice"].Fields["practice_id"],
		DoctorLicence:   c.Setup["practice"].Fields["doctor_licence"],
	}
	for _, s := range p.Steps {
		if s.When.Option == "regions" {
			in, unsure, _ := s.When.split(c)
			v.Regions = strings.Trim(in+", "+unsure, ", ")
		}
	}
	return v
}

// TerraHost returns the host of an address when it is one of Terra's, else "".
func TerraHost(address string) string {
	if h := hostOf(address); h == terraHost || h == legacyHost {
		return h
	}
	return ""
}

// TerraHosts gives the hosts of Terra's own redirect addresses.
func TerraHosts() []string { return []string{terraHost, legacyHost} }

// Ticket returns the ticket to send to support, filled in. It is "" for a
// provider that needs none.
func (p Provider) Ticket(v Values) string {
	var b strings.Builder
	for i, l := range p.TicketTemplates {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(p.expand("To: "+l.To+"\nSubject: "+l.Subject+"\n\n"+l.Body, v))
	}
	return b.String()
}

// expand fills the placeholders of text.
func (p Provider) expand(text string, v Values) string {
	if !strings.Contains(text, "{") {
		return text
	}
	host := cmp.Or(hostOf(v.AuthRedirectURL), v.Host, terraHost)
	api := host
	if host != legacyHost {
		api += "/api"
	}
	redirect, webhook := p.addresses(v)
	callback := host
	if v.Domain != "" && p.CustomDomain {
		callback = v.Domain
	}
	// Addresses may hold placeholders themselves, so they are filled in first.
	text = strings.NewReplacer("{redirect}", redirect, "{webhook}", webhook).Replace(text)
	return strings.NewReplacer(
		"{host}", host, "{api}", api, "{callback_host}", callback,
		"{domain}", orBlank(v.Domain, "your domain"),
		"{dev_id}", orBlank(v.DevID, "dev-id"),
		"{client_id}", orBlank(v.ClientID, "client id"),
		"{regions}", orBlank(v.Regions, "regions"),
		"{practice_id}", orBlank(v.PracticeID, "practice id"),
		"{doctor_licence}", orBlank(v.DoctorLicence, "doctor's licence"),
	).Replace(text)
}

// addresses chooses the redirect and webhook addresses that apply: those on the
// custom domain, else what Terra shows live, else what is documented.
func (p Provider) addresses(v Values) (redirect, webhook string) {
	custom := p.CustomDomain && (v.Domain != "" || v.AuthRedirectURL == "" && p.Redirect == "")
	redirect, webhook = p.Redirect, p.Webhook
	if v.AuthRedirectURL != "" {
		redirect = v.AuthRedirectURL
	}
	if custom && p.CustomRedirect != "" {
		redirect = p.CustomRedirect
	}
	if p.CustomWebhook != "" && (custom || webhook == "") {
		webhook = p.CustomWebhook
	}
	return orBlank(redirect, "the auth_redirect_url that Terra shows"), orBlank(webhook, "no webhook")
}

func orBlank(value, what string) string {
	if value == "" {
		return "<" + what + ">"
	}
	return value
}

// hostOf returns the host of an absolute http(s) address, without the port, or "".
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// OpenSetup returns, each line a comment, the `setup` block of a file for the steps
// that c does not show to be done: what to do, and the entry that would show it, with
// what nobody else knows in capitals. "" is nothing open. seen is as in [Provider.Marks].
func (p Provider) OpenSetup(c spec.Connection, v Values, seen Seen) string {
	marks := p.Marks(c, seen)
	var b strings.Builder
	for _, s := range p.Steps {
		if !s.written() || s.Proof == Advice || marks[s.Name] != StepOpen {
			continue
		}
		if b.Len() == 0 {
			b.WriteString(wrap("# ", "# ", "Human steps that nobody has recorded yet. Write down those that are done: remove the # in front of setup and of them, and put in what stands in capitals."))
			b.WriteString("# setup:\n")
		}
		b.WriteString(wrap("#   # ", "#   # ", p.expand(s.Do, v)))
		b.WriteString("#   " + s.Name + ":\n")
		for _, e := range s.Evidence {
			if e.Option {
				continue
			}
			value := strings.ToUpper(e.Name)
			if want := p.expand(e.Want, v); want != "" && !strings.Contains(want, "<") {
				value = `"` + want + `"`
			} else if e.Name == "done" {
				value = "YYYY-MM-DD"
			}
			b.WriteString("#     " + e.Name + ": " + value + "\n")
		}
	}
	return b.String()
}
