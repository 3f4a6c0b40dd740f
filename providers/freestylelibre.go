package providers

// freeStyleLibre: docs.tryterra.co "Dedicated data source API keys" (Germany and
// France: doctor's licence, registered practice, practice id, support ticket),
// "Supported integrations" (Managed), the changelog of October 2025 (German
// region, custom practices), of November 2025 (temporarily disabled) and of January 2026
// (removed from all integrations endpoints), llms.txt (AT beside DE and FR). The sources
// conflict, so source types decide. Which values an own key would consist of is not
// documented anywhere that was read.
func freeStyleLibre() Provider {
	activation := When{Option: "regions", Values: []string{"DE", "FR"}, Unsure: []string{"AT"}}
	return Provider{
		Slug: "freestylelibre", Name: "FreeStyle Libre", Enum: "FREESTYLELIBRE",
		Keys: KeysOptional,
		Why:  "Terra's own access serves every region but Germany, France and perhaps Austria, which need a practice of yours, not a key.",
		Absent: "Terra's changelog says that FreeStyle Libre was temporarily disabled in November 2025 and taken off all integrations endpoints in January 2026; " +
			"ask Terra support whether it comes back, and leave it out or write `state: disabled` until then",
		Fields: []Field{
			{Name: ClientID, Label: "client id"},
			{Name: ClientSecret, Label: "client secret"},
		},
		Options: []Option{{
			Name: "regions", Says: "countries your users live in, as two-letter codes", Match: made(letters, 2, 2),
			Shape: "a two-letter country code such as DE", List: true, Sample: "[DE, GB]",
			Meant: map[string]string{"UK": "GB", "EL": "GR"},
		}},
		Steps: []Step{
			{Name: "practice", Do: "Register a practice in LibreView with a doctor's licence. Note the practice id.",
				Evidence: []Evidence{
					{Name: "practice_id", Says: "the LibreView practice id", Sample: "PRACTICE-4711"},
					{Name: "doctor_licence", Says: "where the licence is filed (a reference, not the document)", Sample: "legal/2026-014"},
				},
				Proof: ByEvidence, When: activation, ProvenBy: "activation"},
			{Name: "activation", Do: "Send Terra support the ticket (`reconcile providers freestylelibre --ticket` prints it) and wait until Terra has activated the region.", By: "Terra support",
				Evidence: []Evidence{
					{Name: "ticket", Says: "the number of the ticket", Sample: "TERRA-1234"},
					{Name: "state", Want: "active", Values: []string{"requested", "active"}, Says: "requested, then active", Sample: "requested"},
				},
				Proof: ByEvidence, When: activation},
		},
		Reset: Reset{Effect: "There is no key to reset."},
		Notes: []string{
			"Terra's changelog says that it was temporarily disabled in November 2025 and taken off the integrations endpoints in January 2026. What Terra lists for your environment decides: where it is listed it works as described here, where it is not a run says so.",
			"Austria (AT) is named beside DE and FR in one text of Terra only: not confirmed, so nothing waits for it.",
			"Enabling waits only when every listed region needs activation; the other regions are open meanwhile.",
			"A connection that is live is never held back.",
			"The fields of an own key are not documented by Terra. Leave `credentials` out unless Terra support gave you a pair.",
		},
		TicketTemplates: []TicketTemplate{{
			To:      "Terra support",
			Subject: "FreeStyle Libre: activate {regions} for dev-id {dev_id}",
			Body: "Hello,\n\nplease activate FreeStyle Libre for our environment.\n\n" +
				"dev-id:                {dev_id}\nregions:               {regions}\nLibreView practice id: {practice_id}\n" +
				"doctor's licence:      {doctor_licence}\n\n" +
				"Please tell us when the regions are active.\n\nThank you.\n",
		}},
		Unproved: "There is no key by default, and no way to prove one is documented. Checked instead: practice and activation as they stand under `setup`.",
	}
}
