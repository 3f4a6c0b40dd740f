package providers

// bySupport is a provider for which Terra has an app, and whose own keys Terra support sets
// case by case: docs.tryterra.co "Supported integrations" and "Managed vs own credentials",
// Terra's llms.txt. Which fields such a key has at Terra is published nowhere, so there are
// none here; portal and what it gives out are the provider's own documentation.
func bySupport(slug, name, enum, portal, gives string) Provider {
	p := Provider{
		Slug: slug, Name: name, Enum: enum,
		Keys:   KeysOptional,
		Why:    "Terra's app serves " + name + "; keys of your own are set by Terra support, case by case.",
		Portal: portal,
		Steps: []Step{
			{Name: "terra_support", Do: "Terra support sets an own " + name + " app for an environment. Send the ticket (`reconcile providers " + slug + " --ticket` prints it) and wait for the answer.", By: "Terra support",
				Evidence: []Evidence{
					{Name: "ticket", Says: "the number of the ticket", Sample: "TERRA-1234"},
					{Name: "state", Want: "active", Values: []string{"requested", "active"}, Says: "requested, then active", Sample: "requested"},
				},
				Proof: ByEvidence, OwnApp: true},
		},
		Reset: Reset{Effect: "Terra support sets the new secret for you.", Order: AskTerra},
		Notes: []string{"The fields of an own key are not published by Terra. Leave `credentials` out unless Terra support named them."},
		TicketTemplates: []TicketTemplate{{
			To:      "Terra support",
			Subject: name + ": own app for dev-id {dev_id}",
			Body: "Hello,\n\nwe would like to use our own " + name + " app in this environment.\n\n" +
				"dev-id: {dev_id}\n\nIs that possible, which values do you need, and how may we send them safely?\n\nThank you.\n",
		}},
		Unproved: "Which values an own key has at Terra is not published, so there is nothing to prove.",
	}
	if gives != "" {
		p.Notes = append(p.Notes, gives)
	}
	return p
}

func biostrap() Provider { return bySupport("biostrap", "Biostrap", "BIOSTRAP", "", "") }

func concept2() Provider {
	return bySupport("concept2", "Concept2", "CONCEPT2", "https://log.concept2.com", "Concept2's logbook gives out a client id and a secret.")
}

func cronometer() Provider { return bySupport("cronometer", "Cronometer", "CRONOMETER", "", "") }

func fatSecret() Provider {
	return bySupport("fatsecret", "FatSecret", "FATSECRET", "https://platform.fatsecret.com",
		"FatSecret gives out a consumer key of OAuth 1, or a client of OAuth 2: ask Terra which one it takes.")
}

func suunto() Provider {
	return bySupport("suunto", "Suunto", "SUUNTO", "https://apizone.suunto.com",
		"Suunto's portal wants a secret that you choose and a redirect URI, and gives out a client id and a subscription key.")
}
