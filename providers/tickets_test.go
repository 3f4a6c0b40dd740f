package providers

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func TestTicket(t *testing.T) {
	c := spec.Connection{Options: options("regions", "de,GB,FR"), Credentials: spec.Credentials{ClientID: given("abc")},
		Setup: setup{"practice": {Fields: map[string]string{"practice_id": "P-1", "doctor_licence": "file 7"}}}}
	libre, _ := Lookup("freestylelibre")
	want := `To: Terra support
Subject: FreeStyle Libre: activate DE, FR for dev-id acme-1

Hello,

please activate FreeStyle Libre for our environment.

dev-id:                acme-1
regions:               DE, FR
LibreView practice id: P-1
doctor's licence:      file 7

Please tell us when the regions are active.

Thank you.
`
	if got := libre.Ticket(libre.ValuesOf(c, "acme-1")); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	blank := libre.Ticket(Values{})
	for _, want := range []string{"<dev-id>", "<regions>", "<practice id>", "<doctor's licence>"} {
		if !strings.Contains(blank, want) {
			t.Errorf("a ticket without values lacks %s", want)
		}
	}
	oura, _ := Lookup("oura")
	if got := oura.Ticket(oura.ValuesOf(c, "acme-1")); !strings.Contains(got, "Oura client id: abc\n") {
		t.Errorf("Oura's ticket lacks the client id:\n%s", got)
	}
	strava, _ := Lookup("strava")
	if got := strava.Ticket(Values{}); got != "" {
		t.Errorf("Strava needs no ticket, got %q", got)
	}
}

func TestPlaceholders(t *testing.T) {
	p, _ := Lookup("whoop")
	const every = "{host} {api} {callback_host} {domain} {dev_id} {client_id}"
	tests := []struct {
		v    Values
		want string
	}{
		{Values{}, "access.tryterra.co access.tryterra.co/api access.tryterra.co <your domain> <dev-id> <client id>"},
		{Values{AuthRedirectURL: "https://API.tryterra.co/v2/x", DevID: "acme-1"}, "api.tryterra.co api.tryterra.co api.tryterra.co <your domain> acme-1 <client id>"},
		{Values{AuthRedirectURL: "not an address", Domain: "w.acme.example", ClientID: "7"}, "access.tryterra.co access.tryterra.co/api w.acme.example w.acme.example <dev-id> 7"},
	}
	for _, test := range tests {
		if got := p.expand(every, test.v); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.v, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	p := madeUp()
	got := Table([]Provider{p}, map[string][]Standing{"madeup": {{"production", []string{"app"}}, {"staging", nil}}})
	want := `PROVIDER        OWN KEYS PROBE PORTAL
madeup          required yes   https://portal.example
                It says so.
                production: open: app
                staging: nothing open
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := p.OpenSteps(spec.Connection{}, Seen{Now: on(9)}); !slices.Equal(got, []string{"app"}) {
		t.Errorf("open steps = %q, want app", got)
	}
}

// TestExamplesLoad writes a repository of every provider's example and loads it
// with the vocabulary: both say the same words.
func TestExamplesLoad(t *testing.T) {
	_, recipient, err := secrets.GenerateIdentity(false)
	if err != nil {
		t.Fatal(err)
	}
	repository := fstest.MapFS{
		"terra.yaml":                  {Data: []byte("version: 1\nrecipients:\n  - {paths: [\"**\"], age: [" + recipient + "]}\n")},
		"production/environment.yaml": {Data: []byte("dev_id: acme-1\nprune: never\n")},
	}
	for _, p := range All() {
		text := strings.ReplaceAll(p.Example(Values{}), sealed, "!age |\n"+indent(armor(t, recipient, p.Slug), "        "))
		repository["production/"+p.Slug+".yaml"] = &fstest.MapFile{Data: []byte(text), Mode: fs.FileMode(0o644)}
	}
	set, problems := spec.Load(repository, Vocabulary())
	for _, problem := range problems {
		if problem.Severity == spec.Error {
			t.Error(problem)
		}
	}
	if t.Failed() {
		return
	}
	connections := set.Environments[0].Connections
	if len(connections) != len(All()) {
		t.Fatalf("%d connections, want %d", len(connections), len(All()))
	}
	for _, c := range connections {
		p, _ := Lookup(c.Provider)
		for _, f := range p.Check(c, Seen{Now: on(1)}) {
			if c.Provider != "fitbit" && f.Field != "provider" {
				t.Errorf("%s: its own example is found fault with: %s", c.Provider, f.Message)
			}
		}
		for _, s := range p.Steps {
			if s.Proof == ByKey && !p.shown(s, c, Seen{Now: on(9)}) {
				t.Errorf("%s: the example does not show %s: %q", c.Provider, s.Name, s.missing(c))
			}
		}
	}
}

func armor(t *testing.T, recipient, slug string) string {
	t.Helper()
	recipients, err := secrets.ParseRecipients([]string{recipient}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := secrets.Seal(planted(), secrets.Binding{Account: secrets.DefaultAccount, DevID: "acme-1", Provider: slug, Field: ClientSecret}, recipients)
	if err != nil {
		t.Fatal(err)
	}
	return sealed.Armor()
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}
