package providers

import (
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// strava: docs.tryterra.co "Dedicated data source API keys", "How do I set up my
// Strava credentials?", "Strava production app and athlete limit" (the newest page sets the
// custom domain first);
// developers.strava.com/docs/getting-started (limits, quota);
// communityhub.strava.com Strava API FAQ (reviews, tiers). The shape of the
// secret was seen once in a public sample. That a reset kills the old secret at
// once is an assumption.
func strava() Provider {
	return Provider{
		Slug: "strava", Name: "Strava", Enum: "STRAVA",
		Keys:   KeysRequired,
		Why:    "Strava's terms ask every company for an app of its own, with its own athlete limit and quota.",
		Portal: "https://www.strava.com/settings/api",
		Fields: []Field{
			{Name: ClientID, Label: "Client ID", Sample: "123456", Rules: []Rule{
				{Match: made(digits, 1, 100), Severity: spec.Error, Says: "is digits only", Hint: "copy \"Client ID\" from https://www.strava.com/settings/api"},
			}},
			{Name: ClientSecret, Label: "Client Secret", Rules: []Rule{
				{Match: made(lowerHex, 40, 40), Severity: spec.Warning, Says: "is usually 40 characters of 0-9 and a-f", Hint: "copy \"Client Secret\", not the access or refresh token shown below it"},
			}},
		},
		CustomRedirect: "https://{domain}/auth/strava",
		CustomDomain:   true,
		Steps: []Step{
			{Name: "app", Do: "Create an application at https://www.strava.com/settings/api. Strava asks for a subscription of the account that owns it. Copy its Client ID and Client Secret; Terra does not need the access and refresh tokens shown beside them.",
				Evidence: []Evidence{done()}, OwnApp: true},
			{Name: "callback_domain", Do: "Write {callback_host} as the app's Authorization Callback Domain: the host of the redirect address. That is your custom domain where one is set, else Terra's own, which is api.tryterra.co for older dev-ids. With a wrong one Strava answers users with \"redirect_uri invalid\".",
				Evidence: []Evidence{{Name: "value", Want: "{callback_host}", Says: "the domain that stands in the portal", Sample: "access.tryterra.co"}}, OwnApp: true},
			{Name: "subscription", Do: "Keep the owner's Strava subscription running. Without it Strava sets the app to Inactive and answers every call with 403 \"Application Status Inactive\".",
				Evidence: []Evidence{done()}, Proof: Advice, OwnApp: true},
			{Name: "athlete_limit", Do: "A new app serves its owner only. Raise it to 10 athletes yourself on the settings page; ask Strava for a review before you need more than 10.",
				Takes: "about 7 to 10 business days for the review", Evidence: []Evidence{done()}, Proof: Advice, OwnApp: true},
		},
		TokenLifetime: 6 * time.Hour,
		Quotas:        []string{"200 requests in 15 minutes and 2,000 a day for one app, unless Strava raised it"},
		Reset: Reset{
			Effect: "The client id stays. Whether the old secret survives is not documented: take it as dead at once.",
			Order:  ResetFirst,
		},
		Probe: &Probe{
			Method: "POST", URL: "https://www.strava.com/api/v3/oauth/token",
			Form: []Pair{
				{"client_id", "{client_id}"}, {"client_secret", "{client_secret}"},
				{"grant_type", "authorization_code"}, {"code", "terra-reconcile-probe"},
			},
			Asks:   "exchange a made-up authorization code",
			Proves: "client id and secret belong together: Strava refuses the code, not the app",
			Limits: "That Strava checks the app before the code is inferred from its answers. Callback domain, athlete limit and Inactive apps are not proved.",
			Judge:  judgeStrava,
		},
	}
}

// judgeStrava reads the error list of Strava's token endpoint. The bodies are
// those quoted in GitHub issues yihong0618/running_page#523 and #697,
// iamstuartwilson/strava#28 and #29, basvandorst/StravaPHP#96,
// fawda123/rStrava#57 (wrong secret, 401) and stravalib/stravalib#730 (Inactive).
func judgeStrava(a Answer) ProbeResult {
	var body struct {
		Errors []struct{ Resource, Field, Code string }
	}
	if !a.decode(&body) || len(body.Errors) != 1 {
		return a.unclear()
	}
	e := body.Errors[0]
	switch {
	case e.Resource == "Application" && e.Code == "Inactive":
		return unknown("the Strava app is Inactive: its owner has no active Strava subscription")
	case e.Code != "invalid" || (a.Status != 400 && a.Status != 401):
		return a.unclear()
	case e.Resource == "Application" && e.Field == "client_id":
		return bad("Strava does not know this client id")
	case e.Resource == "Application" && e.Field == "":
		return bad("Strava does not accept this client secret")
	case a.Status == 400 && e.Field == "code" && (e.Resource == "AuthorizationCode" || e.Resource == "RequestToken"):
		return good("Strava knows the pair and refused only the made-up code")
	}
	return a.unclear()
}
