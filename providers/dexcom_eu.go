package providers

// dexcomEU: docs.tryterra.co "Dexcom EU separate credentials", Terra's Admin API
// description (a hostname of another provider is a conflict) and the sources of
// [dexcom].
func dexcomEU() Provider {
	p := dexcom()
	p.Slug, p.Name, p.Enum = "dexcom_eu", "Dexcom EU", "DEXCOM_EU"
	p.Why = "Dexcom wants a direct partnership with every company, and gives separate keys for Europe."
	p.CustomRedirect = "https://{domain}/auth/dexcom_eu/oauth2"
	p.Steps = []Step{
		{Name: "partnership", Do: "Ask Dexcom for access to its European service; access for the United States does not include it. The keys are separate. " + dexcomTiers, By: "Dexcom",
			Evidence: []Evidence{done()}, OwnApp: true},
		{Name: "redirect_url", Do: "Register {redirect} as redirect URL.",
			Evidence: []Evidence{{Name: "value", Want: "{redirect}", Says: "the address that stands in the portal", Sample: "https://dexcom-eu.acme.example/auth/dexcom_eu/oauth2"}}, OwnApp: true},
		dexcomFullAccess(),
	}
	p.Notes = append(p.Notes, "Terra gives a hostname to one provider only: take another `domain` than Dexcom's.")
	return p
}
