package providers

// polar: docs.tryterra.co "Managed vs own credentials" and "Integrations"
// (enum); the OpenAPI description of Polar AccessLink collected by api-evangelist
// (webhook resource, Basic authentication, separate signature key);
// pypi.org/project/polar-accesslink (portal, and that it wants a Polar Flow account).
func polar() Provider {
	return Provider{
		Slug: "polar", Name: "Polar", Enum: "POLAR",
		Keys:   KeysOptional,
		Why:    "Terra's app serves Polar; an app of your own keeps quota and users apart from Terra's other customers.",
		Portal: "https://admin.polaraccesslink.com",
		Fields: []Field{
			{Name: ClientID, Label: "client id", Sample: "0a1b2c3d-0000-4000-8000-0123456789ab"},
			{Name: ClientSecret, Label: "client secret"},
		},
		Steps: []Step{
			{Name: "app", Do: "Sign in to https://admin.polaraccesslink.com with a Polar Flow account, create a client and register {redirect} as redirect address.",
				Evidence: []Evidence{done()}, OwnApp: true},
		},
		Reset: Reset{
			Effect: "What a reset does to the old secret is not documented: take it as dead at once. The key that signs webhooks is a separate one and stays: leave verification_secret as it is.",
			Order:  ResetFirst,
		},
		Probe: &Probe{
			Method: "GET", URL: "https://www.polaraccesslink.com/v3/webhooks", Basic: true,
			Asks:   "list the app's webhook",
			Proves: "client id and secret belong together: Polar shows the app's own webhook",
			Limits: "A refusal (401) stays unknown: no source confirms that it means the pair.",
			Judge:  judgePolar,
		},
	}
}

// judgePolar takes only an answer that Polar gives to the app itself as good.
func judgePolar(a Answer) ProbeResult {
	switch a.Status {
	case 200:
		if a.json() {
			return good("Polar showed the app its webhook")
		}
	case 401:
		return unknown("Polar refused (HTTP 401); it is not confirmed that this means the pair")
	}
	return a.unclear()
}
