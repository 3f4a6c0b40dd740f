package providers

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

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
			v.Regions, _ = s.When.split(c)
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

// Ticket returns the letter to send to support, filled in. It is "" for a
// provider that needs none.
func (p Provider) Ticket(v Values) string {
	var b strings.Builder
	for i, l := range p.Letters {
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
