package providers

import (
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// whoop: docs.tryterra.co "How do I set up WHOOP provider credentials?" and
// "Custom subdomain redirect and webhook setup"; developer.whoop.com overview,
// getting started, support (membership, 10 members, 5 apps), refresh-token
// tutorial (token life), webhooks (signature by the client secret), rate
// limiting; Terra's llms.txt (a test with one member, what the app needs, where the
// approval is asked for, the webhook of a shared domain). The shape of the client id was
// seen once.
func whoop() Provider {
	return Provider{
		Slug: "whoop", Name: "WHOOP",
		Keys:   KeysRequired,
		Why:    "WHOOP approves every company's own app and counts its quota and members per app.",
		Portal: "https://developer-dashboard.whoop.com",
		Fields: []Field{
			{Name: ClientID, Label: "Client ID", Sample: "0a1b2c3d-0000-4000-8000-0123456789ab", Rules: []Rule{
				{Match: uuid, Severity: spec.Warning, Says: "usually looks like 0a1b2c3d-0000-4000-8000-0123456789ab", Hint: "copy \"Client ID\" from https://developer-dashboard.whoop.com"},
			}},
			{Name: ClientSecret, Label: "Client Secret"},
		},
		CustomRedirect: "https://{domain}/auth/whoop/oauth2",
		CustomWebhook:  "https://{domain}/hooks/whoop/push",
		CustomDomain:   true,
		Scopes:         "tick all scopes",
		Steps: []Step{
			{Name: "app", Do: "Create an app in the WHOOP developer dashboard (it needs a WHOOP membership; up to 5 apps). It wants a name, a contact e-mail and a privacy policy. Tick all scopes.",
				Evidence: []Evidence{done()}, OwnApp: true},
			{Name: "redirect_url", Do: "Register {redirect} as redirect URL.",
				Evidence: []Evidence{{Name: "value", Want: "{redirect}", Says: "the address that stands in the dashboard", Sample: "https://whoop.acme.example/auth/whoop/oauth2"}}, OwnApp: true},
			{Name: "webhook", Do: "Register {webhook} as webhook with model version v2. Where environments with apps of their own share one custom domain, add /{client_id} to it.",
				Evidence: []Evidence{{Name: "value", Want: "{webhook}", Or: "{webhook}/{client_id}", Says: "the address that stands in the dashboard", Sample: "https://whoop.acme.example/hooks/whoop/push"}}, OwnApp: true},
			{Name: "test_member", Do: "Connect at least one WHOOP member and see data arrive before you ask for the approval.",
				Evidence: []Evidence{done()}, Proof: Advice, OwnApp: true},
			{Name: "approval", Do: "Until WHOOP has approved the app, 10 members can connect. Ask for it under Open Request, App approval; Terra cannot speed it up.",
				Evidence: []Evidence{done()}, Proof: Advice, OwnApp: true},
		},
		TokenLifetime: time.Hour,
		Quotas:        []string{"100 requests a minute and 10,000 a day for one app; one read by Terra can cost several"},
		Reset: Reset{
			Effect: "WHOOP signs webhooks with the client secret: from the reset until Terra has the new one, webhooks fail their check and refreshes fail. Fetch the gap afterwards.",
			Order:  ResetFirst,
			Warns:  "WHOOP signs webhooks with the client secret: those that arrive between the reset and the rotation fail their check; fetch the gap afterwards",
		},
		Notes: []string{"Webhooks are signed with the client secret, so a stale secret loses webhooks as well as refreshes."},
		Probe: &Probe{
			Method: "POST", URL: "https://api.prod.whoop.com/oauth/oauth2/token",
			Form: []Pair{
				{"grant_type", "refresh_token"}, {"refresh_token", "terra-reconcile-probe"},
				{"client_id", "{client_id}"}, {"client_secret", "{client_secret}"},
			},
			Asks:   "refresh a made-up token",
			Proves: "client id and secret belong together: WHOOP refuses the token, not the app",
			Limits: "The reading of the two answers is inferred from reports. Redirect URL, webhook, approval and member limit are not proved.",
			Judge:  judgeWhoop,
		},
	}
}

// judgeWhoop reads the OAuth error. Both bodies are quoted in GitHub issues
// FormidableLabs/react-native-app-auth#797 and prankstr/hassio-whoop#13.
func judgeWhoop(a Answer) ProbeResult {
	var body struct{ Error string }
	if !a.decode(&body) {
		return a.unclear()
	}
	switch {
	case body.Error == "invalid_client" && (a.Status == 400 || a.Status == 401):
		return bad("WHOOP does not accept this client id and secret (invalid_client)")
	case body.Error == "invalid_grant" && a.Status == 400:
		return good("WHOOP knows the pair and refused only the made-up token")
	}
	return a.unclear()
}
