package providers

// googleHealth: docs.tryterra.co "Supported integrations" and "How do I handle the
// Fitbit-to-Google migration?" (Fitbit's successor: managed by Terra, no Google app to
// register; every user signs in again and gets a new user_id).
func googleHealth() Provider {
	return Provider{
		Slug: "google_health", Name: "Google Health", Enum: "GOOGLE_HEALTH",
		Keys:  KeysNone,
		Why:   "Terra has the app at Google: there is no app of your own to register and no key to set.",
		Reset: Reset{Effect: "There is no key to reset."},
		Notes: []string{
			"It is Fitbit's successor. Users do not move by themselves: each one signs in again and gets a new user_id.",
		},
		Unproved: "There is no key.",
	}
}
