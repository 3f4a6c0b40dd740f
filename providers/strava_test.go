package providers

import (
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// stravaAnswers are bodies that people quoted in public, and their neighbours.
func stravaAnswers() []replay {
	const (
		id    = `{"message":"Bad Request","errors":[{"resource":"Application","field":"client_id","code":"invalid"}]}`
		pair  = `{"message":"Authorization Error","errors":[{"resource":"Application","field":"","code":"invalid"}]}`
		code  = `{"message":"Bad Request","errors":[{"resource":"AuthorizationCode","field":"code","code":"invalid"}]}`
		old   = `{"message":"Bad Request","errors":[{"resource":"RequestToken","field":"code","code":"invalid"}]}`
		state = `{"message":"Forbidden","errors":[{"resource":"Application","field":"Status","code":"Inactive"}]}`
		limit = `{"message":"Rate Limit Exceeded","errors":[{"resource":"Application","field":"rate limit","code":"exceeded"}]}`
	)
	return []replay{
		{"strava", 400, id, Bad}, {"strava", 401, id, Bad},
		{"strava", 401, pair, Bad}, {"strava", 400, pair, Bad},
		{"strava", 400, code, Good}, {"strava", 400, old, Good},
		{"strava", 403, state, Unknown}, {"strava", 403, pair, Unknown},
		{"strava", 429, limit, Unknown}, {"strava", 403, limit, Unknown}, {"strava", 400, limit, Unknown},
		{"strava", 200, code, Unknown}, {"strava", 401, code, Unknown}, {"strava", 404, pair, Unknown},
		{"strava", 200, `{"access_token":"x"}`, Unknown}, {"strava", 200, `[]`, Unknown},
		{"strava", 400, `{"message":"Bad Request","errors":[]}`, Unknown},
		{"strava", 400, `{"message":"Bad Request","errors":[{"resource":"Application","field":"redirect_uri","code":"invalid"}]}`, Unknown},
		{"strava", 400, `{"errors":[{"resource":"Application","field":"client_id","code":"invalid"},{"resource":"AuthorizationCode","field":"code","code":"invalid"}]}`, Unknown},
	}
}

func TestStravaAppThatIsInactive(t *testing.T) {
	got := judgeStrava(Answer{Status: 403, Body: []byte(`{"message":"Forbidden","errors":[{"resource":"Application","field":"Status","code":"Inactive"}]}`)})
	if got.Verdict != Unknown || !strings.Contains(got.Reason, "no active Strava subscription") {
		t.Errorf("got %v, want unknown and what the owner must do", got)
	}
}

// TestStravaCallbackDomain warns of another domain than the one that users are
// sent back to, and never blocks.
func TestStravaCallbackDomain(t *testing.T) {
	p := strava()
	written := func(domain string) spec.Connection {
		return spec.Connection{Setup: setup{"callback_domain": {Value: domain}, "app": {Done: on(1)}}}
	}
	for domain, want := range map[string]string{
		"access.tryterra.co": "", "api.tryterra.co": "",
		"https://access.tryterra.co": "warning: setup.callback_domain is",
		"tryterra.co":                "warning: setup.callback_domain is",
		"acme.example":               "warning: setup.callback_domain is \"acme.example\", but Strava must have access.tryterra.co or api.tryterra.co",
	} {
		if got := told(p.Check(written(domain), Seen{Now: on(1)})); !agrees(got, want) {
			t.Errorf("%s: %q, want %q", domain, got, want)
		}
		if gates, _ := p.Prerequisites(written(domain), Seen{Now: on(9)}, true); len(gates) != 0 {
			t.Errorf("%s: waits for %v, want a warning at most", domain, gates)
		}
	}
}

func TestStravaTellsOfItsLimits(t *testing.T) {
	text := flat(strava().Walkthrough(Values{}, nil))
	for _, want := range []string{
		"Strava asks for a subscription of the account that owns it", "sets the app to Inactive",
		"A new app serves its owner only. Raise it to 10 athletes yourself", "200 requests in 15 minutes and 2,000 a day",
		"A bad secret can stay unseen for 6 hours", "https://www.strava.com/settings/api",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the walk-through lacks %q", want)
		}
	}
}

// flat takes out where the lines of a text end.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }
