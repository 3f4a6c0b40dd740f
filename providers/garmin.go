package providers

// garmin: docs.tryterra.co/unified-api/garmin (own app, own domain, review,
// evaluation key), Terra's Admin API description 2026.10.09.2 (custom domain,
// webhook endpoints, the test of a pair), Garmin Connect Developer Program Start
// Guide 1.0.0 and GitHub issue RADAR-base/RADAR-Rest-Source-Auth#313, which
// quotes Garmin (OAuth 1 retires).
func garmin() Provider {
	return Provider{
		Slug: "garmin", Name: "Garmin", Enum: "GARMIN",
		Keys:   KeysRequired,
		Why:    "Garmin reviews every company and gives it an OAuth 2 app of its own, on a domain of its own.",
		Portal: "https://developerportal.garmin.com",
		Fields: []Field{
			{Name: ClientID, Label: "OAuth2 Client ID", Sample: "0a1b2c3d-0000-4000-8000-0123456789ab"},
			{Name: ClientSecret, Label: "OAuth2 Client Secret"},
		},
		CustomRedirect: "https://{domain}/auth/garmin/oauth2",
		CustomWebhook:  "https://{domain}/hooks/garmin/push/<type>",
		CustomDomain:   true,
		Webhooks:       true,
		Steps: []Step{
			{Name: "review", Do: "Apply to the Garmin Connect Developer Program. Garmin reviews by hand and gives an evaluation key first, which is limited; ask for production.",
				By: "Garmin", Takes: "usually a few days", Evidence: []Evidence{done()}, OwnApp: true},
			{Name: "oauth2_app", Do: "Create an OAuth 2 app, or convert an OAuth 1 app: existing OAuth 1 tokens go on working and are exchanged user by user.",
				Evidence: []Evidence{done()}, OwnApp: true},
			{Name: "custom_domain", Do: "Garmin wants redirect and webhooks on your own domain: give it as `domain`, publish the A record that the dry run names, write {redirect} as redirect_url, and register the same in the Garmin app.",
				Evidence: []Evidence{{Name: "value", Want: "{domain}", Says: "the domain that stands in the portal", Sample: "garmin.acme.example"}}, OwnApp: true},
		},
		Ends: []EndOfLife{{
			Date: "2026-12-31", What: "OAuth 1 at Garmin", OAuth1: true, Step: "oauth2_app",
			Successor: "convert the app to OAuth 2 before then, exchange the users' tokens, and record it as setup.oauth2_app",
		}},
		Reset: Reset{
			Effect: "What a reset does to the old secret is not documented: take it as dead at once. Terra tests the new pair against Garmin when it is set; the webhook rows are reviewed again after a change.",
			Order:  ResetFirst,
			Warns:  "where webhooks are managed, the next run reviews Garmin's webhook rows again",
		},
		Notes: []string{
			"With `webhooks: managed` Terra edits the webhook rows of your Garmin app, under the fingerprint of what was reviewed. After a save Garmin locks them for a few minutes.",
		},
		Unproved: "Not needed: Terra itself tests a Garmin pair against Garmin when it is set. Checked before that: no space, quote or bracket around it.",
	}
}
