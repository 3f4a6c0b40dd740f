package providers

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

var update = flag.Bool("update", false, "rewrite docs/providers.md")

// TestDocs keeps docs/providers.md equal to the catalogue.
func TestDocs(t *testing.T) {
	path := filepath.Join("..", "docs", "providers.md")
	want := page(All())
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/providers.md is stale: go test ./providers -run TestDocs -update\n%s", diff)
	}
}

// TestDocsFollowTheValue shows that a new provider needs no text but its value.
func TestDocsFollowTheValue(t *testing.T) {
	text := page([]Provider{madeUp()})
	for _, want := range []string{"| [Made-up](#madeup) | `madeup` | required | yes |", "## madeup", "Create an app.", "`app_name`", "https://portal.example", "reset, then within minutes"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// page writes the Markdown page of the catalogue.
func page(ps []Provider) string {
	var b strings.Builder
	b.WriteString("<!-- Generated: go test ./providers -run TestDocs -update -->\n\n# Providers\n\n")
	b.WriteString(paragraph("What each data provider needs before Terra can collect from it. `reconcile providers` prints the table, " +
		"`reconcile providers SLUG` the walk-through with the addresses of your own environment filled in."))
	b.WriteString(paragraph("Terra's own list of source types is the authority at run time: where it says something else, it is believed and a warning says so. " +
		"A provider that is not on this page works by what that list says about it, with a warning. " +
		"What is marked \"usually\" was seen in examples only and never blocks; what the sources do not say is called not documented. " +
		"Names in braces, such as `{redirect}`, stand for values of your environment."))
	b.WriteString("| provider | slug | own keys | probe | custom domain |\n| --- | --- | --- | --- | --- |\n")
	for _, p := range ps {
		b.WriteString("| [" + p.Name + "](#" + p.Slug + ") | `" + p.Slug + "` | " + p.Keys.String() + " | " + yes(p.Probe != nil) + " | " + yes(p.CustomDomain) + " |\n")
	}
	for _, p := range ps {
		section(&b, p)
	}
	return b.String()
}

func section(b *strings.Builder, p Provider) {
	b.WriteString("\n## " + p.Slug + "\n\n")
	b.WriteString(paragraph("**" + p.Name + "**. Own keys: " + p.Keys.String() + ". " + p.Why))
	list := func(label, text string) {
		if text != "" {
			b.WriteString(wrap("- ", "  ", label+": "+text))
		}
	}
	list("Name in the data API", code1(p.Enum))
	list("Portal", angle(p.Portal))
	for _, f := range p.Fields {
		if p.ownSample() {
			list(code1(f.Name), fieldText(f))
		}
	}
	list("Redirect address", code1(p.Redirect))
	list("Webhook address", code1(p.Webhook))
	list("Redirect address on a custom domain", code1(p.CustomRedirect))
	list("Webhook address on a custom domain", code1(p.CustomWebhook))
	list("Scopes", p.Scopes)
	for _, o := range p.Options {
		text := o.Says
		if len(o.Values) > 0 {
			text += " (" + strings.Join(o.Values, ", ") + ")"
		}
		list("Option "+code1(o.Name), text)
	}
	for _, fact := range p.facts() {
		b.WriteString(wrap("- ", "  ", quoted(fact)))
	}
	if len(p.Steps) > 0 {
		b.WriteString("\nSteps:\n\n")
	}
	for _, s := range p.Steps {
		text := "**" + s.Name + "**. " + quoted(s.Do)
		if s.Takes != "" {
			text += " Takes " + s.Takes + "."
		}
		for _, e := range s.Evidence {
			text += " " + code1(s.where(e)) + ": " + e.Says + "."
		}
		effect := p.consequence(s)
		if s.Proof == ByKey {
			effect = strings.TrimSpace("Missing evidence is a warning. " + effect)
		}
		b.WriteString(wrap("1. ", "   ", text+" "+effect))
	}
	b.WriteString("\n```yaml\n" + p.Example(Values{}) + "```\n")
}

func fieldText(f Field) string {
	text := "\"" + f.Label + "\" in the portal"
	if f.Native != "" {
		text += ", in files also " + code1(f.Native)
	}
	for _, r := range f.Rules {
		if !r.Unwanted {
			text += "; it " + r.Says
		}
	}
	return text
}

// quoted shows placeholders as code.
func quoted(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(s string) string { return "`" + s + "`" })
}

func paragraph(text string) string { return wrap("", "", text) + "\n" }

func code1(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

func angle(address string) string {
	if address == "" {
		return ""
	}
	return "<" + address + ">"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// TestTextsFitTheScreen measures every walk-through, with and without values,
// and the table.
func TestTextsFitTheScreen(t *testing.T) {
	full := Values{DevID: "acme-prod-1", AuthRedirectURL: "https://api.tryterra.co/v2/auth/x", Domain: "auth.acme.example",
		ClientID: "123", Regions: "DE", PracticeID: "P", DoctorLicence: "L"}
	texts := []string{Table(All(), map[string][]Standing{"huawei": {{"production", nil}, {"eu/staging", []string{"huawei_id", "identity_verification", "huawei_id_service", "redirect_url"}}}})}
	for _, p := range append(All(), madeUp()) {
		texts = append(texts, p.Walkthrough(Values{}, nil), p.Walkthrough(full, p.Marks(spec.Connection{}, Seen{Now: on(9)})))
	}
	for _, text := range texts {
		if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
			t.Errorf("text does not end with one line break: %q", text[max(0, len(text)-20):])
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if utf8.RuneCountInString(line) > width && !slices.ContainsFunc(strings.Fields(line), func(w string) bool { return len(w) > 30 }) {
				t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("spaces at the end of %q", line)
			}
			if placeholder.MatchString(line) {
				t.Errorf("a placeholder is left: %s", line)
			}
		}
	}
}

func TestWalkthroughHoldsTheValues(t *testing.T) {
	tests := []struct {
		slug string
		v    Values
		want []string
	}{
		{"huawei", Values{}, []string{
			"redirect address        https://access.tryterra.co/api/v2/auth/huawei/oauth2",
			"webhook address\n    https://access.tryterra.co/api/v2/hooks/huawei/healthkit/notifications",
			"an older one is on api.tryterra.co", "Takes about 15 working days."}},
		{"huawei", Values{AuthRedirectURL: "https://api.tryterra.co/v2/auth/huawei/oauth2"}, []string{
			"redirect address        https://api.tryterra.co/v2/auth/huawei/oauth2\n",
			"redirect_url: {value: https://api.tryterra.co/v2/auth/huawei/oauth2}"}},
		{"huawei", Values{Host: "api.tryterra.co"}, []string{"redirect address        https://api.tryterra.co/v2/auth/huawei/oauth2\n"}},
		{"strava", Values{}, []string{"with a custom domain    https://<your domain>/auth/strava", "callback domain         access.tryterra.co", "an older one is on api.tryterra.co"}},
		{"strava", Values{ClientID: "777"}, []string{"client_id: \"777\""}},
		{"strava", Values{AuthRedirectURL: "https://api.tryterra.co/v2/auth/strava"}, []string{
			"Write api.tryterra.co as the app's", "callback_domain: {value: api.tryterra.co}"}},
		{"strava", Values{Domain: "auth.acme.example"}, []string{"Write auth.acme.example as the app's", "https://auth.acme.example/auth/strava"}},
		{"whoop", Values{Domain: "whoop.acme.example"}, []string{
			"https://whoop.acme.example/auth/whoop/oauth2", "https://whoop.acme.example/hooks/whoop/push", "signed with the client secret"}},
		{"whoop", Values{AuthRedirectURL: "https://access.tryterra.co/api/v3/auth/whoop/oauth2"}, []string{"Register https://access.tryterra.co/api/v3/auth/whoop/oauth2 as redirect"}},
		{"dexcom_eu", Values{}, []string{"https://<your domain>/auth/dexcom_eu/oauth2"}},
		{"polar", Values{}, []string{"register <the auth_redirect_url that Terra"}},
		{"virtuagym", Values{}, []string{"client_id (portal_name)", "client_secret (api_key)", "cannot do this for you", "Order: commit first, reset last."}},
		{"fitbit", Values{}, []string{"2026-11-02", "Google Health API"}},
		{"samsung", Values{}, []string{"Own keys: none.", "Until then `route: health_connect` works. Only for route direct."}},
	}
	for _, test := range tests {
		p, _ := Lookup(test.slug)
		text := p.Walkthrough(test.v, nil)
		for _, want := range test.want {
			if !strings.Contains(text, want) && !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
				t.Errorf("%s with %+v lacks %q", test.slug, test.v, want)
			}
		}
	}
}
