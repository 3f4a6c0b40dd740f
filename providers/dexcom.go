package providers

import (
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// dexcom: docs.tryterra.co "Dexcom own keys and production access" and "Custom
// subdomain redirect and webhook setup"; developer.dexcom.com authentication (a
// new app is a new pair), getting started (5 users, then full access), endpoint
// overview of v2 (quota); Terra's llms.txt (the tiers). The shapes were seen once.
func dexcom() Provider {
	return Provider{
		Slug: "dexcom", Name: "Dexcom",
		Keys:   KeysRequired,
		Why:    "Dexcom wants a direct partnership with every company that reads its data.",
		Portal: "https://developer.dexcom.com",
		Fields: []Field{
			{Name: ClientID, Label: "client id", Sample: "AbCdEfGhIjKlMnOpQrStUvWxYz012345", Rules: []Rule{
				{Match: made(alphanums, 32, 32), Severity: spec.Warning, Says: "is usually 32 letters and digits", Hint: "copy it from My Apps at https://developer.dexcom.com"},
			}},
			{Name: ClientSecret, Label: "client secret", Rules: []Rule{
				{Match: made(alphanums, 16, 16), Severity: spec.Warning, Says: "is usually 16 letters and digits", Hint: "copy it from My Apps at https://developer.dexcom.com"},
			}},
		},
		CustomRedirect: "https://{domain}/auth/dexcom/oauth2",
		CustomDomain:   true,
		Steps: []Step{
			{Name: "partnership", Do: "Register as a developer with Dexcom and create an app under My Apps. Sandbox keys lead users to a sandbox sign-in. " + dexcomTiers,
				Evidence: []Evidence{done()}, OwnApp: true},
			{Name: "redirect_url", Do: "Register {redirect} as redirect URL.",
				Evidence: []Evidence{{Name: "value", Want: "{redirect}", Says: "the address that stands in the portal", Sample: "https://dexcom.acme.example/auth/dexcom/oauth2"}}, OwnApp: true},
			dexcomFullAccess(),
		},
		Quotas: []string{"60,000 requests an hour for one app (documentation of v2)"},
		Reset: Reset{
			Effect: "A new pair comes only with a new app, so the client id changes as well: every user must connect again, and the change needs an approval.",
			Order:  CommitFirst,
		},
		Notes: []string{"Dexcom is polled: there is no webhook to register."},
		Unproved: "What Dexcom's token endpoint answers to a wrong pair is not documented. " +
			"Checked instead: no space, quote or bracket around the pair, its usual shape.",
	}
}

const dexcomTiers = "Choose the tier: individual, commercial or research."

func dexcomFullAccess() Step {
	return Step{Name: "full_access", Do: "Limited access serves 5 users. Ask Dexcom for full access before you need more.",
		Evidence: []Evidence{done()}, Proof: Advice, OwnApp: true}
}
