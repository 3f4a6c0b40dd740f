package providers

// dexcomJP: docs.tryterra.co "Supported integrations" (own keys required), Terra's Admin
// API description (the five providers with a custom domain, of which this is none) and the
// sources of [dexcom]. That the keys come from Dexcom's support is Terra's text.
func dexcomJP() Provider {
	p := dexcom()
	p.Slug, p.Name, p.Enum = "dexcom_jp", "Dexcom Japan", "DEXCOM_JP"
	p.Why = "Dexcom wants a direct partnership with every company, and gives separate keys for Japan."
	p.CustomDomain, p.CustomRedirect = false, ""
	p.Steps = []Step{
		{Name: "partnership", Do: "Ask Dexcom's support for access to its Japanese service; access for other regions does not include it. The keys are separate. " + dexcomTiers, By: "Dexcom",
			Evidence: []Evidence{done()}, OwnApp: true},
		{Name: "redirect_url", Do: "Register {redirect} as redirect URL.",
			Evidence: []Evidence{{Name: "value", Want: "{redirect}", Says: "the address that stands in the portal", Sample: "https://access.tryterra.co/api/v2/auth/dexcom_jp/oauth2"}}, OwnApp: true},
		dexcomFullAccess(),
	}
	p.Notes = append(p.Notes, "No custom domain can be given: the redirect is Terra's own address.")
	return p
}
