package providers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

func on(day int) time.Time { return time.Date(2026, 8, day, 0, 0, 0, 0, time.UTC) }

type setup = map[string]spec.SetupStep

func options(pairs ...string) map[string]spec.Option {
	all := map[string]spec.Option{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = spec.Option{Values: strings.Split(pairs[i+1], ",")}
	}
	return all
}

func TestWaits(t *testing.T) {
	keys := spec.Credentials{Present: true, ClientID: given("1")}
	practice := spec.SetupStep{Fields: map[string]string{"practice_id": "P-1", "doctor_licence": "file 7"}}
	ticket := func(state string) spec.SetupStep {
		return spec.SetupStep{State: state, Fields: map[string]string{"ticket": "T-1"}}
	}
	approved := spec.SetupStep{Value: "SHP-1", Done: on(1)}
	tests := []struct {
		name, slug string
		c          spec.Connection
		require    bool
		gates      []string
		warning    string // a piece of the only warning; "" for none
	}{
		{name: "Libre without regions", slug: "freestylelibre"},
		{name: "Libre elsewhere", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "GB,US")}},
		{name: "Libre in Germany", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "DE")}, gates: []string{"practice", "activation"}},
		{name: "Libre in both", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "de,fr")}, gates: []string{"practice", "activation"}},
		{name: "Libre with a practice", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "DE"), Setup: setup{"practice": practice}}, gates: []string{"activation"}},
		{name: "Libre requested", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "FR"), Setup: setup{"practice": practice, "activation": ticket("requested")}}, gates: []string{"activation"}},
		{name: "Libre active", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "FR"), Setup: setup{"practice": practice, "activation": ticket("active")}}},
		{name: "Libre active proves the practice", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "FR"), Setup: setup{"activation": ticket("active")}}, require: true},
		{name: "Libre, a date is not an activation", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "FR"), Setup: setup{"practice": practice, "activation": {Done: on(1)}}}, gates: []string{"activation"}},
		{name: "Libre in some", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "DE,GB"), Setup: setup{"practice": practice}}, warning: "DE must wait for activation"},
		{name: "Libre in some, required", slug: "freestylelibre", c: spec.Connection{Options: options("regions", "DE,GB"), Setup: setup{"practice": practice}}, require: true, gates: []string{"activation"}},
		{name: "Samsung by default", slug: "samsung"},
		{name: "Samsung by Health Connect", slug: "samsung", c: spec.Connection{Options: options("route", "health_connect")}},
		{name: "Samsung direct", slug: "samsung", c: spec.Connection{Options: options("route", "direct")}, gates: []string{"partner_approval", "sdk"}},
		{name: "Samsung approved", slug: "samsung", c: spec.Connection{Options: options("route", "direct"), Setup: setup{"partner_approval": approved}}, gates: []string{"sdk"}},
		{name: "Samsung approved without a date", slug: "samsung", c: spec.Connection{Options: options("route", "direct", "sdk_version", "1.2.3-samsung"), Setup: setup{"partner_approval": {Value: "SHP-1"}}}, gates: []string{"partner_approval"}},
		{name: "Samsung, wrong SDK", slug: "samsung", c: spec.Connection{Options: options("route", "direct", "sdk_version", "1.2.3"), Setup: setup{"partner_approval": approved}}, gates: []string{"sdk"}},
		{name: "Samsung ready", slug: "samsung", c: spec.Connection{Options: options("route", "direct", "sdk_version", "1.2.3-Samsung"), Setup: setup{"partner_approval": approved}}, require: true},
		{name: "Oura by Terra", slug: "oura", require: true},
		{name: "Oura by Terra, said so", slug: "oura", c: spec.Connection{App: given("terra")}},
		{name: "Oura own", slug: "oura", c: spec.Connection{App: given("own")}, gates: []string{"terra_support"}, warning: "app"},
		{name: "Oura own, with keys", slug: "oura", c: spec.Connection{Credentials: keys, Setup: setup{"app": {Done: on(2)}}}, gates: []string{"terra_support"}},
		{name: "Oura own, set", slug: "oura", c: spec.Connection{Credentials: keys, Setup: setup{"app": {Done: on(2)}, "terra_support": ticket("active")}}},
		{name: "Strava", slug: "strava", c: spec.Connection{Credentials: keys}, warning: "not recorded under setup: app, callback_domain; write `setup: {app: {done: DATE}, callback_domain: {value: VALUE}}` once done"},
		{name: "Strava, required", slug: "strava", c: spec.Connection{Credentials: keys}, require: true, gates: []string{"app", "callback_domain"}},
		{name: "Strava recorded", slug: "strava", c: spec.Connection{Credentials: keys, Setup: setup{"app": {Done: on(2)}, "callback_domain": {Value: "access.tryterra.co"}}}, require: true},
		{name: "Strava, a date is enough", slug: "strava", c: spec.Connection{Credentials: keys, Setup: setup{"app": {Done: on(2)}, "callback_domain": {Done: on(2)}}}, require: true},
		{name: "Polar by Terra", slug: "polar", require: true},
		{name: "Polar own", slug: "polar", c: spec.Connection{Credentials: keys}, warning: "app"},
		{name: "disabled", slug: "samsung", c: spec.Connection{State: spec.Disabled, Options: options("route", "direct")}, require: true},
		{name: "nothing to set", slug: "apple_health", require: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, ok := Lookup(test.slug)
			if !ok {
				t.Fatal("not in the catalogue")
			}
			gates, warnings := p.Prerequisites(test.c, Seen{Now: on(9)}, test.require)
			var names []string
			for _, g := range gates {
				names = append(names, g.Step)
				if g.Reason == "" {
					t.Errorf("%s waits without a reason", g.Step)
				}
			}
			if !slices.Equal(names, test.gates) {
				t.Errorf("gates = %q, want %q", names, test.gates)
			}
			switch {
			case test.warning == "" && len(warnings) > 0:
				t.Errorf("warnings = %q, want none", warnings)
			case test.warning != "" && (len(warnings) != 1 || !strings.Contains(warnings[0].Text, test.warning)):
				t.Errorf("warnings = %q, want one with %q", warnings, test.warning)
			}
		})
	}
}

func TestWaitsSayWhatIsMissing(t *testing.T) {
	p, _ := Lookup("freestylelibre")
	c := spec.Connection{Options: options("regions", "DE"), Setup: setup{"practice": {Fields: map[string]string{"practice_id": "P-1"}},
		"activation": {State: "requested", Fields: map[string]string{"ticket": "T-1"}}}}
	gates, _ := p.Prerequisites(c, Seen{Now: on(9)}, false)
	want := []Prerequisite{
		{Step: "practice", Reason: "setup.practice.doctor_licence is missing: where the licence is filed (a reference, not the document)",
			Yours: true, Once: "Once done", Do: "Register a practice in LibreView with a doctor's licence. Note the practice id.", Record: "setup: {practice: {practice_id: \"P-1\", doctor_licence: DOCTOR_LICENCE}}", Blanks: "DOCTOR_LICENCE: where the licence is filed (a reference, not the document), as legal/2026-014"},
		{Step: "activation", Reason: `setup.activation.state is "requested", not yet "active"`, By: "Terra support", Once: "Once Terra support has confirmed",
			Do: "Send Terra support the ticket (`reconcile providers freestylelibre --ticket` prints it) and wait until Terra has activated the region.", Record: "setup: {activation: {ticket: \"T-1\", state: active}}"},
	}
	if !slices.Equal(gates, want) {
		t.Errorf("got  %+v\nwant %+v", gates, want)
	}
	_, warnings := p.Prerequisites(spec.Connection{Options: options("regions", "de,GB,fr,us"), Setup: c.Setup}, Seen{Now: on(9)}, false)
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0].Text, "DE, FR must wait for practice, activation (") || !strings.HasSuffix(warnings[0].Text, "; open: GB, US") {
		t.Errorf("warnings = %q", warnings)
	}
}

func TestBelieve(t *testing.T) {
	strava, _ := Lookup("strava")
	if _, warnings := strava.WithSourceType(SourceType{CustomerCredentialsRequired: true, CustomCredentialsAllowed: true}, on(120)); len(warnings) != 0 {
		t.Errorf("agreeing with Terra warns: %q", warnings)
	}
	got, warnings := strava.WithSourceType(SourceType{CustomCredentialsAllowed: true, Deprecated: true}, on(120))
	if got.Keys != KeysOptional || len(warnings) != 2 {
		t.Errorf("keys = %v, warnings = %q; want optional and two warnings", got.Keys, warnings)
	}
	got, warnings = strava.WithSourceType(SourceType{}, on(120))
	if found := got.Check(spec.Connection{Credentials: spec.Credentials{Present: true}}, Seen{Now: on(120)}); len(found) != 1 || found[0].Severity != spec.Error {
		t.Errorf("keys where Terra takes none: %q", told(found))
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "impossible") {
		t.Errorf("warnings = %q", warnings)
	}
	fitbit, _ := Lookup("fitbit")
	got, warnings = fitbit.WithSourceType(SourceType{CustomCredentialsAllowed: true}, on(120))
	if found := got.Check(spec.Connection{}, Seen{Now: on(120)}); len(found) != 0 || len(warnings) != 1 {
		t.Errorf("offered by Terra: findings %q, warnings %q", told(found), warnings)
	}
	got, _ = fitbit.WithSourceType(SourceType{CustomCredentialsAllowed: true, Deprecated: true}, on(120))
	if found := got.Check(spec.Connection{}, Seen{Now: on(120), NotLive: true}); len(found) != 1 || found[0].Severity != spec.Error {
		t.Errorf("deprecated by Terra: %q, want an error", told(found))
	}
}

func TestUnlisted(t *testing.T) {
	p, warning := Unlisted("peloton", SourceType{DisplayName: "Peloton", CustomCredentialsAllowed: true})
	if p.Keys != KeysOptional || p.Name != "Peloton" || !strings.Contains(warning, "peloton") {
		t.Errorf("got %v %q, warning %q", p.Keys, p.Name, warning)
	}
	if found := p.CheckClientID(" 1"); len(found) != 1 || found[0].Severity != spec.Error {
		t.Errorf("stray space: %q", told(found))
	}
	if got := p.Words(); len(got.Native)+len(got.Options)+len(got.Setup) != 0 || got.Domain || got.Webhooks {
		t.Errorf("words = %+v, want none", got)
	}
	p, _ = Unlisted("komoot", SourceType{})
	if found := p.Check(spec.Connection{Credentials: spec.Credentials{Present: true}}, Seen{Now: on(120)}); p.Name != "komoot" || len(found) != 1 || found[0].Severity != spec.Error {
		t.Errorf("keys where Terra takes none: %q", told(found))
	}
}

// TestWaitsNameNoAddressOfAFile: what a file chose never stands in what there is to do.
func TestWaitsNameNoAddressOfAFile(t *testing.T) {
	const foreign = "evil.example"
	named := 0
	for _, p := range All() {
		c := spec.Connection{Credentials: spec.Credentials{Present: true, RedirectURL: given("https://" + foreign + "/auth")}, Domain: given(foreign)}
		gates, _ := p.Prerequisites(c, Seen{Now: on(9)}, true)
		for _, g := range gates {
			if strings.Contains(g.Do+g.Record, foreign) || strings.Contains(g.Do, "{") {
				t.Errorf("%s %s: %s %s", p.Slug, g.Step, g.Do, g.Record)
			}
			if strings.Contains(g.Do, "says of it") {
				named++
			}
		}
	}
	if named == 0 {
		t.Error("no step has an address: this proves nothing")
	}
}
