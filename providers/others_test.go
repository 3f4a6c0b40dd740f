package providers

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

func whoopAnswers() []replay {
	return []replay{
		{"whoop", 401, `{"error":"invalid_client","error_description":"Client authentication failed (e.g., unknown client)."}`, Bad},
		{"whoop", 400, `{"error":"invalid_client"}`, Bad},
		{"whoop", 400, `{"error":"invalid_grant","error_description":"The provided authorization grant is invalid, expired, revoked or does not match."}`, Good},
		{"whoop", 401, `{"error":"invalid_grant"}`, Unknown}, {"whoop", 400, `{"error":"invalid_request"}`, Unknown},
		{"whoop", 200, `{"error":"invalid_client"}`, Unknown}, {"whoop", 403, `{"error":"invalid_client"}`, Unknown},
	}
}

func polarAnswers() []replay {
	return []replay{
		{"polar", 200, `{"data":[]}`, Good}, {"polar", 200, `{"data":[{"id":"x","events":["EXERCISE"],"url":"https://acme.example"}]}`, Good},
		{"polar", 200, `null`, Unknown}, {"polar", 200, `[]`, Unknown}, {"polar", 200, `<html>`, Unknown},
		{"polar", 401, ``, Unknown}, {"polar", 204, ``, Unknown}, {"polar", 403, `{}`, Unknown}, {"polar", 404, `{}`, Unknown},
	}
}

// TestEndsByTheClock holds what each end says before, on and after its day.
func TestEndsByTheClock(t *testing.T) {
	at := func(text string) time.Time {
		day, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		return day
	}
	tests := []struct{ slug, now, want string }{
		{"garmin", "2026-11-26 12:00:00", "warning: OAuth 1 at Garmin ends on 2026-12-31, in 35 days"},
		{"garmin", "2026-12-30 00:00:00", "warning: OAuth 1 at Garmin ends on 2026-12-31, in a day"},
		{"garmin", "2026-12-30 23:59:59", "warning: OAuth 1 at Garmin ends on 2026-12-31, in a day"},
		{"garmin", "2026-12-31 00:00:00", "warning: OAuth 1 at Garmin ended on 2026-12-31"},
		{"fitbit", "2026-11-01 23:59:59", "warning: the legacy Fitbit Web API and its sign-in ends on 2026-11-02, in a day"},
		{"fitbit", "2026-11-02 00:00:00", "warning: the legacy Fitbit Web API and its sign-in ended on 2026-11-02"},
	}
	after := Seen{Now: at("2026-11-02 00:00:00"), NotLive: true}
	if found := fitbit().Check(spec.Connection{}, after); told(found) != "error: the legacy Fitbit Web API and its sign-in ended on 2026-11-02" {
		t.Errorf("what has ended and is surely not live: %q", told(found)) // enabling it must fail; what may be live must not, for ever
	}
	if found := fitbit().Check(spec.Connection{State: spec.Disabled}, after); len(found) != 0 {
		t.Errorf("what is to be disabled is left in peace, got %q", told(found))
	}
	for _, test := range tests {
		p, _ := Lookup(test.slug)
		found := p.Check(spec.Connection{}, Seen{Now: at(test.now)})
		if got := told(found); got != test.want || found[0].Hint == "" {
			t.Errorf("%s at %s: %q, want %q", test.slug, test.now, got, test.want)
		}
	}
	if found := fitbit().Check(spec.Connection{}, Seen{Now: at("2026-11-26 00:00:00")}); !strings.Contains(found[0].Hint, "GOOGLE_HEALTH") {
		t.Errorf("Fitbit's successor is not named: %q", found[0].Hint)
	}
	if example := fitbit().Example(Values{}); example != "provider: fitbit\nstate: disabled\n" {
		t.Errorf("an example of what has ended must load without an error, got\n%s", example)
	}
	if text := flat(polar().Walkthrough(Values{}, nil)); !strings.Contains(text, "setup.app.done: the day it was done Only for an app of your own.") {
		t.Errorf("Polar's step does not say that it is for an own app alone:\n%s", text)
	}
	_, before := fitbit().WithSourceType(SourceType{CustomCredentialsAllowed: true}, at("2026-11-01 00:00:00"))
	if len(before) != 0 {
		t.Errorf("before the end Terra and the catalogue agree, yet %q", before)
	}
}

// TestFactsThatPeopleMiss holds one sentence for each provider that somebody would
// learn the hard way.
func TestFactsThatPeopleMiss(t *testing.T) {
	for _, fact := range []struct{ slug, want string }{
		{"whoop", "It wants a name, a contact e-mail and a privacy policy"},
		{"whoop", "Where environments with apps of their own share one custom domain, add /<client id> to it"},
		{"whoop", "Connect at least one WHOOP member and see data arrive before you ask for the approval"},
		{"whoop", "Ask for it under Open Request, App approval"},
		{"whoop", "Webhooks are signed with the client secret, so a stale secret loses webhooks as well as refreshes"},
		{"dexcom", "Choose the tier: individual, commercial or research"},
		{"dexcom_jp", "Own keys: required. Dexcom wants a direct partnership with every company, and gives separate keys for Japan"},
		{"strava", "That is your custom domain where one is set, else Terra's own"},
		{"dexcom", "the client id changes as well: every user must connect again"},
		{"dexcom_eu", "Ask Dexcom for access to its European service; access for the United States does not include it. The keys are separate"},
		{"polar", "Sign in to https://admin.polaraccesslink.com with a Polar Flow account"},
		{"polar", "The key that signs webhooks is a separate one and stays: leave verification_secret as it is"},
		{"withings", "The secret also signs calls"},
		{"oura", "https://cloud.ouraring.com/oauth/applications"},
		{"google_health", "Users do not move by themselves: each one signs in again and gets a new user_id"},
		{"freestylelibre", "temporarily disabled in November 2025 and taken off the integrations endpoints in January 2026"},
		{"suunto", "The fields of an own key are not published by Terra"},
		{"concept2", "The fields of an own key are not published by Terra"},
		{"fatsecret", "The fields of an own key are not published by Terra"},
		{"cronometer", "The fields of an own key are not published by Terra"},
		{"biostrap", "The fields of an own key are not published by Terra"},
		{"oura", "Terra support sets an own Oura app for an environment"},
		{"garmin", "With `webhooks: managed` Terra edits the webhook rows of your Garmin app, under the fingerprint of what was reviewed"},
	} {
		p, ok := Lookup(fact.slug)
		if text := flat(p.Walkthrough(Values{}, nil)); !ok || !strings.Contains(text, fact.want) {
			t.Errorf("%s: the walk-through lacks %q", fact.slug, fact.want)
		}
	}
}

// TestNothingToSet holds that such a provider asks for nothing and refuses keys.
func TestNothingToSet(t *testing.T) {
	for _, slug := range []string{"apple_health", "cardiomood", "core", "eatthismuch", "finalsurge", "google_health", "googlefit", "hammerhead"} {
		p, ok := Lookup(slug)
		if !ok || p.Keys != KeysNone || len(p.Steps)+len(p.Fields) != 0 {
			t.Errorf("%s: %+v, want a provider with nothing to set", slug, p)
		}
		found := p.Check(spec.Connection{Credentials: spec.Credentials{Present: true}}, Seen{Now: on(1)})
		if len(found) != 1 || found[0].Severity != spec.Error {
			t.Errorf("%s: keys are %q, want an error", slug, told(found))
		}
		if gates, warnings := p.Prerequisites(spec.Connection{}, Seen{Now: on(9)}, true); len(gates)+len(warnings) != 0 {
			t.Errorf("%s waits for %v %q", slug, gates, warnings)
		}
	}
}
