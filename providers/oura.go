package providers

// oura: docs.tryterra.co "Oura: no extra setup for production" (own app set by
// Terra support per environment; users connected before stay on Terra's app) and
// "Own credentials: isolated rate limit"; cloud.ouraring.com/docs (cap of 10
// users); GitHub issue louispires/Oura-Home-Assistant-Integration#68 (two
// portals, two token hosts); api-evangelist oura-ring (quota).
func oura() Provider {
	return Provider{
		Slug: "oura", Name: "Oura", Enum: "OURA",
		Keys:   KeysOptional,
		Why:    "Terra's app serves Oura without any setup; an app of your own has Oura's limit per app for itself.",
		Portal: "https://cloud.ouraring.com/oauth/applications",
		Fields: []Field{
			{Name: ClientID, Label: "Client ID", Sample: "0a1b2c3d-0000-4000-8000-0123456789ab"},
			{Name: ClientSecret, Label: "Client Secret"},
		},
		Redirect: "https://{api}/v3/auth/oura/oauth2",
		Steps: []Step{
			{Name: "app", Do: "Create an application at https://cloud.ouraring.com/oauth/applications and register {redirect} as redirect URL. By default it serves 10 users: ask Oura for more.",
				Evidence: []Evidence{done()}, OwnApp: true},
			{Name: "terra_support", Do: "Terra support sets an own Oura app for an environment. Send the ticket (`reconcile providers oura --ticket` prints it) and wait for the answer.", By: "Terra support",
				Evidence: []Evidence{
					{Name: "ticket", Says: "the number of the ticket", Sample: "TERRA-1234"},
					{Name: "state", Want: "active", Values: []string{"requested", "active"}, Says: "requested, then active", Sample: "requested"},
				},
				Proof: ByEvidence, OwnApp: true},
		},
		Quotas: []string{"5,000 requests in 5 minutes for one token, and a limit per app that is not published"},
		Reset: Reset{
			Effect: "Terra support sets the new secret for you; users who connected through Terra's app stay on it until they connect again.",
			Order:  AskTerra,
		},
		TicketTemplates: []TicketTemplate{{
			To:      "Terra support",
			Subject: "Oura: own app for dev-id {dev_id}",
			Body: "Hello,\n\nwe would like to use our own Oura app in this environment.\n\n" +
				"dev-id:         {dev_id}\nOura client id: {client_id}\n\n" +
				"How may we send you the client secret safely? Please tell us when it is set.\n\nThank you.\n",
		}},
		Unproved: "Oura has two portals with a token address each, and the wrong one answers like a bad request, so an answer would not say which is at fault. " +
			"Checked instead: no space, quote or bracket around the pair, and the ticket under `setup`.",
	}
}
